"""The options of the training command, and their checks."""

import argparse
import types
import typing

from spectral_keras.experiments.command import OneLineParser, program
from spectral_keras.experiments.options import SEEDS, boolean, number, path, stream
from spectral_keras.models import registry

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
PRECISIONS = ("float32", "bfloat16", "float16", "float64")
EXPORTS = ("saved_model", "onnx", "litert")


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
    from spectral_keras.experiments.train import devices, objectives

    recipe = registry.recipe(name)
    parser = OneLineParser(
        prog=program(f"models.{name}"),
        description=f"Train and evaluate {name}: {recipe.summary}",
        epilog=f"{recipe.paper}.  Recipe: {recipe}.",
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
    objectives.add_options(parser)
    run = parser.add_argument_group("run")
    devices.add_options(run)
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
