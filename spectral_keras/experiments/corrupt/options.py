"""The options of `python -m models.corrupt`."""

import argparse
import pathlib

from spectral_keras.corruptions import SEVERITIES, TABLES
from spectral_keras.corruptions import names as corruption_names
from spectral_keras.experiments.command import OneLineParser, program
from spectral_keras.experiments.evaluate.options import corruption_group, merged
from spectral_keras.experiments.options import number, path

DESCRIPTION = "Write a corrupted copy of a data set, in the layout of CIFAR-10-C."
EPILOG = """\
The copy is a folder with <corruption>.npy, uint8, all images at severity 1, then all at severity 2
and so on, labels.npy, and corruptions.json, which says what it was made from; or one .npz with
these as its members:

    python -m models.corrupt --dataset cifar10 --corruptions all --output cifar10-c
    python -m models.corrupt --dataset cifar10 --limit 500 --output cifar10-c.npz
    python -m models.evaluate runs/resnet18-cifar10 --corruptions --corruption-source cifar10-c

Interrupted or killed, the same command with --resume goes on after the last finished severity, and
the copy is the same, byte for byte.  --resume with other --corruptions adds them to a folder.
"""
FORMATS = ("npy", "npz", "png")


def build_parser():
    parser = OneLineParser(
        prog=program("models.corrupt"),
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("data")
    group.add_argument(
        "--dataset",
        default="digits",
        help="digits (embedded, default), cifar10, cifar100, any TFDS image classification set, "
        "an .npz file or a folder of class folders",
    )
    group.add_argument(
        "--data-dir", type=path, help="folder of the TFDS data sets (default: TFDS' own)"
    )
    group.add_argument(
        "--split", choices=("test", "train"), default="test", help="which images (default test)"
    )
    group.add_argument(
        "--limit",
        type=number(int, 1),
        metavar="N",
        help="only N images: the same ones each time, with the class shares of all",
    )
    group.add_argument(
        "--image-size", type=number(int, 4), help="resize images to this many pixels a side"
    )
    group.add_argument("--grayscale", action="store_true", help="turn the images grey")
    group = parser.add_argument_group("corruptions")
    group.add_argument(
        "--corruptions",
        type=corruption_group,
        nargs="+",
        metavar="NAME",
        help="cifar10c (the benchmark's 15, default), cifar10c-extra or extra (4 more), all, or "
        "names such as fog",
    )
    group.add_argument(
        "--severities",
        type=_severity,
        nargs="+",
        metavar="S",
        help="some of 1 to 5 (default: all five, as published)",
    )
    group.add_argument("--seed", type=number(int, 0), default=0, help="default 0")
    group.add_argument(
        "--table",
        choices=tuple(TABLES),
        help="constants of CIFAR-10-C or of ImageNet-C (default: by the size of the images)",
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "--output", metavar="PATH", required=True, help="a folder, or a file that ends in .npz"
    )
    group.add_argument(
        "--format",
        choices=FORMATS,
        help="npy or npz (default: by the name of --output), or png: a folder "
        "<corruption>/<severity> with a folder of PNG files for each class",
    )
    group.add_argument("--resume", action="store_true", help="go on with what is there")
    group.add_argument("--overwrite", action="store_true", help="replace a copy that is there")
    return parser


def parse(argv=None):
    """All options, checked: dict of the option's name -> value."""
    parser = build_parser()
    options = vars(parser.parse_args(argv))
    if not options["output"]:
        parser.error("argument --output: expected a folder or an .npz file")
    if options["resume"] and options["overwrite"]:
        parser.error("--resume and --overwrite exclude each other")
    chosen = merged(options["corruptions"] or [corruption_group("cifar10c")])
    options["corruptions"] = [name for name in corruption_names("all") if name in chosen]
    options["severities"] = sorted(set(options["severities"] or SEVERITIES))
    is_npz = pathlib.Path(options["output"]).suffix.lower() == ".npz"
    if options["format"] is None:
        options["format"] = "npz" if is_npz else "npy"
    elif (options["format"] == "npz") != is_npz:
        parser.error(
            f"argument --format: {options['format']} does not fit --output {options['output']}: "
            "an .npz file ends in .npz, a folder does not"
        )
    return options


def _severity(text):
    try:
        value = int(text)
    except ValueError:
        value = None
    if value not in SEVERITIES:
        raise argparse.ArgumentTypeError(f"expected 1 to {SEVERITIES[-1]}, received {text!r}")
    return value
