"""The search from Python, for any function that builds a Keras model."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from spectral_keras.data import Batches, Dataset
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.search.engine import run
from spectral_keras.experiments.search.folder import SearchFolder
from spectral_keras.experiments.search.problem import BuildProblem

__all__ = ["search"]


@process_kept()
def search(
    build: Callable[[Any], keras.Model],
    data: Any,
    *,
    trials: int = 30,
    epochs: int = 10,
    batch_size: int = 128,
    seed: int = 0,
    folder: str | os.PathLike = "searches/search",
    initial_points: int | None = None,
    augment: Callable | None = None,
    fix: dict[str, Any] | None = None,
    ranges: dict[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    show: Callable[[str], Any] = print,
) -> dict[str, Any] | None:
    """Search the hyper-parameters of a function that builds a Keras model.

    Bayesian optimisation of Keras Tuner (Gaussian process, upper confidence bound) of the highest
    validation accuracy of a trial's epochs.  No point is tried twice; all trials start from the
    same seed; points that cannot be trained (`ValueError` while building, a loss that is not
    finite, no memory left) are reported and avoided.  Killed at any moment, the search continues
    with `resume=True` where it was, in the middle of a trial too.  The program's random numbers
    are afterwards those that would have come without the search.

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
        epochs: length of a trial.
        batch_size: images of a training step.
        seed: integer of at least 0, of the points, the weights and the order of the images.
        folder: where the files go (config.json, results.json, search.png, trials/).
        initial_points: random points before the model decides; 3 for each hyper-parameter that
            is known by then.
        augment: None, or a function of (images, rng), see `spectral_keras.data.Batches`.
        fix: hyper-parameters that are not searched, dict of name -> value.
        ranges: other ends, dict of name -> (low, high), or of name -> choices.
        resume: continue the search in `folder`.
        overwrite: delete the search in `folder` first.
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
    from spectral_keras.experiments.search.api import search

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

    results = search(build, load("digits"), trials=5, epochs=2, folder="searches/digits")
    print(results["best"]["point"], results["best"]["score"])
    ```
    """
    try:
        with contextlib.closing(SearchFolder(folder)) as opened:
            data = _dataset(data)
            fixed = {name: str(value) for name, value in (fix or {}).items()}
            texts = {name: [str(end) for end in ends] for name, ends in (ranges or {}).items()}
            problem = BuildProblem(build, fixed, texts)
            batches = {
                "train": Batches(
                    data.x_train, data.y_train, batch_size, shuffle=True, augment=augment, seed=seed
                ),
                "validation": Batches(data.x_validation, data.y_validation, max(batch_size, 250)),
            }
            config = {
                "model": None,
                "build": None,
                "command": None,
                "function": f"{build.__module__}:{problem.name}",
                "options": {"epochs": epochs, "batch_size": batch_size, "seed": seed},
                "search": {
                    "trials": trials,
                    "initial_points": initial_points,
                    "fix": fixed,
                    "range": texts,
                },
            }
            place = {"resume": resume, "overwrite": overwrite}
            return run(problem, data, batches, opened, config, **place, show=show)
    except CommandError as error:
        raise ValueError(str(error)) from error


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
