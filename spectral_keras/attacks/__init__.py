"""Gradient attacks on image classifiers: inside the eps ball and inside [0, 1], on any backend."""

from spectral_keras.attacks.fgsm import fgsm as fgsm
from spectral_keras.attacks.gradients import input_gradient as input_gradient
from spectral_keras.attacks.perturb import perturb as perturb
from spectral_keras.attacks.pgd import pgd as pgd
from spectral_keras.attacks.predictions import predict_classes as predict_classes
