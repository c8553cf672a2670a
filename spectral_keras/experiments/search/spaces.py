"""Search spaces of the zoo: which options of the training command are searched, and where."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from spectral_keras.experiments.command import CommandError
from spectral_keras.models import registry

__all__ = ["CONSTANTS", "SPACES", "Choice", "Range", "Space", "narrow", "position"]


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low, high: the ends.
        scale: how they are sampled: "linear", "log", or "log_complement": log of 1 - x, for
            quantities such as a momentum whose distance from one matters.
        integer: whole numbers only.
    """

    low: float
    high: float
    scale: str = "linear"
    integer: bool = False

    def sample(self, hp: Any, name: str) -> float:
        if self.integer:
            return hp.Int(name, self.low, self.high)
        if self.scale == "log_complement":
            # Keras Tuner's own "reverse_log" is the log of low + high - x, which is another thing.
            low, high = 1 - self.high, 1 - self.low
            # The rounding takes 1 - (1 - 0.99) back to 0.99.
            return round(1 - hp.Float(f"one_minus_{name}", low, high, sampling="log"), 12)
        return hp.Float(name, self.low, self.high, sampling=self.scale)

    def axis(self) -> dict[str, Any]:
        kind = "integer" if self.integer else "number"
        return {"kind": kind, "low": self.low, "high": self.high, "scale": self.scale}


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple

    def sample(self, hp: Any, name: str) -> Any:
        return hp.Choice(name, list(self.values))

    def axis(self) -> dict[str, Any]:
        return {"kind": "choice", "values": list(self.values)}


_ADAM = {"learning_rate": Range(1e-4, 1e-2, "log"), "weight_decay": Range(1e-5, 1e-2, "log")}
_KERNEL = {"kernel_size": Choice((3, 5))}
_POOLING = {"pooling": Choice(("max", "spectral"))}
_DROPOUT = {"dropout_rate": Range(0.0, 0.5)}

# The backbones, which SGD trains.
_SGD = {
    "learning_rate": Range(1e-3, 3e-1, "log"),
    "momentum": Range(1 - 0.1**0.5, 1 - 0.1**2, "log_complement"),
    "weight_decay": Range(1e-6, 1e-3, "log"),
}
_VGG = _SGD | {"learning_rate": Range(1e-3, 1e-1, "log"), "weight_decay": Range(1e-5, 1e-2, "log")}
_STRIDES = {"pooling": Choice(("strided", "spectral"))}

# Options of the training command -> where they are searched.
SPACES: dict[str, dict[str, Any]] = {
    "generic_cnn": _ADAM | _KERNEL | _POOLING | _DROPOUT,
    "deep_spectral": _ADAM | _KERNEL | _POOLING | _DROPOUT,
    # The ranges of Rippel et al. (2015), section 5.2.
    "spectral_pool_cnn": {
        "gamma": Range(0.25, 0.85),
        "num_pairs": Range(1, 15, integer=True),
        "alpha": Range(0.0, 0.8),
        "beta": Range(0.0, 0.8),
        "learning_rate": Range(1e-4, 1e-1, "log"),
        "momentum": Range(1 - 0.1**0.5, 1 - 0.1**2, "log_complement"),
        "weight_decay": Range(1e-5, 1e-2, "log"),
    },
    "fourier_cnn": _ADAM | {"kernel_size": Choice((3, 5, 7)), "pool_scale": Range(0.4, 0.75)},
    "quick_spectral": _SGD | {"pooling": Choice(("max", "max_spectral", "spectral"))},
    "resnet18": _SGD | _STRIDES,
    "resnext29": _SGD | _STRIDES,
    "googlenet": _SGD | _POOLING,
    "efficientnet_b0": _SGD | _STRIDES | _DROPOUT | {"drop_connect": Range(0.0, 0.5)},
    "mobilenet_v2": _SGD | _STRIDES,
    "vgg11_bn": _ADAM | _POOLING | _DROPOUT,
    "vgg16": _VGG | _POOLING | _DROPOUT,
    "vgg16_bn": _VGG | _POOLING | _DROPOUT,
}

