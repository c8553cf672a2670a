"""ChannelGate: the layers' contract, numpy, and what it can see of an image's frequencies."""

import os

import keras
import numpy as np
import pytest

from spectral_keras.folding import fold
from spectral_keras.layers.channel_gate import ChannelGate
from spectral_keras.ops.suppression import suppress_power
from tests.layer_checks import check_layer
from tests.oracles import (
    compiled,
    numpy_circular_conv,
    random_images,
    to_numpy,
    weight_gradients,
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_gate(x, weights, activation=lambda x: np.maximum(x, 0)):
    """v of channels-last features; weights of the two dense layers."""
    w1, b1, w2, b2 = weights
    means = activation(np.asarray(x, "float64")).mean((1, 2))
    return sigmoid(np.maximum(means @ w1 + b1, 0) @ w2 + b2)


def built(shape, **arguments):
    """A layer with weights that are not small, and those as numpy arrays."""
    layer = ChannelGate(**arguments)
    layer.build(shape)
    rng = np.random.default_rng(3)
    layer.set_weights([rng.normal(size=w.shape) ** 2 + 0.1 for w in layer.get_weights()])
    for dense in (layer.squeeze, layer.excite):
        dense.set_weights([rng.normal(size=w.shape) for w in dense.get_weights()])
    return layer, [*layer.squeeze.get_weights(), *layer.excite.get_weights()]


class TestContract:
    def test_plain(self):
        check_layer(
            ChannelGate,
            {"hidden": 8, "data_format": "channels_last"},
            (3, 4, 5, 4),
            expected_output_shape=(3, 4, 5, 4),
            expected_weights=4,
            dtypes=("float64", "mixed_bfloat16", "mixed_float16"),
        )

    def test_extended(self):
        check_layer(
            ChannelGate,
            {"hidden": 16, "extended": True, "kernel_size": 1, "gap_activation": "relu"},
            (3, 5, 4, 2),
            expected_output_shape=(3, 5, 4, 2),
            expected_weights=9,
            dtypes=("mixed_bfloat16",),
        )

    def test_channels_first(self):
        check_layer(
            ChannelGate,
            {"hidden": 8, "gap_activation": None, "data_format": "channels_first"},
            (3, 4, 6, 5),
            expected_output_shape=(3, 4, 6, 5),
            expected_weights=4,
            dtypes=("mixed_bfloat16",),
        )

    def test_default_sizes(self):
        layer = ChannelGate()
        layer.build((None, 32, 32, 64))
        assert layer.count_params() == 64 * 512 + 512 + 512 * 64 + 64
        extended = ChannelGate(extended=True)
        extended.build((None, 32, 32, 64))
        assert extended.count_params() == layer.count_params() + 9 * 64 * 64 + 4 * 64

    def test_unknown_size_is_fine(self):
        outputs = ChannelGate(4)(keras.Input((None, None, 3)))
        assert outputs.shape == (None, None, None, 3)

    @pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
    def test_ratio_in_a_saved_and_exported_model(self, dtype, tmp_path):
        inputs = keras.Input((6, 5, 3))
        outputs = ChannelGate(4, return_open_ratio=True, dtype=dtype)(inputs)
        assert [(t.shape, t.dtype) for t in outputs] == [
            ((None, 6, 5, 3), "float32" if dtype == "float32" else "bfloat16"),
            ((None,), "float32"),
        ]
        model = keras.Model(inputs, list(outputs))
        x = random_images((3, 6, 5, 3))
        expected = [to_numpy(y) for y in model(x)]
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        for old, new in zip(expected, loaded(x), strict=True):
            np.testing.assert_allclose(to_numpy(new), old, atol=1e-6)
        if keras.backend.backend() == "tensorflow" and dtype == "float32":
            import tensorflow as tf

            path = os.fspath(tmp_path / "saved_model")
            model.export(path, verbose=False)
            artifact = tf.saved_model.load(path)
            for old, new in zip(expected, artifact.serve(x), strict=True):
                np.testing.assert_allclose(to_numpy(new), old, atol=1e-6)

    # Keras says which layers it left as they are.
    @pytest.mark.filterwarnings("ignore:.*quantiz")
    def test_quantized_model_is_loaded(self, tmp_path):
        """`quantize` gives the dense layers within another policy, and weights of their own."""
        inputs = keras.Input((6, 5, 3))
        outputs = keras.layers.Flatten()(ChannelGate(8)(inputs))
        model = keras.Model(inputs, outputs)
        model.quantize("int8")
        gate = model.layers[1]
        assert gate.squeeze.quantization_mode == gate.excite.quantization_mode == "int8"
        x = random_images((3, 6, 5, 3))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(to_numpy(loaded(x)), to_numpy(model(x)))
        np.testing.assert_array_equal(to_numpy(fold(model)(x)), to_numpy(model(x)))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"hidden": 0}, "hidden=0"),
            ({"extended": 1}, "extended=1"),
            ({"kernel_size": 2.5}, "kernel_size=2.5"),
            ({"return_open_ratio": "yes"}, "return_open_ratio='yes'"),
            ({"data_format": "last"}, "data_format='last'"),
            ({"gap_activation": "rectify"}, "rectify"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            ChannelGate(**arguments)

    @pytest.mark.parametrize(
        ("shape", "message"), [((8, 3), "rank 4"), ((8, 8, None), "known number of channels")]
    )
    def test_bad_inputs(self, shape, message):
        with pytest.raises(ValueError, match=message):
            ChannelGate(4)(keras.Input(shape))


class TestCorrectness:
    @pytest.mark.parametrize(
        ("gap_activation", "oracle"),
        [
            ("relu", lambda x: np.maximum(x, 0)),
            (None, lambda x: x),
            ("square", np.square),
        ],
    )
    def test_plain_equals_numpy(self, gap_activation, oracle):
        if gap_activation == "square":
            gap_activation = keras.ops.square  # any function, to be registered for saving
        x = random_images((3, 5, 4, 6)) - 0.5
        for order, data_format in [
            ((0, 1, 2, 3), "channels_last"),
            ((0, 3, 1, 2), "channels_first"),
        ]:
            layer, weights = built(
                x.transpose(order).shape,
                hidden=7,
                gap_activation=gap_activation,
                return_open_ratio=True,
                data_format=data_format,
            )
            v = numpy_gate(x, weights, oracle)
            y, ratio = compiled(layer)(x.transpose(order))
            expected = (x * v[:, None, None, :]).transpose(order)
            np.testing.assert_allclose(to_numpy(y), expected, atol=1e-5)
            np.testing.assert_allclose(to_numpy(ratio), v.mean(1), atol=1e-5)
            np.testing.assert_allclose(to_numpy(layer.gate(x.transpose(order))), v, atol=1e-5)

    def test_extended_equals_numpy(self):
        x = random_images((2, 6, 5, 3)) - 0.5
        layer, weights = built(x.shape, hidden=7, extended=True, return_open_ratio=True)
        kernel = layer.convolution.get_weights()[0]
        gamma, beta, mean, variance = layer.normalization.get_weights()
        # Zero padding by a margin, of which the periodic convolution reads nothing else.
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        features = numpy_circular_conv(padded, kernel)[:, 1:-1, 1:-1]

        def normalized(mean, variance):
            return (features - mean) / np.sqrt(variance + 1e-3) * gamma + beta

        v = numpy_gate(normalized(mean, variance), weights)
        y, ratio = layer(x, training=False)
        np.testing.assert_allclose(to_numpy(y), x * v[:, None, None, :], atol=1e-5)
        np.testing.assert_allclose(to_numpy(ratio), v.mean(1), atol=1e-5)
        # In training the statistics are the batch's, and the moving ones move.
        batch = features.mean((0, 1, 2)), features.var((0, 1, 2))
        v = numpy_gate(normalized(*batch), weights)
        np.testing.assert_allclose(to_numpy(layer(x, training=True)[1]), v.mean(1), atol=1e-5)
        assert not np.allclose(layer.normalization.get_weights()[2], mean)

    def test_only_a_rectified_mean_sees_frequencies(self):
        """What a power suppression takes away does not change the mean of a linear map."""
        x = random_images((3, 32, 32, 3))
        x += 0.5 * np.sin(2 * np.pi * 14 * np.arange(32) / 32)[None, None, :, None]
        x = x.astype("float32")
        low = to_numpy(suppress_power(x, [0] * 3, [0.0] * 3))
        kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8))
        features = [numpy_circular_conv(each, kernel).astype("float32") for each in (x, low)]
        differences = {}
        for activation in (None, "relu"):
            layer, _ = built((None, 32, 32, 8), hidden=16, gap_activation=activation)
            gates = [to_numpy(layer.gate(each)) for each in features]
            differences[activation] = np.abs(gates[0] - gates[1]).max()
        assert differences[None] < 1e-4
        assert differences["relu"] > 1e-2

    def test_auxiliary_loss_reaches_every_weight(self):
        x = random_images((4, 6, 6, 3)) - 0.5
        layer, _ = built(x.shape, hidden=8, extended=True, return_open_ratio=True)

        def loss():
            ratio = layer(x, training=False)[1]
            return keras.ops.mean(keras.ops.square(ratio - 0.2))

        for variable, gradient in zip(
            layer.trainable_variables,
            weight_gradients(loss, layer.trainable_variables),
            strict=True,
        ):
            assert np.abs(gradient).max() > 0, variable.path
