"""Gradients by the input, alone and inside of traced functions."""

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.classifiers import input_gradient
from tests.oracles import to_numpy

X = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], "float32")


def cubic(x):
    return ops.sum(x**3)


def test_gradient_of_a_cubic():
    gradient = input_gradient(cubic, X)
    np.testing.assert_allclose(to_numpy(gradient), 3 * X**2, rtol=1e-6)
    assert keras.backend.standardize_dtype(gradient.dtype) == "float32"


def test_second_output():
    gradient, (double, nothing) = input_gradient(
        lambda x: (cubic(x), (2 * x, None)), X, has_aux=True
    )
    np.testing.assert_allclose(to_numpy(gradient), 3 * X**2, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(double), 2 * X)
    assert nothing is None


@pytest.mark.parametrize("function", [lambda x: ops.sum(ops.ones((2,))), lambda x: 0 * ops.sum(x)])
def test_a_constant_has_zero_gradient(function):
    np.testing.assert_array_equal(to_numpy(input_gradient(function, X)), np.zeros_like(X))


def test_inside_a_compiled_function():
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(lambda x: input_gradient(cubic, x))
    elif backend == "jax":
        import jax

        compiled = jax.jit(lambda x: input_gradient(cubic, x))
    else:
        import torch

        def compiled(x):
            with torch.no_grad():
                return input_gradient(cubic, ops.convert_to_tensor(x))

    np.testing.assert_allclose(to_numpy(compiled(X)), 3 * X**2, rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="a constant there")
def test_gradient_of_a_gradient():
    def length(x):
        return ops.sum(input_gradient(cubic, x) ** 2)

    np.testing.assert_allclose(to_numpy(input_gradient(length, X)), 36 * X**3, rtol=1e-5)


def test_leaves_no_gradient_in_the_weights():
    layer = keras.layers.Dense(1)
    layer.build((None, 3))
    input_gradient(lambda x: ops.sum(layer(x)), X)
    if keras.backend.backend() == "torch":
        assert layer.kernel.value.grad is None


def test_integers_are_refused():
    with pytest.raises(ValueError, match="`x` must be of a float type. Received: x of type int32"):
        input_gradient(ops.sum, np.ones(2, "int32"))
