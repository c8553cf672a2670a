"""A saved classifier under attack or corruption: `python -m models.evaluate MODEL ...`."""

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import sys
from typing import Any, NoReturn

from spectral_keras.data.arrays import as_floats
from spectral_keras.experiments.command import CommandError, command_line, program, report_end
from spectral_keras.experiments.evaluate.attacks import OUTCOMES, Entries, run_attacks
from spectral_keras.experiments.evaluate.corruption_sources import source_of, source_text
from spectral_keras.experiments.evaluate.corruptions import print_table, run_corruptions
from spectral_keras.experiments.evaluate.options import EvaluateOptions
from spectral_keras.experiments.evaluate.plot import (
    draw_corruptions,
    draw_robustness,
    eps_text,
    label,
    points_of,
)
from spectral_keras.experiments.folder import (
    WorkFolder,
    file_hash,
    given_or,
    read_json,
    words,
    work_in,
    write_json,
)
from spectral_keras.experiments.options import flag
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.provenance import conditions
from spectral_keras.experiments.saved_models import find_preset
from spectral_keras.experiments.subject import Subject, beside
from spectral_keras.experiments.train.fit_options import is_same_file
from spectral_keras.experiments.train.run import PICTURES, RunFolder

__all__ = ["EvaluationFolder", "evaluate", "main"]

RESULT = "result.json"


class EvaluationFolder(WorkFolder):
    """The folder of what was found out about a `.keras` file."""

    mark, noun = RESULT, "an evaluation"
    what = "evaluation of a model, by python -m models.evaluate"

    def check_model(self, path: pathlib.Path, digest: str) -> None:
        """Refuse what is known about another model; this one may have been moved or trained on."""
        stored = self.manifest()
        known = stored.get("model", str(path))
        same = known in (str(path), os.path.abspath(path)) or is_same_file(known, path)
        if not same and digest not in _hashes(self, stored).values():
            raise self.started_with(f"the model {known}", str(path))


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command and exit with its status: 0, 2 (bad input), 130 or 143."""
    options = EvaluateOptions.of_command(argv)
    try:
        folder = _folder(options)
    except CommandError as error:  # a preset that is damaged
        sys.exit(report_end(program("models.evaluate"), error))
    sys.exit(
        work_in(
            folder,
            program("models.evaluate"),
            lambda: evaluate(options, folder=folder),
            "the same command continues",
        )
    )


@process_kept()
def evaluate(options: EvaluateOptions, *, folder: EvaluationFolder | None = None) -> dict[str, Any]:
    """Attack or corrupt the test images of a saved classifier, and add what it is worth there.

    Args:
        options: an `EvaluateOptions`.
        folder: where the results go, which the caller closes; by default what options name.

    Returns:
        The content of result.json.

    Raises:
        CommandError: if the options, the model or the data do not allow it.
        FloatingPointError: if an output of the model is not a number.

    Example:

    ```python
    from spectral_keras.experiments.evaluate import EvaluateOptions, evaluate
    from spectral_keras.experiments.train import TrainOptions, train

    network = {"width": 0.05, "num_pairs": 1}
    train(TrainOptions("spectral_pool_cnn", network, epochs=1, limit=100, output="run"))
    result = evaluate(EvaluateOptions("run", attack=["fgsm"], eps=[8 / 255], images=20))
    print(result["attacks"][0]["points"])
    ```
    """
    with given_or(folder, lambda: _folder(options)) as used:
        return _evaluate(options, used)


def _folder(options):
    is_run = pathlib.Path(options.model).is_dir() and find_preset(options.model) is None
    if options.output is None and is_run:
        return RunFolder(options.model)
    return EvaluationFolder(options.output or beside(options.model, "evaluated"))


def _evaluate(options, folder):
    subject = Subject(options)
    options, work = subject.options, _Evaluation(subject, folder)
    work.check()
    if not folder.begun:
        work.load()  # before anything is written
    try:
        source = source_of(options) if options.corruptions is not None else None
        folder.open()
        work.check()  # once more under the lock: others may have been here since
        if source is not None:
            work.corrupt(source)
        if options.attacks:
            work.attack()
        work.note_chance()
    except ValueError as error:  # a bad option: the message says which
        raise CommandError(str(error)) from error
    return read_json(folder / RESULT)


class _Evaluation:
    """One call of the command."""

    def __init__(self, subject, folder):
        self.subject, self.folder, self.options = subject, folder, subject.options
        # What the files name as the command.
        self.command = command_line("models.evaluate", self.options.arguments())
        self.load = functools.cache(self._load)

    def check(self):
        """Refuse a folder without a finished training, or of another model or other data."""
        folder = self.folder
        if not isinstance(folder, EvaluationFolder):
            if not (folder / RESULT).exists():  # of a training that diverged there never is one
                raise CommandError(
                    f"{folder.path} has no {RESULT}: finish the training first (--resume continues "
                    "it), or evaluate its best weights so far elsewhere, with --output FOLDER"
                )
            folder.check_finished(RESULT)
            self._check_own_data()
            return
        folder.check(resume=True, overwrite=False)
        if folder.begun:
            folder.check_model(self.subject.path, self.digest)
            folder.check_same(self._data_options())

    @functools.cached_property
    def digest(self):
        return file_hash(self.subject.path)

    def _check_own_data(self):
        """What a run's own folder says is of its own data; of others it would be taken for that."""
        options, own = self.options.to_json(), self.subject.data_of_training()
        for name in self.options.of_subject():
            if name == "dataset" and self.subject.trained:
                continue  # the same, whatever its path
            if options[name] != own[name]:
                raise CommandError(
                    f"{self.folder.path} holds what is known about its own data "
                    f"({_with(name, own[name])}): {_with(name, options[name])} name another folder "
                    "with --output"
                )

    def _data_options(self):
        """The options that all results of a folder have in common."""
        options, common = self.options.to_json(), self.options.of_subject()
        return {name: options[name] for name in common} | {"dataset": self.dataset}

    @property
    def dataset(self):
        """The data set as the run names it, if it is its own, by whatever path."""
        return str(self.subject.trained.get("dataset", self.options.dataset))

    def _load(self):
        """(model, images uint8, classes): the test set, or --images of it."""
        subject = self.subject
        images, y, names = subject.test_images(self.options.images)
        model = subject.load_model()
        subject.check_fit(model, images.shape[1:], y, names, self.options.batch_size)
        return _of_unit_images(model, *self.options.pixel_range), images, y

    def save(self, **parts):
        """Add to result.json, and drop what is of other weights."""
        folder = self.folder
        if not folder.begun:
            # The whole path: the next call may be from another folder.
            data = {"model": os.path.abspath(self.subject.path), "options": self._data_options()}
            folder.begin({"what": folder.what, **data, **conditions()})
        stored = read_json(folder / RESULT) | parts
        # A run's own folder: a training that goes on drops them itself, and else they are of its
        # weights, whatever bytes their file had.
        known = _hashes(folder, stored) if isinstance(folder, EvaluationFolder) else {}
        for part, digest in known.items():
            if part in stored and part not in parts and digest != self.digest:
                del stored[part]
                (folder / PICTURES[part]).unlink(missing_ok=True)
                print(f"{folder / RESULT}: {part} of other weights are dropped", file=sys.stderr)
        write_json(folder / RESULT, stored)

    def corrupt(self, source):
        """The accuracies under corruption."""
        stored = read_json(self.folder / RESULT) if self.folder.begun else {}

        def load():
            found = self.load()
            source.class_map = self.subject.class_map
            return found

        content = run_corruptions(
            dataclasses.replace(self.options, dataset=self.dataset), source, self.subject.path,
            stored, load, lambda entries: self.save(corruptions=entries), self.command,
        )  # fmt: skip
        draw_corruptions(
            self.folder / PICTURES["corruptions"],
            content,
            self.subject.title,
            source_text(content, short=True),
        )
        self.clean = content["clean"], content["images"]
        print_table(content)
        print(f"results: {self.folder.path}/ ({RESULT}, corruptions.png)")

    def attack(self):
        """The accuracies under attack."""
        entries = Entries(self.folder, self.subject.path)
        if entries.outdated:
            print(f"{entries.path} is of other weights: the attacks are run again", file=sys.stderr)

        def save():
            entries.save()
            self.save(attacks=entries.summary())

        def load():
            model, images, y = self.load()
            return model, as_floats(images), y

        run_attacks(self.options, entries, load, save, self.command)
        save()
        shown = entries.summary()
        draw_robustness(self.folder / PICTURES["attacks"], shown, self.subject.title)
        self.clean = shown[-1]["clean"], shown[-1]["images"]
        _print_table(shown)
        print(f"results: {self.folder.path}/ ({RESULT}, attacks.json, robustness.png)")

    def note_chance(self):
        """Say what a network may take otherwise that is no better than guessing.

        Of files the pixel values; of runs and presets the classes, on other data than their own.
        """
        subject, computed = self.subject, self.load.cache_info().currsize
        of_zoo = subject.preset is not None or os.path.isdir(self.options.model)
        if not computed or (subject.trained if of_zoo else self.options.pixel_range != [0.0, 1.0]):
            return
        clean, images = self.clean
        if images < 20:
            return
        model, _, _ = self.load()
        chance = 1 / max(model.output_shape[-1], 2)
        if clean["accuracy"] <= chance + 2 * math.sqrt(chance * (1 - chance) / images):
            question = "does the model take other pixel values than 0 to 1 (--pixel-range)"
            if of_zoo:
                question = "has the data set the classes of the model, in the model's order"
            print(
                f"note: {100 * clean['accuracy']:.2f} % of the clean images right is no better "
                f"than chance: {question}?",
                file=sys.stderr,
            )


