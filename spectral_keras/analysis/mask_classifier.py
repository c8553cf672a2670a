"""Can a linear classifier tell a class from its Fourier masks? With a control that can fail."""

import dataclasses

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.analysis.chance_rule import ABOVE, AT, UNKNOWN, ChanceRule
from spectral_keras.analysis.energies import check_masks
from spectral_keras.ops.validation import check_bool, check_number, check_positive_int, describe

__all__ = ["MaskClassification", "classify_masks"]


@dataclasses.dataclass(frozen=True, eq=False)
class MaskClassification:
    """Result of `classify_masks`.

    Attributes:
        report: dict of plain values (JSON), see `classify_masks`.
        model: the trained `keras.Sequential`, from (masks, height * width) to logits; its input is
            `numpy.fft.fftshift(masks, (-2, -1))`, flattened.
        logits: float32 (masks, classes), of all masks, those left out by `balanced` included.
        train, test: indices of the masks of either part.
    """

    report: dict
    model: keras.Model
    logits: np.ndarray
    train: np.ndarray
    test: np.ndarray


def classify_masks(
    masks: ArrayLike,
    labels: ArrayLike,
    *,
    balanced: bool = False,
    train_share: float = 0.85,
    epochs: int = 20,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    weight_decay: float = 5e-3,
    rule: ChanceRule | None = None,
    seed: int = 0,
) -> MaskClassification:
    """Train a linear classifier on masks, and once more on permuted labels.

    Karantzas et al. (2022), table 3: whether the frequencies that a network needs for one image
    are those of the image's class.  The defaults are the paper's code: Adam with weight decay
    coupled to the gradient, one cycle of the learning rate with a warm-up of a tenth of the steps
    (linear here), int(0.85 n) training masks.

    The control trains on labels permuted across all masks, by one permutation made once, on the
    same split, with the same first weights and the same batches.  The paper's code drew new
    labels at every access, which no classifier can fit; to this one a classifier of many weights
    fits well, and what it cannot do is carry over to the test masks, unless the test or its split
    is at fault.

    Chance is the share of the most frequent class among the masks used, which answering that
    class always gets.  What a test accuracy says about it is the `rule`'s to decide.  A control is
    above chance by luck for about one seed in forty at the default confidence, and for up to one in
    fifteen where few test masks have many classes: Wilson's intervals are too narrow there.

    Args:
        masks: real array (masks, height, width) in unshifted order.
        labels: integers (masks,): the class of each mask's image, or its predicted class.
        balanced: True uses equally many masks of every class, as many as the smallest has.
        train_share: share of the masks for training, in (0, 1).
        epochs, batch_size, learning_rate, weight_decay: of the training; the rate is the peak.
        rule: when an accuracy is above or at chance, a `ChanceRule`; None for its defaults.
        seed: of choice, split, permutation, first weights and order, all chosen by NumPy: the same
            on every backend.

    Returns:
        A `MaskClassification`.  Its report holds `classes` (the labels in the order of the
        logits), `masks`, `train_masks`, `test_masks`, the settings, and for `labels` and
        `control` each: `train_accuracy`, `train_interval`, `test_accuracy`, `test_interval`,
        `chance`, `reading`.  `verdict` is "separable", "not separable", "too small to tell" or
        "control failed", and `statement` the same in one sentence with its numbers.

    Raises:
        ValueError: for an argument that does not fit.
    """
    masks, classes, targets = _check_data(masks, labels)
    share = check_number("train_share", train_share, 0, 1, low_open=True, high_open=True)
    settings = {
        "epochs": check_positive_int("epochs", epochs),
        "batch_size": check_positive_int("batch_size", batch_size),
        "learning_rate": check_number("learning_rate", learning_rate, 0, low_open=True),
        "weight_decay": check_number("weight_decay", weight_decay, 0),
        "seed": check_positive_int("seed", seed, minimum=0),
    }
    rule = ChanceRule() if rule is None else rule
    if not isinstance(rule, ChanceRule):
        raise ValueError(f"`rule` must be None or a ChanceRule. Received: rule={describe(rule)}")
    rng = np.random.default_rng([seed, 0])
    train, test = _split(targets, check_bool("balanced", balanced), share, rng)
    used = np.concatenate([train, test])
    permuted = targets.copy()
    permuted[used] = targets[rng.permutation(used)]
    x = np.fft.fftshift(masks, (-2, -1)).reshape(len(masks), -1).astype("float32")
    chance = float(np.bincount(targets[used]).max() / len(used))
    arms = {}
    # The control first: one compiled model serves both, and ends as the classifier of the labels.
    model, fit = _classifier(x.shape[1], len(classes), len(train), **settings)
    for name, y in (("control", permuted), ("labels", targets)):
        fit(x[train], y[train])
        kernel, bias = model.get_weights()
        logits = x @ kernel + bias
        arms[name] = _arm(logits.argmax(1) == y, chance, train, test, rule)
    verdict = _verdict(arms)
    report = {
        "classes": [int(label) for label in classes],
        "masks": len(used),
        "train_masks": len(train),
        "test_masks": len(test),
        "balanced": balanced,
        "train_share": share,
        **settings,
        **dataclasses.asdict(rule),
        "labels": arms["labels"],
        "control": arms["control"],
        "verdict": verdict,
        "statement": _statement(verdict, arms, len(test)),
    }
    return MaskClassification(report, model, logits, train, test)


