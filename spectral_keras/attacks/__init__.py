"""Attacks on image classifiers: inside the eps ball and inside [0, 1], on any backend."""

from spectral_keras.attacks.apgd import apgd
from spectral_keras.attacks.attack import EPS, LABELS, LOSSES, NAMES, NORMS, RADII, STEPS, Attack
from spectral_keras.attacks.fgsm import fgsm
from spectral_keras.attacks.loop import run_attack
from spectral_keras.attacks.perturb import perturb
from spectral_keras.attacks.pgd import pgd
from spectral_keras.attacks.square import square
from spectral_keras.attacks.strong import strong

__all__ = [
    "EPS",
    "LABELS",
    "LOSSES",
    "NAMES",
    "NORMS",
    "RADII",
    "STEPS",
    "Attack",
    "apgd",
    "fgsm",
    "perturb",
    "pgd",
    "run_attack",
    "square",
    "strong",
]


def __dir__():
    return __all__
