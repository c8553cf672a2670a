"""FFTConvPool2D is a circular convolution followed by spectral pooling."""

import keras
import numpy as np
import pytest

from spectral_keras.layers.fft_conv2d import FFTConv2D
from spectral_keras.layers.fft_conv_pool2d import FFTConvPool2D
from spectral_keras.layers.spectral_pool import SpectralPool
from tests.layer_checks import check_layer
from tests.oracles import (
    compiled,
    numpy_circular_conv,
    numpy_spectral_pool,
    random_images,
    to_numpy,
)


class TestContract:
    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_every_argument(self, implementation):
        check_layer(
            FFTConvPool2D,
            {
                "filters": 6,
                "kernel_size": (5, 4),
                "output_size": (4, 5),
                "nyquist": "isometric",
                "norm": "ortho",
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
            expected_output_shape=(3, 4, 5, 6),
            expected_weights=2,
            dtypes=("mixed_bfloat16", "mixed_float16"),
        )

    def test_scale_and_channels_first(self):
        check_layer(
            FFTConvPool2D,
            {
                "filters": 3,
                "kernel_size": 3,
                "scale": 0.85,
                "use_bias": False,
                "data_format": "channels_first",
            },
            (2, 4, 10, 7),
            expected_output_shape=(2, 3, 8, 5),
            expected_weights=1,
            dtypes=("float32",),
        )


class TestCorrectness:
    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    @pytest.mark.parametrize(
        ("norm", "nyquist"), [("mean", "average"), ("ortho", "sum"), ("mean", "drop")]
    )
    def test_from_the_definition(self, norm, nyquist, implementation):
        layer = FFTConvPool2D(
            4, (3, 2), 4, norm=norm, nyquist=nyquist, implementation=implementation
        )
        x = random_images((2, 8, 7, 3))
        layer.build(x.shape)
        kernel, bias = to_numpy(layer.kernel), np.arange(4.0)
        layer.set_weights([kernel, bias])
        expected = numpy_spectral_pool(numpy_circular_conv(x, kernel) + bias, 4, nyquist, norm)
        np.testing.assert_allclose(to_numpy(compiled(layer)(x)), expected, atol=5e-6)

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_equals_the_two_layers_and_trains_as_they_do(self, implementation):
        x, y = random_images((8, 9, 8, 3)), random_images((8, 4, 5, 2), seed=1)
        weights, outputs = [], []
        for fused in (True, False):
            keras.utils.set_random_seed(3)
            if fused:
                layers = [
                    FFTConvPool2D(4, 3, (6, 7), activation="relu", implementation=implementation),
                    FFTConvPool2D(2, 3, (4, 5), implementation=implementation),
                ]
            else:
                layers = [
                    FFTConv2D(4, 3, padding="circular"),
                    SpectralPool((6, 7)),
                    keras.layers.ReLU(),
                    FFTConv2D(2, 3, padding="circular"),
                    SpectralPool((4, 5)),
                ]
            model = keras.Sequential([keras.Input((9, 8, 3)), *layers])
            outputs.append(to_numpy(model.predict(x, verbose=0)))
            model.compile(keras.optimizers.SGD(0.3, momentum=0.9), "mse")
            model.fit(x, y, batch_size=4, epochs=5, shuffle=False, verbose=0)
            weights.append([to_numpy(w) for w in model.weights])
        np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)
        for fused, separate in zip(*weights, strict=True):
            np.testing.assert_allclose(fused, separate, atol=1e-5)

    def test_output_of_one_is_the_global_average(self):
        layer = FFTConvPool2D(5, 1, 1, bias_initializer="ones")
        x = random_images((2, 6, 5, 3))
        y = to_numpy(layer(x))
        expected = np.asarray(x, "float64").mean((1, 2)) @ to_numpy(layer.kernel)[0, 0] + 1
        np.testing.assert_allclose(y[:, 0, 0], expected, atol=1e-6)

    def test_keeps_the_size_by_default(self):
        layer = FFTConvPool2D(3, 5)
        x = random_images((2, 6, 7, 2))
        y = to_numpy(layer(x))
        np.testing.assert_allclose(y, numpy_circular_conv(x, to_numpy(layer.kernel)), atol=2e-6)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"filters": 0}, "filters=0"),
            ({"kernel_size": (3, 0)}, "kernel_size="),
            ({"output_size": 4, "scale": 0.5}, "scale=0.5"),
            ({"scale": 1.5}, "scale=1.5"),
            ({"output_size": 0}, "output_size=0"),
            ({"nyquist": "split"}, "nyquist='split'"),
            ({"norm": "sum"}, "norm='sum'"),
            ({"implementation": "direct"}, "implementation='direct'"),
            ({"groups": 3}, "groups=3"),
            ({"use_bias": 1}, "use_bias=1"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            FFTConvPool2D(**{"filters": 4, "kernel_size": 3, **arguments})

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((8, 3), "rank 4"),
            ((8, 3, 3), r"output_size=\(4, 4\)"),
            ((8, 8, 5), "groups=2"),
        ],
    )
    def test_bad_inputs(self, shape, message):
        with pytest.raises(ValueError, match=message):
            FFTConvPool2D(4, 3, 4, groups=2)(keras.Input(shape))
