"""Gradients with respect to a model's input, on every backend."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from spectral_keras.classifiers.graph_gradient import graph_gradient

__all__ = ["input_gradient"]


def input_gradient(function: Callable[[Any], Any], x: Any, *, has_aux: bool = False) -> Any:
    """Gradient of `function(x)` by the tensor `x`.

    Can be traced: inside `tf.function`, inside `jax.jit` and `jax.grad`, and inside an outer
    `tf.GradientTape` or PyTorch graph, hence in the `compute_loss` of a Keras model. On TensorFlow
    and JAX the gradient can be differentiated again; on PyTorch it is a constant.

    `function` must not change variables (call a model with `training=False`): on JAX a
    change could not leave the trace.

    Args:
        function: of a tensor like `x`; returns a scalar tensor or, with `has_aux`, a pair of
            the scalar and any nest of tensors. For per-sample gradients of a batch return the sum
            over the batch.
        x: tensor or array of floats of any shape.
        has_aux: whether `function` returns a pair.

    Returns:
        The gradient, a tensor of x's shape and dtype (zeros where the scalar does not
        depend on `x`); with `has_aux` the pair of the gradient and the second output.

    Raises:
        ValueError: if `x` is not of a float type.

    Example:

    >>> import numpy as np
    >>> x = np.array([[1.0, -2.0]], "float32")
    >>> print(np.asarray(input_gradient(lambda z: keras.ops.sum(z**2), x)))
    [[ 2. -4.]]
    """
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise ValueError(f"`x` must be of a float type. Received: x of type {dtype}")
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            gradient, aux = graph_gradient(function, x, has_aux)
            return (gradient, aux) if has_aux else gradient
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            value = function(x)
            value, aux = value if has_aux else (value, None)
        # That of a gather is sparse.
        gradient = tf.convert_to_tensor(tape.gradient(value, x, unconnected_gradients="zero"))
    elif backend == "jax":
        import jax

        gradient = jax.grad(function, has_aux=has_aux)(x)
        gradient, aux = gradient if has_aux else (gradient, None)
    elif backend == "torch":
        import torch

        # Under `no_grad` too, as in `predict`; only the gradient by x is computed, not those
        # by the weights.
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            value = function(x)
            value, aux = value if has_aux else (value, None)
            gradient = None
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(value, x, allow_unused=True)
        gradient = torch.zeros_like(x) if gradient is None else gradient
        aux = keras.tree.map_structure(lambda t: t.detach() if torch.is_tensor(t) else t, aux)
    else:
        raise ValueError(
            f"Input gradients need the TensorFlow, JAX or PyTorch backend. Received: {backend!r}"
        )
    return (gradient, aux) if has_aux else gradient
