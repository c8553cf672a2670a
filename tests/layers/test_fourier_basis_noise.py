"""FourierBasisNoise: the layers' contract, waves by numpy and the law of the draws."""

import keras
import numpy as np
import pytest

from spectral_keras.layers import FourierBasisNoise
from spectral_keras.ops.planar_waves import planar_waves
from tests.layer_checks import check_layer
from tests.layers.training_call import training_call
from tests.oracles import compiled, float64_or_float32, random_images, to_numpy


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"data_format": "channels_last"}, (3, 6, 5, 3)),
        (
            {
                "strength": 2.0,
                "frequencies": [1, 3],
                "probability": 0.5,
                "clip": None,
                "seed": 7,
                "data_format": "channels_first",
            },
            (3, 1, 5, 6),
        ),
    ],
)
def test_contract(options, shape):
    check_layer(
        FourierBasisNoise,
        options,
        shape,
        expected_output_shape=shape,
        expected_weights=0,
        expected_seed_generators=1,
        dtypes=("mixed_bfloat16", "mixed_float16"),
    )


@pytest.mark.parametrize("size", [(8, 8), (7, 6), (6, 9), (1, 4)])
def test_waves(size):
    dtype = float64_or_float32()
    rng = np.random.default_rng(0)
    f, angle = rng.uniform(0.05, 1, (4, 3)), rng.uniform(0, np.pi, (4, 3))
    v, u = (np.arange(n) - (n - 1) / 2 for n in size)
    expected = np.sin(
        2 * np.pi * f[..., None, None] * (
            v[:, None] * np.cos(angle)[..., None, None] + u * np.sin(angle)[..., None, None]
        )
        - np.pi / 4
    )  # fmt: skip
    expected /= np.linalg.norm(expected, axis=(-2, -1), keepdims=True)
    waves = compiled(lambda *x: planar_waves(*x, *size))(f.astype(dtype), angle.astype(dtype))
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(to_numpy(waves), expected, atol=tolerance)


@pytest.mark.parametrize("size", [(32, 32), (48, 12)])
def test_law_of_the_strength(size):
    x = np.full((2000, *size, 1), 0.5, "float32")
    noise = to_numpy(training_call(FourierBasisNoise(clip=None, seed=1), x)) - x
    rms = 32 * np.sqrt(np.mean(np.square(noise), axis=(1, 2, 3)))
    # Exponential of mean 5: 2000 draws have a mean within 5 +- 0.11 and quartiles by logarithms.
    assert rms.mean() == pytest.approx(5, rel=0.08)
    quartiles = -5 * np.log(1 - np.array([0.25, 0.5, 0.75]))
    np.testing.assert_allclose(np.quantile(rms, [0.25, 0.5, 0.75]), quartiles, rtol=0.15)


def test_every_frequency_has_its_share_and_every_channel_its_own():
    x = np.full((600, 16, 16, 2), 0.5, "float32")
    layer = FourierBasisNoise(frequencies=[2, 5], clip=None, seed=1)
    noise = to_numpy(training_call(layer, x)) - x
    power = np.abs(np.fft.fft2(noise, axes=(1, 2))) ** 2
    k = np.fft.fftfreq(16, 1 / 16)
    radius = np.hypot(k[:, None], k)[None, :, :, None]
    mean_radius = (power * radius).sum((1, 2)) / power.sum((1, 2))
    low = mean_radius < 3.6
    # Off the grid a wave leaks, but no wave of 5 periods looks like one of 2.
    assert 0.4 < low.mean() < 0.6
    assert 0.4 < (low[:, 0] == low[:, 1]).mean() < 0.6


def test_clip_and_probability():
    x = random_images((200, 6, 6, 1))
    y = to_numpy(training_call(FourierBasisNoise(probability=0.25, seed=1), x))
    assert y.min() >= 0 and y.max() <= 1
    assert 20 < (y != x).any((1, 2, 3)).sum() < 80  # 50 +- 6
    for unchanged in (FourierBasisNoise(0.0), FourierBasisNoise(probability=0.0)):
        np.testing.assert_array_equal(to_numpy(training_call(unchanged, x), "float32"), x)


def test_training_only_and_both_data_formats():
    x = random_images((2, 9, 8, 3))
    layer = FourierBasisNoise(seed=1)
    np.testing.assert_array_equal(to_numpy(layer(x, training=False), "float32"), x)
    last = to_numpy(training_call(layer, x))
    other = FourierBasisNoise(seed=1, data_format="channels_first")
    first = to_numpy(training_call(other, np.moveaxis(x, 3, 1)))
    np.testing.assert_allclose(np.moveaxis(first, 1, 3), last, atol=1e-6)
    assert not np.array_equal(last, to_numpy(training_call(layer, x)))


def test_in_a_tf_data_pipeline():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a layer runs inside tf.data on the TensorFlow backend only")
    import tensorflow as tf

    layer = FourierBasisNoise(seed=3)
    data = tf.data.Dataset.from_tensor_slices(np.full((8, 8, 8, 3), 0.5, "float32")).batch(2)
    noise = np.concatenate([x - 0.5 for x in data.map(lambda x: layer(x, training=True))])
    assert len(np.unique(noise[:, 0, 0])) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": -1.0}, "strength=-1.0"),
        ({"frequencies": []}, r"frequencies=\[\]"),
        ({"frequencies": [0]}, "frequencies=0"),
        ({"probability": 2}, "probability=2"),
        ({"clip": 1.0}, "clip=1.0"),
    ],
)
def test_errors_show_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        FourierBasisNoise(**arguments)
