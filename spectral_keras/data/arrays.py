"""Checks, selections and conversions that every kind of data set shares."""

import math
import numbers
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spectral_keras.data.errors import DataError, refused

__all__ = [
    "allocate",
    "as_floats",
    "balanced_prefix",
    "check_data_dir",
    "check_fits",
    "check_images",
    "check_labels",
    "check_limit",
    "class_positions",
    "every_fifth",
    "parts",
    "resize",
    "stratified_split",
    "to_grayscale",
]

# Images converted at a time: keeps the temporaries of a conversion in the megabytes.
CHUNK = 4096


def parts(
    train: tuple[Any, np.ndarray],
    test: tuple[Any, np.ndarray],
    class_names: list[str],
    source: dict[str, Any],
) -> dict[str, Any]:
    """What every reader of data sets gives: (images, labels) of both sets, names, origin."""
    return {
        "x_train": train[0],
        "y_train": train[1],
        "x_test": test[0],
        "y_test": test[1],
        "class_names": class_names,
        "source": source,
    }


def check_limit(argument: str, value: Any) -> int | None:
    """None, or a positive integer; a DataError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise refused(argument, "a positive integer", value)
    return int(value)


def check_data_dir(value: Any) -> None:
    """Refuse what is neither None nor a path."""
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise refused("data_dir", "a path", value)


def check_labels(
    labels: npt.ArrayLike, count: int, where: str, num_classes: int | None = None
) -> np.ndarray:
    """Labels as int32 of shape [count], or a DataError that says what is wrong with them."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        raise DataError(
            f"{where} has shape {labels.shape}: expected one integer per image; "
            f"turn one-hot labels into integers with numpy.argmax(labels, axis=1)"
        )
    if labels.ndim != 1:
        raise DataError(f"{where} has shape {labels.shape}: expected one integer per image")
    if len(labels) != count:
        raise DataError(f"{where} has {len(labels)} labels for {count} images: give one per image")
    if labels.dtype.kind == "f":
        if not np.all(np.isfinite(labels)) or np.any(labels != np.floor(labels)):
            raise DataError(f"{where} holds labels that are not integers: use 0, 1, 2, ...")
    elif labels.dtype.kind not in "iu":
        raise DataError(f"{where} has data type {labels.dtype}: expected integers 0, 1, 2, ...")
    # As integers of Python: float16 knows no larger number than 65504.
    low, high = (_Label(labels.min()), _Label(labels.max())) if count else (0, 0)
    if low < 0:
        raise DataError(
            f"{where} holds the label {low}: labels must be 0 or more "
            f"(a negative label usually marks a split whose labels are not published)"
        )
    if count and num_classes is not None and high >= num_classes:
        raise DataError(
            f"{where} holds the label {high}, out of range for {num_classes} classes: "
            f"expected 0 to {num_classes - 1}"
        )
    if high > np.iinfo(np.int32).max:
        raise DataError(f"{where} holds the label {high}: use 0, 1, 2, ...")
    return labels.astype(np.int32)


class _Label(int):
    """An integer that is shown in a few digits: a float may be 10 ** 300."""

    def __format__(self, spec):
        return super().__format__(spec) if abs(self) < 2**64 else f"{float(self):g}"


