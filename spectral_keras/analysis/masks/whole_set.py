"""One mask of a whole set of images, or one of each class."""

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
    MaskOptions,
    OneCycle,
    check_problem,
    compiled_masked_logits,
    compiled_spectra,
    compiled_step,
    unmasked_cross_entropy,
)
from spectral_keras.classifiers.arguments import check_labels, check_progress
from spectral_keras.classifiers.batches import padded_size
from spectral_keras.ops.validation import check_bool, check_number, check_positive_int, describe

__all__ = ["EpochRule", "learn_mask"]

_KIND = "a checkpoint of Fourier masks of sets"
_STATE = ("entries", "first", "second")
_TRACES = ("objective", "invariance", "sparsity", "accuracy")

# Images of one compiled step, over all the classes that are learned side by side.
_MOST_IMAGES = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochRule:
    """A mask of a set of images is finished when its sparsity stands still.

    Finished after `patience` epochs in a row, the first epoch not counted, at whose end the
    accuracy is at least `accuracy_ratio` times the unmasked one and the sparsity
    ||M||_1 / ||1||_1 moved by at most `sparsity_tolerance` since the epoch before.

    The defaults are those of the published code.

    Example:

    >>> from spectral_keras.analysis.masks import EpochRule
    >>> EpochRule(accuracy_ratio=0.95).accurate(0.9, unmasked=0.92)
    True
    """

    patience: int = 7
    sparsity_tolerance: float = 1e-5
    accuracy_ratio: float = 0.99

    def __post_init__(self):
        check_positive_int("patience", self.patience)
        check_number("sparsity_tolerance", self.sparsity_tolerance, 0)
        check_number("accuracy_ratio", self.accuracy_ratio, 0)

    def accurate(self, accuracy: float, unmasked: float) -> bool:
        """Whether an accuracy is high enough."""
        return accuracy >= self.accuracy_ratio * unmasked

    def calm(self, count: int, epoch: int, accurate: bool, before: float, now: float) -> int:
        """The number of calm epochs in a row after epoch number `epoch` = 1, 2, ..."""
        still = abs(float(now) - float(before)) <= self.sparsity_tolerance
        return count + 1 if epoch > 1 and accurate and still else 0


