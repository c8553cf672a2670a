"""Learning rates by the step, and when a mask is finished."""

import dataclasses
import math

import numpy as np

from spectral_keras.ops.validation import check_number, check_positive_int

# Decay of Adam's second moment.
BETA2 = 0.999


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneCycle:
    """PyTorch's one-cycle policy: half-cosine up to a peak, half-cosine down to almost nothing.

    With r(a, b, u) = b + (a - b) (1 + cos(pi u)) / 2 the rate is r(peak / 25, peak, t / T1) up to
    step T1 = warmup * total_steps - 1, then r(peak, peak / 25 / 1e4, .) up to step total_steps - 1;
    Adam's beta1 goes the other way, from the second of `beta1` to the first and back.

    Args:
        peak: highest learning rate.
        total_steps: steps of the whole cycle.
        warmup: share of the steps up to the peak.
        beta1: (at the peak, at both ends).

    Example:

    >>> from spectral_keras.analysis.masks import OneCycle
    >>> whole_set = OneCycle(peak=1e-3, total_steps=1000)
    >>> [float(f"{whole_set.rate(t):.3g}") for t in (0, 99, 999)]
    [4e-05, 0.001, 4e-09]
    """

    peak: float
    total_steps: int
    warmup: float = 0.1
    beta1: tuple[float, float] = (0.85, 0.95)

    def __post_init__(self):
        check_number("peak", self.peak, 0, low_open=True)
        check_positive_int("total_steps", self.total_steps)
        check_number("warmup", self.warmup, 0, 1, high_open=True)
        if len(self.beta1) != 2:
            raise ValueError(f"`beta1` must be a pair. Received: beta1={self.beta1!r}")
        for value in self.beta1:
            check_number("beta1", value, 0, 1, high_open=True)

    def _blend(self, step, start, peak, end):
        step = np.asarray(step, "float64")
        top = self.warmup * self.total_steps - 1
        up = np.clip(step / max(top, 1e-9), 0, 1)
        down = np.clip((step - top) / max(self.total_steps - 1 - top, 1e-9), 0, 1)
        rising = peak + (start - peak) * (1 + np.cos(math.pi * up)) / 2
        falling = end + (peak - end) * (1 + np.cos(math.pi * down)) / 2
        return np.where(step < top, rising, falling)

    rule = "adam"

    def rate(self, step):
        """Learning rate of step 0, 1, ..., a number or an array of them."""
        return self._blend(step, self.peak / 25, self.peak, self.peak / 25e4)

    def momentum(self, step):
        """Adam's beta1 of step 0, 1, ..."""
        return self._blend(step, self.beta1[1], self.beta1[0], self.beta1[1])

    def rates(self, steps):
        """float32 [G, 3] for the compiled step: Adam's corrected rate, beta1 and second root."""
        steps = np.asarray(steps)
        beta1 = self.momentum(steps)
        size = self.rate(steps) / (1 - beta1 ** (steps + 1))
        root = np.sqrt(1 - BETA2 ** (steps + 1))
        return np.stack([size, beta1, root], axis=1).astype("float32")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussNewton:
    """Gauss-Newton steps on the change of the cross-entropy, of a length that each image finds.

    The length h is how much an entry of the mask falls in one step where the network does not need
    it.  It grows after a step that lowered the objective and shrinks after one that did not, which
    is taken back.  See `step.gauss_newton`.

    Args:
        start: h of the first step.
        largest: largest h.
        grow, shrink: factors.
    """

    start: float = 0.05
    largest: float = 0.05
    grow: float = 1.5
    shrink: float = 0.4

    rule = "gauss_newton"

    def __post_init__(self):
        for name in ("start", "largest"):
            check_number(name, getattr(self, name), 0, 1, low_open=True)
        check_number("grow", self.grow, 1)
        check_number("shrink", self.shrink, 0, 1, low_open=True, high_open=True)

    def rates(self, steps):
        """float32 [G, 3] for the compiled step."""
        return np.tile(np.float32([self.grow, self.shrink, self.largest]), (len(steps), 1))
