"""The part of a model that leads to one of its layers."""

import keras

from spectral_keras.ops.validation import describe

__all__ = ["LayerOutput", "find_layer", "path_name"]


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

    def __init__(self, model: keras.Model, layer: str | keras.Layer):
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


def find_layer(model: keras.Model, layer: str | keras.Layer) -> tuple[keras.Layer, ...]:
    """Layers from one within `model` down to `layer`, each within the one before."""
    if not _graph(model):
        raise ValueError(
            "`model` must be a functional or sequential model that is built: the way to a layer "
            f"is not known otherwise. Received: model={describe(model)}"
        )
    if not isinstance(layer, (str, keras.Layer)):
        raise ValueError(f"`layer` must be a name or a layer. Received: layer={describe(layer)}")
    paths = list(_paths(model, ()))
    if isinstance(layer, keras.Layer):
        found = [path for path in paths if path[-1] is layer]
    else:
        found = [path for path in paths if path_name(path) == layer]
        found = found or [path for path in paths if path[-1].name == layer]
    if len(found) == 1:
        return found[0]
    shown = layer if isinstance(layer, str) else layer.name
    if found:
        names = ", ".join(path_name(path) for path in found)
        raise ValueError(f"`layer` must be one layer. Received: layer={shown!r}, of {names}")
    names = ", ".join(path_name(path) for path in paths)
    raise ValueError(f"`layer` must be one of {names}. Received: layer={shown!r}")


def path_name(path: tuple[keras.Layer, ...]) -> str:
    """The name of a layer within a model, "inner/name" for one in the model `inner`."""
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
