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
    """Gauss-Newton steps on the change of the cross-entropy, the step falling as half a cosine.

    The rate is how much an entry of the mask falls in one step where the network does not need
    it: `start` at step 0, `end` from step `steps` on.  See `step.gauss_newton`.

    Args:
        start, end: rates, between 0 and 1.
        steps: length of the fall.
    """

    start: float = 0.05
    end: float = 0.001
    steps: int = 60

    rule = "gauss_newton"

    def __post_init__(self):
        for name in ("start", "end"):
            check_number(name, getattr(self, name), 0, 1, low_open=True)
        check_positive_int("steps", self.steps)

    def rate(self, step):
        """Rate of step 0, 1, ..., a number or an array of them."""
        share = np.clip(np.asarray(step, "float64") / self.steps, 0, 1)
        return self.end + (self.start - self.end) * (1 + np.cos(math.pi * share)) / 2

    def rates(self, steps):
        """float32 [G, 3] for the compiled step."""
        return np.repeat(self.rate(np.asarray(steps))[:, None], 3, axis=1).astype("float32")
