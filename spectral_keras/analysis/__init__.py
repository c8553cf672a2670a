"""What a trained network does with each frequency of its input."""

from spectral_keras.analysis.chance_rule import ChanceRule
from spectral_keras.analysis.embedding import embed, pca
from spectral_keras.analysis.energies import (
    angular_energies,
    angular_wedges,
    band_counts,
    band_energies,
    radial_bands,
    radial_energies,
)
from spectral_keras.analysis.heat_map import FourierNoise, fourier_heat_map
from spectral_keras.analysis.mask_classifier import MaskClassification, classify_masks
from spectral_keras.analysis.point_detection import (
    PointWaves,
    point_detection_maps,
    point_perturbation,
    real_frequencies,
)
from spectral_keras.analysis.response import frequency_response
from spectral_keras.analysis.response_histogram import response_histogram, vote_shares
from spectral_keras.analysis.statistics import (
    band_recovery,
    complement,
    filtered_images,
    gain_share,
    mask_differences,
    scale_differences,
    sparsity,
    zero_share,
)

__all__ = [
    "ChanceRule",
    "FourierNoise",
    "MaskClassification",
    "PointWaves",
    "angular_energies",
    "angular_wedges",
    "band_counts",
    "band_energies",
    "band_recovery",
    "classify_masks",
    "complement",
    "embed",
    "filtered_images",
    "fourier_heat_map",
    "frequency_response",
    "gain_share",
    "mask_differences",
    "pca",
    "point_detection_maps",
    "point_perturbation",
    "radial_bands",
    "radial_energies",
    "real_frequencies",
    "response_histogram",
    "scale_differences",
    "sparsity",
    "vote_shares",
    "zero_share",
]


def __dir__():
    return [*__all__, "masks"] if "masks" in globals() else __all__
