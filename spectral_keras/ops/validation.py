"""Argument checks shared by ops, layers and models.

Each check returns the cleaned value or raises a ``ValueError`` that names the
argument, says what was expected and shows what was received.
"""

import numbers
from collections.abc import Collection, Sequence
from typing import Any

import keras
import numpy as np

__all__ = [
    "check_bool",
    "check_channels",
    "check_choice",
    "check_clip",
    "check_data_format",
    "check_float_images",
    "check_identifiers",
    "check_number",
    "check_positive_int",
    "check_size_pair",
    "describe",
    "is_array",
    "spatial_shape",
    "static_spatial_shape",
]

# Longer texts of what was received do not help.
_LONGEST = 100


def describe(value: Any) -> str:
    """`value` in a message: its `repr`, or for arrays and tensors their shape and type.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.validation import describe
    >>> describe("l3"), describe(np.zeros((2, 3)))
    ("'l3'", 'an array of shape (2, 3) and type float64')
    """
    if is_array(value):
        return f"an array of shape {tuple(value.shape)} and type {value.dtype}"
    if isinstance(value, (list, tuple)) and any(map(is_array, value)):
        text = f"[{', '.join(map(describe, value))}]"
    else:
        text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def is_array(value: Any) -> bool:
    """Whether `value` is an array or a tensor with at least one axis."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return shape is not None and dtype is not None and len(shape) > 0


def _fail(name, expected, value):
    raise ValueError(f"`{name}` must be {expected}. Received: {name}={describe(value)}")


def check_choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """`value` if it is one of `choices`."""
    # An array would be compared entry by entry.
    if is_array(value) or value not in choices:
        _fail(name, "one of " + ", ".join(repr(choice) for choice in choices), value)
    return value


def check_identifiers(**values: Any) -> None:
    """Refuse arrays where Keras' `get` functions take a name, a function, an object or its config.

    Keras would compare an array with names, or print it.
    """
    for name, value in values.items():
        if is_array(value):
            _fail(name, "a name, a function, an object of Keras or its config", value)


def check_data_format(value: Any) -> str:
    """Keras' image data format: None means the global setting."""
    if value is None:
        return keras.config.image_data_format()
    return check_choice("data_format", value, ("channels_last", "channels_first"))


def check_built(layer: keras.Layer, method: str) -> None:
    """Refuse a layer that has no weights yet."""
    if not layer.built:
        raise ValueError(
            f"`{method}` needs a layer that was built, by a call or in a model. Received: "
            f"{layer.name!r}"
        )


def as_plain(value: Any) -> Any:
    """Numbers of NumPy as Python's; a list as a tuple, for Keras tracks lists by its own class."""
    if isinstance(value, (list, tuple)):
        return tuple(as_plain(each) for each in value)
    return value.item() if isinstance(value, np.generic) else value


def check_positive_int(name: str, value: Any, minimum: int = 1) -> int:
    """`value` as int if it is an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        expected = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
        _fail(name, expected, value)
    return int(value)


def check_size_pair(name: str, value: Any, minimum: int = 1) -> tuple[int, int]:
    """An integer or a pair of integers, as a pair (height, width)."""
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            _fail(name, "a positive integer or a pair of them", value)
        pair = value
    else:
        pair = (value, value)
    for item in pair:
        if isinstance(item, bool) or not isinstance(item, numbers.Integral) or item < minimum:
            _fail(name, "a positive integer or a pair of them", value)
    return int(pair[0]), int(pair[1])


def check_number(
    name: str,
    value: Any,
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """`value` as float if it is a finite number in the given interval."""
    lower = "" if low is None else f"{'>' if low_open else '>='} {low}"
    upper = "" if high is None else f"{'<' if high_open else '<='} {high}"
    expected = " and ".join(part for part in (lower, upper) if part)
    expected = f"a number {expected}".rstrip()
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or value != value:
        _fail(name, expected, value)
    if value in (float("inf"), float("-inf")):
        _fail(name, "a finite number", value)
    if low is not None and (value < low or (low_open and value == low)):
        _fail(name, expected, value)
    if high is not None and (value > high or (high_open and value == high)):
        _fail(name, expected, value)
    return float(value)


def check_bool(name: str, value: Any) -> bool:
    """`value` if it is True or False."""
    if not isinstance(value, bool):
        _fail(name, "True or False", value)
    return value


def check_clip(clip: Any) -> tuple[float, float] | None:
    """(low, high) as floats, or None."""
    if clip is None:
        return None
    if not isinstance(clip, (tuple, list)) or len(clip) != 2:
        raise ValueError(
            f"`clip` must be None or a pair (low, high). Received: clip={describe(clip)}"
        )
    low, high = (check_number("clip", item) for item in clip)
    if low >= high:
        raise ValueError(f"`clip` must be a pair with low < high. Received: clip={clip!r}")
    return low, high


def check_float_images(images: Any, name: str) -> None:
    """ValueError for integer images: what is computed of them would be integers again."""
    dtype = keras.backend.standardize_dtype(images.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise ValueError(f"{name} expects float images in [0, 1]. Received: dtype {dtype}")


def spatial_shape(
    shape: Sequence[int | None], data_format: str | None, layer_name: str
) -> tuple[int | None, int | None]:
    """(height, width) of a rank-4 image shape, None where one is unknown."""
    shape = tuple(shape)
    if len(shape) != 4:
        raise ValueError(
            f"{layer_name} expects a batch of images of rank 4. Received: input shape {shape}"
        )
    spatial = shape[1:3] if data_format == "channels_last" else shape[2:4]
    if any(size is not None and size < 1 for size in spatial):
        raise ValueError(
            f"{layer_name} expects height and width of at least 1. Received: input shape {shape}"
        )
    height, width = (None if size is None else int(size) for size in spatial)
    return height, width


def check_channels(shape: Sequence[int | None], data_format: str | None, layer_name: str) -> None:
    """ValueError for a rank-4 image shape of an unknown number of channels."""
    spatial_shape(shape, data_format, layer_name)
    if tuple(shape)[3 if data_format == "channels_last" else 1] is None:
        raise ValueError(
            f"{layer_name} needs a known number of channels. Received: input shape {tuple(shape)}"
        )


def static_spatial_shape(
    shape: Sequence[int | None], data_format: str | None, layer_name: str, why: str = ""
) -> tuple[int, int]:
    """(height, width) of a rank-4 image shape whose spatial sizes are known.

    Args:
        why: what they are needed for, as the end of a sentence.
    """
    height, width = spatial_shape(shape, data_format, layer_name)
    if height is None or width is None:
        raise ValueError(
            f"{layer_name} needs a known height and width{why}. Received: input shape "
            f"{tuple(shape)} (data_format={data_format!r})"
        )
    return height, width
