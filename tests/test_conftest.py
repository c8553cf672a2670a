"""The fixtures of conftest.py do what the other tests rely on."""

import random

import keras
import numpy as np
import pytest

from tests.conftest import SEED
from tests.oracles import to_numpy


def _draw():
    return random.random(), np.random.random(), float(to_numpy(keras.random.uniform(())))


@pytest.mark.parametrize("burn", [0, 3])
def test_every_test_starts_from_the_seed(burn):
    sample = _draw()
    keras.utils.set_random_seed(SEED)
    assert _draw() == sample
    for _ in range(burn):
        assert _draw() != sample


# The second case fails if the first one's settings survive it.
@pytest.mark.parametrize("case", ["first", "second"])
def test_global_settings_do_not_leak(case):
    assert keras.config.image_data_format() == "channels_last"
    assert keras.config.dtype_policy().name == "float32"
    assert keras.config.floatx() == "float32"
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.set_floatx("float64")


def test_float32_products_are_exact_float32():
    # 1 + 2^-12 has 12 mantissa bits: TF32 rounds it to 1.
    x = np.full((1, 64), 1 + 2.0**-12, dtype="float32")
    product = to_numpy(keras.ops.matmul(x, np.eye(64, dtype="float32")))
    np.testing.assert_array_equal(product, x)
