"""What a trained network does with each frequency of its input."""

from spectral_keras.analysis.embedding import embed as embed
from spectral_keras.analysis.embedding import pca as pca
from spectral_keras.analysis.energies import angular_energies as angular_energies
from spectral_keras.analysis.energies import angular_wedges as angular_wedges
from spectral_keras.analysis.energies import band_counts as band_counts
from spectral_keras.analysis.energies import band_energies as band_energies
from spectral_keras.analysis.energies import radial_bands as radial_bands
from spectral_keras.analysis.energies import radial_energies as radial_energies
from spectral_keras.analysis.heat_map import fourier_heat_map as fourier_heat_map
from spectral_keras.analysis.mask_classifier import MaskClassification as MaskClassification
from spectral_keras.analysis.mask_classifier import classify_masks as classify_masks
from spectral_keras.analysis.point_detection import (
    point_detection_maps as point_detection_maps,
)
from spectral_keras.analysis.point_detection import point_perturbation as point_perturbation
from spectral_keras.analysis.point_detection import real_frequencies as real_frequencies
from spectral_keras.analysis.response import frequency_response as frequency_response
from spectral_keras.analysis.response_histogram import response_histogram as response_histogram
from spectral_keras.analysis.response_histogram import vote_shares as vote_shares
from spectral_keras.analysis.statistics import band_recovery as band_recovery
from spectral_keras.analysis.statistics import complement as complement
from spectral_keras.analysis.statistics import filtered_images as filtered_images
from spectral_keras.analysis.statistics import gain_share as gain_share
from spectral_keras.analysis.statistics import lp_norm as lp_norm
from spectral_keras.analysis.statistics import mask_differences as mask_differences
from spectral_keras.analysis.statistics import scale_differences as scale_differences
from spectral_keras.analysis.statistics import sparsity as sparsity
from spectral_keras.analysis.statistics import zero_share as zero_share
