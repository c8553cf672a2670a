"""What `python -m models.explain` reads: the model and its images."""

import math
import pathlib
import zipfile

import numpy as np

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.explain.options import OF_RUN
from spectral_keras.experiments.folder import read_json
from spectral_keras.experiments.saved_models import load_any_model

# Default batch: at most so many images, and with few images so many steps in an epoch.
_BATCH, _STEPS = 20, 50
_PREDICTED_AT_ONCE = 250
_DEFAULTS = {"dataset": "digits", "grayscale": False, "validation_fraction": 0.1, "split_seed": 0}


def resolve(options):
    """(path of the .keras file, options with the data of the run, class names of the run or None).

    Raises:
        CommandError: if there is no such model.
    """
    path, stored, names = pathlib.Path(options["model"]), {}, None
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise CommandError(
                f"{path} is neither a .keras file nor the folder of a training run (no config.json)"
            )
        config = read_json(path / "config.json")
        if not isinstance(config.get("options"), dict):
            raise CommandError(f"{path / 'config.json'} holds no options: it is damaged")
        # The run's limit and split belong to its data set only.
        if options["dataset"] in (None, config["options"].get("dataset")):
            trained = config["options"]
            stored = {name: trained[name] for name in OF_RUN if name in trained}
            stored["split_seed"] = trained.get("seed", 0)
            names = config.get("class_names")
        path = path / "best.keras"
        if not path.is_file():
            raise CommandError(f"{path.parent} has no best.keras: finish the training first")
    if not path.exists():
        raise CommandError(f"there is no model {path}")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise CommandError(
            f"{path} is not a .keras file: save the model with model.save('NAME.keras')"
        )
    resolved = dict(options)
    for name in (*OF_RUN, "split_seed"):
        if resolved[name] is None:
            resolved[name] = stored.get(name, _DEFAULTS.get(name))
    return path, resolved, names


def default_output(options):
    """A folder beside the model."""
    path = pathlib.Path(options["model"])
    stem = path.stem if path.suffix == ".keras" else path.name
    return path.with_name(f"{stem or path.resolve().name}-explained")


def load_model(path):
    """The classifier in a .keras file; nothing in the file is run as code."""
    model = load_any_model(path)
    _check_classifier(path, model)
    return model


def _check_classifier(path, model):
    if not getattr(model, "inputs", None):
        raise CommandError(f"{path} does not say what it takes: save a model that is built")
    shapes = (
        [tuple(tensor.shape) for tensor in model.inputs],
        [tuple(tensor.shape) for tensor in model.outputs],
    )
    if len(shapes[0]) != 1 or len(shapes[0][0]) != 4:
        raise CommandError(
            f"{path} is no classifier of images: it takes {_shown(shapes[0])}, expected one input "
            "[images, height, width, channels]"
        )
    if len(shapes[1]) != 1 or len(shapes[1][0]) != 2 or (shapes[1][0][1] or 0) < 2:
        raise CommandError(
            f"{path} is no classifier: it gives {_shown(shapes[1])}, expected one output "
            "[images, classes] with two classes at least"
        )


def _shown(shapes):
    return ", ".join(map(str, shapes))


