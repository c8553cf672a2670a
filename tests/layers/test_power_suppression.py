"""PowerSuppression: the layers' contract, numpy's FFTs and the law of its draws."""

import os

import keras
import numpy as np
import pytest

from spectral_keras.layers.power_suppression import PowerSuppression
from spectral_keras.ops.mask_curves import suppression_masks
from spectral_keras.ops.suppression import draw_suppression, suppress_power
from tests.layer_checks import check_layer
from tests.layers.training_call import training_call
from tests.oracles import (
    compiled,
    float64_or_float32,
    input_gradient,
    numpy_mask,
    random_images,
    to_numpy,
)


def wave(a, b, size=(32, 32), channels=1):
    """.5 + .25 cos at frequency (a, b)."""
    rows, columns = np.arange(size[0]) / size[0], np.arange(size[1]) / size[1]
    image = 0.5 + 0.25 * np.cos(2 * np.pi * (a * rows[:, None] + b * columns[None]))
    return np.repeat(image[None, :, :, None], channels, axis=3).astype("float32")


def amplitude(images, a, b):
    spectrum = np.fft.fft2(to_numpy(images), axes=(1, 2), norm="forward")
    return 2 * np.abs(spectrum[:, a, b, :])


def numpy_suppress(x, band, kept, variant="consistent"):
    masks = suppression_masks(*x.shape[1:3], variant=variant)
    images = []
    for image, b, a in zip(x[:, None], band, kept, strict=True):
        images.append(image if b < 0 else numpy_mask(image, a + (1 - a) * masks[b]))
    return np.concatenate(images)


class TestContract:
    def test_default(self):
        check_layer(
            PowerSuppression,
            {"data_format": "channels_last"},
            (3, 6, 5, 3),
            expected_output_shape=(3, 6, 5, 3),
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=("float32", "float64", "mixed_bfloat16", "mixed_float16"),
        )

    def test_every_option(self):
        check_layer(
            PowerSuppression,
            {
                "probability": 1.0,
                "alpha": [0.25, 0.5],
                "alpha_is": "suppressed",
                "variant": "printed",
                "reference_size": 24,
                "seed": 7,
                "data_format": "channels_first",
            },
            (3, 1, 5, 6),
            expected_output_shape=(3, 1, 5, 6),
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=("mixed_bfloat16",),
        )

    def test_config_with_labels(self):
        layer = PowerSuppression(return_labels=True, alpha=0.5)
        config = layer.get_config()
        assert config["return_labels"] is True and config["alpha"] == 0.5
        assert PowerSuppression.from_config(config).get_config() == config

    @pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
    def test_half_precision_while_training(self, dtype):
        # The transform is in float32: only the images are rounded, 8 or 11 bits.
        x = random_images((6, 8, 9, 2))
        layer = PowerSuppression(1.0, return_labels=True, seed=2, dtype=dtype)
        y, labels = training_call(layer, x)
        assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
        assert keras.backend.standardize_dtype(labels["alpha"].dtype) == "float32"
        band, alpha = to_numpy(labels["band"]).astype(int), to_numpy(labels["alpha"])
        np.testing.assert_allclose(to_numpy(y), numpy_suppress(x, band, alpha), atol=8e-3)


