"""The options of `python -m models.evaluate`."""

import argparse
import difflib

from spectral_keras.corruptions import names as corruption_names
from spectral_keras.evaluation import ATTACKS, EPS, LABELS
from spectral_keras.experiments.command import OneLineParser, program
from spectral_keras.experiments.evaluate.corruptions import GROUPS
from spectral_keras.experiments.options import SEEDS, fraction, number, path

DESCRIPTION = "Accuracy of a finished training run under attack and under common corruptions."
EPILOG = """\
RUN is the folder of a training command.  Images are in [0, 1], and eps is in these units: one grey
level of an 8-bit image is 1/255.  An eps is a number or a fraction:

    python -m models.evaluate runs/resnet18-cifar10 --attack fgsm pgd --eps 0 2/255 8/255

    python -m models.evaluate runs/resnet18-cifar10 --corruptions cifar10c --baseline runs/other
    python -m models.evaluate runs/resnet18-cifar10 --corruptions --corruption-source CIFAR-10-C

result.json gets the accuracies, robustness.png shows them, attacks.json keeps what became of each
image.  Interrupted or killed, the same command goes on after the last finished eps; another call
with other eps adds to what is there.  An image that PGD fools counts as fooled at larger eps too.
"""
_ALIASES = {"cifar10c-extra": "extra"}


def build_parser():
    parser = OneLineParser(
        prog=program("models.evaluate"),
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument(
        "--data-dir", type=path, help="folder of the TFDS data sets (default: that of the training)"
    )
    parser.add_argument(
        "--limit",
        type=number(int, 1),
        metavar="N",
        help="only N test images: the same ones each time, with the class shares of all",
    )
    parser.add_argument("--batch-size", type=number(int, 1), default=128, help="default 128")
    group = parser.add_argument_group("attacks")
    group.add_argument(
        "--attack",
        type=_attack,
        nargs="+",
        metavar="NAME",
        help="one or more of: " + ", ".join(ATTACKS),
    )
    group.add_argument(
        "--eps",
        type=_radii,
        nargs="+",
        metavar="EPS",
        help="radii with spaces or commas between them, each a number or a fraction in units of "
        "images in [0, 1] (default 0 1/255 2/255 4/255 8/255 16/255; with l2 0 0.125 0.25 0.5 1)",
    )
    group.add_argument(
        "--norm",
        choices=tuple(EPS),
        default="inf",
        help="inf: each value changes by at most eps; l2: Euclidean length of all changes",
    )
    group.add_argument("--steps", type=number(int, 1), default=10, help="of pgd (default 10)")
    group.add_argument(
        "--step-size",
        type=fraction(low_open=True),
        metavar="SIZE",
        help="of pgd, a number or a fraction (default 2.5 * eps / steps)",
    )
    group.add_argument(
        "--restarts", type=number(int, 1), default=1, help="random starts of pgd (default 1)"
    )
    group.add_argument(
        "--labels",
        choices=LABELS,
        default="given",
        help="what the attack leads away from: the true class, or the class that the model gives "
        "the clean image (default given)",
    )
    group.add_argument(
        "--seed",
        type=number(int, 0, high=SEEDS),
        default=0,
        help="of the random starts of pgd and of the corruptions (default 0)",
    )
    group = parser.add_argument_group("corruptions")
    group.add_argument(
        "--corruptions",
        type=corruption_group,
        nargs="*",
        metavar="NAME",
        help="cifar10c (the benchmark's 15; what the option alone means), extra (4 more), all, or "
        "names such as fog; accuracies at severities 1 to 5 go to result.json, the picture to "
        "corruptions.png",
    )
    group.add_argument(
        "--corruption-source",
        metavar="SOURCE",
        help="generated (default: made from the run's own test images), tfds (the published "
        "CIFAR-10-C as cifar10_corrupted of TensorFlow Datasets), or a folder of .npy files or an "
        ".npz: the published files, or a copy by models.corrupt",
    )
    group.add_argument(
        "--baseline",
        metavar="RUN",
        help="an evaluated run to compare with: mCE and relative mCE (default: none)",
    )
    return parser


def parse(argv=None):
    """All options, checked: dict of the option's name -> value."""
    parser = build_parser()
    options = vars(parser.parse_args(argv))
    if not options["attack"] and options["corruptions"] is None:
        parser.error(
            f"nothing to evaluate: give --attack {' '.join(ATTACKS)}, --corruptions, or both"
        )
    if options["baseline"] is not None and options["corruptions"] is None:
        parser.error("argument --baseline: it is for --corruptions")
    if options["corruption_source"] is not None and options["corruptions"] is None:
        parser.error("argument --corruption-source: it is for --corruptions")
    if options["corruption_source"] == "":
        parser.error("argument --corruption-source: expected generated, tfds, a folder or an .npz")
    options["corruption_source"] = options["corruption_source"] or "generated"
    options["attack"] = merged(options["attack"] or [])
    if options["corruptions"] is not None:
        options["corruptions"] = merged(options["corruptions"] or [corruption_group("cifar10c")])
    given = options["eps"]
    eps = [value for values in given for value in values] if given else EPS[options["norm"]]
    if options["norm"] == "inf" and max(eps) > 1:
        parser.error(
            f"argument --eps: images are in [0, 1], so eps is at most 1, not {max(eps):g}; "
            f"{max(eps):g} grey levels are {max(eps):g}/255"
        )
    options["eps"] = sorted(set(eps))
    return options


def merged(lists):
    """The names of several lists, each once."""
    return list(dict.fromkeys(name for names in lists for name in names))


def corruption_group(text):
    """An argparse type: names of corruptions, of a group or a single one."""
    text = _ALIASES.get(text, text)
    if text in GROUPS:
        return list(corruption_names(GROUPS[text]))
    if text not in corruption_names("all"):
        near = difflib.get_close_matches(text, corruption_names("all"), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise argparse.ArgumentTypeError(
            f"expected {', '.join(GROUPS)} or the name of a corruption, received {text!r}{hint}"
        )
    return [text]


def _attack(text):
    names = [name for name in text.split(",") if name]
    for name in names or [text]:
        if name not in ATTACKS:
            raise argparse.ArgumentTypeError(f"expected {' or '.join(ATTACKS)}, received {name!r}")
    return names


def _radii(text):
    parts = [part for part in text.split(",") if part.strip()]
    return [fraction()(part) for part in parts or [text]]
