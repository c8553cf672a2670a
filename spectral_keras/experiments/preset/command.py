"""The command `python -m models.preset`: a preset with its model card from a finished run."""

import contextlib
import hashlib
import os
import pathlib
import sys
from typing import Any, NoReturn

import numpy as np

from spectral_keras.data.files import write_file
from spectral_keras.evaluation import accuracy_point
from spectral_keras.experiments.command import CommandError, command_line, program
from spectral_keras.experiments.folder import WorkFolder, file_hash, work_in, write_json, write_text
from spectral_keras.experiments.preset.card import card
from spectral_keras.experiments.preset.evidence import Evaluations, FinishedRun
from spectral_keras.experiments.preset.measure import measure
from spectral_keras.experiments.preset.options import PresetOptions
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.provenance import commit, conditions
from spectral_keras.experiments.saved_models import find_preset, load_model, no_model
from spectral_keras.experiments.subject import Subject, SubjectOptions, build_preset
from spectral_keras.experiments.train.command import configure
from spectral_keras.memory import keep_freed_memory
from spectral_keras.models import preset as files
from spectral_keras.models import registry
from spectral_keras.models.macs import count_macs
from spectral_keras.models.weights import assign_weights, named_weights, pack_weights

__all__ = ["check_preset", "main", "make_preset"]

LARGEST = 5_000_000  # bytes of the weights
# Points that float16 may cost, that a card may be off, and that another precision of the run may
# make: more of the last is no rounding, but other weights or data.
_COST, _TOLERANCE, _SAME_RUN = 0.05, 0.1, 1.0


