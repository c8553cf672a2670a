"""HartleySpectralPool: the layers' contract and numpy's Hartley transform."""

import numpy as np
import pytest

from spectral_keras.layers import HartleySpectralPool, SpectralPool
from tests.layer_checks import check_layer
from tests.oracles import float64_or_float32, numpy_plain_crop, random_images, to_numpy


def test_contract():
    check_layer(
        HartleySpectralPool,
        {"output_size": (4, 5), "norm": "ortho", "window": 2.0},
        (3, 9, 8, 2),
        expected_output_shape=(3, 4, 5, 2),
        expected_weights=0,
        supports_jit=False,
        dtypes=("mixed_float16",),
    )


@pytest.mark.parametrize(
    ("size", "output_size"),
    [((8, 8), (4, 4)), ((9, 6), (6, 4)), ((7, 10), (4, 10)), ((6, 8), (5, 3))],
)
def test_equals_numpys_transform(size, output_size):
    dtype = float64_or_float32()
    x = random_images((2, *size, 5), dtype=dtype)
    y = to_numpy(HartleySpectralPool(output_size, dtype=dtype)(x))
    expected = numpy_plain_crop(x, output_size, hartley=True)
    np.testing.assert_allclose(y, expected, atol=1e-12 if dtype == "float64" else 3e-6)
    odd = all(n % 2 or n == m for n, m in zip(output_size, size, strict=True))
    plain = to_numpy(SpectralPool(output_size, dtype=dtype)(x))
    assert np.allclose(y, plain, atol=3e-6) == odd
