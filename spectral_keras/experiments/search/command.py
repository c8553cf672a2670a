"""Search the hyper-parameters of a network: `python -m tuning.search --model spectral_pool_cnn`.

Every option of `python -m models.NAME` may be given too: it holds for all trials, and one that
the space would search is fixed by it.  --epochs is the length of a trial.

    python -m tuning.search --model spectral_pool_cnn --dataset cifar10 --trials 40 \\
        --epochs 10 --range num_pairs=2,8 --fix gamma=0.85 --schedule step
    python -m tuning.search --build package.module:build --dataset digits --trials 10

A function of --build may branch and loop on the values that it gets: a point is what it asks for,
and the space grows by what it did not ask for before.

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
from typing import Any, NoReturn

from spectral_keras.experiments.command import command_line, program
from spectral_keras.experiments.folder import given_or, work_in
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.search import cluster as _cluster
from spectral_keras.experiments.search.folder import SearchFolder
from spectral_keras.experiments.search.options import SearchOptions
from spectral_keras.experiments.train import command as _train
from spectral_keras.memory import keep_freed_memory

__all__ = ["main", "search"]


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command and exit with its status.

    0, 1 (no trial was completed), 2 (bad input), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    keep_freed_memory()
    options = SearchOptions.of_command(argv, *__doc__.split("\n", 1))
    folder = SearchFolder(options.folder)
    sys.exit(
        work_in(
            folder,
            program("tuning.search"),
            lambda: search(options, folder=folder),
            f"--resume continues in {folder.path}",
            stopped=lambda results: results and results["best"] is None,
        )
    )


@process_kept()
def search(
    options: SearchOptions, *, folder: SearchFolder | None = None, command: str | None = None
) -> dict[str, Any] | None:
    """Search the hyper-parameters of a network of the zoo, or of a function, or continue to.

    As with `train`, the program's random numbers are afterwards those that would have come.

    Args:
        options: a `SearchOptions`.
        folder: the `SearchFolder`, which the caller closes; by default the one that options name.
        command: what the files name as the command; by default the one with these options.

    Returns:
        The content of results.json, see `spectral_keras.experiments.search.api.search`: "best" is
        None if no trial was completed.  In a worker, None.

    Raises:
        CommandError: if the options, the data or the folder do not allow it.

    Example:

    ```python
    from spectral_keras.experiments.search.command import search
    from spectral_keras.experiments.search.options import SearchOptions

    options = SearchOptions("generic_cnn", trials=3, training={"epochs": 1, "limit": 300})
    print(search(options)["best"]["point"])
    ```
    """
    from spectral_keras.experiments.search.engine import run
    from spectral_keras.experiments.search.problem import BuildProblem, ZooProblem, load_builder

    with given_or(folder, lambda: SearchFolder(options.folder)) as used:
        if _cluster.role() != "worker":
            used.check(options.resume, options.overwrite)
        options.trial = trial = options.trial.with_precision()
        _train.configure(trial.seed, trial.precision, deterministic=not getattr(trial, "jit", None))
        problem: ZooProblem | BuildProblem
        if options.model:
            problem = ZooProblem(options)
            trial = problem.trial
        else:
            problem = BuildProblem(load_builder(str(options.build)), options.fix, options.range)
        data, batches = _train.load_data(trial)
        print(
            f"{problem.name}, {data.name}: {len(data.y_train):,} training and "
            f"{len(data.y_validation):,} validation images; "
            f"{', '.join(axis['name'] for axis in problem.axes())}; {used.path}",
            flush=True,
        )
        single = trial.single()
        kept = {name: value for name, value in trial.to_json().items() if name not in single}
        config = {
            "model": options.model,
            "build": options.build,
            "command": command or command_line("tuning.search", options.recorded()),
            "options": kept,
            "search": options.to_json(),
        }
        return run(
            problem,
            data,
            batches,
            used,
            config,
            resume=options.resume,
            overwrite=options.overwrite,
            show=lambda line: print(line, flush=True),
        )
