"""Accuracy under the common corruptions."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.classifiers.arguments import check_classifier, check_progress
from spectral_keras.classifiers.predictions import predict_classes
from spectral_keras.corruptions import BENCHMARK, SEVERITIES, TABLES, corrupt, table_for
from spectral_keras.corruptions.corrupt import check_images
from spectral_keras.corruptions.severities import GROUPS
from spectral_keras.data import CorruptedImages
from spectral_keras.data.arrays import as_floats
from spectral_keras.evaluation.corruption_error import mean_accuracy
from spectral_keras.evaluation.outcomes import check_classes
from spectral_keras.evaluation.under_attack import accuracy_point
from spectral_keras.ops.validation import check_choice, check_positive_int, describe

__all__ = ["accuracy_on_corrupted", "accuracy_under_corruption", "check_names", "check_severities"]


def accuracy_under_corruption(
    model: keras.Layer,
    images: np.ndarray,
    y: ArrayLike,
    names: str | Sequence[str] = "benchmark",
    severities: int | Sequence[int] = SEVERITIES,
    seed: int = 0,
    *,
    table: str | None = None,
    batch_size: int = 128,
    progress: Callable[[str, int, int, int], None] | None = None,
) -> dict[str, Any]:
    """The share of corrupted images that the model classifies correctly, for each severity.

    The images are corrupted, scaled to [0, 1] and classified batch by batch: one corrupted batch
    is in memory at a time. The batch size changes no image, see `spectral_keras.corruptions`.

    Args:
        model: Keras classifier with one input, float32 images [N, H, W, C] in [0, 1], and one
            output [N, K]: logits, or probabilities.
        images: uint8 [N, H, W, C], C 1 or 3.
        y: the true classes: integers [N] or [N, 1], or one-hot rows [N, K].
        names: corruptions: "benchmark" (15), "extra" (4), "all", a name or several of them.
        severities: one of 1 to 5, or several.
        seed, table: see `spectral_keras.corruptions.corrupt`.
        batch_size: images at a time.
        progress: None, or a callable `(name, severity, images done, images in all)`.

    Returns:
        A dict of plain values, for JSON:

        - "images": N.
        - "clean": a point (below, without "severity") of the images as they are.
        - "corruptions": name -> list of points in ascending order of "severity". A point also has
          "correct" (number of images), "accuracy" (their share) and "interval" ([low, high],
          Wilson's for 95 %).
        - "mean_accuracy": see `mean_accuracy`; None if no corruption of the benchmark is there.
        - "settings": what else the numbers depend on.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential(  # is it brighter than 0.6?
    ...     [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    ... )
    >>> model.set_weights([np.tile([[0.0, 1 / 64]], (64, 1)), np.array([0.6, 0.0])])
    >>> images = np.full((1, 8, 8, 1), 128, np.uint8)
    >>> result = accuracy_under_corruption(model, images, [0], "brightness", (1, 5))
    >>> [point["accuracy"] for point in result["corruptions"]["brightness"]]
    [1.0, 0.0]
    """
    check_classifier(model)
    check_progress(progress)
    images = check_images(images)
    y = check_classes(y, model, images, "images")
    names = check_names(names)
    severities = check_severities(severities)
    seed = check_positive_int("seed", seed, minimum=0)
    batch_size = check_positive_int("batch_size", batch_size)
    if table is None:
        table = table_for(*images.shape[1:3])
    check_choice("table", table, tuple(TABLES))

    def corrupt_batch(name, severity, indices):
        return corrupt(images[indices], name, severity, seed, indices=indices, table=table)

    def point(name, severity, report):
        images_of = functools.partial(corrupt_batch, name, severity)
        return _point(model, len(images), images_of, y, batch_size, report)

    clean = _point(model, len(images), images.__getitem__, y, batch_size)
    settings = {"seed": seed, "table": table}
    return _result(len(images), clean, names, severities, point, progress, settings)


def accuracy_on_corrupted(
    model: keras.Layer,
    corrupted: CorruptedImages,
    names: str | Sequence[str] | None = None,
    severities: int | Sequence[int] | None = None,
    *,
    clean: tuple[np.ndarray, ArrayLike] | None = None,
    labels: ArrayLike | None = None,
    batch_size: int = 128,
    progress: Callable[[str, int, int, int], None] | None = None,
) -> dict[str, Any]:
    """`accuracy_under_corruption` on images that were corrupted before, such as CIFAR-10-C.

    Args:
        model: see `accuracy_under_corruption`.
        corrupted: what `spectral_keras.data.load_corrupted` returns.
        names: a group, a corruption or several; None for all that `corrupted` has.
        severities: one or several; None for all that `corrupted` has.
        clean: None, or a pair of uncorrupted images uint8 [N, H, W, C] and their classes.
        labels: classes of the corrupted images as the model numbers them; None for those of
            `corrupted`.
        batch_size, progress: see `accuracy_under_corruption`.

    Returns:
        What `accuracy_under_corruption` returns. "clean" is None without `clean`; "settings" has
        "source", that of `corrupted`.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import numpy as np, keras
    >>> from spectral_keras.data import load_corrupted
    >>> model = keras.Sequential(  # is it brighter than 0.6?
    ...     [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    ... )
    >>> model.set_weights([np.tile([[0.0, 1 / 64]], (64, 1)), np.array([0.6, 0.0])])
    >>> np.save("brightness.npy", np.full((5, 8, 8, 1), 140, np.uint8))
    >>> np.save("labels.npy", np.zeros(5, int))  # one image, five severities
    >>> result = accuracy_on_corrupted(model, load_corrupted("."))
    >>> result["corruptions"]["brightness"][4]["accuracy"]
    1.0
    """
    check_classifier(model)
    check_progress(progress)
    if not isinstance(corrupted, CorruptedImages):
        raise ValueError(
            "`corrupted` must be what spectral_keras.data.load_corrupted returns. Received: "
            f"corrupted of type {type(corrupted).__name__}"
        )
    labels = corrupted.labels if labels is None else labels
    y = check_classes(labels, model, corrupted.labels, "corrupted")
    names = list(corrupted.names) if names is None else check_names(names)
    severities = check_severities(corrupted.severities if severities is None else severities)
    for argument, wanted, there in (
        ("names", names, corrupted.names),
        ("severities", severities, corrupted.severities),
    ):
        for value in wanted:
            check_choice(argument, value, there)
    batch_size = check_positive_int("batch_size", batch_size)
    clean_point = None
    if clean is not None:
        images = check_images(clean[0])
        classes = check_classes(clean[1], model, images, "clean")
        clean_point = _point(model, len(images), images.__getitem__, classes, batch_size)

    def point(name, severity, report):
        images = corrupted.read(name, severity)
        return _point(model, len(images), images.__getitem__, y, batch_size, report)

    settings = {"source": corrupted.source}
    return _result(len(corrupted), clean_point, names, severities, point, progress, settings)


def _result(count, clean, names, severities, point, progress, settings):
    """What both functions return; point(name, severity, report) gives one accuracy."""

    def one(name, severity):
        report = progress and functools.partial(progress, name, severity)
        return {"severity": severity, **point(name, severity, report)}

    result = {
        "images": count,
        "clean": clean,
        "corruptions": {name: [one(name, severity) for severity in severities] for name in names},
        "settings": settings,
    }
    of_benchmark = any(name in BENCHMARK for name in names)
    return result | {"mean_accuracy": mean_accuracy(result) if of_benchmark else None}


def _point(model, count, images_of, y, batch_size, report=None):
    """Accuracy on `count` images; images_of(indices) gives some of them, as uint8."""
    correct = np.zeros(count, bool)
    for start in range(0, count, batch_size):
        indices = np.arange(start, min(start + batch_size, count))
        batch = as_floats(images_of(indices))
        correct[indices] = predict_classes(model, batch, batch_size=batch_size) == y[indices]
        if report:
            report(int(indices[-1]) + 1, count)
    return accuracy_point(correct)


def check_names(names: str | Sequence[str]) -> list[str]:
    """`names`, a group, a name or several names, as a list with each corruption once."""
    if isinstance(names, str):
        names = GROUPS.get(names, (names,))
    if not isinstance(names, (list, tuple)) or not names:
        raise ValueError(
            "`names` must be a group, a corruption or several of them. Received: "
            f"names={describe(names)}"
        )
    for name in names:
        check_choice("names", name, GROUPS["all"])
    return list(dict.fromkeys(names))


def check_severities(severities: int | Sequence[int]) -> list[int]:
    """`severities`, one or several, as a list of integers, each once, ascending."""
    values: list[Any] = list(np.atleast_1d(np.asarray(severities, object)))
    if not values:
        raise ValueError("`severities` must hold at least one number. Received: none")
    for value in values:
        check_choice("severities", check_positive_int("severities", value), SEVERITIES)
    return sorted({int(value) for value in values})
