"""The options of the explanation command."""

import dataclasses
import functools

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.options import SEEDS, number, option, path
from spectral_keras.experiments.subject import DATA, SubjectOptions
from spectral_keras.experiments.train.fit_options import DATA_NEEDS

__all__ = ["ExplainOptions"]

DESCRIPTION = "Learn which frequencies a saved classifier needs (its Fourier mask), and show them."
EPILOG = """\
MODEL is a .keras file, or a preset, or the folder of a training run: then its best.keras, on the
data set that it was trained on.

    python -m models.explain runs/resnet18-cifar10
    python -m models.explain mine.keras --dataset photos --pixel-range 0 255 --per-class

The mask starts as ones.  An entry that the model does not need falls by the learning rate at each
step and stays at 0.  A step takes --batch-size images, an epoch all --images of them, and the rate
goes up to a peak and down again, to half the peak on average.  Against the noise of the steps an
entry takes several times the way from 1 to 0: the default peak is 30 / steps, at most 0.1, and the
default of 12 epochs of batches of 20 makes 600 steps of 1000 images.  If many entries are left
between 0 and 1, raise --epochs.  (The published procedure takes one image a step:
--invariance exp --batch-size 1 --learning-rate 0.001 --epochs 100.  At higher rates one exponential
of a large change would hold back all later steps.)

The output folder gets explanation.png (one page), explanation.json (accuracies with 95 % Wilson
intervals, sparsity, shares of bands), energies.csv, examples.npz (filtered images), masks.npz,
class_masks.npz and single_masks.npz (spectral_keras.analysis.masks.SetMasks.load and
ImageMasks.load, DC at [0, 0]) and heat_map.npy.  Interrupted or killed, the same command with
--resume continues, and ends with the same numbers.
"""
SPLITS = ("test", "validation", "train")
_of_data = functools.partial(option, group=DATA)
_of_masks = functools.partial(option, group="masks")
_of_heat_map = functools.partial(option, group="Fourier heat map")
_of_output = functools.partial(option, group="output", free=True)
# See `Options.needs`.
_NEEDS = {
    **DATA_NEEDS,
    **dict.fromkeys(
        ("heat_map_images", "heat_map_norm"), ("--heat-map", lambda options: options.heat_map)
    ),
    **dict.fromkeys(
        ("limit", "validation_fraction", "split_seed"),
        ("--split validation or train", lambda options: options.split != "test"),
    ),
    "single_penalty": ("--single above 0", lambda options: options.single > 0),
}


@dataclasses.dataclass
class ExplainOptions(SubjectOptions):
    """Options of `python -m models.explain`, from a command line or from Python.

    Args:
        model: a .keras file, the folder of a training run, or a preset by its name or folder.
        **options: see `python -m models.explain --help`.

    Raises:
        CommandError: for a value that the command line would refuse.

    Example:

    >>> from spectral_keras.experiments.explain import ExplainOptions
    >>> ExplainOptions("mine.keras", dataset="digits", per_class=True).epochs
    12
    """

    command, description, epilog = "models.explain", DESCRIPTION, EPILOG
    needs = _NEEDS

    limit: int | None = _of_data(
        None, "use this many training images (validation included)", kind=number(int, 1)
    )
    validation_fraction: float | None = _of_data(
        None, "share of the training images that --split validation is",
        kind=number(float, 0, high=1), shown="0.1",
    )  # fmt: skip
    split_seed: int | None = _of_data(
        None, "of the validation share", kind=number(int, 0, high=SEEDS), shown="0"
    )
    split: str = _of_data("test", "which images", choices=SPLITS)
    images: int = _of_data(
        1000,
        "images that the mask is learned on, with the class shares of all; as many others, if "
        "there are, check it",
        kind=number(int, 1), metavar="N",
    )  # fmt: skip

    per_class: bool = _of_masks(False, "also one mask of each class", kind="flag")
    single: int = _of_masks(
        16, "also masks of N single images, by the model's own prediction",
        kind=number(int, 0), metavar="N",
    )  # fmt: skip
    penalty: float = _of_masks(
        0.2, "weight of the mask's size: more, and fewer frequencies stay",
        kind=number(float, 0, True),
    )  # fmt: skip
    single_penalty: float = _of_masks(
        0.07, "the same of single images", kind=number(float, 0, True)
    )
    invariance: str = _of_masks(
        "squared",
        "squares of the change of the cross-entropy, or their exponentials, as published",
        choices=("squared", "exp"),
    )
    epochs: int = _of_masks(12, "at most", kind=number(int, 1, high=1_000_000, high_open=False))
    batch_size: int | None = _of_masks(
        None, "images of a step", kind=number(int, 1), shown="20, less of few images"
    )
    learning_rate: float | None = _of_masks(
        None, "peak of the one-cycle schedule", kind=number(float, 0, True),
        shown="30 / steps, at most 0.1",
    )  # fmt: skip
    seed: int = _of_masks(0, "of the order of the images", kind=number(int, 0, high=SEEDS))

    heat_map: bool = _of_heat_map(
        False, "also the error rate under each vector of the Fourier basis", kind="flag"
    )
    heat_map_images: int = _of_heat_map(100, "", kind=number(int, 1), metavar="N")
    heat_map_norm: float = _of_heat_map(
        4.0, "L2 norm of the vector, for images in [0, 1]", kind=number(float, 0, True)
    )

    output: str | None = _of_output(
        None, "folder of the results", kind=path, metavar="FOLDER", shown="MODEL-explained"
    )
    resume: bool = _of_output(False, "continue what is there", kind="flag")
    overwrite: bool = _of_output(False, "replace what is there", kind="flag")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split == "validation" and self.validation_fraction == 0:
            raise CommandError("--split validation needs a --validation-fraction above 0")
