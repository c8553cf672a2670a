"""Multiplying the spectrum of images by a complex filter of each channel."""

from typing import Any

import keras
from keras import ops

from spectral_keras.ops.fft import irfft2_last, rfft2_last, to_complex
from spectral_keras.ops.masking import filter_by_matmul
from spectral_keras.ops.unknown_size import sizes_of

__all__ = ["apply_filter"]


def apply_filter(x: Any, kernel: Any, implementation: str, data_format: str) -> Any:
    """irfft2(K * rfft2(x)) over height and width.

    Where half a spectrum holds both of a conjugate pair, in the columns of frequency 0 and of the
    Nyquist frequency of an even width, the Hermitian part of K counts, as in `numpy.fft.irfft2`.

    Args:
        x: batch of real images, for "matmul" of known height and width.
        kernel: real tensor of shape (height, width//2 + 1, channels, 2), real and imaginary parts.
        implementation: "fft", in float32 at least; "matmul", in x's dtype; or "auto", "fft": a
            complex factor costs the matrices as much again, and from 8x8 to 64x64 maps of 4 to 256
            channels FFTs took .3 to .8 of their time, forwards and backwards on TensorFlow.
        data_format: "channels_last" or "channels_first".

    Returns:
        Tensor of the shape and dtype of x.
    """
    real, imag = kernel[..., 0], kernel[..., 1]
    channels_last = data_format == "channels_last"
    width = sizes_of(x, data_format)[1]
    if implementation == "matmul" and channels_last:
        return filter_by_matmul(x, real, data_format, imag)
    real, imag = (ops.transpose(part, (2, 0, 1)) for part in (real, imag))
    if implementation == "matmul":
        return filter_by_matmul(x, real, data_format, imag)
    dtype = keras.backend.standardize_dtype(x.dtype)
    x = ops.transpose(x, (0, 3, 1, 2)) if channels_last else x
    plain = "float64" if dtype == "float64" else "float32"
    factor = to_complex(ops.cast(real, plain), ops.cast(imag, plain))
    x = ops.cast(irfft2_last(rfft2_last(ops.cast(x, plain)) * factor, width), dtype)
    return ops.transpose(x, (0, 2, 3, 1)) if channels_last else x
