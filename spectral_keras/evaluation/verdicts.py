"""What a measurement says about a claim: one rule for all of them.

A claim is a bound on an effect: "greater than 0", "less than 2 points".

- confirmed: the whole confidence interval of the effect lies on the claim's side of the bound;
- contradicted: the whole interval lies on the other side;
- undecided: the interval reaches over the bound; or there is no interval, as with one seed where
  the claim is about what a training does; or what was measured could not have shown the effect,
  such as regularisation of a network that does not overfit;
- not run: nothing was measured.
"""

import math
from collections.abc import Iterable, Sequence

from spectral_keras.ops.validation import describe

__all__ = ["VERDICTS", "combine", "judge"]

CONFIRMED, CONTRADICTED, UNDECIDED, NOT_RUN = "confirmed", "contradicted", "undecided", "not run"
VERDICTS = (CONFIRMED, CONTRADICTED, UNDECIDED, NOT_RUN)


def judge(
    interval: Sequence[float] | None,
    bound: float = 0.0,
    *,
    above: bool = True,
    measured: bool = True,
    able: bool = True,
) -> str:
    """The verdict on the claim that an effect is greater (or less) than a bound.

    Args:
        interval: (low, high), the confidence interval of the effect; None if there is none.
        bound: number that the claim names.
        above: True if the claim is "greater than `bound`", False if "less than `bound`".
        measured: False if the effect was not measured at all.
        able: False if the run could not have shown the effect.

    Returns:
        One of `VERDICTS`.

    Raises:
        ValueError: if the interval's ends are no numbers in ascending order.

    Example:

    >>> judge((0.2, 1.4)), judge((0.2, 1.4), above=False), judge((-0.1, 1.4)), judge(None)
    ('confirmed', 'contradicted', 'undecided', 'undecided')
    >>> judge(None, measured=False)
    'not run'
    """
    if not measured:
        return NOT_RUN
    if interval is None:
        return UNDECIDED
    low, high = interval
    if math.isnan(low) or math.isnan(high) or low > high:
        raise ValueError(f"`interval` must be two numbers, low <= high. Received: {interval}")
    if not able or low <= bound <= high:
        return UNDECIDED
    return CONFIRMED if (low > bound) == above else CONTRADICTED


def combine(verdicts: Iterable[str]) -> str:
    """The verdict on a claim of several parts, all of which must hold.

    Contradicted if one part is; otherwise not run if one part was not; otherwise undecided if one
    part is; otherwise confirmed.

    Raises:
        ValueError: if there is no part, or one that is no verdict.

    Example:

    >>> combine(["confirmed", "not run"]), combine(["not run", "contradicted"])
    ('not run', 'contradicted')
    """
    verdicts = list(verdicts)
    if not verdicts or not all(isinstance(v, str) and v in VERDICTS for v in verdicts):
        raise ValueError(
            f"`verdicts` must be one or more of {VERDICTS}. Received: {describe(verdicts)}"
        )
    return next(v for v in (CONTRADICTED, NOT_RUN, UNDECIDED, CONFIRMED) if v in verdicts)
