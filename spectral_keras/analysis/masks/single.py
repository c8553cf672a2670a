"""Masks of single images, many at once."""

import collections
import dataclasses
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from spectral_keras.analysis.masks import result
from spectral_keras.analysis.masks.step import (
    MEMORY,
    GaussNewton,
    MaskOptions,
    OneCycle,
    check_problem,
    compiled_spectra,
    compiled_step,
    unmasked_cross_entropy,
)
from spectral_keras.classifiers import batches
from spectral_keras.classifiers.arguments import check_progress
from spectral_keras.ops.validation import check_choice, check_number, check_positive_int, describe

__all__ = ["PRESETS", "StepRule", "learn_masks"]

_KIND = "a checkpoint of single-image Fourier masks"
_TRACES = ("objective", "invariance", "sparsity")
_STATE = ("entries", "best", "least")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepRule:
    """A mask of a single image is finished when nothing moves any more.

    Finished after `patience` steps in a row at which the prediction is the unmasked image's and,
    since the step before, the invariance term moved by at most `invariance_tolerance` and the
    sparsity ||M||_1 / ||1||_1 by at most `sparsity_tolerance`; or after `max_steps` steps.

    The defaults are those of the published code.

    Example:

    >>> from spectral_keras.analysis.masks import StepRule
    >>> StepRule(patience=50, max_steps=2000).max_steps
    2000
    """

    patience: int = 300
    invariance_tolerance: float = 1e-6
    sparsity_tolerance: float = 1e-5
    max_steps: int = 20000

    def __post_init__(self):
        check_positive_int("patience", self.patience)
        check_number("invariance_tolerance", self.invariance_tolerance, 0)
        check_number("sparsity_tolerance", self.sparsity_tolerance, 0)
        check_positive_int("max_steps", self.max_steps)

    def calm(self, counts: np.ndarray, before: Any, now: Any, kept: np.ndarray) -> np.ndarray:
        """The numbers of calm steps in a row, one step later.

        Args:
            counts: [G] until now.
            before: (invariance, sparsity), each [G], at the last step; NaN at the first.
            now: the same at this step.
            kept: [G], whether the prediction is that of the unmasked image.
        """
        tolerances = self.invariance_tolerance, self.sparsity_tolerance
        calm = np.asarray(kept, bool).copy()
        for last, value, tolerance in zip(before, now, tolerances, strict=True):
            # In float64: the difference of two float32 is exact there.
            calm &= np.abs(np.subtract(value, last, dtype="float64")) <= tolerance
        return np.where(calm, counts + 1, 0)


# Name -> (schedule, stopping rule, which mask is kept).
PRESETS = {
    # Adam's nominal rate 0.2 in a cycle of 20 000 * 200 steps of which at most 20 000 are taken.
    "published": (OneCycle(peak=0.2, total_steps=4_000_000), StepRule(), "last"),
    "fast": (
        GaussNewton(),
        StepRule(patience=8, invariance_tolerance=1e-5, sparsity_tolerance=2e-5, max_steps=400),
        "best",
    ),
}


