"""The commands under test, small; and what of their files has to be the same bit for bit."""

import csv
import io
import json
import re
import zipfile

import numpy as np

from tests.models.runs import write_tiny

# They belong to the clock, the place, or the files that hold them.
_FREE = {
    "seconds", "images_per_second", "command", "training_command", "history_sha256", "sha256",
    "model_sha256", "path", "output", "resume", "overwrite", "commit",
}  # fmt: skip


def write_inputs(folder):
    """The data sets and models of the jobs."""
    from tests.models import test_explain

    write_tiny(folder / "tiny.npz")
    test_explain.write_planted(folder / "waves.npz")
    test_explain.write_model(folder / "model.keras")


def train(argv):
    from spectral_keras.experiments.train.command import main

    main("spectral_pool_cnn", argv)


def figure(argv):
    """Two trainings by the figures' machinery, and their curves."""
    from figures._figure import Figure, main

    main(Figure("made_up", "Two trainings.", {"smoke": {"seeds": [0, 1]}}, _run, _draw), argv)


def _run(experiment):
    from figures._runs import train_once

    for seed in experiment.settings["seeds"]:
        options = {"dataset": "tiny.npz", "num_pairs": 1, "batch_size": 18, "augment": "crop_flip"}
        options |= {"optimizer": "sgd", "epochs": 2, "seed": seed}
        train_once(experiment, f"seed{seed}", "spectral_pool_cnn", options)
    losses = [run["history"]["loss"][-1] for run in experiment.content["runs"].values()]
    experiment.content["mean"] = float(np.mean(losses))


def _draw(stored):
    from matplotlib import pyplot

    picture, axis = pyplot.subplots(figsize=(2, 2))
    for run in stored["content"]["runs"].values():
        axis.plot(run["history"]["epoch"], run["history"]["loss"])
    axis.axhline(stored["content"]["mean"])
    return picture


def frequency_noise(argv):
    """A real figure, in its smoke preset."""
    from figures._figure import main
    from figures.frequency_noise import FIGURE

    main(FIGURE, argv)


class Job:
    """A command that is killed and resumed.

    Attributes:
        main: "module:function" of its main.
        arguments: without those of the folder.
        output: name of what it writes, beside its inputs.
        resume: what is added to continue.
        eager: whether it runs without TensorFlow's compiled functions, to save time.
    """

    def __init__(self, main, arguments, *, output="out", resume=("--resume",), eager=False):
        self.main, self.arguments, self.output = main, tuple(arguments.split()), output
        self.resume, self.eager = resume, eager

    def argv(self, resume=False, output=None):
        output = output or self.output
        place = ("--output", output)
        if "noise" in self.main:
            place = ("--results", output)
        elif "figure" in self.main:
            place = ("--results", output, "--runs", f"{output}/runs")
        return [*self.arguments, *place, *(self.resume if resume else ())]


JOBS = {
    "training": Job(
        "tests.faults.jobs:train",
        "--dataset tiny.npz --num-pairs 1 --batch-size 18 --augment crop_flip --epochs 3 "
        "--optimizer sgd --learning-rate 0.01 --schedule plateau --early-stopping 3",
    ),
    "search": Job(
        "spectral_keras.experiments.search.command:main",
        "--model spectral_pool_cnn --dataset tiny.npz --trials 3 --epochs 2 --batch-size 27 "
        "--initial-points 2 --fix num_pairs=1 --augment none",
        eager=True,
    ),
    "masks": Job(
        "spectral_keras.experiments.explain.command:main",
        "model.keras --dataset waves.npz --epochs 30 --single 3 --batch-size 10 --per-class",
    ),
    "corrupt": Job(
        "spectral_keras.experiments.corrupt.command:main",
        "--dataset tiny.npz --corruptions fog impulse_noise snow zoom_blur elastic_transform "
        "--format npy",
    ),
    "corrupt npz": Job(
        "spectral_keras.experiments.corrupt.command:main",
        "--dataset tiny.npz --corruptions fog impulse_noise snow elastic_transform",
        output="out.npz",
    ),
    "figure": Job("tests.faults.jobs:figure", "--preset smoke", resume=()),
    "frequency_noise": Job("tests.faults.jobs:frequency_noise", "--preset smoke", resume=()),
}  # fmt: skip


def outcome(folder):
    """Relative path -> all that must be equal of each file of a finished job.

    Weights, arrays and pixels byte for byte; of JSON and CSV everything but times and places.
    """
    found = {}
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    for path in paths:
        name = str(path.relative_to(folder.parent))
        if path.is_file() and path.name != ".lock":
            found[name] = content(path)
    return found


def content(path):
    """What must be equal of one file."""
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text()))
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            return [_timeless(row) for row in csv.DictReader(file)]
    if path.suffix == ".ckpt":
        from spectral_keras.training.checkpoint import read_checkpoint

        state, arrays = read_checkpoint(path)
        return _timeless(state), {name: _bytes(array) for name, array in arrays.items()}
    if path.suffix == ".keras":
        return _weights(path.read_bytes())
    if path.name in ("curves.png", "search.png", "made_up.png", "frequency_noise.png"):
        return "a picture" if path.read_bytes()[:4] == b"\x89PNG" else "damaged"
    return path.read_bytes()


def _timeless(value):
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in _FREE}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def _bytes(array):
    return array.dtype.str, array.shape, array.tobytes()


def _weights(data):
    """Every array of the weights in a .keras file, and its configuration."""
    import h5py

    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        # Keras numbers what layers share by its address.
        text = archive.read("config.json").decode()
        found["config"] = re.sub(r'"shared_object_id": \d+', "", text)
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(
                lambda name, item: (
                    found.update({name: _bytes(item[()])})
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )
    return found