class TestCorrectness:
    @pytest.mark.parametrize("size", [(8, 8), (7, 6), (6, 9), (33, 40)])
    @pytest.mark.parametrize("variant", ["consistent", "printed"])
    def test_equals_numpys_ffts(self, size, variant):
        dtype = float64_or_float32()
        x = random_images((4, *size, 3), dtype=dtype)
        band, alpha = np.array([0, -1, 1, 2]), np.array([0.0, 0.5, 0.25, 0.75])
        expected = numpy_suppress(x, band, alpha, variant)
        tolerance = 1e-12 if dtype == "float64" else 2e-6
        for order, data_format in [
            ((0, 1, 2, 3), "channels_last"),
            ((0, 3, 1, 2), "channels_first"),
        ]:
            y = suppress_power(
                keras.ops.convert_to_tensor(x.transpose(order), dtype=dtype),
                band,
                keras.ops.convert_to_tensor(alpha, dtype=dtype),
                variant=variant,
                data_format=data_format,
            )
            assert keras.backend.standardize_dtype(y.dtype) == dtype
            np.testing.assert_allclose(to_numpy(y), expected.transpose(order), atol=tolerance)
            np.testing.assert_array_equal(to_numpy(y, dtype)[1], x.transpose(order)[1])

    def test_the_two_senses_of_alpha(self):
        x = random_images((3, 8, 9, 1))
        band, alpha = [0, 1, 2], np.array([0.2, 0.4, 0.9], "float32")
        kept = suppress_power(x, band, alpha)
        suppressed = suppress_power(x, band, 1 - alpha, alpha_is="suppressed")
        np.testing.assert_allclose(to_numpy(kept), to_numpy(suppressed), atol=1e-6)

    @pytest.mark.parametrize(
        ("frequency", "alpha", "alpha_is", "amplitudes"),
        [
            ((3, 4), 0.0, "kept", [0.25, 0, 0]),
            ((3, 4), 0.25, "kept", [0.25, 0.0625, 0.0625]),
            ((6, 8), 0.0, "kept", [1 / 6, 0.25, 0]),
            ((6, 8), 0.25, "kept", [0.1875, 0.25, 0.0625]),
            ((6, 8), 0.25, "suppressed", [0.22917, 0.25, 0.1875]),
            ((6, 8), 1.0, "kept", [0.25, 0.25, 0.25]),
        ],
    )
    @pytest.mark.parametrize("channels", [1, 3])
    def test_waves(self, frequency, alpha, alpha_is, amplitudes, channels):
        x = np.repeat(wave(*frequency, channels=channels), 3, axis=0)
        y = suppress_power(x, [0, 1, 2], [alpha] * 3, alpha_is=alpha_is)
        expected = np.repeat(np.array(amplitudes)[:, None], channels, axis=1)
        np.testing.assert_allclose(amplitude(y, *frequency), expected, atol=1e-5)
        np.testing.assert_allclose(to_numpy(y).mean((1, 2)), 0.5, atol=1e-6)

    def test_a_wave_length_means_the_same_on_any_size(self):
        for scale in (1, 2, 3):
            x = np.repeat(wave(6 * scale, 8 * scale, (40 * scale, 40 * scale)), 3, axis=0)
            y = suppress_power(x, [0, 1, 2], [0.0] * 3)
            found = amplitude(y, 6 * scale, 8 * scale)[:, 0]
            np.testing.assert_allclose(found, [1 / 6, 0.25, 0], atol=1e-5)

    def test_printed_high_pass_doubles_the_mean(self):
        y = suppress_power(wave(3, 4), [2], [0.0], variant="printed")
        assert to_numpy(y).mean() == pytest.approx(1.0, abs=1e-5)

    def test_gradient_is_the_same_filter(self):
        # A real and even factor: the filter is its own adjoint.
        x, g = random_images((3, 6, 5, 2)), random_images((3, 6, 5, 2), seed=1)
        band, alpha = np.array([0, 2, -1]), np.array([0.25, 0.5, 1.0], "float32")

        def scalar(z):
            return keras.ops.sum(suppress_power(z, band, alpha) * keras.ops.convert_to_tensor(g))

        expected = numpy_suppress(g, band, alpha)
        np.testing.assert_allclose(input_gradient(compiled(scalar), x), expected, atol=2e-6)


class TestDraws:
    def test_law(self):
        seed = keras.random.SeedGenerator(0)
        band, alpha = draw_suppression(9000, 1 / 3, (0.0, 1.0), seed)
        band, alpha = to_numpy(band).astype(int), to_numpy(alpha)
        # 6000 +- 45 and 1000 +- 30: 5 standard deviations.
        counts = np.bincount(band + 1, minlength=4)
        assert abs(counts[0] - 6000) < 225
        assert np.abs(counts[1:] - 1000).max() < 150
        assert (alpha[band < 0] == 1).all()
        chosen = alpha[band >= 0]
        deciles = np.histogram(chosen, 10, (0, 1))[0] / len(chosen)
        np.testing.assert_allclose(deciles, 0.1, atol=0.03)
        assert abs(np.corrcoef(alpha[band >= 0], band[band >= 0])[0, 1]) < 0.1

    def test_range_and_identity_of_each_sense(self):
        seed = keras.random.SeedGenerator(0)
        band, alpha = draw_suppression(200, 0.5, (0.25, 0.5), seed, alpha_is="suppressed")
        band, alpha = to_numpy(band), to_numpy(alpha)
        assert (alpha[band < 0] == 0).all() and (band < 0).any()
        assert alpha[band >= 0].min() >= 0.25 and alpha[band >= 0].max() <= 0.5

    def test_labels_are_what_was_done(self):
        x = random_images((24, 8, 9, 2))
        layer = PowerSuppression(0.5, return_labels=True, seed=4)
        y, labels = training_call(layer, x)
        band, alpha = to_numpy(labels["band"]).astype(int), to_numpy(labels["alpha"])
        assert set(band) == {-1, 0, 1, 2}
        np.testing.assert_allclose(to_numpy(y), numpy_suppress(x, band, alpha), atol=2e-6)
        np.testing.assert_array_equal(to_numpy(y, "float32")[band < 0], x[band < 0])

    @pytest.mark.parametrize(("alpha_is", "identity"), [("kept", 1.0), ("suppressed", 0.0)])
    def test_identity_at_inference(self, alpha_is, identity):
        x = random_images((2, 8, 8, 3))
        layer = PowerSuppression(1.0, alpha_is=alpha_is, return_labels=True)
        for training in (False, None):
            y, labels = layer(x, training=training)
            np.testing.assert_array_equal(to_numpy(y, "float32"), x)
            np.testing.assert_array_equal(to_numpy(labels["band"]), [-1, -1])
            np.testing.assert_array_equal(to_numpy(labels["alpha"]), [identity] * 2)
        np.testing.assert_array_equal(
            to_numpy(PowerSuppression(0.0)(x, training=True), "float32"), x
        )

    def test_seed_repeats_the_draws(self):
        x = random_images((4, 8, 8, 1))

        def run(seed):
            layer = PowerSuppression(1.0, seed=seed)
            return np.stack([to_numpy(training_call(layer, x)) for _ in range(3)])

        first = run(5)
        np.testing.assert_array_equal(first, run(5))
        assert not np.array_equal(first, run(6))
        assert not np.array_equal(first[0], first[1])

    def test_fresh_draw_at_each_compiled_step(self):
        x = np.sign(random_images((8, 16, 16, 1)) - 0.5)
        inputs = keras.Input((16, 16, 1))
        # A weight to train that stays 1.
        weight = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")
        model = keras.Model(inputs, PowerSuppression(1.0, seed=3)(weight(inputs)))
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
        losses = [model.train_on_batch(x, np.zeros_like(x)) for _ in range(5)]
        assert len(np.unique(np.round(losses, 4))) >= 4
        assert model.test_on_batch(x, np.zeros_like(x)) == pytest.approx(1.0, abs=1e-6)


