"""Keras Tuner's loop over trials, with trials that are continued after a kill."""

import math
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial

from spectral_keras.data import Batches, Dataset
from spectral_keras.experiments.fit import best_row
from spectral_keras.experiments.folder import write_json
from spectral_keras.experiments.search import cluster as _cluster
from spectral_keras.experiments.search.asked import Asked
from spectral_keras.experiments.search.fit import Infeasible, describe_epoch, fit
from spectral_keras.experiments.search.oracle import Oracle, trial_folder
from spectral_keras.memory import clear_session

__all__ = ["Tuner", "describe", "duration", "write_record"]

# What trials are in Keras Tuner.
_ENDED = ("COMPLETED", "FAILED", "INVALID")


class Tuner(keras_tuner.Tuner):
    """Runs the trials that the oracle proposes.

    Each trial starts from the same seed, sees the same batches, and leaves `record.json` beside
    Keras Tuner's `trial.json`: status, reason, point, history.  Files of a trial are in
    FOLDER/trials/trial_N.

    Args:
        problem: what is searched, see `spectral_keras.experiments.search.problem`.
        oracle: the `Oracle`; a worker uses its chief's instead.
        folder: the search folder.
        data: `Dataset`; `batches`: dict of the `Batches` "train" and "validation".
        config: content of config.json: "options" has "epochs" and "seed" of each trial, and
            without "workers" a finished trial must have its record; workers of other machines may
            keep theirs elsewhere.
        resume: True takes up the trials that are in the folder; not for a worker, whose chief
            does it.
        show: function that prints a line.
    """

    def __init__(
        self,
        problem: Any,
        oracle: Oracle,
        folder: pathlib.Path,
        data: Dataset,
        batches: dict[str, Batches],
        config: dict[str, Any],
        resume: bool,
        show: Callable[[str], Any],
    ):
        super().__init__(oracle, directory=str(folder), project_name="trials")
        self.problem, self.data, self.batches = problem, data, batches
        self.epochs, self.seed = config["options"]["epochs"], config["options"]["seed"]
        self.show = show
        self._begin, self._ended = time.monotonic(), 0
        self._worker = self.oracle is not oracle  # Keras Tuner put a client in its place
        if resume and not self._worker:
            for number in oracle.reload(not config["workers"]):
                show(f"trial {number} has lost its record.json: it is run again")
            for trial in oracle.trials.values():
                if trial.status in _ENDED:  # of a process that was killed just then
                    self._drop_checkpoints(trial)

    def save(self) -> None:
        # The oracle saves each trial, and this class has no other state.
        pass

    def _get_tuner_fname(self):
        # Keras Tuner reloads behind our back if there is such a file, a pipe too.
        return ""

    def on_trial_begin(self, trial: Trial) -> None:
        values = describe(self.problem.point(trial.hyperparameters.copy()))
        self.show(f"trial {self._number(trial)} of {self.oracle.max_trials}: {values}")

    def search(self) -> None:
        """Run trials until the oracle has no more; in the chief, serve the workers.

        Keras Tuner's own loop takes every error of a trial, a misspelt name too, for a failed
        trial, and prints its traceback.  Here only `Infeasible` fails a trial.
        """
        if _cluster.role() == "chief":
            super().search()
            return
        while True:
            trial = self.oracle.create_trial(self.tuner_id)
            if trial.status == "STOPPED":
                return
            if trial.status == "IDLE":
                continue
            self.on_trial_begin(trial)
            folder, reason = self._folder(trial), None
            try:
                rows = self.run_trial(trial)
            except Infeasible as error:
                rows, reason = error.history, str(error)
            point = self.problem.point(trial.hyperparameters.copy())
            record = write_record(folder, trial, point, rows, reason, self.tuner_id)
            if reason is None:
                scores = {"val_accuracy": record["score"]}
                self.oracle.update_trial(trial.trial_id, scores, step=record["best_epoch"])
            trial.status, trial.message = "FAILED" if reason else "COMPLETED", reason
            self.on_trial_end(trial)

    def run_trial(self, trial: Trial) -> list[dict[str, Any]]:
        """The history of a trial; `Infeasible` if its point cannot be trained."""
        keras.utils.set_random_seed(self.seed)
        # A worker's trial, from another process, may hold more than its function asks for.
        hp = Asked(trial.hyperparameters.values, define=self.problem.define)
        try:
            model = self.problem.build(hp, self.data, len(self.batches["train"]))
        finally:
            trial.hyperparameters = hp.copy()
        return fit(
            model,
            self.batches,
            self.epochs,
            self._folder(trial) / "checkpoints",
            on_epoch=lambda row: self.show(
                f"  trial {self._number(trial)} {describe_epoch(row, self.epochs)}"
            ),
        )

    def on_trial_end(self, trial: Trial) -> None:
        super().on_trial_end(trial)
        self._drop_checkpoints(trial)
        # The graphs of finished trials would pile up.
        clear_session()  # collects garbage, too
        self._ended += 1
        now = self.oracle.get_trial(trial.trial_id)
        best = self.oracle.get_best_trials(1)[0]
        elapsed = time.monotonic() - self._begin
        left = max(self.oracle.max_trials - self._number(trial), 0)
        to_go = f", about {duration(elapsed / self._ended * left)} to go" if left else ""
        score = "failed" if now.score is None else f"val_accuracy {now.score:.4f}"
        if best.score is not None:
            score += f"; best {best.score:.4f} (trial {self._number(best)})"
        # A worker does not know how many others share the trials that are left.
        self.show(
            f"trial {self._number(trial)}: {score}; {duration(elapsed)} elapsed"
            f"{'' if self._worker else to_go}"
        )

    def _drop_checkpoints(self, trial):
        shutil.rmtree(self._folder(trial) / "checkpoints", ignore_errors=True)

    @staticmethod
    def _number(trial):
        return int(trial.trial_id) + 1

    def _folder(self, trial):
        # Keras Tuner's own has errors that are no OSError.
        return trial_folder(pathlib.Path(self.directory, self.project_name), trial.trial_id)


def duration(seconds: float) -> str:
    """Seconds for people: 48 s, 3 min 20 s, 2 h 05 min."""
    seconds = max(0, math.ceil(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def describe(point: dict[str, Any]) -> str:
    """A point in one line: numbers to four digits."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in point.items()
    )


def write_record(
    folder: pathlib.Path,
    trial: Trial,
    point: dict[str, Any],
    rows: list[dict[str, Any]],
    reason: str | None,
    worker: str,
) -> dict[str, Any]:
    """record.json: what Keras Tuner's trial.json does not hold."""
    best = best_row(rows) if rows and reason is None else None
    record = {
        "number": int(trial.trial_id) + 1,
        "status": "failed" if reason else "completed",
        "reason": reason,
        "point": point,
        "score": best and best["val_accuracy"],
        "best_epoch": best and best["epoch"],
        "val_accuracy": [row["val_accuracy"] for row in rows],
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "worker": worker,
    }
    write_json(folder / "record.json", record)
    return record
