"""Masks against counting, signed frequencies and the filtering of waves."""

import numpy as np
import pytest

from spectral_keras.ops.filters import (
    radial_band,
    squared_radius,
)
from tests.oracles import numpy_mask, random_images, signed_frequency

SIZES = [(8, 8), (7, 7), (6, 9), (1, 4)]


def _even(mask):
    return np.array_equal(mask, np.roll(np.flip(mask), 1, axis=(0, 1)))


class TestCorrectness:
    @pytest.mark.parametrize("size", SIZES)
    def test_squared_radius_from_signed_frequencies(self, size):
        ky, kx = (signed_frequency(n) for n in size)
        np.testing.assert_array_equal(squared_radius(*size), ky[:, None] ** 2 + kx[None] ** 2)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("radii", [(0, 2.5), (1, 3), (2,)])
    def test_masks_are_even_and_keep_images_real(self, size, radii):
        mask = radial_band(*size, *radii)
        assert mask.shape == size
        assert mask.dtype == np.float64
        assert set(np.unique(mask)) <= {0.0, 1.0}
        assert _even(mask)
        z = mask * np.fft.fft2(random_images(size, dtype="float64"))
        assert np.abs(np.fft.ifft2(z).imag).max() < 1e-15

    def test_points_on_the_circle_are_of_the_outer_band(self):
        # (3, 4) and (5, 0) have radius 5 exactly: of 81 points of Z^2 within it, 12 lie on it.
        inner, outer = radial_band(32, 32, 0, 5), radial_band(32, 32, 5)
        assert outer[3, 4] == outer[4, -3] == outer[0, 5] == 1
        assert inner.sum() == 69
        assert radial_band(32, 32, 0, 5.001).sum() == 81

    def test_radial_bands_tile_the_plane(self):
        bands = [radial_band(9, 12, r, r + 2) for r in range(0, 8, 2)]
        bands.append(radial_band(9, 12, 8))
        np.testing.assert_array_equal(sum(bands), np.ones((9, 12)))
        # Diagonal frequencies (i, i) have radius exactly i sqrt(2): the square decides.
        assert radial_band(16, 16, 3, 5)[3, 4] == 0
        assert radial_band(16, 16, 5, 7)[3, 4] == 1

    @pytest.mark.parametrize("low", [0, 3, 5])
    def test_bands_pass_their_waves_only(self, low):
        n = 16
        rows = np.arange(n)[:, None] / n
        columns = np.arange(n)[None] / n
        wave = np.cos(2 * np.pi * (3 * rows - 2 * columns) + 0.3)[None, :, :, None]
        passed = low <= np.hypot(3, 2) < low + 2
        expected = wave if passed else np.zeros_like(wave)
        actual = numpy_mask(wave, radial_band(n, n, low, low + 2))
        np.testing.assert_allclose(actual, expected, atol=1e-14)


class TestErrors:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: radial_band(8, 8, -1), "low=-1"),
            (lambda: radial_band(0, 8, 1), "size=0"),
            (lambda: radial_band(8, 8.5, 1), "size=8.5"),
            (lambda: radial_band(8, 8, 3, 2), "low=3.0, high=2.0"),
        ],
    )
    def test_bad_arguments(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()
