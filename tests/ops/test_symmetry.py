"""Hermitian symmetry against index loops and numpy's FFTs."""

import numpy as np
import pytest

from spectral_keras.ops.symmetry import (
    half_spectrum_multiplicity,
    hermitian_symmetrize,
    negate_frequencies,
    symmetrize_half_spectrum,
)
from tests.oracles import to_numpy

SIZES = [(4, 6), (5, 3), (4, 5), (1, 2), (1, 1)]


def _complex(shape, seed=0):
    rng = np.random.default_rng(seed)
    real, imag = rng.standard_normal((2, *shape)).astype("float32")
    return real + 1j * imag


class TestCorrectness:
    @pytest.mark.parametrize("size", SIZES)
    def test_negate_frequencies_by_index(self, size):
        z = _complex((2, *size))
        height, width = size
        expected = np.empty_like(z)
        for i in range(height):
            for j in range(width):
                expected[:, i, j] = z[:, -i % height, -j % width]
        np.testing.assert_array_equal(to_numpy(negate_frequencies(z)), expected)

    def test_negate_frequencies_of_other_axes(self):
        x = np.random.default_rng(0).random((2, 5, 4, 3)).astype("float32")
        expected = np.roll(np.flip(x, (1, 2)), 1, (1, 2))
        np.testing.assert_array_equal(to_numpy(negate_frequencies(x, (1, 2)), "float32"), expected)

    @pytest.mark.parametrize("size", SIZES)
    def test_symmetrized_spectrum_is_that_of_the_real_part(self, size):
        z = _complex((3, *size))
        symmetric = to_numpy(hermitian_symmetrize(z))
        np.testing.assert_allclose(
            np.fft.ifft2(symmetric), np.fft.ifft2(z).real.astype("complex128"), atol=1e-6
        )
        # A projection: a second time nothing changes.
        np.testing.assert_allclose(to_numpy(hermitian_symmetrize(symmetric)), symmetric, atol=1e-7)

    def test_real_mask_becomes_even_and_stays_real(self):
        mask = np.random.default_rng(0).random((4, 5)).astype("float32")
        symmetric = to_numpy(hermitian_symmetrize(mask))
        assert not np.iscomplexobj(symmetric)
        x = np.random.default_rng(1).random((4, 5))
        filtered = [np.fft.ifft2(m * np.fft.fft2(x)) for m in (mask, symmetric)]
        np.testing.assert_allclose(filtered[0].real, filtered[1], atol=1e-7)
        assert np.abs(filtered[0].imag).max() > 0.01

    @pytest.mark.parametrize("size", SIZES)
    def test_half_spectrum_agrees_with_the_full_one(self, size):
        height, width = size
        half = _complex((2, height, width // 2 + 1))
        symmetric = to_numpy(symmetrize_half_spectrum(half, width))
        expected = np.fft.irfft2(half, size)
        # The redundant columns follow from the others: one full Hermitian spectrum.
        full = np.zeros((2, *size), dtype="complex128")
        full[..., : width // 2 + 1] = symmetric
        for j in range(width // 2 + 1, width):
            full[:, :, j] = np.conj(symmetric[:, [-i % height for i in range(height)], width - j])
        np.testing.assert_allclose(to_numpy(hermitian_symmetrize(full)), full, atol=1e-6)
        np.testing.assert_allclose(np.fft.ifft2(full), expected.astype("complex128"), atol=1e-6)

    def test_inner_columns_are_kept(self):
        half = _complex((3, 5))
        symmetric = to_numpy(symmetrize_half_spectrum(half, 8))
        np.testing.assert_array_equal(symmetric[:, 1:4], half[:, 1:4])
        assert np.abs(symmetric[:, [0, 4]] - half[:, [0, 4]]).min() > 1e-3

    @pytest.mark.parametrize("width", [1, 2, 7, 8])
    def test_multiplicity_is_parsevals_weight(self, width):
        x = np.random.default_rng(0).standard_normal((4, width))
        half = np.fft.rfft2(x, norm="ortho")
        energy = (np.abs(half) ** 2 * half_spectrum_multiplicity(width)).sum()
        np.testing.assert_allclose(energy, (x**2).sum())