class TestLabels:
    def test_in_a_saved_and_exported_model(self, tmp_path):
        inputs = keras.Input((6, 5, 3))
        images, labels = PowerSuppression(1.0, return_labels=True)(inputs)
        assert images.shape == (None, 6, 5, 3)
        assert {name: (t.shape, t.dtype) for name, t in labels.items()} == {
            "band": ((None,), "int32"),
            "alpha": ((None,), "float32"),
        }
        model = keras.Model(inputs, [images, labels["band"], labels["alpha"]])
        x = random_images((3, 6, 5, 3))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        for each in (model, loaded):
            y, band, alpha = each(x, training=True)
            expected = numpy_suppress(x, to_numpy(band).astype(int), to_numpy(alpha))
            np.testing.assert_allclose(to_numpy(y), expected, atol=2e-6)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            path = os.fspath(tmp_path / "saved_model")
            model.export(path, verbose=False)
            y, band, alpha = tf.saved_model.load(path).serve(x[:2])
            np.testing.assert_array_equal(y, x[:2])
            np.testing.assert_array_equal(band, [-1, -1])
            np.testing.assert_array_equal(alpha, [1, 1])

    def test_in_a_tf_data_pipeline(self):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("a layer runs inside tf.data on the TensorFlow backend only")
        import tensorflow as tf

        layer = PowerSuppression(0.5, return_labels=True, seed=3)
        x = random_images((24, 6, 5, 3))
        data = tf.data.Dataset.from_tensor_slices(x).batch(4)
        data = data.map(lambda batch: layer(batch, training=True))
        parts = [(y.numpy(), labels["band"].numpy(), labels["alpha"].numpy()) for y, labels in data]
        y, band, alpha = (np.concatenate(part) for part in zip(*parts, strict=True))
        assert len(set(band)) >= 3
        assert len(np.unique(alpha)) >= 6
        np.testing.assert_allclose(y, numpy_suppress(x, band, alpha), atol=2e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": 1.5}, "probability=1.5"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"alpha": (0.5, 0.25)}, "alpha=0.25"),
        ({"alpha": (0.5,)}, r"Received: \(0.5,\)"),
        ({"alpha_is": "left"}, "alpha_is='left'"),
        ({"variant": "fixed"}, "variant='fixed'"),
        ({"reference_size": 32.5}, "reference_size=32.5"),
        ({"return_labels": 1}, "return_labels=1"),
        ({"data_format": "last"}, "data_format='last'"),
    ],
)
def test_errors_show_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        PowerSuppression(**arguments)


def test_bad_inputs():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec((None, None, 8, 3))]
        traced = tf.function(
            lambda x: PowerSuppression()(x, training=True), input_signature=signature
        )
        with pytest.raises(ValueError, match="known height and width in training"):
            traced(np.zeros((1, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match="float images.*dtype uint8"):
        PowerSuppression()(np.zeros((1, 8, 8, 3), "uint8"), training=True)
