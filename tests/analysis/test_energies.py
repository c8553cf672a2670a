"""Bands and energies against exact counts, exact geometry and float64 NumPy."""

import math
from fractions import Fraction

import numpy as np
import pytest

from spectral_keras.analysis.energies import (
    angular_energies,
    angular_wedges,
    band_counts,
    band_energies,
    radial_bands,
    radial_energies,
)

SIZES = [(8, 8), (7, 7), (6, 9), (9, 6), (1, 5), (16, 10)]


def frequencies(n):
    return np.round(np.fft.fftfreq(n) * n).astype(int)


class TestRadialBands:
    def test_counts_of_64_bands_on_128(self):
        counts = band_counts(radial_bands(128, 128))
        assert counts[:8].tolist() == [5, 16, 36, 40, 52, 72, 80, 100]
        assert counts[-4:].tolist() == [60, 44, 28, 12]
        assert len(counts) == 64 and counts.sum() == 16383
        assert counts.max() == 572 and counts.argmax() == 43

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("bands", [1, 3, 10])
    def test_every_frequency_by_fractions(self, size, bands):
        height, width = size
        index = radial_bands(height, width, bands)
        outer = Fraction(height**2 + width**2, 4)
        for row, ky in enumerate(frequencies(height)):
            for column, kx in enumerate(frequencies(width)):
                square = int(ky) ** 2 + int(kx) ** 2
                expected = [
                    i
                    for i in range(bands)
                    if Fraction(i, bands) ** 2 * outer
                    <= square
                    < Fraction(i + 1, bands) ** 2 * outer
                ]
                assert [index[row, column]] == (expected or [-1]), (ky, kx)

    def test_only_the_corner_of_even_sizes_is_in_no_band(self):
        assert np.argwhere(radial_bands(8, 6, 5) < 0).tolist() == [[4, 3]]
        for size in ((7, 7), (8, 7), (7, 6)):
            assert radial_bands(*size, 5).min() == 0

    def test_floating_point_edges_move_frequencies(self):
        """The reason for integers: with float64 edges 41 bands hold more or fewer."""
        ky, kx = np.meshgrid(frequencies(128), frequencies(128), indexing="ij")
        edges = np.linspace(0, math.sqrt(2 * 64**2), 65)
        rounded = np.digitize(np.sqrt(kx**2 + ky**2), edges) - 1
        exact = radial_bands(128, 128)
        counts = np.bincount(rounded.ravel(), minlength=65)[:64]
        # The square root and the edges may be rounded otherwise on another machine.
        assert np.sum(counts != band_counts(exact)) > 10


class TestAngularWedges:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("wedges", [1, 2, 3, 4, 8, 12, 64])
    def test_every_frequency_but_dc_by_its_angle(self, size, wedges):
        height, width = size
        index = angular_wedges(height, width, wedges)
        assert index[0, 0] == -1 and np.sum(index < 0) == 1
        for row, ky in enumerate(frequencies(height)):
            for column, kx in enumerate(frequencies(width)):
                if (ky, kx) == (0, 0):
                    continue
                turn = math.atan2(-int(ky), int(kx)) / (2 * math.pi) % 1
                # On the eight directions where ties occur the share of a turn is exact.
                if ky == 0 or kx == 0 or abs(ky) == abs(kx):
                    turn = Fraction(round(turn * 8) % 8, 8)
                assert index[row, column] == math.floor(turn * wedges), (ky, kx)

    def test_the_ray_of_a_border_opens_its_wedge(self):
        index = angular_wedges(9, 9, 8)
        rays = {(0, 1): 0, (-1, 1): 1, (-1, 0): 2, (-1, -1): 3}
        rays |= {(0, -1): 4, (1, -1): 5, (1, 0): 6, (1, 1): 7}
        for (ky, kx), wedge in rays.items():
            assert [index[ky * r, kx * r] for r in range(1, 5)] == [wedge] * 4

    def test_all_of_128_in_one_wedge_each(self):
        index = angular_wedges(128, 128)
        counts = band_counts(index)
        assert len(counts) == 64 and counts.sum() == 16383
        # A quarter turn maps the inner square onto itself and each wedge to that 16 further on.
        inner = np.fft.fftshift(index)[1:, 1:]
        turned = np.rot90(inner)
        rest = inner >= 0
        assert np.all(turned[rest] == (inner[rest] - 16) % 64)

    def test_opposite_frequencies_are_in_opposite_wedges(self):
        for size in ((9, 7), (11, 11)):
            index = angular_wedges(*size, 16)
            mirrored = np.roll(index[::-1, ::-1], 1, (0, 1))
            assert np.all((mirrored == (index + 8) % 16)[index >= 0])


class TestEnergies:
    def test_ones_on_128(self):
        energies = radial_energies(np.ones((128, 128)))
        expected = [0.01747, 0.03125, 0.04688, 0.18488, 0.02706]
        assert energies[[0, 1, 2, 44, 63]] == pytest.approx(expected, abs=5e-6)
        counts = band_counts(radial_bands(128, 128))
        np.testing.assert_allclose(energies, np.sqrt(counts) / 128, rtol=1e-12)

    @pytest.mark.parametrize("size", [(8, 8), (7, 10)])
    @pytest.mark.parametrize("energy", ["radial", "angular"])
    def test_against_the_definition(self, size, energy):
        masks = np.random.default_rng(0).normal(size=(2, 3, *size))
        function, partition = {
            "radial": (radial_energies, radial_bands),
            "angular": (angular_energies, angular_wedges),
        }[energy]
        result = function(masks, 6)
        assert result.shape == (2, 3, 6) and result.dtype == np.float64
        index = partition(*size, 6)
        for i in range(2):
            for j in range(3):
                unit = masks[i, j] / np.linalg.norm(masks[i, j])
                expected = [np.linalg.norm((index == band) * unit) for band in range(6)]
                np.testing.assert_allclose(result[i, j], expected, rtol=1e-12)
                outside = np.sum(unit[index < 0] ** 2)
                assert np.sum(result[i, j] ** 2) == pytest.approx(1 - outside)

    def test_the_size_of_a_mask_does_not_matter(self):
        mask = np.random.default_rng(1).random((6, 6))
        for factor in (1e-200, 1e200, -3):
            np.testing.assert_allclose(radial_energies(factor * mask, 4), radial_energies(mask, 4))

    def test_a_mask_of_zeros_has_no_energy(self):
        masks = np.stack([np.zeros((5, 5)), np.ones((5, 5))])
        energies = radial_energies(masks, 3)
        assert energies[0].tolist() == [0, 0, 0] and energies[1].all()

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: radial_bands(8, 8, 0), "`bands` must be a positive integer. Received"),
            (lambda: angular_wedges(8, 8, 1.5), "`wedges` must be a positive integer"),
            (lambda: radial_energies(np.ones(4)), r"`masks`.*Received: shape \(4,\)"),
            (lambda: radial_energies(np.full((4, 4), np.nan)), "`masks` must be finite"),
            (lambda: radial_energies([["a"]]), "`masks` must be an array of real numbers"),
            (
                lambda: band_energies(np.ones((4, 4)), radial_bands(5, 4, 2), 2),
                r"height and width \(5, 4\)",
            ),
        ],
    )
    def test_errors(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()
