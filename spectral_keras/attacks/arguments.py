"""Checks of what the attacks are called with."""

import keras
import numpy as np

from spectral_keras.ops.validation import check_choice, check_number

NORMS = ("inf", "l2")
LOSSES = ("cross_entropy", "margin")


def as_array(value):
    """Tensor, array or nested list as a numpy array."""
    return keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else np.asarray(value)


def check_model(model):
    if not isinstance(model, keras.Layer):
        raise ValueError(f"`model` must be a Keras model or layer. Received: model={model!r}")
    inputs = getattr(model, "inputs", None)
    if inputs and len(inputs) != 1:
        raise ValueError(f"`model` must have one input. Received: a model with {len(inputs)}")
    return model


def check_clip(clip):
    """(low, high) as floats, or None."""
    if clip is None:
        return None
    if not isinstance(clip, (tuple, list)) or len(clip) != 2:
        raise ValueError(f"`clip` must be None or a pair (low, high). Received: clip={clip!r}")
    low, high = (check_number("clip", item) for item in clip)
    if low >= high:
        raise ValueError(f"`clip` must be a pair with low < high. Received: clip={clip!r}")
    return low, high


def check_images(x, model, clip):
    """`x` as float32 numpy array [N, ...] that fits the model, is finite and lies in `clip`."""
    x = as_array(x)
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
        raise ValueError(
            f"`x` must be floats; scale 8-bit images to [0, 1]. Received: x of type {x.dtype}"
        )
    if x.ndim < 2:
        raise ValueError(f"`x` must be a batch of samples. Received: x of shape {x.shape}")
    inputs = getattr(model, "inputs", None)
    expected = tuple(inputs[0].shape) if inputs else (None,) * x.ndim
    fits = len(expected) == x.ndim and all(
        want in (None, have) for want, have in zip(expected[1:], x.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"`x` must have the shape {expected} that the model takes. Received: x of shape "
            f"{x.shape}"
        )
    x = x.astype(np.float32)  # a copy
    if not np.isfinite(x).all():
        raise ValueError("`x` must be finite. Received: x with NaN or infinite values")
    if clip is not None and x.size and (x.min() < clip[0] or x.max() > clip[1]):
        raise ValueError(
            f"`x` must lie in clip={clip} (clip=None: any values). Received: x in "
            f"[{x.min():g}, {x.max():g}]"
        )
    return x


def check_labels(y, count, classes):
    """`y` (integers [N] or [N, 1], or one-hot rows [N, K]) as int32 [N]."""
    y = as_array(y)
    if y.shape == (count, classes) and classes > 1:
        rows = y.astype(np.float64)
        if not (((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all()):
            raise ValueError("`y` must be integers or one-hot rows. Received: y with other rows")
        return rows.argmax(axis=1).astype(np.int32)
    if y.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"`y` must be None, {count} integers or one-hot rows of shape {(count, classes)}. "
            f"Received: y of shape {y.shape}"
        )
    if y.dtype.kind not in "iu":
        raise ValueError(f"`y` must be integers or one-hot rows. Received: y of type {y.dtype}")
    y = y.reshape(count)
    if count and (y.min() < 0 or y.max() >= classes):
        raise ValueError(
            f"`y` must hold classes from 0 to {classes - 1}. Received: y from {y.min()} to "
            f"{y.max()}"
        )
    return y.astype(np.int32)


def check_index(index, count):
    """`index` as numpy array of `count` integers, or None."""
    if index is None:
        return None
    index = as_array(index)
    if index.shape != (count,) or (count and (index.dtype.kind not in "iu" or index.min() < 0)):
        raise ValueError(
            f"`index` must be None or {count} integers of at least 0. Received: index of shape "
            f"{index.shape} and type {index.dtype}"
        )
    return index


def check_size(name, value, norm, sample_shape, low_open=False):
    """A radius or step: a float, or for "inf" a float64 array that broadcasts to a sample."""
    if norm == "l2" or np.ndim(value) == 0:
        if isinstance(value, np.generic) or (np.ndim(value) == 0 and hasattr(value, "item")):
            value = value.item()
        return check_number(name, value, low=0, low_open=low_open)
    array = as_array(value)
    try:
        fits = np.broadcast_shapes(array.shape, sample_shape) == tuple(sample_shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"`{name}` must be a number or an array that broadcasts to a sample of shape "
            f"{tuple(sample_shape)}, for instance one number per channel. Received: {name} of "
            f"shape {array.shape}"
        )
    if array.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` must be numbers. Received: {name} of type {array.dtype}")
    array = array.astype(np.float64)
    enough = array > 0 if low_open else array >= 0
    if not (np.isfinite(array) & enough).all():
        sign = "> 0" if low_open else ">= 0"
        raise ValueError(f"`{name}` must be finite numbers {sign}. Received: {name}={value!r}")
    return array


def check_kind(norm, loss, from_logits):
    check_choice("norm", norm, NORMS)
    check_choice("loss", loss, LOSSES)
    check_choice("from_logits", from_logits, (None, True, False))


def check_progress(progress):
    if progress is not None and not callable(progress):
        raise ValueError(
            f"`progress` must be None or a callable (done, total). Received: progress={progress!r}"
        )
    return progress
