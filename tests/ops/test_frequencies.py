import math

import numpy as np
import pytest

from spectral_keras.ops.frequencies import (
    ceil_of_fraction,
    centre_index,
    floor_of_fraction,
    frequency_to_centered_index,
    frequency_to_index,
    signed_frequencies,
)


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_indices_and_frequencies_follow_numpy(n):
    expected = np.fft.fftfreq(n, 1 / n).round().astype(int)
    np.testing.assert_array_equal(signed_frequencies(n), expected)
    centred = np.fft.fftshift(expected)
    assert centred[centre_index(n)] == 0
    for index, frequency in enumerate(expected):
        assert frequency_to_index(frequency, n) == index
        assert centred[frequency_to_centered_index(frequency, n)] == frequency


def test_docstring_picture():
    assert np.abs(signed_frequencies(7)).tolist() == [0, 1, 2, 3, 3, 2, 1]
    assert np.abs(signed_frequencies(8)).tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    # Both signs of Nyquist are one bin, at index 0 of the centred spectrum.
    assert frequency_to_index(4, 8) == frequency_to_index(-4, 8) == 4
    assert frequency_to_centered_index(4, 8) == frequency_to_centered_index(-4, 8) == 0


def test_fractions_survive_rounding():
    assert [floor_of_fraction(s, n) for s, n in [(0.85, 20), (0.7, 10), (0.29, 100)]] == [17, 7, 29]
    assert int(0.29 * 100) == 28  # what is avoided
    assert ceil_of_fraction(0.07, 100) == 7 and math.ceil(0.07 * 100) == 8
    # Every fraction k/n gives k again, also after a round trip through float32.
    for n in range(1, 130):
        for k in range(1, n + 1):
            for fraction in (k / n, float(np.float32(k / n))):
                assert floor_of_fraction(fraction, n) == ceil_of_fraction(fraction, n) == k
    # What is not an integer is rounded as usual, and nothing falls below 1.
    assert (floor_of_fraction(0.85, 32), ceil_of_fraction(0.275, 27)) == (27, 8)
    assert floor_of_fraction(0.01, 32) == ceil_of_fraction(0.0, 32) == 1


def test_side_lengths_of_the_papers_best_net():
    sides = [32]
    while sides[-1] > 2:
        sides.append(floor_of_fraction(0.85, sides[-1]))
    assert sides[1:] == [27, 22, 18, 15, 12, 10, 8, 6, 5, 4, 3, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signed_frequencies(0), "n=0"),
        (lambda: frequency_to_index(5, 8), "frequency=5"),
        (lambda: frequency_to_index(4, 7), "frequency=4"),
    ],
)
def test_errors_show_what_was_received(call, message):
    with pytest.raises(ValueError, match=message):
        call()
