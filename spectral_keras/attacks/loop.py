"""The loop over images that FGSM and PGD share."""

import collections
import warnings
from collections.abc import Callable
from typing import cast

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from spectral_keras.attacks.attack import Attack
from spectral_keras.attacks.balls import inf_bounds, l2_project, random_point
from spectral_keras.attacks.step import compiled_step
from spectral_keras.classifiers.arguments import (
    as_array,
    check_classifier,
    check_images,
    check_labels,
    check_progress,
)
from spectral_keras.classifiers.batches import batch_sizes, batched, build_for, pad, padded_size
from spectral_keras.classifiers.logits import compiled_logits, read_ending
from spectral_keras.ops.validation import check_bool, check_positive_int


def run_attack(
    model: keras.Layer,
    x: ArrayLike,
    y: ArrayLike | None,
    attack: Attack,
    *,
    early_stop: bool | None = None,
    batch_size: int = 128,
    index: ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The attacked images, float32 [N, ...]: what `fgsm` and `pgd` do, for an `Attack`.

    A batch is a set of slots. An image that is done (fooled, or out of steps) leaves its slot to
    the next one, so with early stop a batch holds images that still need work.

    Args:
        model, x, y, batch_size, index, progress: see `pgd`.
        attack: an `Attack`.
        early_stop: see `pgd`; None for True with PGD and False with FGSM.

    Raises:
        ValueError: for an argument that does not fit.

    Warns:
        RuntimeWarning: if images have no usable gradient (all zeros, or not finite).

    Example:

    >>> import numpy as np, keras
    >>> from spectral_keras.attacks import Attack, run_attack
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
    >>> run_attack(model, np.array([[0.25, 0.75]]), [1], Attack("fgsm", 0.375)).tolist()
    [[0.625, 0.375]]
    """
    check_classifier(model)
    x = check_images(x, model, attack.clip)
    attack.check_shape(x.shape[1:])
    attack.check_labels(y)
    index = _check_index(index, len(x))
    check_progress(progress)
    early_stop = check_bool(
        "early_stop", attack.name == "pgd" if early_stop is None else early_stop
    )
    check_positive_int("batch_size", batch_size)
    build_for(model, x)
    sizes = batch_sizes(model, batch_size, len(x))
    if not len(x):
        return x
    from_logits, classes = read_ending(model, x, attack.from_logits, sizes)
    if y is not None:
        y = check_labels(y, len(x), cast(int, classes))
    if np.all(np.asarray(attack.radius) == 0):
        return x

    one_step = attack.steps == 1 and attack.restarts == 1 and not attack.random_start
    done = np.zeros(len(x), bool)
    if early_stop or (y is None and not one_step):
        logits_of = compiled_logits(model, x.shape[1:], from_logits)
        predicted = batched(logits_of, x, sizes).argmax(axis=1).astype(np.int32)
        y = predicted if y is None else y
        if early_stop:
            done = (predicted == y) if attack.targeted else (predicted != y)
    if y is None:  # a single step takes its prediction from its own forward pass
        y = np.full(len(x), -1, np.int32)
    step = compiled_step(model, x.shape[1:], from_logits, attack, early_stop)
    return _Run(step, x, y, done, sizes, attack, early_stop, index, progress).result()


def _check_index(index, count):
    """`index` as numpy array of `count` integers, 0 ... count - 1 for None."""
    if index is None:
        return np.arange(count)
    index = as_array(index)
    if index.shape != (count,) or (count and (index.dtype.kind not in "iu" or index.min() < 0)):
        raise ValueError(
            f"`index` must be None or {count} integers of at least 0. Received: index of shape "
            f"{index.shape} and type {index.dtype}"
        )
    return index


class _Run:
    """One attack on N images: what is found so far, and the slots at work."""

    def __init__(self, step, x, y, done, sizes, attack, early_stop, index, progress):
        self.step, self.x, self.y, self.sizes = step, x, y, sizes
        self.attack, self.early_stop = attack, early_stop
        self.index, self.progress = index, progress
        # Between several tries the last step's images have to be judged: one more look.
        self.looks = attack.steps + (attack.restarts > 1)
        self.best = x.copy()
        self.best_value = np.full(len(x), -np.inf)
        self.tries = np.zeros(len(x), int)
        self.stuck = np.zeros(len(x), bool)
        self.waiting = collections.deque(np.flatnonzero(~done).tolist())
        self.done = int(done.sum())
        inf = attack.norm == "inf"
        size = np.broadcast_to(attack.step, x.shape[1:])[None] if inf else [attack.step]
        self.constants = [ops.convert_to_tensor(np.asarray(size, np.float32))]
        if not inf:
            clip = attack.clip or (-np.inf, np.inf)
            self.constants += [
                ops.convert_to_tensor(np.asarray([attack.radius], np.float32)),
                ops.convert_to_tensor(np.asarray(clip, np.float32)),
            ]

    def result(self):
        """The attacked images; works until no image waits."""
        index = np.zeros(0, int)
        looks = np.zeros(0, int)
        images = np.zeros((0, *self.x.shape[1:]), np.float32)
        if self.done:
            self._report()
        while self.waiting or len(index):
            room = min(self.sizes[-1] - len(index), len(self.waiting))
            if room:
                fresh = np.array([self.waiting.popleft() for _ in range(room)])
                index = np.concatenate([index, fresh])
                looks = np.concatenate([looks, np.zeros(room, int)])
                images = np.concatenate([images, self._starts(fresh)])
            images, looks, fooled, values, stuck, finished = self._work(images, index, looks)
            self._harvest(index, images, fooled, values, stuck, finished)
            index, looks, images = index[~finished], looks[~finished], images[~finished]
        self._warn()
        if self.attack.norm == "l2":
            # The kernels' sums round: exactly into the ball now.
            return l2_project(self.best, self.x, self.attack.radius, self.attack.clip)
        return self.best

    def _starts(self, index):
        """Where the next try of these images begins."""
        start = self.x[index]
        if self.attack.random_start:
            # From the image's own generator: no other image and no batch size changes it.
            start = np.stack(
                [
                    random_point(
                        image,
                        self.attack.radius,
                        self.attack.norm,
                        np.random.default_rng([self.attack.seed, self.tries[i], number]),
                    )
                    for i, number, image in zip(index, self.index[index], start, strict=True)
                ]
            )
            if self.attack.norm == "inf":
                start = np.clip(start, *self._bounds(index))
            elif self.attack.clip is not None:
                start = np.clip(start, *self.attack.clip)
        return start.astype(np.float32)

    def _bounds(self, index):
        return inf_bounds(self.x[index], self.attack.radius, self.attack.clip)

    def _work(self, images, index, looks):
        """Steps until some slots are free; the state of all slots, and which are finished."""
        count = len(index)
        size = padded_size(self.sizes, count)
        labels = ops.convert_to_tensor(pad(self.y[index], size))
        step, *rest = self.constants
        if self.attack.norm == "inf":
            low, high = self._bounds(index)
            around = [ops.convert_to_tensor(pad(bound, size)) for bound in (low, high)]
        else:
            around = [ops.convert_to_tensor(pad(self.x[index], size))]
        tensor = ops.convert_to_tensor(pad(images, size))
        while True:
            moves = np.zeros(size, bool)
            moves[:count] = looks < self.attack.steps
            tensor, *outcome = self.step(
                tensor, labels, ops.convert_to_tensor(moves), step, *around, *rest
            )
            looks = looks + 1
            finished = looks >= self.looks
            if self.early_stop:
                finished |= ops.convert_to_numpy(outcome[0])[:count]
            # An exchange of images between host and device for a few free slots does not pay.
            if (looks >= self.looks).any() or finished.sum() * 8 >= count:
                break
        images = ops.convert_to_numpy(tensor)[:count]
        if self.attack.norm == "inf":
            # Backends that flush denormal numbers to zero may have left the ball by that much.
            images = np.clip(images, low, high)
        fooled, values, stuck = (ops.convert_to_numpy(item)[:count] for item in outcome)
        return images, looks, fooled, values, stuck, finished

    def _harvest(self, index, images, fooled, values, stuck, finished):
        """Keep what finished slots found; send images that have tries left back to wait."""
        before = self.done
        for slot in np.flatnonzero(finished):
            i = index[slot]
            self.tries[i] += 1
            won = fooled[slot]
            if self.attack.restarts == 1 or won or values[slot] > self.best_value[i]:
                self.best[i], self.best_value[i] = images[slot], values[slot]
            self.stuck[i] = stuck[slot] and not won
            if won or self.tries[i] >= self.attack.restarts:
                self.done += 1
            else:
                self.waiting.append(int(i))
        if self.done > before:
            self._report()

    def _report(self):
        if self.progress is not None:
            self.progress(self.done, len(self.x))

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