def check_images(images: npt.ArrayLike, where: str) -> np.ndarray:
    """Images as uint8 [N, H, W, C] from uint8 in [0, 255] or floats in [0, 1]."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise DataError(
            f"{where} has shape {images.shape}: expected [N, height, width] or "
            f"[N, height, width, channels]"
        )
    if len(images) == 0:
        raise DataError(f"{where} is empty: give at least one image")
    if images.shape[-1] > 16 and images.shape[1] <= 4:
        raise DataError(
            f"{where} has shape {images.shape}, which looks channels first: transpose it to "
            f"[N, height, width, channels] with numpy.moveaxis(images, 1, -1)"
        )
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise DataError(
            f"{where} has data type {images.dtype}: expected uint8 in [0, 255] or floats in [0, 1]"
        )
    result = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK]
        with np.errstate(over="ignore"):  # to infinity, which is refused
            block = part.astype(np.float32)
        if not (block.min() >= 0 and block.max() <= 1):  # NaN is neither
            low, high = part.min(), part.max()
            if not (np.isfinite(low) and np.isfinite(high)):
                raise DataError(
                    f"{where} holds pixels that are not finite (NaN or infinity): clean it"
                )
            raise DataError(
                f"{where} holds floats from {low:.4g} to {high:.4g}: expected floats in [0, 1] "
                f"or uint8 in [0, 255]"
            )
        result[start : start + CHUNK] = np.rint(block * 255)
    return result


def as_floats(images: np.ndarray) -> np.ndarray:
    """uint8 images as float32 in [0, 1], to the bit as a training gets them."""
    return np.multiply(images, np.float32(1 / 255), dtype=np.float32, order="C")


def allocate(count: int, shape: Sequence[int], where: str) -> np.ndarray:
    """An uninitialised uint8 array [count, *shape], if the machine's memory can hold it."""
    sizes = "x".join(map(str, shape))
    needed = int(count) * math.prod(int(size) for size in shape)
    check_fits(needed, f"{where}: {count} images of {sizes}", "a smaller image size or a limit")
    return np.empty((count, *shape), np.uint8)


def check_fits(needed: int, what: str, instead: str) -> None:
    """Raise a DataError, before anything is read, if so many bytes are more than 80 % of memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return
    if needed > 0.8 * memory:
        raise DataError(
            f"{what} need {needed / 2**30:.1f} GiB and this machine has {memory / 2**30:.1f} GiB: "
            f"give {instead}"
        )


def to_grayscale(images: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma of RGB images, one channel, in the integer arithmetic of Pillow."""
    if images.shape[-1] == 1:
        return images
    if images.shape[-1] not in (3, 4):
        raise DataError(
            f"grayscale needs images of 1, 3 or 4 channels; these have {images.shape[-1]}"
        )
    result = np.empty((*images.shape[:-1], 1), np.uint8)
    weights = np.array([19595, 38470, 7471], np.uint32)
    for start in range(0, len(images), CHUNK):
        block = images[start : start + CHUNK, ..., :3].astype(np.uint32)
        result[start : start + CHUNK, ..., 0] = ((block * weights).sum(-1) + 32768) >> 16
    return result


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images [N, H, W, C] resized with an antialiasing triangle filter, one by one (Pillow)."""
    height, width = size
    if images.shape[1:3] == (height, width):
        return images
    from PIL import Image

    result = allocate(len(images), (height, width, images.shape[-1]), "resized")
    # Pillow takes RGB at once, and any other number of channels one by one.
    parts = [slice(None)] if images.shape[-1] == 3 else range(images.shape[-1])
    for source, target in zip(images, result, strict=True):
        for part in parts:
            image = Image.fromarray(np.ascontiguousarray(source[..., part]))
            resized = image.resize((width, height), Image.Resampling.BILINEAR)
            target[..., part] = np.asarray(resized)
    return result


def class_positions(labels: np.ndarray) -> np.ndarray:
    """Where each example stands in its own class, from 0 (first) to 1 (last).

    Example k of a class of n gets (k + 1/2) / n, so that the examples below any
    threshold are the same share of every class.
    """
    positions = np.empty(len(labels), np.float64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        positions[members] = (np.arange(len(members)) + 0.5) / len(members)
    return positions


def balanced_prefix(labels: np.ndarray, count: int | None) -> np.ndarray:
    """Indices, in stored order, of `count` examples with the class shares of the whole.

    Deterministic and nested: a smaller count selects a subset of a larger one.  None, or more than
    there are, selects all.
    """
    if count is None or count >= len(labels):
        return np.arange(len(labels))
    order = np.argsort(class_positions(labels), kind="stable")
    return np.sort(order[:count])


def stratified_split(
    labels: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(rest, chosen): `count` chosen examples with the class shares of the whole, by `rng`."""
    shuffled = rng.permutation(len(labels))
    order = shuffled[np.argsort(class_positions(labels[shuffled]), kind="stable")]
    return np.sort(order[count:]), np.sort(order[:count])


def every_fifth(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(train, test): each fifth example of every class, in stored order, is a test example.

    The split of data that come without one: fixed, free of any random generator,
    and with at least one training example of every class.
    """
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        is_test[np.flatnonzero(labels == label)[4::5]] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)
