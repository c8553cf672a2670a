"""Any image classification set of TensorFlow Datasets, by name, in memory or streamed."""

import contextlib
import difflib
import logging
import os
import pathlib
import sys
import types
from typing import Any

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError, first_line, show
from spectral_keras.data.files import open_regular
from spectral_keras.data.left_out import LeftOut
from spectral_keras.data.streamed import streams
from spectral_keras.data.tfds_reader import Reader, StreamedReader
from spectral_keras.logs import quiet, redirecting

__all__ = ["find_builder", "import_tfds", "load_tfds", "open_builder"]

# Known to have no training split; others are found out once they are prepared.
EVALUATION_ONLY = frozenset(
    [
        "cifar10_1",
        "cifar10_corrupted",
        "cifar10_h",
        "imagenet2012_corrupted",
        "imagenet_a",
        "imagenet_r",
        "imagenet_sketch",
        "imagenet_v2",
    ]
)


def load_tfds(
    name: str,
    data_dir: str | os.PathLike | None = None,
    limit: int | None = None,
    limit_test: int | None = None,
    image_size: tuple[int, int] | None = None,
    stream: bool | str = False,
    stream_above: int | None = None,
) -> dict[str, Any]:
    """Read the training and test split of `name`, downloading it where TFDS can.

    With a limit only the labels are read first, and only the chosen images decoded.
    The test set is the split "test"; failing that "validation"; failing that each fifth
    image of every class of "train". Streamed, the same images are chosen, and stay in their files.
    """
    tfds = import_tfds()
    builder, keys = open_builder(tfds, name, data_dir, training=True)
    splits = builder.info.splits
    test_split = next((key for key in ("test", "validation") if key in splits), None)
    left_out = LeftOut(f"the data set {name!r}")
    others = [key for key in sorted(splits) if key not in ("train", test_split)]
    left_out.add("splits that are not read", (key for key in others if splits[key].num_examples))
    with quiet("absl", logging.CRITICAL):  # attempts, and deprecations of TFDS' own
        reader, streamed, how = _choose_reader(
            (tfds, builder, name, *keys, image_size),
            [("train", limit)] + ([(test_split, limit_test)] if test_split else []),
            stream,
            stream_above,
        )
        if test_split is None:
            labels = reader.labels("train")
            train, test = arrays.every_fifth(labels)
            train = train[arrays.balanced_prefix(labels[train], limit)]
            test = test[arrays.balanced_prefix(labels[test], limit_test)]
            both = [reader.chosen("train", labels, chosen) for chosen in (train, test)]
        else:
            both = [reader.limited("train", limit), reader.limited(test_split, limit_test)]
        if not streamed:
            both = [(np.asarray(images), labels) for images, labels in both]
    source = {
        "kind": "tfds",
        "path": str(builder.data_dir),
        "version": str(builder.info.full_name),
        "test": test_split or "each fifth image of every class of train",
        "stream": how,
        **left_out.report(4),
    }
    class_names = list(builder.info.features[keys[1]].names)
    return arrays.parts(both[0], both[1], class_names, source)


def _choose_reader(arguments, parts, stream, above):
    """(reader, whether to stream, what `Dataset.source` says about it)."""
    _, builder, name, *_ = arguments
    file_format = getattr(builder.info.file_format, "value", None)
    if file_format not in ("tfrecord", "array_record") or _is_remote(builder):
        if stream is True:
            raise DataError(
                f"the data set {name!r} in {builder.data_dir} cannot be streamed: that needs "
                f"TFRecord or ArrayRecord files in a local folder"
            )
        stream = False
    splits = builder.info.splits
    counts = [splits[split].num_examples for split, _ in parts]
    count = sum(
        n if limit is None else min(n, limit) for n, (_, limit) in zip(counts, parts, strict=True)
    )
    # tf.data cannot read ArrayRecord.
    reader = (StreamedReader if file_format == "array_record" else Reader)(*arguments)
    streamed, how = streams(stream, above, count, reader.shape(parts[0][0]))
    if streamed:
        reader = StreamedReader(*arguments)
    shards = sum(splits[split].num_shards for split, _ in parts)
    return reader, streamed, how | {"format": file_format, "shards": shards}


def import_tfds() -> types.ModuleType:
    """`tensorflow_datasets`, or a DataError that says how to install it."""
    try:
        import tensorflow as tf
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataError(
            f"data sets by name need tensorflow and tensorflow-datasets ({error}): "
            f"pip install tensorflow tensorflow-datasets, or use 'digits', an .npz file or a folder"
        ) from error
    import keras

    if keras.backend.backend() != "tensorflow":
        # TensorFlow only decodes here: it must not take the accelerator from JAX or PyTorch.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tfds


