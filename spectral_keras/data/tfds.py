"""Any image classification set of TensorFlow Datasets, by name, decoded into memory."""

import contextlib
import difflib
import io
import logging
import os
import pathlib
import re
import urllib.parse
import warnings

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError, shown

READ_BATCH = 1000
PROBE_SECONDS = 5
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


def load_tfds(name, data_dir=None, limit=None, limit_test=None, image_size=None):
    """Read the training and test split of `name`, downloading it where TFDS can.

    With a limit only the labels are read first, and only the chosen images decoded.
    The test set is the split "test"; failing that "validation"; failing that each fifth
    image of every class of "train".
    """
    tfds = _import()
    with _quiet(tfds):
        builder = _builder(tfds, name, data_dir)
        keys = _supervised_keys(tfds, builder, name)
        if builder.name in EVALUATION_ONLY:
            raise _no_training_split(name)
        _prepare(builder, name)
        splits = builder.info.splits
        if "train" not in splits or not splits["train"].num_examples:
            raise _no_training_split(name)
        reader = _Reader(tfds, builder, name, *keys, image_size)
        test_split = next((key for key in ("test", "validation") if key in splits), None)
        if test_split is None:
            labels = reader.labels("train")
            train, test = arrays.every_fifth(labels)
            x_train, y_train = reader.chosen("train", labels, _limited(labels, train, limit))
            x_test, y_test = reader.chosen("train", labels, _limited(labels, test, limit_test))
        else:
            x_train, y_train = reader.limited("train", limit)
            x_test, y_test = reader.limited(test_split, limit_test)
        return {
            "x_train": x_train,
            "y_train": y_train,
            "x_test": x_test,
            "y_test": y_test,
            "class_names": list(builder.info.features[keys[1]].names),
            "source": {
                "kind": "tfds",
                "path": str(builder.data_dir),
                "version": str(builder.info.full_name),
                "test": test_split or "each fifth image of every class of train",
            },
        }


def _no_training_split(name):
    return DataError(
        f"the data set {name!r} has no training split, only images for evaluation: "
        f"train on the set that it belongs to (for cifar10_corrupted: cifar10)"
    )


def _import():
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


@contextlib.contextmanager
def _quiet(tfds):
    """TFDS prints, draws bars and logs tracebacks of its attempts; a library does not."""
    loggers = [logging.getLogger(key) for key in ("absl", "tensorflow", "etils")]
    levels = [logger.level for logger in loggers]
    tfds.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _builder(tfds, name, data_dir):
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
        return DataError(
            f"unknown data set {shown(name)}: {_did_you_mean(base.lower(), ['digits', *known])}"
            f"give 'digits', an image classification set of TensorFlow Datasets by name "
            f"(cifar10, cifar100, ...), an .npz file or a folder"
        )
    configs = list(tfds.builder_cls(base).builder_configs)
    if config and config not in configs:
        some = f"choose one of {', '.join(configs[:8])}{', ...' if len(configs) > 8 else ''}"
        return DataError(
            f"the data set {base!r} has no configuration {shown(config)}: "
            f"{_did_you_mean(config, configs)}{some if configs else f'write {base}'}"
        )
    return DataError(
        f"the data set {shown(name)} cannot be used ({_first_line(error)}): "
        f"write name, name/configuration or name:version"
    )


