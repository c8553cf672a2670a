"""Augmentation of images, and what decides on frequency bands (arXiv 1911.12044).

The random layers themselves are `PowerSuppression` and `FrequencyNoise` of `spectral_keras.layers`.
"""

from spectral_keras.augmentation.image import build_augmentation as build_augmentation
from spectral_keras.augmentation.information import coefficient_bits as coefficient_bits
from spectral_keras.augmentation.information import coverage_degree as coverage_degree
from spectral_keras.augmentation.information import information_curve as information_curve
from spectral_keras.augmentation.open_ratio import basic_open_ratios as basic_open_ratios
from spectral_keras.augmentation.open_ratio import open_ratio_labels as open_ratio_labels
