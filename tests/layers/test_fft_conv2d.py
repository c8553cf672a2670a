"""FFTConv2D is a Conv2D: same weights, same start, same output, same training."""

import keras
import numpy as np
import pytest

from spectral_keras.layers.fft_conv2d import FFTConv2D
from tests.layer_checks import check_layer
from tests.oracles import compiled, numpy_circular_conv, random_images, to_numpy

IMPLEMENTATIONS = ["direct", "matmul", "fft"]


class TestContract:
    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_every_argument(self, implementation):
        check_layer(
            FFTConv2D,
            {
                "filters": 6,
                "kernel_size": (5, 4),
                "strides": (2, 1),
                "padding": "circular",
                "groups": 2,
                "activation": "tanh",
                "kernel_initializer": "he_uniform",
                "bias_initializer": "ones",
                "kernel_regularizer": "l2",
                "bias_regularizer": "l1",
                "activity_regularizer": "l2",
                "kernel_constraint": "max_norm",
                "bias_constraint": "non_neg",
                "implementation": implementation,
            },
            (3, 9, 8, 4),
            expected_output_shape=(3, 5, 8, 6),
            expected_weights=2,
            dtypes=("mixed_bfloat16", "mixed_float16"),
        )

    def test_channels_first(self):
        check_layer(
            FFTConv2D,
            {
                "filters": 3,
                "kernel_size": 3,
                "dilation_rate": (1, 2),
                "use_bias": False,
                "data_format": "channels_first",
            },
            (2, 4, 7, 8),
            expected_output_shape=(2, 3, 5, 4),
            expected_weights=1,
            dtypes=("float32",),
        )


def twins(implementation, **arguments):
    """A Conv2D and an FFTConv2D with the same seed."""
    layers = []
    for cls, extra in ((keras.layers.Conv2D, {}), (FFTConv2D, {"implementation": implementation})):
        initializer = keras.initializers.GlorotUniform(seed=5)
        layers.append(cls(kernel_initializer=initializer, **extra, **arguments))
    return layers


class TestCorrectness:
    @pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
    @pytest.mark.parametrize(
        "arguments",
        [
            {"filters": 6, "kernel_size": (4, 7), "strides": (1, 3), "groups": 3},
            {
                "filters": 5,
                "kernel_size": 5,
                "strides": 2,
                "padding": "SAME",
                "activation": "relu",
                "bias_initializer": "ones",
            },
            {"filters": 4, "kernel_size": 3, "dilation_rate": (2, 3), "padding": "same"},
        ],
    )
    def test_equals_conv2d(self, arguments, implementation):
        plain, layer = twins(implementation, **arguments)
        x = random_images((2, 13, 12, 3)) - 0.4
        plain.build(x.shape)
        layer.build(x.shape)
        expected = to_numpy(compiled(plain)(x))
        actual = to_numpy(compiled(layer)(x))
        np.testing.assert_allclose(actual, expected, atol=2e-6)
        for mine, theirs in zip(layer.weights, plain.weights, strict=True):
            assert mine.name == theirs.name
            np.testing.assert_array_equal(to_numpy(mine), to_numpy(theirs))

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_trains_as_conv2d(self, implementation):
        # Two layers, so that the gradient by the input of the second counts.
        x, y = random_images((16, 9, 8, 3)), random_images((16, 9, 8, 2), seed=1)
        weights = []
        for cls, extra in (
            (keras.layers.Conv2D, {}),
            (FFTConv2D, {"implementation": implementation}),
        ):
            keras.utils.set_random_seed(3)
            model = keras.Sequential(
                [
                    keras.Input((9, 8, 3)),
                    cls(4, 5, padding="same", activation="tanh", **extra),
                    cls(2, (3, 4), padding="same", **extra),
                ]
            )
            start = [to_numpy(w) for w in model.weights]
            model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "mse")
            model.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0)
            weights.append([to_numpy(w) for w in model.weights])
        assert max(np.abs(a - b).max() for a, b in zip(start, weights[0], strict=True)) > 0.02
        for actual, expected in zip(weights[1], weights[0], strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-5)

    @pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
    def test_circular(self, implementation):
        layer = FFTConv2D(
            3, (4, 3), strides=(2, 1), padding="circular", implementation=implementation
        )
        x = random_images((2, 7, 6, 2))
        layer.build(x.shape)
        y = to_numpy(compiled(layer)(x))
        expected = numpy_circular_conv(x, to_numpy(layer.kernel), strides=(2, 1))
        np.testing.assert_allclose(y, expected, atol=2e-6)

    @pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
    def test_circular_taps_of_an_even_dilated_kernel(self, implementation):
        # An impulse at column 4: tap j reaches output p with p + 2 j - (2 * 3)//2 = 4 modulo 9.
        layer = FFTConv2D(
            1, (1, 4), padding="circular", dilation_rate=2, implementation=implementation
        )
        layer.build((1, 1, 9, 1))
        layer.set_weights([np.arange(1.0, 5).reshape(1, 4, 1, 1), np.zeros(1)])
        x = np.zeros((1, 1, 9, 1), "float32")
        x[..., 4, :] = 1
        expected = np.zeros(9)
        expected[[(4 - 2 * j + 3) % 9 for j in range(4)]] = np.arange(1, 5)
        np.testing.assert_allclose(to_numpy(layer(x)).ravel(), expected, atol=1e-6)

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_circular_commutes_with_shifts(self, implementation):
        layer = FFTConv2D(3, 5, padding="circular", implementation=implementation)
        x = random_images((2, 8, 7, 2))
        layer.build(x.shape)
        layer = compiled(layer)
        y = to_numpy(layer(x))
        shifted = to_numpy(layer(np.roll(x, (3, -2), axis=(1, 2))))
        np.testing.assert_allclose(shifted, np.roll(y, (3, -2), axis=(1, 2)), atol=2e-6)

    def test_weights_move_between_the_two(self):
        plain, layer = keras.layers.Conv2D(4, 3), FFTConv2D(4, 3, implementation="matmul")
        x = random_images((1, 8, 8, 2))
        plain(x), layer(x)
        layer.set_weights(plain.get_weights())
        np.testing.assert_allclose(to_numpy(layer(x)), to_numpy(plain(x)), atol=2e-6)

    def test_lora_reaches_the_output(self):
        layer = FFTConv2D(4, 3, implementation="matmul")
        x = random_images((1, 8, 8, 2))
        before = to_numpy(layer(x))
        layer.enable_lora(2)
        np.testing.assert_allclose(to_numpy(layer(x)), before, atol=1e-6)
        layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
        assert np.abs(to_numpy(layer(x)) - before).max() > 1e-2

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"padding": "reflect"}, "padding='reflect'"),
            ({"padding": None}, "padding=None"),
            ({"implementation": "winograd"}, "implementation='winograd'"),
            ({"filters": 0}, "filters=0"),
            ({"filters": 5, "groups": 2}, "groups=2"),
            ({"strides": 2, "dilation_rate": 2}, "strides="),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            FFTConv2D(**{"filters": 4, "kernel_size": 3, **arguments})

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((None, 8, 3), "min_ndim=4"),
            ((None, 2, 8, 3), "at least as large"),
        ],
    )
    def test_bad_inputs(self, shape, message):
        with pytest.raises(ValueError, match=message):
            FFTConv2D(4, 3)(keras.Input(shape[1:]))
