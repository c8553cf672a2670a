"""What a test accuracy says about chance."""

import dataclasses

from spectral_keras.classifiers.intervals import wilson_interval
from spectral_keras.ops.validation import check_number

__all__ = ["ABOVE", "AT", "UNKNOWN", "ChanceRule"]

ABOVE, AT, UNKNOWN = "above chance", "at chance", "too small to tell"


@dataclasses.dataclass(frozen=True)
class ChanceRule:
    """When an accuracy on a test set is above chance, at chance, or the set too small to tell.

    "above chance" if the lower end of the accuracy's Wilson interval is; "at chance" if it is not
    and the upper end is at most chance + `margin`, below 1; otherwise "too small to tell", always
    so where chance + `margin` reaches 1: no accuracy could lie above it.

    Args:
        confidence: of the Wilson intervals, in (0, 1).
        margin: gain over chance that the test set must be able to exclude for "at chance".

    Raises:
        ValueError: for a value that does not fit.

    Example:

    >>> from spectral_keras.analysis import ChanceRule
    >>> rule = ChanceRule(margin=0.1)
    >>> [rule.read(ends, 0.2) for ends in ((0.3, 0.6), (0.15, 0.28), (0.1, 0.4))]
    ['above chance', 'at chance', 'too small to tell']
    """

    confidence: float = 0.95
    margin: float = 0.1

    def __post_init__(self):
        for name in ("confidence", "margin"):
            value = check_number(name, getattr(self, name), 0, 1, low_open=True, high_open=True)
            object.__setattr__(self, name, value)

    def interval(self, correct: int, count: int) -> tuple[float, float]:
        """Wilson interval of the accuracy: (low, high) for `correct` of `count` images."""
        return wilson_interval(correct, count, self.confidence)

    def read(self, interval: tuple[float, float], chance: float) -> str:
        """What the interval of a test accuracy says: one of the three texts above."""
        low, high = interval
        if low > chance:
            return ABOVE
        # With one class only in the test set, no accuracy could be above chance.
        return AT if high <= chance + self.margin < 1 else UNKNOWN
