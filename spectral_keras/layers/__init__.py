"""Keras layers of the frequency domain."""

from spectral_keras.layers.amplitude_phase_recombination import AmplitudePhaseRecombination
from spectral_keras.layers.batch_normalization import BatchNormalization
from spectral_keras.layers.channel_gate import ChannelGate
from spectral_keras.layers.conv2d import Conv2D
from spectral_keras.layers.diff_stride import DiffStride
from spectral_keras.layers.fft2d import FFT2D
from spectral_keras.layers.fft_conv2d import FFTConv2D
from spectral_keras.layers.fft_conv_pool2d import FFTConvPool2D
from spectral_keras.layers.fmix import FMix
from spectral_keras.layers.fourier_basis_noise import FourierBasisNoise
from spectral_keras.layers.fourier_mask import FourierMask
from spectral_keras.layers.frequency_dropout import FrequencyDropout
from spectral_keras.layers.frequency_noise import FrequencyNoise
from spectral_keras.layers.global_filter2d import GlobalFilter2D
from spectral_keras.layers.hartley_spectral_pool import HartleySpectralPool
from spectral_keras.layers.inverse_fft2d import InverseFFT2D
from spectral_keras.layers.power_suppression import PowerSuppression
from spectral_keras.layers.spectral_conv2d import SpectralConv2D
from spectral_keras.layers.spectral_mixing2d import SpectralMixing2D
from spectral_keras.layers.spectral_pool import SpectralPool

__all__ = [
    "AmplitudePhaseRecombination",
    "BatchNormalization",
    "ChannelGate",
    "Conv2D",
    "DiffStride",
    "FFT2D",
    "FFTConv2D",
    "FFTConvPool2D",
    "FMix",
    "FourierBasisNoise",
    "FourierMask",
    "FrequencyDropout",
    "FrequencyNoise",
    "GlobalFilter2D",
    "HartleySpectralPool",
    "InverseFFT2D",
    "PowerSuppression",
    "SpectralConv2D",
    "SpectralMixing2D",
    "SpectralPool",
]


def __dir__():
    return __all__
