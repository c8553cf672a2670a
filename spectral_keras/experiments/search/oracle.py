"""Keras Tuner's Bayesian optimisation, with its seeds and without its repeated points."""

import math
import os
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial
from threadpoolctl import threadpool_limits

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import read_json, write_json
from spectral_keras.experiments.search.asked import sample

__all__ = ["Oracle", "load_trial", "trial_files", "trial_folder", "trial_number"]

# Random draws before the space counts as exhausted.
DRAWS = 10_000


class Oracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """Gaussian process and upper confidence bound of Keras Tuner; what differs:

    - A point is what the searched function asks for: the space grows by what its branches and
      loops ask for, whose values are random at first, and values that a branch does not use are
      no part of the point.
    - No point is proposed twice: a repeat gives way to a random new point, and when there is
      none left the search stops (`exhausted`).
    - Every seed counts, 0 included, and a proposal depends on (seed, number of the trial, results
      of the finished trials) alone, so that an interruption changes nothing.
    - Failed points count as the worst score so far: the search learns to stay away from them.
      Any number of trials may fail.
    - The state is in the trials' own files alone, each of which is written in one move.

    Args:
        max_trials: number of trials.
        num_initial_points: random points before the model decides, at least 1; None for 3 for
            each hyper-parameter that is known by then.
        seed: integer of at least 0.
        hyperparameters: `keras_tuner.HyperParameters` that are known at the start.
        ask: function of (values, draw) that returns the `Asked` of a point; None where every
            point has all hyper-parameters.
        listener: function of (trial) that is called when a trial has ended, or None.
    """

    def __init__(
        self,
        max_trials: int,
        num_initial_points: int | None,
        seed: int,
        hyperparameters: keras_tuner.HyperParameters,
        ask: Callable | None = None,
        listener: Callable | None = None,
    ):
        super().__init__(
            objective=keras_tuner.Objective("val_accuracy", "max"),
            max_trials=max_trials,
            num_initial_points=num_initial_points,
            seed=seed,
            hyperparameters=hyperparameters,
            max_consecutive_failed_trials=math.inf,
        )
        self.seed = seed  # Keras Tuner replaces 0 by a random number
        self.gpr.random_state = seed
        self.exhausted = False
        self.initial_points = num_initial_points
        self.ask = ask
        self.listener = listener
        self.verbose = 0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        # The other random states of Keras Tuner are not saved, or move with each repeat.
        rng = np.random.default_rng([self.seed, len(self.trials)])
        tried = [_key(trial.hyperparameters.values) for trial in self.trials.values()]
        values = None
        # Keras Tuner's attribute, and counts fixed hyper-parameters.
        self.num_initial_points = self.initial_points or 3 * max(1, len(self._nonfixed_space()))
        ended = [trial for trial in self.trials.values() if trial.status in ("COMPLETED", "FAILED")]
        if len(ended) >= self.num_initial_points:
            values = self._proposal(trial_id, ended, rng)
        if values is None or _repeats(values, tried):
            values = self._random_point(tried, rng)
        self.exhausted = values is None
        if self.exhausted:
            return {"status": "STOPPED", "values": None}
        if self.ask is not None:
            asked = self.ask(values, lambda hp: sample(hp, rng))
            self.update_space(asked)
            values = asked.values
        return {"status": "RUNNING", "values": values}

    def _proposal(self, trial_id, ended, rng):
        """The point of the highest upper confidence bound; None while no trial has a score."""
        failed = [trial for trial in ended if trial.status == "FAILED"]
        scores = [trial.score for trial in ended if trial.status == "COMPLETED"]
        if not scores:
            return None
        self._random_state = np.random.RandomState(int(rng.integers(2**32)))
        for trial in failed:
            trial.status, trial.score = "COMPLETED", min(scores)
        try:
            # Matrices of a few rows: more threads would only wait for each other.
            with threadpool_limits(1), warnings.catch_warnings():
                # About the kernel's length scales: with few points most are at their bounds.
                warnings.simplefilter("ignore")
                return super().populate_space(trial_id)["values"]
        finally:
            for trial in failed:
                trial.status, trial.score = "FAILED", None

    def _random_point(self, tried, rng):
        """A random point that is not among those tried; None if there seems to be none."""
        for _ in range(DRAWS):
            point = keras_tuner.HyperParameters()
            for hp in self.hyperparameters.space:
                point.merge([hp])
                if point.is_active(hp):
                    point.values[hp.name] = sample(hp, rng)
            if not _repeats(point.values, tried):
                return point.values
        return None

    def _record_values(self, trial):
        # Keras Tuner gives random values here to what the trial does not ask for.
        whole, trial.hyperparameters = trial.hyperparameters, keras_tuner.HyperParameters()
        trial.hyperparameters.values = whole.values
        trial.hyperparameters.merge(
            [hp for hp in whole.space if hp.name in whole.values or not whole.is_active(hp)],
            overwrite=False,
        )

    def end_trial(self, trial: Trial) -> None:
        # The space of a worker's copy is in another order, in which children precede parents.
        own = self.trials[trial.trial_id].hyperparameters
        if own is not trial.hyperparameters:
            own.values |= trial.hyperparameters.values
            own.merge(trial.hyperparameters, overwrite=False)
            trial.hyperparameters = own
        super().end_trial(trial)
        if self.listener is not None:
            self.listener(self.trials[trial.trial_id])

    def _save_trial(self, trial):
        # Keras Tuner writes the file in place: killed in between, it would lose the trial.
        folder = trial_folder(self._project_dir, trial.trial_id)
        write_json(folder / "trial.json", trial.get_state())

    def save(self) -> None:
        # Keras Tuner writes oracle.json, through a link or into a pipe too; nothing reads it.
        pass

    @property
    def _project_dir(self):
        # Keras Tuner makes a folder of that name each time, with errors that are no OSError.
        return os.path.join(self._directory, self._project_name)

    def reload(self, records: bool = False) -> list[int]:
        """Take up the trials of the project's folder; the unfinished ones are queued again.

        Args:
            records: whether a finished trial must have its record.json; without it, it counts as
                not begun.

        Returns:
            The numbers, from 1, of the finished trials whose record is missing.

        Raises:
            CommandError: for a damaged file.
        """
        lost = []
        folder = pathlib.Path(self._project_dir)
        for path in trial_files(folder):
            trial = load_trial(path)
            ended = trial.status in ("COMPLETED", "FAILED")
            if ended and records and not path.with_name("record.json").exists():
                lost.append(trial_number(path) + 1)
                trial = Trial(trial.hyperparameters, trial_id=trial.trial_id, status="RUNNING")
            self.update_space(trial.hyperparameters)
            self.trials[trial.trial_id] = trial
            self.start_order.append(trial.trial_id)
            if trial.status in ("COMPLETED", "FAILED"):
                self.end_order.append(trial.trial_id)
            else:
                self._retry_queue.insert(0, trial.trial_id)  # it is emptied from its end
        return lost


