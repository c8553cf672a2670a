"""Fourier heat map against the same computation in float64 numpy."""

import gc
import math
import weakref

import keras
import numpy as np
import pytest

from spectral_keras.analysis import (
    FourierNoise,
    fourier_heat_map,
    point_perturbation,
    real_frequencies,
)

LAST = {"data_format": "channels_last"}


def linear_model(kernel, bias, shape, activation=None):
    """Flatten and Dense: logits x . kernel + bias, or their softmax."""
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(data_format="channels_last"),
            keras.layers.Dense(len(bias), activation=activation),
        ]
    )
    model.layers[-1].set_weights([np.asarray(kernel, "float32"), np.asarray(bias, "float32")])
    return model


def signs_of(seed, frequency, width, shape):
    """As documented."""
    stream = np.random.default_rng((seed, frequency[0] * width + frequency[1]))
    return stream.integers(0, 2, shape) * 2 - 1


def oracle(images, labels, kernel, bias, norm, seed=0, clip=(0, 1), phase=0.0):
    """(error rates [F], smallest margin between the two largest logits), float64."""
    count, height, width, depth = images.shape
    y, x = np.mgrid[:height, :width]
    errors, margin = [], math.inf
    for i, j in real_frequencies((height, width)).tolist():
        wave = np.cos(2 * np.pi * (i * y / height + j * x / width) + phase)
        if (2 * i) % height == 0 and (2 * j) % width == 0:
            wave = np.sign(np.cos(phase)) * np.cos(2 * np.pi * (i * y / height + j * x / width))
        wave *= norm / np.linalg.norm(wave)
        signs = signs_of(seed, (i, j), width, (count, depth))
        changed = images + wave[None, :, :, None] * signs[:, None, None, :]
        if clip:
            changed = np.clip(changed, *clip)
        logits = changed.reshape(count, -1) @ kernel + bias
        ordered = np.sort(logits, axis=1)
        margin = min(margin, (ordered[:, -1] - ordered[:, -2]).min())
        errors.append((logits.argmax(1) != labels).mean())
    return np.array(errors), margin


