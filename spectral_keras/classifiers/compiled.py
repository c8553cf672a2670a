"""Functions of tensors, compiled once for a model and kept for as long as the model stays as it is.

TensorFlow: a `tf.function` that is traced once, for any batch size.  JAX: `jax.jit`, traced once
for each batch size.  PyTorch: eager, without recording gradients.  Weights are read anew at each
call, so a change of values needs no new trace.
"""

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
from keras import ops

__all__ = ["compile_function", "keep_for_model"]


class _Kept:
    """What was made for a model, and the parts that the model then had."""

    def __init__(self, parts):
        # Held weakly: neither the model nor a layer that it has lost is to stay in memory for it,
        # and the address of a part that is gone may be given to another one.
        self.parts = [weakref.ref(part) for part in parts]
        self.made = {}

    def fits(self, parts):
        return len(parts) == len(self.parts) and all(
            reference() is part for reference, part in zip(self.parts, parts, strict=True)
        )


# Model -> what was made for it, for as long as the model lives.
_KEPT: weakref.WeakKeyDictionary[Any, _Kept] = weakref.WeakKeyDictionary()


def keep_for_model(model: keras.Layer, key: Hashable, build: Callable[[], Any]) -> Any:
    """`build()`, made once for each key while the model stays as it is.

    It is made again after a change of the model's layers (`add`, `pop`, also of a model within),
    of its variables (`quantize`) and after `compile()`, as Keras' own `predict` does.  Assigned
    weights are no change: what is built is to read them at each call.

    Args:
        model: Keras model or layer.
        key: tells apart what is kept for one model.
        build: without arguments; what it returns must not refer to the model, which would then
            never be freed.
    """
    parts = _parts(model)
    known = _KEPT.get(model)
    if known is None or not known.fits(parts):
        known = _KEPT[model] = _Kept(parts)
    if key not in known.made:
        known.made[key] = build()
    return known.made[key]


def _parts(model):
    """The objects that are replaced where the network changes."""
    parts = []
    for layer in model._flatten_layers():
        parts.append(layer)
        # A `Sequential` makes a new graph of itself when its layers change, and each `compile()`
        # a new configuration.
        for name in ("_functional", "_compile_config"):
            part = getattr(layer, name, None)
            if part is not None:
                parts.append(part)
    return parts + list(model.variables)


def compile_function(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    arguments: Sequence[tuple[str, tuple[int | None, ...]]],
) -> Callable[..., Any]:
    """`function` of tensors, compiled.

    Args:
        function: takes tensors and returns a nest of tensors.
        variables: what the function reads besides its arguments.
        arguments: the tensors' (dtype, shape), None for a free size.

    Returns:
        A function of arrays or tensors that returns a nest of tensors.
    """
    backend = keras.backend.backend()
    run = function
    if backend == "tensorflow":
        import tensorflow as tf

        specs = [tf.TensorSpec(shape, dtype) for dtype, shape in arguments]
        # As Keras compiles its own steps.
        run = tf.function(function, input_signature=specs, autograph=False)
    elif backend == "jax":
        import jax

        # Weights are arguments: the trace would keep the values of a closure.
        @jax.jit
        def stateless(values, *tensors):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function(*tensors)

        def run(*tensors):
            return stateless([variable.value for variable in variables], *tensors)

    elif backend == "torch":
        import torch

        def run(*tensors):
            with torch.no_grad():  # `input_gradient` switches it on where it is needed
                return function(*tensors)

    dtypes = [dtype for dtype, _ in arguments]

    def call(*arrays):
        return run(
            *(ops.convert_to_tensor(x, dtype=d) for x, d in zip(arrays, dtypes, strict=True))
        )

    return call
