"""FourierMask: the layers' contract, numpy's FFTs, closed-form and numerical gradients."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.constraints import UnitInterval
from spectral_keras.layers.fourier_mask import FourierMask
from spectral_keras.ops import masking
from tests.layer_checks import check_layer
from tests.oracles import (
    compiled,
    finite_differences,
    float64_or_float32,
    gradients,
    input_gradient,
    numpy_mask,
    random_images,
    to_numpy,
    weight_gradients,
)

SIZES = [(6, 8), (5, 7), (1, 2)]
WAYS = ["fft", "matmul"]


def _mask(shape, seed=5):
    """Uneven on purpose: mask[k] and mask[-k] differ."""
    return random_images(shape, seed)


def _negated(mask):
    return np.roll(np.flip(mask, (0, 1)), 1, (0, 1))


def _apply(x, mask, implementation, data_format="channels_last"):
    function = functools.partial(
        masking.apply_mask, implementation=implementation, data_format=data_format
    )
    return compiled(function)(x, mask)


def _first(x):
    return np.moveaxis(x, -1, 1)


class TestContract:
    @pytest.mark.parametrize(
        ("init_kwargs", "channels", "dtypes"),
        [
            (
                {"initializer": "random_uniform", "constraint": None, "implementation": "fft"},
                3,
                ("mixed_bfloat16", "mixed_float16", "float64"),
            ),
            (
                {
                    "regularizer": "l1",
                    "per_channel": True,
                    "implementation": "matmul",
                    "data_format": "channels_first",
                },
                2,
                ("mixed_bfloat16", "mixed_float16", "float64"),
            ),
        ],
    )
    def test_layer(self, init_kwargs, channels, dtypes):
        first = init_kwargs.get("data_format") == "channels_first"
        shape = (2, channels, 6, 5) if first else (2, 6, 5, channels)
        check_layer(
            FourierMask,
            init_kwargs,
            shape,
            expected_output_shape=shape,
            expected_weights=1,
            dtypes=dtypes,
        )

    def test_defaults_and_config(self):
        layer = FourierMask()
        layer.build((None, 4, 6, 3))
        np.testing.assert_array_equal(to_numpy(layer.mask), np.ones((4, 6)))
        assert isinstance(layer.mask.constraint, UnitInterval)
        assert layer.get_config()["data_format"] == keras.config.image_data_format()
        regularized = FourierMask(regularizer=keras.regularizers.L1(0.5), constraint=None)
        copy = FourierMask.from_config(regularized.get_config())
        assert copy.constraint is None
        copy.build((None, 4, 6, 3))
        np.testing.assert_allclose(to_numpy(copy.losses[0]), 12.0)

    @pytest.mark.parametrize(
        ("init_kwargs", "message"),
        [
            ({"implementation": "rfft"}, "implementation='rfft'"),
            ({"per_channel": 1}, "per_channel=1"),
            ({"data_format": "NHWC"}, "data_format='NHWC'"),
        ],
    )
    def test_bad_arguments(self, init_kwargs, message):
        with pytest.raises(ValueError, match=message):
            FourierMask(**init_kwargs)

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((None, 8, 3), "rank 4"),
            ((None, None, 8, 3), "known height and width"),
            ((None, 8, 8, None), "known number of channels"),
        ],
    )
    def test_bad_inputs(self, shape, message):
        with pytest.raises(ValueError, match=message):
            FourierMask().build(shape)

    def test_another_size_is_refused(self):
        layer = FourierMask()
        layer.build((None, 8, 8, 3))
        with pytest.raises(ValueError, match="expected axis 2 of input shape to have value 8"):
            layer(random_images((1, 8, 6, 3)))

    def test_bad_mask(self):
        with pytest.raises(ValueError, match=r"mask of shape \(8, 7\)"):
            masking.apply_mask(random_images((1, 7, 8, 3)), np.ones((8, 7), "float32"))


class TestCorrectness:
    @pytest.mark.parametrize("implementation", WAYS)
    @pytest.mark.parametrize("size", SIZES)
    def test_equals_numpys_ffts(self, size, implementation):
        x = random_images((2, *size, 3))
        for mask in (_mask(size), _mask((*size, 3))):
            expected = numpy_mask(x, mask)
            actual = to_numpy(_apply(x, mask, implementation))
            np.testing.assert_allclose(actual, expected, atol=2e-6)
            actual = to_numpy(_apply(_first(x), mask, implementation, "channels_first"))
            np.testing.assert_allclose(actual, _first(expected), atol=2e-6)

    @pytest.mark.parametrize("implementation", WAYS)
    def test_many_channels(self, implementation):
        x = random_images((2, 6, 5, 12)) - 0.5
        for mask in (_mask((6, 5)), _mask((6, 5, 12))):
            actual = to_numpy(_apply(x, mask, implementation))
            np.testing.assert_allclose(actual, numpy_mask(x, mask), atol=2e-6)

    @pytest.mark.parametrize("implementation", WAYS)
    def test_float64(self, implementation):
        if float64_or_float32() != "float64":
            pytest.skip("JAX has no float64 unless x64 is enabled")
        x = random_images((2, 6, 7, 9), dtype="float64")
        mask = _mask((6, 7)).astype("float64")
        actual = _apply(x, mask, implementation)
        assert keras.backend.standardize_dtype(actual.dtype) == "float64"
        np.testing.assert_allclose(to_numpy(actual), numpy_mask(x, mask), atol=1e-14)

    def test_larger_size_in_float32(self):
        x = random_images((1, 48, 51, 8))
        mask = _mask((48, 51))
        ways = [to_numpy(_apply(x, mask, way)) for way in WAYS]
        np.testing.assert_allclose(ways[0], ways[1], atol=1e-5)
        np.testing.assert_allclose(ways[0], numpy_mask(x, mask), atol=1e-5)

    @pytest.mark.parametrize("implementation", WAYS)
    @pytest.mark.parametrize("size", [(6, 8), (5, 4)])
    def test_only_the_even_part_matters(self, size, implementation):
        x = random_images((1, *size, 2)) - 0.5
        mask = _mask(size)
        even = (mask + _negated(mask)) / 2
        outputs = [to_numpy(_apply(x, m, implementation)) for m in (mask, even, _negated(mask))]
        np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-6)
        np.testing.assert_allclose(outputs[2], outputs[0], atol=1e-6)
        # The odd part alone gives nothing.
        odd = mask - _negated(mask)
        np.testing.assert_allclose(to_numpy(_apply(x, odd, implementation)), 0, atol=1e-6)

    @pytest.mark.parametrize("implementation", WAYS)
    def test_waves_are_scaled_by_their_entry(self, implementation):
        n = 8
        mask = _mask((n, n))
        rows, columns = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
        for a, b in [(0, 0), (1, 3), (2, -3), (4, 0), (4, 4), (-1, 4)]:
            wave = np.cos(2 * np.pi * (a * rows + b * columns))[None, :, :, None].astype("float32")
            factor = (mask[a, b] + mask[-a, -b]) / 2
            actual = to_numpy(_apply(wave, mask, implementation))
            np.testing.assert_allclose(actual, factor * wave, atol=2e-6)

    @pytest.mark.parametrize("implementation", WAYS)
    @pytest.mark.parametrize("size", [(4, 6), (5, 3)])
    @pytest.mark.parametrize("per_channel", [False, True])
    def test_gradients_have_the_closed_form(self, size, per_channel, implementation):
        """By the mask: Re(F(x) conj(F(g))) / N, summed, its even part; by x: the filtered g."""
        x, g = random_images((2, 3, *size, 2)) - 0.5
        mask = _mask((*size, 2) if per_channel else size)

        def loss(x, mask):
            return ops.sum(ops.multiply(_apply(x, mask, implementation), g))

        by_x, by_mask = gradients(compiled(loss), x, mask)
        np.testing.assert_allclose(by_x, numpy_mask(g, mask), atol=2e-6)
        spectra = [np.fft.fft2(t.astype("float64"), axes=(1, 2)) for t in (x, g)]
        expected = (spectra[0] * np.conj(spectra[1])).real.sum(0) / (size[0] * size[1])
        if not per_channel:
            expected = expected.sum(-1)
        np.testing.assert_allclose(expected, _negated(expected), atol=1e-12)
        np.testing.assert_allclose(by_mask, expected, atol=1e-5)

    @pytest.mark.parametrize("implementation", WAYS)
    def test_gradients_by_finite_differences(self, implementation):
        # The loss is quadratic in each of x and the mask: central differences are exact.
        x = random_images((1, 3, 4, 1)) - 0.5
        mask = _mask((3, 4))

        def loss(x, mask):
            return ops.sum(ops.square(_apply(x, mask, implementation)))

        by_x, by_mask = gradients(compiled(loss), x, mask)
        np.testing.assert_allclose(
            by_x, finite_differences(lambda x: loss(x, mask), x, 0.5), atol=1e-5
        )
        np.testing.assert_allclose(
            by_mask, finite_differences(lambda m: loss(x, m), mask, 0.5), atol=1e-5
        )

    @pytest.mark.parametrize("implementation", WAYS)
    def test_second_order(self, implementation):
        """d/dmask of <dloss/dx, v>, as in training on input gradients."""
        x = random_images((1, 3, 4, 1)) - 0.5
        v = random_images((1, 3, 4, 1), seed=1)
        mask = _mask((3, 4))

        def loss(x, mask):
            return ops.sum(ops.square(_apply(x, mask, implementation)))

        def directional(mask):
            if keras.backend.backend() == "tensorflow":
                import tensorflow as tf

                z = tf.constant(x)
                with tf.GradientTape() as tape:
                    tape.watch(z)
                    value = loss(z, mask)
                gradient = tape.gradient(value, z)
            elif keras.backend.backend() == "jax":
                import jax

                gradient = jax.grad(loss)(x, mask)
            else:
                import torch

                z = ops.convert_to_tensor(x).requires_grad_(True)
                gradient = torch.autograd.grad(loss(z, mask), z, create_graph=True)[0]
            return ops.sum(ops.multiply(gradient, v))

        # The loss is |M x|^2, so <gradient, v> = 2 <M M x, v>, whose derivative is known.
        spectra = [np.fft.fft2(t.astype("float64"), axes=(1, 2)) for t in (x, v)]
        even = (mask + _negated(mask)) / 2
        expected = 4 * even * (spectra[0] * np.conj(spectra[1])).real.sum((0, 3)) / 12
        np.testing.assert_allclose(input_gradient(compiled(directional), mask), expected, atol=1e-5)

    def test_auto_is_one_of_the_two(self):
        for shape in [(2, 6, 6, 3), (2, 6, 6, 16), (1, 64, 64, 16)]:
            x = random_images(shape)
            mask = _mask(shape[1:3])
            way = masking.choose_implementation(*shape[1:])
            np.testing.assert_array_equal(
                to_numpy(_apply(x, mask, "auto")), to_numpy(_apply(x, mask, way))
            )
        assert masking.choose_implementation(32, 32, 64) == "matmul"
        assert masking.choose_implementation(224, 224, 3) == "fft"

    def test_learns_a_mask_clipped_to_the_unit_interval(self):
        """The best mask of each frequency is the target's, clipped; it stays even on the way."""
        x = random_images((8, 4, 6, 2)) - 0.3
        target = 2 * _mask((4, 6)) - 0.5
        target = (target + _negated(target)) / 2
        assert target.min() < 0
        assert target.max() > 1
        inputs = keras.Input((4, 6, 2))
        layer = FourierMask()
        model = keras.Model(inputs, layer(inputs))
        model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
        y = numpy_mask(x, target).astype("float32")
        steps = [np.concatenate([images] * 80) for images in (x, y)]
        model.fit(*steps, batch_size=8, shuffle=False, epochs=1, verbose=0)
        mask = to_numpy(layer.mask)
        assert mask.min() == 0.0
        assert mask.max() == 1.0
        np.testing.assert_allclose(mask, np.clip(target, 0, 1), atol=0.02)
        np.testing.assert_allclose(mask, _negated(mask), atol=1e-3)

    def test_penalty_alone_removes_an_entry_in_127_steps(self):
        """The single-image setting of the paper's code: lambda .07 on 128 x 128, Adam at 8e-3.

        PyTorch needs 126 steps; Keras adds epsilon before the bias correction, which makes the
        first steps shorter.
        """
        layer = FourierMask(regularizer=keras.regularizers.L1(0.07 / 128**2))
        layer.build((None, 4, 4, 1))
        gradient = weight_gradients(lambda: layer.losses[0], [layer.mask])[0]
        np.testing.assert_allclose(gradient, 4.2725e-6, rtol=1e-4)
        optimizer = keras.optimizers.Adam(8e-3, epsilon=1e-8)
        optimizer.build([layer.mask])
        gradient = ops.convert_to_tensor(gradient)
        for _ in range(126):
            optimizer.apply([gradient], [layer.mask])
        assert to_numpy(layer.mask).min() > 0
        optimizer.apply([gradient], [layer.mask])
        np.testing.assert_array_equal(to_numpy(layer.mask), np.zeros((4, 4)))
