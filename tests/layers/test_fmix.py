"""FMix: the layers' contract, masks by numpy, exact shares and the law of the draws."""

import keras
import numpy as np
import pytest

from spectral_keras.layers import FMix
from spectral_keras.ops.noise_masks import low_frequency_noise, top_share
from tests.layer_checks import check_layer
from tests.layers.training_call import training_call
from tests.oracles import compiled, float64_or_float32, random_images, to_numpy


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"data_format": "channels_last"}, (3, 6, 5, 3)),
        ({"alpha": 0.5, "decay": 2.0, "seed": 7, "data_format": "channels_first"}, (3, 1, 5, 6)),
    ],
)
def test_contract(options, shape):
    check_layer(
        FMix,
        options,
        shape,
        expected_output_shape=shape,
        expected_weights=0,
        expected_seed_generators=1,
        dtypes=("mixed_bfloat16", "mixed_float16"),
    )


class TestMasks:
    @pytest.mark.parametrize("size", [(8, 8), (7, 6), (6, 9), (1, 4)])
    @pytest.mark.parametrize("decay", [0.0, 3.0])
    def test_noise(self, size, decay):
        dtype = float64_or_float32()
        height, width = size
        real, imag = np.random.default_rng(0).standard_normal((2, 3, height, width // 2 + 1))
        f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[: width // 2 + 1])
        f[:, -1] = np.hypot(np.fft.fftfreq(height), (width // 2) / width)
        scale = (max(size) * np.maximum(f, 1 / max(size))) ** -decay
        expected = np.fft.irfft2(scale * (real + 1j * imag), size)
        noise = compiled(lambda *z: low_frequency_noise(*z, width, decay))(
            real.astype(dtype), imag.astype(dtype)
        )
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(to_numpy(noise), expected, atol=tolerance)

    def test_exact_share_of_the_largest(self):
        values = np.random.default_rng(0).standard_normal((5, 7, 6)).astype("float32")
        values[4] = 0  # ties count too
        share = np.array([0.0, 1.0, 0.5, 0.123, 0.4], "float32")
        mask, exact = (to_numpy(x) for x in compiled(top_share)(values, share))
        np.testing.assert_array_equal(mask.sum((1, 2)), np.round(42 * share))
        np.testing.assert_allclose(exact, mask.mean((1, 2)), atol=1e-7)
        for value, kept in zip(values[2:4], mask[2:4].astype(bool), strict=True):
            assert value[kept].min() > value[~kept].max()

    def test_masks_are_of_low_frequency_and_not_symmetric(self):
        rng = np.random.default_rng(0)
        z = rng.standard_normal((2, 50, 32, 17)).astype("float32")
        mask = to_numpy(top_share(low_frequency_noise(*z, 32, 3.0), np.full(50, 0.5, "float32"))[0])
        edges = np.mean(mask[:, 1:] != mask[:, :-1])
        assert edges < 0.1  # 0.5 of white noise
        turned = np.roll(mask[:, ::-1, ::-1], 1, (1, 2))
        assert 0.3 < np.mean(mask == turned) < 0.7


class TestMixing:
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_labels_are_the_shares_of_pixels(self, data_format):
        classes, (height, width) = 6, (7, 10)
        # Channel i of class i is 1: the share of pixels of a class is its channel's mean.
        images = np.eye(classes)[:, None, None] * np.ones((1, height, width, 1))
        axes = (1, 2)
        if data_format == "channels_first":
            images, axes = np.moveaxis(images, 3, 1), (2, 3)
        batch = {
            name: keras.ops.convert_to_tensor(value, dtype="float32")
            for name, value in {"images": images, "labels": np.eye(classes)}.items()
        }
        mixed = FMix(seed=1, data_format=data_format)(batch, training=True)
        shares = to_numpy(mixed["images"]).mean(axes)
        np.testing.assert_allclose(to_numpy(mixed["labels"]), shares, atol=1e-6)
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
        assert (shares > 0).sum(1).max() >= 2
        # Whole pixels.
        np.testing.assert_allclose(70 * shares, np.round(70 * shares), atol=1e-4)

    def test_law_of_the_share(self):
        for alpha, variance in ((1.0, 1 / 12), (4.0, 1 / 36)):
            x = np.arange(2000, dtype="float32")[:, None, None, None] * np.ones((1, 8, 8, 1), "f4")
            y = to_numpy(training_call(FMix(alpha, seed=1), x))
            share = np.mean(y == x, axis=(1, 2, 3))
            assert share.mean() == pytest.approx(0.5, abs=0.03)
            assert share.var() == pytest.approx(variance, rel=0.15)

    def test_images_alone_and_inference(self):
        x = random_images((4, 8, 9, 3))
        labels = np.eye(4, dtype="float32")
        layer = FMix(seed=1)
        y = layer({"images": x, "labels": labels}, training=False)
        np.testing.assert_array_equal(to_numpy(y["images"]), x)
        np.testing.assert_array_equal(to_numpy(y["labels"]), labels)
        first, second = (to_numpy(training_call(layer, x)) for _ in range(2))
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(first, to_numpy(training_call(FMix(seed=1), x)))

    def test_in_a_functional_model_and_a_file(self, tmp_path):
        shapes = {"images": (6, 5, 2), "labels": (3,)}
        inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
        model = keras.Model(inputs, FMix(seed=1)(inputs))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        batch = {"images": random_images((2, 6, 5, 2)), "labels": np.eye(3, dtype="float32")[:2]}
        for name, value in loaded.predict(batch, verbose=0).items():
            np.testing.assert_array_equal(value, batch[name])

    def test_in_a_tf_data_pipeline(self):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("a layer runs inside tf.data on the TensorFlow backend only")
        import tensorflow as tf

        layer = FMix(seed=3)
        x, y = random_images((8, 8, 8, 3)), np.eye(8, dtype="float32")
        data = tf.data.Dataset.from_tensor_slices({"images": x, "labels": y}).batch(4)
        labels = np.concatenate(
            [batch["labels"] for batch in data.map(lambda batch: layer(batch, training=True))]
        )
        np.testing.assert_allclose(labels.sum(1), 1, atol=1e-6)
        assert ((labels > 0).sum(1) == 2).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"alpha": 0}, "alpha=0"), ({"decay": -1}, "decay=-1"), ({"data_format": "x"}, "'x'")],
)
def test_errors_show_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        FMix(**arguments)


def test_integer_labels_are_refused():
    with pytest.raises(ValueError, match=r'"labels" of shape \(batch, classes\).*\(2,\)'):
        FMix()({"images": np.zeros((2, 4, 4, 1), "float32"), "labels": np.zeros(2)}, training=True)