class PresetFolder(WorkFolder):
    """The folder of a preset."""

    noun, what = "a preset", files.WHAT
    owned = (files.WEIGHTS, files.METADATA, files.CARD)

    def close(self) -> None:
        """Give the lock back, which is no file of a preset."""
        if self._lock is not None and self.begun:
            (self.path / self.lock).unlink(missing_ok=True)
        super().close()


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command and exit with its status: 0, 2 (bad input), 130 or 143."""
    keep_freed_memory()
    options = PresetOptions.of_command(argv)

    def work():
        if options.check:
            check_preset(options.run, data_dir=options.data_dir)
        else:
            make_preset(options)

    sys.exit(work_in(None, program("models.preset"), work))


@process_kept()
def make_preset(options: PresetOptions) -> dict[str, Any]:
    """Write the preset of a finished run: config, weights, metadata and card.

    As with `train`, the program's random numbers are afterwards those that would have come.

    Args:
        options: a `PresetOptions`.

    Returns:
        The content of metadata.json.

    Raises:
        CommandError: if the run is not finished, its weights are not finite, too large for float16
            or for a preset, or lose too much in float16, or an evaluation is of other weights.

    Example:

    ```python
    from spectral_keras import models
    from spectral_keras.experiments.preset import PresetOptions, make_preset
    from spectral_keras.experiments.train import TrainOptions, train

    train(TrainOptions("deep_spectral", {"width": 0.05}, epochs=1, limit=100, output="run"))
    metadata = make_preset(PresetOptions("run", name="tiny", output="tiny"))
    print(metadata["clean"]["accuracy"], models.from_preset("tiny").count_params())
    ```
    """
    folder = PresetFolder(options.folder)
    folder.check(resume=False, overwrite=options.overwrite)
    with contextlib.closing(folder):
        return _make_preset(options, folder)


def _make_preset(options, folder):
    run = FinishedRun(options.run)
    arrays = named_weights(load_model(run.folder / "best.keras"))
    try:
        content = pack_weights(arrays)
    except ValueError as error:
        raise CommandError(f"{options.run}: {error}") from error
    if len(content) > LARGEST:
        raise CommandError(
            f"the weights of {options.run} take {len(content):,} bytes in float16: a preset has at "
            f"most {LARGEST:,}"
        )
    digest = hashlib.sha256(content).hexdigest()
    evaluations = _evaluations(options, run, digest)
    folder.open()  # whether it can be written is known before anything is measured
    config, measured = _measure(options, run, arrays)
    config["weights"] = {"file": files.WEIGHTS, "dtype": "float16", "sha256": digest}
    measured["size"]["bytes"] = len(content)
    recipe = registry.recipe(config["network"])
    metadata = {
        "name": options.name,
        **{name: config[name] for name in ("network", "options", "input_shape")},
        "summary": recipe.summary,
        "paper": recipe.paper,
        "data": run.data(),
        "training": run.training(),
        **measured,
        "corruptions": evaluations.corruptions,
        "attacks": evaluations.attacks,
        "licence": options.licence,
        "intended_use": options.intended_use,
        "limits": options.limits,
        "made": {
            "command": command_line("models.preset", options.recorded(without=("data_dir",))),
            "commit": commit(),
            **conditions(),
        },
    }
    _write(folder.path, content, config, metadata)
    print(f"{folder.path}/: {_summary(metadata)}")
    return metadata


def _evaluations(options, run, digest):
    """What is known of these weights under attack and corruption."""
    known = {
        file_hash(run.folder / "best.keras"): "with the run's float32 weights",
        digest: "with these weights",
    }
    found = Evaluations(known)
    found.add(run.folder.path)
    for folder in options.evaluations:
        found.add(folder, required=True)
    return found


def _measure(options, run, arrays):
    """(config.json but for the weights; "clean" and "size" of metadata.json)."""
    configure(0)  # float32, whatever the run was computed in
    subject = Subject(SubjectOptions(options.run, data_dir=options.data_dir))
    images, y, class_names = subject.test_images()
    names = options.class_names or class_names
    if len(names) != len(class_names):
        raise CommandError(
            f"--class-names: {run.options.dataset} has {len(class_names)} classes, received "
            f"{len(names)}"
        )
    network, found = run.options.network, {}
    model = registry.build(run.options.model, images.shape[1:], len(names), **network)
    half = {
        name: array.astype("float16") if np.issubdtype(array.dtype, np.floating) else array
        for name, array in arrays.items()
    }
    for text, values in (("float32", arrays), ("float16", half)):
        try:
            assign_weights(model, values)
        except ValueError as error:
            raise CommandError(f"{options.run}: {error}") from error
        found[text] = measure(model, images, y, f"{run.options.model}, {text} weights")
    clean = _clean(options, run, found, y)
    config = {
        "what": files.WHAT,
        "network": run.options.model,
        "options": network,
        "input_shape": [int(side) for side in images.shape[1:]],
        "class_names": list(map(str, names)),
    }
    now = conditions()
    size = {
        "parameters": model.count_params(),
        "macs": count_macs(model),
        **found["float16"][1],
        "precision": "float32",
        "backend": now["backend"],
        "device": now["device"],
    }
    return config, {"clean": clean, "size": size}


def _clean(options, run, found, y):
    """The accuracies on the test images; refuses what is no preset of this run."""
    (whole, _), (half, _) = found["float32"], found["float16"]
    before, after = accuracy_point(whole == y)["accuracy"], accuracy_point(half == y)
    result = run.result["test_accuracy"]
    if not abs(before - result) * 100 <= _SAME_RUN:
        raise CommandError(
            f"{options.run}/result.json says {100 * result:.2f} %, but best.keras has "
            f"{100 * before:.2f} % on the test images: other weights or data"
        )
    cost = 100 * (before - after["accuracy"])
    if cost >= _COST:
        raise CommandError(f"float16 costs {cost:.2f} points: a preset may lose less than {_COST}")
    return {
        **after,
        "images": len(y),
        "float32_accuracy": before,
        "float16_cost_points": round(cost, 4),
        "float16_changed_predictions": int(np.sum(whole != half)),
    }


def _write(folder, content, config, metadata):
    """The files; config.json, which says that there is a preset, is the last."""
    write_file(folder / files.WEIGHTS, lambda file: file.write(content))
    write_json(folder / files.METADATA, metadata)
    write_text(folder / files.CARD, card(metadata, config["class_names"]))
    write_json(folder / files.CONFIG, config)


def _summary(metadata):
    clean, size = metadata["clean"], metadata["size"]
    return (
        f"{100 * clean['accuracy']:.2f} % of {clean['images']:,} test images, float16 costs "
        f"{clean['float16_cost_points']:.2f} points; {size['parameters']:,} parameters, "
        f"{size['macs']:,} multiply-accumulates, {size['bytes']:,} bytes"
    )


@process_kept()
def check_preset(
    name_or_folder: str | os.PathLike, *, data_dir: str | None = None
) -> dict[str, Any]:
    """Evaluate a preset on its test images, and compare with its card.

    As with `train`, the program's random numbers are afterwards those that would have come.

    Args:
        name_or_folder: of the preset.
        data_dir: folder of the TFDS data sets.

    Returns:
        The accuracy.

    Raises:
        CommandError: if it is more than 0.1 points from the card's, or of other images.
    """
    preset = find_preset(name_or_folder)
    if preset is None:
        raise no_model(pathlib.Path(name_or_folder))
    stated, count = _stated(preset)
    configure(0)
    subject = Subject(SubjectOptions(str(name_or_folder), data_dir=data_dir))
    images, y, names = subject.test_images()
    model = build_preset(preset)
    subject.check_fit(model, images.shape[1:], y, names)
    classes, _ = measure(model, images, y, preset.name)
    found = accuracy_point(classes == y)["accuracy"]
    line = f"{preset.name}: {100 * found:.2f} %, its card says {100 * stated:.2f} %"
    if len(y) != count or not abs(found - stated) * 100 <= _TOLERANCE:  # NaN is no accuracy
        raise CommandError(f"{line} of {count:,} images; these are {len(y):,}")
    print(line)
    return found


def _stated(preset):
    """(accuracy, number of images) that the card of a preset, which may be anybody's, has."""
    try:
        clean = preset.metadata["clean"]
        return float(clean["accuracy"]), int(clean["images"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CommandError(f"the preset {preset.folder} is damaged: {error!r}") from None
