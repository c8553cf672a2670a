"""The logits of a classifier, also of one that ends in a softmax or has one output."""

import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.classifiers.arguments import check_outputs, class_count
from spectral_keras.classifiers.batches import Sizes, fixed_batch_size, run_in_batches
from spectral_keras.classifiers.compiled import compile_function, keep_for_model

__all__ = [
    "class_logits",
    "compiled_logits",
    "log_of",
    "logits_function",
    "looks_like_probabilities",
    "read_ending",
]

# Smallest normal float32: the logarithm of smaller probabilities is not looked at.
_TINY = 1.1754944e-38
# What a model may end in that turns logits into probabilities.
_PROBABILITIES = ("softmax", "sigmoid")


def logits_function(
    model: keras.Layer, from_logits: bool | None = None
) -> tuple[Callable[[Any], Any], str]:
    """(function, ending): tensor of images to [N, K] float32 logits, and how the model ends.

    A model of one output knows two classes: its logit z, the input of its sigmoid, or the logit of
    the probability that it gives is that of class 1, and class 0 has the logit 0.

    A softmax at the model's end is cut off and its input taken as the logits, since the softmax
    rounds: in float32 a probability of 1 has no gradient. Where it cannot be cut (a subclassed
    model) the logits are the logarithms of the probabilities, which carry a gradient until
    the other classes' probabilities underflow, at a difference of logits near 87.

    Args:
        model: Keras model or layer that gives one tensor [N, K], or [N, 1].
        from_logits: True for a model that gives logits, False for one that gives probabilities,
            None to see for oneself.

    Returns:
        A function that calls the model with `training=False`, and "softmax", "sigmoid", "linear"
        or "unknown"; "unknown" output counts as logits unless `from_logits` is False.

    Raises:
        ValueError: `from_logits` is True for a softmax or a sigmoid, or when the function is called
            None for one output of a model whose end is unknown.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.classifiers import logits_function
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Softmax()])
    >>> logits, ending = logits_function(model)
    >>> ending, np.asarray(logits(np.array([[2.0, -1.0]], "float32"))).tolist()
    ('softmax', [[2.0, -1.0]])
    """
    ending, without_softmax = keep_for_model(model, "logits without a softmax", lambda: _cut(model))
    if from_logits and ending in _PROBABILITIES:
        raise ValueError(
            f"`from_logits` must be None or False for a model that ends in a {ending}. "
            "Received: from_logits=True"
        )
    if without_softmax is not None:
        return without_softmax, ending
    reference = weakref.ref(model)  # the function is kept for the model

    def logits(x):
        outputs = ops.cast(check_outputs(reference()(x, training=False)), "float32")
        if outputs.shape[-1] == 1 and ending == "unknown" and from_logits is None:
            raise ValueError(
                "`from_logits` must be True or False for a model of one output whose last layer is "
                "not known. Received: from_logits=None"
            )
        return class_logits(outputs, probabilities=from_logits is False)

    return logits, ending


def class_logits(outputs: Any, probabilities: bool) -> Any:
    """Logits [N, K] of logits or probabilities [N, K], or of one column for two classes.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.classifiers.logits import class_logits
    >>> np.array(class_logits(np.array([[0.5], [-1.0]], "float32"), probabilities=False)).tolist()
    [[0.0, 0.5], [0.0, -1.0]]
    """
    if outputs.shape[-1] == 1:
        other = 1 - outputs if probabilities else ops.zeros_like(outputs)
        outputs = ops.concatenate([other, outputs], axis=-1)
    return log_of(outputs) if probabilities else outputs


def log_of(probabilities: Any) -> Any:
    """The logarithm of a tensor, that of the smallest normal float32 where it is smaller."""
    return ops.log(ops.maximum(probabilities, _TINY))


def compiled_logits(
    model: keras.Layer, sample_shape: tuple[int, ...], from_logits: bool | None
) -> Callable[[Any], Any]:
    """function(images) -> [N, K] logits, a tensor."""

    def build():
        logits, _ = logits_function(model, from_logits)
        batch = ("float32", (fixed_batch_size(model), *sample_shape))
        return compile_function(logits, list(model.variables), [batch])

    return keep_for_model(model, ("logits", sample_shape, from_logits), build)


