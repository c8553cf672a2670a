"""The options that the benchmarks share, and the types of their values."""

import argparse
import math
import os
import pathlib


def benchmark_parser(name, description):
    """The parser of `python -m benchmarks.NAME`, with the option --output."""
    from spectral_keras.experiments.command import OneLineParser

    parser = OneLineParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument(
        "--output", type=json_file, metavar="FILE.json", help="write the numbers here"
    )
    return parser


def add_numbers(parser, rows):
    """Options of (name, type, default, meaning)."""
    for name, kind, default, meaning in rows:
        text = f"{meaning} (default: {default:g})"
        parser.add_argument(name, type=kind, default=default, help=text)


def parse_and_keep_memory(parser, arguments):
    """(options, whether freed memory is kept, as the training command does)."""
    options = parser.parse_args(arguments)
    require_tensorflow(parser)
    from spectral_keras.memory import keep_freed_memory

    return options, keep_freed_memory()


def require_tensorflow(parser):
    """Answer another backend with one line; the first import of Keras, after all options."""
    import keras

    if keras.backend.backend() != "tensorflow":
        parser.error(f"needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}")


def choose(parser, only, items, name):
    """Those of the items with one of the texts of --only in their name; all without it."""
    chosen = [one for one in items if only is None or any(text in name(one) for text in only)]
    if not chosen:
        parser.error(f"--only {only} matches none of: {', '.join(map(name, items))}")
    return chosen


def add_only(parser, what="cases"):
    """The option --only, a list of parts of names, or None."""
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        help=f"run only the {what} with NAME in their name (may be given again)",
    )


def json_file(text):
    """An argparse type: the name of a .json file that can be written when all is measured."""
    path = pathlib.Path(text)
    if path.suffix != ".json":
        raise argparse.ArgumentTypeError(f"must end with .json, received {text!r}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"is a folder, received {text!r}")
    above = next(part for part in path.absolute().parents if part.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"cannot be written into {above}, received {text!r}")
    return text


def integer(low, high=10**6):
    """An argparse type: an integer from `low` to `high`, by default what no machine would end."""
    return _between(int, "an integer", low, high, low_open=False)


def number(low, high, low_open=False):
    """An argparse type: a number from (or above) `low` to `high`."""
    return _between(float, "a number", low, high, low_open)


def _between(kind, word, low, high, low_open):
    lower = f"above {low}" if low_open else f"of at least {low}"

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or (low_open and value == low):
            raise argparse.ArgumentTypeError(
                f"{word} {lower} and at most {high} is needed, not {text!r}"
            )
        return value

    return parse
