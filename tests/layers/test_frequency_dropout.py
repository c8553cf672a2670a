import keras
import numpy as np
import pytest

from spectral_keras.layers.frequency_dropout import FrequencyDropout
from spectral_keras.ops.frequencies import ceil_of_fraction
from spectral_keras.ops.frequency_dropout import (
    draw_side,
    frequency_dropout,
    frequency_dropout_floor,
)
from tests.layer_checks import check_layer
from tests.oracles import (
    float64_or_float32,
    input_gradient,
    numpy_lowpass,
    random_images,
    to_numpy,
)


class TestContract:
    def test_default(self):
        check_layer(
            FrequencyDropout,
            {"min_fraction": 0.25, "data_format": "channels_last"},
            (3, 6, 5, 2),
            expected_output_shape=(3, 6, 5, 2),
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=("float32", "float64", "mixed_bfloat16", "mixed_float16"),
        )

    def test_every_option(self):
        check_layer(
            FrequencyDropout,
            {
                "min_fraction": 0.4,
                "per_sample": True,
                "seed": 7,
                "implementation": "fft",
                "data_format": "channels_first",
            },
            (3, 2, 6, 5),
            expected_output_shape=(3, 2, 6, 5),
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=("mixed_bfloat16",),
        )


class TestCorrectness:
    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    @pytest.mark.parametrize("n", [7, 8])
    def test_every_side(self, n, implementation):
        dtype = float64_or_float32()
        x = random_images((2, n, n, 6), dtype=dtype)
        tolerance = 1e-12 if dtype == "float64" else 3e-6
        for side in range(1, n + 2):
            # R = 1, 2 keep one coefficient, 3, 4 keep nine; R >= n everything, Nyquist too.
            expected = x if side >= n else numpy_lowpass(x, side)
            for order, data_format in [
                ((0, 1, 2, 3), "channels_last"),
                ((0, 3, 1, 2), "channels_first"),
            ]:
                y = frequency_dropout(
                    keras.ops.convert_to_tensor(x.transpose(order), dtype=dtype),
                    side,
                    implementation=implementation,
                    data_format=data_format,
                )
                np.testing.assert_allclose(to_numpy(y), expected.transpose(order), atol=tolerance)

    def test_number_of_coefficients_kept(self):
        delta = np.zeros((1, 9, 9, 1), "float32")
        delta[0, 0, 0, 0] = 1
        for side, count in [(1, 1), (2, 1), (3, 9), (4, 9), (5, 25), (6, 25), (7, 49), (8, 49)]:
            # Each coefficient of a delta is 1: the output's first value is the share kept.
            first = to_numpy(frequency_dropout(delta, side))[0, 0, 0, 0]
            assert first * 81 == pytest.approx(count, abs=1e-4)

    def test_side_one_leaves_the_mean(self):
        x = random_images((2, 6, 5, 3))
        y = to_numpy(frequency_dropout(x, 1))
        means = x.mean(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(y, np.broadcast_to(means, x.shape), atol=1e-6)

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_a_side_for_each_sample(self, implementation):
        x = random_images((4, 8, 8, 5))
        sides = np.array([1, 4, 7, 8], "int32")
        expected = np.stack(
            [x[i] if s == 8 else numpy_lowpass(x[i : i + 1], s)[0] for i, s in enumerate(sides)]
        )
        for order, data_format in [
            ((0, 1, 2, 3), "channels_last"),
            ((0, 3, 1, 2), "channels_first"),
        ]:
            y = frequency_dropout(
                x.transpose(order),
                keras.ops.convert_to_tensor(sides),
                implementation=implementation,
                data_format=data_format,
            )
            np.testing.assert_allclose(to_numpy(y), expected.transpose(order), atol=3e-6)

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_other_than_square_maps_scale_the_side(self, implementation):
        x = random_images((2, 9, 6, 5))
        for side, sides in [(9, None), (8, (8, 6)), (6, (6, 4)), (4, (4, 3)), (1, (1, 1))]:
            if sides is None:
                expected = x
            elif sides[1] == 6:  # full along the width: Nyquist stays there
                expected = numpy_lowpass(x, (sides[0], 7))
            else:
                expected = numpy_lowpass(x, sides)
            y = frequency_dropout(x, side, implementation=implementation)
            np.testing.assert_allclose(to_numpy(y), expected, atol=3e-6)

    @pytest.mark.parametrize("implementation", ["matmul", "fft"])
    def test_gradient_is_the_same_low_pass(self, implementation):
        # A projection is its own adjoint.
        x, g = random_images((2, 8, 6, 5)), random_images((2, 8, 6, 5), seed=1)
        tensor = keras.ops.convert_to_tensor(g)

        def scalar(z):
            return keras.ops.sum(frequency_dropout(z, 5, implementation=implementation) * tensor)

        np.testing.assert_allclose(input_gradient(scalar, x), numpy_lowpass(g, (5, 4)), atol=3e-6)

    def test_identity_at_inference_and_for_one(self):
        x = random_images((2, 8, 8, 3))
        for layer, training in [
            (FrequencyDropout(0.0), False),
            (FrequencyDropout(0.0), None),
            (FrequencyDropout(1.0), True),
        ]:
            np.testing.assert_array_equal(to_numpy(layer(x, training=training), "float32"), x)

    def test_draws_are_uniform_on_the_stated_set(self):
        seed = keras.random.SeedGenerator(0)
        draws = to_numpy(draw_side((12, 9), 0.5, seed, batch_size=7000)).astype(int)
        values, counts = np.unique(draws, return_counts=True)
        assert values.tolist() == [6, 7, 8, 9, 10, 11, 12]
        # Each count is binomial, 1000 +- 29: 5 standard deviations.
        assert np.abs(counts - 1000).max() < 150
        assert ceil_of_fraction(0.275, 27) == 8 and ceil_of_fraction(0.07, 100) == 7
        assert ceil_of_fraction(0.0, 8) == 1

    def test_one_draw_for_the_batch_or_one_a_sample(self):
        # Random signs: all frequencies present, so the energy shows the side.
        sample = np.sign(random_images((1, 16, 16, 1)) - 0.5)
        x = np.repeat(sample, 32, axis=0)
        whole = to_numpy(FrequencyDropout(0.0, seed=1)(x, training=True))
        # Not bit for bit: samples at the edge of a block of the product round otherwise.
        np.testing.assert_allclose(whole, np.broadcast_to(whole[:1], whole.shape), atol=1e-5)
        each = to_numpy(FrequencyDropout(0.0, per_sample=True, seed=1)(x, training=True))
        energies = np.unique((each**2).sum(axis=(1, 2, 3)).round(2))
        assert 4 <= len(energies) <= 9  # sides 1..16 give nine different low-passes

    def test_seed_repeats_the_draws(self):
        x = random_images((2, 16, 16, 3))

        def run(seed):
            layer = FrequencyDropout(0.0, seed=seed)
            return np.stack([to_numpy(layer(x, training=True)) for _ in range(6)])

        first = run(5)
        np.testing.assert_array_equal(first, run(5))
        assert not np.array_equal(first, run(6))
        assert len(np.unique((first**2).sum(axis=(1, 2, 3, 4)).round(3))) > 1

    def test_fresh_draw_at_each_compiled_step(self):
        # The loss is the output's energy: with one fixed image it takes another value at each
        # step exactly if the draw does.
        x = np.repeat(np.sign(random_images((1, 16, 16, 1)) - 0.5), 8, axis=0)
        inputs = keras.Input((16, 16, 1))
        # A weight to train that stays 1.
        weight = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")
        model = keras.Model(inputs, FrequencyDropout(0.0, seed=3)(weight(inputs)))
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
        losses = [model.train_on_batch(x, np.zeros_like(x)) for _ in range(12)]
        assert len(np.unique(np.round(losses, 4))) >= 4
        assert model.test_on_batch(x, np.zeros_like(x)) == pytest.approx(1.0, abs=1e-6)

    def test_in_a_tf_data_pipeline(self):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("a layer runs inside tf.data on the TensorFlow backend only")
        import tensorflow as tf

        layer = FrequencyDropout(0.0, seed=3)
        x = np.repeat(np.sign(random_images((1, 16, 16, 1)) - 0.5), 16, axis=0)
        data = tf.data.Dataset.from_tensor_slices(x).batch(1)
        batches = data.map(lambda batch: layer(batch, training=True))
        energies = [float(tf.reduce_sum(batch**2)) for batch in batches]
        assert len(np.unique(np.round(energies, 2))) >= 4


class TestFloor:
    def test_law(self):
        floors = [frequency_dropout_floor(m, 6, 0.30, 0.15) for m in range(1, 7)]
        np.testing.assert_allclose(floors, [0.275, 0.25, 0.225, 0.20, 0.175, 0.15])
        sides = [
            ceil_of_fraction(c, n) for n, c in zip((27, 22, 18, 15, 12, 10), floors, strict=True)
        ]
        assert sides == [8, 6, 5, 3, 3, 2]
        heights = [
            ceil_of_fraction(c, n) for n, c in zip((32, 27, 22, 18, 15, 12), floors, strict=True)
        ]
        assert heights == [9, 7, 5, 4, 3, 2]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((0, 6, 0.3, 0.15), "m=0"),
            ((7, 6, 0.3, 0.15), "m=7"),
            ((1, 0, 0.3, 0.15), "num_layers=0"),
            ((1, 6, 1.3, 0.15), "alpha=1.3"),
            ((1, 6, 0.3, -0.1), "beta=-0.1"),
        ],
    )
    def test_errors(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            frequency_dropout_floor(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_fraction": -0.1}, "min_fraction=-0.1"),
        ({"min_fraction": 1.1}, "min_fraction=1.1"),
        ({"min_fraction": float("nan")}, "min_fraction=nan"),
        ({"min_fraction": "half"}, "min_fraction='half'"),
        ({"min_fraction": 0.5, "per_sample": 1}, "per_sample=1"),
        ({"min_fraction": 0.5, "implementation": "xla"}, "implementation='xla'"),
        ({"min_fraction": 0.5, "data_format": "last"}, "data_format='last'"),
    ],
)
def test_errors_show_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        FrequencyDropout(**arguments)