class Images:
    """The chosen images of a data set.

    Attributes:
        x, y: pixels as the model takes them, float32 [N, H, W, C], and classes: to learn from.
        order: their indices, the first of each class before the second of any.
        held_x, held_y: up to as many others of the same split; may be empty.
        class_names: list of names.
        source: JSON-plain dict, where they come from.
    """

    def __init__(self, options, names_of_run=None):
        from spectral_keras.data import load
        from spectral_keras.data.arrays import balanced_prefix

        split, wanted = options["split"], options["images"]
        of_training = split != "test"
        fraction = options["validation_fraction"]
        if split == "validation" and fraction == 0:
            raise CommandError("--split validation needs a --validation-fraction above 0")
        try:
            data = load(
                options["dataset"],
                data_dir=options["data_dir"],
                # For the test images a few training images show which classes there are.
                limit=options["limit"] if of_training or options["limit"] else 1000,
                limit_test=1 if of_training else 2 * wanted,
                validation_fraction=fraction if of_training else 0,
                seed=options["split_seed"],
                image_size=options["image_size"],
                grayscale=bool(options["grayscale"]),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        if names_of_run is not None and data.class_names != names_of_run:
            raise CommandError(
                f"{options['dataset']} has other classes than the run was trained with: is it the "
                "same data set?"
            )
        pixels, labels = (getattr(data, f"{part}_{split}") for part in "xy")
        chosen = balanced_prefix(labels, wanted)
        others = np.setdiff1d(np.arange(len(labels)), chosen)
        if len(others) > wanted:
            others = others[balanced_prefix(labels[others], wanted)]
        low, high = options["pixel_range"]

        def scaled(part):
            unit = np.multiply(part, np.float32(1 / 255), dtype=np.float32)
            if (low, high) == (0, 1):
                return unit
            return (np.float32(high - low) * unit + np.float32(low)).astype(np.float32)

        self.x, self.y = scaled(pixels[chosen]), labels[chosen]
        self.held_x, self.held_y = scaled(pixels[others]), labels[others]
        ranks = np.zeros(len(self.y), int)
        for label in np.unique(self.y):
            members = self.y == label
            ranks[members] = np.arange(members.sum())
        self.order = np.lexsort((self.y, ranks))
        self.class_names, self.source = data.class_names, data.source


def check_fit(path, model, images, dataset):
    """A `CommandError` unless the images and classes are such as the model takes."""
    wanted, found = tuple(model.inputs[0].shape[1:]), images.x.shape[1:]
    if any(size not in (None, have) for size, have in zip(wanted, found, strict=True)):
        hint = ""
        if wanted[-1] == 1 and found[-1] == 3:
            hint = ": give --grayscale"
        elif wanted[:2] != found[:2] and wanted[0] == wanted[1] and wanted[0]:
            hint = f": give --image-size {wanted[0]}"
        raise CommandError(
            f"{path} takes images of shape {wanted}, but those of {dataset} are {found}{hint}"
        )
    classes, largest = model.outputs[0].shape[-1], max(images.y.max(), images.held_y.max(initial=0))
    if largest >= classes:
        raise CommandError(
            f"{dataset} has the class {largest} ({images.class_names[largest]}), but {path} knows "
            f"only the classes 0 to {classes - 1}"
        )


def batch_size(model, wanted, count):
    """Images of a step: as wanted, or at most 20, so that there are 50 steps in an epoch.

    Less than that where the model is built for one batch size.
    """
    fixed = model.inputs[0].shape[0]
    if wanted is not None:
        if fixed is not None and fixed % wanted:
            raise CommandError(
                f"--batch-size {wanted} does not divide {fixed}, the batch size that the model is "
                "built for"
            )
        return wanted
    largest = max(1, min(_BATCH, count // _STEPS))
    if fixed is None:
        return largest
    return max(size for size in range(1, min(fixed, largest) + 1) if fixed % size == 0)


def peak_rate(count, size, epochs):
    """A peak of the one-cycle schedule that takes an entry 15 times the way from 1 to 0.

    Where the gradient of the penalty is small against the noise of the network's, Adam's steps are
    as much smaller than the rate.
    """
    return min(0.1, 30 / (epochs * math.ceil(count / size)))


def predictions(model, x):
    """The class that the model gives each image, int [N]; -1 where its output is not finite."""
    fixed = model.inputs[0].shape[0]
    size = fixed or _PREDICTED_AT_ONCE
    found = np.empty(len(x), int)
    for start in range(0, len(x), size):
        part = x[start : start + size]
        missing = fixed - len(part) if fixed else 0
        batch = np.concatenate([part, np.repeat(part[:1], missing, axis=0)]) if missing else part
        values = np.asarray(model.predict_on_batch(batch))[: len(part)]
        found[start : start + size] = np.where(
            np.isfinite(values).all(axis=1), values.argmax(axis=1), -1
        )
    return found