def learn_mask(
    model: keras.Layer,
    data: tuple[ArrayLike, ArrayLike],
    *,
    per_class: bool = False,
    learning_rate: float = 1e-3,
    epochs: int = 100,
    batch_size: int = 1,
    stopping: EpochRule | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> result.SetMasks:
    """Learn the frequencies that a frozen network needs for a set of labelled images.

    Minimises the mean over the images x with labels y of

        exp[(CE(Phi(M x), y) - CE(Phi(x), y))^2] + (lambda / ||1||_1) ||M||_p^p

    over masks M in [0, 1], M x = Re F^-1(M * F(x)) (Karantzas et al., Frontiers in Artificial
    Intelligence 5:890016, 2022, equation (2) and the published code).  From M = 1 by Adam (epsilon
    1e-8) with PyTorch's one-cycle schedule, clipped after each step.  The defaults are the paper's.
    With larger batches the squares are of each image's own change and then averaged, and there are
    fewer steps: an entry that nothing needs takes 1 / (mean learning rate) steps to reach 0.  With
    rates that make up for it take `invariance="squared"`: after one image whose square is large,
    exponentials keep Adam's steps near 0 for thousands of steps, and a mask that stands still
    for that reason counts as converged.

    The network runs in inference mode and nothing in it changes.  The mask acts on the images as
    the model takes them: where the model begins with a normalisation, the published mask, behind
    it, differs in the constant.

    Args:
        model: Keras classifier with one input and one output [N, K], logits or probabilities.
        data: pair (images, labels): floats [N, ...] as the model takes them, and integers [N] or
            [N, 1] or one-hot rows [N, K].
        per_class: False for one mask, True for one of each class that is among the labels, all
            learned side by side, each with its own epochs and its own end.
        learning_rate: peak of the one-cycle schedule.
        epochs: length of the schedule and largest number of passes over the images.
        batch_size: images of a step, of each class.
        stopping: an `EpochRule`, None for the paper's.
        seed: of the order of the images in each epoch.
        checkpoint: path of a `.npz` file, written after each epoch and taken up again if it
            exists: the result is that of an uninterrupted run.
        progress: None, or a callable `(epochs done, epochs at most)` of all masks together, called
            after each epoch.
        **options: penalty (0.2 by default), p, invariance, modulate, symmetric, per_channel,
            from_logits, data_format: see `MaskOptions`.

    Returns:
        A `SetMasks`.

    Raises:
        ValueError: for an argument that does not fit, or a checkpoint of something else.
        FloatingPointError: if an output of the model for an image is not a number.

    Example:

    The network below sees nothing but the mean, and the mask that is left is the constant's.

    >>> import keras, numpy as np
    >>> from spectral_keras.analysis.masks import learn_mask
    >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.GlobalAveragePooling2D(),
    ...                           keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[-9.0, 9.0]]), np.array([4.5, -4.5])])
    >>> x = np.random.default_rng(0).random((8, 4, 4, 1))
    >>> y = (x.mean((1, 2, 3)) > 0.5).astype(int)
    >>> learned = learn_mask(model, (x, y), learning_rate=0.05, epochs=10)
    >>> np.argwhere(learned.masks[0] > 0).tolist()
    [[0, 0]]
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            "`data` must be a pair (images, labels). "
            f"Received: {type(data).__name__}"
            + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
        )
    images, labels = data
    check_progress(progress)
    checkpoint = result.check_path("checkpoint", checkpoint)
    check_number("learning_rate", learning_rate, 0, low_open=True)
    check_positive_int("epochs", epochs)
    check_positive_int("batch_size", batch_size)
    check_positive_int("seed", seed, minimum=0)
    stopping = EpochRule() if stopping is None else stopping
    if not isinstance(stopping, EpochRule):
        raise ValueError(
            f"`stopping` must be None or an EpochRule. Received: stopping={describe(stopping)}"
        )
    made = MaskOptions(**{"penalty": 0.2} | options)
    problem = check_problem(model, images, _MOST_IMAGES, made)
    labels = check_labels(labels, len(problem.images), problem.logits.shape[1], "labels")
    settings = {
        "kind": "set of images",
        **problem.plain(),
        "per_class": check_bool("per_class", per_class),
        "learning_rate": learning_rate,
        "epochs": epochs,
        "batch_size": batch_size,
        "stopping": dataclasses.asdict(stopping),
        "seed": seed,
    }
    return _Run(problem, labels, settings, stopping, checkpoint, progress).result()


class _Run:
    """The masks at work, those that wait, and what is known of each."""

    def __init__(self, problem, labels, settings, stopping, checkpoint, progress):
        self.problem, self.labels, self.settings = problem, labels, settings
        self.stopping, self.checkpoint, self.progress = stopping, checkpoint, progress
        self.size, self.epochs = settings["batch_size"], settings["epochs"]
        self.unmasked = unmasked_cross_entropy(problem.logits, labels)
        correct = problem.logits.argmax(axis=1) == labels
        if settings["per_class"]:
            self.classes = np.unique(labels)
            self.members = [np.flatnonzero(labels == label) for label in self.classes]
        else:
            self.classes, self.members = np.array([-1]), [np.arange(len(labels))]
        self.unmasked_accuracy = np.array([correct[part].mean() for part in self.members])
        self.steps_per_epoch = [-(-len(part) // self.size) for part in self.members]
        self.schedules = [
            OneCycle(peak=settings["learning_rate"], total_steps=count * self.epochs)
            for count in self.steps_per_epoch
        ]
        self.step = compiled_step(problem, "adam")
        self.logits_of = compiled_masked_logits(problem)
        self.spectra_of = compiled_spectra(problem)
        count = len(self.members)
        self.traces = {name: [[] for _ in range(count)] for name in _TRACES}
        ones = problem.start(count)
        self.state = {"entries": ones, "first": np.zeros_like(ones), "second": np.zeros_like(ones)}
        self.found = {
            "entries": ones.copy(),
            "epoch": np.zeros(count, int),
            "accuracy": self.unmasked_accuracy.copy(),
            "calm": np.zeros(count, int),
            "converged": np.zeros(count, bool),
            "done": np.zeros(count, bool),
            "step": np.zeros(count, int),
            "sums": np.zeros((count, 2)),
            "last": np.ones(count),
        }
        fixed = problem.sizes[0] == problem.sizes[-1]
        room = problem.sizes[-1] if fixed else _MOST_IMAGES
        if fixed and room % self.size:
            raise ValueError(
                f"`batch_size` must divide the batch size {room} that the model is built for. "
                f"Received: batch_size={self.size}"
            )
        self.slots = max(1, room // self.size)
        self.fixed = fixed
        self.order = {}  # mask -> (epoch, its images in the order of that epoch)
        self.name = None
        if checkpoint is not None:
            arrays = [problem.images, labels]
            self.name = result.fingerprint(problem.model, arrays, settings)
            if checkpoint.exists():
                self._restore()

    def result(self):
        """Works until every mask is done; a `SetMasks`."""
        self.waiting = collections.deque(np.flatnonzero(~self.found["done"]).tolist())
        while self.waiting:
            # At most as many side by side as fit; the next ones enter when one is done.
            self._work([self.waiting[i] for i in range(min(self.slots, len(self.waiting)))])
            self.waiting = collections.deque(i for i in self.waiting if not self.found["done"][i])
        amplitude, phase = self.problem.masks(self.found["entries"])
        history = {
            name: [np.asarray(row, "float32") for row in rows] for name, rows in self.traces.items()
        }
        multiplicity = self.problem.layout.multiplicity
        sparsity = (self.found["entries"] * multiplicity).sum(-1).mean((1, 2)) / multiplicity.sum()
        return result.SetMasks(
            masks=amplitude,
            phase_masks=phase,
            classes=self.classes,
            epoch=self.found["epoch"],
            converged=self.found["converged"],
            accuracy=self.found["accuracy"],
            unmasked_accuracy=self.unmasked_accuracy,
            sparsity=sparsity.astype("float32"),
            history=history,
            settings=self.settings,
        )

    def _work(self, active):
        """Steps of the masks `active` until one of them has ended an epoch."""
        count = len(active)
        padded = count if not self.fixed else self.slots

        def tensor(array):
            filled = np.concatenate([array, np.repeat(array[:1], padded - count, axis=0)])
            return ops.convert_to_tensor(filled)

        state = [tensor(self.state[name][active]) for name in _STATE]
        # The set's own best is found at the ends of epochs.
        unused = [state[0], ops.convert_to_tensor(np.zeros(padded, "float32"))]
        while True:
            picked, weights = self._pick(active)
            rates = np.concatenate(
                [self.schedules[i].rates(self.found["step"][[i]]) for i in active]
            )
            shape = picked.shape
            flat = np.concatenate([picked, np.repeat(picked[:1], padded - count, axis=0)]).ravel()
            spectra = self.spectra_of(ops.convert_to_tensor(self.problem.images[flat]))
            spectra = ops.reshape(spectra, (padded, shape[1], *spectra.shape[1:]))
            batch = [
                spectra,
                *(tensor(array) for array in (self.labels[picked], self.unmasked[picked], weights)),
                tensor(rates),
            ]
            after = self.step(state[0], *unused, *state[1:], *batch)
            entries, _, _, *moments, total, inv, _, _ = after
            state = [entries, *moments]
            self.found["step"][active] += 1
            sums = np.stack([ops.convert_to_numpy(item)[:count] for item in (total, inv)], axis=1)
            self.found["sums"][active] += sums
            ended = [i for i in active if self.found["step"][i] % self.steps_per_epoch[i] == 0]
            if ended:
                break
        for name, value in zip(_STATE, state, strict=True):
            self.state[name][active] = ops.convert_to_numpy(value)[:count]
        for i in ended:
            self._end_epoch(i)
        if self.checkpoint is not None:
            self._save()
        if self.progress is not None:
            most = self.epochs * len(self.members)
            taken = sum(len(row) for row in self.traces["sparsity"])
            self.progress(taken, most)

    def _pick(self, active):
        """(indices of images, weights in the mean), each [G, batch size], of the next step."""
        picked = np.zeros((len(active), self.size), int)
        weights = np.zeros((len(active), self.size), "float32")
        for row, i in enumerate(active):
            epoch, place = divmod(int(self.found["step"][i]), self.steps_per_epoch[i])
            if self.order.get(i, (None,))[0] != epoch:
                draw = np.random.default_rng([self.settings["seed"], i, epoch])
                self.order[i] = epoch, draw.permutation(self.members[i])
            part = self.order[i][1][place * self.size : (place + 1) * self.size]
            picked[row] = part[0]
            picked[row, : len(part)] = part
            weights[row, : len(part)] = 1 / len(part)
        return picked, weights

    def _end_epoch(self, i):
        """Judge mask i at the end of an epoch."""
        found, entries = self.found, self.state["entries"][i]
        epoch = found["step"][i] // self.steps_per_epoch[i]
        multiplicity = self.problem.layout.multiplicity
        sparsity = float((entries * multiplicity).sum(-1).mean() / multiplicity.sum())
        accuracy = self._accuracy(entries[None], self.members[i])
        objective, invariance = found["sums"][i] / self.steps_per_epoch[i]
        values = (objective, invariance, sparsity, accuracy)
        for name, value in zip(_TRACES, values, strict=True):
            self.traces[name][i].append(value)
        accurate = self.stopping.accurate(accuracy, self.unmasked_accuracy[i])
        if accurate:
            found["entries"][i], found["epoch"][i] = entries, epoch
            found["accuracy"][i] = accuracy
        found["calm"][i] = self.stopping.calm(
            found["calm"][i], epoch, accurate, found["last"][i], sparsity
        )
        found["sums"][i], found["last"][i] = 0, sparsity
        found["converged"][i] = found["calm"][i] >= self.stopping.patience
        found["done"][i] = found["converged"][i] or epoch >= self.epochs

    def _accuracy(self, entries, members):
        """Share of the images that one mask leaves with their labels."""
        sizes, correct = self.problem.sizes, 0
        entries = ops.convert_to_tensor(entries)
        for start in range(0, len(members), sizes[-1]):
            part = members[start : start + sizes[-1]]
            size = padded_size(sizes, len(part))
            filled = np.concatenate([part, np.repeat(part[:1], size - len(part))])
            spectra = self.spectra_of(ops.convert_to_tensor(self.problem.images[filled]))
            logits = self.logits_of(entries, spectra[None])
            predicted = ops.convert_to_numpy(logits).argmax(axis=1)[: len(part)]
            correct += int((predicted == self.labels[part]).sum())
        return correct / len(members)

    def _save(self):
        arrays = {f"state_{name}": value for name, value in self.state.items()}
        arrays |= {f"found_{name}": value for name, value in self.found.items()}
        for name, rows in self.traces.items():
            packed = result.pack([np.asarray(row, "float64") for row in rows])
            arrays[f"trace_{name}"], arrays["lengths"] = packed
        result.write(self.checkpoint, _KIND, arrays, {"of": self.name})

    def _restore(self):
        arrays, state = result.read(self.checkpoint, _KIND)
        if state["of"] != self.name:
            raise ValueError(
                "`checkpoint` must be a file of this model, these images and these settings, or "
                f"not exist yet. Received: {self.checkpoint}, which belongs to others"
            )
        self.state = {name: arrays[f"state_{name}"] for name in self.state}
        self.found = {name: arrays[f"found_{name}"] for name in self.found}
        for name in _TRACES:
            rows = result.unpack(arrays[f"trace_{name}"], arrays["lengths"])
            self.traces[name] = [list(row) for row in rows]
