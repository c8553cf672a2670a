"""The options of `python -m tuning.search`."""

import argparse
import dataclasses
import pathlib
from collections.abc import Collection
from typing import Any, Self

from spectral_keras.experiments.command import CommandError, OneLineParser, program
from spectral_keras.experiments.folder import default_folder
from spectral_keras.experiments.options import (
    Options,
    flag,
    number,
    option,
    path,
    to_text,
    words_of,
)
from spectral_keras.experiments.search.spaces import SPACES, Space
from spectral_keras.experiments.train.fit_options import FitOptions
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.models import registry

__all__ = ["SearchOptions", "parse_training", "training_words"]


def _pair(text):
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, received {text!r}")
    return name.replace("-", "_"), value


_SEARCH = "search"
_PAIRS: dict[str, Any] = {"kind": _pair, "repeat": True, "group": _SEARCH}
_OWN = {"free": True, "group": "folder"}


@dataclasses.dataclass
class SearchOptions(Options):
    """Options of `python -m tuning.search`, from a command line or from Python.

    Args:
        model, build: a network of the zoo, or a function as "package.module:function".
        training: options of the trials, dict of name -> value: of `TrainOptions`, the network's own
            too, or of `FitOptions` where a function builds the model.  Those that the space of a
            network has are fixed by it.
        **options: see `python -m tuning.search --help`; `fix` is a dict of name -> value, `range`
            a dict of name -> (low, high) or choices.

    Attributes:
        trial: the `TrainOptions`, or `FitOptions`, of all trials.

    Raises:
        CommandError: for a value that the command line would refuse.

    Example:

    >>> from spectral_keras.experiments.search.options import SearchOptions
    >>> options = SearchOptions("generic_cnn", training={"epochs": 5}, fix={"pooling": "max"})
    >>> options.trial.epochs, options.trial.network["pooling"], sorted(options.fixed)
    (5, 'max', ['epochs', 'pooling'])
    """

    model: str | None = option(
        None, "a network of the zoo", choices=tuple(registry.names()), metavar="NAME", group=_SEARCH
    )
    build: str | None = option(
        None, "a function of hp that returns a compiled Keras model", metavar="MODULE:FUNCTION",
        group=_SEARCH,
    )  # fmt: skip
    _: dataclasses.KW_ONLY
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    trials: int = option(30, "", kind=number(int, 1), free=True, group=_SEARCH)
    initial_points: int | None = option(
        None, "random points before the model decides (default: 3 for each searched option)",
        kind=number(int, 1), group=_SEARCH,
    )  # fmt: skip
    fix: dict[str, Any] = option(
        {}, "do not search this option; --NAME VALUE does the same (repeat for others)",
        metavar="NAME=VALUE", **_PAIRS,
    )  # fmt: skip
    range: dict[str, Any] = option(
        {}, "search this option here, or NAME=A,B,C among these choices (repeat for others)",
        metavar="NAME=LOW,HIGH", **_PAIRS,
    )  # fmt: skip
    output: str | None = option(
        None, "search folder", kind=path, shown="searches/MODEL-DATASET", **_OWN
    )
    resume: bool = option(False, "continue where it was interrupted", kind="flag", **_OWN)
    overwrite: bool = option(False, "delete an earlier search first", kind="flag", **_OWN)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model and self.build:
            raise self.error("build", "not allowed with argument --model")
        if not self.model and not self.build:
            raise CommandError("one of the arguments --model --build is required")
        # As the command line gives them: of what kind the values are, the space says.
        self.fix = {name: to_text(value) for name, value in self.fix.items()}
        self.range = {name: to_text(ends).split(",") for name, ends in self.range.items()}
        self.trial: FitOptions = (
            self._network_trial() if self.model else FitOptions(**self.training)
        )
        if not self.trial.validation_fraction:
            raise CommandError("--validation-fraction must be above 0: the search compares on it")

    def _network_trial(self):
        """The options of a trial; the ends of the ranges become values of them."""
        single = TrainOptions.single()
        for name in self.training:
            if name in single:
                raise CommandError(
                    f"{flag(name)} is no option of a search; tuning.retrain takes it"
                )
        known = (TrainOptions.specs().keys() - single) | registry.options(self.model).keys()
        for name in self.fix:
            if name not in known:
                raise CommandError(f"--fix {name}: {self.model} has no such option")
        for name, ends in self.range.items():
            if name not in SPACES[self.model]:
                raise CommandError(
                    f"--range {name}: the search space of {self.model} has "
                    + ", ".join(SPACES[self.model])
                )
            self.range[name] = [TrainOptions.value_of(self.model, name, end) for end in ends]
        values = self.training | self.fix
        if registry.recipe(self.model).schedule == "plateau":
            # It depends on how long one waits; trials have a fixed length.
            values = {"schedule": "onecycle"} | values
        trial = TrainOptions.of_values(self.model, values)
        if trial.schedule == "plateau":
            raise CommandError(
                "--schedule plateau is no schedule for a search; tuning.retrain takes it"
            )
        return trial

    @property
    def fixed(self) -> dict[str, Any]:
        """What was given of a network's options, and is not searched for that."""
        options = self.trial.to_json()
        return {name: options[name] for name in [*self.training, *self.fix]}

    @property
    def folder(self) -> pathlib.Path:
        """Where the files go."""
        label = self.model or str(self.build).replace(":", ".")
        return pathlib.Path(
            self.output or default_folder(label, self.trial.dataset, parent="searches")
        )

    def to_json(self) -> dict[str, Any]:
        """The search's own options; not where it is."""
        specs = self.specs()
        return {k: v for k, v in super().to_json().items() if specs[k].group != "folder"}

    @classmethod
    def of_command(cls, argv: list[str] | None, description: str, epilog: str) -> Self:
        """The options of a command line; a bad one ends the program with one line and status 2."""
        parser = cls.parser(program("tuning.search"), description, epilog)
        given, rest = parser.parse_known_args(argv)
        try:
            if len(vars(given).keys() & {"model", "build"}) == 1:
                given.training = parse_training(parser, getattr(given, "model", None), rest)
            options = cls(**vars(given))
            options.check_training()
            return options
        except CommandError as error:
            parser.error(str(error))

    def check_training(self) -> None:
        """Refuse options of training that were given and change nothing in any trial."""
        trial = self.trial
        if isinstance(trial, TrainOptions):
            trial = trial.replaced(**Space(trial.model, self.fixed, self.range).constants)
        trial.check_use([*self.training, *self.fix])

    def arguments(self, *, without: Collection[str] = ()) -> list[str]:
        # What is given is fixed, even where it is the default.
        words = training_words(self.model, self.training, without)
        return super().arguments(without=without) + words


def parse_training(
    parser: OneLineParser, model: str | None, arguments: list[str]
) -> dict[str, Any]:
    """What the rest of a command line says about training, dict of name -> value."""
    if model:
        training = TrainOptions.parser_of(model)
        training.prog = parser.prog
    else:
        training = FitOptions.parser(parser.prog, "")
    return vars(training.parse_args(arguments))


def training_words(
    model: str | None, values: dict[str, Any], without: Collection[str] = ()
) -> list[str]:
    """The command line that `parse_training` reads as these values."""
    words = []
    for name, value in values.items():
        if value is not None and name not in without:
            spec = TrainOptions.spec_of(model, name) if model else FitOptions.specs()[name]
            words += words_of(name, spec, value)
    return words
