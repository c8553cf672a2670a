"""FrequencyNoise: the layers' contract, numpy's FFTs and the law of its draws."""

import functools

import keras
import numpy as np
import pytest

from spectral_keras.layers.frequency_noise import FrequencyNoise
from spectral_keras.ops.mask_curves import noise_masks
from spectral_keras.ops.spectral_noise import (
    amplitude_noise,
    draw_control,
    draw_even,
    noise_deviation,
)
from tests.layer_checks import check_layer
from tests.layers.training_call import training_call
from tests.oracles import (
    compiled,
    float64_or_float32,
    input_gradient,
    random_images,
    signed_frequency,
    to_numpy,
)

OPEN, CLOSED = [0.0] * 5, [1.0] * 5


def full(half, width):
    """The even array of a half plane, (..., height, width//2 + 1) -> (..., height, width)."""
    rest = half[..., 1 : (width + 1) // 2]
    rest = np.flip(np.roll(rest, -1, axis=-2), (-2, -1))
    return np.concatenate([half, rest], axis=-1)


def numpy_noise(planes, amplitudes):
    """F^-1(R F/|F|), complex."""
    spectrum = np.fft.fft2(planes)
    return np.fft.ifft2(amplitudes * spectrum / np.abs(spectrum))


def amplitude_change(layer, x):
    """R of each coefficient, (batch, height, width, channels), as far as |F| + R > 0."""
    y = to_numpy(training_call(layer, x))
    change = np.fft.fft2(y, axes=(1, 2)) - np.fft.fft2(x, axes=(1, 2))
    spectrum = np.fft.fft2(x, axes=(1, 2))
    ratio = change * np.conj(spectrum) / np.abs(spectrum)
    return ratio


def images_of_large_spectrum(shape, seed=0):
    """A delta and a little: |F| is about 1000 everywhere, so that noise cannot turn the phase."""
    x = random_images(shape, seed)
    x[:, 0, 0, :] += 1000
    return x


class TestContract:
    def test_default(self):
        check_layer(
            FrequencyNoise,
            {"data_format": "channels_last"},
            (3, 6, 5, 3),
            expected_output_shape=(3, 6, 5, 3),
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=("float32", "float64", "mixed_bfloat16", "mixed_float16"),
        )

    def test_every_option(self):
        check_layer(
            FrequencyNoise,
            {
                "sigma": 0.5,
                "alpha_r": [0.5, 0.0, 1.0, 0.25, 0.0],
                "uniform_bands": 2,
                "probability": 0.5,
                "per_channel": False,
                "keep_phase": True,
                "variant": "printed",
                "reference_size": 41,
                "seed": 7,
                "data_format": "channels_first",
            },
            (3, 1, 5, 6),
            expected_output_shape=(3, 1, 5, 6),
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=("mixed_bfloat16",),
        )

    @pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
    def test_half_precision_while_training(self, dtype):
        x = random_images((2, 8, 9, 2))
        layer = FrequencyNoise(1.0, seed=2, alpha_r=OPEN, dtype=dtype)
        y = training_call(layer, x)
        assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
        exact = training_call(FrequencyNoise(1.0, seed=2, alpha_r=OPEN), x)
        np.testing.assert_allclose(to_numpy(y), to_numpy(exact), atol=0.05)


class TestCorrectness:
    @pytest.mark.parametrize("size", [(8, 8), (7, 6), (6, 9), (1, 4)])
    def test_noise_is_even_and_the_image_real(self, size):
        dtype = float64_or_float32()
        half = draw_even(2, 3, *size, keras.random.SeedGenerator(1))
        noise = full(to_numpy(half), size[1])
        assert noise.shape == (2, 3, *size)
        np.testing.assert_array_equal(noise, np.roll(np.flip(noise, (2, 3)), 1, (2, 3)))
        x = random_images((2, 3, *size), dtype=dtype)
        expected = numpy_noise(x.astype("float64"), noise)
        assert np.abs(expected.imag).max() < 1e-12
        tensor = keras.ops.convert_to_tensor(x, dtype=dtype)
        actual = to_numpy(compiled(amplitude_noise)(tensor, keras.ops.cast(half, dtype)))
        # A small |F| of a float32 image has a direction of few digits.
        tolerance = 1e-12 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(actual, expected.real, atol=tolerance)

    def test_one_noise_for_all_channels(self):
        half = draw_even(1, 1, 6, 5, keras.random.SeedGenerator(1))
        x = random_images((1, 3, 6, 5))
        expected = numpy_noise(x.astype("float64"), full(to_numpy(half), 5)).real
        np.testing.assert_allclose(
            to_numpy(compiled(amplitude_noise)(x, half)), expected, atol=1e-4
        )

    @pytest.mark.parametrize("size", [(8, 8), (7, 6)])
    def test_keep_phase_stops_at_zero(self, size):
        dtype = float64_or_float32()
        # Grey with little contrast: most amplitudes are small.
        x = 0.5 + 0.01 * random_images((2, 1, *size), dtype=dtype)
        half = keras.ops.cast(draw_even(2, 1, *size, keras.random.SeedGenerator(1)), dtype)
        spectrum = np.fft.fft2(x)
        noise = full(to_numpy(half), size[1])
        flipped = np.abs(spectrum) + noise < 0
        assert flipped.mean() > 0.3
        tensor = keras.ops.convert_to_tensor(x, dtype=dtype)
        stopped = compiled(functools.partial(amplitude_noise, keep_phase=True))
        y = x + to_numpy(stopped(tensor, half))
        amplitudes = np.maximum(np.abs(spectrum) + noise, 0)
        tolerance = 1e-12 if dtype == "float64" else 1e-3
        np.testing.assert_allclose(np.abs(np.fft.fft2(y)), amplitudes, atol=tolerance)
        turned = x + to_numpy(compiled(amplitude_noise)(tensor, half))
        back = (np.fft.fft2(turned) * np.conj(spectrum)).real
        np.testing.assert_array_equal(back[np.abs(back) > 1e-4] < 0, flipped[np.abs(back) > 1e-4])

    def test_flat_images_get_noise_of_the_same_power(self):
        # No phase to keep: |F| is 0 or rounding noise.
        for image in (np.zeros, np.ones):
            x = 0.3 * image((32, 16, 16, 1), "float32")
            y = to_numpy(training_call(FrequencyNoise(alpha_r=OPEN, seed=1), x))
            assert np.isfinite(y).all()
            assert np.std(y - x) == pytest.approx(1 / 16, rel=0.1)

    @pytest.mark.parametrize(("n", "deviation"), [(40, 0.025), (32, 0.03125)])
    @pytest.mark.parametrize(("variant", "share"), [("consistent", 1.0), ("printed", 0.5)])
    def test_deviation_of_a_pixel(self, n, deviation, variant, share):
        x = random_images((8, n, n, 3))
        layer = FrequencyNoise(1.0, alpha_r=OPEN, variant=variant, seed=1)
        noise = to_numpy(training_call(layer, x)) - x
        # 24 n^2 numbers of which half are independent: 1 % is 1.4 standard deviations.
        assert np.std(noise) == pytest.approx(deviation * np.sqrt(share), rel=0.02)

    def test_sigma_is_a_variance(self):
        x = random_images((2, 16, 16, 3))
        noise = [
            to_numpy(training_call(FrequencyNoise(sigma, alpha_r=OPEN, seed=1), x)) - x
            for sigma in (1.0, 4.0)
        ]
        np.testing.assert_allclose(noise[1], 2 * noise[0], atol=1e-5)

    @pytest.mark.parametrize("variant", ["consistent", "printed"])
    @pytest.mark.parametrize("n", [7, 8])
    def test_variance_of_each_amplitude(self, n, variant):
        control = [0.0, 0.5, 1.0, 0.75, 0.25]
        x = images_of_large_spectrum((3000, n, n, 1))
        layer = FrequencyNoise(2.0, alpha_r=control, variant=variant, seed=1)
        change = amplitude_change(layer, x)
        assert np.abs(change.imag).max() < 0.02  # rounding at 1000
        masks = noise_masks(n, n)
        expected = 2.0 * (1 - np.tensordot(control, masks, 1))
        k = signed_frequency(n)
        alone = (2 * k) % n == 0
        if variant == "printed":
            expected *= np.where(np.outer(alone, alone), 1.0, 0.5)
        variance = change.real.var(0)[..., 0]
        # Deviation of an estimated variance: sqrt(2 / 3000) = 2.6 %.
        np.testing.assert_allclose(variance, expected, rtol=0.13, atol=1e-3)

    def test_deviation_of_the_control_matrix(self):
        control = np.array([OPEN, CLOSED, [0.25, 0.5, 0.0, 1.0, 0.75]], "float32")
        deviation = to_numpy(noise_deviation(control, 40, 36, 2.0))
        masks = noise_masks(40, 36)[:, :, :19]
        expected = np.sqrt(2 * (1 - np.tensordot(control, masks, 1)))
        np.testing.assert_allclose(deviation[[0, 2]], expected[[0, 2]], atol=1e-6)
        np.testing.assert_array_equal(deviation[1], 0)

    def test_all_protected_is_the_identity(self):
        x = random_images((2, 9, 8, 3))
        y = training_call(FrequencyNoise(alpha_r=CLOSED), x)
        np.testing.assert_array_equal(to_numpy(y, "float32"), x)

    def test_shared_noise_and_channels(self):
        x = images_of_large_spectrum((1, 16, 16, 3))
        own, shared = (
            amplitude_change(FrequencyNoise(per_channel=per_channel, alpha_r=OPEN, seed=1), x).real
            for per_channel in (True, False)
        )
        np.testing.assert_allclose(shared[..., 0], shared[..., 2], atol=0.02)
        assert abs(np.corrcoef(own[..., 0].ravel(), own[..., 2].ravel())[0, 1]) < 0.4

    def test_both_data_formats(self):
        # One channel: the same numbers are sampled for both.
        x = random_images((2, 9, 8, 1))
        last = training_call(FrequencyNoise(seed=1), x)
        first = training_call(
            FrequencyNoise(seed=1, data_format="channels_first"), np.moveaxis(x, 3, 1)
        )
        np.testing.assert_allclose(np.moveaxis(to_numpy(first), 1, 3), to_numpy(last), atol=1e-6)

    def test_gradient_is_the_identitys(self):
        x, g = random_images((2, 6, 5, 2)), random_images((2, 6, 5, 2), seed=1)
        layer = FrequencyNoise(seed=1)
        layer.build(x.shape)

        def scalar(z):
            return keras.ops.sum(layer(z, training=True) * keras.ops.convert_to_tensor(g))

        if keras.backend.backend() == "jax":  # the seed may not change inside a gradient
            state = [(v, v.value) for v in layer.variables]

            def pure(z):
                with keras.StatelessScope(state_mapping=state):
                    return scalar(z)

            np.testing.assert_allclose(input_gradient(compiled(pure), x), g, atol=1e-6)
        else:
            np.testing.assert_allclose(input_gradient(scalar, x), g, atol=1e-6)


class TestDraws:
    @pytest.mark.parametrize("uniform_bands", [1, 3, 5])
    def test_law_of_the_control(self, uniform_bands):
        seed = keras.random.SeedGenerator(0)
        control = to_numpy(draw_control(4000, seed, uniform_bands))
        assert control.shape == (4000, 5)
        binary = (control == 0) | (control == 1)
        np.testing.assert_array_equal((~binary).sum(1), uniform_bands)
        # 5 standard deviations of a share of 4000 draws: at most 0.04.
        np.testing.assert_allclose((~binary).mean(0), uniform_bands / 5, atol=0.04)
        deciles = np.histogram(control[~binary], 10, (0, 1))[0] / (~binary).sum()
        np.testing.assert_allclose(deciles, 0.1, atol=0.025)
        if uniform_bands < 5:
            np.testing.assert_allclose(control[binary].mean(), 0.5, atol=0.04)

    def test_probability(self):
        x = random_images((200, 4, 4, 1))
        y = to_numpy(training_call(FrequencyNoise(probability=0.25, alpha_r=OPEN, seed=1), x))
        changed = (y != x).any((1, 2, 3))
        assert 20 < changed.sum() < 80  # 50 +- 6
        np.testing.assert_array_equal(
            to_numpy(training_call(FrequencyNoise(probability=0.0), x), "float32"), x
        )

    def test_identity_at_inference(self):
        x = random_images((2, 8, 8, 3))
        for training in (False, None):
            y = FrequencyNoise(3.0)(x, training=training)
            np.testing.assert_array_equal(to_numpy(y, "float32"), x)

    def test_seed_repeats_the_draws(self):
        x = random_images((2, 8, 8, 1))

        def run(seed):
            layer = FrequencyNoise(seed=seed, uniform_bands=5)
            return np.stack([to_numpy(training_call(layer, x)) for _ in range(3)])

        first = run(5)
        np.testing.assert_array_equal(first, run(5))
        assert not np.array_equal(first, run(6))
        assert not np.array_equal(first[0], first[1])

    def test_fresh_draw_at_each_compiled_step(self):
        x = random_images((8, 16, 16, 1))
        inputs = keras.Input((16, 16, 1))
        # A weight to train that stays 1.
        weight = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")
        model = keras.Model(inputs, FrequencyNoise(alpha_r=OPEN, seed=3)(weight(inputs)))
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
        losses = [model.train_on_batch(x, x) for _ in range(5)]
        assert len(np.unique(np.round(losses, 7))) >= 4
        np.testing.assert_allclose(losses, 1 / 256, rtol=0.3)
        assert model.test_on_batch(x, x) == pytest.approx(0.0, abs=1e-9)

    def test_in_a_tf_data_pipeline(self):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("a layer runs inside tf.data on the TensorFlow backend only")
        import tensorflow as tf

        layer = FrequencyNoise(alpha_r=OPEN, seed=3)
        x = random_images((1, 16, 16, 3))
        data = tf.data.Dataset.from_tensor_slices(np.repeat(x, 8, axis=0)).batch(2)
        noise = np.concatenate([layer(b, training=True) - x for b in data])
        mapped = np.concatenate([b - x for b in data.map(lambda b: layer(b, training=True))])
        for each in (noise, mapped):
            assert len(np.unique(each[:, 0, 0, 0])) == 8
            assert np.std(each) == pytest.approx(1 / 16, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": -1.0}, "sigma=-1.0"),
        ({"alpha_r": [0.5] * 4}, r"alpha_r=\[0.5, 0.5, 0.5, 0.5\]"),
        ({"alpha_r": [0.5] * 4 + [2]}, "alpha_r=2"),
        ({"uniform_bands": 0}, "uniform_bands=0"),
        ({"uniform_bands": 6}, "uniform_bands=6"),
        ({"probability": 2}, "probability=2"),
        ({"per_channel": 1}, "per_channel=1"),
        ({"keep_phase": None}, "keep_phase=None"),
        ({"variant": "complex"}, "variant='complex'"),
        ({"reference_size": 42}, "reference_size=42"),
        ({"data_format": "last"}, "data_format='last'"),
    ],
)
def test_errors_show_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        FrequencyNoise(**arguments)


def test_bad_inputs():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec((None, None, 8, 3))]
        traced = tf.function(
            lambda x: FrequencyNoise()(x, training=True), input_signature=signature
        )
        with pytest.raises(ValueError, match="known height and width in training"):
            traced(np.zeros((1, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match="known number of channels"):
        FrequencyNoise()(keras.Input((8, 8, None)))
    with pytest.raises(ValueError, match="float images.*dtype uint8"):
        FrequencyNoise()(np.zeros((1, 8, 8, 3), "uint8"), training=True)
