"""Which frequencies a saved classifier needs: `python -m models.explain MODEL ...`."""

import dataclasses
import sys
import time
from typing import Any, NoReturn

import numpy as np

from spectral_keras.experiments.command import CommandError, command_line, program
from spectral_keras.experiments.explain.folder import REPORT, Folder
from spectral_keras.experiments.explain.options import ExplainOptions
from spectral_keras.experiments.explain.plot import draw_page
from spectral_keras.experiments.explain.report import (
    accuracies,
    energies,
    energies_csv,
    filtered,
    mask_numbers,
    share,
    single_numbers,
)
from spectral_keras.experiments.explain.source import Images, batch_size, peak_rate, predictions
from spectral_keras.experiments.folder import (
    file_hash,
    given_or,
    read_json,
    work_in,
    write_arrays,
    write_json,
    write_text,
)
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.progress import Progress
from spectral_keras.experiments.provenance import commit, conditions, data_hash
from spectral_keras.experiments.subject import Subject, beside
from spectral_keras.experiments.train.command import configure
from spectral_keras.memory import keep_freed_memory

__all__ = ["explain", "main"]

# Images in examples.npz where no single masks are asked for.
_EXAMPLES = 16
# The mask is finished when its sparsity moves by at most this much for so many epochs.
_STILL, _STILL_EPOCHS = 5e-4, 3


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command and exit with its status: 0, 2 (bad input), 130 or 143."""
    keep_freed_memory()
    options = ExplainOptions.of_command(argv)
    folder = _folder(options)
    sys.exit(
        work_in(
            folder,
            program("models.explain"),
            lambda: explain(options, folder=folder),
            "--resume continues it",
        )
    )


@process_kept()
def explain(options: ExplainOptions, *, folder: Folder | None = None) -> dict[str, Any]:
    """Learn which frequencies a saved classifier needs, and write them down.

    As with `train`, the program's random numbers are afterwards those that would have come.

    Args:
        options: an `ExplainOptions`.
        folder: the `Folder` of the results, which the caller closes; by default what options name.

    Returns:
        The content of explanation.json.

    Raises:
        CommandError: if the options, the model, the data or the folder do not allow it.

    Example:

    ```python
    from spectral_keras.experiments.explain import ExplainOptions, explain
    from spectral_keras.experiments.train import TrainOptions, train

    network = {"width": 0.05, "num_pairs": 1}
    train(TrainOptions("spectral_pool_cnn", network, epochs=1, limit=100, output="run"))
    report = explain(ExplainOptions("run", images=20, epochs=1, single=1))
    print(report["mask"]["sparsity"], report["accuracy"]["masked"]["share"])
    ```
    """
    with given_or(folder, lambda: _folder(options)) as used:
        return _explain(options, used)


def _folder(options):
    return Folder(options.output or beside(options.model, "explained"))


def _explain(options, folder):
    begin = time.perf_counter()
    folder.check(options.resume, options.overwrite)
    subject = Subject(options)
    configure(options.seed)
    model = subject.load_model()
    if model.outputs[0].shape[1] == 1:
        raise CommandError(
            f"{subject.path} gives one number for two classes: masks need an output a class"
        )
    images = Images(subject)
    classes = np.concatenate([images.y, images.held_y])
    size = batch_size(model, options.batch_size, len(images.y))
    subject.check_fit(model, images.x.shape[1:], classes, images.class_names, size)
    options = dataclasses.replace(subject.options, batch_size=size)
    settings = {
        "model": str(subject.path),
        "options": options.settled(),
        "model_sha256": file_hash(subject.path),
        "data_sha256": data_hash(images.x, images.y),
    }
    for line in folder.start(settings, conditions(), options.overwrite):
        print(f"{folder.path}: {line}", flush=True)
    if folder.finished:
        print(f"{folder.path} is finished; nothing to do", flush=True)
        return read_json(folder / REPORT)
    plain = predictions(model, images.x)
    shown = subject.preset.name if subject.preset else subject.path
    print(
        f"{shown}: {model.count_params():,} parameters; {len(images.x):,} {options.split} "
        f"images of {options.dataset}, accuracy {np.mean(plain == images.y):.4f}; {folder.path}",
        flush=True,
    )
    try:
        work = _Work(options, folder, model, images, plain)
        report = work.report(subject)
    except ValueError as error:  # what the library refuses: the message says why
        raise CommandError(str(error)) from error
    work.write(report)
    for note in report["notes"]:
        print(f"note: {note}", flush=True)
    _print_summary(report)
    seconds = max(0.0, time.perf_counter() - begin)
    print(f"{folder.path}/ (explanation.png, {REPORT}, ...), {seconds:.1f} s")
    return read_json(folder / REPORT)


class _Work:
    """The masks of one model: learned, or read where they are there already."""

    def __init__(self, options, folder, model, images, plain):
        self.options, self.folder, self.model = options, folder, model
        self.images, self.plain = images, plain
        self.notes = []
        self.learned = self._of_set("masks.npz", per_class=False)
        self.by_class = self._of_set("class_masks.npz", True) if options.per_class else None
        self.chosen = images.order[: options.single or _EXAMPLES]
        self.singles = self._of_images() if options.single else None
        self.heat = self._heat_map() if options.heat_map else None

    def _of_set(self, name, per_class):
        from spectral_keras.analysis.masks import EpochRule, SetMasks, learn_mask

        options, images = self.options, self.images
        groups = len(np.unique(images.y)) if per_class else 1
        rate = options.learning_rate or peak_rate(
            len(images.y) / groups, options.batch_size, options.epochs
        )
        return self._learn_or_read(
            name,
            SetMasks,
            (f"masks of {groups} classes" if per_class else "mask", "epoch"),
            learn_mask,
            (images.x, images.y),
            per_class=per_class,
            penalty=options.penalty,
            learning_rate=rate,
            epochs=options.epochs,
            batch_size=options.batch_size,
            stopping=EpochRule(patience=_STILL_EPOCHS, sparsity_tolerance=_STILL),
            seed=options.seed,
        )

    def _of_images(self):
        from spectral_keras.analysis.masks import ImageMasks, learn_masks

        return self._learn_or_read(
            "single_masks.npz",
            ImageMasks,
            ("masks of single images", "image"),
            learn_masks,
            self.images.x[self.chosen],
            penalty=self.options.single_penalty,
            checkpoint_every=50,
        )

    def _learn_or_read(self, name, kind, shown, learn, data, **how):
        """The masks of a file; learned, and saved there, where they are not yet."""
        found = self.folder.stored(kind, name)
        if found is None:
            with Progress(*shown) as bar:
                found = learn(
                    self.model,
                    data,
                    invariance=self.options.invariance,
                    data_format="channels_last",
                    checkpoint=self.folder.checkpoint(name),
                    progress=bar,
                    **how,
                )
            found.save(self.folder / name)
        return found

    def _heat_map(self):
        from spectral_keras.analysis import fourier_heat_map

        images, (low, high) = self.images, self.options.pixel_range
        chosen = images.order[: self.options.heat_map_images]
        with Progress("heat map", "image") as bar:
            heat = fourier_heat_map(
                self.model,
                images.x[chosen],
                images.y[chosen],
                norm=self.options.heat_map_norm * (high - low),
                clip=(low, high),
                seed=self.options.seed,
                data_format="channels_last",
                progress=bar,
            )
        write_arrays(self.folder / "heat_map.npy", heat)
        return heat

    def report(self, subject):
        """The content of explanation.json."""
        images, options, mask = self.images, self.options, self.learned.masks[0]
        on_images = accuracies(self.model, images.x, images.y, mask, self.plain)
        report = {
            "model": str(subject.path),
            "title": subject.title,
            "command": command_line("models.explain", options.recorded()),
            "data": images.source,
            "options": options.settled()
            | {"learning_rate": self.learned.settings["learning_rate"]},
            "learned_with": self.learned.settings,
            "images": len(images.x),
            "accuracy": on_images,
            "accuracy_held_out": accuracies(self.model, images.held_x, images.held_y, mask),
            "mask": mask_numbers(self.learned, 0, images.x),
            "classes": None,
            "single_images": None,
            "heat_map": None,
        }
        self.examples = self._example_arrays(mask)
        if self.by_class is not None:
            report["classes"] = [self._class(place) for place in range(len(self.by_class.masks))]
        if self.singles is not None:
            x = images.x[self.chosen]
            report["single_images"], more = single_numbers(self.model, x, self.singles)
            self.examples |= more
        if self.heat is not None:
            count = min(options.heat_map_images, len(images.x))
            own = images.order[:count]
            report["heat_map"] = {
                "images": count,
                "norm": options.heat_map_norm,
                "error": share(self.plain[own] != images.y[own]),
                "mean_error": float(self.heat.mean()),
                "largest_error": float(self.heat.max()),
            }
        report["notes"] = self._notes(report)
        return report | conditions() | {"commit": commit()}

    def _class(self, place):
        label = int(self.by_class.classes[place])
        own = self.images.y == label
        mask = self.by_class.masks[place]
        return {
            "class": label,
            "name": self.images.class_names[label],
            "accuracy": accuracies(
                self.model, self.images.x[own], self.images.y[own], mask, self.plain[own]
            ),
            **mask_numbers(self.by_class, place),
        }

    def _example_arrays(self, mask):
        from spectral_keras.analysis import complement

        x = self.images.x[self.chosen]
        parts = {"masked": filtered(x, mask), "complement": filtered(x, complement(mask))}
        return {
            "original": x,
            **parts,
            "label": self.images.y[self.chosen],
            "original_class": self.plain[self.chosen],
            **{f"{name}_class": predictions(self.model, part) for name, part in parts.items()},
        }

    def _notes(self, report):
        notes, plain = [], report["accuracy"]["plain"]
        low, high = self.options.pixel_range
        question = (
            f"does it take pixels from {low:g} to {high:g} (--pixel-range), and classes in the "
            "order of the data set?"
        )
        if plain["count"] == 0:
            notes.append(
                "the model classifies none of the images correctly: the masks are of no use; "
                + question
            )
        elif plain["interval"][0] <= 1 / self.model.outputs[0].shape[-1]:
            notes.append(
                f"the model's accuracy of {plain['share']:.3f} is not above chance; {question}"
            )
        if report["mask"]["epoch"] == 0:
            notes.append(
                "at the end of no epoch the mask kept 99 % of the accuracy: what is shown is the "
                "mask of ones; try more --epochs or a smaller --penalty"
            )
        elif report["mask"]["epoch"] < report["mask"]["epochs"]:
            notes.append(
                f"the mask is that of epoch {report['mask']['epoch']} of "
                f"{report['mask']['epochs']}, the last that kept 99 % of the accuracy; a smaller "
                "--penalty keeps more frequencies"
            )
        elif 1 - report["mask"]["zero_share"] - report["mask"]["one_share"] > 0.5:
            notes.append("more than half of the mask is between 0 and 1: try more --epochs")
        return notes

    def write(self, report):
        """All files; explanation.json last, which says that the others are there."""
        folder, masks, names = self.folder, self.learned.masks, ["mask"]
        if self.by_class is not None:
            masks = np.concatenate([masks, self.by_class.masks])
            names += [f"class {int(label)}" for label in self.by_class.classes]
        radial, angular = energies(masks, names)
        write_text(folder / "energies.csv", energies_csv(radial, angular))
        write_arrays(folder / "examples.npz", self.examples)
        draw_page(
            folder / "explanation.png",
            report,
            {
                "mask": self.learned.masks[0],
                "classes": None if self.by_class is None else self.by_class.masks,
                "singles": None if self.singles is None else self.singles.masks,
                "heat": self.heat,
                "examples": self.examples,
                "radial": radial,
                "angular": angular,
                "names": self.images.class_names,
            },
        )
        write_json(folder / REPORT, report)
        folder.remove_checkpoints()


def _print_summary(report):
    for title, found in (
        ("accuracy", report["accuracy"]),
        ("accuracy on other images", report["accuracy_held_out"]),
    ):
        if found is not None:
            shown = ", ".join(f"{name} {part['share']:.4f}" for name, part in found.items())
            print(f"{title}: {shown} ({found['plain']['images']:,} images)")
    mask = report["mask"]
    bands = ", ".join(f"{name} {part['kept_share']:.2f}" for name, part in mask["bands"].items()
                      if part["kept_share"] is not None)  # fmt: skip
    print(f"mask: sparsity {mask['sparsity']:.3f}, {mask['zero_share']:.1%} zeros; kept of the "
          f"bands: {bands}")  # fmt: skip
    single = report["single_images"]
    if single is not None:
        print(
            f"single images: prediction kept {single['prediction_kept']['count']} of "
            f"{single['images']}, changed by the complement {single['complement_changes']['count']}"
            f"; sparsity {single['mean_sparsity']:.3f}"
        )
