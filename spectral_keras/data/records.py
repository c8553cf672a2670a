"""Single records of TFRecord files, which were made for reading from front to back."""

import os
from collections.abc import Sequence

import numpy as np

from spectral_keras.data.files import read_part

__all__ = ["TFRecords", "image_of", "interleave", "label_of"]

# A record lies between its length and the checksum of that, and a checksum of its own.
_HEAD, _FRAME = 12, 16
_FILES = 16  # that are indexed at the same time,
_BLOCK = 64  # so many records at once


class TFRecords:
    """The records of TFRecord files by number, in the order of the files.

    A TFRecord file has no table of contents. TensorFlow reads all of it once, compares every
    checksum, and keeps of each record the label and the length, from which follows where it lies.

    Args:
        paths: the files, none of them empty.
        counts: how many records each should have.
        label_key: the feature of a record (`tf.train.Example`) that is its label, one integer.

    Attributes:
        labels: int64 [N].

    Raises:
        ValueError: if a file has another number of records.
        tf.errors.OpError: if a file is cut off or damaged, or a record has no such label.
    """

    def __init__(self, paths: Sequence[str | os.PathLike], counts: Sequence[int], label_key: str):
        import tensorflow as tf

        def look(records):
            feature = {label_key: tf.io.FixedLenFeature((), tf.int64)}
            return tf.strings.length(records), tf.io.parse_example(records, feature)[label_key]

        def index(number, path):
            blocks = tf.data.TFRecordDataset(path).batch(_BLOCK).map(look)
            return blocks.map(lambda lengths, labels: (number, lengths, labels))

        self._paths = [os.fspath(path) for path in paths]
        files = tf.data.Dataset.from_tensor_slices((np.arange(len(self._paths)), self._paths))
        blocks = files.interleave(index, _FILES, 1, num_parallel_calls=tf.data.AUTOTUNE)
        tables: list[tuple[list, list]] = [([], []) for _ in self._paths]
        for number, *columns in blocks.as_numpy_iterator():
            for table, column in zip(tables[number], columns, strict=True):
                table.append(column)
        sizes = [np.concatenate([np.zeros(0, np.int64), *lengths]) for lengths, _ in tables]
        found = list(map(len, sizes))
        if found != list(counts):
            raise ValueError(f"the files have {found} records: expected {list(counts)}")
        self.labels = np.concatenate([block for _, labels in tables for block in labels])
        self._lengths = np.concatenate(sizes)
        ends = np.concatenate([np.cumsum(lengths + _FRAME) for lengths in sizes])
        self._offsets = ends - self._lengths - _FRAME + _HEAD
        self._firsts = np.cumsum(counts)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> bytes:
        path = self._paths[np.searchsorted(self._firsts, index, side="right")]
        record = read_part(path, int(self._offsets[index]), int(self._lengths[index]))
        if len(record) != self._lengths[index]:
            raise OSError(f"{os.path.basename(path)} ends too early")
        return record


def image_of(record: bytes, key: str) -> bytes:
    """The encoded image of a record (`tf.train.Example`).

    Raises:
        ValueError: if it has none.
    """
    (image,) = _feature(record, key).bytes_list.value
    return image


def label_of(record: bytes, key: str) -> int:
    """The label of a record (`tf.train.Example`).

    Raises:
        ValueError: if it has none.
    """
    (label,) = _feature(record, key).int64_list.value
    return label


def _feature(record, key):
    import tensorflow as tf

    return tf.train.Example.FromString(record).features.feature[key]


def interleave(lengths: Sequence[int], cycle: int, block: int) -> np.ndarray:
    """The order in which `tf.data` reads several files: `block` records of each of `cycle` files.

    Args:
        lengths: number of records of each file.
        cycle: files that are open at the same time; one that ends makes room for the next.
        block: records taken of a file before the next one's turn.

    Returns:
        int64 array: positions in the files laid end to end.

    Example:

    >>> from spectral_keras.data.records import interleave
    >>> interleave([3, 4], cycle=2, block=2)
    array([0, 1, 3, 4, 2, 5, 6])
    """
    starts = np.cumsum([0, *lengths])
    blocks, waiting = [], iter(range(len(lengths)))
    slots: list[list[int] | None] = [None] * min(cycle, len(lengths))
    live, exhausted = 0, False
    while live or not exhausted:
        for slot, state in enumerate(slots):
            if state is None:
                file = next(waiting, None)
                if file is None:
                    exhausted = True
                    continue
                state, live = [starts[file], starts[file + 1]], live + 1
            stop = min(state[0] + block, state[1])
            blocks.append(np.arange(state[0], stop))
            # A file whose last block is full is found empty only at its next turn.
            ended = stop - state[0] < block
            state[0] = stop
            slots[slot] = None if ended else state
            live -= ended
    return np.concatenate([np.zeros(0, np.int64), *blocks])
