"""Options of a command as the fields of one dataclass.

A field made by `option` carries what the command line needs: help, kind of value, range, group,
whether it may change at `--resume`.  From it come the parser, the checks (the same for values from
Python and from the command line), the comparison with a run that is continued, and the command line
that a run records.
"""

import abc
import argparse
import dataclasses
import difflib
import fractions
import math
import os
import sys
from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar, Self, cast

from spectral_keras.experiments.command import CommandError, OneLineParser, program
from spectral_keras.ops.validation import describe, is_array

__all__ = [
    "SEEDS",
    "CommandOptions",
    "Kind",
    "Options",
    "Spec",
    "add_option",
    "boolean",
    "data_dir_option",
    "dataset_option",
    "flag",
    "fraction",
    "image_size_option",
    "number",
    "one_of",
    "option",
    "path",
    "plain",
    "several",
    "to_text",
    "true_false_auto",
    "words_of",
]

SEEDS = 2**32  # NumPy's global generator takes no others
# No count of this project (images, epochs, pixels, units, steps) is larger.
_LARGEST_COUNT = 2**31 - 1
# Beyond these a float32 is zero or infinite.
_LARGEST_FLOAT, _SMALLEST_FLOAT = 1e30, 1e-30


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a field says of its option.

    Attributes:
        help: one sentence; the default is added.
        kind: function from text to a value, `argparse.ArgumentTypeError` for a bad one; "flag" for
            an option without a value, "switch" for --name and --no-name.
        group: heading in --help.
        choices: the allowed values.
        metavar: name of the value in --help.
        nargs: as argparse has it.
        repeat: given once for each pair of a dict, as --name KEY=VALUE.
        free: may differ between a run and its continuation.
        single: of one training and its folder, not of the trials of a search.
        place: says where files are, or which ones to write, and changes nothing of a result.
        special: shown by --help-all only.
        positional: given without a name.
        default: text of the default in --help, None for the field's own.
        formerly: the option's name in earlier versions; who gives it reads the new one.
    """

    help: str = ""
    kind: Callable | str | None = None
    group: str = "options"
    choices: tuple | None = None
    metavar: str | tuple | None = None
    nargs: str | int | None = None
    repeat: bool = False
    free: bool = False
    single: bool = False
    place: bool = False
    special: bool = False
    positional: bool = False
    default: str | None = None
    formerly: str | None = None


def option(default: Any, help: str, **spec: Any) -> Any:
    """A dataclass field that is an option; further arguments are those of `Spec`.

    A default of `dataclasses.MISSING` stands for an option that has to be given.
    """
    shown = spec.pop("shown", None)
    metadata = {"option": Spec(help=help, default=shown, **spec)}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def dataset_option(default: str | None, **spec: Any) -> Any:
    """`--dataset`, as all commands have it."""
    text = (
        "digits (embedded), cifar10, cifar100, any TFDS image classification set, an .npz file or "
        "a folder of class folders"
    )
    return option(default, text, **spec)


def data_dir_option(**spec: Any) -> Any:
    """`--data-dir`, which is the same for all commands."""
    text = "folder of TFDS data sets, .npz files or images"
    return option(None, text, kind=path, shown="TFDS' own", free=True, place=True, **spec)


def image_size_option(**spec: Any) -> Any:
    """`--image-size`, which is the same for all commands."""
    sides = number(int, 4, high=4096, high_open=False)
    return option(None, "resize images to this many pixels a side", kind=sides, **spec)


@dataclasses.dataclass
class Options:
    """Base of the options of a command; subclasses are dataclasses of `option` fields.

    Attributes:
        needs: option -> (what it changes nothing without, as text; whether these options have it).
            Given on a command line without it, it is an error.

    Raises:
        CommandError: naming the option, what was expected and what was received.
    """

    needs: ClassVar[dict[str, tuple[str, Callable[[Any], bool]]]] = {}

    def __post_init__(self) -> None:
        for name, spec in self.specs().items():
            value = getattr(self, name)
            if value is None:
                continue
            values = list(value) if isinstance(value, (list, tuple)) else [value]
            if spec.nargs in ("+", "*"):
                # Words of a command line are lists themselves where they may have commas.
                values = [one for v in values for one in (v if isinstance(v, list) else [v])]
                setattr(self, name, values)
            for one in values:
                self.check_value(name, spec, one)
            if isinstance(value, int) and getattr(spec.kind, "real", False):
                # As the command line gives it, so that both are written alike.
                setattr(self, name, float(value))
        if getattr(self, "resume", False) and getattr(self, "overwrite", False):
            raise CommandError("--resume and --overwrite exclude each other")

    @classmethod
    def check_value(cls, name: str, spec: Spec, value: Any) -> None:
        """Refuse a ready value that the option does not take."""
        if is_array(value):  # it would be compared entry by entry, and printed
            raise cls.error(name, f"expected a single value, received {describe(value)}")
        if spec.choices is not None and value not in spec.choices:
            known = ", ".join(map(str, spec.choices))
            raise cls.error(name, f"expected one of {known}, received {value!r}")
        if spec.kind is None and not isinstance(value, (str, os.PathLike)):
            raise cls.error(name, f"expected a text, received {value!r}")
        kind = boolean if spec.kind in ("flag", "switch") else spec.kind
        try:
            getattr(kind, "check", lambda value: None)(value)
        except argparse.ArgumentTypeError as error:
            raise cls.error(name, str(error)) from None

    @classmethod
    def read_value(cls, name: str, spec: Spec, text: str) -> Any:
        """The value that a text stands for, as on the command line."""
        kind = spec.kind if callable(spec.kind) else boolean if spec.kind else str
        try:
            value = kind(text)
        except argparse.ArgumentTypeError as error:
            raise cls.error(name, str(error)) from None
        cls.check_value(name, spec, value)
        return value

    @classmethod
    def specs(cls) -> dict[str, Spec]:
        """The options by the names of their fields."""
        return {
            field.name: field.metadata["option"]
            for field in dataclasses.fields(cls)
            if "option" in field.metadata
        }

    @classmethod
    def error(cls, name: str, text: str) -> CommandError:
        """The error of an option, by its name on the command line."""
        spec = cls.specs().get(name)
        if spec is not None and spec.positional:
            return CommandError(f"argument {spec.metavar or name}: {text}")
        return CommandError(f"argument {flag(name)}: {text}")

    @classmethod
    def parser(
        cls,
        prog: str,
        description: str,
        epilog: str = "",
        *,
        defaults: dict[str, Any] | None = None,
        everything: bool = False,
        before: Callable | None = None,
    ) -> OneLineParser:
        """The parser of the command; values that are not given are not in its namespace.

        Args:
            prog, description, epilog: of the help.
            defaults: other defaults that the help shows.
            everything: whether --help shows the special options too.
            before: called with the parser first, to add what is no field.
        """
        parser = OneLineParser(
            prog=prog,
            usage=f"{prog} "
            + "".join(f"{s.metavar or n} " for n, s in cls.specs().items() if s.positional)
            + "".join(
                f"{flag(n)} {s.metavar} "
                for n, s in cls.specs().items()
                if cls.default_of(n) is dataclasses.MISSING and not s.positional
            )
            + "[--option VALUE ...]",
            description=description,
            epilog=epilog,
            argument_default=argparse.SUPPRESS,
            formatter_class=_HelpFormatter,
        )
        if before is not None:
            before(parser)
        groups: dict[str, Any] = {"options": parser}  # argparse has a group of that name
        specs = cls.specs()
        hidden = {spec.group for spec in specs.values() if spec.special}
        values = {name: cls.default_of(name) for name in specs} | (defaults or {})
        parser.renamed = {flag(s.formerly): flag(n) for n, s in specs.items() if s.formerly}
        for name, spec in specs.items():
            if spec.positional:
                parser.add_argument(
                    name,
                    metavar=spec.metavar,
                    help=spec.help,
                    nargs=spec.nargs,
                    type=cast(Any, spec.kind),
                )
                continue
            if spec.group not in groups:
                groups[spec.group] = parser.add_argument_group(spec.group)
            add_option(groups[spec.group], name, spec, values[name], everything or not spec.special)
        if hidden:
            parser.add_argument(
                "--help-all",
                action=_HelpAll,
                help="also the options of " + ", ".join(sorted(hidden)),
                make=lambda: cls.parser(
                    prog, description, epilog, defaults=defaults, everything=True, before=before
                ),
            )
        return parser

    @classmethod
    def parse(
        cls,
        argv: list[str] | None,
        parser: OneLineParser,
        make: Callable[[dict[str, Any]], Self] | None = None,
    ) -> Self:
        """The options of a command line; a bad one ends the program with one line and status 2.

        Args:
            argv: the arguments, None for those of the process.
            parser: of `parser`.
            make: function of what is given that returns the options; None for the class.
        """
        given = vars(parser.parse_args(argv))
        try:
            options = cls(**given) if make is None else make(given)
            options.check_use(given)
            return options
        except CommandError as error:
            parser.error(str(error))

    def check_use(self, given: Iterable[str]) -> None:
        """Refuse options that were given and change nothing beside the others."""
        for name in given:
            if not self._has_use(name):
                raise self.error(name, f"it needs {self.needs[name][0]}")

    def _has_use(self, name: str) -> bool:
        return name not in self.needs or self.needs[name][1](self)

    def to_json(self) -> dict[str, Any]:
        """The options as config.json has them, JSON-plain."""
        return {name: plain(getattr(self, name)) for name in self.specs()}

    @classmethod
    def free(cls) -> set[str]:
        """Names of what may differ between a run and its continuation."""
        return {name for name, spec in cls.specs().items() if spec.free}

    @classmethod
    def places(cls) -> set[str]:
        """Names of what changes nothing of a result."""
        return {name for name, spec in cls.specs().items() if spec.place}

    def settled(self) -> dict[str, Any]:
        """`to_json` without what may differ: what the results depend on."""
        free = self.free()
        return {name: value for name, value in self.to_json().items() if name not in free}

    def arguments(self, *, without: Collection[str] = ()) -> list[str]:
        """The command line that gives these options: what differs from the defaults."""
        words: list[str] = []
        for field in dataclasses.fields(self):
            spec, value = field.metadata.get("option"), getattr(self, field.name)
            if spec is None or field.name in without or not self._has_use(field.name):
                continue
            if spec.positional:
                words.insert(0, str(value))
            elif value != self.default(field.name):
                words += words_of(field.name, spec, value)
        return words

    def recorded(self, *, without: Collection[str] = ()) -> list[str]:
        """`arguments` as results have them: repeated, they neither continue nor delete anything."""
        return self.arguments(without={"resume", "overwrite", *without})

    def default(self, name: str) -> Any:
        """The value that an option has when it is not given."""
        return self.default_of(name)

    @classmethod
    def default_of(cls, name: str) -> Any:
        """The default of a field; `dataclasses.MISSING` where it has none."""
        field = next(f for f in dataclasses.fields(cls) if f.name == name)
        made = field.default_factory
        return field.default if made is dataclasses.MISSING else made()


@dataclasses.dataclass
class CommandOptions(Options):
    """Base of the options of a command that is started in one way.

    Attributes:
        command: as `python -m COMMAND` has it.
        description, epilog: of its help.
    """

    command: ClassVar[str]
    description: ClassVar[str]
    epilog: ClassVar[str]

    @classmethod
    def of_command(cls, argv: list[str] | None = None) -> Self:
        """The options of a command line; a bad one ends the program with one line and status 2."""
        return cls.parse(argv, cls.parser(program(cls.command), cls.description, cls.epilog))


def flag(name: str) -> str:
    """The option's name on the command line."""
    return f"--{name.replace('_', '-')}"


