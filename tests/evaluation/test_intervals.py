"""Intervals against their definitions, published values and scipy."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from spectral_keras.evaluation import (
    newcombe_interval,
    paired_share_interval,
    resampled_t_interval,
    t_interval,
    wilson_interval,
)

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


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("values", [[1, 2], [0.3, 0.3, 0.3], [-2.29, -2.71], list(range(40))])
def test_t_interval_is_scipys(values, confidence):
    spread = np.std(values, ddof=1) / math.sqrt(len(values))
    if spread == 0:
        expected = values[0], values[0]
    else:
        expected = stats.t.interval(confidence, len(values) - 1, np.mean(values), spread)
    assert t_interval(values, confidence) == pytest.approx(expected, rel=1e-12)


def test_t_interval_of_two_is_a_tangent():
    # Student's t with one degree of freedom is Cauchy's distribution.
    low, high = t_interval([3.0, 5.0])
    assert (low, high) == pytest.approx((4 - math.tan(0.475 * math.pi), 8 - low), rel=1e-12)


def test_splits_that_share_images_tell_less():
    values, share = [0.8, 0.9, 0.85, 0.9, 0.95], 0.2
    spread = math.sqrt(np.var(values, ddof=1) * (1 / 5 + 0.2 / 0.8))
    expected = stats.t.interval(0.95, 4, np.mean(values), spread)
    assert resampled_t_interval(values, share) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("counts", [(98, 100, 93, 100), (0, 20, 0, 30), (7, 7, 0, 9), (5, 9, 9, 9)])
def test_newcombe_is_scipys_wilson_added_in_squares(counts):
    shares, ends = [], []
    for k, n in (counts[:2], counts[2:]):
        one = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        shares.append(k / n)
        ends.append((one.low, one.high))
    (a, b), ((a_low, a_high), (b_low, b_high)) = shares, ends
    expected = (
        a - b - math.sqrt((a - a_low) ** 2 + (b_high - b) ** 2),
        a - b + math.sqrt((a_high - a) ** 2 + (b - b_low) ** 2),
    )
    low, high = newcombe_interval(*counts)
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    assert -1 <= low <= high <= 1
    swapped = newcombe_interval(*counts[2:], *counts[:2])
    assert swapped == pytest.approx((-high, -low))


def test_newcombe_published_values():
    # Newcombe (1998), table II, method 10.
    expected = {(56, 70, 48, 80): (0.0524, 0.3339), (9, 10, 3, 10): (0.1705, 0.8090)}
    expected |= {(5, 56, 0, 29): (-0.0381, 0.1926), (10, 10, 0, 10): (0.6075, 1.0)}
    for counts, ends in expected.items():
        assert newcombe_interval(*counts) == pytest.approx(ends, abs=5e-5)


@pytest.mark.parametrize(("lost", "won", "count"), [(12, 2, 100), (0, 0, 10), (20, 0, 20)])
def test_paired_is_walds_interval_with_two_more_trials(lost, won, count):
    # As many +1, -1 and 0, their mean and standard deviation by NumPy; weights of half a trial.
    values = np.array([1.0, -1.0, 0.0])
    weights = np.array([lost + 0.5, won + 0.5, count - lost - won + 1])
    mean = np.average(values, weights=weights)
    spread = math.sqrt(np.average((values - mean) ** 2, weights=weights) / weights.sum())
    expected = np.clip(stats.norm.interval(0.95, mean, spread), -1, 1)
    assert paired_share_interval(lost, won, count) == pytest.approx(expected, rel=1e-12)


def test_paired_ends_are_differences_of_shares():
    assert paired_share_interval(0, 5, 5)[0] == -1 and paired_share_interval(5, 0, 5)[1] == 1


def test_paired_is_narrower_where_the_two_agree():
    low, high = paired_share_interval(10, 2, 1000)
    unpaired = newcombe_interval(510, 1000, 502, 1000)
    assert high - low < (unpaired[1] - unpaired[0]) / 3


def test_paired_interval_holds_the_difference_as_often_as_it_says():
    rng = np.random.default_rng(0)
    count, shares = 80, (0.12, 0.04, 0.84)
    draws = rng.multinomial(count, shares, size=2000)
    ends = np.array([paired_share_interval(int(a), int(b), count) for a, b, _ in draws])
    held = np.mean((ends[:, 0] <= 0.08) & (ends[:, 1] >= 0.08))
    assert 0.93 < held < 0.98


def test_intervals_of_differences_turn_round():
    for lost, won in itertools.product((0, 3, 9), repeat=2):
        low, high = paired_share_interval(lost, won, 30)
        assert paired_share_interval(won, lost, 30) == pytest.approx((-high, -low))


@pytest.mark.parametrize(
    ("function", "arguments", "match"),
    [
        (t_interval, ([1.0],), "`values` must hold two numbers"),
        (t_interval, ([1.0, float("nan")],), "`values`"),
        (t_interval, ([1.0, 2.0], 1), "`confidence`"),
        (resampled_t_interval, ([1.0, 2.0], 1.0), "`test_share`"),
        (resampled_t_interval, ([1.0], 0.5), "`values`"),
        (newcombe_interval, (3, 2, 1, 2), "`successes` must be at most count=2"),
        (newcombe_interval, (1, 2, 3, 2), "`successes` must be at most count=2"),
        (paired_share_interval, (3, 3, 5), "`lost` and `won` must add up to at most count=5"),
        (paired_share_interval, (-1, 3, 5), "`lost`"),
        (paired_share_interval, (1, 1, 5, 0), "`confidence`"),
    ],
)
def test_bad_arguments_of_the_others(function, arguments, match):
    with pytest.raises(ValueError, match=match):
        function(*arguments)
