"""Gradient attacks on image classifiers: inside the eps ball and inside [0, 1], on any backend."""

from spectral_keras.attacks.attack import EPS, LABELS, LOSSES, NAMES, NORMS, RADII, Attack
from spectral_keras.attacks.fgsm import fgsm
from spectral_keras.attacks.loop import run_attack
from spectral_keras.attacks.perturb import perturb
from spectral_keras.attacks.pgd import pgd

__all__ = [
    "EPS",
    "LABELS",
    "LOSSES",
    "NAMES",
    "NORMS",
    "RADII",
    "Attack",
    "fgsm",
    "perturb",
    "pgd",
    "run_attack",
]
