"""What `evaluate` and `explain` are about: a saved classifier, and the data that go with it."""

import dataclasses
import pathlib
import zipfile
from typing import Any

import numpy as np

from spectral_keras.classifiers.arguments import class_count
from spectral_keras.data.files import open_regular
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import dataset_label
from spectral_keras.experiments.options import (
    CommandOptions,
    data_dir_option,
    dataset_option,
    image_size_option,
    number,
    option,
    path,
)
from spectral_keras.experiments.saved_models import (
    find_preset,
    load_any_model,
    no_model,
    of_weights,
)
from spectral_keras.experiments.train.fit_options import FEW, is_same_dataset, load_dataset
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.experiments.train.run import RunFolder
from spectral_keras.models import presets
from spectral_keras.models.activation_limit import check_batch

__all__ = ["DATA", "Subject", "SubjectOptions", "beside", "build_preset"]

DATA = "data (defaults of a run: its own)"
_LABELS = ("y_train", "y_validation", "y_test")


@dataclasses.dataclass
class SubjectOptions(CommandOptions):
    """The options that name a classifier and its data."""

    model: str = option(
        dataclasses.MISSING, "name of a preset, .keras file, or folder of a training run",
        kind=path, positional=True, metavar="MODEL", free=True,
    )  # fmt: skip
    dataset: str | None = dataset_option(None, group=DATA, shown="digits")
    data_dir: str | None = data_dir_option(group=DATA)
    image_size: int | None = image_size_option(group=DATA)
    grayscale: bool | None = option(None, "turn the images grey", kind="switch", group=DATA)
    pixel_range: list[float] = option(
        [0.0, 1.0], "pixel values that the model takes (default 0 1)",
        kind=number(float), nargs=2, metavar=("BLACK", "WHITE"), group=DATA,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        values = list(self.pixel_range)
        if len(values) != 2 or values[0] >= values[1]:
            shown = " ".join(f"{value:g}" for value in values)
            raise self.error("pixel_range", f"expected BLACK < WHITE, received {shown}")
        self.pixel_range = values

    @classmethod
    def of_subject(cls) -> list[str]:
        """Names of the options that all results of one subject have in common."""
        return [name for name, spec in cls.specs().items() if spec.group == DATA and not spec.free]


class Subject:
    """A saved classifier.

    Args:
        options: a `SubjectOptions`.

    Attributes:
        path: the .keras file, or a preset's weights.
        preset: the `Preset`, None of a file or a run.
        options: the options, with what a run says of its data in place of what is not given.
        trained: the options of the run's training if the data are the run's, else an empty dict.
        class_map: class of the data set -> class of the model, once data are loaded; None where
            they are the same, or the model's names are not known.
        name: name of the network or the file.

    Raises:
        CommandError: if there is no such model.
    """

    def __init__(self, options: SubjectOptions):
        self.preset, config = find_preset(options.model), {}
        self.path = pathlib.Path(options.model)
        if self.preset is not None:
            self.path, config = self.preset.weights_path, _config_of_preset(self.preset)
        elif self.path.is_dir():
            config = _config(RunFolder(self.path))
            self.path = self.path / "best.keras"
        self.name = str(config.get("model") or config.get("build") or self.path.stem)
        if not self.path.exists():
            raise no_model(self.path)
        if self.preset is None:
            _check_file(self.path)
        self.trained: dict[str, Any] = {}
        self.class_map: np.ndarray | None = None
        self._class_names = config.get("class_names")
        self._of_training = config.get("options", {})
        # The run's limit and split belong to its data set only.
        if config and (options.dataset is None or is_same_dataset(options.dataset, config)):
            self.trained = config["options"]
            if "dataset" not in self.trained:
                raise CommandError(f"{self.path.with_name('config.json')} has no option 'dataset'")
        self.options = self._resolved(options)

    def _resolved(self, options):
        values = {}
        for name, spec in options.specs().items():
            if spec.group == DATA and getattr(options, name) is None:
                of_training = "seed" if name == "split_seed" else name
                default = TrainOptions.default_of(of_training)
                values[name] = self.trained.get(of_training, default)
        try:
            return dataclasses.replace(options, **values)
        except CommandError as error:
            raise CommandError(f"{self.path.with_name('config.json')}: {error}") from None

    def data_of_training(self) -> dict[str, Any]:
        """The options of `SubjectOptions.of_subject` as of the run's training, JSON-plain."""
        found = {}
        for name in self.options.of_subject():
            default = self.options.default_of(name)
            if default is None:
                default = TrainOptions.default_of(name)
            found[name] = self._of_training.get(name, default)
        return found

    @property
    def title(self) -> str:
        """Network and data set, for a picture."""
        return f"{self.name}, {dataset_label(str(self.options.dataset))}"

    def load_data(self, **how: Any) -> Any:
        """The `Dataset`, its classes those of the model where they have the same names.

        Further arguments are those of `spectral_keras.data.load`.
        """
        data = load_dataset(self.options, **how)
        known, found = self._class_names, data.class_names
        if known is not None and found != known:
            self.class_map = self._map_classes(found)
        if known is None or self.class_map is None:
            return data
        labels = {name: self.class_map[getattr(data, name)] for name in _LABELS}
        return dataclasses.replace(data, class_names=known, **labels)

    def _map_classes(self, found):
        """The model's class of each name; None where names say nothing, an error for new ones."""
        known, dataset = self._class_names, self.options.dataset
        if self.trained and sorted(found) != sorted(known):
            # A card may name the classes that the data set only numbers.
            if self.preset is not None and _same_classes(found, known):
                return None
            raise CommandError(
                f"{dataset} has other classes than the run was trained with: is it the same data "
                "set?"
            )
        if len({*known}) < len(known):  # which class is meant by a name that two have?
            return None
        new = [name for name in found if name not in known]
        if not new:
            return np.array([known.index(name) for name in found], np.int32)
        if any(all(map(str.isdecimal, names)) for names in (found, known)):
            return None
        raise CommandError(
            f"{dataset} has classes that {self.path} does not know ({_few(new)}); it knows "
            f"{_few(known)}"
        )

    def test_images(self, limit: int | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """(images uint8, classes, names of the classes): the test set, or `limit` of it."""
        trained = self.trained
        data = self.load_data(
            limit=trained.get("limit") if trained else FEW,
            limit_test=limit,
            validation_fraction=trained.get("validation_fraction", 0),
            seed=trained.get("seed", 0),
            stream="auto",  # large training images stay in their files; the test images are read
        )
        return np.asarray(data.x_test), data.y_test, data.class_names

    def load_model(self) -> Any:
        """The classifier; nothing in its file is run as code."""
        if self.preset is not None:
            return build_preset(self.preset)
        model = load_any_model(self.path)
        if not getattr(model, "inputs", None):
            raise CommandError(
                f"{self.path} does not say what it takes: save a model that is built"
            )
        inputs = [tuple(tensor.shape) for tensor in model.inputs]
        outputs = [tuple(tensor.shape) for tensor in model.outputs]
        if len(inputs) != 1 or len(inputs[0]) != 4:
            raise CommandError(
                f"{self.path} is no classifier of images: it takes {_show(inputs)}, expected one "
                "input [images, height, width, channels]"
            )
        if len(outputs) != 1 or len(outputs[0]) != 2 or not outputs[0][1]:
            raise CommandError(
                f"{self.path} is no classifier: it gives {_show(outputs)}, expected one output "
                "[images, classes]"
            )
        return model

    def check_fit(
        self, model: Any, shape: tuple[int, ...], y: np.ndarray, names: list, batch_size: int = 1
    ) -> None:
        """A `CommandError` unless images of this shape, of classes `y`, are what `model` takes.

        And unless a batch of so many of them fits into memory.
        """
        wanted, dataset = tuple(model.inputs[0].shape[1:]), self.options.dataset
        if not _fits(wanted, shape):
            raise CommandError(
                f"{self.path} takes images of shape {wanted}, but those of {dataset} are "
                f"{shape}{_remedy(wanted, shape)}"
            )
        classes = class_count(model.outputs)
        if y.max() >= classes:
            raise CommandError(
                f"{dataset} has the class {y.max()} ({names[y.max()]}), but {self.path} knows only "
                f"the classes 0 to {classes - 1}"
            )
        try:
            check_batch(model, min(batch_size, len(y)))
        except MemoryError as error:
            raise CommandError(f"{self.path}: {error}") from error


def beside(model: str, ending: str) -> pathlib.Path:
    """A folder beside a model, for what is found out about it."""
    place = pathlib.Path(model)
    if str(model) in presets():
        place = pathlib.Path("runs", model)
    stem = place.stem if place.suffix == ".keras" else place.name
    return place.with_name(f"{stem or place.resolve().name}-{ending}")


def build_preset(preset: Any, num_classes: int | None = None) -> Any:
    """The network of a `Preset`; a `CommandError` if its files are damaged or ask for too much."""
    try:
        return preset.build(num_classes)
    except (ValueError, MemoryError) as error:
        raise of_weights(error) from error


def _check_file(path):
    with open_regular(path) as file:
        if path.suffix != ".keras" or not zipfile.is_zipfile(file):
            raise CommandError(
                f"{path} is not a .keras file: save the model with model.save('NAME.keras')"
            )


def _same_classes(names, others):
    """Whether these are the same classes, where either side may number them only."""
    numbers = [str(number) for number in range(len(names))]
    return names == others or (len(names) == len(others) and numbers in (names, others))


def _fits(wanted, shape):
    return all(size in (None, have) for size, have in zip(wanted, shape, strict=True))


def _remedy(wanted, shape):
    """The options that make images of a shape those that are wanted; "" if none do."""
    words, shape = [], list(shape)
    if wanted[-1] == 1 and shape[-1] == 3:
        words, shape[-1] = ["--grayscale"], 1
    if not _fits(wanted[:2], shape[:2]):
        side = wanted[0] or wanted[1]
        words, shape[:2] = [*words, f"--image-size {side}"], [side, side]
    return f": give {' '.join(words)}" if _fits(wanted, shape) else ""


def _few(names):
    """Some of the names, and how many there are."""
    return ", ".join(names[:10]) + (f", ... ({len(names)})" if len(names) > 10 else "")


def _config_of_preset(preset):
    """What config.json of the run has that the preset was made from."""
    try:
        options = dict(preset.metadata["data"]["options"])
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"the preset {preset.folder} is damaged: {error}") from None
    return {"model": preset.name, "options": options, "class_names": preset.class_names}


def _config(folder):
    if not folder.begun:
        raise CommandError(
            f"{folder.path} is neither a .keras file nor the folder of a training run (no "
            "config.json) or of a preset"
        )
    config = folder.manifest()
    folder.check_finished("best.keras")
    names = config.get("class_names")
    if names is not None and not (
        isinstance(names, list) and all(isinstance(n, str) for n in names)
    ):
        raise CommandError(
            f"{folder / folder.mark} is damaged: its class_names are no list of names"
        )
    return config


def _show(shapes):
    return ", ".join(map(str, shapes))
