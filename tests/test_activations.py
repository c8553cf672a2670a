import math

import keras
import numpy as np
import pytest

from spectral_keras.activations import quick_gelu
from tests.oracles import float64_or_float32, to_numpy

X = np.linspace(-12, 12, 4801)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(None, 1e-12), ("float32", 1e-6), ("bfloat16", 0.04)]
)
def test_values(dtype, tolerance):
    dtype = dtype or float64_or_float32()
    tolerance = 1e-6 if dtype == "float32" else tolerance
    expected = X / (1 + np.exp(-1.702 * X))
    x = keras.ops.convert_to_tensor(X, dtype)
    found = quick_gelu(x)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    found = keras.ops.cast(found, "float32") if dtype == "bfloat16" else found
    np.testing.assert_allclose(to_numpy(found), expected, atol=tolerance, rtol=tolerance)


def test_distance_from_the_gelu():
    exact = X / 2 * (1 + np.vectorize(math.erf)(X / math.sqrt(2)))
    far = np.abs(to_numpy(quick_gelu(keras.ops.convert_to_tensor(X, "float32"))) - exact).max()
    assert 0.0203 < far < 0.02034


def test_a_layer_with_it_loads():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Activation(quick_gelu)])
    again = keras.models.model_from_json(model.to_json())
    assert again.layers[0].activation is quick_gelu
