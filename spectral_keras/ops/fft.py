"""2-D FFTs of images with the backend's own transform.

`fft2`, `ifft2`, `rfft2`, `irfft2`, `fftshift2` and `ifftshift2` transform the two spatial axes of
a batch of images, (batch, height, width, channels) or (batch, channels, height, width); the
functions with the ending `_last` transform the last two axes of a tensor of any rank, without the
transposes that channels last needs.  In between live native complex tensors of the backend:
`tf.signal` on TensorFlow, `jnp.fft` on JAX, `torch.fft` on PyTorch, `numpy.fft` on NumPy.

- Precision: float32 and complex64, or float64 and complex128.  float16, bfloat16 and integers
  are converted to float32 and the result stays complex64 or float32: no backend has half-precision
  FFTs on every device.  Casting back is the caller's job.
- `norm` as in NumPy: "backward" scales the inverse by 1/(H W), "ortho" both by its root,
  "forward" the forward transform.
- Height and width must be known, the batch size need not be.  All work in graphs and under XLA.
- Real signals use `rfft2`, which computes the columns 0 ... width//2 only.  `irfft2` equals
  NumPy's for any input, also one that is no spectrum of a real image, on every device (see
  `symmetry.symmetrize_half_spectrum`), and so does its gradient.

Example:

>>> import numpy as np
>>> from spectral_keras.ops.fft import irfft2, rfft2
>>> x = np.random.default_rng(0).random((2, 6, 5, 3), dtype="float32")
>>> z = rfft2(x, norm="ortho")
>>> tuple(z.shape)
(2, 6, 3, 3)
>>> bool(np.allclose(irfft2(z, 5, norm="ortho"), x, atol=1e-6))
True
"""

import math
import sys
import warnings

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.symmetry import half_spectrum_multiplicity, symmetrize_half_spectrum
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_positive_int,
    check_size_pair,
)

_NORMS = ("backward", "ortho", "forward")
# Keras' modules that write formats without an FFT.
_WITHOUT_FFT = ("keras.src.export.onnx", "keras.src.export.litert")
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


