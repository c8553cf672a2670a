"""The options of `python -m tuning.search`: its own, and those of the training command."""

import argparse

from spectral_keras.experiments.command import CommandError, OneLineParser, program
from spectral_keras.experiments.options import number, path
from spectral_keras.experiments.search.spaces import SPACES
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.models import registry

# The training command's, without meaning for a trial: a trial writes no run folder, and all
# trials have the same length and the schedule that belongs to it.
_NOT_HERE = ("export", "tensorboard", "early_stopping")

# What is left of the training command for --build, whose function compiles its own model.
BUILD_OPTIONS = (
    "dataset", "data_dir", "limit", "image_size", "grayscale", "validation_fraction", "augment",
    "workers", "stream", "shuffle_buffer", "epochs", "batch_size", "precision", "seed",
)  # fmt: skip

# What may differ between a search and its continuation: none of it changes a trial.
FREE_OPTIONS = ("trials", "workers", "stream", "data_dir")


def build_parser(epilog):
    parser = OneLineParser(
        prog=program("tuning.search"),
        description="Search the hyper-parameters of a network of the zoo, or of your own model.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", choices=registry.names(), help="a network of the zoo")
    what.add_argument(
        "--build",
        metavar="MODULE:FUNCTION",
        help="a function of hp that returns a compiled Keras model",
    )
    parser.add_argument("--trials", type=number(int, 1), default=30, metavar="N", help="default 30")
    parser.add_argument(
        "--initial-points",
        type=number(int, 1),
        metavar="N",
        help="random points before the model decides (default: 3 for each searched option)",
    )
    parser.add_argument(
        "--fix",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="do not search this option; --NAME VALUE does the same (repeat for others)",
    )
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=LOW,HIGH",
        help="search this option here, or NAME=A,B,C among these choices (repeat for others)",
    )
    parser.add_argument(
        "--output", type=path, help="search folder (default searches/MODEL-DATASET)"
    )
    parser.add_argument("--resume", action="store_true", help="continue where it was interrupted")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier search first")
    return parser


def _pair(text):
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, received {text!r}")
    return name.replace("-", "_"), value


def parse(argv, epilog=None):
    """The resolved options of a command line.

    Returns:
        (own, options, arguments, given): the search's own options; those of the training command;
        the command line that gave the latter; and the names of those that were given.
    """
    parser = build_parser(epilog)
    own, arguments = parser.parse_known_args(argv)
    own = vars(own)
    if own["resume"] and own["overwrite"]:
        parser.error("--resume and --overwrite exclude each other")
    for option in ("fix", "range"):
        names = [name for name, _ in own[option]]
        for name in names:
            if names.count(name) > 1:
                parser.error(f"--{option} {name} is given more than once")
        own[option] = dict(own[option])
    if own["model"]:
        known = resolve(own["model"], {})
        for name, value in own["fix"].items():
            if name not in known or name in ("output", "resume", "overwrite"):
                parser.error(f"--fix {name}: {own['model']} has no such option")
            arguments.append(f"--{name.replace('_', '-')}={value}")
        options, given = training_options(own["model"], arguments)
        if "schedule" not in given:  # the training command's default may be another
            arguments.append(f"--schedule={options['schedule']}")
        own["range"] = {
            name: _ends(own["model"], name, text) for name, text in own["range"].items()
        }
    else:
        options, given = build_options(arguments)
        own["range"] = {name: text.split(",") for name, text in own["range"].items()}
    return own, options, arguments, given


def training_options(name, arguments, prog=None):
    """All options of `python -m models.NAME`, and the names of those in `arguments`."""
    given, parser = _given(name, arguments, prog)
    # `plateau` depends on how long one waits; trials have a fixed length.
    waits = registry.recipe(name).schedule == "plateau"
    options = resolve(name, ({"schedule": "onecycle"} if waits else {}) | given)
    for option in _NOT_HERE:
        if option in given:
            parser.error(
                f"--{option.replace('_', '-')} is no option of a search; tuning.retrain takes it"
            )
        options.pop(option)
    if options["schedule"] == "plateau":
        parser.error("--schedule plateau is no schedule for a search; tuning.retrain takes it")
    _check_validation(parser, options)
    return _without_folder(options), set(given)


def build_options(arguments, prog=None):
    """The options that --build shares with the training command, and the names of those given."""
    name = registry.names()[0]
    given, parser = _given(name, arguments, prog)
    for option in sorted(set(given) - set(BUILD_OPTIONS)):
        parser.error(
            f"unknown option --{option.replace('_', '-')}: with --build the function builds and "
            "compiles the model"
        )
    options = resolve(name, {"augment": "none"} | given)
    _check_validation(parser, options)
    return {name: options[name] for name in BUILD_OPTIONS}, set(given)


def _given(name, arguments, prog):
    """What a command line sets, dict of option -> value; and the parser."""
    parser = TrainOptions.parser_of(name)
    parser.prog = prog or program("tuning.search")
    return vars(parser.parse_args(arguments)), parser


def resolve(name, values):
    """All options of the training command, dict of option -> value, with these values."""
    return as_train_options(name, values).to_json()


def as_train_options(name, values):
    """The `TrainOptions` with values of its own or of the network."""
    known = registry.options(name)
    network = {key: value for key, value in values.items() if key in known}
    fields = TrainOptions.specs()
    return TrainOptions(
        name, network, **{key: value for key, value in values.items() if key in fields}
    )


def _check_validation(parser, options):
    if not options["validation_fraction"]:
        parser.error("--validation-fraction must be above 0: the search compares on it")


def _without_folder(options):
    return {k: v for k, v in options.items() if k not in ("output", "resume", "overwrite")}


def _ends(name, option, text):
    """The ends of a range, each a value of the training command's option."""
    if option not in SPACES[name]:
        raise CommandError(f"--range {option}: the search space of {name} has "
                           f"{', '.join(SPACES[name])}")  # fmt: skip
    ends = []
    for part in text.split(","):
        options, _ = training_options(name, [f"--{option.replace('_', '-')}={part}"])
        ends.append(options[option])
    return tuple(ends)
