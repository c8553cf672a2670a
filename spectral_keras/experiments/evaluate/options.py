"""The options of the evaluation command."""

import dataclasses
import functools

from spectral_keras.attacks import LABELS, NAMES, NORMS, RADII, STEPS
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.corruption_names import CORRUPTIONS, expand
from spectral_keras.experiments.evaluate.plot import eps_text
from spectral_keras.experiments.options import (
    SEEDS,
    fraction,
    number,
    one_of,
    option,
    path,
    several,
)
from spectral_keras.experiments.subject import SubjectOptions
from spectral_keras.experiments.train.fit_options import DATA_NEEDS

__all__ = ["OWN", "EvaluateOptions"]

DESCRIPTION = "Accuracy of a saved classifier under attack and under common corruptions."
EPILOG = """\
MODEL is the folder of a training run, whose result.json gets the accuracies, or a .keras file or a
preset; then the folder MODEL-evaluated gets a result.json of its own.  Images are in [0, 1], and
eps is in these units: one grey level of an 8-bit image is 1/255.  An eps is a number or a fraction:

    python -m models.evaluate runs/resnet18-cifar10 --attack fgsm pgd --eps 0 2/255 8/255
    python -m models.evaluate runs/resnet18-cifar10 --attack strong --eps 8/255 --images 1000
    python -m models.evaluate mine.keras --dataset photos --attack pgd --pixel-range 0 255

    python -m models.evaluate runs/resnet18-cifar10 --corruptions cifar10c --baseline runs/other
    python -m models.evaluate runs/resnet18-cifar10 --corruptions --corruption-source CIFAR-10-C

robustness.png and corruptions.png show the accuracies, attacks.json keeps what became of each
image.  Interrupted or killed, the same command continues after the last finished eps; another call
with other eps adds to what is there.  But for fgsm an image that is fooled counts as fooled at
larger eps too.
"""
_of_attacks = functools.partial(option, group="attacks")
_of_corruptions = functools.partial(option, group="corruptions")
_STEPS = number(int, 1, high=10_000, high_open=False)
_RADII = "; with ".join(
    f"{norm} " + " ".join(eps_text(eps, norm) for eps in radii) for norm, radii in RADII.items()
)

# Attack -> the options that are for it.
OWN = {
    "fgsm": (),
    "pgd": ("steps", "step_size", "restarts", "seed"),
    "apgd": ("steps", "restarts", "seed"),
    "square": ("steps", "restarts", "seed"),
    "strong": ("steps", "seed"),
}


def _for_attacks(name, more="", otherwise=lambda options: False):
    *words, last = (attack for attack, own in OWN.items() if name in own)
    attacks = f"--attack {' or '.join(filter(None, [', '.join(words), last]))}{more}"
    return (
        attacks,
        lambda options: (
            any(name in OWN[attack] for attack in options.attack or ()) or otherwise(options)
        ),
    )


def _generates(options):
    return options.corruptions is not None and options.corruption_source in (None, "generated")


# See `Options.needs`.
_NEEDS = {
    **DATA_NEEDS,
    **dict.fromkeys(("eps", "norm", "labels"), ("--attack", lambda options: options.attack)),
    **{name: _for_attacks(name) for name in ("steps", "step_size", "restarts")},
    "seed": _for_attacks("seed", ", or generated --corruptions", _generates),
}


