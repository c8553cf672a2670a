"""The information curve and the coverage of the noise bands against the worked-out tables."""

import functools

import numpy as np
import pytest

from spectral_keras.augmentation.information import (
    coefficient_bits,
    coverage_degree,
    information_curve,
    largest_radius,
)
from spectral_keras.ops.mask_curves import noise_curve
from tests.oracles import signed_frequency


def coverages(**arguments):
    return [coverage_degree(functools.partial(noise_curve, band=i), **arguments) for i in range(5)]


def radii(n):
    k = signed_frequency(n)
    return np.sqrt(k[:, None] ** 2 + k[None] ** 2)


class TestBits:
    def test_values(self):
        assert coefficient_bits(0) == pytest.approx(22.939, abs=5e-4)
        assert coefficient_bits(radii(40)).min() == pytest.approx(13.195, abs=5e-4)

    @pytest.mark.parametrize(("n", "total"), [(40, 24196.86), (41, 25313.24)])
    def test_total(self, n, total):
        assert coefficient_bits(radii(n)).sum() == pytest.approx(total, abs=0.01)

    def test_errors(self):
        with pytest.raises(ValueError, match="amplitude=0"):
            coefficient_bits(1, amplitude=0)
        with pytest.raises(ValueError, match="beta=-1"):
            coefficient_bits(1, beta=-1)


class TestInformationCurve:
    @pytest.mark.parametrize("size", [(40, 40), (7, 12), (1, 1)])
    def test_equals_the_definition(self, size):
        ky, kx = (signed_frequency(n) for n in size)
        square = ky[:, None] ** 2 + kx[None] ** 2
        bits = np.log2(np.pi * (1600 / (1 + np.sqrt(square))) ** 2)
        for s in (0, 1, 4.99, 5, 9.5, 28.2842, 29):
            expected = bits[square <= s**2].sum() / bits.sum()
            assert information_curve(s, *size) == pytest.approx(expected, abs=1e-13)

    def test_ends(self):
        values = information_curve(np.arange(30))
        assert values[0] == pytest.approx(22.939 / 24196.86, rel=1e-4)
        assert values[-1] == 1 and (np.diff(values) > 0).all()

    @pytest.mark.parametrize(
        ("size", "expected"), [((40, 40), 29), ((41, 41), 29), ((6, 8), 5), ((32, 32), 23)]
    )
    def test_largest_radius(self, size, expected):
        assert largest_radius(*size) == expected


class TestCoverage:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ({}, [0.1831, 0.1798, 0.2297, 0.2102, 0.1973]),
            ({"difference": "forward"}, [0.2248, 0.1899, 0.2417, 0.1966, 0.1460]),
            ({"height": 41, "width": 41}, [0.1750, 0.1718, 0.2195, 0.2021, 0.2315]),
            (
                {"height": 41, "width": 41, "difference": "forward"},
                [0.2149, 0.1815, 0.2310, 0.2025, 0.1692],
            ),
            ({"height": 32, "width": 32}, [0.2753, 0.2703, 0.3216, 0.1110, 0.0218]),
        ],
    )
    def test_table(self, arguments, expected):
        np.testing.assert_allclose(coverages(**arguments), expected, atol=5e-5)

    def test_all_of_it_is_one(self):
        assert coverage_degree(np.ones_like) == pytest.approx(1)
        assert sum(coverages()) == pytest.approx(1)

    def test_the_amplitude_hardly_matters(self):
        base = coverages()
        for amplitude in (400, 3200):
            np.testing.assert_allclose(coverages(amplitude=amplitude), base, atol=0.01)

    def test_error(self):
        with pytest.raises(ValueError, match="difference='central'"):
            coverage_degree(np.ones_like, difference="central")
