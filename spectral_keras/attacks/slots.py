"""The slots of a batch in which images are attacked until each is done."""

import collections
import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np

from spectral_keras.attacks.attack import Attack
from spectral_keras.attacks.balls import inf_bounds, l2_project, random_point
from spectral_keras.attacks.step import compiled_look
from spectral_keras.classifiers.batches import Sizes, pad, padded_size

__all__ = ["Problem", "Run", "leads_on"]


def leads_on(fooled: Any, values: Any, kept_fooled: Any, kept_values: Any) -> Any:
    """Whether points are to be kept in place of others: those that fool the model, then by loss.

    With three classes or more a point that does not fool the model may have the higher loss.

    Example:

    >>> from spectral_keras.attacks.slots import leads_on
    >>> leads_on(np.array([True, False]), np.array([0.1, 0.7]), np.array([False, True]), 0.5)
    array([ True, False])
    """
    return (fooled & ~kept_fooled) | ((fooled == kept_fooled) & (values > kept_values))


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """N images and what is to be done with them.

    Attributes:
        model, x, y, attack, early_stop, index, progress: see `run_attack`; arrays that are checked.
        done: bool [N], images that are left as they are.
        sizes: what `batches.batch_sizes` gives.
        from_logits: what `logits.read_ending` gives.
    """

    model: keras.Layer
    x: np.ndarray
    y: np.ndarray
    done: np.ndarray
    sizes: Sizes
    from_logits: bool | None
    attack: Attack
    early_stop: bool
    index: np.ndarray
    progress: Callable[[int, int], None] | None


class Run:
    """Abstract: one attack on N images, what is found so far, and the slots at work.

    A subclass says in `_fresh` what it keeps of an image that gets a slot (a dict of arrays with a
    row for each, "index", "looks" and "images" among them), and moves the images of all slots in
    `_work`.

    Attributes:
        looks: how often an image is shown to the model, a try.
    """

    looks: int
    # Whether the model is asked for gradients in `_look`.
    gradient: ClassVar[bool] = True

    def __init__(self, problem: Problem):
        self.problem, self.attack = problem, problem.attack
        self.x, self.y, self.early_stop = problem.x, problem.y, problem.early_stop
        self.best = problem.x.copy()
        self.best_value = np.full(len(problem.x), -np.inf)
        self.tries = np.zeros(len(problem.x), int)
        self.stuck = np.zeros(len(problem.x), bool)
        self.waiting = collections.deque(np.flatnonzero(~problem.done).tolist())
        self.done = int(problem.done.sum())

    def result(self) -> np.ndarray:
        """The attacked images; works until no image waits."""
        slots = self._fresh(np.zeros(0, int))
        if self.done:
            self._report()
        while self.waiting or len(slots["index"]):
            largest = self.problem.sizes[-1]
            assert largest is not None  # only the first one may be
            room = min(largest - len(slots["index"]), len(self.waiting))
            if room:
                fresh = self._fresh(np.array([self.waiting.popleft() for _ in range(room)]))
                slots = {name: np.concatenate([slots[name], fresh[name]]) for name in slots}
            fooled, values, stuck, finished = self._work(slots)
            self._harvest(slots, fooled, values, stuck, finished)
            slots = {name: rows[~finished] for name, rows in slots.items()}
        self._warn()
        if self.attack.norm == "l2":
            # The kernels' sums round: exactly into the ball now.
            return l2_project(self.best, self.x, self.attack.radius, self.attack.clip)
        return self.best

    def _fresh(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """What is kept of these images, which get a slot for their next try."""
        return {
            "index": index,
            "looks": np.zeros(len(index), int),
            "images": self._clip(self._starts(index), index),
        }

    def _work(self, slots: dict[str, Any]) -> tuple:
        """Move the images of the slots; (fooled, objective, stuck, finished) of each."""
        raise NotImplementedError("abstract: each attack has its own")

    def _generator(self, i: int) -> np.random.Generator:
        """Random numbers of a try of an image: no other image and no batch size changes them."""
        seed, number = self.attack.seed, self.problem.index[i]
        return np.random.default_rng([seed, self.tries[i], number])

    def _starts(self, index: np.ndarray) -> np.ndarray:
        """Where the next try of these images begins."""
        start = self.x[index]
        if self.attack.random_start and len(index):
            radius, norm = self.attack.radius, self.attack.norm
            start = np.stack(
                [
                    random_point(image, radius, norm, self._generator(i))
                    for i, image in zip(index, start, strict=True)
                ]
            )
        return start

    def _clip(self, images: np.ndarray, index: np.ndarray) -> np.ndarray:
        """The images within the range and, with norm "inf", the ball."""
        if self.attack.norm == "inf":
            images = np.clip(images, *self._bounds(index))
        elif self.attack.clip is not None:
            images = np.clip(images, *self.attack.clip)
        return images.astype(np.float32)

    def _bounds(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return inf_bounds(self.x[index], self.attack.radius, self.attack.clip)

    def _look(self, slots: dict[str, np.ndarray]) -> list[np.ndarray]:
        """What `compiled_look` says of the images of the slots; counts it."""
        problem, count = self.problem, len(slots["index"])
        look = compiled_look(
            problem.model, self.x.shape[1:], problem.from_logits, self.attack, self.gradient
        )
        size = padded_size(problem.sizes, count)
        found = look(pad(slots["images"], size), pad(self.y[slots["index"]], size))
        slots["looks"] = slots["looks"] + 1
        return [keras.ops.convert_to_numpy(each)[:count] for each in found]

    def _harvest(self, slots, fooled, values, stuck, finished):
        """Keep what finished slots found; send images that have tries left back to wait."""
        before = self.done
        for slot in np.flatnonzero(finished):
            i = slots["index"][slot]
            self.tries[i] += 1
            won = fooled[slot]
            if self.attack.restarts == 1 or won or values[slot] > self.best_value[i]:
                self.best[i], self.best_value[i] = slots["images"][slot], values[slot]
            self.stuck[i] = stuck[slot] and not won
            if won or self.tries[i] >= self.attack.restarts:
                self.done += 1
            else:
                self.waiting.append(int(i))
        if self.done > before:
            self._report()

    def _report(self):
        if self.problem.progress is not None:
            self.problem.progress(self.done, len(self.x))

    def _warn(self):
        stuck = int(self.stuck.sum())
        if stuck:
            warnings.warn(
                f"The gradient was zero or not finite for {stuck} of {len(self.x)} images that the "
                "attack did not change to another class: the model may hide its gradient, which "
                "is no robustness. Attack a model that gives logits.",
                RuntimeWarning,
                stacklevel=5,
            )