def learn_masks(
    model: keras.Layer,
    images: ArrayLike,
    *,
    penalty: float = 0.07,
    schedule: str | OneCycle | GaussNewton = "fast",
    stopping: StepRule | None = None,
    keep: str | None = None,
    batch_size: int = 64,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 200,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> result.ImageMasks:
    """Learn the frequencies that a frozen network needs for each of some images.

    Minimises for each image x, with y the network's own prediction for it,

        exp[(CE(Phi(M x), y) - CE(Phi(x), y))^2] + (lambda / ||1||_1) ||M||_p^p

    over masks M in [0, 1], M x = Re F^-1(M * F(x)) (Karantzas et al., Frontiers in Artificial
    Intelligence 5:890016, 2022, equation (2) and the published code), from M = 1.  Many masks are
    learned at once: a batch is a set of slots, each with its own steps, and an image that is
    finished leaves its slot to the next one.  What comes out for an image does not depend on the
    others, up to rounding.

    The network runs in inference mode and nothing in it changes.  The mask acts on the images as
    the model takes them: where the model begins with a normalisation, the published mask, behind
    it, differs in the constant.

    Args:
        model: Keras classifier with one input and one output [N, K], logits or probabilities.
        images: floats [N, ...] as the model takes them, of any height and width.
        penalty: lambda, above 0.
        schedule: "fast", Gauss-Newton steps, which reach about the same objective in a sixth to a
            tenth of the steps and keep the prediction throughout, so that the mask of an image
            near a tie of two classes may stay far from sparse; "published", Adam (epsilon 1e-8) at
            the rate 0.0080 to 0.0092, the warm-up of a one-cycle schedule to 0.2 that never gets
            further; or a `GaussNewton` or `OneCycle`.
        stopping: a `StepRule`, None for the schedule's own.
        keep: "best", the mask of the lowest objective that keeps the prediction; "last", the one at
            which the rule stopped; None for the schedule's own, "last" for the published one.
        batch_size: images at a time, which bounds the memory.
        checkpoint: path of a `.npz` file, written every `checkpoint_every` steps and at the end,
            and taken up again if it exists: the result is that of an uninterrupted run.
        checkpoint_every: steps of the batch.
        progress: None, or a callable `(images done, images in all)`, called as images get done.
        **options: p, invariance, modulate, symmetric, per_channel, from_logits, data_format: see
            `MaskOptions`.

    Returns:
        An `ImageMasks`.

    Raises:
        ValueError: for an argument that does not fit, or a checkpoint of something else.
        FloatingPointError: if an output of the model for an image is not a number.

    Example:

    The network below sees nothing but the mean, and the mask that is left is the constant's.

    >>> import keras, numpy as np
    >>> from spectral_keras.analysis.masks import learn_masks
    >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.GlobalAveragePooling2D(),
    ...                           keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[-9.0, 9.0]]), np.array([4.5, -4.5])])
    >>> x = np.random.default_rng(0).random((2, 4, 4, 1))
    >>> learned = learn_masks(model, x)
    >>> [np.argwhere(mask > 0).tolist() for mask in learned.masks]
    [[[0, 0]], [[0, 0]]]
    """
    plan, stopping, keep, named = _plan(schedule, stopping, keep)
    check_progress(progress)
    checkpoint = result.check_path("checkpoint", checkpoint)
    check_positive_int("checkpoint_every", checkpoint_every)
    check_positive_int("batch_size", batch_size)
    problem = check_problem(model, images, batch_size, MaskOptions(penalty=penalty, **options))
    settings = {
        "kind": "single images",
        **problem.plain(),
        "preset": named,
        "schedule": {"name": type(plan).__name__, **dataclasses.asdict(plan)},
        "stopping": dataclasses.asdict(stopping),
        "keep": keep,
        "batch_size": batch_size,
    }
    run = _Run(problem, plan, stopping, keep, checkpoint, checkpoint_every, settings, progress)
    return run.result(settings)


def _plan(schedule, stopping, keep):
    """(schedule, stopping rule, which mask to keep, name of the preset or None)."""
    named = schedule if isinstance(schedule, str) else None
    if isinstance(schedule, (OneCycle, GaussNewton)):
        defaults = schedule, StepRule(), "best"
    elif named in PRESETS:
        defaults = PRESETS[schedule]
    else:
        raise ValueError(
            f"`schedule` must be one of {', '.join(map(repr, PRESETS))}, a OneCycle or a "
            f"GaussNewton. Received: schedule={describe(schedule)}"
        )
    if stopping is not None and not isinstance(stopping, StepRule):
        raise ValueError(
            f"`stopping` must be None or a StepRule. Received: stopping={describe(stopping)}"
        )
    check_choice("keep", keep, (None, "best", "last"))
    if keep == "last" and defaults[0].rule == "gauss_newton":
        raise ValueError("`keep` must be 'best' or None with Gauss-Newton steps. Received: 'last'")
    return defaults[0], stopping or defaults[1], keep or defaults[2], named


class _Run:
    """Slots at work, images that wait, and what is finished."""

    def __init__(self, problem, schedule, stopping, keep, checkpoint, every, settings, progress):
        self.problem, self.schedule, self.stopping = problem, schedule, stopping
        self.keep, self.checkpoint, self.every = keep, checkpoint, every
        self.progress = progress
        self.labels = problem.logits.argmax(axis=1).astype("int32")
        self.unmasked = unmasked_cross_entropy(problem.logits, self.labels)
        self.step = compiled_step(problem, schedule.rule)
        self.spectra_of = compiled_spectra(problem)
        count = len(problem.images)
        self.traces = [{name: [] for name in _TRACES} for _ in range(count)]
        self.entries = np.zeros_like(problem.start(count))
        self.finished = {
            "steps": np.zeros(count, int),
            "converged": np.zeros(count, bool),
            "kept": np.zeros(count, bool),
            "at": np.zeros(count, int),
            "done": np.zeros(count, bool),
        }
        self.waiting = collections.deque(range(count))
        self.index = np.zeros(0, int)  # of the image in each slot
        self.taken = np.zeros(0, int)  # steps
        self.counts = np.zeros(0, int)  # calm steps in a row
        self.right = np.zeros(0, int)  # the last step with the image's own label
        self.before = np.full((2, 0), np.nan)
        self.memory = MEMORY[schedule.rule]
        self.names = (*_STATE, *self.memory)
        numbers = [name for name, (like_entries, _) in self.memory.items() if not like_entries]
        self.state = {name: self.entries[:0] for name in self.names}
        self.state |= {name: np.zeros(0, "float32") for name in ("least", *numbers)}
        self.spectra = np.zeros((0, 1, *self._spectra(np.zeros(0, int)).shape[1:]), "complex64")
        self.rounds = 0
        self.name = None
        if checkpoint is not None:
            self.name = result.fingerprint(problem.model, [problem.images], settings)
            if checkpoint.exists():
                self._restore()

    def result(self, settings):
        """Works until no image waits; an `ImageMasks`."""
        if self.finished["done"].any():
            self._report()
        while self.waiting or len(self.index):
            self._fill()
            self._work()
        if self.checkpoint is not None:
            self._save()
        amplitude, phase = self.problem.masks(self.entries)
        history = {
            name: [np.asarray(trace[name], "float32") for trace in self.traces] for name in _TRACES
        }
        at = self.finished["at"]
        return result.ImageMasks(
            masks=amplitude,
            phase_masks=phase,
            labels=self.labels,
            steps=self.finished["steps"],
            converged=self.finished["converged"],
            kept=self.finished["kept"],
            **{
                name: np.array([trace[i] for trace, i in zip(history[name], at, strict=True)])
                for name in _TRACES
            },
            history=history,
            settings=settings,
        )

    def _spectra(self, index):
        size = max(len(index), 1)
        if len(self.problem.sizes) and self.problem.sizes[0] is not None:
            size = batches.padded_size(self.problem.sizes, size)
        images = self.problem.images[index] if len(index) else self.problem.images[:1]
        spectra = self.spectra_of(ops.convert_to_tensor(batches.pad(images, size)))
        return ops.convert_to_numpy(spectra)[: len(index)]

    def _fill(self):
        """Images that wait into the free slots, each at its own step 0."""
        room = min(self.problem.sizes[-1] - len(self.index), len(self.waiting))
        if not room:
            return
        fresh = np.array([self.waiting.popleft() for _ in range(room)])
        ones = self.problem.start(room)
        new = {
            name: np.full(ones.shape if like_entries else room, first, "float32")
            for name, (like_entries, first) in self.memory.items()
        }
        new |= {"entries": ones, "best": ones, "least": np.full(room, np.inf, "float32")}
        if "h" in new:
            new["h"] += np.float32(self.schedule.start)
        self.state = {name: np.concatenate([self.state[name], new[name]]) for name in self.names}
        self.spectra = np.concatenate([self.spectra, self._spectra(fresh)[:, None]])
        self.index = np.concatenate([self.index, fresh])
        nothing = np.zeros(room, int)
        self.taken = np.concatenate([self.taken, nothing])
        self.counts = np.concatenate([self.counts, nothing])
        self.right = np.concatenate([self.right, nothing])
        self.before = np.concatenate([self.before, np.full((2, room), np.nan)], axis=1)

    def _work(self):
        """Steps until a slot is free or a checkpoint is due."""
        count = len(self.index)
        size = batches.padded_size(self.problem.sizes, count)

        def tensor(array):
            return ops.convert_to_tensor(batches.pad(array, size))

        state = [tensor(self.state[name]) for name in self.names]
        weights = np.ones((count, 1), "float32")
        batch = [
            tensor(array)
            for array in (
                self.spectra,
                self.labels[self.index, None],
                self.unmasked[self.index, None],
                weights,
            )
        ]
        recorded = []
        while True:
            rates = self.schedule.rates(self.taken)
            entered = state[0]
            *state, total, inv, sparsity, correct = self.step(*state, *batch, tensor(rates))
            total, inv, sparsity, kept = (
                ops.convert_to_numpy(item)[:count] for item in (total, inv, sparsity, correct)
            )
            recorded.append((total, inv, sparsity))
            now = np.stack([inv, sparsity])
            self.counts = self.stopping.calm(self.counts, self.before, now, kept[:, 0])
            self.before = now
            self.right = np.where(kept[:, 0], self.taken, self.right)
            self.taken = self.taken + 1
            self.rounds += 1
            calm = self.counts >= self.stopping.patience
            finished = calm | (self.taken >= self.stopping.max_steps)
            due = self.checkpoint is not None and self.rounds % self.every == 0
            if finished.any() or due:
                break
        self.state = {
            name: ops.convert_to_numpy(value)[:count]
            for name, value in zip(self.names, state, strict=True)
        }
        recorded = np.array(recorded)  # [steps, 3, slots]
        for slot, i in enumerate(self.index):
            for row, name in enumerate(_TRACES):
                self.traces[i][name].extend(recorded[:, row, slot])
        if finished.any():
            # The mask that was judged, not the one a step later.
            self._harvest(finished, calm, ops.convert_to_numpy(entered)[:count], kept[:, 0])
        if due:
            self._save()

    def _harvest(self, finished, calm, entered, kept):
        """Keep the finished masks and free their slots."""
        for slot in np.flatnonzero(finished):
            i = self.index[slot]
            least = self.state["least"][slot]
            best = self.keep == "best" and np.isfinite(least)
            self.entries[i] = self.state["best"][slot] if best else entered[slot]
            trace = np.asarray(self.traces[i]["objective"], "float32")
            at = len(trace) - 1
            if best:
                # The trace of Gauss-Newton steps is of masks that were the best, if right.
                adam = self.schedule.rule == "adam"
                at = int(np.flatnonzero(trace == least)[0] if adam else self.right[slot])
            self.finished["at"][i] = at
            self.finished["steps"][i] = self.taken[slot]
            self.finished["converged"][i] = calm[slot]
            self.finished["kept"][i] = best or kept[slot]
            self.finished["done"][i] = True
        stays = ~finished
        self.state = {name: value[stays] for name, value in self.state.items()}
        self.spectra, self.index, self.taken = (
            self.spectra[stays],
            self.index[stays],
            self.taken[stays],
        )
        self.counts, self.right = self.counts[stays], self.right[stays]
        self.before = self.before[:, stays]
        self._report()

    def _report(self):
        if self.progress is not None:
            self.progress(int(self.finished["done"].sum()), len(self.problem.images))

    def _save(self):
        arrays = {f"state_{name}": value for name, value in self.state.items()}
        arrays |= {f"finished_{name}": value for name, value in self.finished.items()}
        for name in _TRACES:
            traces = [np.asarray(trace[name], "float32") for trace in self.traces]
            arrays[f"trace_{name}"], arrays["lengths"] = result.pack(traces)
        arrays |= {
            "entries": self.entries,
            "spectra": self.spectra,
            "index": self.index,
            "taken": self.taken,
            "counts": self.counts,
            "right": self.right,
            "before": self.before,
            "waiting": np.array(self.waiting, int),
        }
        result.write(self.checkpoint, _KIND, arrays, {"of": self.name, "rounds": self.rounds})

    def _restore(self):
        arrays, state = result.read(self.checkpoint, _KIND)
        if state["of"] != self.name:
            raise ValueError(
                f"`checkpoint` must be a file of this model, these images and these settings, or "
                f"not exist yet. Received: {self.checkpoint}, which belongs to others"
            )
        self.rounds = state["rounds"]
        self.state = {name: arrays[f"state_{name}"] for name in self.names}
        self.finished = {name: arrays[f"finished_{name}"] for name in self.finished}
        for name in _TRACES:
            rows = result.unpack(arrays[f"trace_{name}"], arrays["lengths"])
            for trace, row in zip(self.traces, rows, strict=True):
                trace[name] = list(row)
        for name in ("entries", "spectra", "index", "taken", "counts", "right", "before"):
            setattr(self, name, arrays[name])
        self.waiting = collections.deque(arrays["waiting"].tolist())
