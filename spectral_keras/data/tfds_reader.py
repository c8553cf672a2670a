"""The images and labels of a prepared TFDS set, in memory or streamed, the same either way."""

import concurrent.futures
import contextlib
import os
import types
from typing import Any

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.decode import MODES, decode, describe_error
from spectral_keras.data.errors import DataError, first_line
from spectral_keras.data.records import TFRecords, image_of, interleave, label_of
from spectral_keras.data.streamed import StreamedImages, check_sizes

__all__ = ["Reader", "StreamedReader"]

READ_BATCH = 1000


class Reader:
    """Reads images and labels of a split in stored order; every failure is a DataError."""

    def __init__(
        self,
        tfds: types.ModuleType,
        builder: Any,
        name: str,
        image_key: str,
        label_key: str,
        image_size: tuple[int, int] | None,
    ):
        self.tfds = tfds
        self.builder = builder
        self.name = name
        self.image_key = image_key
        self.label_key = label_key
        self.image_size = image_size
        self.stored_shape = builder.info.features[image_key].shape

    @property
    def channels(self) -> int:
        return self.stored_shape[-1] or 3

    def shape(self, split: str) -> tuple[int, ...]:
        """(height, width, channels) that images are given out in."""
        size = self.image_size or self.stored_shape[:2]
        return self._first_shape(split) if None in size else (*size, self.channels)

    def _first_shape(self, split):
        with self._errors():
            (raw, _), *_ = self._raw(split).take(1).as_numpy_iterator()
        return self.decode(raw, f"the first image of the {split} split").shape

    def limited(self, split: str, limit: int | None) -> tuple[Any, np.ndarray]:
        """(images, labels) of a split, or of the class-balanced part of it within `limit`."""
        if limit is None or limit >= self._count(split):
            with self._errors():
                return self._collect(self._raw(split), split, None)
        labels = self.labels(split)
        return self.chosen(split, labels, arrays.balanced_prefix(labels, limit))

    def labels(self, split: str) -> np.ndarray:
        """The labels alone, without decoding an image."""
        import tensorflow as tf

        with self._errors():
            data = self._dataset(split, (self.label_key,)).batch(READ_BATCH)
            blocks = [block for (block,) in data.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()]
            labels = np.concatenate(blocks) if blocks else np.zeros(0, np.int64)
        return self._checked_labels(labels, split, self._count(split))

    def chosen(self, split: str, labels: np.ndarray, indices: np.ndarray) -> tuple[Any, np.ndarray]:
        """(images, labels) of the given sorted indices; only these images are decoded."""
        import tensorflow as tf

        wanted = np.zeros(len(labels), bool)
        wanted[indices] = True
        with self._errors():
            wanted = tf.constant(wanted)
            data = self._raw(split).take(int(indices[-1]) + 1 if len(indices) else 0)
            data = data.enumerate().filter(lambda index, _: wanted[index])
            return self._collect(data.map(lambda _, example: example), split, indices)

    def decode(self, raw: bytes, what: str) -> np.ndarray:
        """The pixels of one encoded image, which `what` names in an error."""
        try:
            return decode(raw, MODES[self.channels], self.image_size)
        except DataError as error:
            raise DataError(f"{what} of {self.name!r} has {error}") from error
        except Exception as error:  # Pillow's decoders raise many types on damaged data
            raise DataError(
                f"{what} of {self.name!r} in {self.builder.data_dir} cannot be decoded "
                f"({describe_error(error)}): prepare the data set again, without this image"
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
            raise self.incomplete(split)
        num_classes = self.builder.info.features[self.label_key].num_classes
        where = f"the {split} split of {self.name!r}"
        return arrays.check_labels(labels, len(labels), where, num_classes)

    def incomplete(self, split: str) -> DataError:
        """The error of a split with fewer images, or more, than it should have."""
        return DataError(
            f"the {split} split of {self.name!r} in {self.builder.data_dir} is not complete: "
            f"remove that folder and prepare it again"
        )

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
                f"({first_line(error)}): remove that folder and prepare it again"
            ) from error


class StreamedReader(Reader):
    """Gives `StreamedImages` in place of arrays: the same images in the same order."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._splits: dict[str, _Split] = {}

    def _first_shape(self, split):
        part = self._split(split)
        shape = part.decode(0).shape
        check_sizes(part, len(part.order), shape)
        return shape

    def limited(self, split: str, limit: int | None) -> tuple[Any, np.ndarray]:
        labels = self.labels(split)
        return self.chosen(split, labels, arrays.balanced_prefix(labels, limit))

    def labels(self, split: str) -> np.ndarray:
        labels = self._split(split).labels
        return self._checked_labels(labels, split, len(labels))

    def chosen(self, split: str, labels: np.ndarray, indices: np.ndarray) -> tuple[Any, np.ndarray]:
        part = self._split(split)
        return StreamedImages(part, self.shape(split), indices), labels[indices]

    def _split(self, split):
        if split not in self._splits:
            with self._errors():
                self._splits[split] = _Split(self, split)
        return self._splits[split]


class _Split:
    """What `StreamedImages` reads: image `index` in the order in which TFDS reads the split."""

    def __init__(self, reader, split):
        self.name = repr(reader.name)
        self._reader, self._split, info = reader, split, reader.builder.info
        self.resizes = reader.image_size not in (None, reader.stored_shape[:2])
        files = info.splits[split]
        self._paths = [
            path for path, n in zip(files.filepaths, files.shard_lengths, strict=True) if n
        ]
        counts = [n for n in files.shard_lengths if n]
        try:
            if info.file_format.value == "array_record":
                self._open_array_records(split)
            else:
                self._open_tfrecords(counts, info)
        except ValueError as error:  # not as many records as there should be
            raise reader.incomplete(split) from error
        self.shards = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[self.order]

    def _open_tfrecords(self, counts, info):
        self._records = TFRecords(self._paths, counts, self._reader.label_key)
        # 16 files are read by turns, if ReadConfig does not say otherwise.
        cycle = 1 if info.disable_shuffling else 16
        block = self._reader.tfds.ReadConfig().interleave_block_length
        self.order = interleave(counts, cycle, block)
        self.labels = self._records.labels[self.order]

    def _open_array_records(self, split):
        builder, raw = self._reader.builder, self._reader.tfds.decode.DeserializeMethod.RAW_BYTES
        self._records = builder.as_data_source(split, deserialize_method=raw)
        count = len(self._records)
        labels = []
        for start in range(0, count, READ_BATCH):
            records = self._records.__getitems__(range(start, min(start + READ_BATCH, count)))
            labels += [label_of(record, self._reader.label_key) for record in records]
        self.order, self.labels = np.arange(count), np.array(labels, np.int64)

    def describe(self, index):
        file = os.path.basename(self._paths[self.shards[index]])
        return f"image {index} of the {self._split} split ({file})"

    def decode(self, index):
        try:
            raw = image_of(self._records[self.order[index]], self._reader.image_key)
        except Exception as error:  # damaged records raise whatever they lead to
            raise DataError(
                f"{self.describe(index)} of {self.name} cannot be read ({first_line(error)})"
            ) from error
        return self._reader.decode(raw, self.describe(index))
