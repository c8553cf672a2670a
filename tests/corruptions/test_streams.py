"""The generators are NumPy's, and so are their numbers."""

import zlib

import numpy as np
import pytest

from spectral_keras.corruptions import streams


@pytest.mark.parametrize("seed", [0, 5, 2**32 - 1, 2**32, 2**70 + 3, 2**128 - 1, 2**128, 2**200])
@pytest.mark.parametrize("indices", [[0, 1, 7], np.array([3, 49_999]), [2**32 - 1], [1, 2**32]])
def test_generators_are_those_of_seed_sequence(seed, indices):
    rngs = streams.generators(seed, "fog", 3, indices)
    key = zlib.crc32(b"fog")
    for rng, index in zip(rngs, indices, strict=True):
        sequence = np.random.SeedSequence(seed, spawn_key=(key, 3, int(index)))
        assert rng.bit_generator.state == np.random.PCG64(sequence).state


def test_no_image_has_no_generator():
    assert streams.generators(0, "fog", 1, []) == []


@pytest.mark.parametrize("shape", [(5,), (4, 3, 2)])
def test_numbers_are_numpys(shape):
    rngs, again = (streams.generators(1, "snow", 2, range(3)) for _ in range(2))
    normal = streams.normal(rngs, shape, 0.55, 0.3)
    uniform = streams.uniform(rngs, shape, -2.5, 4)
    plain = streams.uniform(rngs, shape)
    samples = streams.draw(rngs, lambda rng: rng.integers(0, 1 << 40, 2))
    for number, rng in enumerate(again):
        np.testing.assert_array_equal(normal[number], rng.normal(0.55, 0.3, shape))
        np.testing.assert_array_equal(uniform[number], rng.uniform(-2.5, 4, shape))
        np.testing.assert_array_equal(plain[number], rng.random(shape))
        np.testing.assert_array_equal(samples[number], rng.integers(0, 1 << 40, 2))
