"""The quick network: its fixed whitening convolution, its three groups, its start."""

import keras
import numpy as np
import pytest

from spectral_keras.data import Batches
from spectral_keras.models import registry
from spectral_keras.models.whitening import whitening_kernel
from tests.oracles import random_images, to_numpy

SMALL = {"width": 0.1}


def patches_of(images, size):
    """All patches, one a row, by the plainest loop."""
    _, height, width, _ = images.shape
    return np.concatenate(
        [
            images[:, i : i + size, j : j + size].reshape(len(images), -1)
            for i in range(height - size + 1)
            for j in range(width - size + 1)
        ]
    )


class TestWhitening:
    @pytest.mark.parametrize(("size", "channels"), [(2, 3), (3, 1)])
    def test_patches_of_the_images_become_white(self, size, channels):
        # Correlated channels and pixels, so that there is something to whiten.
        noise = np.random.default_rng(0).random((30, 9, 8, channels))
        images = (noise + noise.mean(axis=-1, keepdims=True) + np.roll(noise, 1, axis=1)) / 3
        kernel = whitening_kernel(images, size, epsilon=1e-9)
        count = size * size * channels
        assert kernel.shape == (size, size, channels, 2 * count) and kernel.dtype == np.float32
        filters = kernel.reshape(count, -1).astype("float64")
        outputs = patches_of(4 * images - 2, size) @ filters[:, :count]
        np.testing.assert_allclose(outputs.T @ outputs / len(outputs), np.eye(count), atol=1e-4)
        np.testing.assert_array_equal(filters[:, count:], -filters[:, :count])
        # By falling eigenvalue: the largest variance gets the smallest filter.
        assert (np.diff(np.linalg.norm(filters[:, :count], axis=0)) > -1e-9).all()

    def test_epsilon_bounds_what_images_do_not_have(self):
        kernel = whitening_kernel(np.full((4, 5, 5, 1), 0.5), epsilon=1e-4)
        np.testing.assert_allclose(np.linalg.norm(kernel.reshape(4, 8), axis=0), 100, rtol=1e-5)

    def test_uint8_is_floats_times_255(self):
        images = np.random.default_rng(1).integers(0, 256, (9, 6, 6, 3)).astype("uint8")
        np.testing.assert_allclose(
            whitening_kernel(images), whitening_kernel(images / 255), rtol=1e-3, atol=1e-4
        )

    @pytest.mark.parametrize(
        ("shape", "arguments", "name"),
        [((4, 1, 5, 3), {}, "images"), ((4, 5, 3), {}, "images"), ((0, 5, 5, 3), {}, "images"),
         ((4, 5, 5, 3), {"size": 0}, "size"), ((4, 5, 5, 3), {"epsilon": 0}, "epsilon")],
    )  # fmt: skip
    def test_bad_arguments_are_named(self, shape, arguments, name):
        with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
            whitening_kernel(np.zeros(shape), **arguments)

    def test_a_model_keeps_the_kernel_of_its_images(self, tmp_path):
        images = random_images((20, 16, 16, 3))
        model = registry.build("quick_spectral", (16, 16, 3), **SMALL)
        registry.adapt("quick_spectral", model, images)
        expected = whitening_kernel(images)
        x, y = random_images((4, 16, 16, 3)), np.array([0, 1, 2, 3])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(Batches(x, y, 4), epochs=1, verbose=0)
        model.save(tmp_path / "model.keras")
        for each in (model, keras.saving.load_model(tmp_path / "model.keras")):
            kernel = to_numpy(each.get_layer("whiten").kernel)
            np.testing.assert_array_equal(kernel, expected)

    def test_other_networks_are_left_alone(self):
        model = registry.build("deep_spectral", width=0.05)
        before = model.get_weights()
        registry.adapt("deep_spectral", model, random_images((4, 32, 32, 3)))
        for weight, old in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, old)


