"""Train the best point of a search in full: `python -m tuning.retrain searches/MODEL-DATASET`.

For a network of the zoo this runs its training command, `python -m models.MODEL`, with the
options of the search and the values of the point; any option of that command may follow and
replaces theirs: --epochs 150 --schedule step.  The run folder (default runs/SEARCH-rankK) is that
of any training: best.keras, result.json with the accuracy on the test set, curves.png, ...

For a search with --build it trains what the function builds, and writes best.keras, history.csv
and result.json, with the model's own loss and metrics on the test set.
"""

import argparse
import pathlib
import sys

from spectral_keras.experiments.command import (
    CommandError,
    OneLineParser,
    command_line,
    program,
    report_end,
)
from spectral_keras.experiments.folder import write_history, write_json
from spectral_keras.experiments.options import number, path
from spectral_keras.experiments.provenance import versions
from spectral_keras.experiments.saved_models import save_model
from spectral_keras.experiments.search.results import ranked, read_results, training_arguments
from spectral_keras.experiments.train.run import RunFolder
from spectral_keras.models import registry
from spectral_keras.precision import fastest_precision


def main(argv=None):
    """Run the command and leave with its status: 0, 1, 2 (bad input) 130 or 143."""
    parser = OneLineParser(
        prog=program("tuning.retrain"),
        description=__doc__.partition("\n")[0],
        epilog=__doc__.partition("\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("search", help="search folder")
    parser.add_argument(
        "--rank",
        type=number(int, 1),
        default=1,
        metavar="K",
        help="the K-th best trial (default 1)",
    )
    parser.add_argument("--output", type=path, help="run folder (default runs/SEARCH-rankK)")
    own, more = parser.parse_known_args(argv)
    try:
        status = retrain(own, more)
    except (CommandError, OSError, KeyboardInterrupt) as error:
        status = report_end(program("tuning.retrain"), error)
    sys.exit(status)


def retrain(own, more):
    folder = pathlib.Path(own.search)
    config, results = read_results(folder)
    trials = ranked(results["trials"])
    if own.rank > len(trials):
        raise CommandError(f"--rank {own.rank}: {folder} has {len(trials)} completed trials")
    trial = trials[own.rank - 1]
    output = own.output or f"runs/{folder.resolve().name}-rank{own.rank}"
    if config.get("model"):
        return _train_zoo(config, trial, [*more, "--output", output])
    if config.get("build"):
        return _train_build(config, folder, trial, more, output)
    raise CommandError(f"{folder} is a search of a function passed in Python: call it yourself")


def _train_zoo(config, trial, more):
    from spectral_keras.experiments.train import command as _train

    arguments = [*training_arguments(config, trial["point"]), *more]
    print(command_line(f"models.{config['model']}", arguments), flush=True)
    return _train.main(config["model"], arguments)


def _train_build(config, search_folder, trial, more, output):
    """Train what `build(hp)` returns; checkpoints as in a trial, so that --resume continues."""
    from spectral_keras.experiments.search.fit import Infeasible, best_row, fit
    from spectral_keras.experiments.search.options import as_train_options, build_options
    from spectral_keras.experiments.search.oracle import load_trial, trial_number
    from spectral_keras.experiments.search.problem import BuildProblem, load_stored_builder
    from spectral_keras.experiments.train import command as _train
    from spectral_keras.experiments.train.command import load_data
    from spectral_keras.training.best_weights import BestWeights

    flags = [flag for flag in ("--resume", "--overwrite") if flag in more]
    if len(flags) > 1:
        raise CommandError("--resume and --overwrite exclude each other")
    arguments = [*config["arguments"], *(text for text in more if text not in flags)]
    options, _ = build_options(arguments, program("tuning.retrain"))
    paths = search_folder.glob("trials/trial_*/trial.json")
    numbers = {trial_number(path) + 1: path for path in paths}
    if trial["number"] not in numbers:
        raise CommandError(f"{search_folder}: the files of trial {trial['number']} are missing")
    hp = load_trial(numbers[trial["number"]]).hyperparameters
    if options["precision"] == "auto":
        options = options | {"precision": fastest_precision()}
    keras = _train.configure(options["seed"], options["precision"])
    problem = BuildProblem(load_stored_builder(config["build"], search_folder))
    keras.utils.set_random_seed(options["seed"])
    folder = RunFolder(output)
    folder.check("--resume" in flags, "--overwrite" in flags)
    if flags == ["--resume"] and folder.begun:
        folder.check_same(options | {"point": trial["point"]})
    data, batches = load_data(as_train_options(registry.names()[0], options))
    history = []

    def show(row):
        print(
            f"epoch {row['epoch']}/{options['epochs']}: loss {row['loss']:.4f}, "
            f"val_accuracy {row['val_accuracy']:.4f}, {row['seconds']:.1f} s",
            flush=True,
        )

    try:
        folder.open("--overwrite" in flags)
        write_json(
            folder / "config.json",
            {"build": config["build"], "options": options | {"point": trial["point"]}},
        )
        best = BestWeights()
        try:
            model = problem.build(hp, data, len(batches["train"]))
            history = fit(
                model, batches, options["epochs"], folder / "checkpoints", best=best, on_epoch=show
            )
        except Infeasible as error:
            print(f"{program('tuning.retrain')}: stopped: {error}", file=sys.stderr)
            return 1
        model.set_weights(best.weights)
        save_model(model, folder / "best.keras")
        write_history(folder / "history.csv", history)
        scores = model.evaluate(batches["test"], verbose=0, return_dict=True)
        write_json(
            folder / "result.json",
            {
                "build": config["build"],
                "point": trial["point"],
                "dataset": data.name,
                **{f"test_{name}": float(value) for name, value in scores.items()},
                "validation_accuracy": best_row(history)["val_accuracy"],
                "best_epoch": best.epoch,
                "epochs": len(history),
                "parameters": model.count_params(),
                "seed": options["seed"],
                "versions": versions(),
            },
        )
    finally:
        folder.close()
    print(f"test accuracy {scores['accuracy']:.4f}, loss {scores['loss']:.4f}")
    print(f"model and results: {folder.path}/ (best.keras, result.json)")
    return 0
