"""Kernels that copy inputs."""

import keras
import numpy as np
import pytest

from spectral_keras.initializers import DiracInitializer
from spectral_keras.layers import SpectralConv2D
from tests.oracles import random_images, to_numpy


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
        layer = SpectralConv2D(6, 3, kernel_initializer=original)
        layer.build((None, 8, 8, 2))
        np.testing.assert_allclose(to_numpy(layer.spatial_kernel()), first, atol=1e-6)

    def test_a_rest_that_draws_anew_is_refused(self):
        rest = keras.initializers.GlorotUniform(seed=keras.random.SeedGenerator(1))
        with pytest.raises(ValueError, match="`rest` must.*with a SeedGenerator"):
            DiracInitializer(rest)

    @pytest.mark.parametrize("shape", [(3, 3, 2), (2, 3, 4, 4), (3, 4, 4, 4)])
    def test_bad_shape(self, shape):
        with pytest.raises(ValueError, match="`shape` must.*Received"):
            DiracInitializer()(shape)
