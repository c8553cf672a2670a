"""The search from Python, for any function that builds a Keras model."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from spectral_keras.data import Batches, Dataset
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.search.engine import run
from spectral_keras.experiments.search.folder import SearchFolder
from spectral_keras.experiments.search.problem import BuildProblem
from spectral_keras.experiments.train.command import evaluation_batch
from spectral_keras.ops.validation import check_choice, check_positive_int, describe

__all__ = ["Training", "search"]

EXISTING = ("refuse", "resume", "overwrite")

# What errors call the options of the command that the arguments stand for.
_ARGUMENTS = {
    "--resume": 'existing="resume"',
    "--overwrite": 'existing="overwrite"',
    "--output": "`folder`",
    "--fix": "`space`",
    "--range": "`space`",
    "--trials": "`trials`",
}


@dataclasses.dataclass(frozen=True)
class Training:
    """How each trial of a search trains.

    Args:
        epochs: length of a trial.
        batch_size: images of a training step.
        augment: None, or a function of (images, rng), see `spectral_keras.data.Batches`.

    Raises:
        ValueError: for a value that does not fit.

    Example:

    >>> from spectral_keras.experiments.search.api import Training
    >>> Training(epochs=2)
    Training(epochs=2, batch_size=128, augment=None)
    """

    epochs: int = 10
    batch_size: int = 128
    augment: Callable[..., np.ndarray] | None = None

    def __post_init__(self):
        check_positive_int("epochs", self.epochs)
        check_positive_int("batch_size", self.batch_size)


@process_kept(float32=False)  # `build` is the program's
def search(
    build: Callable[[Any], keras.Model],
    data: Any,
    *,
    trials: int = 30,
    training: Training | None = None,
    seed: int = 0,
    folder: str | os.PathLike = "searches/search",
    existing: str = "refuse",
    initial_points: int | None = None,
    space: dict[str, Any] | None = None,
    show: Callable[[str], Any] = print,
) -> dict[str, Any] | None:
    """Search the hyper-parameters of a function that builds a Keras model.

    Bayesian optimisation of Keras Tuner (Gaussian process, upper confidence bound) of the highest
    validation accuracy of a trial's epochs.  No point is tried twice; all trials start from the
    same seed; points that cannot be trained (`ValueError` while building, a loss that is not
    finite, no memory left) are reported and avoided.  Killed at any moment, the search continues
    with `existing="resume"` where it was, in the middle of a trial too.  The program's random
    numbers are afterwards those that would have come without the search.

    `build` may branch and loop on the values that it gets, with Keras Tuner's conditional scopes or
    without: it is evaluated once more for each point, a point is what it asks for, and the space
    grows by what it did not ask for before.  A name is one hyper-parameter; outside conditional
    scopes the ends that it was first asked with count, as in Keras Tuner.

    Args:
        build: function of `hp` (a `keras_tuner.HyperParameters`) that returns a compiled
            `keras.Model` with the metric "accuracy"; at the same values it asks for the same.
        data: a `spectral_keras.data.Dataset`, whose test images are not used, or a pair
            ((x_train, y_train), (x_validation, y_validation)) of images [N, height, width,
            channels], uint8 in [0, 255] or floats in [0, 1], and integer labels [N].
        trials: number of points.
        training: how each trial trains, a `Training`; None for its defaults.
        seed: integer of at least 0, of the points, the weights and the order of the images.
        folder: where the files go (config.json, results.json, search.png, trials/).
        existing: what happens to a search that is in `folder`: "refuse" is an error, "resume"
            continues it, "overwrite" deletes it first.
        initial_points: random points before the model decides; 3 for each hyper-parameter that
            is known by then.
        space: what is other than in `build`, dict of name -> value for a hyper-parameter that is
            not searched, name -> (low, high) for other ends, name -> choices for others.
        show: function that prints a line of progress.

    Returns:
        The content of results.json, a dict: "best" with "point" and "score", "trials" in their
        order with "status", "reason", "point", "score", "best_epoch", "val_accuracy" of each
        epoch and "seconds".  None in a worker, see `python -m tuning.search --help`.

    Raises:
        ValueError: if the folder holds another search, or an argument does not fit.

    Example:

    ```python
    from spectral_keras.data import load
    from spectral_keras.experiments.search.api import Training, search

    def build(hp):
        model = keras.Sequential([
            keras.Input((32, 32, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 8, 64), activation="relu"),
            keras.layers.Dense(10),
        ])
        model.compile(
            keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    short = Training(epochs=2)
    results = search(build, load("digits"), trials=5, training=short, folder="searches/digits")
    print(results["best"]["point"], results["best"]["score"])
    ```
    """
    check_choice("existing", existing, EXISTING)
    training = Training() if training is None else training
    if not isinstance(training, Training):
        raise ValueError(
            f"`training` must be None or a Training. Received: training={describe(training)}"
        )
    try:
        with contextlib.closing(SearchFolder(folder)) as opened:
            data = _dataset(data)
            fixed, ranges = _space(space or {})
            problem = BuildProblem(build, fixed, ranges)
            batches = _batches(data, training, seed)
            config = {
                "model": None,
                "build": None,
                "command": None,
                "function": f"{build.__module__}:{problem.name}",
                "options": {
                    "epochs": training.epochs,
                    "batch_size": training.batch_size,
                    "seed": seed,
                },
                "search": {
                    "trials": trials,
                    "initial_points": initial_points,
                    "fix": fixed,
                    "range": ranges,
                },
            }
            place = {name: existing == name for name in ("resume", "overwrite")}
            return run(problem, data, batches, opened, config, **place, show=show)
    except CommandError as error:
        text = str(error)
        for option, argument in _ARGUMENTS.items():
            text = text.replace(option, argument)
        raise ValueError(text) from error


def _space(space):
    """The hyper-parameters that are fixed, as texts, and the ends or choices of others."""
    several = {
        name: [str(end) for end in value]
        for name, value in space.items()
        if isinstance(value, Iterable) and not isinstance(value, str)
    }
    return {name: str(value) for name, value in space.items() if name not in several}, several


def _batches(data, training, seed):
    count, augment = training.batch_size, training.augment
    return {
        "train": Batches(
            data.x_train, data.y_train, count, shuffle=True, augment=augment, seed=seed
        ),
        "validation": Batches(data.x_validation, data.y_validation, evaluation_batch(count)),
    }


def _dataset(data):
    """The pair of arrays as a `Dataset` without test images."""
    if isinstance(data, Dataset):
        return data
    try:
        (x_train, y_train), (x_validation, y_validation) = data
    except (TypeError, ValueError):
        raise ValueError(
            "`data` must be a spectral_keras.data.Dataset or a pair ((x_train, y_train), "
            f"(x_validation, y_validation)). Received: data of type {type(data).__name__}"
        ) from None
    classes = int(max(np.max(y_train), np.max(y_validation))) + 1
    return Dataset(
        name="arrays",
        x_train=np.asarray(x_train),
        y_train=np.asarray(y_train),
        x_validation=np.asarray(x_validation),
        y_validation=np.asarray(y_validation),
        x_test=np.asarray(x_train)[:0],
        y_test=np.asarray(y_train)[:0],
        class_names=[str(number) for number in range(classes)],
        source={"name": "arrays"},
    )
