"""The options of the preset command."""

import argparse
import dataclasses
import re

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.options import CommandOptions, Kind, data_dir_option, option, path

__all__ = ["PresetOptions"]

DESCRIPTION = "Make a preset, weights by name with a model card, from a finished training run."
EPILOG = """\
The preset is a folder: config.json (the network), model.weights.npz (float16, no pickles, its
SHA-256 in config.json), metadata.json (where it comes from, what it was measured to be worth) and
README.md, the model card, in the same words for people.  Its accuracy is measured here on the test
images, with the run's float32 weights and with float16: that may cost less than 0.05 points.

Accuracies under attack and corruption are those of the run's own result.json and of evaluations of
the preset, of these weights only; what nobody has measured is called so on the card:

    python -m models.preset runs/resnet18-cifar10 --name resnet18_cifar10
    python -m models.evaluate presets/resnet18_cifar10 --attack pgd --eps 8/255 --corruptions
    python -m models.preset runs/resnet18-cifar10 --name resnet18_cifar10 \\
        --evaluations presets/resnet18_cifar10-evaluated --overwrite

    python -m models.preset deep_spectral_digits --check

The last line evaluates a preset again and compares it with its card.
"""
INTENDED = (
    "Research on and teaching of networks in the frequency domain: a baseline, a start for "
    "fine-tuning, a subject of attacks, masks and heat maps."
)
LIMITS = (
    "Trained on small images of these classes only: any other image gets one of them too, without "
    "a warning. Not for decisions about people or where an error does harm."
)


class _Name(Kind):
    """A kind of option: a name that is one of a folder and of a Python identifier alike."""

    metavar = "NAME"

    def check(self, value):
        if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_]{2,63}", value):
            raise argparse.ArgumentTypeError(
                "expected 3 to 64 small letters, digits and underscores that begin with a letter, "
                f"received {value!r}"
            )


# See `Options.needs`.
_NEEDS = dict.fromkeys(
    (
        "name", "output", "evaluations", "class_names", "licence", "intended_use", "limits",
        "overwrite",
    ),
    ("a run, not --check", lambda options: not options.check),
)  # fmt: skip


@dataclasses.dataclass
class PresetOptions(CommandOptions):
    """Options of `python -m models.preset`, from a command line or from Python.

    Args:
        run: folder of a finished training run; with `check` a preset.
        **options: see `python -m models.preset --help`.

    Raises:
        CommandError: for a value that the command line would refuse.

    Example:

    >>> from spectral_keras.experiments.preset import PresetOptions
    >>> PresetOptions("runs/resnet18-cifar10", name="resnet18_cifar10").folder
    'presets/resnet18_cifar10'
    """

    command, description, epilog = "models.preset", DESCRIPTION, EPILOG
    needs = _NEEDS

    run: str = option(
        dataclasses.MISSING, "folder of a finished training run; with --check a preset",
        kind=path, positional=True, metavar="RUN", free=True,
    )  # fmt: skip
    name: str | None = option(None, "the preset's name", kind=_Name())
    output: str | None = option(
        None, "folder of the preset", kind=path, shown="presets/NAME", free=True
    )
    data_dir: str | None = data_dir_option()
    evaluations: list[str] = option(
        [], "folders of models.evaluate, of the preset or of the run's best.keras", kind=path,
        nargs="+", metavar="FOLDER",
    )  # fmt: skip
    class_names: list[str] = option(
        [], "names of the classes in their order, for data that number them", nargs="+",
        metavar="NAME",
    )  # fmt: skip
    licence: str = option("Apache-2.0", "of the weights", metavar="TEXT")
    intended_use: str = option(INTENDED, "for the card (default: research)", metavar="TEXT")
    limits: str = option(LIMITS, "for the card (default: these classes only)", metavar="TEXT")
    check: bool = option(
        False, "evaluate a preset again and compare it with its card, to 0.1 points", kind="flag"
    )
    overwrite: bool = option(False, "replace an earlier preset", kind="flag", free=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.check and self.name is None:
            raise CommandError("give the preset a --name")

    @property
    def folder(self) -> str:
        """Where the preset is written."""
        return self.output or f"presets/{self.name}"
