"""Pieces that several networks of the zoo share.

Free functions that take and return Keras tensors.  Layer names are stable: analysis code and
saved weights refer to them.
"""

import random
from typing import Any

from keras import KerasTensor, config, layers

from spectral_keras.layers import Conv2D, SpectralConv2D, SpectralPool
from spectral_keras.ops.validation import check_choice, check_number

__all__ = [
    "classify_maps",
    "convolution",
    "dropout",
    "halve",
    "logits_dtype",
    "normalize",
    "scale_filters",
    "spatial_size",
]


def normalize(x: KerasTensor) -> KerasTensor:
    """Images in [0, 1] to about zero mean and unit spread: (x - 0.5) / 0.25.

    The first layer of every network of the zoo, so that an attack's eps, a mask or a corruption
    means the same for all of them.  In float32 whatever the network computes in: targets of an
    auxiliary task are made of it.
    """
    return layers.Rescaling(4.0, offset=-2.0, name="normalize", dtype=logits_dtype())(x)


def convolution(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    *,
    conv: str,
    name: str,
    padding: str = "same",
    activation: str | None = "relu",
    **others: Any,
) -> KerasTensor:
    """A convolution with bias, He-uniform start; `conv` names the parametrisation of its kernel.

    "spatial" is a plain `Conv2D`; "spectral" has the full real and imaginary table of the kernel's
    DFT, "hermitian" only its independent entries, "orthogonal" the kernel in a random orthogonal
    basis.  `others` are further arguments of `Conv2D`.
    """
    check_choice("conv", conv, ("spectral", "hermitian", "orthogonal", "spatial"))
    arguments = {
        "padding": padding,
        "activation": activation,
        "kernel_initializer": "he_uniform",
        "name": name,
        **others,
    }
    if conv == "spatial":
        return Conv2D(filters, kernel_size, **arguments)(x)
    parametrization = "full" if conv == "spectral" else conv
    return SpectralConv2D(filters, kernel_size, parametrization=parametrization, **arguments)(x)


def scale_filters(width: float, *sizes: int) -> list[int]:
    """Numbers of filters or units times the width multiplier, rounded, at least 1."""
    check_number("width", width, 0, 1e6, low_open=True)
    return [max(1, round(width * size)) for size in sizes]


def halve(x: KerasTensor, *, pooling: str, name: str, padding: str = "same") -> KerasTensor:
    """Down-sampling by two: 3x3/2 max pooling or spectral pooling to the same size."""
    check_choice("pooling", pooling, ("max", "spectral"))
    pool = layers.MaxPooling2D(3, 2, padding=padding, name=name)
    if pooling == "max":
        return pool(x)
    height, width = _spatial(pool.compute_output_shape(x.shape))
    return SpectralPool((height, width), name=name)(x)


def spatial_size(x: KerasTensor) -> tuple[int, int]:
    """(height, width) of a symbolic image tensor."""
    return _spatial(x.shape)


def _spatial(shape):
    first = 1 if config.image_data_format() == "channels_last" else 2
    return shape[first], shape[first + 1]


def dropout(x: KerasTensor, rate: float, name: str, **others: Any) -> KerasTensor:
    """Dropout, or nothing at rate 0; `others` are further arguments of Keras' `Dropout`."""
    if not rate:
        return x
    # The seed that Keras would choose, but known to the layer: without one Keras' dropout takes
    # PyTorch's own generator, whose state no checkpoint of the model holds.
    return layers.Dropout(rate, seed=random.randint(1, 10**9), name=name, **others)(x)


def logits_dtype() -> str:
    """Logits leave a network in float32 whatever precision it computes in, or in float64.

    Normalised images enter it so, too.
    """
    return "float64" if config.dtype_policy().name == "float64" else "float32"


def classify_maps(
    x: KerasTensor, num_classes: int, *, conv: str, name: str = "logits"
) -> KerasTensor:
    """1x1 convolution to one map per class, without activation, and its global average."""
    x = convolution(x, num_classes, 1, conv=conv, name=f"{name}_maps", activation=None)
    return layers.GlobalAveragePooling2D(name=name, dtype=logits_dtype())(x)
