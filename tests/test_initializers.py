"""Spectral initializers against numpy's DFT of the spatial sample."""

import keras
import numpy as np
import pytest

from spectral_keras.initializers import DiracInitializer, spectral_sample
from tests.oracles import random_images, to_numpy

SHAPE = (3, 4, 2, 5)


def _spectrum(sample):
    return np.fft.fft2(to_numpy(sample), axes=(0, 1), norm="ortho")


def _join(real, imag):
    return to_numpy(real) + 1j * to_numpy(imag)


class TestSpectralSample:
    @pytest.mark.parametrize("shape", [(3, 3, 2, 4), (4, 5, 3, 1), (1, 1, 2, 2), (2, 1, 1, 3)])
    def test_is_the_unitary_dft_over_the_kernel_axes(self, shape):
        initializer = keras.initializers.HeNormal(seed=3)
        real, imag = spectral_sample(initializer, shape)
        assert tuple(real.shape) == tuple(imag.shape) == shape
        np.testing.assert_allclose(_join(real, imag), _spectrum(initializer(shape)), atol=1e-6)

    def test_known_spectra(self):
        real, imag = spectral_sample("ones", (3, 3, 1, 1))
        expected = np.zeros((3, 3))
        expected[0, 0] = 3
        np.testing.assert_allclose(to_numpy(real)[..., 0, 0], expected, atol=1e-6)
        np.testing.assert_allclose(to_numpy(imag), 0, atol=1e-6)

        def count(shape, dtype=None):
            return np.arange(1, 10).reshape(shape).astype(dtype)

        # DFT of 1..9: 45; -4.5 +- 2.5981i in row 0; -13.5 +- 7.7942i in column 0; zero elsewhere.
        spectrum = 3 * _join(*spectral_sample(count, (3, 3, 1, 1)))[..., 0, 0]
        expected = np.zeros((3, 3), dtype=complex)
        expected[0] = 45, -4.5 + 2.598076j, -4.5 - 2.598076j
        expected[1:, 0] = -13.5 + 7.794229j, -13.5 - 7.794229j
        np.testing.assert_allclose(spectrum, expected, atol=1e-5)

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", None])
    def test_dtype(self, dtype):
        real, imag = spectral_sample(keras.initializers.GlorotUniform(seed=0), SHAPE, dtype=dtype)
        for part in (real, imag):
            assert keras.backend.standardize_dtype(part.dtype) == (dtype or "float32")

    def test_half_precision_rounds_only_the_result(self):
        # The values 1 and 2 are exact in bfloat16, a sum of 16 of them with 8 bits is not.
        sample = np.random.default_rng(0).integers(1, 3, (4, 4, 1, 2)).astype("float32")

        def initializer(shape, dtype=None):
            return keras.ops.cast(sample, dtype)

        exact = _spectrum(sample)
        half = _join(*spectral_sample(initializer, sample.shape, dtype="bfloat16"))
        for actual, expected in ((half.real, exact.real), (half.imag, exact.imag)):
            np.testing.assert_allclose(actual, expected, rtol=2.0**-8, atol=1e-6)

    def test_energy_is_the_samples(self):
        initializer = keras.initializers.GlorotNormal(seed=1)
        spectrum = _join(*spectral_sample(initializer, SHAPE))
        energy = (to_numpy(initializer(SHAPE)) ** 2).sum()
        np.testing.assert_allclose((np.abs(spectrum) ** 2).sum(), energy, rtol=1e-5)

    def test_shape_must_be_a_kernels(self):
        with pytest.raises(ValueError, match=r"shape=\(3, 3, 2\)"):
            spectral_sample("ones", (3, 3, 2))


class TestDirac:
    @pytest.mark.parametrize(("inputs", "filters"), [(2, 5), (5, 2), (3, 3)])
    def test_a_convolution_copies_its_inputs(self, inputs, filters):
        layer = keras.layers.Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer=DiracInitializer()
        )
        x = random_images((2, 6, 7, inputs))
        copies = min(inputs, filters)
        np.testing.assert_allclose(
            to_numpy(layer(x))[..., :copies], x[..., :copies], rtol=1e-6, atol=1e-6
        )

    def test_the_other_filters_are_those_of_rest(self):
        rest = keras.initializers.GlorotUniform(seed=3)
        kernel = to_numpy(DiracInitializer(rest)((3, 3, 2, 6)))
        np.testing.assert_array_equal(kernel[..., 2:], to_numpy(rest((3, 3, 2, 6)))[..., 2:])

    def test_copies_draw_the_same_sample(self):
        original = DiracInitializer()
        again = keras.initializers.deserialize(keras.initializers.serialize(original))
        first, second = (to_numpy(each((3, 3, 2, 6))) for each in (original, again))
        np.testing.assert_array_equal(first, second)
        # So do the real and the imaginary part of a spectral layer.
        real, imag = spectral_sample(original, (3, 3, 2, 6))
        np.testing.assert_allclose(
            np.fft.ifft2(_join(real, imag), axes=(0, 1), norm="ortho"), first, atol=1e-6
        )

    def test_a_rest_that_draws_anew_is_refused(self):
        rest = keras.initializers.GlorotUniform(seed=keras.random.SeedGenerator(1))
        with pytest.raises(ValueError, match="`rest` must.*with a SeedGenerator"):
            DiracInitializer(rest)

    @pytest.mark.parametrize("shape", [(3, 3, 2), (2, 3, 4, 4), (3, 4, 4, 4)])
    def test_bad_shape(self, shape):
        with pytest.raises(ValueError, match="`shape` must.*Received"):
            DiracInitializer()(shape)
