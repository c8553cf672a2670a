"""Training beyond a plain `fit`: auxiliary tasks and adversarial examples."""

from spectral_keras.training.adversarial_examples import AdversarialExamples as AdversarialExamples
from spectral_keras.training.adversarial_model import AdversarialModel as AdversarialModel
from spectral_keras.training.auxiliary_model import AuxiliaryModel as AuxiliaryModel
from spectral_keras.training.decoder import build_decoder as build_decoder
from spectral_keras.training.fourier_target import FourierTarget as FourierTarget
from spectral_keras.training.reconstruction_target import (
    ReconstructionTarget as ReconstructionTarget,
)
