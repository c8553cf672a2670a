"""The options of the training command, and their checks."""

import argparse
import difflib
import fractions
import sys
import types
import typing

from models import registry

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
PRECISIONS = ("float32", "bfloat16", "float16", "float64")
EXPORTS = ("saved_model", "onnx", "litert")
SEEDS = 2**32  # NumPy's global generator takes no others


class CommandError(Exception):
    """Something that the user has to change; the command prints it as one line."""


class OneLineParser(argparse.ArgumentParser):
    """An `ArgumentParser` that answers a bad option with one line and status 2."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message):
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            wrong = (message.removeprefix(prefix).split() or ["''"])[0]
            known = list(self._option_string_actions)
            # Nearer than by default: --num-pairs is no --aux-phase.
            near = difflib.get_close_matches(wrong.partition("=")[0], known, n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]}?" if near else "; --help lists the options"
            message = f"unknown option {wrong}{hint}"
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        sys.exit(2)


def number(kind, low=None, low_open=False, high=None):
    """An argparse type: a finite number of `kind`, at least (or above) `low` and below `high`."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            word = "an integer" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {word}, received {text!r}") from None
        if value != value or value in (float("inf"), -float("inf")):
            raise argparse.ArgumentTypeError(f"expected a finite number, received {text!r}")
        if low is not None and (value < low or (low_open and value == low)):
            sign = ">" if low_open else ">="
            raise argparse.ArgumentTypeError(f"expected a value {sign} {low}, received {text!r}")
        if high is not None and value >= high:
            raise argparse.ArgumentTypeError(f"expected a value < {high}, received {text!r}")
        return value

    return parse


def fraction(low_open=False, high=None):
    """An argparse type: a number such as 0.03 or 8/255, at least (or above) 0, at most `high`."""

    def parse(text):
        try:
            value = float(fractions.Fraction(text.replace(" ", "")))
        except (ValueError, ZeroDivisionError, OverflowError):
            raise argparse.ArgumentTypeError(
                f"expected a number or a fraction such as 8/255, received {text!r}"
            ) from None
        if value < 0 or (low_open and value == 0):
            sign = ">" if low_open else ">="
            raise argparse.ArgumentTypeError(f"expected a value {sign} 0, received {text!r}")
        if high is not None and value > high:
            raise argparse.ArgumentTypeError(f"expected a value <= {high}, received {text!r}")
        return value

    return parse


def boolean(text):
    if text.lower() in ("true", "yes", "1", "on"):
        return True
    if text.lower() in ("false", "no", "0", "off"):
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, received {text!r}")


def stream(text):
    """An argparse type: true, false or auto."""
    if text.lower() == "auto":
        return "auto"
    try:
        return boolean(text)
    except argparse.ArgumentTypeError:
        message = f"expected true, false or auto, received {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def path(text):
    """An argparse type: a path that is not empty, as an unset shell variable would be."""
    if not text:
        raise argparse.ArgumentTypeError(f"expected a path, received {text!r}")
    return text


def _integers(text):
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected integers with commas between them, received {text!r}"
        ) from None


def _option_type(annotation):
    """argparse arguments for the annotation of a factory's option."""
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        choices = typing.get_args(annotation)
        return {"type": type(choices[0]), "choices": choices}
    if origin is tuple:
        return {"type": _integers, "metavar": "N,N"}
    if origin in (typing.Union, types.UnionType):
        return _option_type(next(a for a in typing.get_args(annotation) if a is not type(None)))
    if annotation is bool:
        return {"type": boolean, "metavar": "BOOL"}
    if annotation in (int, float):
        return {"type": number(annotation), "metavar": "N" if annotation is int else "X"}
    return {"type": str}


