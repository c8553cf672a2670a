"""Compiled forward passes through a whole model, or up to one of its layers.

TensorFlow: a `tf.function`, traced once for any batch size.  JAX: `jax.jit`, traced once for each
batch size.  PyTorch: eager, without gradients.  Weights are read anew at each call.
"""

import weakref

import keras
from keras import ops

# What was compiled for a model, for as long as the model lives.
_KNOWN = weakref.WeakKeyDictionary()


def check_model(model):
    """`model` if it is a Keras model or layer with one input."""
    if not isinstance(model, keras.Layer):
        raise ValueError(f"`model` must be a Keras model or layer. Received: model={model!r}")
    inputs = getattr(model, "inputs", None)
    if inputs and len(inputs) != 1:
        raise ValueError(f"`model` must have one input. Received: a model with {len(inputs)}")
    return model


def check_progress(progress):
    if progress is not None and not callable(progress):
        raise ValueError(
            f"`progress` must be None or a callable (done, total). Received: progress={progress!r}"
        )
    return progress


def fixed_batch_size(model):
    """The batch size that the model was built for, or None."""
    inputs = getattr(model, "inputs", None)
    return inputs[0].shape[0] if inputs else None


def once(model, key, owner, build):
    """build(), kept with the model until another `owner` asks for the same key.

    What is built must not refer to the model itself.
    """
    known = _KNOWN.setdefault(model, {})
    if key not in known or known[key][0]() is not owner:
        known[key] = weakref.ref(owner), build()
    return known[key][1]


def compiled(function, variables, arguments):
    """`function` of tensors, compiled; what it reads besides them are `variables`.

    Args:
        function: takes tensors, returns one tensor.
        variables: Keras variables that the function reads.
        arguments: the tensors' (dtype, shape), None for a free size.

    Returns:
        A function of numpy arrays that returns a numpy array.
    """
    backend = keras.backend.backend()
    run = function
    if backend == "tensorflow":
        import tensorflow as tf

        specs = [tf.TensorSpec(shape, dtype) for dtype, shape in arguments]
        run = tf.function(function, input_signature=specs)
    elif backend == "jax":
        import jax

        # Weights are arguments: the trace would keep the values of a closure.
        @jax.jit
        def stateless(values, *tensors):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function(*tensors)

        def run(*tensors):
            return stateless([v.value for v in variables], *tensors)

    def call(*arrays):
        tensors = [
            ops.convert_to_tensor(array, dtype=dtype)
            for array, (dtype, _) in zip(arrays, arguments, strict=True)
        ]
        return ops.convert_to_numpy(_quietly(run, *tensors))

    return call


def _quietly(function, *tensors):
    """function(*tensors) without recording a gradient (PyTorch)."""
    if keras.backend.backend() != "torch":
        return function(*tensors)
    import torch

    with torch.no_grad():
        return function(*tensors)


class LayerOutput:
    """The part of a model that leads to one layer's output: `LayerOutput(...)(images)`.

    Args:
        model: functional or sequential model.
        layer: name of a layer; "inner/name" for one of the model `inner` within the model, where
            the name alone is found too if only one layer has it; or the layer itself.

    Attributes:
        layer: the layer.
        shape: of the output, None for a free size.
        variables: what the part reads.
    """

    def __init__(self, model, layer):
        path = find_layer(model, layer)
        self.layer = path[-1]
        self._stages = []
        for depth, inner in enumerate(path):
            container = path[depth - 1] if depth else model
            attribute = "output_tensors" if inner is path[-1] else "input_tensors"
            self._stages.append(_up_to(container, inner, attribute))
        self.shape = tuple(self._stages[-1].outputs[0].shape)
        self.variables = [v for stage in self._stages for v in stage.variables]

    def __call__(self, images):
        for stage in self._stages:
            images = stage(images, training=False)
        return images


def find_layer(model, layer):
    """Layers from one within `model` down to `layer`, each within the one before."""
    if not _graph(model):
        raise ValueError(
            "`model` must be a functional or sequential model that is built: the way to a layer "
            f"is not known otherwise. Received: model={model!r}"
        )
    if not isinstance(layer, (str, keras.Layer)):
        raise ValueError(f"`layer` must be a name or a layer. Received: layer={layer!r}")
    paths = list(_paths(model, ()))
    if isinstance(layer, keras.Layer):
        found = [path for path in paths if path[-1] is layer]
    else:
        found = [path for path in paths if _name(path) == layer]
        found = found or [path for path in paths if path[-1].name == layer]
    if len(found) == 1:
        return found[0]
    shown = layer if isinstance(layer, str) else layer.name
    if found:
        names = ", ".join(_name(path) for path in found)
        raise ValueError(f"`layer` must be one layer. Received: layer={shown!r}, of {names}")
    names = ", ".join(_name(path) for path in paths)
    raise ValueError(f"`layer` must be one of {names}. Received: layer={shown!r}")


def _name(path):
    return "/".join(layer.name for layer in path)


def _paths(model, above):
    for layer in model.layers:
        yield (*above, layer)
        if isinstance(layer, keras.Model) and _graph(layer):
            yield from _paths(layer, (*above, layer))


def _graph(model):
    """The graph of a functional or sequential model, None of another."""
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_nodes_by_depth") else None


def _up_to(model, layer, attribute):
    """Model from the input of `model` to the input or output tensor of `layer` in its graph."""
    graph = _graph(model)
    # Also a layer that other models call: only its call within this graph counts.
    inside = {id(node) for nodes in graph._nodes_by_depth.values() for node in nodes}
    nodes = [node for node in layer._inbound_nodes if id(node) in inside]
    if len(nodes) != 1:
        raise ValueError(
            f"`layer` must be called once in the model. Received: {layer.name!r}, called "
            f"{len(nodes)} times"
        )
    tensors = getattr(nodes[0], attribute)
    if len(tensors) != 1:
        raise ValueError(
            f"`layer` must have one {attribute.split('_')[0]}. Received: {layer.name!r} with "
            f"{len(tensors)}"
        )
    return keras.Model(graph.inputs[0], tensors[0])
