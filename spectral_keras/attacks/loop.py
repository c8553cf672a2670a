"""The loop over images that FGSM and PGD share."""

import collections
import dataclasses
import warnings

import numpy as np
from keras import ops

from spectral_keras.attacks import arguments
from spectral_keras.attacks.balls import inf_bounds, l2_project, random_point
from spectral_keras.attacks.batching import batch_sizes, batched, build_for, pad, padded_size
from spectral_keras.attacks.compiled import compiled_logits, compiled_step
from spectral_keras.attacks.logits import logits_function, looks_like_probabilities, model_notes


@dataclasses.dataclass(kw_only=True)
class Settings:
    """What an attack is to do; checked values."""

    eps: object
    step_size: object
    steps: int
    norm: str
    random_start: bool
    restarts: int
    targeted: bool
    early_stop: bool
    from_logits: object
    loss: str
    batch_size: int
    seed: int
    clip: object
    index: object = None
    progress: object


def attack(model, x, y, settings):
    """The attacked images, float32 [N, ...], for images `x` that are already checked.

    A batch is a set of slots. An image that is done (fooled, or out of steps) leaves its slot to
    the next one, so with early stop a batch holds images that still need work.
    """
    build_for(model, x)
    sizes = batch_sizes(model, settings.batch_size, len(x))
    if not len(x):
        return x
    from_logits, classes = _ending(model, x, settings.from_logits, sizes)
    if y is not None:
        y = arguments.check_labels(y, len(x), classes)
    if np.all(np.asarray(settings.eps) == 0):
        return x

    one_step = settings.steps == 1 and settings.restarts == 1 and not settings.random_start
    done = np.zeros(len(x), bool)
    if settings.early_stop or (y is None and not one_step):
        logits_of = compiled_logits(model, x.shape[1:], from_logits)
        predicted = batched(logits_of, x, sizes).argmax(axis=1).astype(np.int32)
        y = predicted if y is None else y
        if settings.early_stop:
            done = (predicted == y) if settings.targeted else (predicted != y)
    if y is None:  # a single step takes its prediction from its own forward pass
        y = np.full(len(x), -1, np.int32)
    return _Run(model, x, y, done, from_logits, sizes, settings).result()


def _ending(model, x, from_logits, sizes):
    """(whether the model gives logits, number of classes); None for a softmax that is cut off."""
    _, ending = logits_function(model, from_logits)
    notes = model_notes(model)
    outputs = getattr(model, "outputs", None)
    if ending == "unknown" and (from_logits is None or not outputs):
        if "looks" not in notes:
            function = compiled_logits(model, x.shape[1:], True)
            values = batched(function, x[: sizes[-1]], sizes)
            notes["looks"] = looks_like_probabilities(values), values.shape[-1]
        is_probabilities, classes = notes["looks"]
        return (not is_probabilities if from_logits is None else from_logits), classes
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or (outputs[0].shape[-1] or 0) < 2:
        shapes = [tuple(output.shape) for output in outputs]
        raise ValueError(
            "`model` must give one tensor of shape [batch, classes] with at least two classes. "
            f"Received: outputs of shape {shapes}"
        )
    return None if ending == "softmax" else from_logits is not False, outputs[0].shape[-1]


class _Run:
    """One attack on N images: what is found so far, and the slots at work."""

    def __init__(self, model, x, y, done, from_logits, sizes, settings):
        self.x, self.y, self.sizes, self.settings = x, y, sizes, settings
        # Between several tries the last step's images have to be judged: one more look.
        self.looks = settings.steps + (settings.restarts > 1)
        self.step = compiled_step(
            model,
            x.shape[1:],
            from_logits,
            norm=settings.norm,
            loss=settings.loss,
            targeted=settings.targeted,
            freeze=settings.early_stop,
        )
        self.best = x.copy()
        self.best_value = np.full(len(x), -np.inf)
        self.tries = np.zeros(len(x), int)
        self.stuck = np.zeros(len(x), bool)
        self.waiting = collections.deque(np.flatnonzero(~done).tolist())
        self.done = int(done.sum())
        inf = settings.norm == "inf"
        shape = x.shape[1:]
        size = np.broadcast_to(settings.step_size, shape)[None] if inf else [settings.step_size]
        self.constants = [ops.convert_to_tensor(np.asarray(size, np.float32))]
        if not inf:
            clip = settings.clip or (-np.inf, np.inf)
            self.constants += [
                ops.convert_to_tensor(np.asarray([settings.eps], np.float32)),
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
        if self.settings.norm == "l2":
            # The kernels' sums round: exactly into the ball now.
            return l2_project(self.best, self.x, self.settings.eps, self.settings.clip)
        return self.best

    def _starts(self, index):
        """Where the next try of these images begins."""
        start = self.x[index]
        if self.settings.random_start:
            # Of the image's own generator: no other image and no batch size changes the draw.
            start = np.stack(
                [
                    random_point(
                        image,
                        self.settings.eps,
                        self.settings.norm,
                        np.random.default_rng([self.settings.seed, self.tries[i], number]),
                    )
                    for i, number, image in zip(index, self._numbers(index), start, strict=True)
                ]
            )
            if self.settings.norm == "inf":
                start = np.clip(start, *self._bounds(index))
            elif self.settings.clip is not None:
                start = np.clip(start, *self.settings.clip)
        return start.astype(np.float32)

    def _numbers(self, index):
        """What these images are called in the seeds of their random starts."""
        return index if self.settings.index is None else self.settings.index[index]

    def _bounds(self, index):
        return inf_bounds(self.x[index], self.settings.eps, self.settings.clip)

    def _work(self, images, index, looks):
        """Steps until some slots are free; the state of all slots, and which are finished."""
        count = len(index)
        size = padded_size(self.sizes, count)
        labels = ops.convert_to_tensor(pad(self.y[index], size))
        step, *rest = self.constants
        if self.settings.norm == "inf":
            low, high = self._bounds(index)
            around = [ops.convert_to_tensor(pad(bound, size)) for bound in (low, high)]
        else:
            around = [ops.convert_to_tensor(pad(self.x[index], size))]
        tensor = ops.convert_to_tensor(pad(images, size))
        while True:
            moves = np.zeros(size, bool)
            moves[:count] = looks < self.settings.steps
            tensor, *outcome = self.step(
                tensor, labels, ops.convert_to_tensor(moves), step, *around, *rest
            )
            looks = looks + 1
            finished = looks >= self.looks
            if self.settings.early_stop:
                finished |= ops.convert_to_numpy(outcome[0])[:count]
            # An exchange of images between host and device for a few free slots does not pay.
            if (looks >= self.looks).any() or finished.sum() * 8 >= count:
                break
        images = ops.convert_to_numpy(tensor)[:count]
        if self.settings.norm == "inf":
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
            if self.settings.restarts == 1 or won or values[slot] > self.best_value[i]:
                self.best[i], self.best_value[i] = images[slot], values[slot]
            self.stuck[i] = stuck[slot] and not won
            if won or self.tries[i] >= self.settings.restarts:
                self.done += 1
            else:
                self.waiting.append(int(i))
        if self.done > before:
            self._report()

    def _report(self):
        if self.settings.progress is not None:
            self.settings.progress(self.done, len(self.x))

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