def trial_folder(folder: str | os.PathLike, trial_id: str) -> pathlib.Path:
    """The folder of a trial in that of all trials; it is made."""
    path = pathlib.Path(folder, f"trial_{trial_id}")
    path.mkdir(parents=True, exist_ok=True)
    return path


def trial_files(folder: str | os.PathLike) -> list[pathlib.Path]:
    """The trial.json of each trial in the folder, in their order.

    Raises:
        CommandError: if one is missing: the trials after it were chosen by its result.
    """
    paths = sorted(pathlib.Path(folder).glob("trial_*/trial.json"), key=trial_number)
    for number, path in enumerate(paths):
        if trial_number(path) != number:
            digits = len(path.parent.name.removeprefix("trial_"))  # Keras Tuner fills up with 0
            lost = path.parent.with_name(f"trial_{number:0{digits}d}") / "trial.json"
            raise CommandError(f"{lost} is missing, and later trials were chosen by its result")
    return paths


def trial_number(path: pathlib.Path) -> int:
    """Number of a trial, from 0, by the path of its trial.json."""
    text = pathlib.Path(path).parent.name.removeprefix("trial_")
    if not text.isdecimal():
        raise CommandError(f"{path}: expected the folder trial_ and a number")
    return int(text)


def load_trial(path: pathlib.Path) -> Trial:
    """The trial of a trial.json; a `CommandError` if the file is damaged."""
    trial_number(path)
    state = read_json(path)
    try:
        trial = Trial.from_state(state)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CommandError(f"{path} cannot be read: {error or type(error).__name__}") from None
    # It becomes a part of the paths that are written and deleted.
    if f"trial_{trial.trial_id}" != pathlib.Path(path).parent.name:
        raise CommandError(f"{path} is damaged: it is of trial {trial.trial_id!r}")
    return trial


def _key(values):
    return frozenset((name, repr(value)) for name, value in values.items())


def _repeats(values, tried):
    """Whether one of the tried points is all that would be asked for at these values.

    A function that got the values of a point before asks for the same again, whatever other values
    there are.
    """
    key = _key(values)
    return any(other <= key for other in tried)