def _native_fft():
    """The module with fft2, ifft2, rfft2 and irfft2 of a backend other than TensorFlow."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax.numpy

        return jax.numpy.fft
    if backend == "torch":
        import torch.fft

        return torch.fft
    if backend == "numpy":
        return np.fft
    raise ValueError(f"There is no FFT for the Keras backend {backend!r}.")


def _dtype(x):
    return keras.backend.standardize_dtype(x.dtype)


def _real(x):
    x = ops.convert_to_tensor(x)
    dtype = _dtype(x)
    if dtype.startswith("complex"):
        raise ValueError(f"`x` must be real. Received: x of dtype {dtype}")
    return x if dtype in _COMPLEX else ops.cast(x, "float32")


def _complex(x):
    x = ops.convert_to_tensor(x)
    if _dtype(x).startswith("complex"):
        return x
    x = _real(x)
    return ops.cast(x, _COMPLEX[_dtype(x)])


def _plane(x):
    """Static (height, width) of the last two axes."""
    shape = tuple(x.shape)
    if len(shape) < 2 or None in shape[-2:]:
        raise ValueError(
            f"A 2-D FFT needs two axes of known size. Received: tensor of shape {shape}"
        )
    return int(shape[-2]), int(shape[-1])


def _check_width(z, width):
    width = check_positive_int("width", width)
    if _plane(z)[1] != width // 2 + 1:
        raise ValueError(
            f"`width` must fit the half spectrum, which has width//2 + 1 columns. Received: "
            f"width={width} for {_plane(z)[1]} columns"
        )
    return width


def _tensorflow():
    """The module tensorflow; warns where Keras is about to write an FFT to a file without one.

    Keras' export to ONNX and LiteRT reports success for a graph that no run time takes.  A layer
    cannot see what traces it but by the callers.
    """
    import tensorflow as tf

    if tf.executing_eagerly():
        return tf
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in _WITHOUT_FFT:
            warnings.warn(
                "This export has no FFT, so the file will not run: "
                "use `spectral_keras.export.export`, which replaces it, or build the layers with "
                '`implementation="matmul"`.',
                stacklevel=2,
            )
            break
        frame = frame.f_back
    return tf


def _tf_scale(plane, norm, inverse):
    """What is left to multiply: tf.signal has norm="backward" built in."""
    size = math.prod(plane)
    scale = {"backward": 1.0, "ortho": 1 / math.sqrt(size), "forward": 1 / size}[norm]
    return 1 / scale if inverse else scale


def _scaled(x, scale):
    return x if scale == 1.0 else x * scale


def _tf_rfft2(x):
    """tf.signal.rfft2d with a lean gradient.

    TensorFlow's own tiles an H x H complex matrix over the batch.  The adjoint of the half
    transform is an inverse half transform of the weighted upstream gradient.
    """
    tf = _tensorflow()
    height, width = _plane(x)
    weights = height * width / half_spectrum_multiplicity(width)

    @tf.custom_gradient
    def transform(x):
        def gradient(upstream):
            return _tf_irfft2(upstream * ops.cast(weights, upstream.dtype), width)

        return tf.signal.rfft2d(x), gradient

    return transform(x)


def _tf_irfft2(z, width, assume_hermitian=False):
    """tf.signal.irfft2d with a lean gradient.

    The gradient is a half spectrum of real data, so it needs no symmetrisation itself and none
    is differentiated.
    """
    tf = _tensorflow()
    height = _plane(z)[0]
    weights = half_spectrum_multiplicity(width) / (height * width)

    @tf.custom_gradient
    def transform(z):
        def gradient(upstream):
            spectrum = _tf_rfft2(upstream)
            return spectrum * ops.cast(weights, spectrum.dtype)

        if not assume_hermitian:
            z = symmetrize_half_spectrum(z, width)
        return tf.signal.irfft2d(z, [height, width]), gradient

    return transform(z)


def fft2_last(x, *, norm="backward"):
    """2-D DFT over the last two axes.

    Args:
        x: real or complex tensor of shape (..., height, width).
        norm: "backward", "ortho" or "forward".

    Returns:
        Complex tensor of the same shape.
    """
    check_choice("norm", norm, _NORMS)
    plane = _plane(ops.convert_to_tensor(x))
    if keras.backend.backend() != "tensorflow":
        return _native_fft().fft2(_complex(x), norm=norm)
    tf = _tensorflow()
    return _scaled(tf.signal.fft2d(_complex(x)), _tf_scale(plane, norm, inverse=False))


def ifft2_last(z, *, norm="backward"):
    """Inverse 2-D DFT over the last two axes.

    Args:
        z: complex (or real) tensor of shape (..., height, width).
        norm: "backward", "ortho" or "forward".

    Returns:
        Complex tensor of the same shape.
    """
    check_choice("norm", norm, _NORMS)
    plane = _plane(ops.convert_to_tensor(z))
    if keras.backend.backend() != "tensorflow":
        return _native_fft().ifft2(_complex(z), norm=norm)
    tf = _tensorflow()
    return _scaled(tf.signal.ifft2d(_complex(z)), _tf_scale(plane, norm, inverse=True))


def rfft2_last(x, *, fft_length=None, norm="backward"):
    """2-D DFT of real data over the last two axes, columns 0 ... width//2.

    Args:
        x: real tensor of shape (..., height, width).
        fft_length: None, or (height, width) to pad x to with zeros at the end, at least its size.
        norm: "backward", "ortho" or "forward".

    Returns:
        Complex tensor of shape (..., height, width//2 + 1).
    """
    check_choice("norm", norm, _NORMS)
    x = _real(x)
    plane = _plane(x)
    if fft_length is not None:
        target = check_size_pair("fft_length", fft_length)
        extra = [new - old for new, old in zip(target, plane, strict=True)]
        if min(extra) < 0:
            raise ValueError(
                f"`fft_length` must be at least the image's size {plane}. "
                f"Received: fft_length={fft_length!r}"
            )
        if max(extra) > 0:
            x = ops.pad(x, [(0, 0)] * (len(x.shape) - 2) + [(0, n) for n in extra])
        plane = target
    if keras.backend.backend() != "tensorflow":
        return _native_fft().rfft2(x, norm=norm)
    return _tf_rfft2(_scaled(x, _tf_scale(plane, norm, inverse=False)))


def irfft2_last(z, width, *, norm="backward", assume_hermitian=False):
    """Inverse of `rfft2_last`: NumPy's `irfft2` for any z.

    Args:
        z: complex tensor of shape (..., height, width//2 + 1).
        width: width of the image, which the half spectrum leaves open (even or odd).
        norm: "backward", "ortho" or "forward".
        assume_hermitian: True skips the symmetrisation of the DC and Nyquist columns.  Right for
            a z that is `rfft2_last` of something real times another such spectrum or times a real
            and even factor; for any other z the result then depends on the device.

    Returns:
        Real tensor of shape (..., height, width).
    """
    check_choice("norm", norm, _NORMS)
    z = _complex(z)
    width = _check_width(z, width)
    plane = (_plane(z)[0], width)
    if keras.backend.backend() == "tensorflow":
        x = _tf_irfft2(z, width, assume_hermitian)
        return _scaled(x, _tf_scale(plane, norm, inverse=True))
    if not assume_hermitian or _is_split_over_cpus():
        z = symmetrize_half_spectrum(z, width)
    return _native_fft().irfft2(z, plane, norm=norm)


def _is_split_over_cpus():
    """Whether XLA may split a step over several CPU devices.

    Its compiler (JAX 0.10) then hands a product of spectra to the complex-to-real FFT in a memory
    order that its CPU runtime refuses; what the symmetrisation gives comes in the right one.
    """
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.device_count() > 1 and jax.default_backend() == "cpu"


def fftshift2_last(x):
    """Moves DC from index 0 to index n//2 of the last two axes."""
    x = ops.convert_to_tensor(x)
    return ops.roll(x, [n // 2 for n in _plane(x)], (-2, -1))


def ifftshift2_last(x):
    """Moves DC from index n//2 back to index 0 of the last two axes."""
    x = ops.convert_to_tensor(x)
    return ops.roll(x, [-(n // 2) for n in _plane(x)], (-2, -1))


def _over_images(transform, x, data_format):
    """`transform`, which works on the last two axes, on the spatial axes of images."""
    data_format = check_data_format(data_format)
    x = ops.convert_to_tensor(x)
    if len(x.shape) != 4:
        raise ValueError(
            f"A batch of images of rank 4 was expected. Received: tensor of shape {tuple(x.shape)}"
        )
    if data_format == "channels_first":
        return transform(x)
    return ops.transpose(transform(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))


def fft2(x, *, norm="backward", data_format=None):
    """2-D DFT of a batch of images over height and width.

    Args:
        x: real or complex tensor of rank 4.
        norm: "backward", "ortho" or "forward".
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Complex tensor of the same shape, unshifted order.
    """
    return _over_images(lambda t: fft2_last(t, norm=norm), x, data_format)


def ifft2(z, *, norm="backward", data_format=None):
    """Inverse 2-D DFT of a batch of images, the inverse of `fft2`; the result is complex."""
    return _over_images(lambda t: ifft2_last(t, norm=norm), z, data_format)


def rfft2(x, *, fft_length=None, norm="backward", data_format=None):
    """2-D DFT of a batch of real images over height and width, columns 0 ... width//2.

    Args:
        x: real tensor of rank 4.
        fft_length: None, or (height, width) to pad the images to with zeros at the end.
        norm: "backward", "ortho" or "forward".
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Complex tensor; the width axis has width//2 + 1 entries.
    """
    return _over_images(lambda t: rfft2_last(t, fft_length=fft_length, norm=norm), x, data_format)


def irfft2(z, width, *, norm="backward", assume_hermitian=False, data_format=None):
    """Inverse of `rfft2`: real images of the given width.  See `irfft2_last`."""
    return _over_images(
        lambda t: irfft2_last(t, width, norm=norm, assume_hermitian=assume_hermitian),
        z,
        data_format,
    )


def fftshift2(x, *, data_format=None):
    """Moves DC from index 0 to the centre n//2 of height and width; batch and channels stay."""
    return _over_images(fftshift2_last, x, data_format)


def ifftshift2(x, *, data_format=None):
    """Inverse of `fftshift2`, also for odd sizes."""
    return _over_images(ifftshift2_last, x, data_format)
