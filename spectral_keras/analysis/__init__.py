"""What a trained network does with each frequency of its input."""

from spectral_keras.analysis.heat_map import fourier_heat_map as fourier_heat_map
from spectral_keras.analysis.point_detection import (
    point_detection_maps as point_detection_maps,
)
from spectral_keras.analysis.point_detection import point_perturbation as point_perturbation
from spectral_keras.analysis.point_detection import real_frequencies as real_frequencies
from spectral_keras.analysis.response import frequency_response as frequency_response
from spectral_keras.analysis.response_histogram import response_histogram as response_histogram
from spectral_keras.analysis.response_histogram import vote_shares as vote_shares
