"""Any image classification set of TensorFlow Datasets, by name, decoded into memory."""

import contextlib
import difflib
import io
import logging
import os

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError

READ_BATCH = 1000


def load_tfds(name, data_dir=None, limit=None, limit_test=None, image_size=None):
    """Read the training and test split of `name`, downloading it where TFDS can.

    With a limit only the labels are read first, and only the chosen images decoded.
    The test set is the split "test"; failing that "validation"; failing that each fifth
    image of every class of "train".
    """
    tfds = _import()
    with _quiet():
        builder = _builder(tfds, name, data_dir)
        image_key, label_key = _supervised_keys(tfds, builder, name)
        _prepare(builder, name)
        splits = builder.info.splits
        if "train" not in splits or not splits["train"].num_examples:
            raise DataError(
                f"the data set {name!r} has no training split (it has "
                f"{', '.join(splits) or 'none'}): train on another set; this one can only be evaluated"
            )
        test_split = next((key for key in ("test", "validation") if key in splits), None)
        reader = _Reader(tfds, builder, name, image_key, label_key, image_size)
        if test_split is None:
            y_all = reader.labels("train")
            train, test = arrays.every_fifth(y_all)
            if len(test) == 0:
                raise DataError(f"the data set {name!r} has too few images to split off a test set")
            test_name = "each fifth image of every class of train"
        else:
            y_all = reader.labels("train")
            train = np.arange(len(y_all))
            test_name = test_split
        train = _limited(y_all, train, limit)
        x_train = reader.images("train", len(y_all), train)
        y_train = y_all[train]
        if test_split is None:
            test = _limited(y_all, test, limit_test)
            x_test, y_test = reader.images("train", len(y_all), test), y_all[test]
        else:
            y_test = reader.labels(test_split)
            test = _limited(y_test, np.arange(len(y_test)), limit_test)
            x_test, y_test = reader.images(test_split, len(y_test), test), y_test[test]
        return {
            "x_train": x_train,
            "y_train": y_train,
            "x_test": x_test,
            "y_test": y_test,
            "class_names": list(builder.info.features[label_key].names),
            "source": {
                "kind": "tfds",
                "path": str(builder.data_dir),
                "version": str(builder.info.full_name),
                "train": "train",
                "test": test_name,
            },
        }


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
def _quiet():
    """TFDS prints, draws bars and logs tracebacks of its attempts; a library does not."""
    import tensorflow_datasets as tfds

    loggers = [logging.getLogger(key) for key in ("absl", "tensorflow", "etils")]
    levels = [logger.level for logger in loggers]
    bar_was_on = getattr(tfds.core.utils.tqdm_utils, "_active_tqdm_cls", None)
    tfds.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bar_was_on is not None:
            tfds.core.utils.tqdm_utils._active_tqdm_cls = bar_was_on


