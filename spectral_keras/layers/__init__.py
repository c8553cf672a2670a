"""Keras layers of the frequency domain."""

from spectral_keras.layers.channel_gate import ChannelGate as ChannelGate
from spectral_keras.layers.fft_conv2d import FFTConv2D as FFTConv2D
from spectral_keras.layers.fft_conv_pool2d import FFTConvPool2D as FFTConvPool2D
from spectral_keras.layers.fourier_mask import FourierMask as FourierMask
from spectral_keras.layers.frequency_dropout import FrequencyDropout as FrequencyDropout
from spectral_keras.layers.frequency_noise import FrequencyNoise as FrequencyNoise
from spectral_keras.layers.power_suppression import PowerSuppression as PowerSuppression
from spectral_keras.layers.spectral_conv2d import SpectralConv2D as SpectralConv2D
from spectral_keras.layers.spectral_pool import SpectralPool as SpectralPool
