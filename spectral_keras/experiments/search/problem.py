"""What is searched: a network of the zoo, or any function that builds a Keras model."""

import importlib
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any, cast

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine import hyperparameters as hp_types

from spectral_keras.data import Dataset
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.search.asked import Asked, sample
from spectral_keras.experiments.search.fit import Infeasible, infeasible
from spectral_keras.experiments.search.options import SearchOptions
from spectral_keras.experiments.search.spaces import Choice, Range, Space, narrow
from spectral_keras.experiments.train import command as _train
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.experiments.train.start import UnfitError
from spectral_keras.memory import clear_session

__all__ = ["BuildProblem", "ZooProblem", "load_builder", "load_stored_builder"]

# Evaluations of a function in which a hyper-parameter that the user named has to occur.
_LOOKS = 20


def _built(function, *arguments):
    """What `function` returns; `Infeasible` for values that it refuses and for lack of memory.

    Also where weights to start from or layers to freeze are those of other points.
    """
    try:
        return function(*arguments)
    except (ValueError, UnfitError, keras_tuner.errors.FailedTrialError) as error:
        raise Infeasible(error) from error
    except Exception as error:
        reason = infeasible(error)
        if reason is None:
            raise
        raise reason from error


class ZooProblem:
    """A network of the zoo, built and compiled as its training command does it.

    Args:
        options: `SearchOptions`.

    Attributes:
        trial: `TrainOptions` of all trials; the values of a point replace some of them.
        space: `keras_tuner.HyperParameters` of a point.
    """

    def __init__(self, options: SearchOptions):
        self.name = str(options.model)
        self.options_space = Space(self.name, options.fixed, options.range)
        self.trial = cast(TrainOptions, options.trial).replaced(**self.options_space.constants)
        self.space = self.ask()

    def ask(self, values: dict[str, Any] | None = None, draw: Callable | None = None) -> Asked:
        """The `Asked` of a point."""
        hp = Asked(values, draw)
        self.options_space(hp)
        return hp

    def define(self, hp: Any) -> Any:
        return hp

    def point(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """The searched options of a point."""
        options = self.options_space(hp)
        return {name: options[name] for name in self.options_space.entries}

    def axes(self, space: keras_tuner.HyperParameters | None = None) -> list[dict[str, Any]]:
        return self.options_space.axes()

    def build(
        self, hp: keras_tuner.HyperParameters, data: Dataset, steps_per_epoch: int
    ) -> keras.Model:
        options = self.trial.replaced(**self.options_space(hp))
        return _built(_train.build_model, options, data, steps_per_epoch)


class BuildProblem:
    """Any function `build(hp)` that returns a compiled Keras model.

    Args:
        build: the function.
        fixed: hyper-parameters to fix, dict of name -> text.
        ranges: other ends or choices, dict of name -> list of texts.

    Attributes:
        space: `keras_tuner.HyperParameters` that the function asks for at its default values, and
            those that are fixed or have another range, which come first.
    """

    def __init__(
        self,
        build: Callable[[Any], keras.Model],
        fixed: dict[str, str] | None = None,
        ranges: dict[str, list[str]] | None = None,
    ):
        self.function = build
        self.name = getattr(build, "__name__", type(build).__name__)
        self._fixed, self._ranges = dict(fixed or {}), dict(ranges or {})
        self._first = self._evaluate(Asked(define=self.define)).space
        if not self._first:
            raise CommandError(f"{self.name}(hp) asks for no hyper-parameter: nothing to search")
        found = self._find([*self._fixed, *self._ranges])
        self.space = keras_tuner.HyperParameters()
        self.space.merge(found)
        self.space.merge(self._first, overwrite=False)
        if not self.axes():
            raise CommandError(f"every hyper-parameter of {self.name}(hp) is fixed")

    def _find(self, names):
        """The hyper-parameters of these names, as `define` has them.

        A branch may ask for them: the function is evaluated at some random points too.
        """
        found, rng = keras_tuner.HyperParameters(), np.random.default_rng(0)
        found.merge(self._first)
        for _ in range(_LOOKS):
            known = dict.fromkeys(hp.name for hp in found.space)
            if known.keys() >= set(names):
                return [hp for name in names for hp in found.space if hp.name == name]
            asked = self.ask(draw=lambda hp: sample(hp, rng))
            found.merge(asked.space, overwrite=False)
        name = next(name for name in names if name not in known)
        option = "--fix" if name in self._fixed else "--range"
        raise CommandError(f"{option} {name}: {self.name}(hp) asks for {', '.join(known)}")

    def ask(self, values: dict[str, Any] | None = None, draw: Callable | None = None) -> Asked:
        """The `Asked` of a point: what the function asks for there, until it refuses the values."""
        hp = Asked(values, draw, self.define)
        try:
            return self._evaluate(hp)
        except CommandError:
            raise
        except Exception:
            return hp  # the trial of this point meets the error too, and it ends the search there

    def _evaluate(self, hp):
        try:
            _built(self.function, hp)
        except Infeasible:
            pass  # a point like any other; it named its hyper-parameters
        finally:
            clear_session(free_memory=False)  # names and seeds; collecting takes long
        return hp

    def define(self, hp: Any) -> Any:
        """A hyper-parameter as it is searched: fixed, in another range, or the function's own."""
        if hp.name in self._fixed:
            return _fixed(hp, self._fixed[hp.name])
        return _range(hp, self._ranges[hp.name]) if hp.name in self._ranges else hp

    def point(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        return dict(hp.values)

    def axes(self, space: keras_tuner.HyperParameters | None = None) -> list[dict[str, Any]]:
        """The searched hyper-parameters of a space as JSON; those of the start by default."""
        entries: dict[str, list[Range | Choice]] = {}
        for hp in [*self._first, *(space or self.space).space]:
            if not isinstance(hp, hp_types.Fixed):
                entries.setdefault(hp.name, []).append(_entry(hp))
        return [{"name": name, **_union(found).axis()} for name, found in entries.items()]

    def build(
        self, hp: keras_tuner.HyperParameters, data: Dataset, steps_per_epoch: int
    ) -> keras.Model:
        model = _built(self.function, hp)
        if not isinstance(model, keras.Model) or not model.compiled:
            raise CommandError(
                f"{self.name}(hp) must return a compiled keras.Model, it returned {model!r}"
            )
        return model


def _entry(hp):
    """The entry of a search space for a hyper-parameter of Keras Tuner."""
    if isinstance(hp, (hp_types.Int, hp_types.Float)):
        # "reverse_log" has no axis of its own.
        scale = "log" if hp.sampling == "log" else "linear"
        return Range(hp.min_value, hp.max_value, scale, isinstance(hp, hp_types.Int))
    return Choice((False, True) if isinstance(hp, hp_types.Boolean) else tuple(hp.values))


def _union(entries):
    """One entry for a hyper-parameter that has others in other conditional scopes."""
    if all(isinstance(entry, Choice) for entry in entries):
        return Choice(tuple(dict.fromkeys(value for entry in entries for value in entry.values)))
    ranges = [entry for entry in entries if isinstance(entry, Range)]
    return Range(
        min(entry.low for entry in ranges),
        max(entry.high for entry in ranges),
        ranges[0].scale if len({entry.scale for entry in ranges}) == 1 else "linear",
        all(entry.integer for entry in ranges),
    )


def _value(option, hp, text):
    """The value that a text stands for, of the type of a hyper-parameter."""
    kind = type(hp.default)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        raise CommandError(
            f"{option} {hp.name}: expected a value like {hp.default!r}, received {text!r}"
        ) from None


def _fixed(hp, text):
    value = _value("--fix", hp, text)
    if isinstance(hp, hp_types.Choice) and value not in hp.values:
        raise CommandError(f"--fix {hp.name}: expected one of {hp.values}, received {text!r}")
    return hp_types.Fixed(hp.name, value, conditions=hp.conditions)


def _range(hp, texts):
    if isinstance(hp, (hp_types.Boolean, hp_types.Fixed)):
        raise CommandError(f"--range {hp.name}: it has no range; use --fix {hp.name}=VALUE")
    entry = narrow(hp.name, _entry(hp), [_value("--range", hp, text) for text in texts])
    config = hp.get_config()
    if isinstance(entry, Choice):
        config |= {"values": list(entry.values), "default": None}
    else:
        config |= {"min_value": entry.low, "max_value": entry.high, "default": None}
    return type(hp).from_config(config)


def load_builder(text: str) -> Callable[[Any], keras.Model]:
    """The function that `package.module:function` names.

    Raises:
        CommandError: if there is none.
    """
    module, _, attribute = text.partition(":")
    if not module or not attribute:
        raise CommandError(f"--build: expected package.module:function, received {text!r}")
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise CommandError(f"--build {text}: {module} is part of Python and builds no model")
    try:
        found = importlib.import_module(module)
    except (ImportError, TypeError, ValueError) as error:
        raise CommandError(f"--build {text}: {error}") from None
    function = getattr(found, attribute, None)
    if not callable(function):
        raise CommandError(f"--build {text}: {module} has no function {attribute}")
    return function


def load_stored_builder(text: Any, folder: str | os.PathLike) -> Callable[[Any], keras.Model]:
    """`load_builder` for the name in a search folder, which may come from somebody else.

    Raises:
        CommandError: also for a module inside the folder: nothing that came with it is executed.
    """
    if not isinstance(text, str):
        raise CommandError(f"{folder}: config.json is damaged: no function {text!r}")
    folder, parts = pathlib.Path(folder).resolve(), text.partition(":")[0].split(".")
    for place in sys.path:
        for count in range(1, len(parts) + 1):
            below = pathlib.Path(place or ".", *parts[:count]).resolve()
            if below.is_relative_to(folder):
                raise CommandError(
                    f"{folder}: the function {text!r} is a file of the search folder, and is not "
                    "run for safety: move it out, or search again with --build"
                )
    return load_builder(text)
