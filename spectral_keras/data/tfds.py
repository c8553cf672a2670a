"""Any image classification set of TensorFlow Datasets, by name, in memory or streamed."""

import concurrent.futures
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
from spectral_keras.data.decode import MODES, decode, described
from spectral_keras.data.errors import DataError, shown
from spectral_keras.data.records import ArrayRecords, RecordError, TFRecords, interleaved
from spectral_keras.data.streamed import StreamedImages, different_sizes, streams

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


def load_tfds(
    name,
    data_dir=None,
    limit=None,
    limit_test=None,
    image_size=None,
    stream=False,
    stream_above=None,
):
    """Read the training and test split of `name`, downloading it where TFDS can.

    With a limit only the labels are read first, and only the chosen images decoded.
    The test set is the split "test"; failing that "validation"; failing that each fifth
    image of every class of "train". Streamed, the same images are chosen, and stay in their files.
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
        test_split = next((key for key in ("test", "validation") if key in splits), None)
        reader, streamed, how = _choose_reader(
            (tfds, builder, name, *keys, image_size),
            [("train", limit)] + ([(test_split, limit_test)] if test_split else []),
            stream,
            stream_above,
        )
        if test_split is None:
            labels = reader.labels("train")
            train, test = arrays.every_fifth(labels)
            x_train, y_train = reader.chosen("train", labels, _limited(labels, train, limit))
            x_test, y_test = reader.chosen("train", labels, _limited(labels, test, limit_test))
        else:
            x_train, y_train = reader.limited("train", limit)
            x_test, y_test = reader.limited(test_split, limit_test)
        if not streamed:
            x_train, x_test = np.asarray(x_train), np.asarray(x_test)
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
                "stream": how,
            },
        }


def _choose_reader(arguments, parts, stream, above):
    """(reader, whether to stream, what `Dataset.source` says about it)."""
    tfds, builder, name, *_ = arguments
    records = {"tfrecord": TFRecords, "array_record": ArrayRecords}.get(
        getattr(builder.info.file_format, "value", None)
    )
    remote = "://" in str(builder.data_dir)
    if stream is True and (records is None or remote):
        raise DataError(
            f"the data set {name!r} in {builder.data_dir} cannot be streamed: that needs TFRecord "
            f"or ArrayRecord files in a local folder"
        )
    if records is None or remote:
        stream = False
    reader = _Reader(*arguments)
    if stream is not False or records is ArrayRecords:
        reader = _StreamedReader(*arguments, records=records)
    counts = [builder.info.splits[split].num_examples for split, _ in parts]
    limits = [limit for _, limit in parts]
    count = sum(
        min(n, n if limit is None else limit) for n, limit in zip(counts, limits, strict=True)
    )
    streamed, how = streams(stream, above, count, reader.shape(parts[0][0]))
    if not streamed and records is TFRecords:
        reader = _Reader(*arguments)
    shards = sum(builder.info.splits[split].num_shards for split, _ in parts)
    return reader, streamed, how | {"format": builder.info.file_format.value, "shards": shards}


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
        self.stored_shape = builder.info.features[image_key].shape

    @property
    def channels(self):
        return self.stored_shape[-1] or 3

    def shape(self, split):
        """(height, width, channels) that images are given out in."""
        size = self.image_size or self.stored_shape[:2]
        if None not in size:
            return (*size, self.channels)
        with self._errors():
            (raw, _), *_ = self._raw(split).take(1).as_numpy_iterator()
        return self.decode(raw, f"the first image of the {split} split").shape

    def limited(self, split, limit):
        """(images, labels) of a split, or of the class-balanced part of it within `limit`."""
        if limit is None or limit >= self._count(split):
            with self._errors():
                return self._collect(self._raw(split), split, None)
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

        wanted = np.zeros(len(labels), bool)
        wanted[indices] = True
        with self._errors():
            wanted = tf.constant(wanted)
            data = self._raw(split).take(int(indices[-1]) + 1 if len(indices) else 0)
            data = data.enumerate().filter(lambda index, _: wanted[index])
            return self._collect(data.map(lambda _, example: example), split, indices)

    def decode(self, raw, what):
        """The pixels of one encoded image, which `what` names in an error."""
        try:
            return decode(raw, MODES[self.channels], self.image_size)
        except DataError as error:
            raise DataError(f"{what} of {self.name!r} has {error}") from error
        except Exception as error:  # Pillow's decoders raise many types on damaged data
            raise DataError(
                f"{what} of {self.name!r} in {self.builder.data_dir} cannot be decoded "
                f"({described(error)}): prepare the data set again, without this image"
            ) from error

    def _count(self, split):
        return self.builder.info.splits[split].num_examples

    def _raw(self, split):
        """A tf.data.Dataset of (bytes of the image, label)."""
        return self._dataset(split, (self.image_key, self.label_key))

    def _dataset(self, split, keys):
        """A tf.data.Dataset of tuples of the given features, no image decoded."""
        features = self.builder.info.features
        skip = {self.image_key: self.tfds.decode.SkipDecoding()}
        data = self.builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=self.tfds.decode.PartialDecoding(
                {key: features[key] for key in keys},
                decoders=skip if self.image_key in keys else None,
            ),
            read_config=self.tfds.ReadConfig(try_autocache=False),
        )
        return data.map(lambda example: tuple(example[key] for key in keys))

    def _collect(self, data, split, indices):
        """Decoded images and labels of all of `data`, whose images are those of `indices`."""
        count = self._count(split) if indices is None else len(indices)
        blocks = self._blocks(data, split, indices)
        images, labels, filled = None, np.zeros(count, np.int64), 0
        for image_block, label_block in blocks:
            if images is None:
                images = arrays.allocate(count, image_block.shape[1:], repr(self.name))
            if image_block.shape[1:] != images.shape[1:]:
                raise self._different_sizes()
            stop = filled + len(image_block)
            if stop <= count:
                images[filled:stop], labels[filled:stop] = image_block, label_block
            filled = stop
        if images is None:
            images = np.zeros((0, 1, 1, 1), np.uint8)
        return images, self._checked_labels(labels, split, filled)

    def _blocks(self, data, split, indices):
        """Arrays of images and labels, one after the other."""
        import tensorflow as tf

        first = next(data.take(1).as_numpy_iterator(), None)
        if first is not None and self._as_stored(first[0]):
            # Many small PNGs: TensorFlow decodes them faster, and to the same pixels.
            feature = self.builder.info.features[self.image_key]
            data = data.map(
                lambda raw, label: (feature.decode_example(raw), label),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            yield from data.batch(READ_BATCH).prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
            return
        batches = data.batch(READ_BATCH).prefetch(1).as_numpy_iterator()
        start = 0
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count(), "decode") as threads:
            for raw, labels in batches:
                numbers = np.arange(start, start + len(raw))
                names = numbers if indices is None else indices[numbers]
                names = (f"image {number} of the {split} split" for number in names)
                images = list(threads.map(self.decode, raw, names))
                if len({image.shape for image in images}) > 1:
                    raise self._different_sizes()
                yield np.stack(images), labels
                start += len(raw)

    def _as_stored(self, raw):
        """Whether an image is a PNG of the size that is wanted."""
        size = self.image_size
        same = size is None or tuple(self.stored_shape[:2]) == tuple(size)
        return same and raw.startswith(b"\x89PNG") and self.channels in (1, 3, 4)

    def _different_sizes(self):
        return DataError(
            f"the images of {self.name!r} have different sizes: give image_size to resize them all"
        )

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
            if "Cannot batch" in text or "Cannot add tensor to the batch" in text:
                raise self._different_sizes() from error
            raise DataError(
                f"the data set {self.name!r} in {self.builder.data_dir} cannot be read "
                f"({_first_line(error)}): remove that folder and prepare it again"
            ) from error


class _StreamedReader(_Reader):
    """Gives `StreamedImages` in place of arrays: the same images in the same order."""

    def __init__(self, *arguments, records):
        super().__init__(*arguments)
        self._kind = records
        self._splits = {}

    def shape(self, split):
        size = self.image_size or self.stored_shape[:2]
        if None not in size:
            return (*size, self.channels)
        part = self._split(split)
        shape = part.decode(0).shape
        for index in np.unique(np.linspace(0, len(part.order) - 1, 32).astype(int)):
            found = part.decode(index).shape
            if found != shape:
                # Before a training, as far as some of the images show it.
                raise different_sizes(part, index, found, shape)
        return shape

    def limited(self, split, limit):
        labels = self.labels(split)
        count = len(labels) if limit is None else min(limit, len(labels))
        return self.chosen(split, labels, arrays.balanced_prefix(labels, count))

    def labels(self, split):
        part = self._split(split)
        return self._checked_labels(part.labels, split, self._count(split))

    def chosen(self, split, labels, indices):
        part = self._split(split)
        return StreamedImages(part, self.shape(split), indices), labels[indices]

    def _split(self, split):
        if split not in self._splits:
            info = self.builder.info.splits[split]
            files = [
                path
                for path, count in zip(info.filepaths, info.shard_lengths, strict=True)
                if count
            ]
            with self._errors():
                records = self._kind(files, self.image_key, self.label_key)
            if np.bincount(records.shards).tolist() != [n for n in info.shard_lengths if n]:
                self._checked_labels(records.labels, split, 0)  # raises
            self._splits[split] = _Split(self, split, records)
        return self._splits[split]


class _Split:
    """What `StreamedImages` reads: image `index` in the order in which TFDS reads the split."""

    def __init__(self, reader, split, records):
        self.name = repr(reader.name)
        self._reader, self._split, self._records = reader, split, records
        self.resizes = reader.image_size not in (None, reader.stored_shape[:2])
        self.order = np.arange(len(records.labels))
        if isinstance(records, TFRecords):
            config = reader.tfds.ReadConfig()
            # What ReadConfig says of the cycle is "not given", and then 16 files are read by turns.
            cycle = 1 if reader.builder.info.disable_shuffling else 16
            lengths = np.bincount(records.shards)
            self.order = interleaved(lengths, cycle, config.interleave_block_length)
        self.labels = records.labels[self.order]
        self.shards = records.shards[self.order]

    def describe(self, index):
        file = os.path.basename(self._records.paths[self.shards[index]])
        return f"image {index} of the {self._split} split ({file})"

    def decode(self, index):
        try:
            raw = self._records.image(self.order[index])
        except (RecordError, OSError) as error:
            raise DataError(
                f"{self.describe(index)} of {self.name} cannot be read ({error})"
            ) from error
        return self._reader.decode(raw, self.describe(index))


def _limited(labels, indices, limit):
    if limit is None or limit >= len(indices):
        return indices
    return indices[arrays.balanced_prefix(labels[indices], limit)]


def _first_line(error):
    text = re.sub(r"^Failed to construct dataset .*?}\": ", "", str(error).strip())
    lines = text.splitlines()
    return lines[0][:200].rstrip(". ") if lines else type(error).__name__
