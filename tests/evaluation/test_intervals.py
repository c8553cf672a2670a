"""Wilson's interval against its definition."""

import math

import pytest

from spectral_keras.evaluation import wilson_interval

Z = 1.959963984540054


@pytest.mark.parametrize(
    ("successes", "count"), [(0, 1), (1, 1), (0, 50), (3, 50), (25, 50), (50, 50), (9300, 10000)]
)
def test_ends_are_one_standard_error_of_their_own_away(successes, count):
    low, high = wilson_interval(successes, count)
    share = successes / count
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs(share - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / count))
    assert (low, high) == pytest.approx(
        [1 - end for end in wilson_interval(count - successes, count)[::-1]]
    )


def test_published_values():
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I.
    expected = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605)}
    expected |= {(0, 20): (0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (successes, count), ends in expected.items():
        assert wilson_interval(successes, count) == pytest.approx(ends, abs=5e-5)


def test_confidence_widens():
    narrow, wide = wilson_interval(3, 10, 0.5), wilson_interval(3, 10, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((1, 0), "`count` must be a positive integer"),
        ((-1, 5), "`successes` must be an integer of at least 0"),
        ((6, 5), "`successes` must be at most count=5"),
        ((1.5, 5), "`successes`"),
        ((1, 5, 0), "`confidence` must be a number > 0 and < 1"),
        ((1, 5, 1), "`confidence`"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        wilson_interval(*arguments)