def add_option(group: Any, name: str, spec: Spec, default: Any, shown: bool = True) -> None:
    """Add one option to a parser or a group of it."""
    text = spec.help
    value = _show(default) or spec.default
    if value and spec.kind != "flag" and "default" not in text:
        text = f"{text} (default {value})" if text else f"default {value}"
    arguments: dict[str, Any] = {"help": text if shown else argparse.SUPPRESS}
    if spec.kind == "flag":
        arguments["action"] = "store_true"
    elif spec.kind == "switch":
        arguments["action"] = argparse.BooleanOptionalAction
    elif spec.repeat:
        arguments |= {"type": spec.kind, "metavar": spec.metavar, "action": _Pairs}
    else:
        arguments |= {"type": spec.kind, "choices": spec.choices, "nargs": spec.nargs}
        if default is dataclasses.MISSING:
            arguments["required"] = True
        # The values' own names say more than the option's once again.
        metavar = spec.metavar or (None if spec.choices else getattr(spec.kind, "metavar", None))
        arguments["metavar"] = metavar or ("|".join(map(str, spec.choices or ())) or "NAME")
    group.add_argument(flag(name), **arguments)


def _show(value):
    if value is None or value is dataclasses.MISSING or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def plain(value: Any) -> Any:
    """The value of an option as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def words_of(name: str, spec: Spec, value: Any) -> list[str]:
    """The words of a command line that give an option its value."""
    if spec.kind == "flag":
        return [flag(name)] if value else []
    if spec.kind == "switch":
        return [flag(name) if value else f"--no-{name.replace('_', '-')}"]
    if spec.nargs:
        return [flag(name), *map(str, value)]
    if spec.repeat:
        texts = [f"{key}={to_text(one)}" for key, one in value.items()]
        return [word for text in texts for word in (flag(name), text)]
    return [flag(name), to_text(value)]


def to_text(value: Any) -> str:
    """A value as it is given on the command line."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(to_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Pairs(argparse.Action):
    """Collects the pairs of an option that is repeated, each key once."""

    def __call__(self, parser, namespace, pair, option_string=None):
        pairs = getattr(namespace, self.dest, {})
        if pair[0] in pairs:
            parser.error(f"{option_string} {pair[0]} is given more than once")
        setattr(namespace, self.dest, pairs | dict([pair]))


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """One line an option where it fits, whatever the terminal."""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=30, width=100)


