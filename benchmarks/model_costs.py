"""Costs of a whole network: its layers, what they keep, and the training step around them."""

import dataclasses
import math

import keras

from benchmarks.layer_costs import ALIASES, BACKWARD, Call, LayerCost, Step, layer_cost

# Optimiser slots for each weight, and numbers read and written by an update.
OPTIMIZERS = {"none": (0, 0), "sgd": (0, 3), "momentum": (1, 5), "adam": (2, 7)}


@dataclasses.dataclass(frozen=True)
class ModelCost:
    """A training step of a network on a batch.

    Attributes:
        batch: number of images.
        layers: tuple of `LayerCost`.
        weights: trainable numbers.
        kept: numbers of the compute precision that live from the forward to the backward pass.
        kept_wide: the same, float32 in any precision.
        transient: the most numbers that live beside them for the moment of one layer's gradient.
        optimizer: key of `OPTIMIZERS`.
    """

    batch: int
    layers: tuple
    weights: int
    kept: float
    kept_wide: float
    transient: float
    optimizer: str = "momentum"

    @property
    def steps(self):
        """All kernels, the optimiser's last."""
        steps = [step for layer in self.layers for step in layer.steps]
        _, passes = OPTIMIZERS[self.optimizer]
        if passes and self.weights:
            update = Step(
                "update", BACKWARD, others=passes * self.weights, wide=passes * self.weights
            )
            steps.append(update)
        return steps

    def flops(self, phase=None):
        return sum(step.flops for step in self.steps if phase in (None, step.phase))

    def bytes(self, precision_bytes=4, fusion=False):
        return sum(step.bytes(precision_bytes, fusion) for step in self.steps)

    def activation_bytes(self, precision_bytes=4):
        """What the batch needs at the peak of a step, without the weights."""
        return precision_bytes * (self.kept + self.transient) + 4 * self.kept_wide

    def weight_bytes(self):
        """Weights, gradients and the optimiser's slots, float32 in any precision."""
        return 4 * self.weights * (2 + OPTIMIZERS[self.optimizer][0])

    def gradient_bytes(self):
        """What the devices exchange in a step: float32 gradients in any precision."""
        return 4 * self.weights


def build(name, input_shape, num_classes, **options):
    """A network of the zoo of known shapes, without numbers in its weights."""
    from spectral_keras.models import registry

    with keras.StatelessScope(initialize_variables=False):
        return registry.build(name, tuple(input_shape), num_classes, **options)


def model_cost(model, batch, *, optimizer="momentum", input_gradient=False):
    """Costs of a functional or Sequential model, layer by layer, nested models included.

    Args:
        model: of known height and width.
        batch: number of images.
        optimizer: key of `OPTIMIZERS`.
        input_gradient: whether the images need a gradient as well.

    Returns:
        `ModelCost`.

    Raises:
        ValueError: an input of unknown size, or a layer with weights that is not known.
    """
    walk = _Walk(batch)
    for tensor in model.inputs:
        walk.gradient[id(tensor)] = input_gradient
    walk.run(model)
    weights = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return walk.result(weights, optimizer)


def single_layer_cost(layer, input_shape, batch, *, optimizer="none", input_gradient=True):
    """Costs of one layer on inputs of a shape (without the batch)."""
    inputs = keras.Input(input_shape)
    with keras.StatelessScope(initialize_variables=False):
        model = keras.Model(inputs, layer(inputs))
    return model_cost(model, batch, optimizer=optimizer, input_gradient=input_gradient)


class _Walk:
    def __init__(self, batch):
        self.batch = batch
        self.costs = []
        self.kept = {}  # id of a tensor -> its numbers
        self.same = {}  # id of a tensor -> id of the one that holds its numbers
        self.gradient = {}  # id of a tensor -> whether the backward pass reaches it
        self.transient = 0.0

    def run(self, model):
        model = getattr(model, "_functional", None) or model
        nodes = [
            n for d in sorted(model._nodes_by_depth, reverse=True) for n in model._nodes_by_depth[d]
        ]
        for node in nodes:
            if node.is_input:
                continue
            if isinstance(node.operation, keras.Model):
                self._nested(node)
            else:
                self._operation(node)

    def _nested(self, node):
        inner = node.operation
        for outside, inside in zip(node.input_tensors, inner.inputs, strict=True):
            self.same[id(inside)] = self._root(outside)
            self.gradient[id(inside)] = self.gradient[id(outside)]
        self.run(inner)
        for outside, inside in zip(node.output_tensors, inner.outputs, strict=True):
            self.same[id(outside)] = self._root(inside)
            self.gradient[id(outside)] = self.gradient[id(inside)]

    def _operation(self, node):
        layer = node.operation
        gradient = any(self.gradient[id(tensor)] for tensor in node.input_tensors)
        call = Call(
            layer,
            [self._shape(tensor, layer) for tensor in node.input_tensors],
            [self._shape(tensor, layer) for tensor in node.output_tensors],
            gradient,
        )
        cost = layer_cost(call)
        trained = gradient or cost.weights > 0
        if not trained:
            # Nothing behind it is trained: it runs forward only and keeps nothing.
            steps = tuple(step for step in cost.steps if step.phase != BACKWARD)
            cost = LayerCost(cost.name, cost.kind, steps, workspace=cost.workspace)
        self.costs.append(cost)
        for tensor in node.output_tensors:
            self.gradient[id(tensor)] = trained
        if isinstance(layer, ALIASES):
            self.same[id(node.output_tensors[0])] = self._root(node.input_tensors[0])
        if cost.keeps_input:
            for tensor, shape in zip(node.input_tensors, call.inputs, strict=True):
                self.kept[self._root(tensor)] = math.prod(shape)
        if cost.keeps_output:
            for tensor, shape in zip(node.output_tensors, call.outputs, strict=True):
                self.kept[self._root(tensor)] = math.prod(shape)
        moment = sum(map(math.prod, call.inputs + call.outputs)) + cost.workspace
        self.transient = max(self.transient, moment)

    def _root(self, tensor):
        return self.same.get(id(tensor), id(tensor))

    def _shape(self, tensor, layer):
        if any(size is None for size in tensor.shape[1:]):
            raise ValueError(
                "The model must have known sizes but for the batch. "
                f"Received: a tensor of shape {tuple(tensor.shape)} at {layer.name!r}"
            )
        return (self.batch, *tensor.shape[1:])

    def result(self, weights, optimizer):
        return ModelCost(
            batch=self.batch,
            layers=tuple(self.costs),
            weights=weights,
            kept=sum(self.kept.values()) + sum(cost.kept for cost in self.costs),
            kept_wide=sum(cost.kept_wide for cost in self.costs),
            transient=self.transient,
            optimizer=optimizer,
        )
