"""Multiply-accumulates against products counted by hand."""

import keras
import pytest

from spectral_keras.layers import FFTConv2D, FFTConvPool2D, SpectralConv2D, SpectralPool
from spectral_keras.models import registry
from spectral_keras.models.macs import count_macs


def cost(layer, shape=(8, 10, 6)):
    inputs = keras.Input(shape)
    return count_macs(keras.Model(inputs, layer(inputs)))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (lambda: keras.layers.Conv2D(4, 3), 6 * 8 * 9 * 6 * 4),
        (lambda: keras.layers.Conv2D(4, (3, 5), 2, "same"), 4 * 5 * 15 * 6 * 4),
        (lambda: keras.layers.Conv2D(4, 3, groups=2), 6 * 8 * 9 * 3 * 4),
        (lambda: SpectralConv2D(4, 3), 6 * 8 * 9 * 6 * 4),
        (lambda: FFTConv2D(4, 3, implementation="fft"), 6 * 8 * 9 * 6 * 4),
        (lambda: keras.layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 8 * 9 * 12),
        (lambda: keras.layers.Dense(5), 8 * 10 * 6 * 5),
        (lambda: FFTConvPool2D(4, 3, (4, 5)), 8 * 10 * 9 * 6 * 4),
        (lambda: SpectralPool((4, 5)), 0),
        (lambda: keras.layers.MaxPooling2D(2), 0),
    ],
)
def test_layers(layer, expected):
    assert cost(layer()) == expected


def test_nested_models_count_too():
    inner = keras.Sequential([keras.Input((8, 10, 6)), keras.layers.Conv2D(4, 3)])
    assert cost(inner) == 6 * 8 * 9 * 6 * 4


def test_the_quick_network():
    # W: 31^2 x 12 x 24; groups: at 31, 15 | 15, 7 | 7, 3 pixels a side; FC.
    expected = 31**2 * 12 * 24 + 9 * (31**2 * 24 * 64 + 15**2 * 64 * 64)
    expected += 9 * (15**2 * 64 * 256 + 7**2 * 256 * 256 + 7**2 * 256 * 256 + 3**2 * 256 * 256)
    model = registry.build("quick_spectral", pooling="max")
    assert count_macs(model) == expected + 256 * 10


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="`model` must have images of a known size"):
        cost(keras.layers.Conv2D(4, 3), (None, None, 3))


def test_multiply_accumulates_of_an_unknown_layer():
    model = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2DTranspose(3, 3)])
    with pytest.raises(ValueError, match="no Conv2DTranspose"):
        count_macs(model)
