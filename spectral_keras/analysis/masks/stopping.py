"""When a mask is finished."""

import dataclasses

import numpy as np

from spectral_keras.ops.validation import check_number, check_positive_int


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepRule:
    """A mask of a single image is finished when nothing moves any more.

    Finished after `patience` steps in a row at which the prediction is the unmasked image's and,
    since the step before, the invariance term moved by at most `invariance_tolerance` and the
    sparsity ||M||_1 / ||1||_1 by at most `sparsity_tolerance`; or after `max_steps` steps.

    The defaults are those of the published code.
    """

    patience: int = 300
    invariance_tolerance: float = 1e-6
    sparsity_tolerance: float = 1e-5
    max_steps: int = 20000

    def __post_init__(self):
        check_positive_int("patience", self.patience)
        check_number("invariance_tolerance", self.invariance_tolerance, 0)
        check_number("sparsity_tolerance", self.sparsity_tolerance, 0)
        check_positive_int("max_steps", self.max_steps)

    def calm(self, counts, before, now, kept):
        """The numbers of calm steps in a row, one step later.

        Args:
            counts: [G] until now.
            before: (invariance, sparsity), each [G], at the last step; NaN at the first.
            now: the same at this step.
            kept: [G], whether the prediction is that of the unmasked image.
        """
        tolerances = self.invariance_tolerance, self.sparsity_tolerance
        calm = np.asarray(kept, bool).copy()
        for last, value, tolerance in zip(before, now, tolerances, strict=True):
            # In float64: the difference of two float32 is exact there.
            calm &= np.abs(np.subtract(value, last, dtype="float64")) <= tolerance
        return np.where(calm, counts + 1, 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochRule:
    """A mask of a set of images is finished when its sparsity stands still.

    Finished after `patience` epochs in a row, the first epoch not counted, at whose end the
    accuracy is at least `accuracy_ratio` times the unmasked one and the sparsity
    ||M||_1 / ||1||_1 moved by at most `sparsity_tolerance` since the epoch before.

    The defaults are those of the published code.
    """

    patience: int = 7
    sparsity_tolerance: float = 1e-5
    accuracy_ratio: float = 0.99

    def __post_init__(self):
        check_positive_int("patience", self.patience)
        check_number("sparsity_tolerance", self.sparsity_tolerance, 0)
        check_number("accuracy_ratio", self.accuracy_ratio, 0)

    def accurate(self, accuracy, unmasked):
        """Whether an accuracy is high enough."""
        return accuracy >= self.accuracy_ratio * unmasked

    def calm(self, count, epoch, accurate, before, now):
        """The number of calm epochs in a row after epoch number `epoch` = 1, 2, ..."""
        still = abs(float(now) - float(before)) <= self.sparsity_tolerance
        return count + 1 if epoch > 1 and accurate and still else 0
