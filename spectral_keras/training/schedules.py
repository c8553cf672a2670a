"""Learning-rate schedules by name, as functions of the optimizer's step."""

import math

import keras
from keras import ops

from spectral_keras.ops.validation import check_choice, check_number, check_positive_int

__all__ = ["SCHEDULES", "Triangle", "WarmupCosine", "learning_rate_schedule"]

SCHEDULES = ("constant", "cosine", "onecycle", "triangle", "step", "thirds", "plateau")
# Shares of the epochs after which the rate is divided by ten.
_DROPS = {"step": (2 / 3, 14 / 15), "thirds": (1 / 3, 2 / 3)}


@keras.saving.register_keras_serializable(package="spectral_keras")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Half-cosine warm-up to a peak, half-cosine decay to a final rate.

    With r(a, b, t) = b + (a - b) (1 + cos(pi t)) / 2 the rate is r(initial, peak, s / w) at the
    steps s below w = `warmup_steps` and r(peak, final, (s - w) / (n - 1 - w)) from there to the
    last of the n steps, n - 1.  "cosine" is the form that starts close to the peak, "onecycle" the
    long warm-up of Smith's one-cycle policy with the constants of PyTorch's `OneCycleLR` (initial =
    peak / 25, final = initial / 1e4, w = 0.3 n - 1).  Without a warm-up it is PyTorch's
    `CosineAnnealingLR` with `T_max` = n - 1.

    Args:
        peak: highest learning rate.
        total_steps: number of optimizer steps of the whole training.
        warmup_steps: the step with the highest rate; with a fraction, the top lies between two.
        initial: rate at step 0, if there is a warm-up.
        final: rate at the last step.

    Raises:
        ValueError: for an argument out of its range.

    Example:

    >>> from spectral_keras.training.schedules import WarmupCosine
    >>> schedule = WarmupCosine(1.0, total_steps=101, warmup_steps=0)
    >>> round(float(schedule(50)), 6)
    0.5
    """

    def __init__(
        self,
        peak: float,
        total_steps: int,
        warmup_steps: float = 0,
        initial: float = 0.0,
        final: float = 0.0,
    ) -> None:
        super().__init__()
        self.peak = check_number("peak", peak, 0)
        self.total_steps = check_positive_int("total_steps", total_steps)
        self.warmup_steps = check_number("warmup_steps", warmup_steps, 0)
        self.initial = check_number("initial", initial, 0)
        self.final = check_number("final", final, 0)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        up = ops.minimum(step / (self.warmup_steps or 1), 1.0)
        # The last step, number total_steps - 1, runs at the final rate.
        down_steps = self.total_steps - 1 - self.warmup_steps
        down_steps = down_steps if down_steps > 0 else 1
        down = ops.clip((step - self.warmup_steps) / down_steps, 0.0, 1.0)
        rising = self.peak + (self.initial - self.peak) * (1 + ops.cos(math.pi * up)) / 2
        falling = self.final + (self.peak - self.final) * (1 + ops.cos(math.pi * down)) / 2
        return ops.where(step < self.warmup_steps, rising, falling)

    def get_config(self) -> dict:
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "initial": self.initial,
            "final": self.final,
        }


@keras.saving.register_keras_serializable(package="spectral_keras")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """Straight up to a peak and straight down: `initial`, `peak` and `final` times the same rate.

    The schedule of Jordan 2024, arXiv 2404.00498: from a fifth of the peak at step 0 to the peak at
    23 % of the steps, to 7 % of it after the last.

    Args:
        peak: highest learning rate.
        total_steps: number of optimizer steps of the whole training, n.
        top: the step of the peak, between 0 and n.
        initial: rate at step 0, as a share of the peak.
        final: rate at step n, the first that is not made, as a share of the peak.

    Raises:
        ValueError: for an argument out of its range.

    Example:

    >>> from spectral_keras.training.schedules import Triangle
    >>> schedule = Triangle(1.0, total_steps=100, top=50, initial=0.2, final=0.0)
    >>> [round(float(schedule(step)), 6) for step in (0, 25, 50, 75)]
    [0.2, 0.6, 1.0, 0.5]
    """

    def __init__(
        self, peak: float, total_steps: int, top: float, initial: float = 0.2, final: float = 0.07
    ) -> None:
        super().__init__()
        self.peak = check_number("peak", peak, 0)
        self.total_steps = check_positive_int("total_steps", total_steps)
        self.top = check_number("top", top, 0, self.total_steps)
        self.initial = check_number("initial", initial, 0)
        self.final = check_number("final", final, 0)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        up = ops.minimum(step / (self.top or 1), 1.0)
        down = ops.clip((step - self.top) / ((self.total_steps - self.top) or 1), 0.0, 1.0)
        rising = self.initial + (1 - self.initial) * up
        falling = 1 + (self.final - 1) * down
        return self.peak * ops.where(step < self.top, rising, falling)

    def get_config(self) -> dict:
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "top": self.top,
            "initial": self.initial,
            "final": self.final,
        }


def learning_rate_schedule(
    name: str, learning_rate: float, epochs: int, steps_per_epoch: int, warmup_epochs: float = 0.0
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The schedule called `name`, for a training of `epochs` epochs.

    Args:
        name: "constant" and "plateau": the rate itself (the plateau rule is a callback);
            "cosine": warm-up from 0, then half a cosine to 0; "onecycle": from 1/25 to the peak
            in the first 30 % of the steps (or `warmup_epochs`), whose last has the peak, then to
            1/250 000 of it, as PyTorch's `OneCycleLR`; "triangle": in a straight line from 1/5 to
            the peak at 23 % of the steps (or after `warmup_epochs`), then to 7 % of it; "step":
            divided by ten after 2/3 and 14/15 of the epochs (Rippel et al.: 100 and 140 of 150);
            "thirds": after 1/3 and 2/3 of them (Jia et al.: 30 and 60 of 90), both as PyTorch's
            `MultiStepLR`.
        learning_rate: peak (or constant) learning rate.
        epochs: number of epochs.
        steps_per_epoch: optimizer steps of one epoch.
        warmup_epochs: length of the warm-up of "cosine", "onecycle" and "triangle".

    Returns:
        A float or a Keras `LearningRateSchedule`.

    Raises:
        ValueError: for an argument out of its range.

    Example:

    >>> from spectral_keras.training.schedules import learning_rate_schedule
    >>> schedule = learning_rate_schedule("thirds", 0.1, epochs=3, steps_per_epoch=10)
    >>> [round(float(schedule(step)), 3) for step in (0, 9, 10, 20)]
    [0.1, 0.1, 0.01, 0.001]
    """
    check_choice("schedule", name, SCHEDULES)
    check_number("learning_rate", learning_rate, 0)
    total = check_positive_int("epochs", epochs) * steps_per_epoch
    warmup = min(round(warmup_epochs * steps_per_epoch), total - 1)
    if name in ("constant", "plateau"):
        return float(learning_rate)
    if name == "cosine":
        return WarmupCosine(learning_rate, total, warmup)
    if name == "triangle":
        return Triangle(learning_rate, total, warmup or 0.23 * total)
    if name == "onecycle":
        return WarmupCosine(
            learning_rate,
            total,
            max((warmup or 0.3 * total) - 1, 0),
            initial=learning_rate / 25,
            final=learning_rate / 25e4,
        )
    # A short training has one drop, or with "thirds" of one epoch none before its end.
    drops = sorted({round(epochs * share) for share in _DROPS[name]} - {0})
    rates = [learning_rate * 0.1**power for power in range(len(drops) + 1)]
    # Keras' boundary is the last step of the old rate.
    boundaries = [epoch * steps_per_epoch - 1 for epoch in drops]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