def random_case(size=(5, 6), depth=2, count=9, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.random((count, *size, depth)).astype("float32")
    kernel = rng.normal(size=(size[0] * size[1] * depth, classes)).astype("float32")
    bias = -0.5 * kernel.sum(0)
    labels = (images.reshape(count, -1) @ kernel + bias).argmax(1)
    return images, labels, kernel, bias


class TestNumbers:
    @pytest.mark.parametrize("clip", [(0.0, 1.0), None])
    @pytest.mark.parametrize("size", [(5, 6), (7, 7), (6, 4)])
    def test_against_float64(self, size, clip):
        images, labels, kernel, bias = random_case(size)
        model = linear_model(kernel, bias, images.shape[1:])
        got = fourier_heat_map(
            model, images, labels, norm=2.0, seed=3, clip=clip, batch_size=16, **LAST
        )
        expected, margin = oracle(images, labels, kernel, bias, 2.0, 3, clip)
        assert margin > 1e-5 and 0.02 < expected.mean() < 0.9
        index = real_frequencies(size)
        assert got.shape == size and got.dtype == np.float64
        np.testing.assert_array_equal(got[index[:, 0], index[:, 1]], expected)
        np.testing.assert_array_equal(got[-index[:, 0], -index[:, 1]], expected)

    def test_a_classifier_of_one_frequency(self):
        # Class 1 where the image's share of U_{2,1} is positive: nothing else can flip it.
        size, frequency = (8, 6), (2, 1)
        wave = point_perturbation(size, [frequency], strength=1.0)[0]
        kernel = np.stack([np.zeros(wave.size), wave.ravel()], axis=1)
        amounts = np.array([0.05, 0.15, 0.25, 0.35, -0.1, -0.3])
        images = 0.5 + amounts[:, None, None] * wave
        images = images[..., None].astype("float32")
        labels = (amounts > 0).astype(int)
        model = linear_model(kernel, [0, 0], images.shape[1:])
        got = fourier_heat_map(model, images, labels, norm=0.2, clip=None, seed=5, **LAST)
        signs = signs_of(5, frequency, 6, (6, 1))[:, 0]
        flipped = (amounts + 0.2 * signs > 0) != (amounts > 0)
        assert 0 < flipped.sum() < 6
        expected = np.zeros(size)
        expected[2, 1] = expected[-2, -1] = flipped.mean()
        np.testing.assert_array_equal(got, expected)

    def test_clipping_spreads_to_harmonics(self):
        # A model of frequency 3 alone is fooled by a clipped cosine of frequency 1, too.
        wave = point_perturbation((1, 16), [[0, 3]], strength=1.0)[0]
        kernel = np.stack([np.zeros(16), wave.ravel()], axis=1)
        images = np.full((40, 1, 16, 1), 0.5, "float32") - 0.1 * wave[None, :, :, None]
        images = images.astype("float32")
        model = linear_model(kernel, [0, 0], (1, 16, 1))
        common = {"norm": 6.0, "frequencies": [[0, 1]], **LAST}
        free = fourier_heat_map(model, images, np.zeros(40, int), clip=None, **common)
        clipped = fourier_heat_map(model, images, np.zeros(40, int), **common)
        assert free[0, 1] == 0 and 0.2 < clipped[0, 1] < 0.8

    def test_no_perturbation(self):
        images, labels, kernel, bias = random_case()
        labels[:4] = (labels[:4] + 1) % 3
        model = linear_model(kernel, bias, images.shape[1:], "softmax")
        got = fourier_heat_map(model, images, labels, norm=0, **LAST)
        np.testing.assert_array_equal(got, 4 / 9)

    def test_phase(self):
        images, labels, kernel, bias = random_case(seed=2)
        model = linear_model(kernel, bias, images.shape[1:])
        got = fourier_heat_map(model, images, labels, norm=2.0, phase=0.9, **LAST)
        expected, margin = oracle(images, labels, kernel, bias, 2.0, phase=0.9)
        index = real_frequencies((5, 6))
        assert margin > 1e-5
        np.testing.assert_array_equal(got[index[:, 0], index[:, 1]], expected)
        assert (got != fourier_heat_map(model, images, labels, norm=2.0, **LAST)).any()

    def test_channels_first(self):
        images, labels, kernel, bias = random_case()
        last = fourier_heat_map(
            linear_model(kernel, bias, (5, 6, 2)), images, labels, norm=2.0, **LAST
        )
        moved = kernel.reshape(5, 6, 2, 3).transpose(2, 0, 1, 3).reshape(60, 3)
        first = fourier_heat_map(
            linear_model(moved, bias, (2, 5, 6)), images.transpose(0, 3, 1, 2), labels, norm=2.0,
            data_format="channels_first",
        )  # fmt: skip
        np.testing.assert_array_equal(first, last)

    def test_an_output_that_is_not_finite_is_an_error(self):
        images, labels, kernel, bias = random_case()
        kernel = kernel.copy()
        kernel[:, 0] = np.nan
        model = linear_model(kernel, bias, images.shape[1:])
        got = fourier_heat_map(model, images, np.zeros(9, int), frequencies=[[1, 2]], **LAST)
        assert got[1, 2] == 1


class TestCalls:
    def test_nothing_depends_on_batches_subsets_and_later_images(self):
        images, labels, kernel, bias = random_case(count=11)
        model = linear_model(kernel, bias, images.shape[1:])
        common = {"norm": 2.0, "seed": 1, **LAST}
        whole = fourier_heat_map(model, images, labels, batch_size=1000, **common)
        for batch_size in (1, 5, 11, 40):
            other = fourier_heat_map(model, images, labels, batch_size=batch_size, **common)
            np.testing.assert_array_equal(other, whole)
        some = fourier_heat_map(
            model, images, labels, frequencies=[[2, -1], [0, 3], [-2, 1]], **common
        )
        asked = np.zeros((5, 6), bool)
        asked[2, 5] = asked[3, 1] = asked[0, 3] = True
        np.testing.assert_array_equal(some[asked], whole[asked])
        assert np.isnan(some[~asked]).all()
        # The first images are what they are with others behind them.
        counts = (1, 4, 11)
        wrong = [fourier_heat_map(model, images[:n], labels[:n], **common) * n for n in counts]
        rest = [signs_of(1, (2, 3), 6, (n, 2))[:1].tolist() for n in counts]
        assert rest[0] == rest[1] == rest[2]
        for k in (0, 1):
            added = np.round(wrong[k + 1] - wrong[k], 9)
            assert added.min() >= 0 and added.max() <= counts[k + 1] - counts[k]

    def test_radius(self):
        images, labels, kernel, bias = random_case()
        model = linear_model(kernel, bias, images.shape[1:])
        whole = fourier_heat_map(model, images, labels, norm=2.0, **LAST)
        got = fourier_heat_map(model, images, labels, norm=2.0, frequencies=math.sqrt(2), **LAST)
        inside = np.zeros((5, 6), bool)
        inside[np.ix_([-1, 0, 1], [-1, 0, 1])] = True
        np.testing.assert_array_equal(np.isnan(got), ~inside)
        np.testing.assert_array_equal(got[inside], whole[inside])

    def test_progress(self):
        images, labels, kernel, bias = random_case()
        model = linear_model(kernel, bias, images.shape[1:])
        calls = []
        fourier_heat_map(
            model, images, labels, frequencies=[[0, 1], [1, 1], [0, -1]], batch_size=7,
            progress=lambda done, total: calls.append((done, total)), **LAST,
        )  # fmt: skip
        assert calls == [(7, 18), (14, 18), (18, 18)]

    def test_one_hot_labels_and_tensors(self):
        images, labels, kernel, bias = random_case()
        model = linear_model(kernel, bias, images.shape[1:])
        expected = fourier_heat_map(model, images, labels, norm=2.0, **LAST)
        tensors = (
            keras.ops.convert_to_tensor(images),
            keras.ops.convert_to_tensor(np.eye(3)[labels]),
        )
        np.testing.assert_array_equal(fourier_heat_map(model, *tensors, norm=2.0, **LAST), expected)
        column = labels[:, None].astype("uint8")
        np.testing.assert_array_equal(
            fourier_heat_map(model, images, column, norm=2.0, **LAST), expected
        )

    def test_a_subclassed_model_and_a_fixed_batch(self):
        class Wrapper(keras.Model):
            def __init__(self, kernel, bias):
                super().__init__()
                self.flatten = keras.layers.Flatten(data_format="channels_last")
                self.dense = keras.layers.Dense(3)
                self.first = kernel, bias

            def build(self, shape):
                self.dense.build((None, 60))
                self.dense.set_weights(list(self.first))

            def call(self, x):
                return self.dense(self.flatten(x))

        images, labels, kernel, bias = random_case()
        expected = fourier_heat_map(
            linear_model(kernel, bias, images.shape[1:]), images, labels, norm=2.0, **LAST
        )
        got = fourier_heat_map(Wrapper(kernel, bias), images, labels, norm=2.0, **LAST)
        np.testing.assert_array_equal(got, expected)
        inputs = keras.Input((5, 6, 2), batch_size=8)
        dense = keras.layers.Dense(3)
        model = keras.Model(
            inputs, dense(keras.layers.Flatten(data_format="channels_last")(inputs))
        )
        dense.set_weights([kernel, bias])
        got = fourier_heat_map(model, images, labels, norm=2.0, batch_size=5, **LAST)
        np.testing.assert_array_equal(got, expected)

    def test_batch_statistics_and_dropout_stay_still(self):
        model = keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5, seed=1),
                keras.layers.Flatten(),
                keras.layers.Dense(2),
            ]
        )
        before = [keras.ops.convert_to_numpy(v) for v in model.variables]
        images = np.random.default_rng(0).random((6, 4, 4, 1)).astype("float32")
        first = fourier_heat_map(model, images, np.zeros(6, int), norm=1.0, **LAST)
        second = fourier_heat_map(model, images, np.zeros(6, int), norm=1.0, **LAST)
        np.testing.assert_array_equal(first, second)
        for old, new in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(new))

    def test_new_weights_are_seen_and_the_model_is_not_kept_alive(self):
        images, labels, kernel, bias = random_case()
        model = linear_model(kernel, bias, images.shape[1:])
        first = fourier_heat_map(model, images, labels, norm=2.0, **LAST)
        model.set_weights([-kernel, -bias])
        got = fourier_heat_map(model, images, labels, norm=2.0, **LAST)
        expected, _ = oracle(images, labels, -kernel, -bias, 2.0)
        index = real_frequencies((5, 6))
        np.testing.assert_array_equal(got[index[:, 0], index[:, 1]], expected)
        assert (first != got).any()
        reference = weakref.ref(model)
        del model
        keras.backend.clear_session()
        gc.collect()
        assert reference() is None

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"model": len}, "`model` must be a Keras model"),
            ({"images": np.zeros((9, 5, 6, 2), "uint8")}, "`images` must be floats.*uint8"),
            ({"images": np.zeros((9, 5, 7, 2))}, r"`images`.*\(None, 5, 6, 2\).*\(9, 5, 7, 2\)"),
            ({"images": np.zeros((0, 5, 6, 2))}, "at least one image"),
            ({"images": np.full((9, 5, 6, 2), np.nan)}, "`images` must be finite"),
            ({"images": np.full((9, 5, 6, 2), 1.5)}, r"`images` must lie in clip=\(0.0, 1.0\)"),
            ({"labels": np.full(9, np.nan)}, "`labels` must be integers or one-hot rows.*float64"),
            ({"labels": np.zeros(8, int)}, r"`labels` must be 9 integers.*shape \(8,\)"),
            ({"labels": np.full(9, 3)}, "`labels` must hold classes from 0 to 2.*3 to 3"),
            ({"labels": np.full((9, 3), 0.5)}, "`labels` must be integers or one-hot rows"),
            ({"norm": -1}, "`norm`.*>= 0"),
            ({"clip": (1, 0)}, "`clip`.*low < high"),
            ({"clip": 1}, "`clip` must be None or a pair"),
            ({"seed": -1}, "`seed`"),
            ({"batch_size": 0}, "`batch_size`"),
            ({"progress": 1}, "`progress`"),
            ({"frequencies": [[5, 0]]}, r"`frequencies`.*\(5, 6\)"),
            ({"frequencies": -1}, "`frequencies` must be a number >= 0"),
            ({"frequencies": "all"}, "`frequencies` must be a number.*'all'"),
            ({"phase": math.inf}, "`phase` must be a finite number"),
            ({"data_format": "x"}, "`data_format`"),
        ],
    )
    def test_errors(self, change, message):
        images, labels, kernel, bias = random_case()
        arguments = {"model": linear_model(kernel, bias, (5, 6, 2)), "images": images}
        arguments |= {"labels": labels, **LAST, **change}
        with pytest.raises(ValueError, match=message):
            fourier_heat_map(**arguments)

    def test_a_model_without_classes(self):
        inputs = keras.Input((4, 4, 1))
        model = keras.Model(inputs, keras.layers.Conv2D(2, 1, **LAST)(inputs))
        with pytest.raises(ValueError, match=r"`model` must give one tensor of shape \[batch"):
            fourier_heat_map(model, np.zeros((1, 4, 4, 1), "float32"), [0], **LAST)


def test_the_noise_is_as_documented():
    noise = FourierNoise(2.0, phase=0.9, clip=[0, 1], seed=3)
    np.testing.assert_array_equal(noise.signs((2, 1), 6, (5, 2)), signs_of(3, (2, 1), 6, (5, 2)))
    expected = point_perturbation((5, 6), [[2, 1]], 2.0, 0.9)
    np.testing.assert_array_equal(noise.waves((5, 6), [[2, 1]]), expected.astype("float32"))
    assert noise == FourierNoise(2, phase=0.9, seed=3)
