"""APGD: steps whose length an image's own progress decides."""

from typing import Any, cast

import numpy as np

from spectral_keras.attacks.slots import Problem, Run, leads_on

__all__ = ["ApgdRun", "checkpoints"]

# Share of the last step in the next one, and of rises that a step length has to give.
MOMENTUM, RISES = 0.25, 0.75


def checkpoints(steps: int) -> dict[int, int]:
    """Number of steps -> steps since the last checkpoint, for each checkpoint.

    The first period is 22 % of all steps; each is 3 % of them shorter than the one before, but not
    shorter than 6 % (Croce and Hein 2020, section 3.2; in whole steps as in the authors' code).

    Example:

    >>> from spectral_keras.attacks.apgd_run import checkpoints
    >>> list(checkpoints(100))
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    period, shorter, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    found = {}
    done = period
    while done <= steps:
        found[done] = period
        period = max(period - shorter, least)
        done += period
    return found


class ApgdRun(Run):
    """APGD on N images."""

    def __init__(self, problem: Problem):
        super().__init__(problem)
        self.looks = cast(int, self.attack.steps) + 1
        self.periods = np.zeros(self.looks + 1, int)
        for steps, period in checkpoints(cast(int, self.attack.steps)).items():
            self.periods[steps + 1] = period  # the start is looked at, too

    def _fresh(self, index: np.ndarray) -> dict[str, np.ndarray]:
        slots, count = super()._fresh(index), len(index)
        images = slots["images"]
        never = np.full(count, -np.inf, np.float32)
        return slots | {
            "before": images,
            "best": images,
            "best_gradient": np.zeros_like(images),
            "best_value": never,
            # What counts in the end: of the points that fool the model, if any do, the best.
            "kept": images,
            "kept_value": never,
            "kept_fooled": np.zeros(count, bool),
            "checked_value": never,
            "value": never,
            # A step, in radii.
            "length": np.full(count, 2.0, np.float32),
            "rises": np.zeros(count, int),
            "halved": np.ones(count, bool),
        }

    def _work(self, slots: dict[str, Any]) -> tuple:
        gradient, fooled, values, stuck = self._look(slots)
        finished = slots["looks"] >= self.looks
        if self.early_stop:
            finished |= fooled
        slots["rises"] = slots["rises"] + ((values > slots["value"]) & (slots["looks"] > 1))
        slots["value"] = values
        found = {"best": slots["images"], "best_gradient": gradient}
        for name, rows in found.items():
            slots[name] = _where(values > slots["best_value"], rows, slots[name])
        slots["best_value"] = np.maximum(slots["best_value"], values)
        leads = leads_on(fooled, values, slots["kept_fooled"], slots["kept_value"])
        found = {"kept": slots["images"], "kept_value": values, "kept_fooled": fooled}
        for name, rows in found.items():
            slots[name] = _where(leads, rows, slots[name])
        gradient = self._check(slots, gradient)
        moved = self._move(slots, gradient)
        slots["before"] = slots.pop("here")
        slots["images"] = _where(finished, slots["kept"], moved)
        return slots["kept_fooled"], slots["kept_value"], stuck, finished

    def _check(self, slots, gradient):
        """At a checkpoint halve the steps of images that got no further, from their best points on.

        Puts the points from which the next step starts into `slots` as "here"; returns their
        gradients.
        """
        period = self.periods[slots["looks"]]
        due = period > 0
        halve = slots["rises"] <= RISES * period
        halve |= ~slots["halved"] & (slots["checked_value"] >= slots["best_value"])
        halve &= due
        slots["here"] = _where(halve, slots["best"], slots["images"])
        slots["length"] = np.where(halve, slots["length"] / 2, slots["length"])
        slots["halved"] = np.where(due, halve, slots["halved"])
        slots["checked_value"] = np.where(due, slots["best_value"], slots["checked_value"])
        slots["rises"] = np.where(due, 0, slots["rises"])
        return _where(halve, slots["best_gradient"], gradient)

    def _move(self, slots, gradient):
        """One step with momentum, equations (2) and (3) of the paper; the first has none."""
        here, index = slots["here"], slots["index"]
        if self.attack.norm == "inf":
            direction, bounds = np.sign(gradient), self._bounds(index)

            def project(images):
                return np.clip(images, *bounds)
        else:
            direction = gradient / np.maximum(_length(gradient), 1e-30)
            center = self.x[index]

            def project(images):
                delta = images - center
                shorter = np.minimum(1, self.attack.radius / np.maximum(_length(delta), 1e-30))
                return self._clip(center + delta * shorter, index)

        length = slots["length"].reshape(_column(here)) * np.asarray(self.attack.radius)
        there = project(here + (length * direction).astype(np.float32))
        share = np.where(slots["looks"] > 1, MOMENTUM, 0).reshape(_column(here))
        change = (1 - share) * (there - here) + share * (here - slots["before"])
        return project(here + change.astype(np.float32)).astype(np.float32)


def _column(images):
    """The shape of a number for each image."""
    return (-1, *[1] * (images.ndim - 1))


def _where(chosen, rows, others):
    """`rows` where `chosen`, which has a number for each image, else `others`."""
    return np.where(chosen.reshape(_column(rows)), rows, others)


def _length(images):
    axes = tuple(range(1, images.ndim))
    return np.sqrt(np.sum(np.square(images, dtype=np.float64), axis=axes, keepdims=True))
