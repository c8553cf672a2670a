"""Training runs of the zoo inside a figure: made, gone on with, or taken from its results."""

import csv
import gc
import shutil

from spectral_keras.experiments.command import CommandError, command_line
from spectral_keras.experiments.folder import RunFolder, file_hash, load_model, read_json
from spectral_keras.experiments.train.command import load_data, train
from spectral_keras.experiments.train.options import parse


def trained(experiment, key, model, arguments, *, evaluate=True, training_error=False):
    """The record of one training run of `python -m models.MODEL ARGUMENTS`.

    A record that the experiment's results hold already is returned as it is; the folder of a
    finished run of the same command is read, that of an interrupted one is gone on with; otherwise
    the network is trained.

    Args:
        experiment: the `figures._figure.Experiment`; the record goes into `content["runs"]`.
        key: name of the run, also of its folder.
        model: name of a network of the zoo.
        arguments: dict of option of the training command -> value.
        evaluate: also evaluate on the test set, once.
        training_error: also evaluate the best weights on the training images as they are, without
            augmentation or dropout; needs `evaluate`.

    Returns:
        dict: `command`, `history` (column -> list over epochs) and, with `evaluate`, `result`:
        the content of result.json and `train_error_percent`.
    """
    import keras

    argv = [text for option, value in arguments.items() for text in _as_text(option, value)]
    command = command_line(f"models.{model}", argv)
    runs = experiment.content.setdefault("runs", {})
    experiment.used_runs.add(key)
    if key in runs and isinstance(runs[key], dict) and runs[key].get("command") == command:
        return runs[key]
    runs.pop(key, None)
    experiment.say(f"{key}: {command}")
    folder = RunFolder(experiment.folder / key)
    # A run of other settings that went by this name is of no use any more.
    stale = folder.holds_run and read_json(folder / "config.json").get("command") != command
    # Another figure's, perhaps; without its checkpoints it could not be gone on with.
    whole = ("result.json", "best.keras", "history.csv", "curves.png")
    files = all((folder / name).exists() for name in whole)
    if files and evaluate and not (stale or training_error or experiment.overwrite):
        result = _read_result(folder)
        # With a damaged history the run is gone on with, which writes it again.
        if result is not None:
            runs[key] = {
                "command": command,
                "history": read_history(folder / "history.csv"),
                "result": result,
            }
            experiment.save()
            _drop_checkpoints(folder.path)
            return runs[key]
        experiment.say(f"{key}: its history.csv or result.json is damaged")
    place = ["--output", str(folder.path), "--overwrite" if stale else "--resume"]
    if experiment.data_dir:
        place += ["--data-dir", experiment.data_dir]
    options = parse(model, argv + place)
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
        record["result"] = _read_result(folder)
        if training_error:
            record["result"]["train_error_percent"] = _training_error(options, folder)
    runs[key] = record
    experiment.save()
    _drop_checkpoints(folder.path)
    return record


def _drop_checkpoints(folder):
    """The largest part of a run folder; a finished run needs none."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def _read_result(folder):
    """result.json, without the checksum of the history; None if one of the two is damaged."""
    try:
        result = read_json(folder / "result.json")
        known = result.pop("history_sha256", None)
        return result if known in (None, file_hash(folder / "history.csv")) else None
    except (CommandError, OSError):
        return None


def _training_error(options, folder):
    """Error in percent of best.keras on the training images."""
    import keras

    from spectral_keras.data import Batches

    data, _ = load_data(options)
    model = load_model(folder / "best.keras")
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    batches = Batches(data.x_train, data.y_train, max(options["batch_size"], 250))
    accuracy = model.evaluate(batches, verbose=0, return_dict=True)["accuracy"]
    return round(100 * (1 - float(accuracy)), 4)


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
