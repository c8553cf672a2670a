"""Train the best point of a search in full: `python -m tuning.retrain searches/MODEL-DATASET`.

For a network of the zoo this is its training command, `python -m models.MODEL`, with the options of
the search and the values of the point; any option of that command may follow and replaces theirs:
--epochs 150 --schedule step.  The run folder is that of any training: best.keras, result.json with
the accuracy on the test set, curves.png, ...

For a search with --build it trains what the function builds, and writes best.keras, history.csv
and result.json, with the model's own loss and metrics on the test set.
"""

import pathlib
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import keras

from spectral_keras.experiments.command import CommandError, Stopped, command_line, program
from spectral_keras.experiments.folder import work_in, write_history
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.provenance import conditions
from spectral_keras.experiments.results import write_result
from spectral_keras.experiments.saved_models import save_model
from spectral_keras.experiments.search.options import training_words
from spectral_keras.experiments.search.results import rank, read_results, training_options
from spectral_keras.experiments.search.retrain_options import RetrainOptions
from spectral_keras.experiments.train import command as _train
from spectral_keras.experiments.train.fit_options import FitOptions
from spectral_keras.experiments.train.run import RunFolder, known_evaluations
from spectral_keras.memory import keep_freed_memory
from spectral_keras.training.best_weights import BestWeights
from spectral_keras.training.checkpoint import checkpoint_files

__all__ = ["main", "retrain"]


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command and exit with its status: 0, 1 (stopped), 2 (bad input), 130 or 143."""
    keep_freed_memory()

    def work():
        retrain(RetrainOptions.of_command(argv, *__doc__.split("\n", 1)), train=_train.run)

    sys.exit(work_in(None, program("tuning.retrain"), work))


@process_kept()
def retrain(options: RetrainOptions, *, train: Callable = _train.train) -> dict[str, Any]:
    """Train a point of a search in full, or continue to.

    Args:
        options: a `RetrainOptions`.
        train: function of the `TrainOptions` of a network of the zoo.

    Returns:
        The content of result.json.

    Raises:
        CommandError: if the options, the search or the run folder do not allow it.
        Stopped: if training ended before its end.
    """
    config, results = read_results(options.search)
    trials = rank(results["trials"])
    if options.rank > len(trials):
        raise CommandError(
            f"--rank {options.rank}: {options.search} has {len(trials)} completed trials"
        )
    trial = trials[options.rank - 1]
    own = {name: getattr(options, name) for name in ("output", "resume", "overwrite")}
    if config.get("model"):
        training = training_options(config, trial["point"], options.training | own)
        training.check_use(options.training)
        words = training.recorded()
        print(command_line(f"models.{training.model}", words), flush=True)
        return train(training)
    if config.get("build"):
        return _train_build(options, config, trial)
    raise CommandError(
        f"{options.search} is a search of a function passed in Python: call it yourself"
    )


def _train_build(options, config, trial):
    """Train what `build(hp)` returns; checkpoints as in a trial, so that --resume continues."""
    from spectral_keras.experiments.search.fit import Infeasible, describe_epoch, fit
    from spectral_keras.experiments.search.problem import BuildProblem, load_stored_builder

    training = {k: v for k, v in config["options"].items() if k in FitOptions.specs()}
    training = FitOptions(**training | options.training)
    training.check_use(options.training)
    training = training.with_precision()
    hp = _hyperparameters(options.search, trial["number"])
    _train.configure(training.seed, training.precision)
    problem = BuildProblem(load_stored_builder(config["build"], options.search))
    settings = training.to_json() | {"point": trial["point"]}
    words = options.recorded()
    words += training_words(None, options.training)
    folder, best = RunFolder(options.output), BestWeights()

    def show(row):
        print(describe_epoch(row, training.epochs), flush=True)

    try:
        _check(folder, options, config["build"], settings)
        data, batches = _train.load_data(training)
        folder.open(options.overwrite)
        # Once more under the lock: another process may have been here since.
        _check(folder, options, config["build"], settings)
        if folder.begun:
            for line in folder.continue_under(conditions()):
                print(line, flush=True)
        else:
            known = {"data": data.source, "class_names": data.class_names}
            folder.begin({"build": config["build"], "options": settings, **known, **conditions()})
        keras.utils.set_random_seed(training.seed)
        model = problem.build(hp, data, len(batches["train"]))
        history = fit(
            model, batches, training.epochs, folder / "checkpoints", best=best, on_epoch=show
        )
        model.set_weights(best.weights)
        save_model(model, folder / "best.keras", keep=True)
        write_history(folder / "history.csv", history)
        scores = model.evaluate(batches["test"], verbose=0, return_dict=True)
        own = {
            "build": config["build"],
            "point": trial["point"],
            "parameters": model.count_params(),
            **known_evaluations(folder, config["build"]),
        }
        result = write_result(
            folder, own, options=training, data=data, history=history, best=best, scores=scores,
            command=command_line("tuning.retrain", words),
        )  # fmt: skip
    except Infeasible as error:
        raise Stopped(str(error)) from error
    finally:
        folder.close()
    print(f"test accuracy {scores['accuracy']:.4f}, loss {scores['loss']:.4f}")
    print(f"model and results: {folder.path}/ (best.keras, result.json)")
    return result


def _check(folder, options, build, settings):
    folder.check(options.resume, options.overwrite)
    if options.resume and folder.begun:
        folder.check_network(build)
        folder.check_same(settings, FitOptions.free())
        left = checkpoint_files(folder / "checkpoints")
        if not left and all((folder / name).exists() for name in ("result.json", "best.keras")):
            raise folder.checkpoints_gone("there is nothing left to train")


def _hyperparameters(search, number):
    """Those of a trial of a search folder."""
    from spectral_keras.experiments.search.oracle import load_trial, trial_number

    for path in pathlib.Path(search).glob("trials/trial_*/trial.json"):
        if trial_number(path) + 1 == number:
            return load_trial(path).hyperparameters
    raise CommandError(f"{search}: the files of trial {number} are missing")
