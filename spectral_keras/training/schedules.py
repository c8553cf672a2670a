"""Learning-rate schedules by name, as functions of the optimizer's step."""

import math

import keras
from keras import ops

from spectral_keras.ops.validation import check_choice, check_number, check_positive_int

SCHEDULES = ("constant", "cosine", "onecycle", "step", "thirds", "plateau")
# Shares of the epochs after which the rate is divided by ten.
_DROPS = {"step": (2 / 3, 14 / 15), "thirds": (1 / 3, 2 / 3)}


@keras.saving.register_keras_serializable(package="spectral_keras")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Half-cosine warm-up to a peak, half-cosine decay to a final rate.

    With r(a, b, t) = b + (a - b) (1 + cos(pi t)) / 2, the rate goes from `initial` to `peak` in
    the first `warmup_steps` steps and from `peak` to `final` in the others.  "cosine" is the form
    that starts close to the peak, "onecycle" the long warm-up of Smith's one-cycle policy with the
    constants of PyTorch (warm-up 10 to 30 %, initial = peak / 25, final = initial / 1e4).

    Args:
        peak: highest learning rate.
        total_steps: number of optimizer steps of the whole training.
        warmup_steps: steps of the warm-up.
        initial: rate at step 0.
        final: rate at the last step.

    Example:

    >>> from spectral_keras.training.schedules import WarmupCosine
    >>> schedule = WarmupCosine(1.0, total_steps=101, warmup_steps=0)
    >>> round(float(schedule(50)), 6)
    0.5
    """

    def __init__(self, peak, total_steps, warmup_steps=0, initial=0.0, final=0.0):
        super().__init__()
        self.peak = check_number("peak", peak, 0)
        self.total_steps = check_positive_int("total_steps", total_steps)
        self.warmup_steps = check_positive_int("warmup_steps", warmup_steps, minimum=0)
        self.initial = check_number("initial", initial, 0)
        self.final = check_number("final", final, 0)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        up = ops.minimum(step / max(self.warmup_steps, 1), 1.0)
        # The last step, number total_steps - 1, runs at the final rate.
        down_steps = max(self.total_steps - 1 - self.warmup_steps, 1)
        down = ops.clip((step - self.warmup_steps) / down_steps, 0.0, 1.0)
        rising = self.peak + (self.initial - self.peak) * (1 + ops.cos(math.pi * up)) / 2
        falling = self.final + (self.peak - self.final) * (1 + ops.cos(math.pi * down)) / 2
        return ops.where(step < self.warmup_steps, rising, falling)

    def get_config(self):
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "initial": self.initial,
            "final": self.final,
        }


def learning_rate_schedule(name, learning_rate, epochs, steps_per_epoch, warmup_epochs=0.0):
    """The schedule called `name`, for a training of `epochs` epochs.

    Args:
        name: "constant" and "plateau": the rate itself (the plateau rule is a callback);
            "cosine": warm-up from 0, then half a cosine to 0; "onecycle": from 1/25 to the peak
            in the first 30 % of the steps (or `warmup_epochs`), then to 1/250 000 of it; "step":
            divided by ten at 2/3 and at 14/15 of the epochs (Rippel et al.: 100 and 140 of 150);
            "thirds": divided by ten at 1/3 and at 2/3 of them (Jia et al.: 30 and 60 of 90).
        learning_rate: peak (or constant) learning rate.
        epochs: number of epochs.
        steps_per_epoch: optimizer steps of one epoch.
        warmup_epochs: length of the warm-up of "cosine" and "onecycle".

    Returns:
        A float or a Keras `LearningRateSchedule`.
    """
    check_choice("schedule", name, SCHEDULES)
    check_number("learning_rate", learning_rate, 0)
    total = check_positive_int("epochs", epochs) * steps_per_epoch
    warmup = min(round(warmup_epochs * steps_per_epoch), total - 1)
    if name in ("constant", "plateau"):
        return float(learning_rate)
    if name == "cosine":
        return WarmupCosine(learning_rate, total, warmup)
    if name == "onecycle":
        return WarmupCosine(
            learning_rate,
            total,
            warmup or min(round(0.3 * total), total - 1),
            initial=learning_rate / 25,
            final=learning_rate / 25e4,
        )
    # A short training has one drop, or with "thirds" of one epoch none before its end.
    boundaries = sorted({round(epochs * share) * steps_per_epoch for share in _DROPS[name]} - {0})
    rates = [learning_rate * 0.1**power for power in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
