"""What an attack does to an image."""

import dataclasses
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.classifiers.arguments import as_array
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_clip,
    check_number,
    check_positive_int,
    describe,
)

__all__ = ["EPS", "LABELS", "LOSSES", "NAMES", "NORMS", "RADII", "STEPS", "Attack"]

NORMS = ("inf", "l2")
LOSSES = ("cross_entropy", "margin", "dlr")

# Name -> number of steps (of queries of "square") where none is given.
STEPS = {"fgsm": 1, "pgd": 10, "apgd": 100, "square": 5000, "strong": 100}
NAMES = tuple(STEPS)
# Queries of the square attack within "strong" for each of its steps: 5000 for 100.
QUERIES = 50

# What an attack leads away from: the true classes, or what the model says of the images.
LABELS = ("given", "predicted")

# Default radii in the units of images in [0, 1]: of one attack, and of accuracies over a range
# (grey levels of 8-bit images for the L-inf ball).
EPS = 8 / 255
RADII = {
    "inf": tuple(k / 255 for k in (0, 1, 2, 4, 8, 16)),
    "l2": (0.0, 0.125, 0.25, 0.5, 1.0),
}


@dataclasses.dataclass(frozen=True)
class Attack:
    """An attack with everything that its result depends on besides model, images and labels.

    The values are checked when it is made and cannot change; `dataclasses.replace` makes another.

    Attributes:
        name: "fgsm" for one step of length `eps`, "pgd", "apgd", "square", or "strong" for the
            worst of several (see the functions of these names).
        eps: radius of the ball in the units of the images: a number or, with norm "inf", an array
            that broadcasts to an image, as one number per channel (kept as nested tuples).
        steps: number of steps, of "square" of calls of the model; None for 1, 10 ("pgd"), 100
            ("apgd", "strong") or 5000 ("square").
        step_size: length of a step, as `eps`; None for `eps` ("fgsm") or 2.5 * eps / steps ("pgd");
            the others choose it themselves.
        norm: "inf" or "l2".
        random_start: whether to start at a uniform sample of the ball (clipped) and not at
            the image; None for False ("fgsm") or True. "square" and "strong" know no other.
        restarts: number of tries, each from another point of the ball.
        targeted: whether to go toward the labels instead of away from them.
        from_logits: None cuts off a softmax at the model's end, and tells logits from
            probabilities by their values where the end is not a layer that it knows (one output
            does not show it).  True: the model gives logits.  False: it gives probabilities.
        loss: "cross_entropy", "margin", the largest other logit minus the label's, or "dlr" (see
            `step.objective`). None for "cross_entropy", "margin" of "square".
        clip: (low, high), the range of valid inputs, or None.
        seed: integer of at least 0 for the random starts.

    Raises:
        ValueError: for a value that does not fit.

    Example:

    >>> from spectral_keras.attacks import Attack
    >>> attack = Attack("pgd", eps=0.1, steps=5)
    >>> attack.step, attack.random_start
    (0.05, True)
    """

    name: str = "pgd"
    eps: ArrayLike = EPS
    _: dataclasses.KW_ONLY
    steps: int | None = None
    step_size: ArrayLike | None = None
    norm: str = "inf"
    random_start: bool | None = None
    restarts: int = 1
    targeted: bool = False
    from_logits: bool | None = None
    loss: str | None = None
    clip: tuple[float, float] | None = (0.0, 1.0)
    seed: int = 0

    def __post_init__(self):
        check_choice("name", self.name, NAMES)
        check_choice("norm", self.norm, NORMS)
        loss = "margin" if self.name == "square" else "cross_entropy"
        self._set("loss", check_choice("loss", loss if self.loss is None else self.loss, LOSSES))
        check_choice("from_logits", self.from_logits, (None, True, False))
        start = self.name != "fgsm" if self.random_start is None else self.random_start
        self._set("random_start", check_bool("random_start", start))
        check_bool("targeted", self.targeted)
        steps = STEPS[self.name] if self.steps is None else self.steps
        self._set("steps", check_positive_int("steps", steps))
        if self.name == "fgsm" and steps != 1:
            raise ValueError(f'`steps` must be 1 for "fgsm". Received: steps={steps}')
        self._check_own()
        self._set("restarts", check_positive_int("restarts", self.restarts))
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"`restarts` must be 1 without a random start. Received: restarts={self.restarts}"
            )
        self._set("seed", check_positive_int("seed", self.seed, minimum=0))
        self._set("clip", check_clip(self.clip))
        self._set("eps", _size("eps", self.eps, self.norm))
        if self.step_size is not None:
            self._set("step_size", _size("step_size", self.step_size, self.norm, low_open=True))

    def _check_own(self):
        """Refuse values that an attack has no use for, rather than leave them out."""
        only = {}
        if self.name in ("apgd", "square", "strong"):
            only["step_size"] = (self.step_size, None)
        if self.name in ("square", "strong"):
            only["random_start"] = (self.random_start, True)
        if self.name == "strong":
            only |= {
                "restarts": (self.restarts, 1),
                "targeted": (self.targeted, False),
                "loss": (self.loss, "cross_entropy"),
            }
        for name, (value, expected) in only.items():
            if value is not expected and (expected is None or value != expected):
                raise ValueError(
                    f'`{name}` must be {expected!r} for "{self.name}". '
                    f"Received: {name}={describe(value)}"
                )

    def members(self, classes: int) -> list["Attack"]:
        """The attacks whose worst "strong" is, in their order, for that number of classes."""
        steps = cast(int, self.steps)
        ratio = "dlr" if classes > 2 else "margin"
        return [
            dataclasses.replace(self, name=name, steps=count, loss=loss)
            for name, count, loss in (
                ("apgd", steps, "cross_entropy"),
                ("apgd", steps, ratio),
                ("square", QUERIES * steps, "margin"),
                ("pgd", steps, "cross_entropy"),
            )
        ]

    def _set(self, name, value):
        object.__setattr__(self, name, value)

    @property
    def step(self) -> Any:
        """Length of a step, a number or a float64 array."""
        if self.step_size is not None:
            return _plain(self.step_size)
        eps = _plain(self.eps)
        return eps if self.name == "fgsm" else 2.5 * eps / self.steps

    @property
    def radius(self) -> Any:
        """`eps` as a number or a float64 array."""
        return _plain(self.eps)

    def check_shape(self, sample_shape: tuple[int | None, ...]) -> None:
        """Raises ValueError if `eps` or `step_size` does not broadcast to a sample."""
        for name in ("eps", "step_size"):
            shape = np.shape(getattr(self, name) if getattr(self, name) is not None else 0)
            # Inside a step of Keras' a size may be unknown.
            pairs = zip(reversed(shape), reversed(sample_shape), strict=False)
            fits = all(size in (1, other) or other is None for size, other in pairs)
            if not fits or len(shape) > len(sample_shape):
                raise ValueError(
                    f"`{name}` must be a number or an array that broadcasts to a sample of shape "
                    f"{tuple(sample_shape)}, for instance one number per channel. Received: {name} "
                    f"of shape {shape}"
                )

    def check_labels(self, y: Any) -> None:
        """Raises ValueError if the attack needs labels and there are none."""
        if self.targeted and y is None:
            raise ValueError("`y` must be the wanted classes where targeted=True. Received: y=None")

    def plain(self) -> dict:
        """All values as a JSON-plain dict."""
        return {
            name: _to_lists(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }


def _plain(value):
    return np.asarray(value, np.float64) if isinstance(value, tuple) else value


def _to_lists(value):
    return [_to_lists(item) for item in value] if isinstance(value, tuple) else value


def _to_tuples(value):
    return tuple(_to_tuples(item) for item in value) if isinstance(value, list) else value


def _size(name, value, norm, low_open=False):
    """A radius or step: a float, or for "inf" nested tuples of floats."""
    if norm == "l2" or np.ndim(value) == 0:
        if isinstance(value, np.generic) or (np.ndim(value) == 0 and hasattr(value, "item")):
            value = value.item()
        return check_number(name, value, low=0, low_open=low_open)
    array = as_array(value)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` must be numbers. Received: {name} of type {array.dtype}")
    array = array.astype(np.float64)
    enough = array > 0 if low_open else array >= 0
    if not (np.isfinite(array) & enough).all():
        sign = "> 0" if low_open else ">= 0"
        raise ValueError(
            f"`{name}` must be finite numbers {sign}. Received: {name}={describe(value)}"
        )
    return _to_tuples(array.tolist())
