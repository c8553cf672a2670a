"""Pure functions on tensors, on TensorFlow, JAX and PyTorch.

Frequencies are in unshifted order (DC first) everywhere; see `spectral_keras.ops.frequencies` for
the layout and for the way to the centred order that people look at.
"""

from spectral_keras.ops.convolution import fft_conv2d, fft_conv_pool2d
from spectral_keras.ops.dft import dft_matrices, real_basis
from spectral_keras.ops.fft import fft2, ifft2, irfft2, rfft2
from spectral_keras.ops.filters import (
    radial_band,
)
from spectral_keras.ops.frequencies import (
    centre_index,
    frequency_to_centered_index,
    frequency_to_index,
    signed_frequencies,
)
from spectral_keras.ops.frequency_dropout import frequency_dropout_floor
from spectral_keras.ops.kernel_dft import kernel_from_spectrum, kernel_spectrum
from spectral_keras.ops.resize import resampling_matrix, spectral_resize
from spectral_keras.ops.symmetry import hermitian_symmetrize

__all__ = [
    "centre_index",
    "dft_matrices",
    "fft2",
    "fft_conv2d",
    "fft_conv_pool2d",
    "frequency_dropout_floor",
    "frequency_to_centered_index",
    "frequency_to_index",
    "hermitian_symmetrize",
    "ifft2",
    "irfft2",
    "kernel_from_spectrum",
    "kernel_spectrum",
    "radial_band",
    "real_basis",
    "resampling_matrix",
    "rfft2",
    "signed_frequencies",
    "spectral_resize",
]


def __dir__():
    return __all__
