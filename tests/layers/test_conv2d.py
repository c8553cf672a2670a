"""Keras' convolution is the oracle."""

import json

import keras
import numpy as np
import pytest

from spectral_keras.folding import fold
from spectral_keras.layers import Conv2D
from tests.layer_checks import check_layer
from tests.oracles import random_images, to_numpy


def test_contract():
    check_layer(
        Conv2D,
        {"filters": 5, "kernel_size": 3, "padding": "same", "kernel_regularizer": "l2"},
        (2, 6, 7, 3),
        expected_output_shape=(2, 6, 7, 5),
        expected_weights=2,
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "same", "activation": "relu"},
        {"strides": 2, "padding": "same"},
        {"dilation_rate": 2, "use_bias": False},
        {"groups": 3},
    ],
)
def test_keras_layer(options):
    stock, layer = keras.layers.Conv2D(6, 3, **options), Conv2D(6, 3, **options)
    x = random_images((2, 7, 8, 3))
    stock.build(x.shape)
    layer.build(x.shape)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=w.shape) for w in stock.weights]
    for each in (stock, layer):
        each.set_weights(weights)
    np.testing.assert_allclose(to_numpy(layer(x)), to_numpy(stock(x)), rtol=1e-6, atol=1e-6)
    config = layer.get_config() | {"name": stock.name}
    assert json.dumps(config, sort_keys=True) == json.dumps(stock.get_config(), sort_keys=True)
    assert [w.name for w in layer.weights] == [w.name for w in stock.weights]


def test_channels_first():
    """The bias is the channels' where the width is their number, as Keras' is not on TensorFlow."""
    layer = Conv2D(8, 3, padding="same", data_format="channels_first", bias_initializer="ones")
    x = random_images((2, 3, 8, 8))
    layer.build(x.shape)
    last = Conv2D(8, 3, padding="same", data_format="channels_last")
    last.build((2, 8, 8, 3))
    weights = [to_numpy(layer.kernel), np.arange(8.0)]
    layer.set_weights(weights)
    last.set_weights(weights)
    expected = np.moveaxis(to_numpy(last(np.moveaxis(x, 1, -1))), -1, 1)
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=1e-5, atol=1e-5)


def test_fold_gives_keras_layer(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), Conv2D(4, 3, activation="relu")])
    folded = fold(model)
    assert type(folded.layers[0]) is keras.layers.Conv2D
    x = random_images((2, 8, 8, 3))
    np.testing.assert_array_equal(to_numpy(folded(x)), to_numpy(model(x)))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's kernels")
def test_training_in_bfloat16():
    """A step with the products is the step of Keras' layer, to bfloat16's rounding."""
    losses = []
    for kind in (keras.layers.Conv2D, Conv2D):
        keras.utils.set_random_seed(0)
        layers = [kind(128, 3, padding="same", dtype="mixed_bfloat16") for _ in range(2)]
        model = keras.Sequential([keras.Input((4, 4, 128)), *layers])
        model.compile(keras.optimizers.Adam(3e-4), "mse")
        x = random_images((16, 4, 4, 128))
        losses.append(model.fit(x, x, batch_size=8, epochs=3, verbose=0).history["loss"])
    assert losses[0][-1] < 0.95 * losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)
