"""FGSM and PGD: steps of one length, the images of the slots stay on the device."""

from typing import Any, cast

import numpy as np
from keras import ops

from spectral_keras.attacks.slots import Problem, Run
from spectral_keras.attacks.step import compiled_step
from spectral_keras.classifiers.batches import pad, padded_size

__all__ = ["PlainRun"]


class PlainRun(Run):
    """FGSM or PGD on N images."""

    def __init__(self, problem: Problem):
        super().__init__(problem)
        attack, x = self.attack, self.x
        self.step = compiled_step(
            problem.model, x.shape[1:], problem.from_logits, attack, self.early_stop
        )
        # Between several tries the last step's images have to be judged: one more look.
        self.looks = cast(int, attack.steps) + (attack.restarts > 1)
        inf = attack.norm == "inf"
        size = np.broadcast_to(attack.step, x.shape[1:])[None] if inf else [attack.step]
        self.constants = [ops.convert_to_tensor(np.asarray(size, np.float32))]
        if not inf:
            clip = attack.clip or (-np.inf, np.inf)
            self.constants += [
                ops.convert_to_tensor(np.asarray([attack.radius], np.float32)),
                ops.convert_to_tensor(np.asarray(clip, np.float32)),
            ]

    def _work(self, slots: dict[str, Any]) -> tuple:
        """Steps until some slots are free."""
        index, looks, count = slots["index"], slots["looks"], len(slots["index"])
        size = padded_size(self.problem.sizes, count)
        labels = ops.convert_to_tensor(pad(self.y[index], size))
        step, *rest = self.constants
        if self.attack.norm == "inf":
            low, high = self._bounds(index)
            around = [ops.convert_to_tensor(pad(bound, size)) for bound in (low, high)]
        else:
            around = [ops.convert_to_tensor(pad(self.x[index], size))]
        tensor = ops.convert_to_tensor(pad(slots["images"], size))
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
        slots["images"], slots["looks"] = images, looks
        fooled, values, stuck = (ops.convert_to_numpy(item)[:count] for item in outcome)
        return fooled, values, stuck, finished
