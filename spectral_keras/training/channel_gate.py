"""A channel gate after the first layer of a network that has none."""

import difflib
from typing import Any

import keras

from spectral_keras.layers import ChannelGate
from spectral_keras.ops.validation import check_identifiers, describe

__all__ = ["first_semantic_layer", "insert_channel_gate", "layer_called"]


def first_semantic_layer(model: keras.Model) -> str:
    """Name of the first convolution of a model, or of the batch normalisation on top of it.

    The "initial semantic layer" of Jia, Bao and Ma (arXiv 1911.12044, section 3.2): "typically one
    convolution layer and optional batch-normalization".

    Args:
        model: functional or sequential `keras.Model`.

    Raises:
        ValueError: if no layer of the model is a convolution of images.

    Example:

    >>> from spectral_keras.models import build
    >>> from spectral_keras.training import first_semantic_layer
    >>> first_semantic_layer(build("vgg11_bn", (32, 32, 3), 10, width=0.1))
    'block1_bn1'
    """
    for layer in model.layers:
        if hasattr(layer, "kernel_size") and len(layer.output.shape) == 4:
            break
    else:
        raise ValueError(
            "`model` must have a convolution of images among its layers. "
            f"Received: model={model.name!r}"
        )
    for other in model.layers:
        if isinstance(other, keras.layers.BatchNormalization) and other.input is layer.output:
            return other.name
    return layer.name


def layer_called(argument: str, name: Any, model: keras.Model, some: slice) -> keras.Layer:
    """The layer of a model that an argument names; the error shows near names, or else `some`."""
    names = [layer.name for layer in model.layers]
    if not isinstance(name, str) or name not in names:
        near = difflib.get_close_matches(describe(name), names, n=5, cutoff=0.4)
        raise ValueError(
            f"`{argument}` must be the name of a layer of {model.name!r}, such as "
            f"{', '.join(map(repr, near or names[some]))}. Received: {argument}={describe(name)}"
        )
    return model.get_layer(name)


def insert_channel_gate(
    model: keras.Model, after: str | None = None, *, name: str = "channel_gate", **options: Any
) -> keras.Model:
    """A copy of a model with a `ChannelGate` after one of its layers.

    Args:
        model: functional or sequential `keras.Model`, built.
        after: name of the layer whose maps are multiplied, None: `first_semantic_layer(model)`.
        name: name of the gate.
        **options: arguments of `ChannelGate`, such as `extended=True` or `hidden=512`;
            `return_open_ratio` is True.

    Returns:
        A functional `keras.Model` with layers of its own and the weights of `model`; the gate's
        weights are new.  `copy.get_layer(name).output` is a pair (features, open ratio).

    Raises:
        ValueError: if there is no such layer, its output is no batch of maps, the name is taken,
            or the model cannot be copied.

    Example:

    >>> import keras
    >>> from spectral_keras.training import insert_channel_gate
    >>> layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv")]
    >>> layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    >>> model = insert_channel_gate(keras.Sequential(layers), hidden=16)
    >>> [layer.name for layer in model.layers][1:3]
    ['conv', 'channel_gate']
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            f"`model` must be a functional or a built sequential keras.Model. Received: {model!r}"
        )
    # A sequential model has no graph of its own to copy with other calls.
    graph = keras.Model(model.inputs, model.outputs, name=model.name)
    after = first_semantic_layer(graph) if after is None else after
    before = layer_called("after", after, graph, slice(1, 4))
    check_identifiers(name=name)
    if name in [layer.name for layer in graph.layers]:
        raise ValueError(f"`name` must not be that of a layer of the model. Received: {name!r}")
    shape = getattr(before.output, "shape", ())
    if len(shape) != 4:
        raise ValueError(
            "`after` must name a layer with maps of rank 4 as its output. Received: "
            f"after={after!r} with output shape {tuple(shape)}"
        )
    gate = ChannelGate(**options, return_open_ratio=True, name=name)

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return gate(outputs)[0] if layer.name == after else outputs

    try:
        copy = keras.models.clone_model(graph, call_function=call)
    except (NotImplementedError, TypeError) as error:  # Keras': a layer that it cannot rebuild
        raise ValueError(f"`model` cannot be copied: {error}. Received: {model!r}") from error
    # Not all: Keras renames an input layer that it named itself.
    for layer in graph.layers:
        if layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy
