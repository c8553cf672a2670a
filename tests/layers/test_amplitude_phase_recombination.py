"""AmplitudePhaseRecombination: the layers' contract, numpy's FFTs and the law of its draws."""

import keras
import numpy as np
import pytest

from spectral_keras.layers import AmplitudePhaseRecombination
from spectral_keras.ops.recombination import recombine
from tests.layer_checks import check_layer
from tests.layers.training_call import training_call
from tests.oracles import compiled, float64_or_float32, random_images, to_numpy


def numpy_recombine(amplitudes_of, phases_of):
    """In float64, over the last two axes; complex."""
    phase = np.angle(np.fft.fft2(phases_of.astype("float64")))
    return np.fft.ifft2(np.abs(np.fft.fft2(amplitudes_of.astype("float64"))) * np.exp(1j * phase))


@keras.saving.register_keras_serializable(package="spectral_keras_tests")
class Shift(keras.layers.Layer):
    """A view that shows: one pixel to the right in training."""

    def call(self, inputs, training=False):
        return keras.ops.roll(inputs, 1, axis=2) if training else inputs


class TestContract:
    @pytest.mark.parametrize(
        ("options", "shape"),
        [
            ({"data_format": "channels_last"}, (3, 6, 5, 3)),
            (
                {
                    "mode": "views",
                    "probability": 0.25,
                    "clip": None,
                    "seed": 7,
                    "data_format": "channels_first",
                },
                (3, 2, 5, 6),
            ),
            ({"mode": "views", "views": Shift(), "data_format": "channels_last"}, (2, 4, 5, 1)),
        ],
    )
    def test_layer(self, options, shape):
        check_layer(
            AmplitudePhaseRecombination,
            options,
            shape,
            expected_output_shape=shape,
            expected_weights=0,
            expected_seed_generators=1,
            dtypes=("mixed_bfloat16", "mixed_float16"),
        )


class TestCorrectness:
    @pytest.mark.parametrize("size", [(8, 8), (7, 6), (6, 9), (1, 4)])
    def test_numpy(self, size):
        dtype = float64_or_float32()
        a, b = (random_images((2, 3, *size), seed=seed, dtype=dtype) for seed in (0, 1))
        expected = numpy_recombine(a, b)
        assert np.abs(expected.imag).max() < 1e-12
        a, b = (keras.ops.convert_to_tensor(x, dtype=dtype) for x in (a, b))
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(
            to_numpy(compiled(recombine)(a, b)), expected.real, atol=tolerance
        )

    def test_flat_images_have_the_phase_zero(self):
        a = random_images((1, 1, 6, 5))
        mixed = to_numpy(compiled(recombine)(a, np.zeros_like(a)))
        np.testing.assert_allclose(mixed, np.fft.ifft2(np.abs(np.fft.fft2(a))).real, atol=1e-6)

    def test_pairs_are_of_the_batch(self):
        x = random_images((5, 6, 7, 2))
        layer = AmplitudePhaseRecombination(probability=1.0, clip=None, seed=2)
        planes = np.moveaxis(x, 3, 1)
        y = np.moveaxis(to_numpy(training_call(layer, x)), 3, 1)
        partners = []
        for i, image in enumerate(y):
            candidates = numpy_recombine(planes, np.broadcast_to(planes[i], planes.shape)).real
            error = np.abs(candidates - image).max((1, 2, 3))
            assert error.min() < 1e-5
            partners.append(int(error.argmin()))
        assert sorted(partners) == list(range(5)) and partners != list(range(5))

    def test_views_of_an_image(self):
        x = random_images((64, 6, 7, 1))
        layer = AmplitudePhaseRecombination(
            "views", views=Shift(), clip=None, seed=2, data_format="channels_last"
        )
        y = to_numpy(training_call(layer, x))
        once, twice = (np.roll(x, n, axis=2) for n in (1, 2))
        # A shift has no amplitudes of its own: the phases alone tell the views apart.
        kinds = [np.abs(y - view).max((1, 2, 3)) < 1e-5 for view in (once, twice)]
        np.testing.assert_array_equal(kinds[0] ^ kinds[1], True)
        # Half stay as they are, half of the others keep the phases of the first view: 3/4.
        assert 36 < kinds[0].sum() < 60

    @pytest.mark.parametrize("mode", ["pairs", "views"])
    def test_both_data_formats(self, mode):
        x = random_images((4, 9, 8, 3))
        last = training_call(AmplitudePhaseRecombination(mode, seed=1), x)
        first = training_call(
            AmplitudePhaseRecombination(mode, seed=1, data_format="channels_first"),
            np.moveaxis(x, 3, 1),
        )
        np.testing.assert_allclose(np.moveaxis(to_numpy(first), 1, 3), to_numpy(last), atol=1e-5)

    def test_published_views_differ_and_stay_in_the_range(self):
        x = random_images((32, 16, 16, 3))
        y = to_numpy(training_call(AmplitudePhaseRecombination("views", seed=1), x))
        assert y.min() >= 0 and y.max() <= 1
        changed = np.abs(y - x).max((1, 2, 3)) > 1e-3
        assert changed.sum() > 20  # the smallest turns and shifts are none


class TestDraws:
    def test_probability(self):
        x = random_images((200, 4, 4, 1))
        y = to_numpy(training_call(AmplitudePhaseRecombination(probability=0.25, seed=1), x))
        changed = (y != x).any((1, 2, 3))
        assert 20 < changed.sum() < 80  # 50 +- 6

    @pytest.mark.parametrize("mode", ["pairs", "views"])
    def test_identity_at_inference(self, mode):
        x = random_images((2, 8, 8, 3))
        y = AmplitudePhaseRecombination(mode)(x, training=False)
        np.testing.assert_array_equal(to_numpy(y, "float32"), x)

    def test_seed_repeats_the_draws(self):
        x = random_images((6, 8, 8, 1))

        def run(seed):
            layer = AmplitudePhaseRecombination("views", seed=seed)
            return np.stack([to_numpy(training_call(layer, x)) for _ in range(2)])

        first = run(5)
        np.testing.assert_array_equal(first, run(5))
        assert not np.array_equal(first, run(6)) and not np.array_equal(first[0], first[1])

    @pytest.mark.parametrize("mode", ["pairs", "views"])
    def test_in_a_tf_data_pipeline(self, mode):
        if keras.backend.backend() != "tensorflow":
            pytest.skip("a layer runs inside tf.data on the TensorFlow backend only")
        import tensorflow as tf

        layer = AmplitudePhaseRecombination(mode, probability=1.0, seed=3)
        x = random_images((8, 12, 12, 3))
        data = tf.data.Dataset.from_tensor_slices(x).batch(4)
        mapped = np.concatenate(list(data.map(lambda b: layer(b, training=True))))
        assert mapped.shape == x.shape and (mapped != x).any((1, 2, 3)).sum() >= 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "single"}, "mode='single'"),
        ({"probability": 2}, "probability=2"),
        ({"views": Shift()}, "mode='pairs'"),
        ({"mode": "views", "views": 3}, "views=3"),
        ({"clip": (1, 0)}, r"clip=\(1, 0\)"),
        ({"data_format": "last"}, "data_format='last'"),
    ],
)
def test_errors_show_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        AmplitudePhaseRecombination(**arguments)
