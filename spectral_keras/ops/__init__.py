"""Pure functions on tensors, on TensorFlow, JAX and PyTorch.

Frequencies are in unshifted order (DC first) everywhere; see `spectral_keras.ops.frequencies` for
the layout and for the way to the centred order that people look at.
"""

from spectral_keras.ops.convolution import fft_conv2d as fft_conv2d
from spectral_keras.ops.convolution import fft_conv_pool2d as fft_conv_pool2d
from spectral_keras.ops.dft import dft_matrices as dft_matrices
from spectral_keras.ops.dft import real_basis as real_basis
from spectral_keras.ops.fft import fft2 as fft2
from spectral_keras.ops.fft import fftshift2 as fftshift2
from spectral_keras.ops.fft import ifft2 as ifft2
from spectral_keras.ops.fft import ifftshift2 as ifftshift2
from spectral_keras.ops.fft import irfft2 as irfft2
from spectral_keras.ops.fft import rfft2 as rfft2
from spectral_keras.ops.filters import radial_band as radial_band
from spectral_keras.ops.filters import radial_lowpass as radial_lowpass
from spectral_keras.ops.filters import rectangular_band as rectangular_band
from spectral_keras.ops.filters import rectangular_lowpass as rectangular_lowpass
from spectral_keras.ops.frequencies import centered_crop_start as centered_crop_start
from spectral_keras.ops.frequencies import centre_index as centre_index
from spectral_keras.ops.frequencies import (
    frequency_to_centered_index as frequency_to_centered_index,
)
from spectral_keras.ops.frequencies import frequency_to_index as frequency_to_index
from spectral_keras.ops.frequencies import index_to_frequency as index_to_frequency
from spectral_keras.ops.frequencies import signed_frequencies as signed_frequencies
from spectral_keras.ops.frequency_dropout import frequency_dropout_floor as frequency_dropout_floor
from spectral_keras.ops.kernel_dft import kernel_from_spectrum as kernel_from_spectrum
from spectral_keras.ops.kernel_dft import kernel_spectrum as kernel_spectrum
from spectral_keras.ops.resize import resampling_matrix as resampling_matrix
from spectral_keras.ops.resize import spectral_resize as spectral_resize
from spectral_keras.ops.symmetry import hermitian_symmetrize as hermitian_symmetrize
