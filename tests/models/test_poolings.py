"""Poolings by name: sizes, and values against float64 NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

from spectral_keras import windows
from spectral_keras.models import registry
from spectral_keras.models.poolings import LINEAR, pool
from tests.oracles import random_images, to_numpy


def pooled(x, pooling, **options):
    inputs = keras.Input(x.shape[1:])
    return to_numpy(keras.Model(inputs, pool(inputs, pooling, "pool", **options))(x))


@pytest.mark.parametrize("side", [13, 14, 16])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("pooling", ["max", *LINEAR])
def test_sides_are_those_of_a_strided_convolution(pooling, stride, side):
    x = random_images((1, side, 16, 2))
    output = pooled(x, pooling, stride=stride)
    strided = layers.Conv2D(1, 3, strides=stride, padding="same")(x)
    if pooling == "diffstride":
        assert all(a > b for a, b in zip(output.shape[1:3], strided.shape[1:3], strict=True))
    else:
        assert output.shape[1:3] == tuple(strided.shape[1:3])


@pytest.mark.parametrize("pooling", LINEAR)
def test_constant_maps_stay_constant(pooling):
    x = np.full((1, 16, 12, 2), 0.7, "float32")
    np.testing.assert_allclose(pooled(x, pooling), 0.7, atol=1e-6)


def test_blur_is_the_binomial_filter_before_the_stride():
    x = random_images((2, 15, 15, 3))
    row = np.convolve
    blurred = np.apply_along_axis(lambda v: row(v, [0.25, 0.5, 0.25], "valid"), 1, x.astype(float))
    blurred = np.apply_along_axis(lambda v: row(v, [0.25, 0.5, 0.25], "valid"), 2, blurred)
    np.testing.assert_allclose(pooled(x, "blur", padding="valid"), blurred[:, ::2, ::2], atol=1e-6)


def _low_pass(x, size, window):
    """Even maps by NumPy's FFT; Nyquist's bin is the mean of its two."""
    for axis, n in ((1, size), (2, size)):
        spectrum = np.fft.fft(x, axis=axis)
        m, k = n, np.fft.fftfreq(n, 1 / n).astype(int)
        kept = np.take(spectrum, k, axis=axis)
        other = np.take(spectrum, -k, axis=axis)
        kept = np.where((k == -(m // 2)).reshape([-1 if a == axis else 1 for a in range(4)]),
                        (kept + other) / 2, kept)  # fmt: skip
        factors = np.abs(window)[np.abs(k)].reshape([-1 if a == axis else 1 for a in range(4)])
        x = np.fft.ifft(kept * factors, axis=axis).real * m / x.shape[axis]
    return x


@pytest.mark.parametrize("pooling", ["spectral", "windowed", "learned"])
def test_low_frequencies_are_kept_with_their_window(pooling):
    x = random_images((2, 32, 32, 3)).astype("float64")
    frequency = np.arange(9)
    window = {
        "spectral": np.ones(9),
        "windowed": np.asarray(windows.hamming(frequency, 32, 16)),
        # K = 8 and R = 4: the ramp ends at 8.25.
        "learned": np.clip((8.25 - frequency) / 4, 0, 1),
    }[pooling]
    np.testing.assert_allclose(
        pooled(x.astype("float32"), pooling), _low_pass(x, 16, window), atol=2e-5
    )


def test_the_learned_stride_has_a_gradient_at_its_start():
    model = registry.build("resnet18", (16, 16, 3), pooling="learned", width=0.05)
    model.compile("sgd", "mse")
    strides = {w.path: to_numpy(w) for w in model.trainable_weights if "strides" in w.path}
    assert len(strides) == 4  # of 8 and 4 values; 2 leave no choice
    model.fit(random_images((8, 16, 16, 3)), np.ones((8, 10)), verbose=0)
    moved = [w for w in model.trainable_weights if "strides" in w.path]
    assert all(np.abs(to_numpy(w) - strides[w.path]).max() > 0 for w in moved)


def test_poor_strides():
    model = registry.build("resnet18", strides=(1, 3, 2, 3), width=0.05)
    assert model.get_layer("features").output.shape[1:3] == (2, 2)
    for bad in ((1, 2, 2), (1, 0, 2, 2), (1, 2, 2, 10**9)):
        with pytest.raises(ValueError, match="`strides` must be 4 integers from 1 to 8"):
            registry.build("resnet18", strides=bad)