class _HelpAll(argparse.Action):
    def __init__(self, option_strings, dest, make=None, **others):
        super().__init__(option_strings, dest, nargs=0, **others)
        self.make = make

    def __call__(self, *_):
        self.make().print_help()
        sys.exit(0)


class Kind(abc.ABC):
    """A kind of value: called with a text it returns the value; `check` is for ready values."""

    metavar = "X"

    def read(self, text: str) -> Any:
        """The value of a text, which `check` has not seen yet."""
        return text

    @abc.abstractmethod
    def check(self, value: Any) -> None:
        """An `argparse.ArgumentTypeError` for a value that is not of the kind."""

    def __call__(self, text):
        value = self.read(text)
        try:
            self.check(value)
        except argparse.ArgumentTypeError as error:
            received = f"received {value!r}"
            raise argparse.ArgumentTypeError(
                str(error).replace(received, f"received {text!r}")
            ) from None
        return value


class number(Kind):  # noqa: N801 (used as a function)
    """A kind of option: a finite number, at least (or above) `low` and at most (or below) `high`.

    Args:
        kind: int or float.
        low, high: the ends; by default what no machine could do.
        low_open, high_open: whether an end is outside.
    """

    def __init__(
        self,
        kind: Any,
        low: float | None = None,
        low_open: bool = False,
        high: float | None = None,
        high_open: bool = True,
    ):
        self.kind, self.low, self.low_open = kind, low, low_open
        self.high, self.high_open = high, high_open
        self.metavar, self.real = ("N" if kind is int else "X"), kind is float

    def read(self, text: str) -> Any:
        try:
            return self.kind(text)
        except ValueError:
            word = "an integer" if self.kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {word}, received {text!r}") from None

    def check(self, value: Any) -> None:
        kinds = (int,) if self.kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            word = "an integer" if self.kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {word}, received {value!r}")
        if self.kind is float and not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"expected a finite number, received {value!r}")
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            sign = ">" if self.low_open else ">="
            raise argparse.ArgumentTypeError(
                f"expected a value {sign} {self.low}, received {value!r}"
            )
        if self.kind is float and 0 < abs(value) < _SMALLEST_FLOAT:
            zero = "" if self.low_open and self.low == 0 else "0 or "
            raise argparse.ArgumentTypeError(
                f"expected {zero}a value >= {_SMALLEST_FLOAT:g}, received {value!r}"
            )
        high, is_open = self.high, self.high_open
        if high is None:
            high, is_open = (_LARGEST_COUNT if self.kind is int else _LARGEST_FLOAT), False
        if value > high or (is_open and value == high):
            sign, end = "<" if is_open else "<=", high if isinstance(high, int) else f"{high:g}"
            raise argparse.ArgumentTypeError(f"expected a value {sign} {end}, received {value!r}")


