"""A search from start to end: the folder, the oracle, the trials, the results."""

import contextlib
import json
import logging
from importlib import metadata

from keras_tuner.src.engine import conditions

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import WorkFolder, check_utf8, read_json, write_json
from spectral_keras.experiments.provenance import commit, versions
from spectral_keras.experiments.search import cluster as _cluster
from spectral_keras.experiments.search.options import FREE_OPTIONS
from spectral_keras.experiments.search.oracle import Oracle
from spectral_keras.experiments.search.plot import draw_search
from spectral_keras.experiments.search.results import collect, retrain_command, table, write_results
from spectral_keras.experiments.search.tuner import Tuner, describe
from spectral_keras.logs import quiet


class SearchFolder(WorkFolder):
    """A search folder and its lock."""

    noun = "a search"

    def check_manifest(self, content):
        if not all(isinstance(content.get(part), dict) for part in ("options", "search")):
            raise CommandError(
                f"{self.path} holds something else than a search: name another folder with --output"
            )

    def check_same(self, config):
        """Refuse to continue a search with options that would change it."""
        stored = read_json(self.path / "config.json")
        config = json.loads(json.dumps(config))
        for key in ("model", "build"):
            if stored.get(key) != config[key]:
                raise CommandError(
                    f"{self.path} holds a search of {stored.get('model') or stored.get('build')}, "
                    f"not of {config[key] or config['model'] or config['build']}: name another "
                    "folder with --output"
                )
        for part in ("options", "search"):
            if not isinstance(stored.get(part), dict):
                raise CommandError(f"{self.path / 'config.json'} is damaged: no {part}")
            for name, value in config[part].items():
                # An older version may have had fewer options.
                if name in FREE_OPTIONS or name not in stored[part] or stored[part][name] == value:
                    continue
                raise CommandError(
                    f"{self.path} was started with --{name.replace('_', '-')} "
                    f"{stored[part][name]}, not {value}: resume it with its own options, "
                    "or name another folder with --output"
                )


def run(problem, data, batches, folder, config, *, resume=False, overwrite=False, show=print):
    """Search; every process of a chief and its workers calls it with the same arguments.

    Args:
        problem: see `spectral_keras.experiments.search.problem`.
        data: `Dataset` of which the training and validation images are used.
        batches: dict of the `Batches` "train" and "validation".
        folder: `SearchFolder`; the caller closes it.
        config: dict with "model", "build", "command", "options" (with "epochs" and "seed"),
            "arguments" and "search" (with "trials" and "initial_points").
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
    config["workers"] = role != "single"
    if role == "worker":
        show(f"worker: waiting for the chief at {_cluster.address()}")
        _cluster.wait_for_chief()
        if folder.begun:
            folder.check_same(config)
    else:
        folder.check(resume, overwrite)
        resume = resume and folder.begun
        if resume:
            folder.check_same(config)
        folder.open(overwrite)
        # Once more under the lock: another process may have been here since.
        folder.check(resume, overwrite)
        if folder.begun:
            folder.check_same(config)
            # Workers of an earlier part of this search may have kept their records elsewhere.
            config["workers"] |= bool(read_json(folder.path / "config.json").get("workers"))
        collect(folder.path, problem)  # a damaged file is found before anything is written
        write_json(folder / "config.json", _described(config, data))

    def ended(trial):
        results = write_results(folder.path, problem, oracle)
        if role == "chief":
            done = [t for t in results["trials"] if t["status"] != "unfinished"]
            score = "failed" if trial.score is None else f"val_accuracy {trial.score:.4f}"
            show(f"trial {int(trial.trial_id) + 1}: {score}; {len(done)} of {search['trials']}")

    oracle = Oracle(
        search["trials"],
        given,
        config["options"]["seed"],
        problem.space.copy(),
        problem.ask,
        ended,
    )
    tuner = Tuner(
        problem,
        oracle,
        folder.path,
        data,
        batches,
        config["options"]["epochs"],
        config["options"]["seed"],
        resume,
        not config["workers"],
        show,
    )
    if resume and oracle.trials:
        show(f"continuing: {len(oracle.end_order)} of {search['trials']} trials are finished")
    _search(tuner, role, show)
    if role == "worker":
        show("worker: no trials are left; the chief writes the results")
        return None
    return _summary(folder, problem, oracle, show)


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
    conditions.print = lambda *values: None
    try:
        yield
    finally:
        del conditions.print


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
    if config_has_command(results):
        show(f"train it in full: {retrain_command(folder.path)}")
        if "training_command" in best:
            show(f"which runs: {best['training_command']}")
    show(f"results and picture: {folder.path}/ (results.json, search.png)")
    return results


def config_has_command(results):
    """Whether the search came from a command: a function passed in Python has no name to import."""
    return bool(results["model"] or results["build"])


def _described(config, data):
    packages = ("keras-tuner", "scikit-learn")
    return {
        **config,
        "data": data.source,
        "images": {"training": len(data.y_train), "validation": len(data.y_validation)},
        "versions": versions() | {package: metadata.version(package) for package in packages},
        "commit": commit(),
    }
