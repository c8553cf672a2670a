"""Noise has the moments of its law."""

import numpy as np
import pytest
from scipy import stats

from spectral_keras.corruptions import TABLES, corrupt, noise
from tests.corruptions.pictures import flat

CASES = [(table, severity) for table in TABLES for severity in (1, 3, 5)]


def unit(images):
    """The middles of the intervals that were cut off to grey levels, in [0, 1]."""
    return (images.astype(float) + 0.5) / 255


@pytest.mark.parametrize(("table", "severity"), [case for case in CASES if case[1] < 5])
def test_gaussian_noise_on_middle_grey(table, severity):
    deviation = TABLES[table]["gaussian_noise"][severity - 1]
    result = unit(corrupt(flat(128, 32), "gaussian_noise", severity, table=table))
    assert result.mean() == pytest.approx(128 / 255, abs=5 * deviation / np.sqrt(result.size))
    # Cutting off adds the variance of a uniform number.
    expected = np.sqrt(deviation**2 + 1 / 12 / 255**2)
    assert result.std() == pytest.approx(expected, rel=0.015)
    # White in space and between channels.
    added = result - result.mean()
    for axis in (1, 2, 3):
        near = np.mean(
            added.take(range(1, added.shape[axis]), axis)
            * added.take(range(added.shape[axis] - 1), axis)
        )
        assert abs(near) < 0.02 * deviation**2


@pytest.mark.parametrize(("table", "severity"), CASES)
def test_shot_noise_is_poisson(table, severity):
    photons = TABLES[table]["shot_noise"][severity - 1]
    level = 51
    result = corrupt(flat(level, 32), "shot_noise", severity, table=table)
    # The chances of 0, 1, ... photons, cut off to levels as the images are.
    counts = np.arange(0, 400)
    expected = photons * level / 255
    logarithm = counts * np.log(expected) - expected - np.cumsum(np.log(np.maximum(counts, 1)))
    chances = np.exp(logarithm)
    levels = (np.minimum(counts / photons, 1) * 255).astype(np.uint8).astype(float)
    mean = (chances * levels).sum()
    deviation = np.sqrt((chances * levels**2).sum() - mean**2)
    assert chances.sum() == pytest.approx(1)
    assert result.mean() == pytest.approx(mean, abs=5 * deviation / np.sqrt(result.size))
    assert result.std() == pytest.approx(deviation, rel=0.02)
    if photons >= 50:
        assert result.std() / 255 == pytest.approx(np.sqrt(0.2 / photons), rel=0.03)
    assert not corrupt(flat(0), "shot_noise", severity, table=table).any()


@pytest.mark.parametrize(("table", "severity"), CASES)
def test_shot_noise_has_the_chance_of_each_level(table, severity):
    """The alias tables, summed up, are the chances of the Poisson law, for every old level."""
    photons = TABLES[table]["shot_noise"][severity - 1]
    share, other = (part.reshape(256, 256) for part in noise._alias_tables(photons))
    assert share.min() >= -1e-9
    chances = np.minimum(share, 1)
    for level in (0, 1, 51, 128, 254, 255):
        found = chances[level].copy()
        np.add.at(found, other[level], 1 - chances[level])
        counts = np.arange(photons + 1)
        new = (counts / photons * 255).astype(np.uint8)
        expected = np.zeros(256)
        np.add.at(expected, new[:-1], stats.poisson.pmf(counts[:-1], photons * level / 255))
        expected[255] += stats.poisson.sf(photons - 1, photons * level / 255)
        np.testing.assert_allclose(found / 256, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("table", "severity"), CASES)
def test_impulse_noise_is_half_salt_half_pepper(table, severity):
    amount = TABLES[table]["impulse_noise"][severity - 1]
    result = corrupt(flat(100, 32), "impulse_noise", severity, table=table)
    assert set(np.unique(result)) == {0, 100, 255}
    error = np.sqrt(amount / 2 / result.size)
    for level in (0, 255):
        assert np.mean(result == level) == pytest.approx(amount / 2, abs=5 * error)
    # Channels are hit one by one.
    all_three = np.mean((result != 100).all(axis=-1))
    assert all_three == pytest.approx(amount**3, abs=5 * np.sqrt(amount**3 / (result.size / 3)))


@pytest.mark.parametrize("severity", [1, 5])
def test_speckle_noise_grows_with_the_level(severity):
    deviation = TABLES["cifar"]["speckle_noise"][severity - 1]
    assert not corrupt(flat(0), "speckle_noise", severity).any()
    for level in (51, 102):
        result = unit(corrupt(flat(level, 32), "speckle_noise", severity))
        expected = np.sqrt((deviation * level / 255) ** 2 + 1 / 12 / 255**2)
        assert result.std() == pytest.approx(expected, rel=0.015)
