"""Accuracy of a figure's networks under the 15 corruptions at five severities."""

import contextlib
import shutil

import numpy as np

from figures._runs import load_best
from spectral_keras.data import load_corrupted
from spectral_keras.evaluation import accuracy_on_corrupted
from spectral_keras.experiments.folder import write_arrays
from spectral_keras.memory import clear_session


def measure_corruptions(experiment, key, record, images_of):
    """Fills `record["corruption"]`, unless it is there: accuracies of the run's best weights.

    Args:
        experiment: whose settings name the number of `test_images`.
        key: of the run.
        record: of `figures._runs.trained`.
        images_of: what `corrupted_images` yields.
    """
    wanted = {"images": experiment.settings["test_images"], "seed": 0}
    if record.get("corruption", {}).get("settings") != wanted:
        model, options = load_best(experiment, key)
        corrupted, clean = images_of(options)
        found = accuracy_on_corrupted(model, corrupted, "benchmark", clean=clean, batch_size=250)
        record["corruption"] = {
            "settings": wanted,
            "clean": found["clean"]["accuracy"],
            "corruptions": {
                name: [point["accuracy"] for point in points]
                for name, points in found["corruptions"].items()
            },
            "mean_accuracy": found["mean_accuracy"],
        }
        experiment.save()
        clear_session()
    found = record["corruption"]
    experiment.say(
        f"{key}: clean {100 * found['clean']:.2f} %, corrupted {100 * found['mean_accuracy']:.2f} %"
    )


@contextlib.contextmanager
def corrupted_images(experiment):
    """Function from a run's options to its corrupted and its clean test images, made once."""
    from spectral_keras.corruptions import BENCHMARK, corrupt
    from spectral_keras.experiments.train.command import load_data

    count = experiment.settings["test_images"]
    folder = experiment.folder / f"corrupted-{count}"
    kept = {}

    def images_of(options):
        if kept:
            return kept["corrupted"], kept["clean"]
        data, _ = load_data(options)
        x, y = data.x_test[:count], data.y_test[:count]
        folder.mkdir(parents=True, exist_ok=True)
        for name in BENCHMARK:
            if experiment.overwrite or not (folder / f"{name}.npy").exists():
                experiment.say(f"corrupting {count} images: {name}")
                pieces = [corrupt(x, name, severity, seed=0) for severity in range(1, 6)]
                write_arrays(folder / f"{name}.npy", np.concatenate(pieces))
        write_arrays(folder / "labels.npy", np.tile(y, 5))
        kept.update(corrupted=load_corrupted(str(folder)), clean=(x, y))
        return kept["corrupted"], kept["clean"]

    yield images_of
    kept.clear()
    # As large as the runs themselves, and made again in a minute.
    shutil.rmtree(folder, ignore_errors=True)