def _hashes(folder, stored):
    """Part of result.json -> SHA-256 of the weights that it is of, where that can be read."""
    found = {}
    with contextlib.suppress(CommandError):
        found["attacks"] = read_json(folder / OUTCOMES).get("model_sha256")
    with contextlib.suppress(LookupError, TypeError):
        found["corruptions"] = stored["corruptions"][-1]["model_sha256"]
    return found


def _with(name, value):
    if value in (None, False, True):
        return f"{'with' if value else 'without'} {flag(name)}"
    return f"with {flag(name)} {words(value)}"


def _of_unit_images(model, low, high):
    """The model as one that takes images in [0, 1]."""
    import keras

    if (low, high) == (0, 1):
        return model
    inputs = keras.Input(batch_shape=model.inputs[0].shape)
    scaled = keras.layers.Rescaling(high - low, offset=low)(inputs)
    return keras.Model(inputs, model(scaled), name=model.name)


def _print_table(entries):
    for entry in entries:
        print(f"{label(entry)}, norm {entry['norm']}, {entry['images']:,} test images")
        for point in points_of(entry):
            eps = eps_text(point["eps"], entry["norm"])
            low, high = (f"{100 * end:.2f}" for end in point["interval"])
            print(f"  eps {eps:>7}  {100 * point['accuracy']:6.2f} %  (95 %: {low} to {high})")