def _split(targets, balanced, share, rng):
    """Indices of the masks for training and for the test."""
    used = np.arange(len(targets))
    if balanced:
        smallest = np.bincount(targets).min()
        members = [np.flatnonzero(targets == label) for label in np.unique(targets)]
        used = np.concatenate([rng.choice(each, smallest, replace=False) for each in members])
    used = rng.permutation(used)
    count = int(share * len(used))
    if not 0 < count < len(used):
        raise ValueError(
            f"`train_share` must leave at least one of the {len(used)} masks for training and for "
            f"the test. Received: train_share={share!r}"
        )
    return used[:count], used[count:]


def _check_data(masks: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(masks, the classes, the place of each mask's class among them)."""
    masks, labels = check_masks("masks", masks), np.asarray(labels)
    if masks.ndim != 3:
        raise ValueError(
            f"`masks` must have shape (masks, height, width). Received: shape {masks.shape}"
        )
    count = len(masks)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"`labels` must be {count} integers, one for each mask. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    classes, targets = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"`labels` must hold at least two classes. Received: only {classes.tolist()}"
        )
    return masks, classes, targets.astype("int32")


def _classifier(features, classes, count, *, epochs, batch_size, learning_rate, weight_decay, seed):
    """A linear classifier, and the function (x, y) that trains it from its first weights."""
    # Weight decay w of an optimizer that couples it, as PyTorch's Adam does, adds w * theta to
    # the gradient: that of w / 2 * theta^2.
    decay = keras.regularizers.L2(weight_decay / 2) if weight_decay else None
    layer = keras.layers.Dense(
        classes, kernel_regularizer=decay, bias_regularizer=decay, dtype="float32", name="logits"
    )
    model = keras.Sequential([keras.Input((features,), dtype="float32"), layer])
    steps = -(-count // batch_size)
    warmup = max(1, round(0.1 * epochs * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 25,
        max(1, epochs * steps - warmup),
        alpha=1 / 25e4,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.Adam(schedule, epsilon=1e-8)
    # XLA takes longer to compile on TensorFlow than the whole training takes without.
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=jit)

    def fit(x, y):
        # PyTorch's default for a linear layer, uniform within 1 / sqrt(features).
        bound = 1 / np.sqrt(features)
        rng = np.random.default_rng([seed, 1])
        model.set_weights([rng.uniform(-bound, bound, w.shape) for w in model.weights])
        for variable in optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        batches = _batches(x, y, batch_size, np.random.default_rng([seed, 2]))
        model.fit(batches, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0)

    return model, fit


def _batches(x, y, batch_size, rng):
    """Batches without end, in a new order at each pass: `fit` would draw from a global state."""
    while True:
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch_size):
            chosen = order[start : start + batch_size]
            yield x[chosen], y[chosen]


def _arm(correct, chance, train, test, rule):
    result = {}
    for part, index in (("train", train), ("test", test)):
        result[f"{part}_accuracy"] = float(correct[index].mean())
        result[f"{part}_interval"] = list(rule.interval(int(correct[index].sum()), len(index)))
    result["chance"] = chance
    result["reading"] = rule.read(result["test_interval"], result["chance"])
    return result


def _verdict(arms):
    if arms["control"]["reading"] == ABOVE:
        return "control failed"
    reading = arms["labels"]["reading"]
    return {ABOVE: "separable", AT: "not separable", UNKNOWN: UNKNOWN}[reading]


_MEANING = {
    "separable": "the classes are linearly separable by their masks beyond chance",
    "not separable": "a linear classifier does not tell the classes apart by their masks",
    UNKNOWN: "the test set is too small to tell whether the masks separate the classes",
    "control failed": "the control with permuted labels is above chance, so the test is not valid",
}


def _statement(verdict, arms, test_masks):
    numbers = [
        f"{name} {arm['test_accuracy']:.3f} [{arm['test_interval'][0]:.3f}, "
        f"{arm['test_interval'][1]:.3f}] (chance {arm['chance']:.3f}, "
        f"training {arm['train_accuracy']:.3f})"
        for name, arm in (("labels", arms["labels"]), ("control", arms["control"]))
    ]
    return f"{_MEANING[verdict]}: accuracy on {test_masks} test masks, {', '.join(numbers)}"