def build_parser(name):
    """The parser of `python -m models.NAME`."""
    from models import _distribute, _objectives

    recipe = registry.recipe(name)
    first_line, _, rest = (registry.module(name).__doc__ or "").partition("\n")
    parser = OneLineParser(
        prog=f"models.{name}",
        description=f"Train and evaluate: {first_line}",
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset",
        default="digits",
        help="digits (embedded, default), cifar10, cifar100, any TFDS image classification set, "
        "an .npz file or a folder of class folders",
    )
    data.add_argument(
        "--data-dir", type=path, help="folder of the TFDS data sets (default: TFDS' own)"
    )
    data.add_argument(
        "--limit", type=number(int, 1), help="train on this many images (validation included)"
    )
    data.add_argument(
        "--image-size", type=number(int, 4), help="resize images to this many pixels a side"
    )
    data.add_argument("--grayscale", action="store_true", help="turn the images grey")
    data.add_argument(
        "--validation-fraction",
        type=number(float, 0, high=1),
        default=0.1,
        help="share of the training set that is held out to choose the best epoch (default 0.1)",
    )
    data.add_argument(
        "--augment",
        default=recipe.augment,
        help="none, crop_flip, mirror_crop_flip, report (translation, reflection, HSV), or a list "
        f"such as translate,flip,hsv,cutout (default {recipe.augment})",
    )
    data.add_argument(
        "--workers",
        type=number(int, 0),
        default=1,
        help="threads for batches (default 1); those of a streamed set decode its images",
    )
    data.add_argument(
        "--stream",
        type=stream,
        default="auto",
        metavar="true|false|auto",
        help="leave the images of a folder or a TFDS set in their files and decode them when they "
        "are used; auto (default): where, decoded, they would take more than a quarter of the free "
        "memory. The batches are the same either way",
    )
    data.add_argument(
        "--shuffle-buffer",
        type=number(int, 1),
        metavar="N",
        help="shuffle the files and within N neighbouring images, for slow disks (default: "
        "over the whole training set)",
    )
    fit = parser.add_argument_group("training")
    fit.add_argument("--epochs", type=number(int, 1), default=recipe.epochs)
    fit.add_argument("--batch-size", type=number(int, 1), default=recipe.batch_size)
    fit.add_argument("--optimizer", choices=OPTIMIZERS, default=recipe.optimizer)
    fit.add_argument("--learning-rate", type=number(float, 0, True), default=recipe.learning_rate)
    fit.add_argument(
        "--momentum", type=number(float, 0, high=1), default=recipe.momentum, help="of sgd"
    )
    fit.add_argument("--weight-decay", type=number(float, 0), default=recipe.weight_decay)
    fit.add_argument(
        "--schedule",
        choices=("constant", "cosine", "onecycle", "step", "thirds", "plateau"),
        default=recipe.schedule,
    )
    fit.add_argument("--warmup-epochs", type=number(float, 0), default=recipe.warmup_epochs)
    fit.add_argument(
        "--early-stopping",
        type=number(int, 0),
        default=recipe.early_stopping,
        metavar="N",
        help="stop after N epochs without a better validation accuracy (0: never)",
    )
    fit.add_argument("--precision", choices=PRECISIONS, default="float32")
    fit.add_argument(
        "--jit",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compile with XLA (default: Keras decides)",
    )
    fit.add_argument("--seed", type=number(int, 0, high=SEEDS), default=0)
    _objectives.add_options(parser)
    run = parser.add_argument_group("run")
    _distribute.add_options(run)
    run.add_argument("--output", type=path, help=f"run folder (default runs/{name}-DATASET)")
    run.add_argument("--resume", action="store_true", help="go on where the run was interrupted")
    run.add_argument("--overwrite", action="store_true", help="delete an earlier run first")
    run.add_argument("--export", choices=EXPORTS, help="also write the trained model in this form")
    run.add_argument(
        "--tensorboard",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write logs for TensorBoard (default: if it is installed and the backend TensorFlow)",
    )
    network = parser.add_argument_group("network")
    for option, (annotation, default) in registry.options(name).items():
        default = recipe.options.get(option, default)
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        network.add_argument(
            "--" + option.replace("_", "-"),
            default=default,
            help=f"default {shown}",
            **_option_type(annotation),
        )
    return parser


def parse(name, argv=None):
    """All options of a command line, resolved: dict of the option's name -> value."""
    parser = build_parser(name)
    options = vars(parser.parse_args(argv))
    if options["resume"] and options["overwrite"]:
        parser.error("--resume and --overwrite exclude each other")
    return options
