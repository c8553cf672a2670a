"""Training runs of the zoo inside a figure: made, gone on with, or taken from its results."""

import csv
import gc
import shutil

from models._files import RunFolder, command_line, read_json
from models._options import CommandError, parse
from models._train import train


def trained(experiment, key, model, arguments, *, evaluate=True):
    """The record of one training run of `python -m models.MODEL ARGUMENTS`.

    A record that the experiment's results hold already is returned as it is; a run folder of an
    interrupted call is gone on with; otherwise the network is trained.

    Args:
        experiment: the `figures._figure.Experiment`; the record goes into `content["runs"]`.
        key: name of the run, also of its folder.
        model: name of a network of the zoo.
        arguments: dict of option of the training command -> value.
        evaluate: also evaluate on the test set, once.

    Returns:
        dict: `command`, `history` (column -> list over epochs), `parameters`, and, with
        `evaluate`, `result` (the content of result.json).
    """
    import keras

    argv = [text for option, value in arguments.items() for text in _as_text(option, value)]
    command = command_line(f"models.{model}", argv)
    runs = experiment.content.setdefault("runs", {})
    if key in runs and runs[key]["command"] == command:
        return runs[key]
    experiment.say(f"{key}: {command}")
    place = ["--output", str(experiment.folder / key), "--resume"]
    if experiment.data_dir:
        place += ["--data-dir", experiment.data_dir]
    options = parse(model, argv + place)
    folder = RunFolder(options["output"])
    try:
        status = train(model, options, folder, argv, evaluate=evaluate)
    finally:
        folder.close()
        keras.backend.clear_session()
        gc.collect()
    if status:
        raise CommandError(f"the run {key} stopped: its folder is {folder.path}")
    record = {"command": command, "history": read_history(folder / "history.csv")}
    if evaluate:
        record["result"] = read_json(folder / "result.json")
    runs[key] = record
    experiment.save()
    # The largest part of a run folder; a finished run needs none.
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return record


def _as_text(option, value):
    flag = "--" + option.replace("_", "-")
    if isinstance(value, (tuple, list)):
        value = ",".join(map(str, value))
    return [flag, str(value)]


def read_history(path):
    """history.csv as a dict: column -> list over epochs."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {column: [float(row[column]) for row in rows] for column in rows[0]}
