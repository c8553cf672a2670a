"""The precision that a model computes in, and the same model in float32."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

__all__ = ["all_layers", "in_float32", "rebuild"]


def all_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The layer and, in a model, all layers below it."""
    yield layer
    for child in getattr(layer, "layers", None) or ():
        yield from all_layers(child)


def in_float32(model: keras.Model) -> keras.Model:
    """`model`, or where it has another precision a float32 copy of it with the same weights.

    Args:
        model: a functional or Sequential model with one input.
    """
    policies = {
        name
        for layer in all_layers(model)
        for name in (layer.dtype_policy.compute_dtype, layer.dtype_policy.variable_dtype)
    }
    dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)
    other_input = keras.backend.is_float_dtype(dtype) and dtype != "float32"
    if policies <= {"float32"} and not other_input:
        return model

    default = keras.config.dtype_policy()
    # Layers that a layer makes for itself take the global policy.
    keras.config.set_dtype_policy("float32")
    try:
        copy = rebuild(model, _with_float32)
        if other_input:
            image = keras.Input(model.inputs[0].shape[1:], dtype="float32", name="input")
            copy = keras.Model(image, copy(image), name=model.name)
    finally:
        keras.config.set_dtype_policy(default)
    return copy


def rebuild(model: keras.Model, change: Callable[[dict[str, Any]], dict[str, Any]]) -> keras.Model:
    """A copy of a functional or Sequential model with its weights, rounded to float32.

    Args:
        model: the model.
        change: function of a layer's config that gives the config of its copy.
    """

    def copy_of(layer):
        return layer.__class__.from_config(change(layer.get_config()))

    copy = keras.models.clone_model(model, clone_function=copy_of)
    copy.set_weights([_as_float32(weight) for weight in model.get_weights()])
    return copy


def _with_float32(config):
    """A layer's config with every dtype policy in it, nested layers included, set to float32."""
    if isinstance(config, dict):
        return {
            key: "float32" if key == "dtype" and _is_policy(value) else _with_float32(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_with_float32(value) for value in config)
    return config


def _is_policy(value):
    """Whether a config's "dtype" says how a layer computes (and is no integer type)."""
    return isinstance(value, dict) or (isinstance(value, str) and "float" in value)


def _as_float32(weight):
    weight = np.asarray(weight)
    kind = keras.backend.standardize_dtype(weight.dtype)
    return weight.astype("float32") if keras.backend.is_float_dtype(kind) else weight