class TestNetwork:
    def test_size(self):
        model = registry.build("quick_spectral")
        trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        assert trainable == 1_971_328
        assert not model.get_layer("whiten").trainable_weights
        assert model.get_layer("features").output.shape == (None, 3, 3, 256)

    @pytest.mark.parametrize(
        "pooling",
        ["max_spectral", "max_blur", "max_windowed", "max_learned", "max", "strided", "spectral"]
        + ["average", "blur", "windowed", "learned"],
    )
    def test_sides_are_halved_whatever_halves_them(self, pooling):
        model = registry.build("quick_spectral", (32, 20, 3), pooling=pooling, **SMALL)
        sides = [model.get_layer(f"group{i}_conv2").output.shape[1:3] for i in (1, 2, 3)]
        assert sides == (
            [(16, 10), (8, 5), (4, 3)] if pooling == "strided" else [(15, 9), (7, 4), (3, 2)]
        )

    def test_a_linear_pooling_follows_the_activation(self):
        for pooling, before in (("spectral", "act1"), ("average", "act1"), ("max", "conv1")):
            model = registry.build("quick_spectral", pooling=pooling, **SMALL)
            for group in ("group1", "group2", "group3"):
                pool = model.get_layer(f"{group}_pool")
                assert pool.input is model.get_layer(f"{group}_{before}").output

    def test_the_maximum_of_every_window_is_pooled_spectrally(self):
        model = registry.build("quick_spectral", sizes=(16, 8, 4), **SMALL)
        maximum, pool = model.get_layer("group1_max"), model.get_layer("group1_pool")
        assert maximum.input is model.get_layer("group1_conv1").output
        assert pool.input is maximum.output and pool.output.shape[1:3] == (16, 16)
        x = random_images((2, 31, 31, 6))
        padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), "edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), axis=(1, 2))
        np.testing.assert_array_equal(to_numpy(maximum(x)), windows.max(axis=(-2, -1)))
        assert model.get_layer("group1_bn1").input is pool.output

    def test_spectral_pooling_takes_any_sizes(self):
        model = registry.build("quick_spectral", sizes=(20, 10, 5), **SMALL)
        assert [model.get_layer(f"group{i}_pool").output.shape[1] for i in (1, 2, 3)] == [20, 10, 5]
        model = registry.build("quick_spectral", (33, 65, 3), sizes=(16, 16, 4), **SMALL)
        assert [model.get_layer(f"group{i}_pool").output.shape[1:3] for i in (1, 2, 3)] == [
            (16, 32), (16, 32), (4, 8),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"sizes": (16, 8)}, "sizes"),
            ({"sizes": (32, 8, 4)}, "sizes"),
            ({"sizes": (16, 17, 4)}, "sizes"),
            ({"sizes": (16, 8, 0)}, "sizes"),
            ({"sizes": (16, 8, 4), "pooling": "max"}, "sizes"),
            ({"sizes": (16, 8, 4), "pooling": "average"}, "sizes"),
            ({"pooling": "mean"}, "pooling"),
            ({"activation": "tanh"}, "activation"),
            ({"conv": "fast"}, "conv"),
            ({"input_shape": (8, 32, 3)}, "input_shape"),
        ],
    )
    def test_bad_options_are_named(self, options, name):
        with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
            registry.build("quick_spectral", **options)

    @pytest.mark.parametrize("conv", ["spatial", "spectral", "hermitian"])
    def test_convolutions_start_as_copies_of_their_inputs(self, conv):
        model = registry.build("quick_spectral", conv=conv, width=0.5)
        layer = model.get_layer("group2_conv1")
        kernel = to_numpy(layer.kernel if conv == "spatial" else layer.spatial_kernel())
        assert kernel.shape == (3, 3, 32, 128)
        copies = np.zeros((3, 3, 32, 32))
        copies[1, 1] = np.eye(32)
        np.testing.assert_allclose(kernel[..., :32], copies, atol=1e-6)
        bound = (9 * 32) ** -0.5  # PyTorch's default of a convolution
        assert 0.9 * bound < np.abs(kernel[..., 32:]).max() < 1.001 * bound