def _did_you_mean(word, choices):
    near = difflib.get_close_matches(word, choices, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


def _supervised_keys(tfds, builder, name):
    """The names of the image and the label feature, checked before anything is downloaded."""
    try:
        info = builder.info
        features, keys = info.features, info.supervised_keys
    except Exception as error:
        raise DataError(
            f"the data set {name!r} cannot be used ({_first_line(error)}): choose another one"
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
    """Download and prepare, or say how to get the data; a failure is quick and leaves no litter."""
    try:
        from tensorflow_datasets.core.download import downloader
    except ImportError:  # a private module: without it a failure only takes longer
        downloader = None
    retries = getattr(downloader, "MAX_RETRIES", None)
    try:
        if builder.is_prepared():
            return
        unreachable = _unreachable_host(builder)
        if unreachable and retries is not None:
            # TFDS would repeat every request for minutes. What was downloaded before still counts.
            downloader.MAX_RETRIES = 0
        builder.download_and_prepare()
    except Exception as error:
        _remove_empty_folders(builder)
        if isinstance(error, AssertionError) and "Manual directory" in str(error):
            raise DataError(
                f"the data set {name!r} must be downloaded by hand (see "
                f"https://www.tensorflow.org/datasets/catalog/{builder.name}) and prepared with "
                f"'tfds build {name}': then point data_dir (--data-dir) to it"
            ) from error
        reason = f"no connection to {unreachable}" if unreachable else _first_line(error)
        raise DataError(
            f"the data set {name!r} is not in {builder.data_dir} and could not be downloaded "
            f"({reason}): connect to the network, or prepare it elsewhere with 'tfds build {name}' "
            f"and point data_dir (--data-dir) to it, or use an .npz file"
        ) from error
    finally:
        if retries is not None:
            downloader.MAX_RETRIES = retries


def _unreachable_host(builder):
    """The host of the data set's files if it does not answer at all, else None."""
    import requests

    url = next((url for url in builder.url_infos or () if url.startswith("http")), None)
    if url is None:
        return None
    try:
        # Any answer will do, also an error; a proxy of the environment is used.
        requests.head(url, timeout=PROBE_SECONDS).close()
    except requests.exceptions.ReadTimeout:
        return None
    except requests.exceptions.RequestException:
        return urllib.parse.urlsplit(url).hostname
    return None


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


class _Reader:
    """Reads images and labels of a split in stored order; every failure is a DataError."""

    def __init__(self, tfds, builder, name, image_key, label_key, image_size):
        self.tfds = tfds
        self.builder = builder
        self.name = name
        self.image_key = image_key
        self.label_key = label_key
        self.image_size = image_size

    def limited(self, split, limit):
        """(images, labels) of a split, or of the class-balanced part of it within `limit`."""
        if limit is None or limit >= self._count(split):
            with self._errors():
                data = self._dataset(split, (self.image_key, self.label_key))
                return self._collect(self._resized(data), split, self._count(split))
        labels = self.labels(split)
        return self.chosen(split, labels, arrays.balanced_prefix(labels, limit))

    def labels(self, split):
        """The labels alone, without decoding an image."""
        import tensorflow as tf

        with self._errors():
            data = self._dataset(split, (self.label_key,)).batch(READ_BATCH)
            blocks = [block for (block,) in data.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()]
            labels = np.concatenate(blocks) if blocks else np.zeros(0, np.int64)
        return self._checked_labels(labels, split, self._count(split))

    def chosen(self, split, labels, indices):
        """(images, labels) of the given sorted indices; only these images are decoded."""
        import tensorflow as tf

        feature = self.builder.info.features[self.image_key]
        wanted = np.zeros(len(labels), bool)
        wanted[indices] = True
        with self._errors():
            wanted = tf.constant(wanted)
            data = self._dataset(split, (self.image_key, self.label_key), decode=False)
            data = data.take(int(indices[-1]) + 1 if len(indices) else 0)
            data = data.enumerate().filter(lambda index, _: wanted[index])
            data = data.map(
                lambda _, example: (feature.decode_example(example[0]), example[1]),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            return self._collect(self._resized(data), split, len(indices))

    def _count(self, split):
        return self.builder.info.splits[split].num_examples

    def _dataset(self, split, keys, decode=True):
        """A tf.data.Dataset of tuples of the given features, and no others decoded."""
        features = self.builder.info.features
        skip = None if decode else {self.image_key: self.tfds.decode.SkipDecoding()}
        data = self.builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=self.tfds.decode.PartialDecoding(
                {key: features[key] for key in keys}, decoders=skip
            ),
            read_config=self.tfds.ReadConfig(try_autocache=False),
        )
        return data.map(lambda example: tuple(example[key] for key in keys))

    def _resized(self, data):
        import tensorflow as tf

        size = self.image_size
        stored = tuple(self.builder.info.features[self.image_key].shape[:2])
        if size is None or stored == tuple(size):
            return data

        def resize(image, label):
            image = tf.image.resize(image, size, method="bilinear", antialias=True)
            return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8), label

        return data.map(resize, num_parallel_calls=tf.data.AUTOTUNE)

    def _collect(self, data, split, count):
        import tensorflow as tf

        images, labels, filled = None, np.zeros(count, np.int64), 0
        batches = data.batch(READ_BATCH).prefetch(tf.data.AUTOTUNE)
        for image_block, label_block in batches.as_numpy_iterator():
            if images is None:
                images = arrays.allocate(count, image_block.shape[1:], repr(self.name))
            stop = filled + len(image_block)
            if stop <= count:
                images[filled:stop], labels[filled:stop] = image_block, label_block
            filled = stop
        if images is None:
            images = np.zeros((0, 1, 1, 1), np.uint8)
        return images, self._checked_labels(labels, split, filled)

    def _checked_labels(self, labels, split, found):
        if found != len(labels) or found == 0:
            raise DataError(
                f"the {split} split of {self.name!r} in {self.builder.data_dir} is not complete: "
                f"remove that folder and prepare it again"
            )
        num_classes = self.builder.info.features[self.label_key].num_classes
        where = f"the {split} split of {self.name!r}"
        return arrays.check_labels(labels, len(labels), where, num_classes)

    @contextlib.contextmanager
    def _errors(self):
        try:
            yield
        except DataError:
            raise
        except Exception as error:
            text = str(error)
            if "Cannot batch" in text or "could not broadcast" in text:
                raise DataError(
                    f"the images of {self.name!r} have different sizes: give image_size "
                    f"to resize them all"
                ) from error
            raise DataError(
                f"the data set {self.name!r} in {self.builder.data_dir} cannot be read "
                f"({_first_line(error)}): remove that folder and prepare it again"
            ) from error


def _limited(labels, indices, limit):
    if limit is None or limit >= len(indices):
        return indices
    return indices[arrays.balanced_prefix(labels[indices], limit)]


def _first_line(error):
    text = re.sub(r"^Failed to construct dataset .*?}\": ", "", str(error).strip())
    lines = text.splitlines()
    return lines[0][:200].rstrip(". ") if lines else type(error).__name__
