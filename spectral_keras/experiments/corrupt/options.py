"""The options of the corruption command."""

import dataclasses
import pathlib

from spectral_keras.corruptions import SEVERITIES, TABLES
from spectral_keras.corruptions import names as corruption_names
from spectral_keras.experiments.corruption_names import CORRUPTIONS, expand
from spectral_keras.experiments.options import (
    SEEDS,
    CommandOptions,
    data_dir_option,
    dataset_option,
    image_size_option,
    number,
    option,
    path,
    several,
)
from spectral_keras.experiments.train.fit_options import DATA_NEEDS

__all__ = ["CorruptOptions"]

DESCRIPTION = "Write a corrupted copy of a data set, in the layout of CIFAR-10-C."
EPILOG = """\
The copy is a folder with <corruption>.npy, uint8, all images at severity 1, then all at severity 2
and so on, labels.npy, and corruptions.json, which says what it was made from; or one .npz with
these as its members:

    python -m models.corrupt --dataset cifar10 --corruptions all --output cifar10-c
    python -m models.corrupt --dataset cifar10 --images 500 --output cifar10-c.npz
    python -m models.evaluate runs/resnet18-cifar10 --corruptions --corruption-source cifar10-c

Interrupted or killed, the same command with --resume continues after the last finished severity,
and the copy is the same, byte for byte.  --resume with other --corruptions adds them to a folder.
"""
FORMATS = ("npy", "npz")
_DATA, _CORRUPTIONS, _OUTPUT = "data", "corruptions", "output"


@dataclasses.dataclass
class CorruptOptions(CommandOptions):
    """Options of `python -m models.corrupt`, from a command line or from Python.

    Args:
        output: a folder, or a file that ends in .npz.
        **options: see `python -m models.corrupt --help`.

    Raises:
        CommandError: for a value that the command line would refuse.

    Example:

    >>> from spectral_keras.experiments.corrupt import CorruptOptions
    >>> options = CorruptOptions("copy.npz", corruptions=["extra"], severities=[1, 5])
    >>> options.format, options.corruption_names[0]
    ('npz', 'speckle_noise')
    """

    command, description, epilog = "models.corrupt", DESCRIPTION, EPILOG
    needs = DATA_NEEDS

    output: str = option(
        dataclasses.MISSING, "a folder, or a file that ends in .npz",
        kind=path, metavar="PATH", group=_OUTPUT, free=True,
    )  # fmt: skip
    format: str = option(
        None, "npy: a folder, npz: a file", choices=FORMATS, group=_OUTPUT,
        shown="by the name of --output",
    )  # fmt: skip
    resume: bool = option(False, "continue what is there", kind="flag", group=_OUTPUT, free=True)
    overwrite: bool = option(
        False, "replace a copy that is there", kind="flag", group=_OUTPUT, free=True
    )

    # What the images are is compared, not by which name they came.
    dataset: str = dataset_option("digits", group=_DATA, free=True)
    data_dir: str | None = data_dir_option(group=_DATA)
    split: str = option("test", "which images", choices=("test", "train"), group=_DATA)
    images: int | None = option(
        None, "only N images: the same ones each time, with the class shares of all",
        kind=number(int, 1), metavar="N", group=_DATA, formerly="limit",
    )  # fmt: skip
    image_size: int | None = image_size_option(group=_DATA)
    grayscale: bool = option(False, "turn the images grey", kind="flag", group=_DATA)

    corruptions: list[str] = option(
        ["cifar10c"],
        "cifar10c (the benchmark's 15), extra (4 more), all, or names such as fog",
        kind=CORRUPTIONS, nargs="+", metavar="NAME", group=_CORRUPTIONS, free=True,
    )  # fmt: skip
    severities: list[int] = option(
        list(SEVERITIES), "some of the published five",
        kind=several(number(int, SEVERITIES[0], high=SEVERITIES[-1], high_open=False)),
        nargs="+", metavar="S", group=_CORRUPTIONS,
    )  # fmt: skip
    seed: int = option(0, "", kind=number(int, 0, high=SEEDS), group=_CORRUPTIONS)
    table: str | None = option(
        None, "constants of CIFAR-10-C or of ImageNet-C", choices=tuple(TABLES),
        group=_CORRUPTIONS, shown="by the size of the images",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        self.severities = sorted(set(self.severities))
        is_npz = pathlib.Path(self.output).suffix.lower() == ".npz"
        if self.format is None:
            self.format = "npz" if is_npz else "npy"
        elif (self.format == "npz") != is_npz:
            raise self.error(
                "format",
                f"{self.format} does not fit --output {self.output}: an .npz file ends in .npz, a "
                "folder does not",
            )

    @property
    def corruption_names(self) -> list[str]:
        """The corruptions, each once, in the order of the papers' tables."""
        wanted = expand(self.corruptions)
        return [name for name in corruption_names("all") if name in wanted]