# What else a space sets: the paper's optimizer.
CONSTANTS: dict[str, dict[str, Any]] = {"spectral_pool_cnn": {"optimizer": "sgd"}}


class Space:
    """A search space `space(hp) -> dict` of options of the training command.

    Args:
        name: a network of the zoo.
        fixed: options that are not searched, dict of option -> value.
        ranges: other ends for some of the searched options, dict of option -> (low, high), or of
            option -> values where the space has a choice.

    Raises:
        CommandError: for an option that the space does not have, or ends that are no range.

    Example:

    >>> import keras_tuner
    >>> from spectral_keras.experiments.search.spaces import Space
    >>> space = Space("spectral_pool_cnn", {"gamma": 0.85}, {"num_pairs": (2, 8)})
    >>> options = space(keras_tuner.HyperParameters())
    >>> options["num_pairs"], options["learning_rate"], "gamma" in options
    (2, 0.0001, False)
    """

    def __init__(
        self, name: str, fixed: dict[str, Any] | None = None, ranges: dict[str, list] | None = None
    ):
        fixed, ranges = dict(fixed or {}), dict(ranges or {})
        self.name = name
        self.constants = {k: v for k, v in CONSTANTS.get(name, {}).items() if k not in fixed}
        entries = dict(SPACES[name])
        own = {"optimizer": registry.recipe(name).optimizer}
        if (own | self.constants | fixed)["optimizer"] != "sgd":
            entries.pop("momentum", None)  # the other optimizers take none
        for option, ends in ranges.items():
            if option not in entries:
                raise CommandError(
                    f"--range {option}: the search space of {name} has {', '.join(entries)}"
                )
            if option in fixed:
                raise CommandError(f"--range {option}: {option} is fixed to {fixed[option]}")
            entries[option] = narrow(option, entries[option], ends)
        self.entries = {k: entry for k, entry in entries.items() if k not in fixed}
        if not self.entries:
            raise CommandError(f"every option of the search space of {name} is fixed")

    def __call__(self, hp):
        sampled = {name: entry.sample(hp, name) for name, entry in self.entries.items()}
        return self.constants | sampled

    def axes(self) -> list[dict[str, Any]]:
        """The searched options as JSON: name, kind, and ends and scale or values."""
        return [{"name": name, **entry.axis()} for name, entry in self.entries.items()]


def narrow(option: str, entry: Range | Choice, ends: Sequence[Any]) -> Range | Choice:
    """The entry of a space with other ends or values."""
    if isinstance(entry, Choice):
        return Choice(tuple(dict.fromkeys(ends)))
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise CommandError(
            f"--range {option}: expected LOW,HIGH with LOW < HIGH, received "
            f"{','.join(map(str, ends))}"
        )
    low, high = ends
    if entry.scale == "log" and low <= 0 or entry.scale == "log_complement" and high >= 1:
        limits = "above 0" if entry.scale == "log" else "below 1"
        raise CommandError(
            f"--range {option}: it is searched on a log scale, so its ends must be {limits}; "
            f"received {low},{high}"
        )
    return dataclasses.replace(entry, low=low, high=high)


def position(axis: dict[str, Any], value: Any) -> float:
    """Where a value stands on an axis of `Space.axes`, from 0 to 1; NaN for what is not on it."""
    if axis["kind"] == "choice":
        count = len(axis["values"])
        return axis["values"].index(value) / (count - 1) if count > 1 else 0.5
    if isinstance(value, str):
        return math.nan
    transforms: dict[str, Callable[[Any], float]] = {
        "linear": float,
        "log": math.log,
        "log_complement": lambda x: -math.log(1 - x),
    }
    transform = transforms[axis["scale"]]
    low, high = transform(axis["low"]), transform(axis["high"])
    return (transform(value) - low) / (high - low) if high > low else 0.5
