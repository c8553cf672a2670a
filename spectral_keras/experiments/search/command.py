"""Search the hyper-parameters of a network: `python -m tuning.search --model spectral_pool_cnn`.

Every option of `python -m models.NAME` may be given too: it holds for all trials, and one that
the space would search is fixed by it.  --epochs is the length of a trial.

    python -m tuning.search --model spectral_pool_cnn --dataset cifar10 --trials 40 \\
        --epochs 10 --range num_pairs=2,8 --fix gamma=0.85 --schedule step
    python -m tuning.search --build package.module:build --dataset digits --trials 10

The objective is the highest validation accuracy of a trial's epochs, on images held out from the
training set; the test set is not used.  The folder gets config.json, results.json, search.png and
a folder for each trial.  Killed at any moment, the same command with --resume keeps the finished
trials and continues the others after their last finished epoch; --trials may be raised then.
`python -m tuning.retrain FOLDER` trains the best point in full.

Several processes or machines: one chief proposes the points, workers train.  Start the same
command in each, with Keras Tuner's environment variables:

    export KERASTUNER_ORACLE_IP=10.0.0.1 KERASTUNER_ORACLE_PORT=8000
    KERASTUNER_TUNER_ID=chief   python -m tuning.search ...   # on 10.0.0.1; trains nothing
    KERASTUNER_TUNER_ID=worker0 python -m tuning.search ...   # an ID of its own for each worker
    KERASTUNER_TUNER_ID=worker1 python -m tuning.search ...   # CUDA_VISIBLE_DEVICES=1, say

- --output must be one folder that all of them see.  Without a shared folder points and scores
  still arrive, but reasons of failures and accuracies of epochs stay with the workers.
- A worker that was killed continues in the middle of its trial when it is started again with the
  same ID.  If it is not, the chief waits for it: stop all and start all with --resume, which
  gives its trial to any worker.  After a killed chief, too, stop and start all of them.
- A worker that starts when all is done finds no chief, and says so after ten minutes.
- Points depend on which trial ends first, so that a search by workers is not repeatable from its
  seed; each of its trials is.
- The connection is not encrypted: use it within your own network.
- A process's memory grows with its trials; workers that are started again begin afresh.
"""

import sys

from spectral_keras.experiments.command import CommandError, command_line, program, report_end
from spectral_keras.experiments.folder import default_folder
from spectral_keras.experiments.search import cluster as _cluster
from spectral_keras.experiments.search.options import as_train_options, parse
from spectral_keras.experiments.train import command as _train
from spectral_keras.models import registry
from spectral_keras.precision import fastest_precision


def main(argv=None):
    """Run the command and leave with its status.

    0, 1 (no trial was completed), 2 (bad input), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    from spectral_keras.experiments.search.engine import SearchFolder

    folder = None
    try:
        own, options, arguments, given = parse(argv, __doc__)
        label = own["model"] or own["build"].replace(":", ".")
        folder = SearchFolder(own["output"] or _default_folder(label, options["dataset"]))
        results = search(own, options, arguments, given, folder, argv)
        status = 1 if results and results["best"] is None else 0
    except (CommandError, OSError, KeyboardInterrupt) as error:
        advice = f"--resume continues in {folder.path}" if folder and folder.begun else ""
        status = report_end(program("tuning.search"), error, advice)
    finally:
        if folder:
            folder.close()
    sys.exit(status)


def search(own, options, arguments, given, folder, argv=None):
    """Search as the options of `spectral_keras.experiments.search.options.parse` say.

    `argv` is the command line that the files name, None for the process' own.  Returns the content
    of results.json, None in a worker.
    """
    from spectral_keras.experiments.search.engine import run
    from spectral_keras.experiments.search.problem import BuildProblem, ZooProblem, load_builder
    from spectral_keras.experiments.train.command import load_data

    if _cluster.role() != "worker":
        folder.check(own["resume"], own["overwrite"])
    if options["precision"] == "auto":
        options = options | {"precision": fastest_precision()}
    _train.configure(options["seed"], options["precision"])
    if own["model"]:
        fixed = {name: options[name] for name in given}
        problem = ZooProblem(own["model"], options, fixed, own["range"])
        options = problem.options
        constants = problem.options_space.constants
        arguments = [*arguments, *(f"--{k}={v}" for k, v in constants.items())]
    else:
        problem = BuildProblem(load_builder(own["build"]), own["fix"], own["range"])
    data, batches = load_data(as_train_options(own["model"] or registry.names()[0], options))
    print(
        f"{problem.name}, {data.name}: {len(data.y_train):,} training and "
        f"{len(data.y_validation):,} validation images; "
        f"{', '.join(axis['name'] for axis in problem.axes())}; {folder.path}",
        flush=True,
    )
    config = {
        "model": own["model"],
        "build": own["build"],
        "command": command_line("tuning.search", argv),
        "options": options,
        "arguments": arguments,
        "search": {key: own[key] for key in ("trials", "initial_points", "fix", "range")},
    }
    return run(
        problem,
        data,
        batches,
        folder,
        config,
        resume=own["resume"],
        overwrite=own["overwrite"],
        show=lambda line: print(line, flush=True),
    )


def _default_folder(label, dataset):
    """searches/<model>-<dataset>."""
    return str(default_folder(label, dataset)).replace("runs", "searches", 1)
