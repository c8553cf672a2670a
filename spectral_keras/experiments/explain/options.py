"""The options of `python -m models.explain`."""

import argparse

from spectral_keras.experiments.command import OneLineParser, program
from spectral_keras.experiments.options import number

DESCRIPTION = "Learn which frequencies a saved classifier needs (its Fourier mask), and show them."
EPILOG = """\
MODEL is a .keras file, or the folder of a training run: then its best.keras, on the data set that
it was trained on.

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
--resume goes on, and ends with the same numbers.
"""
SPLITS = ("test", "validation", "train")
# Options of the data that a training run answers for itself.
OF_RUN = ("dataset", "data_dir", "limit", "image_size", "grayscale", "validation_fraction")


def build_parser():
    parser = OneLineParser(
        prog=program("models.explain"),
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help=".keras file, or folder of a training run")
    group = parser.add_argument_group("data (defaults of a run: its own)")
    group.add_argument(
        "--dataset",
        help="digits (embedded, default), cifar10, cifar100, any TFDS image classification set, "
        "an .npz file or a folder of class folders",
    )
    group.add_argument("--data-dir", help="folder of the TFDS data sets (default: TFDS' own)")
    group.add_argument(
        "--limit", type=number(int, 1), help="use this many training images (validation included)"
    )
    group.add_argument(
        "--image-size", type=number(int, 4), help="resize images to this many pixels a side"
    )
    group.add_argument(
        "--grayscale",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="turn the images grey",
    )
    group.add_argument(
        "--validation-fraction",
        type=number(float, 0, high=1),
        help="share of the training images that --split validation is (default 0.1)",
    )
    group.add_argument(
        "--split-seed", type=number(int, 0), help="of the validation share (default 0)"
    )
    group.add_argument(
        "--split", choices=SPLITS, default="test", help="which images (default test)"
    )
    group.add_argument(
        "--images",
        type=number(int, 1),
        default=1000,
        metavar="N",
        help="images that the mask is learned on, with the class shares of all (default 1000); as "
        "many others, if there are, check it",
    )
    group.add_argument(
        "--pixel-range",
        type=number(float),
        nargs=2,
        default=[0.0, 1.0],
        metavar=("BLACK", "WHITE"),
        help="pixel values that the model takes (default 0 1)",
    )
    group = parser.add_argument_group("masks")
    group.add_argument("--per-class", action="store_true", help="also one mask of each class")
    group.add_argument(
        "--single",
        type=number(int, 0),
        default=16,
        metavar="N",
        help="also masks of N single images, by the model's own prediction (default 16)",
    )
    group.add_argument(
        "--penalty",
        type=number(float, 0, True),
        default=0.2,
        help="weight of the mask's size: more, and fewer frequencies stay (default 0.2)",
    )
    group.add_argument(
        "--single-penalty",
        type=number(float, 0, True),
        default=0.07,
        help="the same of single images (default 0.07)",
    )
    group.add_argument(
        "--invariance",
        choices=("squared", "exp"),
        default="squared",
        help="squares of the change of the cross-entropy (default), or their exponentials, as "
        "published",
    )
    group.add_argument("--epochs", type=number(int, 1), default=12, help="at most (default 12)")
    group.add_argument(
        "--batch-size",
        type=number(int, 1),
        help="images of a step (default 20, less of few images)",
    )
    group.add_argument(
        "--learning-rate",
        type=number(float, 0, True),
        help="peak of the one-cycle schedule (default 30 / steps, at most 0.1)",
    )
    group.add_argument(
        "--seed", type=number(int, 0), default=0, help="of the order of the images (default 0)"
    )
    group = parser.add_argument_group("Fourier heat map")
    group.add_argument(
        "--heat-map",
        action="store_true",
        help="also the error rate under each vector of the Fourier basis",
    )
    group.add_argument(
        "--heat-map-images", type=number(int, 1), default=100, metavar="N", help="default 100"
    )
    group.add_argument(
        "--heat-map-norm",
        type=number(float, 0, True),
        default=4.0,
        help="L2 norm of the vector, for images in [0, 1] (default 4)",
    )
    group = parser.add_argument_group("output")
    group.add_argument("--output", metavar="FOLDER", help="default: MODEL-explained")
    group.add_argument("--resume", action="store_true", help="go on with what is there")
    group.add_argument("--overwrite", action="store_true", help="replace what is there")
    return parser


def parse(argv=None):
    """All options, checked: dict of the option's name -> value."""
    parser = build_parser()
    options = vars(parser.parse_args(argv))
    if not options["model"]:
        parser.error("argument MODEL: expected a .keras file or the folder of a training run")
    if options["output"] == "":
        parser.error("argument --output: expected a folder")
    if options["resume"] and options["overwrite"]:
        parser.error("--resume and --overwrite exclude each other")
    low, high = options["pixel_range"]
    if low >= high:
        parser.error(f"argument --pixel-range: expected BLACK < WHITE, received {low:g} {high:g}")
    return options
