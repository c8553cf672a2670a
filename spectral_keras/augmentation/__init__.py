"""Augmentation of images, and what decides on frequency bands (arXiv 1911.12044).

The random layers themselves are `PowerSuppression` and `FrequencyNoise` of `spectral_keras.layers`.
"""

from spectral_keras.augmentation.image import build_augmentation
from spectral_keras.augmentation.information import (
    coefficient_bits,
    coverage_degree,
    information_curve,
)
from spectral_keras.augmentation.open_ratio import basic_open_ratios, open_ratio_labels

__all__ = [
    "basic_open_ratios",
    "build_augmentation",
    "coefficient_bits",
    "coverage_degree",
    "information_curve",
    "open_ratio_labels",
]


def __dir__():
    return __all__
