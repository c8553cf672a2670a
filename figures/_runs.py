"""Training runs of the zoo inside a figure: made, continued, or taken from its results."""

import contextlib
import csv
import gc
import io
import shlex
import shutil
import statistics
import time

import keras
import numpy as np

from spectral_keras.data import Batches
from spectral_keras.data.arrays import as_floats
from spectral_keras.data.files import read_regular
from spectral_keras.experiments.command import CommandError, Stopped, command_line
from spectral_keras.experiments.folder import file_hash, read_json
from spectral_keras.experiments.saved_models import load_model
from spectral_keras.experiments.train.command import build_model, configure, load_data, train
from spectral_keras.experiments.train.finished import finished_history
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.experiments.train.run import RunFolder
from spectral_keras.memory import clear_session
from spectral_keras.precision import policy_kept
from spectral_keras.training.checkpoint import checkpoint_files


def train_once(experiment, key, model, arguments, *, evaluate=True, training_error=False):
    """The record of one training run of `python -m models.MODEL ARGUMENTS`.

    A record that the experiment's results hold already is returned as it is; the folder of a
    finished run of the same command is read, with or without its checkpoints, that of an
    interrupted one is continued; otherwise the network is trained.

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
    options = TrainOptions.of_values(model, arguments)
    command = command_line(f"models.{model}", options.arguments())
    runs = experiment.content.setdefault("runs", {})
    experiment.used_runs.add(key)
    if key in runs and isinstance(runs[key], dict) and is_of(runs[key].get("command"), options):
        return runs[key]
    runs.pop(key, None)
    experiment.say(f"{key}: {command}")
    folder = RunFolder(experiment.folder / key)
    # A run of other settings that went by this name is of no use any more.
    stale = folder.begun and not is_of(read_json(folder / "config.json").get("command"), options)
    if experiment.data_dir:
        options = options.replaced(data_dir=experiment.data_dir)
    record = None
    try:
        if not (stale or experiment.overwrite):
            # Another figure's, perhaps.
            record = _finished(folder, options, evaluate)
    except CommandError as error:
        # What is left of the run is continued or evaluated, which writes its files again.
        experiment.say(f"{key}: {error}")
    if record is None:
        # Without checkpoints nothing could be continued, only taken as it is.
        bare = folder.begun and _has_no_checkpoint(folder)
        again = stale or (bare and (experiment.overwrite or _is_lost(folder, options)))
        record = _train(key, folder, options, evaluate, command, again)
    if training_error:
        record["result"]["train_error_percent"] = _training_error(options, folder)
    runs[key] = {"command": command} | record
    experiment.save()
    _drop_checkpoints(folder.path)
    return runs[key]


def _train(key, folder, options, evaluate, command, again):
    """The record of a run that is trained, from its beginning if `again`, or continued."""
    options = options.replaced(output=str(folder.path), resume=not again, overwrite=again)
    try:
        train(options, folder=folder, evaluate=evaluate, command=command)
    except Stopped as error:
        raise CommandError(
            f"the run {key} stopped: {error}; its folder is {folder.path}"
        ) from error
    finally:
        folder.close()
        clear_session()
        gc.collect()
    record = {"history": read_history(folder / "history.csv")}
    return record | {"result": _read_result(folder)} if evaluate else record


def _finished(folder, options, evaluate):
    """The record of a run that needs no training; None if there is something to be done.

    Raises:
        CommandError: if a file of it is damaged.
    """
    whole = ("best.keras", "history.csv", *(("result.json", "curves.png") if evaluate else ()))
    if not all((folder / name).exists() for name in whole):
        return None
    if not evaluate:
        done = finished_history(folder, options) is not None
        return {"history": read_history(folder / "history.csv")} if done else None
    result = _read_result(folder)
    if result is None:
        raise CommandError("its history.csv or result.json is damaged")
    return {"history": read_history(folder / "history.csv"), "result": result}


def _is_lost(folder, options):
    """Whether a run without checkpoints lacks the whole files of a finished one."""
    try:
        return finished_history(folder, options) is None
    except CommandError:
        return True


def _has_no_checkpoint(folder):
    return not checkpoint_files(folder / "checkpoints")


def in_rounds(arms):
    """(arm, seed) of dicts that have "seeds": the first seed of every arm, then the second."""
    for index in range(max(len(arm["seeds"]) for arm in arms)):
        yield from ((arm, arm["seeds"][index]) for arm in arms if index < len(arm["seeds"]))


def training_speeds(runs, rounds, data_dir=None):
    """Images a second of the training steps of runs: medians of rounds, a step of each in turn.

    Args:
        runs: name -> (network of the zoo, dict of option of the training command -> value).
        rounds: how many steps of each are timed, after two that are not.
        data_dir: as of `Experiment`.
    """
    steps = {}
    with policy_kept():
        for name, (model, arguments) in runs.items():
            options = TrainOptions.of_values(model, arguments)
            # Enough for a batch, whatever is held out.
            few = min(options.limit or 10**9, 4 * options.batch_size)
            options = options.replaced(limit=few, data_dir=data_dir)
            configure(options.seed, options.precision)
            data, batches = load_data(options)
            network = build_model(options, data, len(batches["train"]))
            steps[name] = network, *batches["train"][0]
        seconds = {name: [] for name in runs}
        for _ in range(2 + rounds):
            for name, (network, x, y) in steps.items():
                begin = time.perf_counter()
                network.train_on_batch(x, y)
                seconds[name].append((time.perf_counter() - begin) / len(y))
    clear_session()
    return {name: 1 / statistics.median(each[2:]) for name, each in seconds.items()}


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
    data, _ = load_data(options)
    model = load_model(folder / "best.keras")
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    batches = Batches(data.x_train, data.y_train, max(options.batch_size, 250))
    accuracy = model.evaluate(batches, verbose=0, return_dict=True)["accuracy"]
    return round(100 * (1 - float(accuracy)), 4)


def is_planned(record, plan):
    """Whether a record, which anybody may have written, is of a training that `Figure.runs` gives.

    Args:
        record: of `train_once`.
        plan: (network, options, names of options that are chosen when others have run).
    """
    model, options, *chosen = plan
    command = record.get("command") if isinstance(record, dict) else None
    return is_of(command, TrainOptions.of_values(model, options), chosen)


def is_of(command, options, without=()):
    """Whether a recorded command of the training command has these options, however spelt."""
    try:
        # Of None shlex reads standard input.
        words = shlex.split(command) if isinstance(command, str) else []
        if words[:3] != ["python", "-m", f"models.{options.model}"]:
            return False
        with contextlib.redirect_stderr(io.StringIO()):
            recorded = TrainOptions.of_command(options.model, words[3:])
    except (AttributeError, TypeError, ValueError, SystemExit):
        return False
    without = TrainOptions.places() | set(without)
    return recorded.arguments(without=without) == options.arguments(without=without)


def load_best(experiment, key):
    """(best.keras of a run, its resolved options)."""
    path = experiment.folder / key
    if not (path / "best.keras").exists():
        raise CommandError(f"{path / 'best.keras'} is gone: --overwrite trains again")
    options = TrainOptions.of_config(read_json(path / "config.json"))
    if experiment.data_dir:
        options = options.replaced(data_dir=experiment.data_dir)
    return load_model(path / "best.keras"), options


def load_best_and_tests(experiment, key, count=None):
    """best.keras of a run, and the first test images, float32 in [0, 1], with their classes."""
    model, options = load_best(experiment, key)
    data, _ = load_data(options)
    return model, as_floats(np.asarray(data.x_test[:count])), data.y_test[:count]


def read_history(path):
    """history.csv as a dict: column -> list over epochs."""
    rows = list(csv.DictReader(io.StringIO(read_regular(path, limit=2**28).decode())))
    return {column: [float(row[column]) for row in rows] for column in rows[0]}
