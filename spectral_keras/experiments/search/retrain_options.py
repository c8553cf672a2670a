"""The options of `python -m tuning.retrain`."""

import dataclasses
import pathlib
from typing import Any, Self

from spectral_keras.experiments.command import CommandError, program
from spectral_keras.experiments.options import Options, number, option, path
from spectral_keras.experiments.search.options import parse_training
from spectral_keras.experiments.search.results import read_results

__all__ = ["RetrainOptions"]


@dataclasses.dataclass
class RetrainOptions(Options):
    """Options of `python -m tuning.retrain`, from a command line or from Python.

    Args:
        search: the search folder.
        training: options that replace those of the trials, dict of name -> value.
        **options: see `python -m tuning.retrain --help`.

    Raises:
        CommandError: for a value that the command line would refuse.
    """

    search: str = option(dataclasses.MISSING, "search folder", positional=True, metavar="FOLDER")
    _: dataclasses.KW_ONLY
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    rank: int = option(1, "the K-th best trial", kind=number(int, 1), metavar="K", group="run")
    output: str | None = option(
        None, "run folder", kind=path, shown="runs/SEARCH-rankK", free=True, group="run"
    )
    resume: bool = option(
        False, "continue where it was interrupted", kind="flag", free=True, group="run"
    )
    overwrite: bool = option(
        False, "delete an earlier run first", kind="flag", free=True, group="run"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output is None:
            self.output = f"runs/{pathlib.Path(self.search).resolve().name}-rank{self.rank}"

    @classmethod
    def of_command(cls, argv: list[str] | None, description: str, epilog: str) -> Self:
        """The options of a command line; a bad one ends the program with one line and status 2."""
        parser = cls.parser(program("tuning.retrain"), description, epilog)
        given, rest = parser.parse_known_args(argv)
        try:
            options = cls(**vars(given))
            model = read_results(options.search)[0].get("model")
        except CommandError as error:
            parser.error(str(error))
        return dataclasses.replace(options, training=parse_training(parser, model, rest))
