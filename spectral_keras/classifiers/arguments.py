"""Checks of the models, images and labels that functions on classifiers take."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from spectral_keras.ops.validation import describe

__all__ = [
    "as_array",
    "check_classifier",
    "check_images",
    "check_labels",
    "check_model",
    "check_outputs",
    "check_progress",
    "class_count",
]


def as_array(value: Any) -> np.ndarray:
    """Tensor, array or nested list as a numpy array."""
    return keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else np.asarray(value)


def check_model(model: Any) -> keras.Layer:
    """`model` if it is a Keras model or layer with one input."""
    if not isinstance(model, keras.Layer):
        raise ValueError(f"`model` must be a Keras model or layer. Received: {describe(model)}")
    inputs = getattr(model, "inputs", None)
    if inputs and len(inputs) != 1:
        raise ValueError(f"`model` must have one input. Received: a model with {len(inputs)}")
    return model


def check_classifier(model: Any) -> keras.Layer:
    """`model` if it has one input and, as far as is known before a call, one output [N, K]."""
    outputs = getattr(check_model(model), "outputs", None)
    if outputs:
        check_outputs(outputs)
    return model


def check_outputs(outputs: Any) -> Any:
    """The one tensor [N, K] that a classifier gives, of a tensor or a nest of tensors.

    K = 1 stands for two classes.
    """
    shapes = [tuple(getattr(output, "shape", ())) for output in keras.tree.flatten(outputs)]
    if len(shapes) != 1 or len(shapes[0]) != 2 or not shapes[0][-1]:
        found = "no output" if not shapes else f"output of shape {shapes[0]}"
        if len(shapes) > 1:
            found = f"{len(shapes)} outputs, of shape {' and '.join(map(str, shapes))}"
        raise ValueError(
            f"`model` must give one tensor of shape [batch, classes]. Received: {found}"
        )
    return keras.tree.flatten(outputs)[0]


def class_count(outputs: Any) -> int:
    """Number of classes of a classifier's outputs: one column stands for two."""
    return max(2, check_outputs(outputs).shape[-1])


def check_images(
    x: Any, model: keras.Layer, clip: tuple[float, float] | None = None, name: str = "x"
) -> np.ndarray:
    """`x` as float32 numpy array [N, ...] that fits the model, is finite and lies in `clip`."""
    x = as_array(x)
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
        raise ValueError(
            f"`{name}` must be floats; scale 8-bit images to [0, 1]. Received: {name} of type "
            f"{x.dtype}"
        )
    if x.ndim < 2:
        raise ValueError(
            f"`{name}` must be a batch of samples. Received: {name} of shape {x.shape}"
        )
    inputs = getattr(model, "inputs", None)
    expected = tuple(inputs[0].shape) if inputs else (None,) * x.ndim
    fits = len(expected) == x.ndim and all(
        want in (None, have) for want, have in zip(expected[1:], x.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"`{name}` must have the shape {expected} that the model takes. Received: {name} of "
            f"shape {x.shape}"
        )
    x = x.astype(np.float32)  # a copy
    if not np.isfinite(x).all():
        raise ValueError(f"`{name}` must be finite. Received: {name} with NaN or infinite values")
    if clip is not None and x.size and (x.min() < clip[0] or x.max() > clip[1]):
        raise ValueError(
            f"`{name}` must lie in clip={clip} (clip=None: any values). Received: {name} in "
            f"[{x.min():g}, {x.max():g}]"
        )
    return x


def check_labels(y: Any, count: int, classes: int, name: str = "y") -> np.ndarray:
    """`y` (integers [N] or [N, 1], or one-hot rows [N, K]) as int32 [N]."""
    y = as_array(y)
    if y.shape == (count, classes) and classes > 1:
        rows = y.astype(np.float64)
        if not (((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all()):
            raise ValueError(
                f"`{name}` must be integers or one-hot rows. Received: {name} with other rows"
            )
        return rows.argmax(axis=1).astype(np.int32)
    if y.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"`{name}` must be {count} integers or one-hot rows of shape {(count, classes)}. "
            f"Received: {name} of shape {y.shape}"
        )
    if y.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}` must be integers or one-hot rows. Received: {name} of type {y.dtype}"
        )
    y = y.reshape(count)
    if count and (y.min() < 0 or y.max() >= classes):
        raise ValueError(
            f"`{name}` must hold classes from 0 to {classes - 1}. Received: {name} from {y.min()} "
            f"to {y.max()}"
        )
    return y.astype(np.int32)


def check_progress(progress: Any) -> Callable[..., None] | None:
    """`progress` if it is None or can be called."""
    if progress is not None and not callable(progress):
        raise ValueError(
            "`progress` must be None or a callable (done, total). Received: "
            f"progress={describe(progress)}"
        )
    return progress