class fraction(Kind):  # noqa: N801
    """A kind of option: a number such as 0.03 or 8/255, at least (or above) 0, at most `high`."""

    real = True

    def __init__(self, low_open: bool = False, high: float = _LARGEST_FLOAT):
        self.low_open, self.high = low_open, high

    def read(self, text: str) -> float:
        try:
            # An exponent is a power of ten in full: 1e999999999 would be computed for hours.
            if len(text) > 40 or abs(int((text.lower().partition("e")[2] or "0").strip())) > 300:
                raise ValueError
            return float(fractions.Fraction(text.replace(" ", "")))
        except (ValueError, ZeroDivisionError, OverflowError):
            raise argparse.ArgumentTypeError(
                f"expected a number or a fraction such as 8/255, received {text!r}"
            ) from None

    def check(self, value: Any) -> None:
        number(float, 0, self.low_open, self.high, False).check(value)


class one_of(Kind):  # noqa: N801
    """A kind of option: one of some words.

    Args:
        words: the words.
        expected: what the error says is expected, by default all of them.
    """

    metavar = "NAME"

    def __init__(self, words: Any, expected: str | None = None):
        self.words = tuple(words)
        self.expected = expected or f"{', '.join(self.words[:-1])} or {self.words[-1]}"

    def check(self, value: Any) -> None:
        if value not in self.words:
            near = difflib.get_close_matches(str(value), self.words, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise argparse.ArgumentTypeError(f"expected {self.expected}, received {value!r}{hint}")


class several(Kind):  # noqa: N801
    """A kind of option with `nargs`: each word is one value or several with commas between them."""

    def __init__(self, kind: Any):
        self.kind, self.metavar = kind, kind.metavar

    def __call__(self, text):
        return [self.kind(part) for part in text.split(",") if part.strip()] or [self.kind(text)]

    def check(self, value: Any) -> None:
        self.kind.check(value)


class _Boolean(Kind):
    """A truth value, or one of some words."""

    def __init__(self, metavar, expected, *words):
        self.metavar, self.expected, self.words = metavar, expected, words

    def read(self, text):
        known = dict.fromkeys(("true", "yes", "1", "on"), True)
        known |= dict.fromkeys(("false", "no", "0", "off"), False)
        known |= {word: word for word in self.words}
        # Another text is no truth value: `check` says so.
        return known.get(text.lower(), text)

    def check(self, value):
        if not isinstance(value, bool) and value not in self.words:
            raise argparse.ArgumentTypeError(f"expected {self.expected}, received {value!r}")


class _Path(Kind):
    metavar = "PATH"

    def check(self, value):
        # Empty as an unset shell variable would be.
        if not str(value) or "\0" in str(value):
            raise argparse.ArgumentTypeError(f"expected a path, received {value!r}")


boolean = _Boolean("BOOL", "true or false")
true_false_auto = _Boolean("true|false|auto", "true, false or auto", "auto")
path = _Path()