@dataclasses.dataclass
class EvaluateOptions(SubjectOptions):
    """Options of `python -m models.evaluate`, from a command line or from Python.

    Args:
        model: folder of a training run, a .keras file, or a preset by its name or folder.
        **options: see `python -m models.evaluate --help`.

    Raises:
        CommandError: for a value that the command line would refuse.

    Example:

    >>> from spectral_keras.experiments.evaluate import EvaluateOptions
    >>> EvaluateOptions("runs/net-digits", attack=["pgd"], eps=[8 / 255], images=100).radii
    [0.03137254901960784]
    """

    command, description, epilog = "models.evaluate", DESCRIPTION, EPILOG
    needs = _NEEDS

    images: int | None = option(
        None, "only N test images: the same ones each time, with the class shares of all",
        kind=number(int, 1), metavar="N", formerly="limit",
    )  # fmt: skip
    batch_size: int = option(128, "", kind=number(int, 1))
    output: str | None = option(
        None, "folder of the results", kind=path, shown="the run's own, or MODEL-evaluated",
        free=True,
    )  # fmt: skip

    attack: list[str] | None = _of_attacks(
        None,
        f"one or more of: {', '.join(NAMES)} (the worst of apgd with two losses, square and pgd)",
        kind=several(one_of(NAMES)), nargs="+", metavar="NAME",
    )  # fmt: skip
    eps: list[float] | None = _of_attacks(
        None,
        "radii with spaces or commas between them, each a number or a fraction in units of images "
        f"in [0, 1] (default with {_RADII})",
        kind=several(fraction()), nargs="+", metavar="EPS",
    )  # fmt: skip
    norm: str = _of_attacks(
        "inf", "inf: each value changes by at most eps; l2: Euclidean length of all changes",
        choices=NORMS,
    )  # fmt: skip
    steps: int | None = _of_attacks(
        None, "of pgd, apgd and strong; of square the calls of the model", kind=_STEPS,
        shown=", ".join(f"{STEPS[name]} of {name}" for name in NAMES[1:]),
    )  # fmt: skip
    step_size: float | None = _of_attacks(
        None, "of pgd, a number or a fraction (default 2.5 * eps / steps)",
        kind=fraction(low_open=True), metavar="SIZE",
    )  # fmt: skip
    restarts: int = _of_attacks(1, "random starts of pgd, apgd and square", kind=_STEPS)
    labels: str = _of_attacks(
        "given",
        "what the attack leads away from: the true class, or the class that the model gives the "
        "clean image",
        choices=LABELS,
    )
    seed: int = _of_attacks(
        0,
        "of the random numbers of attacks and of the corruptions",
        kind=number(int, 0, high=SEEDS),
    )

    corruptions: list[str] | None = _of_corruptions(
        None,
        "cifar10c (the benchmark's 15; what the option alone means), extra (4 more), all, or names "
        "such as fog, at severities 1 to 5",
        kind=CORRUPTIONS, nargs="*", metavar="NAME",
    )  # fmt: skip
    corruption_source: str | None = _of_corruptions(
        None,
        "generated (default: made from the test images), tfds (the published CIFAR-10-C as "
        "cifar10_corrupted of TensorFlow Datasets), or a folder of .npy files or an .npz: the "
        "published files, or a copy by models.corrupt",
        kind=path, metavar="SOURCE",
    )  # fmt: skip
    baseline: str | None = _of_corruptions(
        None, "an evaluated run to compare with: mCE and relative mCE (default: none)",
        kind=path, metavar="RUN",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.attack and self.corruptions is None:
            raise CommandError(
                "nothing to evaluate: give --attack fgsm pgd, --corruptions, or both"
            )
        for name in ("baseline", "corruption_source"):
            if getattr(self, name) is not None and self.corruptions is None:
                raise self.error(name, "it is for --corruptions")
        largest = max(self.radii)
        if self.norm == "inf" and largest > 1:
            raise self.error(
                "eps",
                f"images are in [0, 1], so eps is at most 1, not {largest:g}; {largest:g} grey "
                f"levels are {largest:g}/255",
            )

    @property
    def attacks(self) -> list[str]:
        """The attacks, each once."""
        return list(dict.fromkeys(self.attack or []))

    @property
    def radii(self) -> list[float]:
        """The eps, ascending, each once."""
        return sorted(set(self.eps or RADII[self.norm]))

    @property
    def corruption_names(self) -> list[str]:
        """The corruptions, each once."""
        return [] if self.corruptions is None else expand(self.corruptions)
