import json
import os

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.data import load
from spectral_keras.training import FourierTarget, ReconstructionTarget
from tests.oracles import compiled, random_images, to_numpy, weight_gradients

GREY = np.array([0.2989, 0.587, 0.114])


def numpy_spectrum(x):
    """Centred DFT of the grey images (N, H, W, C), complex, image by image."""
    x = np.asarray(x, "float64")
    grey = x @ GREY if x.shape[-1] == 3 else x.mean(axis=-1)
    return np.stack([np.fft.fftshift(np.fft.fft2(image)) for image in grey])


def target_of(x, *args, **kwargs):
    layer = FourierTarget(*args, **kwargs)
    return to_numpy(compiled(layer)(ops.convert_to_tensor(x)))


def angle_error(a, b):
    """Distance of two angles, across pi as well."""
    return np.abs((a - b + np.pi) % (2 * np.pi) - np.pi)


class TestValues:
    @pytest.mark.parametrize("shape", [(2, 8, 8, 3), (3, 7, 7, 1), (2, 6, 9, 4), (1, 5, 8, 2)])
    def test_against_numpy(self, shape):
        x = random_images(shape) * 4 - 2
        spectrum = numpy_spectrum(x)
        target = target_of(x, "raw")
        assert target.shape == (*shape[:3], 2)
        np.testing.assert_allclose(target[..., 0], np.abs(spectrum), atol=2e-5)
        assert angle_error(target[..., 1], np.angle(spectrum)).max() < 1e-3
        assert target[..., 1].min() > -np.pi - 1e-6 and target[..., 1].max() <= np.pi + 1e-6
        log = target_of(x, "log", "none")
        np.testing.assert_allclose(log[..., 0], np.log1p(np.abs(spectrum)), atol=2e-5)
        unitary = target_of(x, "unitary", "cos_sin")
        size = np.sqrt(shape[1] * shape[2])
        np.testing.assert_allclose(unitary[..., 0], np.abs(spectrum) / size, atol=2e-5)
        direction = spectrum / np.abs(spectrum)
        np.testing.assert_allclose(unitary[..., 1], direction.real, atol=1e-3)
        np.testing.assert_allclose(unitary[..., 2], direction.imag, atol=1e-3)

    def test_unshifted(self):
        x = random_images((2, 6, 7, 3))
        shifted = np.fft.fftshift(target_of(x, shifted=False), axes=(1, 2))
        np.testing.assert_array_equal(shifted, target_of(x))

    def test_channels_first(self):
        x = random_images((2, 6, 7, 3))
        first = target_of(np.moveaxis(x, -1, 1).copy(), data_format="channels_first")
        np.testing.assert_allclose(np.moveaxis(first, 1, -1), target_of(x), atol=1e-6)

    def test_a_constant_image_has_a_constant_term_only(self):
        target = target_of(np.full((1, 32, 32, 1), 0.5, "float32"), "raw")
        assert abs(target[0, 16, 16, 0] - 512) < 1e-3
        target[0, 16, 16, 0] = 0
        assert np.abs(target[..., 0]).max() < 1e-3
        # Rounding errors have no phase.
        assert (target[..., 1] == 0).all()

    def test_a_negative_mean_has_phase_pi(self):
        x = random_images((4, 8, 6, 3)) - 2
        phase = target_of(x)[..., 1]
        np.testing.assert_allclose(phase[:, 4, 3], np.pi, rtol=1e-6)
        # The other bins that are their own mirror image are real, exactly.
        for row, column in ((0, 0), (0, 3), (4, 0)):
            bins = phase[:, row, column]
            assert (np.minimum(np.abs(bins), np.abs(bins - np.float32(np.pi))) < 1e-6).all()

    def test_a_point(self):
        x = np.zeros((2, 32, 32, 1), "float32")
        x[0, 0, 0], x[1, 0, 1] = 1, 1
        target = target_of(x, "raw")
        np.testing.assert_allclose(target[..., 0], 1, atol=1e-6)
        np.testing.assert_allclose(target[0, ..., 1], 0, atol=1e-6)
        assert abs(target[1, 16, 17, 1] + 0.19635) < 1e-5
        cos_sin = target_of(x, "raw", "cos_sin")[1, 16, 17, 1:]
        np.testing.assert_allclose(cos_sin, [np.cos(np.pi / 16), -np.sin(np.pi / 16)], atol=1e-6)

    def test_parseval(self):
        x = random_images((3, 32, 32, 3)) * 4 - 2
        energy = np.sum(target_of(x, "raw")[..., 0] ** 2, axis=(1, 2))
        expected = 1024 * np.sum((x.astype("float64") @ GREY) ** 2, axis=(1, 2))
        np.testing.assert_allclose(energy, expected, rtol=1e-5)
        unitary = np.sum(target_of(x, "unitary")[..., 0] ** 2, axis=(1, 2))
        np.testing.assert_allclose(unitary, expected / 1024, rtol=1e-5)


