"""The options that the training of any model has."""

import dataclasses
import os
from typing import Any, Literal, Self

from spectral_keras.data import Dataset
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.options import (
    SEEDS,
    Options,
    data_dir_option,
    dataset_option,
    image_size_option,
    number,
    option,
    true_false_auto,
)
from spectral_keras.precision import fastest_precision

__all__ = [
    "AUGMENT",
    "DATA",
    "DATA_NEEDS",
    "FEW",
    "TRAINING",
    "FitOptions",
    "is_same_dataset",
    "is_same_file",
    "load_dataset",
]

DATA, TRAINING = "data", "training"
# Training images that are read where they only show which classes, and which size, there are.
FEW = 1000
# Data sets that come from no folder.
_WITHOUT_FOLDER = ("digits", "planted", "planted_oriented")


def _in_a_folder(options):
    name = options.dataset
    # A damaged config.json may hold anything: what is no text is another check's.
    return not isinstance(name, str) or name not in _WITHOUT_FOLDER


# See `Options.needs`.
DATA_NEEDS = {"data_dir": ("a --dataset of TFDS, an .npz file or a folder", _in_a_folder)}
AUGMENT = (
    "none, crop_flip, mirror_crop_flip, report (translation, reflection, HSV), or a list such as "
    "translate,flip,hsv,cutout or crop_flip,apr_views; at the end also mixup, cutmix, fmix or afa"
)


@dataclasses.dataclass(kw_only=True)
class FitOptions(Options):
    """Data, batches, number of epochs, precision and seed, of a model that says the rest itself.

    Args:
        **options: see `python -m models.NAME --help-all`.

    Raises:
        CommandError: for a value that the command line would refuse.

    Example:

    >>> from spectral_keras.experiments.train.fit_options import FitOptions
    >>> FitOptions(dataset="cifar10", epochs=5).batch_size
    128
    """

    needs = DATA_NEEDS

    dataset: str = dataset_option("digits", group=DATA)
    data_dir: str | None = data_dir_option(group=DATA)
    limit: int | None = option(
        None, "train on this many images (validation included)", kind=number(int, 1), group=DATA
    )
    image_size: int | None = image_size_option(group=DATA)
    grayscale: bool = option(False, "turn the images grey", kind="flag", group=DATA)
    validation_fraction: float = option(
        0.1, "share of the training set that is held out to choose the best epoch",
        kind=number(float, 0, high=1), group=DATA,
    )  # fmt: skip
    augment: str = option("none", AUGMENT, group=DATA)
    workers: int = option(
        1, "threads for batches; those of a streamed set decode its images",
        kind=number(int, 0, high=1024, high_open=False), group=DATA, free=True,
    )  # fmt: skip
    stream: bool | Literal["auto"] = option(
        "auto",
        "leave the images of a folder or a TFDS set in their files; auto: where, decoded, they "
        "would take more than a quarter of the free memory",
        kind=true_false_auto, group=DATA, free=True, special=True,
    )  # fmt: skip
    shuffle_buffer: int | None = option(
        None,
        "shuffle the files and within N neighbouring images, for slow disks (default: over the "
        "whole training set)",
        kind=number(int, 1), group=DATA, special=True,
    )  # fmt: skip

    epochs: int = option(20, "", kind=number(int, 1), group=TRAINING)
    batch_size: int = option(128, "", kind=number(int, 1), group=TRAINING)
    precision: str = option(
        "float32",
        "auto: the fastest that is safe here, bfloat16 where the hardware has it",
        choices=("float32", "bfloat16", "float16", "float64", "auto"),
        group=TRAINING,
    )
    seed: int = option(
        0, "of weights, order and augmentation", kind=number(int, 0, high=SEEDS), group=TRAINING
    )

    @classmethod
    def single(cls) -> set[str]:
        """Names of what belongs to one training, not to the trials of a search."""
        return {name for name, spec in cls.specs().items() if spec.single}

    def with_precision(self) -> Self:
        """These options, with the fastest precision here where "auto" asks for it."""
        if self.precision != "auto":
            return self
        return dataclasses.replace(self, precision=fastest_precision())


def is_same_file(one: Any, other: Any) -> bool:
    """Whether two paths, or what may be none, are of the same file or folder."""
    try:
        return os.path.samefile(one, other)
    except (OSError, TypeError, ValueError):  # names of data sets, other options
        return False


def is_same_dataset(dataset: str, config: dict[str, Any]) -> bool:
    """Whether a `--dataset` is the one of a run's config.json, whose path may be another one."""
    known, data = config["options"].get("dataset"), config.get("data")
    if dataset == known or is_same_file(dataset, known):
        return True
    if not isinstance(data, dict) or data.get("kind") not in ("folder", "npz"):
        return False
    return is_same_file(dataset, data.get("path"))


def load_dataset(options: Any, **how: Any) -> Dataset:
    """The `Dataset` that the options of a command name; more arguments are those of `data.load`.

    Raises:
        CommandError: if an option or the data set is wrong.
    """
    from spectral_keras.data import load

    try:
        return load(
            options.dataset,
            data_dir=options.data_dir,
            image_size=options.image_size,
            grayscale=options.grayscale,
            **how,
        )
    except ValueError as error:
        raise CommandError(str(error)) from error