def _builder(tfds, name, data_dir):
    if data_dir is not None:
        data_dir = os.path.expanduser(os.fspath(data_dir))
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # TFDS raises many types here, some of its own
        known = sorted(tfds.list_builders(with_community_datasets=False))
        base = name.split("/")[0].split(":")[0]
        if base in known:
            raise DataError(
                f"the data set {name!r} cannot be used: {_first_line(error)}"
            ) from error
        near = difflib.get_close_matches(base.lower(), ["digits", *known], n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise DataError(
            f"unknown data set {name!r}: {hint}give 'digits', an image classification set of "
            f"TensorFlow Datasets by name (cifar10, cifar100, ...), an .npz file or a folder"
        ) from error


def _supervised_keys(tfds, builder, name):
    """The names of the image and the label feature, checked before anything is downloaded."""
    try:
        info = builder.info
        features, keys = info.features, info.supervised_keys
    except Exception as error:
        raise DataError(
            f"the data set {name!r} cannot be used: {_first_line(error)}"
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
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise DataError(refusal)
    if np.dtype(image.np_dtype) != np.uint8:
        raise DataError(
            f"the data set {name!r} has images of type {np.dtype(image.np_dtype)}; only uint8 images "
            f"can be used: convert it to an .npz file with floats in [0, 1]"
        )
    return keys


def _prepare(builder, name):
    if builder.is_prepared():
        return
    try:
        builder.download_and_prepare()
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise DataError(
            f"the data set {name!r} is not in {builder.data_dir} and could not be downloaded "
            f"({_first_line(error)}): connect to the network, or prepare it elsewhere with "
            f"'tfds build {name}' and point --data-dir (data_dir) to it, or use an .npz file"
        ) from error


class _Reader:
    """Reads one feature of a split in stored order; every failure is a DataError."""

    def __init__(self, tfds, builder, name, image_key, label_key, image_size):
        self.tfds = tfds
        self.builder = builder
        self.name = name
        self.image_key = image_key
        self.label_key = label_key
        self.image_size = image_size
        self.num_classes = builder.info.features[label_key].num_classes

    def labels(self, split):
        import tensorflow as tf

        with self._errors():
            data = self._dataset(split, self.label_key, {})
            count = self.builder.info.splits[split].num_examples
            blocks = list(data.batch(20 * READ_BATCH).prefetch(tf.data.AUTOTUNE).as_numpy_iterator())
            labels = np.concatenate(blocks) if blocks else np.zeros(0, np.int64)
            if len(labels) != count:
                raise DataError(
                    f"the data set {self.name!r} holds {len(labels)} of {count} {split} examples: "
                    f"remove {self.builder.data_dir} and prepare it again"
                )
        where = f"the {split} split of {self.name!r}"
        return arrays.check_labels(labels, len(labels), where, self.num_classes)

    def images(self, split, count, chosen):
        """The images of the sorted indices `chosen` of a split of `count`."""
        import tensorflow as tf

        feature = self.builder.info.features[self.image_key]
        height, width, channels = feature.shape
        partial = len(chosen) < count
        with self._errors():
            decoders = {self.image_key: self.tfds.decode.SkipDecoding()} if partial else {}
            data = self._dataset(split, self.image_key, decoders)
            if partial:
                wanted = np.zeros(count, bool)
                wanted[chosen] = True
                wanted = tf.constant(wanted)
                last = int(chosen[-1]) + 1 if len(chosen) else 0
                data = data.take(last).enumerate().filter(lambda index, _: wanted[index])
                data = data.map(
                    lambda _, encoded: feature.decode_example(encoded),
                    num_parallel_calls=tf.data.AUTOTUNE,
                )
            if self.image_size is not None and (height, width) != tuple(self.image_size):
                size = self.image_size

                def shrink(image):
                    resized = tf.image.resize(image, size, method="bilinear", antialias=True)
                    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)

                data = data.map(shrink, num_parallel_calls=tf.data.AUTOTUNE)
            images, filled = None, 0
            batches = data.batch(READ_BATCH).prefetch(tf.data.AUTOTUNE)
            for block in batches.as_numpy_iterator():
                if images is None:
                    images = arrays.allocate(len(chosen), block.shape[1:], f"{self.name!r}")
                images[filled : filled + len(block)] = block
                filled += len(block)
            if images is None:
                size = self.image_size or (height or 1, width or 1)
                return np.zeros((0, *size, channels or 3), np.uint8)
            return images

    def _dataset(self, split, key, decoders):
        features = self.builder.info.features
        partial = self.tfds.decode.PartialDecoding({key: features[key]}, decoders=decoders or None)
        data = self.builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=partial,
            read_config=self.tfds.ReadConfig(try_autocache=False, add_tfds_id=False),
        )
        return data.map(lambda example: example[key])

    @contextlib.contextmanager
    def _errors(self):
        try:
            yield
        except DataError:
            raise
        except Exception as error:
            text = str(error)
            if "different shapes" in text or "Cannot batch" in text or "could not broadcast" in text:
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
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
