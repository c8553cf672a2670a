"""Intervals of shares, of differences of shares, and of means over seeds.

`wilson_interval` is in `spectral_keras.classifiers`, as `analysis` needs it too.  Every interval is
an ordinary confidence interval: how often it is to hold the true value is its `confidence`.
"""

import math
import statistics
from collections.abc import Iterable

from spectral_keras.classifiers.intervals import wilson_interval
from spectral_keras.ops.validation import check_number, check_positive_int

__all__ = [
    "newcombe_interval",
    "paired_share_interval",
    "resampled_t_interval",
    "t_interval",
    "wilson_interval",
]


def t_interval(values: Iterable[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of independent, roughly normal values, such as one a seed.

    Two values have an interval 12.7 half-differences wide to either side; their standard error
    alone would hold the mean half of the time only.

    Args:
        values: at least two numbers.
        confidence: in (0, 1).

    Returns:
        (low, high), floats.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> [round(end, 3) for end in t_interval([1.0, 2.0])]
    [-4.853, 7.853]
    """
    from scipy import special

    values = [check_number("values", value) for value in values]
    if len(values) < 2:
        raise ValueError(f"`values` must hold two numbers or more. Received: {values}")
    confidence = _check_confidence(confidence)
    t = special.stdtrit(len(values) - 1, (1 + confidence) / 2)
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    return mean - float(t) * error, mean + float(t) * error


def resampled_t_interval(
    values: Iterable[float], test_share: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of a mean over repeated random splits of the same data.

    Such values are not independent, as the training parts overlap: Student's interval is too
    narrow.  Nadeau and Bengio, "Inference for the generalization error" (2003): a variance
    1 / n + test / train times that of the values in place of 1 / n.

    Args:
        values: at least two numbers, one a split.
        test_share: share of the data in the test part of each split, in (0, 1).
        confidence: in (0, 1).

    Returns:
        (low, high), floats.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> [round(end, 3) for end in resampled_t_interval([0.8, 0.9, 0.85, 0.9], 0.15)]
    [0.763, 0.962]
    """
    share = check_number("test_share", test_share, 0, 1, low_open=True, high_open=True)
    values = list(values)
    low, high = t_interval(values, confidence)
    middle, reach = (low + high) / 2, (high - low) / 2
    reach *= math.sqrt(1 + len(values) * share / (1 - share))
    return middle - reach, middle + reach


def newcombe_interval(
    successes: int, count: int, other_successes: int, other_count: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of the difference of two shares of independent trials, the first less the other.

    Newcombe, "Interval estimation for the difference between independent proportions" (1998),
    method 10: Wilson's intervals of both shares, added in squares.  For two classifiers on the
    same images it is too wide, as these are mostly right and wrong on the same ones: there
    `paired_share_interval` is the better one, if it is known which images they are.

    Args:
        successes, other_successes: numbers of successes, 0 to the count of each.
        count, other_count: positive numbers of trials.
        confidence: in (0, 1).

    Returns:
        (low, high), floats in [-1, 1].

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> [round(end, 4) for end in newcombe_interval(56, 70, 48, 80)]
    [0.0524, 0.3339]
    """
    low, high = wilson_interval(successes, count, confidence)
    other_low, other_high = wilson_interval(other_successes, other_count, confidence)
    share, other = successes / count, other_successes / other_count
    difference = share - other
    return (
        difference - math.hypot(share - low, other_high - other),
        difference + math.hypot(high - share, other - other_low),
    )


def paired_share_interval(
    lost: int, won: int, count: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of (lost - won) / count, a difference of two shares of the same trials.

    Agresti and Min, "Simple improved confidence intervals for comparing matched proportions"
    (2005): Wald's interval with half a trial more in each of the four cells.  What both or neither
    have right does not count.

    Args:
        lost: number of trials that only the first of the two has right.
        won: number of trials that only the second one has right.
        count: positive number of all trials.
        confidence: in (0, 1).

    Returns:
        (low, high), floats in [-1, 1].

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> [round(end, 3) for end in paired_share_interval(12, 2, 100)]
    [0.026, 0.17]
    """
    count = check_positive_int("count", count)
    lost = check_positive_int("lost", lost, minimum=0)
    won = check_positive_int("won", won, minimum=0)
    if lost + won > count:
        raise ValueError(
            f"`lost` and `won` must add up to at most count={count}. "
            f"Received: lost={lost}, won={won}"
        )
    z = statistics.NormalDist().inv_cdf((1 + _check_confidence(confidence)) / 2)
    total, change, sum_ = count + 2, lost - won, lost + won + 1
    spread = z * math.sqrt(sum_ - change**2 / total) / total
    return max(change / total - spread, -1.0), min(change / total + spread, 1.0)


def _check_confidence(confidence):
    return check_number("confidence", confidence, 0, 1, low_open=True, high_open=True)
