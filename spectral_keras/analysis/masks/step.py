"""Steps on many masks at once: what they work on, their schedules, the updates, compiled once."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from spectral_keras.analysis.masks import objective as terms
from spectral_keras.analysis.masks.objective import INVARIANCES, MODULATIONS, Layout, Objective
from spectral_keras.classifiers.arguments import check_classifier, check_images
from spectral_keras.classifiers.batches import batch_sizes, build_for, run_in_batches
from spectral_keras.classifiers.compiled import compile_function, keep_for_model
from spectral_keras.classifiers.logits import compiled_logits, logits_function, read_ending
from spectral_keras.classifiers.predictions import check_numbers
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_data_format,
    check_number,
    check_positive_int,
    static_spatial_shape,
)

__all__ = [
    "MEMORY",
    "GaussNewton",
    "MaskOptions",
    "OneCycle",
    "Problem",
    "adam",
    "check_problem",
    "compiled_masked_logits",
    "compiled_spectra",
    "compiled_step",
    "gauss_newton",
    "unmasked_cross_entropy",
]

# Decay of Adam's second moment.
BETA2 = 0.999

# Keras' default of 1e-7 is near the gradient of the penalty, lambda / (H W), itself.
EPSILON = 1e-8


# A Gauss-Newton step changes an entry by at most so many times what the penalty alone would.
_REACH = 4.0

# By how much the objective has to fall to count: more than the rounding of two batch sizes.
_SIGNIFICANT = 1e-7

# Which entries are at their bounds depends on the step and the step on which they are.
_BOUND_ROUNDS = 3


# Where the steps that fall have become this share of the longest, masks with another label than
# their image's give way to the best one with its label.
_SHORT = 0.02

# What a rule carries from step to step: (whether it is a tensor like the entries or one number for
# each mask, its first value).
MEMORY = {
    "adam": {"first": (True, 0.0), "second": (True, 0.0)},
    "gauss_newton": {
        "base": (True, 0.0),
        "lowest": (False, float("inf")),
        "flipped": (False, 0.0),
        "strict": (False, 0.0),
        "gradient": (True, 0.0),
        "change": (False, 0.0),
        "masked": (False, 0.0),
        "h": (False, 0.0),
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneCycle:
    """PyTorch's one-cycle policy: half-cosine up to a peak, half-cosine down to almost nothing.

    With r(a, b, u) = b + (a - b) (1 + cos(pi u)) / 2 the rate is r(peak / 25, peak, t / T1) up to
    step T1 = warmup * total_steps - 1, then r(peak, peak / 25 / 1e4, .) up to step total_steps - 1;
    Adam's beta1 goes the other way, from the second of `beta1` to the first and back.

    Args:
        peak: highest learning rate.
        total_steps: steps of the whole cycle.
        warmup: share of the steps up to the peak.
        beta1: (at the peak, at both ends).

    Example:

    >>> from spectral_keras.analysis.masks import OneCycle
    >>> whole_set = OneCycle(peak=1e-3, total_steps=1000)
    >>> [float(f"{whole_set.rate(t):.3g}") for t in (0, 99, 999)]
    [4e-05, 0.001, 4e-09]
    """

    peak: float
    total_steps: int
    warmup: float = 0.1
    beta1: tuple[float, float] = (0.85, 0.95)

    def __post_init__(self):
        check_number("peak", self.peak, 0, low_open=True)
        check_positive_int("total_steps", self.total_steps)
        check_number("warmup", self.warmup, 0, 1, high_open=True)
        if len(self.beta1) != 2:
            raise ValueError(f"`beta1` must be a pair. Received: beta1={self.beta1!r}")
        for value in self.beta1:
            check_number("beta1", value, 0, 1, high_open=True)

    def _blend(self, step, start, peak, end):
        step = np.asarray(step, "float64")
        top = self.warmup * self.total_steps - 1
        up = np.clip(step / max(top, 1e-9), 0, 1)
        down = np.clip((step - top) / max(self.total_steps - 1 - top, 1e-9), 0, 1)
        rising = peak + (start - peak) * (1 + np.cos(math.pi * up)) / 2
        falling = end + (peak - end) * (1 + np.cos(math.pi * down)) / 2
        return np.where(step < top, rising, falling)

    rule = "adam"

    def rate(self, step: ArrayLike) -> np.ndarray:
        """Learning rate of step 0, 1, ..., a number or an array of them."""
        return self._blend(step, self.peak / 25, self.peak, self.peak / 25e4)

    def momentum(self, step: ArrayLike) -> np.ndarray:
        """Adam's beta1 of step 0, 1, ..."""
        return self._blend(step, self.beta1[1], self.beta1[0], self.beta1[1])

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """float32 [G, 3] for the compiled step: Adam's corrected rate, beta1 and second root."""
        steps = np.asarray(steps)
        beta1 = self.momentum(steps)
        size = self.rate(steps) / (1 - beta1 ** (steps + 1))
        root = np.sqrt(1 - BETA2 ** (steps + 1))
        return np.stack([size, beta1, root], axis=1).astype("float32")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussNewton:
    """Gauss-Newton steps on the change of the cross-entropy, of a length that each image finds.

    The length h is how much an entry of the mask falls in one step where the network does not need
    it.  It grows after a step that lowered the objective and shrinks after one that did not, which
    is taken back.  See `step.gauss_newton`.

    Args:
        start: h of the first step.
        largest: largest h.
        grow, shrink: factors.

    Example:

    >>> from spectral_keras.analysis.masks import GaussNewton
    >>> GaussNewton(start=0.1, largest=0.1).grow
    1.5
    """

    start: float = 0.05
    largest: float = 0.05
    grow: float = 1.5
    shrink: float = 0.4

    rule = "gauss_newton"

    def __post_init__(self):
        for name in ("start", "largest"):
            check_number(name, getattr(self, name), 0, 1, low_open=True)
        check_number("grow", self.grow, 1)
        check_number("shrink", self.shrink, 0, 1, low_open=True, high_open=True)

    def rates(self, steps: np.ndarray) -> np.ndarray:
        """float32 [G, 3] for the compiled step."""
        return np.tile(np.array([self.grow, self.shrink, self.largest], "float32"), (len(steps), 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """What a mask acts on and by what it is learned.

    Args:
        penalty: lambda, above 0.
        p: exponent of the penalty, at least 1.
        invariance: "exp", "squared" (without the exponential) or "cross_entropy" (of the masked
            images alone).
        modulate: "amplitude"; "phase", which turns phases by up to half a turn in place of
            shrinking amplitudes; or "both".  See `Objective`.
        symmetric: whether to hold only the independent half of the mask.  The result is the same,
            the memory half.
        per_channel: whether to learn one mask for each channel instead of one for all.
        from_logits: None cuts off a softmax at the model's end, and tells logits from
            probabilities by their values where the end is not a layer that it knows.  True: the
            model gives logits.  False: it gives probabilities.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Raises:
        ValueError: for a value that does not fit.

    Example:

    >>> from spectral_keras.analysis.masks import MaskOptions
    >>> MaskOptions(penalty=0.2, modulate="both").objective.kinds
    2
    """

    penalty: float
    p: float = 1.0
    invariance: str = "exp"
    modulate: str = "amplitude"
    symmetric: bool = False
    per_channel: bool = False
    from_logits: bool | None = None
    data_format: str | None = None

    def __post_init__(self):
        check_choice("invariance", self.invariance, INVARIANCES)
        check_number("penalty", self.penalty, 0, low_open=True)
        check_number("p", self.p, 1)
        check_choice("modulate", self.modulate, MODULATIONS)
        check_choice("from_logits", self.from_logits, (None, True, False))
        check_data_format(self.data_format)
        check_bool("symmetric", self.symmetric)
        check_bool("per_channel", self.per_channel)

    @property
    def objective(self) -> Objective:
        """What is minimised; part of what the compiled functions depend on."""
        return Objective(self.invariance, float(self.penalty), float(self.p), self.modulate)


@dataclasses.dataclass(kw_only=True)
class Problem:
    """A frozen network, images, and in what form masks are learned for them; checked values."""

    model: object
    images: np.ndarray
    logits: np.ndarray
    from_logits: object
    objective: Objective
    layout: Layout
    per_channel: int
    channels_last: bool
    sizes: tuple

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self.images.shape[1:]

    def plain(self) -> dict:
        """The settings as a JSON-plain dict."""
        return {
            **dataclasses.asdict(self.objective),
            "symmetric": self.layout.symmetric,
            "per_channel": bool(self.per_channel),
            "data_format": "channels_last" if self.channels_last else "channels_first",
        }

    @property
    def key(self) -> tuple:
        """What the compiled functions depend on besides the model."""
        return (
            self.image_shape,
            self.layout.symmetric,
            self.objective,
            self.per_channel,
            self.channels_last,
            self.from_logits,
        )

    @property
    def entries_spec(self) -> tuple[str, tuple[int | None, ...]]:
        """(dtype, shape) of the entries of any number of masks."""
        shape = (None, self.objective.kinds, self.per_channel or 1, self.layout.size)
        return "float32", shape

    @property
    def spectra_spec(self) -> tuple[str, tuple[int | None, ...]]:
        """(dtype, shape) of the half spectra of any number of images for each mask."""
        channels = self.image_shape[-1 if self.channels_last else 0]
        return "complex64", (None, None, channels, *self.layout.half)

    def start(self, count: int) -> np.ndarray:
        """The entries of `count` masks of ones."""
        kinds, channels = self.objective.kinds, self.per_channel or 1
        return np.ones((count, kinds, channels, self.layout.size), "float32")

    def masks(self, entries: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(amplitude, phase) masks [N, H, W] or [N, H, W, C], None where there are none."""
        full = self.layout.to_full(entries)
        full = np.moveaxis(full, 2, -1) if self.per_channel else full[:, :, 0]
        mode = self.objective.modulate
        amplitude = None if mode == "phase" else np.ascontiguousarray(full[:, 0])
        phase = None if mode == "amplitude" else np.ascontiguousarray(full[:, -1])
        return amplitude, phase


def check_problem(
    model: keras.Layer, images: Any, batch_size: int, options: MaskOptions
) -> Problem:
    """A `Problem`, with the logits of the images as they are."""
    channels_last = check_data_format(options.data_format) == "channels_last"
    data_format = "channels_last" if channels_last else "channels_first"
    check_classifier(model)
    images = check_images(images, model, name="images")
    height, width = static_spatial_shape(images.shape, data_format, "Mask learning")
    if not len(images):
        raise ValueError("`images` must hold at least one image. Received: none")
    build_for(model, images)
    sizes = batch_sizes(model, batch_size, len(images))
    from_logits, _ = read_ending(model, images, options.from_logits, sizes)
    logits = run_in_batches(compiled_logits(model, images.shape[1:], from_logits), images, sizes)
    check_numbers(logits)
    channels = images.shape[-1 if channels_last else 1]
    return Problem(
        model=model,
        images=images,
        logits=logits,
        from_logits=from_logits,
        objective=options.objective,
        layout=Layout(height, width, options.symmetric),
        per_channel=channels if options.per_channel else 0,
        channels_last=channels_last,
        sizes=sizes,
    )


def unmasked_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each row, float32 [N]."""
    logits = np.asarray(logits, "float64")
    top = logits.max(axis=1)
    total = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
    return (total - logits[np.arange(len(logits)), labels]).astype("float32")


def _wide(values):
    """[G] as [G, 1, 1, 1]."""
    return values[:, None, None, None]


def adam(
    logits_of: Callable[[Any], Any],
    state: tuple,
    batch: tuple,
    rates: Any,
    layout: Layout,
    objective: Objective,
    channels_last: bool,
) -> tuple:
    """A step of Adam, for groups of any number of images.

    Args:
        state: (entries, best, least, first moment, second moment).
        rates: learning rate / (1 - beta1^t) for step t = 1, 2, ..., beta1 and sqrt(1 - BETA2^t),
            along the second axis.
    """
    entries, best, least, first, second = state
    gradient, total, invariance, sparsity, correct = terms.value_and_gradient(
        logits_of, entries, batch, layout, objective, channels_last
    )
    better = ops.logical_and(ops.all(correct, axis=1), total < least)
    best, least = ops.where(_wide(better), entries, best), ops.where(better, total, least)
    size, beta1, root = (_wide(rates[:, i]) for i in range(3))
    first = beta1 * first + (1.0 - beta1) * gradient
    second = BETA2 * second + (1.0 - BETA2) * gradient * gradient
    entries = entries - size * first / (ops.sqrt(second) / root + EPSILON)
    entries = ops.clip(entries, 0.0, 1.0)
    return entries, best, least, first, second, total, invariance, sparsity, correct


def gauss_newton(
    logits_of: Callable[[Any], Any],
    state: tuple,
    batch: tuple,
    rates: Any,
    layout: Layout,
    objective: Objective,
    channels_last: bool,
) -> tuple:
    """A Gauss-Newton step from the base, the mask of the lowest objective, for one image a group.

    With d linearised, d + g . D, the step D minimises

        f(d) + f'(d) g . D + f''(d) (g . D)^2 / 2 + (lambda / ||1||_1) (u . D + |D|^2 / (2 h))

    over the entries that stay within [0, 1], u the slopes of the penalty: D = beta g - h u, so an
    entry that the network does not need falls by h u each step, while beta holds d where it is to
    be.  Adam, which sees the gradient f'(d) g only, has to find that balance entry by entry.

    Where the objective fell, h grows and the next step starts there; elsewhere it starts once more
    from the base with a smaller h.

    The base may have another label than the image: where two classes nearly tie, the way to a good
    mask leads through such masks.  Where it comes to rest on one, it goes back to the best mask
    with the image's label, and from then on no other is taken ("strict").

    Args:
        state: (entries, best, least, base, its objective, whether its label is another, strict,
            gradient and change of the cross-entropy at the base, the cross-entropy; h).
        rates: factors of h after a step that lowered the objective and after one that did not,
            largest h; along the second axis.
    """
    entries, best, least, base, lowest, flipped, strict, *memory, h = state
    gradient, _, change, masked, correct = terms.network_gradient(
        logits_of, entries, batch, layout, objective.modulate, channels_last, lambda c, d: c
    )
    change, masked = change[:, 0], masked[:, 0]
    # A network may have no finite gradient somewhere.
    gradient = ops.where(ops.isfinite(gradient), gradient, ops.zeros_like(gradient))
    gradient = gradient * ops.cast(terms.movable(layout, objective), entries.dtype)
    _, penalty, _ = terms.penalty_terms(entries, layout, objective)
    # Less the 1 of the exponential, where small differences would drown in rounding.
    total = terms.invariance_term(change, masked, objective.invariance, less_one=True)
    total = total + objective.penalty * penalty
    at_start = ops.logical_not(ops.isfinite(lowest))
    # The mask of ones is right up to rounding, which may turn a tie of two classes.
    right = ops.logical_or(ops.all(correct, axis=1), at_start)
    better = ops.logical_and(total < lowest - _SIGNIFICANT, ops.logical_or(right, strict < 0.5))
    base, lowest = ops.where(_wide(better), entries, base), ops.where(better, total, lowest)
    flipped = ops.where(better, ops.cast(ops.logical_not(right), flipped.dtype), flipped)
    gradient = ops.where(_wide(better), gradient, memory[0])
    change, masked = (
        ops.where(better, new, old) for new, old in zip((change, masked), memory[1:], strict=True)
    )
    grown = ops.where(at_start, h, ops.minimum(h * rates[:, 0], rates[:, 2]))
    h = ops.where(better, grown, h * rates[:, 1])
    better = ops.logical_and(better, ops.logical_and(right, total < least))
    best, least = ops.where(_wide(better), entries, best), ops.where(better, total, least)

    slopes, penalty, sparsity = terms.penalty_terms(base, layout, objective)
    invariance = terms.invariance_term(change, masked, objective.invariance)
    reported = invariance + objective.penalty * penalty, invariance, sparsity
    move = _gauss_newton_move(base, gradient, slopes, change, masked, h, layout, objective)
    entries = ops.clip(base + move, 0.0, 1.0)
    back = ops.logical_and(flipped > 0.5, h < _SHORT * rates[:, 2])
    # The best mask is looked at once more, for its gradient, as the first one was.
    entries = ops.where(_wide(back), best, entries)
    lowest = ops.where(back, ops.full_like(lowest, float("inf")), lowest)
    h, strict = ops.where(back, rates[:, 2], h), ops.where(back, ops.ones_like(strict), strict)
    carried = base, lowest, flipped, strict, gradient, change, masked, h
    return entries, best, least, *carried, *reported, (flipped < 0.5)[:, None]


def _gauss_newton_move(entries, gradient, slopes, change, masked, h, layout, objective):
    slope, curve = terms.invariance_derivatives(change, masked, objective.invariance)
    slope, curve, h = _wide(slope), _wide(curve), _wide(h)
    damping = terms.per_frequency(entries, layout, objective) / h
    counts = ops.cast(layout.multiplicity, entries.dtype)

    def product(a, b):
        return ops.sum(a * b * counts, axis=(1, 2, 3), keepdims=True)

    free = ops.ones_like(entries)
    for _ in range(_BOUND_ROUNDS):
        along, square = product(gradient * free, slopes), product(gradient * free, gradient)
        beta = (curve * h * along - slope) / (damping + curve * square)
        move = ops.clip(beta * gradient - h * slopes, -_REACH * h, _REACH * h)
        low = ops.logical_and(entries <= 0.0, move < 0.0)
        high = ops.logical_and(entries >= 1.0, move > 0.0)
        free = ops.cast(ops.logical_not(ops.logical_or(low, high)), entries.dtype)
    return move


def compiled_step(problem: Problem, rule: str) -> Callable[..., Any]:
    """function(entries, best, least, *memory, spectra, labels, unmasked, weights, rates).

    Args of the function: `entries` and `best` are [G, kinds, C or 1, size]; `least` [G]; the memory
    as in `MEMORY`; `rates` [G, 3], what the schedule's `rates` gives; the others as in
    `network_gradient`.

    Returns of the function: entries after the step; `best` and `least` after the entries that
    came in were looked at (the entries of the lowest objective with which all images have their
    labels); the memory after the step; and objective, invariance and sparsity [G] and correct
    [G, B], with Adam of the entries that came in and with Gauss-Newton steps of the base.
    """
    model, layout, objective = problem.model, problem.layout, problem.objective
    channels_last = problem.channels_last
    update = {"adam": adam, "gauss_newton": gauss_newton}[rule]

    def build():
        logits_of, _ = logits_function(model, problem.from_logits)

        def step(entries, best, least, *rest):
            memory, batch, rates = rest[:-5], rest[-5:-1], rest[-1]
            state = entries, best, least, *memory
            return update(logits_of, state, batch, rates, layout, objective, channels_last)

        entries, number = problem.entries_spec, ("float32", (None,))
        each = (None, None)
        arguments = [
            entries,
            entries,
            number,
            *(entries if like_entries else number for like_entries, _ in MEMORY[rule].values()),
            problem.spectra_spec,
            ("int32", each),
            ("float32", each),
            ("float32", each),
            ("float32", (None, 3)),
        ]
        return compile_function(step, list(model.variables), arguments)

    return keep_for_model(model, ("mask step", rule, *problem.key), build)


def compiled_masked_logits(problem: Problem) -> Callable[[Any, Any], Any]:
    """function(entries [G, ...], spectra [G, B, ...]) -> logits [G * B, K] behind the masks."""
    model, layout, modulate = problem.model, problem.layout, problem.objective.modulate
    channels_last = problem.channels_last

    def build():
        logits_of, _ = logits_function(model, problem.from_logits)

        def logits(entries, spectra):
            return terms.evaluate(logits_of, entries, spectra, layout, modulate, channels_last)

        arguments = [problem.entries_spec, problem.spectra_spec]
        return compile_function(logits, list(model.variables), arguments)

    return keep_for_model(model, ("mask logits", *problem.key), build)


def compiled_spectra(problem: Problem) -> Callable[[Any], Any]:
    """function(images [N, ...]) -> half spectra [N, C, *half]."""
    channels_last = problem.channels_last

    def build():
        def spectra(images):
            return terms.spectra_of(images, channels_last)

        # It reads no weights, but is kept for as long as the model lives.
        return compile_function(spectra, [], [("float32", (None, *problem.image_shape))])

    return keep_for_model(
        problem.model, ("mask spectra", problem.image_shape, channels_last), build
    )
