"""How far a share of counted images may be from the share of all images."""

import math
import statistics

from spectral_keras.ops.validation import check_number, check_positive_int

__all__ = ["wilson_interval"]


def wilson_interval(successes: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a binomial share.

    Wilson, "Probable inference, the law of succession, and statistical inference" (1927). Unlike
    share +- 1.96 standard errors it stays within [0, 1] and has a width at shares of 0 and 1,
    where strong attacks lead.

    Args:
        successes: number of successes, 0 to `count`.
        count: positive number of independent trials.
        confidence: how often such an interval is to hold the true share, in (0, 1).

    Returns:
        (low, high), floats in [0, 1].

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> [round(bound, 4) for bound in wilson_interval(0, 100)]
    [0.0, 0.037]
    """
    count = check_positive_int("count", count)
    successes = check_positive_int("successes", successes, minimum=0)
    if successes > count:
        raise ValueError(
            f"`successes` must be at most count={count}. Received: successes={successes}"
        )
    confidence = check_number("confidence", confidence, 0, 1, low_open=True, high_open=True)
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / count
    center = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    scale = 1 + z * z / count
    # The ends are 0 and 1 exactly; rounding would leave them by a hair.
    low = 0.0 if successes == 0 else max(0.0, (center - reach) / scale)
    high = 1.0 if successes == count else min(1.0, (center + reach) / scale)
    return low, high