def open_builder(
    tfds: types.ModuleType, name: str, data_dir: str | os.PathLike | None, training: bool
) -> tuple[Any, tuple[str, str]]:
    """The builder of an image classification set, which is downloaded and prepared if need be.

    Args:
        tfds: what `import_tfds` returns.
        name: of the data set, with its configuration or version.
        data_dir: where TFDS keeps its files; its own default if None.
        training: refuse a set without a training split.

    Returns:
        (builder, names of its image and its label feature).

    Raises:
        DataError: if there is no such set, or it cannot be downloaded or used.
    """
    with quiet("absl", logging.CRITICAL):  # attempts, and deprecations of TFDS' own
        builder = find_builder(tfds, name, data_dir)
        keys = _supervised_keys(tfds, builder, name)
        if training and builder.name in EVALUATION_ONLY:
            raise _no_training_split(name)
        _prepare(builder, name)
    splits = builder.info.splits
    if training and ("train" not in splits or not splits["train"].num_examples):
        raise _no_training_split(name)
    if not _is_remote(builder):
        for path in (path for split in splits.values() for path in split.filepaths):
            try:
                open_regular(path).close()
            except OSError as error:
                raise DataError(
                    f"the data set {name!r} in {builder.data_dir} cannot be read ({error}): remove "
                    f"that folder and prepare it again"
                ) from error
    return builder, keys


def _is_remote(builder):
    return "://" in str(builder.data_dir)


def _no_training_split(name):
    return DataError(
        f"the data set {name!r} has no training split, only images for evaluation: "
        f"train on the set that it belongs to (for cifar10_corrupted: cifar10)"
    )


def find_builder(tfds: types.ModuleType, name: str, data_dir: str | os.PathLike | None) -> Any:
    """The builder of a data set, which need not be prepared, or a DataError that says what is."""
    if data_dir is not None:
        data_dir = os.path.expanduser(os.fspath(data_dir))
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # TFDS raises many types here, some of its own
        raise _unusable_name(tfds, name, error) from error


def _unusable_name(tfds, name, error):
    known = sorted(tfds.list_builders(with_community_datasets=False))
    base, _, config = name.split(":")[0].partition("/")
    if base not in known:
        folder = " (the folder of that name holds no class folders with images)"
        return DataError(
            f"unknown data set {show(name)}{folder if os.path.isdir(name) else ''}: "
            f"{_did_you_mean(base.lower(), ['digits', *known])}"
            f"give 'digits', an image classification set of TensorFlow Datasets by name "
            f"(cifar10, cifar100, ...), an .npz file or a folder, by its path or by its name in "
            f"data_dir (--data-dir)"
        )
    configs = list(tfds.builder_cls(base).builder_configs)
    if config and config not in configs:
        some = f"choose one of {', '.join(configs[:8])}{', ...' if len(configs) > 8 else ''}"
        return DataError(
            f"the data set {base!r} has no configuration {show(config)}: "
            f"{_did_you_mean(config, configs)}{some if configs else f'write {base}'}"
        )
    return DataError(
        f"the data set {show(name)} cannot be used ({first_line(error)}): "
        f"write name, name/configuration or name:version"
    )


def _did_you_mean(word, choices):
    near = difflib.get_close_matches(word, choices, n=3, cutoff=0.7)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


def _supervised_keys(tfds, builder, name):
    """The names of the image and the label feature, checked before anything is downloaded."""
    try:
        info = builder.info
        features, keys = info.features, info.supervised_keys
    except Exception as error:
        raise DataError(
            f"the data set {name!r} cannot be used ({first_line(error)}): choose another one"
        ) from error
    refusal = (
        f"the data set {name!r} is not an image classification set "
        f"(one image and one class label each): choose another one"
    )
    if not keys or len(keys) != 2 or not all(isinstance(key, str) for key in keys):
        keys = ("image", "label")
    try:
        image, label = features[keys[0]], features[keys[1]]
    except (KeyError, TypeError) as error:
        raise DataError(refusal) from error
    if not (isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel)):
        raise DataError(refusal)
    if np.dtype(image.np_dtype) != np.uint8:
        raise DataError(
            f"the data set {name!r} has images of type {np.dtype(image.np_dtype)}, not uint8: "
            f"convert it to an .npz file with floats in [0, 1]"
        )
    return keys


def _prepare(builder, name):
    """Download and prepare, with TFDS' own progress bars, or say how to get the data."""
    try:
        if builder.is_prepared():
            return
        with redirecting, contextlib.redirect_stdout(sys.stderr):  # the lines beside the bars
            builder.download_and_prepare()
    except Exception as error:
        _remove_empty_folders(builder)
        if isinstance(error, AssertionError) and "Manual directory" in str(error):
            raise DataError(
                f"the data set {name!r} must be downloaded by hand (see "
                f"https://www.tensorflow.org/datasets/catalog/{builder.name}) and prepared with "
                f"'tfds build {name}': then point data_dir (--data-dir) to it"
            ) from error
        raise DataError(
            f"the data set {name!r} is not in {builder.data_dir} and could not be downloaded "
            f"({first_line(error)}): connect to the network, or prepare it elsewhere with "
            f"'tfds build {name}' and point data_dir (--data-dir) to it, or use an .npz file"
        ) from error


def _remove_empty_folders(builder):
    """Remove the empty folders that a failed preparation leaves; files stay."""
    root = pathlib.Path(builder.data_dir_root)
    downloads, folder = root / "downloads", pathlib.Path(builder.data_dir)
    for top in (downloads / builder.name, downloads / "extracted"):
        for path, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
    candidates = [downloads]
    while root in folder.parents:
        candidates.append(folder)
        folder = folder.parent
    for path in candidates:
        with contextlib.suppress(OSError):
            path.rmdir()