class TestBatch:
    def test_every_image_has_its_own_spectrum(self):
        x = random_images((4, 8, 8, 3))
        batch = target_of(x)
        for i in range(4):
            np.testing.assert_allclose(batch[i], target_of(x[i : i + 1])[0], atol=1e-5)

    @pytest.mark.parametrize("size", [4, 5])
    def test_the_published_code_rolls_the_batch(self, size):
        x = random_images((size, 8, 8, 3))
        order = np.fft.fftshift(np.arange(size))
        assert size == 5 or order.tolist() == [2, 3, 0, 1]
        np.testing.assert_array_equal(target_of(x, roll_batch=True), target_of(x)[order])

    def test_of_unknown_size(self):
        for roll in (False, True):
            inputs = keras.Input((8, 8, 3))
            model = keras.Model(inputs, FourierTarget(roll_batch=roll)(inputs))
            assert model.output_shape == (None, 8, 8, 2)
            x = random_images((5, 8, 8, 3))
            expected = target_of(x, roll_batch=roll)
            np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


class TestLayer:
    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_float32_in_any_precision(self, policy):
        # Numbers that bfloat16 holds, whose spectrum it does not.
        x = np.round(random_images((2, 8, 8, 1)) * 16) / 16
        expected = target_of(x, "raw")
        keras.config.set_dtype_policy(policy)
        for dtype in ("float32", policy.removeprefix("mixed_")):
            target = FourierTarget("raw")(ops.cast(x, dtype))
            assert keras.backend.standardize_dtype(target.dtype) == "float32"
            np.testing.assert_allclose(to_numpy(target), expected, atol=1e-5)

    @pytest.mark.parametrize("layer", [FourierTarget(), ReconstructionTarget()])
    def test_no_gradient(self, layer):
        scale = keras.Variable(2.0)
        x = ops.convert_to_tensor(random_images((1, 4, 4, 1)))
        (gradient,) = weight_gradients(
            lambda: ops.sum(layer(x * scale)) + 0.0 * ops.sum(scale), [scale]
        )
        assert float(gradient) == 0

    @pytest.mark.parametrize(
        ("cls", "kwargs"),
        [
            (FourierTarget, {}),
            (
                FourierTarget,
                {
                    "magnitude": "unitary",
                    "phase": "cos_sin",
                    "shifted": False,
                    "roll_batch": True,
                    "data_format": "channels_first",
                },
            ),
            (ReconstructionTarget, {"name": "image"}),
        ],
    )
    def test_config(self, cls, kwargs):
        plain = json.loads(json.dumps(keras.saving.serialize_keras_object(cls(**kwargs))))
        assert plain["registered_name"] == f"spectral_keras>{cls.__name__}"
        again = keras.saving.deserialize_keras_object(plain)
        assert type(again) is cls
        config = again.get_config()
        assert all(config[name] == value for name, value in kwargs.items())
        # The same where Keras' global setting is another.
        assert config.get("data_format", "") is not None

    @pytest.mark.parametrize(
        ("kwargs", "match"),
        [
            ({"magnitude": "power"}, "`magnitude`"),
            ({"phase": "sin"}, "`phase`"),
            ({"shifted": 1}, "`shifted`"),
            ({"roll_batch": None}, "`roll_batch`"),
            ({"data_format": "last"}, "`data_format`"),
        ],
    )
    def test_bad_arguments(self, kwargs, match):
        with pytest.raises(ValueError, match=match):
            FourierTarget(**kwargs)

    @pytest.mark.parametrize(
        ("shape", "match"),
        [((None, 8, 8, None), "known number of channels"), ((None, None, 8, 3), "known height")],
    )
    def test_bad_inputs(self, shape, match):
        with pytest.raises(ValueError, match=match):
            FourierTarget()(keras.KerasTensor(shape))


def _cifar_images(count):
    """The first test images of CIFAR-10 in [0, 1], or a skip where they are not prepared."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = os.environ.get("TFDS_DATA_DIR")
    if not tfds.builder("cifar10", data_dir=folder).is_prepared():
        pytest.skip("cifar10 is not prepared")
    dataset = load("cifar10", data_dir=folder, limit=100, limit_test=count)
    return dataset.x_test.astype("float32") / 255


def test_scale_on_cifar():
    """The paper's target at its size, of images normalised as in its code.

    Computed with numpy.fft on 500 test images: the mean square of both channels is 454.7, of the
    phase alone 3.305.
    """
    mean, std = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)
    target = target_of((_cifar_images(500) - np.float32(mean)) / np.float32(std), "raw")
    assert abs(np.mean(target**2) / 454.7 - 1) < 0.1
    assert abs(np.mean(target[..., 1] ** 2) - 3.305) < 0.05
    assert abs(np.mean(target[..., 1])) < 0.02
    assert abs(np.median(target[..., 0]) / 4.8 - 1) < 0.1