def read_ending(
    model: keras.Layer,
    x: np.ndarray,
    from_logits: bool | None,
    sizes: Sizes,
) -> tuple[bool | None, int | None]:
    """How the model's outputs are to be read: (from_logits, number of classes).

    Args:
        x: images, of which the first batch is looked at where the model's end says nothing.
        from_logits: as in `logits_function`.
        sizes: what `batches.batch_sizes` gives.

    Returns:
        `from_logits` is None for a softmax or sigmoid that is cut off, else True or False.
    """
    _, ending = logits_function(model, from_logits)
    outputs = getattr(model, "outputs", None)
    classes = class_count(outputs) if outputs else None
    if ending in _PROBABILITIES:
        return None, classes
    if ending == "unknown" and (from_logits is None or classes is None):
        # Each time: assigned weights may change what the outputs look like.
        values = run_in_batches(
            compiled_logits(model, x.shape[1:], from_logits), x[: sizes[-1]], sizes
        )
        classes = values.shape[-1]
        if from_logits is None:
            from_logits = not looks_like_probabilities(values)
    return from_logits is not False, classes


def looks_like_probabilities(outputs: np.ndarray) -> bool:
    """Whether every row of the array [N, K] is a distribution over the classes."""
    outputs = np.asarray(outputs, np.float64)
    # bfloat16 sums are off by up to a percent.
    return bool(np.all(outputs >= 0) and np.all(np.abs(outputs.sum(-1) - 1) < 0.02))


def _cut(model):
    """(ending, function or None): the logits before a softmax at the end of a graph of layers."""
    operation, inputs = _last_operation(model)
    if operation is None:
        return "unknown", None
    one = model.outputs[0].shape[-1] == 1
    name = _activation(operation, len(model.outputs[0].shape))
    if name == ("sigmoid" if one else "softmax"):
        inner = _identity
    elif _plain_call(operation, keras.layers.Dense) and operation.quantization_mode is None:
        if operation.activation is keras.activations.linear:
            return "linear", None
        name = "sigmoid" if one else "softmax"
        if operation.activation is not getattr(keras.activations, name):
            return "unknown", None

        def inner(x):
            return _dense_logits(operation, x)
    elif isinstance(operation, keras.Model):
        # The model is a wrapper, for instance a normalisation before a whole classifier.
        name, inner = _cut(operation)
        if inner is None:
            return name, None
    elif (
        hasattr(operation, "kernel")
        and getattr(operation, "activation", None) is keras.activations.linear
    ):
        return "linear", None
    else:
        return "unknown", None
    try:
        before = keras.Model(model.inputs[0], inputs[0])
    except ValueError:  # the tensor is not one of this graph
        return "unknown", None

    def logits(x):
        outputs = check_outputs(ops.cast(inner(before(x, training=False)), "float32"))
        return class_logits(outputs, probabilities=False)

    return name, logits


def _identity(x):
    return x


def _last_operation(model):
    """(operation that gives the model's output, its input tensors), or (None, None)."""
    nothing = None, None
    if not isinstance(model, keras.Model) or not _call_of_keras(model):
        return nothing
    outputs = getattr(model, "outputs", None)
    if not outputs or len(outputs) != 1:
        return nothing
    history = getattr(outputs[0], "_keras_history", None)
    nodes = getattr(getattr(history, "operation", None), "_inbound_nodes", None)
    if not nodes:
        return nothing
    inputs = nodes[history.node_index].input_tensors
    return (history.operation, inputs) if len(inputs) == 1 else nothing


def _call_of_keras(layer):
    """Whether the layer computes as its Keras class does, no own `call` in between."""
    owner = next(cls for cls in type(layer).__mro__ if "call" in vars(cls))
    return owner.__module__.split(".")[0] == "keras"


def _plain_call(operation, cls):
    return isinstance(operation, cls) and type(operation).call is cls.call


def _activation(operation, rank):
    """ "softmax" over the last axis or "sigmoid" if the operation is that alone, else None."""
    if _plain_call(operation, keras.layers.Activation):
        return getattr(operation.activation, "__name__", None)
    # The layer, and the operation `keras.ops.softmax` in a functional model.
    name = type(operation).__name__.lower()
    last = name != "softmax" or getattr(operation, "axis", None) in (-1, rank - 1)
    return name if name in _PROBABILITIES and last else None


def _dense_logits(layer, x):
    """What the Dense layer computes before its activation."""
    dtype = layer.compute_dtype
    x = ops.matmul(ops.cast(x, dtype), ops.cast(layer.kernel, dtype))
    return x if layer.bias is None else ops.add(x, ops.cast(layer.bias, dtype))
