"""What a search leaves: results.json, the summary table, the best point."""

import json
import os
import pathlib
from typing import Any

from spectral_keras.experiments.command import CommandError, command_line
from spectral_keras.experiments.folder import read_json, write_json
from spectral_keras.experiments.search.oracle import Oracle, load_trial, trial_files, trial_number
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.models import registry

__all__ = [
    "collect",
    "rank",
    "read_results",
    "retrain_command",
    "table",
    "training_options",
    "write_results",
]

STATUS = {"COMPLETED": "completed", "FAILED": "failed"}


def collect(folder: pathlib.Path, problem: Any) -> list[dict[str, Any]]:
    """All trials of a search folder in their order, as JSON."""
    trials = []
    for path in trial_files(pathlib.Path(folder, "trials")):
        trial = load_trial(path)
        status = STATUS.get(trial.status, "unfinished")
        record = {
            "number": trial_number(path) + 1,
            "status": status,
            "reason": None,
            "point": problem.point(trial.hyperparameters),
            "score": trial.score,
            "best_epoch": None,
            "val_accuracy": [],
            "seconds": None,
            "worker": None,
        }
        # Missing where a worker of another machine does not share the folder.
        if status != "unfinished" and path.with_name("record.json").exists():
            record |= read_json(path.with_name("record.json"))
        trials.append(record)
    return trials


def rank(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The completed trials, best first; the earlier of two equal ones first."""
    completed = [trial for trial in trials if trial["status"] == "completed"]
    return sorted(completed, key=lambda trial: (-trial["score"], trial["number"]))


def write_results(folder: pathlib.Path, problem: Any, oracle: Oracle) -> dict[str, Any]:
    """Write results.json from the folder's config.json and trials; returns its content."""
    folder = pathlib.Path(folder)
    config = read_json(folder / "config.json")
    trials = collect(folder, problem)
    best = None
    for first in rank(trials)[:1]:
        best = {**first, "command": retrain_command(folder)}
        if config.get("model"):
            arguments = training_options(config, best["point"]).arguments()
            best["training_command"] = command_line(f"models.{config['model']}", arguments)
    copied = (
        "model", "build", "command", "options", "data", "images", "backend", "device", "versions",
        "commit",
    )  # fmt: skip
    results = {
        **{key: config.get(key) for key in copied},
        "seed": config["options"]["seed"],
        "objective": "highest val_accuracy of the epochs, on images held out from training",
        "axes": problem.axes(oracle.hyperparameters),
        "space_exhausted": oracle.exhausted,
        "best": best,
        "trials": trials,
    }
    write_json(folder / "results.json", results)
    return results


def read_results(folder: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """(config.json, results.json) of a search folder.

    Raises:
        CommandError: if the folder holds no search, or a file is damaged.
    """
    folder = pathlib.Path(folder)
    if not (folder / "results.json").exists():
        raise CommandError(f"{folder} holds no results of a search: expected results.json")
    config, results = read_json(folder / "config.json"), read_json(folder / "results.json")
    try:
        best = rank(results["trials"])
        config["search"], config["options"]["seed"]
        good = all(isinstance(trial["point"], dict) for trial in best) and (
            not config.get("model") or config["model"] in registry.names()
        )
    except (KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise CommandError(f"{folder}: results.json or config.json is damaged")
    return config, results


def training_options(
    config: dict[str, Any], point: dict[str, Any], given: dict[str, Any] | None = None
) -> TrainOptions:
    """`TrainOptions` of a point of a search, with those that are given now instead.

    What a config.json from elsewhere says of the run's folder does not count.

    Raises:
        CommandError: if a value is no training option's.
    """
    model, single = config["model"], TrainOptions.single()
    for name in point:
        if name in single:
            raise CommandError(f"the point has {name}, which is no option of a trial")
    stored = {name: value for name, value in config["options"].items() if name not in single}
    options = TrainOptions.of_config({"model": model, "options": stored}).to_json()
    return TrainOptions.of_values(model, options | point | (given or {}))


def retrain_command(folder: str | os.PathLike) -> str:
    return command_line("tuning.retrain", [str(folder)])


def table(trials: list[dict[str, Any]]) -> str:
    """The summary: all trials, best first, then those that failed, with the reason."""
    others = [trial for trial in trials if trial["status"] != "completed"]
    ordered = [*rank(trials), *others]
    rows = [
        [
            str(trial["number"]),
            f"{trial['score']:.4f}" if trial["status"] == "completed" else trial["status"],
            _show(trial["best_epoch"]),
            _show(trial["seconds"]),
            *map(_show, trial["point"].values()),
        ]
        for trial in ordered
    ]
    names = list(trials[0]["point"]) if trials else []
    if any(list(trial["point"]) != names for trial in trials):
        # Conditional hyper-parameters: a column for each would be mostly empty.
        names = ["point"]
        for row, trial in zip(rows, ordered, strict=True):
            row[4:] = [json.dumps(trial["point"])]
    lines = [["trial", "val_accuracy", "best epoch", "seconds", *names], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True)) for line in lines]
    text += [f"trial {t['number']} failed: {t['reason']}" for t in others if t["reason"]]
    return "\n".join(text)


def _show(value):
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
