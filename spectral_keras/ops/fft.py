"""2-D FFTs of images with the backend's own transform.

`fft2`, `ifft2`, `rfft2` and `irfft2` transform the two spatial axes of a batch of images, (batch,
height, width, channels) or (batch, channels, height, width); the functions with the ending `_last`
transform the last two axes of a tensor of any rank, without the transposes that channels last
needs.  In between live native complex tensors of the backend:
`tf.signal` on TensorFlow, `jnp.fft` on JAX, `torch.fft` on PyTorch, `numpy.fft` on NumPy.

- Precision: float32 and complex64, or float64 and complex128.  float16, bfloat16 and integers
  are converted to float32 and the result stays complex64 or float32: no backend has half-precision
  FFTs on every device.  Casting back is the caller's job.
- `norm` as in NumPy: "backward" scales the inverse by 1/(H W), "ortho" both by its root,
  "forward" the forward transform.
- All work in graphs and under XLA, also where sizes are unknown.
- In a functional model, where x is symbolic, complex tensors are pairs (real, imaginary), as
  `keras.ops` has them; a pair of ordinary tensors is taken too, and then the result is one.
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
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.custom_gradient import custom_gradient
from spectral_keras.ops.symmetry import half_spectrum_multiplicity, symmetrize_half_spectrum
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_positive_int,
    check_size_pair,
)

__all__ = [
    "FourierTransform",
    "fft2",
    "fft2_last",
    "fftshift2_last",
    "ifft2",
    "ifft2_last",
    "irfft2",
    "irfft2_last",
    "rfft2",
    "rfft2_last",
    "to_complex",
]

_NORMS = ("backward", "ortho", "forward")
# Keras' modules that write formats without an FFT.
_WITHOUT_FFT = ("keras.src.export.onnx", "keras.src.export.litert")
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


def _native(name, x, *arguments, norm):
    """fft2, ifft2, rfft2 or irfft2 of a backend other than TensorFlow."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax.numpy

        module = jax.numpy.fft
    elif backend == "torch":
        import torch.fft

        module = torch.fft
    elif backend == "numpy":
        module = np.fft
    else:
        raise ValueError(f"There is no FFT for the Keras backend {backend!r}.")
    if 0 not in x.shape:
        return getattr(module, name)(x, *arguments, norm=norm)
    # PyTorch's kernels refuse an empty batch.
    filled = ops.zeros([size or 1 for size in x.shape], dtype=x.dtype)
    empty = tuple(slice(0, 0) if size == 0 else slice(None) for size in x.shape)
    return getattr(module, name)(filled, *arguments, norm=norm)[empty]


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
    # Not a cast, of whose gradient TensorFlow warns that it discards the imaginary part.
    return to_complex(x, ops.zeros_like(x))


def _plane(x):
    """(height, width) of the last two axes: integers, or scalar tensors where they are unknown."""
    if len(x.shape) < 2:
        raise ValueError(f"A 2-D FFT needs two axes. Received: tensor of shape {tuple(x.shape)}")
    return tuple(ops.shape(x)[-2:])


