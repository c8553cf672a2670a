"""Every layer with a bias adds it to its own channel, in either data format."""

import keras
import numpy as np
import pytest

from spectral_keras.layers import FFTConv2D, FFTConvPool2D, SpectralConv2D
from tests.oracles import random_images, to_numpy

# As many filters as the outputs are wide, and high: TensorFlow's `keras.ops.add` confuses them.
SIDE = 6
CASES = [
    *((FFTConv2D, {"implementation": name}) for name in ("direct", "matmul", "fft", "auto")),
    (FFTConv2D, {"padding": "circular"}),
    *((SpectralConv2D, {"parametrization": name}) for name in ("full", "hermitian")),
    *((FFTConvPool2D, {"output_size": SIDE, "norm": name}) for name in ("mean", "ortho")),
]


def ways():
    """Functions that make a callable of a layer: as it is, as a graph, compiled by XLA."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return [
            lambda layer: layer,
            tf.function,
            lambda layer: tf.function(layer, jit_compile=True),
        ]
    if backend == "jax":
        import jax

        return [lambda layer: layer, lambda layer: jax.jit(lambda x: layer(x))]
    return [lambda layer: layer]


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (SIDE, 8), (8, SIDE)])
@pytest.mark.parametrize(("cls", "arguments"), CASES)
def test_bias_is_added_along_the_channels(cls, arguments, shape):
    arguments = {"filters": SIDE, "kernel_size": 3, **arguments}
    if cls is FFTConvPool2D:
        arguments["output_size"] = shape
        x = random_images((2, shape[0] + 2, shape[1] + 2, 3))
    else:
        arguments = {"padding": "same", **arguments}
        x = random_images((2, *shape, 3))
    last = cls(**arguments)
    last.build(x.shape)
    *kernel, _ = last.get_weights()
    last.set_weights([*kernel, np.arange(SIDE)])
    plain = cls(**arguments, use_bias=False)
    plain.build(x.shape)
    plain.set_weights(kernel)
    gain = np.sqrt(np.prod(x.shape[1:3]) / np.prod(shape)) if "ortho" in arguments.values() else 1
    expected = to_numpy(plain(x)) + gain * np.arange(SIDE)
    np.testing.assert_allclose(to_numpy(last(x)), expected, atol=1e-5)

    first = cls(**arguments, data_format="channels_first")
    x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    first.build(x.shape)
    first.set_weights(last.get_weights())
    for way in ways():
        actual = np.moveaxis(to_numpy(way(first)(x)), 1, -1)
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_gain_of_the_bias_in_float64():
    if keras.backend.backend() == "jax":
        pytest.skip("float64 is off on JAX")
    layer = FFTConvPool2D(1, 1, 2, norm="ortho", dtype="float64", kernel_initializer="zeros")
    layer.build((1, 3, 2, 1))
    layer.bias.assign([1.0])
    y = to_numpy(layer(np.zeros((1, 3, 2, 1))))
    np.testing.assert_allclose(y, np.sqrt(6 / 4), rtol=1e-15)
