"""What is searched: a network of the zoo, or any function that builds a Keras model."""

import importlib
import pathlib
import sys

import keras
import keras_tuner
from keras_tuner.engine import hyperparameters as hp_types

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.search.fit import Infeasible, infeasible
from spectral_keras.experiments.search.options import as_train_options
from spectral_keras.experiments.search.spaces import Choice, Range, Space, narrowed
from spectral_keras.experiments.train import command as _train


def _built(function, *arguments):
    """What `function` returns; `Infeasible` for values that it refuses and for lack of memory."""
    try:
        return function(*arguments)
    except (ValueError, keras_tuner.errors.FailedTrialError) as error:
        raise Infeasible(error) from error
    except Exception as error:
        reason = infeasible(error)
        if reason is None:
            raise
        raise reason from error


class ZooProblem:
    """A network of the zoo, built and compiled as its training command does it.

    Args:
        options: all options of the training command, resolved.
        fixed: the options among them that are not searched because the user gave them.
        ranges: see `Space`.
    """

    def __init__(self, name, options, fixed, ranges):
        self.name = name
        self.space = Space(name, fixed, ranges)
        self.options = options | self.space.constants
        self.fixed_hyperparameters = None

    def declare(self, hp):
        """Name every hyper-parameter once."""
        self.space(hp)

    def point(self, hp):
        """The searched options of a point."""
        options = self.space(hp)
        return {name: options[name] for name in self.space.entries}

    def axes(self):
        return self.space.axes()

    def build(self, hp, data, steps_per_epoch):
        options = {**self.options, **self.space(hp)}
        options = as_train_options(self.name, options)
        return _built(_train.build_model, options, data, steps_per_epoch)


class BuildProblem:
    """Any function `build(hp)` that returns a compiled Keras model.

    Args:
        build: the function.
        fixed: hyper-parameters to fix, dict of name -> text.
        ranges: other ends or choices, dict of name -> list of texts.
    """

    def __init__(self, build, fixed=None, ranges=None):
        self.function = build
        self.name = getattr(build, "__name__", type(build).__name__)
        self.fixed_hyperparameters = None
        found = keras_tuner.HyperParameters()
        self.declare(found)
        if not found.space:
            raise CommandError(f"{self.name}(hp) asks for no hyper-parameter: nothing to search")
        known = {hp.name: hp for hp in found.space}
        replaced = [_fixed(known, name, text, self.name) for name, text in (fixed or {}).items()]
        replaced += [_range(known, name, ends, self.name) for name, ends in (ranges or {}).items()]
        if replaced:
            self.fixed_hyperparameters = keras_tuner.HyperParameters()
            self.fixed_hyperparameters.merge(replaced)
        left = {hp.name: hp for hp in [*found.space, *replaced]}.values()
        self.searched = [hp for hp in left if not isinstance(hp, hp_types.Fixed)]
        if not self.searched:
            raise CommandError(f"every hyper-parameter of {self.name}(hp) is fixed")

    def declare(self, hp):
        try:
            _built(self.function, hp)
        except Infeasible:
            pass  # the default values are a point like any other; it named its hyper-parameters
        finally:
            keras.backend.clear_session()

    def point(self, hp):
        return dict(hp.values)

    def axes(self):
        return [{"name": hp.name, **_entry(hp).axis()} for hp in self.searched]

    def build(self, hp, data, steps_per_epoch):
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


def _known(known, option, name, builder):
    if name not in known:
        raise CommandError(f"{option} {name}: {builder}(hp) asks for {', '.join(known)}")
    return known[name]


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


def _fixed(known, name, text, builder):
    hp = _known(known, "--fix", name, builder)
    value = _value("--fix", hp, text)
    if isinstance(hp, hp_types.Choice) and value not in hp.values:
        raise CommandError(f"--fix {name}: expected one of {hp.values}, received {text!r}")
    return hp_types.Fixed(name, value, conditions=hp.conditions)


def _range(known, name, texts, builder):
    hp = _known(known, "--range", name, builder)
    if isinstance(hp, (hp_types.Boolean, hp_types.Fixed)):
        raise CommandError(f"--range {name}: it has no range; use --fix {name}=VALUE")
    entry = narrowed(name, _entry(hp), [_value("--range", hp, text) for text in texts])
    config = hp.get_config()
    if isinstance(entry, Choice):
        config |= {"values": list(entry.values), "default": None}
    else:
        config |= {"min_value": entry.low, "max_value": entry.high, "default": None}
    return type(hp).from_config(config)


def load_builder(text):
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


def load_stored_builder(text, folder):
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