def _check_width(z, width):
    if ops.is_tensor(width):
        return width
    width = check_positive_int("width", width)
    if z.shape[-1] not in (None, width // 2 + 1):
        raise ValueError(
            f"`width` must fit the half spectrum, which has width//2 + 1 columns. Received: "
            f"width={width} for {z.shape[-1]} columns"
        )
    return width


def _multiplicity(width):
    """`half_spectrum_multiplicity` of an integer or a scalar tensor."""
    if isinstance(width, int):
        return half_spectrum_multiplicity(width)
    column = ops.arange(width // 2 + 1, dtype="int32")
    alone = ops.logical_or(column == 0, 2 * column == width)
    return 2 - ops.cast(alone, "float64")


def _area(plane):
    return math.prod(n if isinstance(n, int) else ops.cast(n, "float64") for n in plane)


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
    if norm == "backward":
        return 1.0
    size = _area(plane)
    scale = 1 / size if norm == "forward" else size**-0.5
    return 1 / scale if inverse else scale


def _scale(x, scale):
    if isinstance(scale, float):
        return x if scale == 1.0 else x * scale
    return x * ops.cast(scale, x.dtype)


def _tf_rfft2(x):
    """tf.signal.rfft2d with a lean gradient.

    TensorFlow's own tiles an H x H complex matrix over the batch.  The adjoint of the half
    transform is an inverse half transform of the weighted upstream gradient.
    """
    tf = _tensorflow()
    height, width = _plane(x)
    weights = _area((height, width)) / _multiplicity(width)

    def transform(x):
        def gradient(upstream):
            return _tf_irfft2(upstream * ops.cast(weights, upstream.dtype), width)

        return tf.signal.rfft2d(x), (), gradient

    return custom_gradient(transform, x)


def _tf_irfft2(z, width, assume_hermitian=False):
    """tf.signal.irfft2d with a lean gradient.

    The gradient is a half spectrum of real data, so it needs no symmetrisation itself and none
    is differentiated.
    """
    tf = _tensorflow()
    height = _plane(z)[0]
    weights = _multiplicity(width) / _area((height, width))

    def transform(z):
        def gradient(upstream):
            spectrum = _tf_rfft2(upstream)
            return spectrum * ops.cast(weights, spectrum.dtype)

        if not assume_hermitian:
            z = symmetrize_half_spectrum(z, width)
        return tf.signal.irfft2d(z, [height, width]), (), gradient

    return custom_gradient(transform, z)


def fft2_last(x: Any, *, norm: str = "backward") -> Any:
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
        return _native("fft2", _complex(x), norm=norm)
    tf = _tensorflow()
    return _scale(tf.signal.fft2d(_complex(x)), _tf_scale(plane, norm, inverse=False))


def ifft2_last(z: Any, *, norm: str = "backward") -> Any:
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
        return _native("ifft2", _complex(z), norm=norm)
    tf = _tensorflow()
    return _scale(tf.signal.ifft2d(_complex(z)), _tf_scale(plane, norm, inverse=True))


def rfft2_last(x: Any, *, fft_length: Sequence[int] | None = None, norm: str = "backward") -> Any:
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
        if None in x.shape[-2:]:
            raise ValueError(
                "`fft_length` must be None for images of unknown size. "
                f"Received: fft_length={fft_length!r} for {tuple(x.shape)}"
            )
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
        return _native("rfft2", x, norm=norm)
    return _tf_rfft2(_scale(x, _tf_scale(plane, norm, inverse=False)))


def irfft2_last(
    z: Any, width: Any, *, norm: str = "backward", assume_hermitian: bool = False
) -> Any:
    """Inverse of `rfft2_last`: NumPy's `irfft2` for any z.

    Args:
        z: complex tensor of shape (..., height, width//2 + 1).
        width: width of the image, which the half spectrum leaves open (even or odd); a scalar
            tensor where it is unknown.
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
        return _scale(x, _tf_scale(plane, norm, inverse=True))
    if not assume_hermitian or _is_split_over_cpus():
        z = symmetrize_half_spectrum(z, width)
    return _native("irfft2", z, plane, norm=norm)


def _is_split_over_cpus():
    """Whether XLA may split a step over several CPU devices.

    Its compiler (JAX 0.10) then hands a product of spectra to the complex-to-real FFT in a memory
    order that its CPU runtime refuses; what the symmetrisation gives comes in the right one.
    """
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.device_count() > 1 and jax.default_backend() == "cpu"


def fftshift2_last(x: Any) -> Any:
    """Moves DC from index 0 to index n//2 of the last two axes."""
    x = ops.convert_to_tensor(x)
    return ops.roll(x, [n // 2 for n in _plane(x)], (-2, -1))


def _over_images(transform, x, data_format):
    """`transform`, which works on the last two axes, on the spatial axes of images."""
    data_format = check_data_format(data_format)
    if not isinstance(x, keras.KerasTensor):
        x = ops.convert_to_tensor(x)
    if len(x.shape) != 4:
        raise ValueError(
            f"A batch of images of rank 4 was expected. Received: tensor of shape {tuple(x.shape)}"
        )
    if data_format == "channels_first":
        return transform(x)
    return ops.transpose(transform(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))


def to_complex(real: Any, imaginary: Any) -> Any:
    """real + i imaginary.  (`keras.ops.view_as_complex` knows single precision only.)"""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.complex(real, imaginary)
    if backend == "torch":
        import torch

        return torch.complex(real, imaginary)
    return real + 1j * imaginary


@keras.saving.register_keras_serializable(package="spectral_keras")
class FourierTransform(keras.Operation):
    """A transform of images with complex tensors as pairs, a step of a functional model.

    Args:
        function: "fft2", "ifft2", "rfft2" or "irfft2".
        options: keyword arguments of that function, `data_format` not None.
    """

    def __init__(self, function: Any, options: dict[str, Any], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.function = check_choice("function", function, tuple(_TRANSFORMS))
        check_choice("norm", options.get("norm", "backward"), _NORMS)
        self.options = options

    def call(self, x: Any) -> Any:
        if isinstance(x, (tuple, list)):
            x = to_complex(*(_real(ops.convert_to_tensor(part)) for part in x))
        transform, options = _TRANSFORMS[self.function], dict(self.options)
        data_format = options.pop("data_format")
        z = _over_images(lambda t: transform(t, **options), x, data_format)
        return z if self.function == "irfft2" else (ops.real(z), ops.imag(z))

    def compute_output_spec(self, x: Any) -> Any:
        parts = x if isinstance(x, (tuple, list)) else (x,)
        shapes = {tuple(part.shape) for part in parts}
        if len(parts) > 2 or len(shapes) > 1 or len(parts[0].shape) != 4:
            raise ValueError(
                "Images of rank 4, or their real and imaginary parts, were expected. Received: "
                f"{[tuple(part.shape) for part in parts]}"
            )
        shape = list(shapes.pop())
        first = 1 if self.options["data_format"] == "channels_last" else 2
        if self.function == "rfft2":
            shape[first : first + 2] = self.options["fft_length"] or shape[first : first + 2]
            if shape[first + 1] is not None:
                shape[first + 1] = shape[first + 1] // 2 + 1
        elif self.function == "irfft2":
            shape[first + 1] = self.options["width"]
        double = all(part.dtype == "float64" for part in parts)
        spec = keras.KerasTensor(shape, dtype="float64" if double else "float32")
        return spec if self.function == "irfft2" else (spec, keras.KerasTensor(shape, spec.dtype))

    def get_config(self) -> dict[str, Any]:
        return {"function": self.function, "options": self.options, "name": self.name}


_TRANSFORMS: dict[str, Any] = {
    "fft2": fft2_last,
    "ifft2": ifft2_last,
    "rfft2": rfft2_last,
    "irfft2": irfft2_last,
}


def _transform(function, x, data_format, **options):
    """A function of `_TRANSFORMS` of images, in a functional model and of pairs by its pairs."""
    pair = isinstance(x, (tuple, list)) and len(x) == 2 and all(hasattr(p, "shape") for p in x)
    if pair or isinstance(x, keras.KerasTensor):
        options["data_format"] = check_data_format(data_format)
        return FourierTransform(function, options)(tuple(x) if pair else x)
    return _over_images(lambda t: _TRANSFORMS[function](t, **options), x, data_format)


def fft2(x: Any, *, norm: str = "backward", data_format: str | None = None) -> Any:
    """2-D DFT of a batch of images over height and width.

    Args:
        x: real or complex tensor of rank 4, or a pair (real, imaginary).
        norm: "backward", "ortho" or "forward".
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Complex tensor of the same shape, unshifted order; a pair (real, imaginary) for a pair or
        a `keras.KerasTensor`.

    Example:

    >>> import keras
    >>> from spectral_keras.ops import fft2, ifft2
    >>> images = keras.Input((8, 8, 3))
    >>> real, imaginary = fft2(images)
    >>> keras.Model(images, ifft2((real / 2, imaginary / 2))[0]).output_shape
    (None, 8, 8, 3)
    """
    return _transform("fft2", x, data_format, norm=norm)


def ifft2(z: Any, *, norm: str = "backward", data_format: str | None = None) -> Any:
    """Inverse 2-D DFT of a batch of images, the inverse of `fft2`; the result is complex.

    Arguments and result as in `fft2`, pairs included.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import fft2, ifft2
    >>> x = np.ones((1, 4, 5, 2), "float32")
    >>> bool(np.allclose(ifft2(fft2(x)), x))
    True
    """
    return _transform("ifft2", z, data_format, norm=norm)


def rfft2(
    x: Any,
    *,
    fft_length: Sequence[int] | None = None,
    norm: str = "backward",
    data_format: str | None = None,
) -> Any:
    """2-D DFT of a batch of real images over height and width, columns 0 ... width//2.

    Args:
        x: real tensor of rank 4.
        fft_length: None, or (height, width) to pad the images to with zeros at the end.
        norm: "backward", "ortho" or "forward".
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Complex tensor, or a pair as in `fft2`; the width axis has width//2 + 1 entries.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import rfft2
    >>> tuple(rfft2(np.ones((1, 4, 5, 2), "float32")).shape)
    (1, 4, 3, 2)
    """
    return _transform("rfft2", x, data_format, fft_length=fft_length, norm=norm)


def irfft2(
    z: Any,
    width: int,
    *,
    norm: str = "backward",
    assume_hermitian: bool = False,
    data_format: str | None = None,
) -> Any:
    """Inverse of `rfft2`: real images of the given width, of a complex tensor or a pair.

    See `irfft2_last`.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import irfft2, rfft2
    >>> x = np.ones((1, 4, 5, 2), "float32")
    >>> bool(np.allclose(irfft2(rfft2(x), 5), x))
    True
    """
    options = {"width": width, "norm": norm, "assume_hermitian": assume_hermitian}
    return _transform("irfft2", z, data_format, **options)
