"""Running an `Attack` of any name."""

import dataclasses
from collections.abc import Callable
from typing import cast

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.attacks.apgd_run import ApgdRun
from spectral_keras.attacks.attack import Attack
from spectral_keras.attacks.plain_run import PlainRun
from spectral_keras.attacks.slots import Problem, Run
from spectral_keras.attacks.square_run import SquareRun
from spectral_keras.classifiers.arguments import (
    as_array,
    check_classifier,
    check_images,
    check_labels,
    check_progress,
)
from spectral_keras.classifiers.batches import batch_sizes, build_for, run_in_batches
from spectral_keras.classifiers.logits import compiled_logits, read_ending
from spectral_keras.classifiers.predictions import check_numbers
from spectral_keras.ops.validation import check_bool, check_positive_int

__all__ = ["run_attack"]

_RUNS: dict[str, type[Run]] = {
    "fgsm": PlainRun,
    "pgd": PlainRun,
    "apgd": ApgdRun,
    "square": SquareRun,
}


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
    """The attacked images, float32 [N, ...]: what `fgsm`, `pgd` and the others do, for an `Attack`.

    A batch is a set of slots. An image that is done (fooled, or out of steps) leaves its slot to
    the next one, so with early stop a batch holds images that still need work.

    Args:
        model, x, y, batch_size, index, progress: see `pgd`.
        attack: an `Attack`.
        early_stop: see `pgd`; None for True, False with FGSM. "strong" knows no other than True.

    Raises:
        ValueError: for an argument that does not fit.
        FloatingPointError: if, with `early_stop`, an output for `x` is not a number.

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
    numbers = _check_index(index, len(x))
    check_progress(progress)
    early_stop = check_bool(
        "early_stop", attack.name != "fgsm" if early_stop is None else early_stop
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
        logits = run_in_batches(logits_of, x, sizes)
        check_numbers(logits)
        predicted = logits.argmax(axis=1).astype(np.int32)
        y = predicted if y is None else y
        if early_stop:
            done = (predicted == y) if attack.targeted else (predicted != y)
    if y is None:  # a single step takes its prediction from its own forward pass
        y = np.full(len(x), -1, np.int32)
    problem = Problem(model, x, y, done, sizes, from_logits, attack, early_stop, numbers, progress)
    if attack.name == "strong":
        return _run_members(problem, attack.members(cast(int, classes)))
    return _RUNS[attack.name](problem).result()


def _run_members(problem, members):
    """One attack after the other on the images that are not fooled so far."""
    best, done = problem.x.copy(), problem.done.copy()
    logits_of = compiled_logits(problem.model, best.shape[1:], problem.from_logits)
    for place, member in enumerate(members):
        todo = np.flatnonzero(~done)
        rows = {name: getattr(problem, name)[todo] for name in ("x", "y", "done", "index")}
        part = dataclasses.replace(problem, **rows, attack=member, progress=None)
        if len(todo):
            found = _RUNS[member.name](part).result()
            fooled = run_in_batches(logits_of, found, problem.sizes).argmax(axis=1) != rows["y"]
            # Where none succeeds the first one's image stays, of the highest loss that it met.
            chosen = fooled if place else np.ones(len(todo), bool)
            best[todo[chosen]] = found[chosen]
            done[todo] = fooled
        if problem.progress is not None:
            last = place == len(members) - 1
            problem.progress(len(done) if last else int(done.sum()), len(done))
    return best


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
