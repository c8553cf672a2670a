"""A search from start to end: the folder, the oracle, the trials, the results."""

import contextlib
import logging
from collections.abc import Callable
from importlib import metadata
from typing import Any

from keras_tuner.src.engine import conditions as _conditions

from spectral_keras.data import Batches, Dataset
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import check_utf8
from spectral_keras.experiments.provenance import commit, conditions
from spectral_keras.experiments.search import cluster as _cluster
from spectral_keras.experiments.search.folder import SearchFolder
from spectral_keras.experiments.search.oracle import Oracle
from spectral_keras.experiments.search.plot import draw_search
from spectral_keras.experiments.search.problem import BuildProblem, ZooProblem
from spectral_keras.experiments.search.results import collect, retrain_command, table, write_results
from spectral_keras.experiments.search.tuner import Tuner, describe
from spectral_keras.logs import quiet

__all__ = ["run"]


def run(
    problem: ZooProblem | BuildProblem,
    data: Dataset,
    batches: dict[str, Batches],
    folder: SearchFolder,
    config: dict[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
    show: Callable[[str], Any] = print,
) -> dict[str, Any] | None:
    """Search; every process of a chief and its workers calls it with the same arguments.

    Args:
        problem: see `spectral_keras.experiments.search.problem`.
        data: `Dataset` of which the training and validation images are used.
        batches: dict of the `Batches` "train" and "validation".
        folder: `SearchFolder`; the caller closes it.
        config: dict with "model", "build", "command", "options" (with "epochs" and "seed")
            and "search" (with "trials" and "initial_points"); it gets what else is written.
        resume: continue the search in the folder.
        overwrite: delete the search in the folder first.
        show: function that prints a line.

    Returns:
        The content of results.json; None in a worker.

    Raises:
        CommandError: if the folder, an option or the chief does not allow it.
    """
    check_utf8(folder.path, "Keras Tuner")
    role = _cluster.role()
    search = config["search"]
    given = search["initial_points"]
    search["initial_points"] = given or 3 * len(problem.axes())
    config |= {"workers": role != "single"} | _describe(data)
    if role == "worker":
        show(f"worker: waiting for the chief at {_cluster.address()}")
        _cluster.wait_for_chief()
        if folder.begun:
            folder.check_continued(config)
    else:
        resume = _begin(folder, problem, config, resume, overwrite, show)

    def ended(trial):
        results = write_results(folder.path, problem, oracle)
        if role == "chief":
            done = [t for t in results["trials"] if t["status"] != "unfinished"]
            score = "failed" if trial.score is None else f"val_accuracy {trial.score:.4f}"
            show(f"trial {int(trial.trial_id) + 1}: {score}; {len(done)} of {search['trials']}")

    seed = config["options"]["seed"]
    oracle = Oracle(search["trials"], given, seed, problem.space.copy(), problem.ask, ended)
    tuner = Tuner(problem, oracle, folder.path, data, batches, config, resume, show)
    if resume and oracle.trials:
        show(f"continuing: {len(oracle.end_order)} of {search['trials']} trials are finished")
    _search(tuner, role, show)
    if role == "worker":
        show("worker: no trials are left; the chief writes the results")
        return None
    return _summary(folder, problem, oracle, show)


def _begin(folder, problem, config, resume, overwrite, show):
    """Take the folder and write config.json; returns whether there is a search to continue."""
    folder.check(resume, overwrite)
    if resume and folder.begun:
        folder.check_continued(config)
    folder.open(overwrite)
    # Once more under the lock: another process may have been here since.
    folder.check(resume, overwrite)
    begun = folder.begun
    if begun:
        folder.check_continued(config)
        stored = folder.manifest()
        lines = folder.check_conditions(config)
        for line in lines:
            show(line)
        continued = list(dict.fromkeys([*stored.get("continued", []), *lines]))
        config |= {"continued": continued} if continued else {}
        begun_under = ("device", "versions", "commit")
        config |= {name: stored[name] for name in begun_under if name in stored}
        # Workers of an earlier part of this search may have kept their records elsewhere.
        config["workers"] |= bool(stored.get("workers"))
    trials = collect(folder.path, problem)  # damage is found before anything is written
    done, wanted = sum(t["status"] != "unfinished" for t in trials), config["search"]["trials"]
    if done > wanted:
        raise CommandError(
            f"{folder.path} has {done} finished trials already: --trials {wanted} cannot be fewer"
        )
    folder.begin(config)
    return begun


def _search(tuner, role, show):
    import grpc

    if role == "chief":
        show(f"chief: waiting for workers at {_cluster.address()}")
    try:
        # TensorFlow warns of repeated tracing; here each trial has a model of its own.
        with _without_printed_conditions(), quiet("tensorflow", logging.ERROR):
            tuner.search()
    except grpc.RpcError as error:
        raise CommandError(f"the chief at {_cluster.address()} does not answer: {error}") from None
    except RuntimeError as error:
        if role != "chief":
            raise
        raise CommandError(f"cannot listen at {_cluster.address()}: {error}") from None


@contextlib.contextmanager
def _without_printed_conditions():
    """Keras Tuner 1.4.8 prints each condition that it sends to a worker or a chief."""
    _conditions.print = lambda *values: None
    try:
        yield
    finally:
        del _conditions.print


def _summary(folder, problem, oracle, show):
    results = write_results(folder.path, problem, oracle)
    if oracle.exhausted:
        show(f"every point of the space has been tried: {len(results['trials'])} trials")
    show("\n" + table(results["trials"]))
    draw_search(folder / "search.png", results)
    best = results["best"]
    if best is None:
        show(f"no trial was completed; results: {folder.path}/results.json")
        return results
    show(
        f"\nbest: trial {best['number']}, val_accuracy {best['score']:.4f} (epoch "
        f"{best['best_epoch']}): {describe(best['point'])}"
    )
    # A function that was passed in Python has no name to import.
    if results["model"] or results["build"]:
        show(f"train it in full: {retrain_command(folder.path)}")
        if "training_command" in best:
            show(f"which runs: {best['training_command']}")
    show(f"results and picture: {folder.path}/ (results.json, search.png)")
    return results


def _describe(data):
    found = conditions()
    found["versions"] |= {name: metadata.version(name) for name in ("keras-tuner", "scikit-learn")}
    return {
        "data": data.source,
        "images": {"training": len(data.y_train), "validation": len(data.y_validation)},
        **found,
        "commit": commit(),
    }
