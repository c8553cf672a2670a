"""`load`: an image classification data set by name, file or folder, split and checked."""

import dataclasses
import math
import numbers
import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.digits import load_digits
from spectral_keras.data.errors import DataError, DataWarning, refused
from spectral_keras.data.folder import is_class_folder, load_folder
from spectral_keras.data.npz import load_npz
from spectral_keras.data.planted import load_planted
from spectral_keras.data.streamed import StreamedImages
from spectral_keras.data.tfds import load_tfds
from spectral_keras.ops.validation import describe

__all__ = ["Dataset", "load"]

_PLANTED = {"planted": "radial", "planted_oriented": "oriented"}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test images, in memory or streamed.

    Attributes:
        name: the name that was asked for.
        x_train, x_validation, x_test: uint8 arrays of shape `[N, height, width, channels]`, or
            `StreamedImages`, which give such arrays when they are indexed.
        y_train, y_validation, y_test: int32 arrays of shape `[N]`, from 0 to `num_classes - 1`.
        class_names: list of `num_classes` strings.
        source: dict that says where the data came from and how they were split (JSON plain).
    """

    name: str
    x_train: np.ndarray | StreamedImages
    y_train: np.ndarray
    x_validation: np.ndarray | StreamedImages
    y_validation: np.ndarray
    x_test: np.ndarray | StreamedImages
    y_test: np.ndarray
    class_names: list[str]
    source: dict[str, Any]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        height, width, channels = self.x_train.shape[1:]
        return int(height), int(width), int(channels)


def load(
    name: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    limit: int | None = None,
    limit_test: int | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    image_size: int | Sequence[int] | None = None,
    grayscale: bool = False,
    stream: bool | Literal["auto"] = False,
    stream_above: int | None = None,
) -> Dataset:
    """Load an image classification data set.

    Where Keras is not on TensorFlow, the first set by name hides GPUs from TensorFlow for the whole
    process: it only decodes, and would take their memory.

    Args:
        name: `"digits"` (scikit-learn's scans as 32x32x1; no download); `"planted"` or
            `"planted_oriented"` (synthetic textures as 32x32x1 whose classes differ in known
            frequency bands, see `spectral_keras.data.planted`); an image classification set of
            TensorFlow Datasets (`"cifar10"`, `"cifar100"`, ...); the
            path of an `.npz` file with `x_train`, `y_train`, `x_test`, `y_test` (uint8 in
            [0, 255], or floats in [0, 1], which are rounded to 256 levels); or a folder of
            class folders of images, with or without `train/` and `test/` above them (PNG, JPEG,
            BMP, WebP or GIF, also in sub-folders of a class; turned upright as their EXIF
            orientation says). Data without a test set give a fifth of every class to it, always
            the same one.
        data_dir: where TensorFlow Datasets keeps its files; its own default if None.  A file
            `NAME.npz` there goes before them: the data set NAME without TensorFlow.  A file or
            folder that is not at the path `name` is looked for here by its last name.
        limit: use only so many training images (before the validation split), with the
            class shares of the whole; always the same ones.
        limit_test: the same for the test set.
        validation_fraction: share of the training images set aside, in `[0, 1)`; 0 gives
            an empty validation set. The test set is never touched for it.
        seed: seed of the validation split.
        image_size: integer or pair (height, width); resizes with an antialiasing filter.
            Needed where images differ in size.
        grayscale: True turns colour images into one channel (ITU-R 601 luma).
        stream: False reads all images into memory. True leaves them in their files: what is read
            is where each of them lies, and their labels; `Batches` then decodes them ahead in
            threads. `"auto"` streams a folder or a TFDS set whose images, decoded, would take
            more than `stream_above` bytes. Either way the images, their order and the splits are
            the same, to the last bit. TFDS sets need TFRecord (or ArrayRecord) files in a local
            folder for it; `.npz` files and the synthetic sets are always read.
        stream_above: bytes; None means a quarter of the memory that is available.

    Returns:
        A `Dataset`.

    Raises:
        DataError: whatever stands between the name and usable images, in one line that
            says what to do.

    Warns:
        DataWarning: a line that says what of a folder, an `.npz` file or a TFDS set (splits) is
            not used, and why; `source["left_out"]` keeps it.

    Example:

    ```python
    from spectral_keras.data import load

    digits = load("digits", validation_fraction=0.1, seed=0)
    digits.input_shape, digits.num_classes, len(digits.x_test)
    ```
    """
    name = _check_name(name)
    limit = arrays.check_limit("limit", limit)
    limit_test = arrays.check_limit("limit_test", limit_test)
    if (
        isinstance(validation_fraction, bool)
        or not isinstance(validation_fraction, numbers.Real)
        or not 0 <= validation_fraction < 1
    ):
        raise refused("validation_fraction", "a number in [0, 1)", validation_fraction)
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise refused("seed", "an integer of at least 0", seed)
    image_size = _check_image_size(image_size)
    arrays.check_data_dir(data_dir)
    if not isinstance(grayscale, bool):
        raise refused("grayscale", "True or False", grayscale)
    if not isinstance(stream, (bool, str)) or stream not in (True, False, "auto"):
        raise refused("stream", "True, False or 'auto'", stream)
    stream_above = arrays.check_limit("stream_above", stream_above)
    streaming = {"stream": stream, "stream_above": stream_above}
    try:
        with warnings.catch_warnings():
            # What Pillow cannot read is an error; of what it can, it warns of sizes and of EXIF.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            parts = _read(name, data_dir, limit, limit_test, image_size, grayscale, streaming)
        copies = 2 if validation_fraction else 1
        parts = _limit_and_convert(parts, limit, limit_test, image_size, grayscale, copies)
    except MemoryError as error:
        raise DataError(
            f"{name!r} does not fit into memory: give a limit or a smaller image size"
        ) from error
    except OSError as error:
        raise DataError(f"{name!r} cannot be read ({error}): check the path") from error
    return _split(name, parts, limit, limit_test, float(validation_fraction), int(seed))


def _check_name(name):
    if not isinstance(name, (str, os.PathLike)) or not os.fspath(name):
        raise DataError(
            "the data set must be a name, an .npz file or a folder. Received: "
            f"name={describe(name)}"
        )
    name = os.fspath(name)
    if "\0" in name:
        raise DataError(
            f"the data set name holds a null character. Received: name={describe(name)}"
        )
    return name


def _check_image_size(value):
    if value is None:
        return None
    pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(pair) != 2 or any(
        isinstance(size, bool) or not isinstance(size, numbers.Integral) or size < 1
        for size in pair
    ):
        raise refused("image_size", "a positive integer or a pair of them", value)
    return int(pair[0]), int(pair[1])


def _read(name, data_dir, limit, limit_test, image_size, grayscale, streaming):
    """Choose the reader by what `name` is: digits, planted, file, folder, or a TFDS name."""
    if streaming["stream"] is True and (
        name == "digits" or name in _PLANTED or name.lower().endswith(".npz")
    ):
        raise DataError(
            f"{name!r} cannot be streamed: only folders of class folders and TFDS sets can"
        )
    if name == "digits":
        return load_digits()
    if name in _PLANTED:
        variant = _PLANTED[name]
        return load_planted(variant, limit=limit, limit_test=limit_test, size=image_size)
    data_dir = None if data_dir is None else os.path.expanduser(data_dir)
    name = _where(name, data_dir)
    path = os.path.expanduser(name)
    if name.lower().endswith(".npz"):
        return load_npz(name)
    if os.path.isdir(path) and (_looks_like_path(name) or is_class_folder(path)):
        return load_folder(name, limit, limit_test, image_size, grayscale, **streaming)
    if os.path.isfile(path):
        raise DataError(f"{name} is neither an .npz file nor a folder: convert it to .npz")
    if _looks_like_path(name):
        raise DataError(f"no such file or folder: {name}: give an .npz file or a folder of classes")
    if data_dir is not None and os.path.isfile(file := os.path.join(data_dir, f"{name}.npz")):
        return load_npz(file)
    return load_tfds(name, data_dir, limit, limit_test, image_size, **streaming)


def _looks_like_path(name):
    return name.startswith((".", "~")) or name.endswith(os.sep) or os.path.isabs(name)


def _where(name, data_dir):
    """The path `name`, or where it is now: a run knows its data by a path, and they may move."""
    path = os.path.expanduser(name)
    last = os.path.basename(os.path.normpath(path))
    if data_dir is None or os.path.exists(path) or last in ("", os.curdir, os.pardir):
        return name
    moved = os.path.join(data_dir, last)
    is_npz = name.lower().endswith(".npz")
    if os.path.isfile(moved) if is_npz else is_class_folder(moved):
        warnings.warn(f"{name} is not there: {moved} is taken", DataWarning, stacklevel=4)
        return moved
    if is_npz:
        raise DataError(f"no such file: {name}, nor {last} in {data_dir}")
    return name


def _limit_and_convert(parts, limit, limit_test, image_size, grayscale, copies):
    """`copies` of the training images are in memory when they are split."""
    for part, count in (("train", limit), ("test", limit_test)):
        images, labels = parts[f"x_{part}"], parts[f"y_{part}"]
        if isinstance(images, StreamedImages):  # chosen and resized already
            parts[f"x_{part}"] = images.as_grayscale() if grayscale else images
            continue
        if count is not None and count < len(labels):
            chosen = arrays.balanced_prefix(labels, count)
            images, labels = images[chosen], labels[chosen]
        if grayscale:
            images = arrays.to_grayscale(images)
        parts[f"x_{part}"], parts[f"y_{part}"] = images, labels
    if image_size is not None:
        _resize(parts, image_size, copies)
    return parts


def _resize(parts, size, copies):
    names = [x for x in ("x_train", "x_test") if not isinstance(parts[x], StreamedImages)]
    counts = [len(parts[x]) * (copies if x == "x_train" else 1) for x in names]
    needed = sum(n * parts[x].shape[-1] for n, x in zip(counts, names, strict=True))
    what = f"images of {size[0]}x{size[1]}"
    arrays.check_fits(math.prod(size) * needed, what, "a smaller image size or a limit")
    for x in names:
        parts[x] = arrays.resize(parts[x], size)


def _split(name, parts, limit, limit_test, fraction, seed):
    x_train, y_train = parts["x_train"], parts["y_train"]
    class_names = parts["class_names"]
    if len(class_names) < 2:
        raise DataError(f"{name!r} has only one class: classification needs at least two")
    for part in ("train", "test"):
        if len(parts[f"y_{part}"]) == 0:
            raise DataError(f"{name!r} has no {part} images: choose another data set")
    present = len(np.unique(y_train))
    if present < 2:
        hint = "raise the limit" if limit is not None else "classification needs at least two"
        raise DataError(f"the training images of {name!r} are all of one class: {hint}")
    count = int(np.floor(len(y_train) * fraction + 0.5))
    if fraction > 0 and (count == 0 or count >= len(y_train)):
        raise DataError(
            f"{len(y_train)} training images of {name!r} are too few for a validation share of "
            f"{fraction:g}: raise the limit or set validation_fraction to 0"
        )
    train, validation = arrays.stratified_split(y_train, count, np.random.default_rng(seed))
    # Without a validation set the arrays stay as they are, and nothing is copied.
    take = x_train.subset if isinstance(x_train, StreamedImages) else x_train.__getitem__
    x_rest = take(train) if count else x_train
    source = dict(parts["source"])
    source.update(
        train_images=len(train),
        validation_images=len(validation),
        test_images=len(parts["y_test"]),
        limit=limit,
        limit_test=limit_test,
        validation_fraction=fraction,
        split_seed=seed,
    )
    return Dataset(
        name=name,
        x_train=x_rest,
        y_train=y_train[train],
        x_validation=take(validation),
        y_validation=y_train[validation],
        x_test=parts["x_test"],
        y_test=parts["y_test"],
        class_names=class_names,
        source=source,
    )
