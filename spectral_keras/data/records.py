"""Where each image and label of a TFRecord or ArrayRecord file lies, found without decoding any.

A TFRecord file has no table of contents, but each record says how long it is: reading only these
heads, and of each record only the heads of its features, gives random access to the images of a
set that was prepared for reading from front to back.
"""

import os
import struct

import numpy as np

from spectral_keras.data.decode import read_bytes

# Bytes read at the start of a record and after a skipped feature: most other features end in it.
WINDOW = 4096
_HEAD = struct.Struct("<QI")


class RecordError(Exception):
    """A file that is not what it should be, in a few words."""


class TFRecords:
    """Images and labels of TFRecord files, in the order of the files.

    Args:
        paths: the files.
        image_key, label_key: names of the features of a `tf.train.Example`.

    Attributes:
        shards: int32 [N], the file of each image.
        labels: int64 [N].

    Raises:
        RecordError: if a file is cut off or damaged, which names it.
    """

    format = "TFRecord"

    def __init__(self, paths, image_key, label_key):
        self.paths = [os.fspath(path) for path in paths]
        keys = image_key.encode(), label_key.encode()
        tables = []
        for path in self.paths:
            try:
                tables.append(_index(path, *keys))
            except RecordError as error:
                raise RecordError(f"{os.path.basename(path)}: {error}") from error
        self.shards = np.repeat(np.arange(len(tables), dtype=np.int32), [len(t) for t in tables])
        table = np.concatenate([np.zeros((0, 3), np.int64), *tables])
        # Columns of their own: a strided one would keep the whole table.
        self._offsets, self._lengths, self.labels = (np.array(column) for column in table.T)

    def image(self, index):
        """The encoded image, bytes."""
        path = self.paths[self.shards[index]]
        length = int(self._lengths[index])
        data = read_bytes(path, int(self._offsets[index]), length)
        if len(data) != length:
            raise RecordError(f"{os.path.basename(path)} ends too early")
        return data


class ArrayRecords:
    """The same for ArrayRecord files, which have a table of contents (package array_record)."""

    format = "ArrayRecord"

    def __init__(self, paths, image_key, label_key):
        from array_record.python.array_record_module import ArrayRecordReader

        self.paths = [os.fspath(path) for path in paths]
        self._keys = image_key.encode(), label_key.encode()
        options = "readahead_buffer_size:0,max_parallelism:0"  # for random access
        labels, shards, self._firsts, self._readers = [], [], [], []
        for number, path in enumerate(self.paths):
            try:
                reader = ArrayRecordReader(path, options)
                if not reader.ok():
                    raise RecordError("it is damaged")
                count = reader.num_records()
                self._firsts.append(len(labels))
                for start in range(0, count, 64):
                    for record in reader.read(start, min(start + 64, count)):
                        labels.append(_features(record, *self._keys)[2])
            except (RecordError, RuntimeError, ValueError, IndexError) as error:
                raise RecordError(f"{os.path.basename(path)}: {error}") from error
            shards += [number] * count
            self._readers.append(reader)
        self.labels, self.shards = np.array(labels, np.int64), np.array(shards, np.int32)

    def image(self, index):
        """The encoded image, bytes."""
        shard = self.shards[index]
        try:
            (record,) = self._readers[shard].read([int(index) - self._firsts[shard]])
        except (RuntimeError, ValueError, IndexError) as error:
            raise RecordError(f"{os.path.basename(self.paths[shard])}: {error}") from error
        start, length, _ = _features(record, *self._keys)
        return record[start : start + length]


def interleaved(lengths, cycle, block):
    """The order in which `tf.data` reads several files: `block` records of each of `cycle` files.

    Args:
        lengths: number of records of each file.
        cycle: files that are open at the same time; one that ends makes room for the next.
        block: records taken of a file before the next one's turn.

    Returns:
        int64 array: positions in the files laid end to end.
    """
    starts = np.cumsum([0, *lengths])
    blocks, waiting = [], iter(range(len(lengths)))
    slots = [None] * min(cycle, len(lengths))
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


def _index(path, image_key, label_key):
    """[N, 3]: offset and length of the image in the file, and the label."""
    rows = []
    with open(path, "rb", buffering=0) as file:
        descriptor = file.fileno()
        size, position = os.fstat(descriptor).st_size, 0

        def read(start, stop):
            os.lseek(descriptor, start, os.SEEK_SET)
            return os.read(descriptor, stop - start)

        while position < size:
            window = read(position, min(position + WINDOW, size))
            if len(window) < _HEAD.size:
                raise RecordError("its last record is cut off")
            length, checksum = _HEAD.unpack_from(window)
            if _masked_crc32c(window[:8]) != checksum:
                raise RecordError(f"record {len(rows)} is damaged")
            start = position + _HEAD.size
            position = start + length + 4
            if position > size:
                raise RecordError("its last record is cut off")
            features = _Window(
                read, start, start + length, window[_HEAD.size : _HEAD.size + length]
            )
            rows.append(_located(features, image_key, label_key, len(rows)))
    return np.array(rows, np.int64).reshape(-1, 3)


def _features(record, image_key, label_key):
    """(start, length, label) in the bytes of one record."""
    window = _Window(lambda start, stop: record[start:stop], 0, len(record), record)
    return _located(window, image_key, label_key, None)


def _located(window, image_key, label_key, number):
    try:
        start, length, label = _walk(window, image_key, label_key)
    except (IndexError, ValueError) as error:
        raise RecordError(f"record {number} is no Example") from error
    if start is None or label is None:
        raise RecordError(f"record {number} has no image or no label")
    return start, length, label


class _Window:
    """A cursor over the bytes [position, stop) of a file, of which little is read."""

    def __init__(self, read, position, stop, data):
        self._read, self.position, self.stop = read, position, stop
        self._base, self._data = position, data

    def __bool__(self):
        return self.position < self.stop

    def byte(self):
        if self.position >= self.stop:
            raise IndexError
        place = self.position - self._base
        if not 0 <= place < len(self._data):
            self._base = self.position
            self._data = self._read(self._base, min(self._base + WINDOW, self.stop))
            place = 0
        self.position += 1
        return self._data[place]

    def varint(self):
        byte = self.byte()
        value = byte & 127
        shift = 7
        while byte > 127:
            if shift > 63:
                raise ValueError
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
        return value

    def bytes(self, count):
        return bytes(self.byte() for _ in range(count))

    def field(self):
        """(number, end of the content) of a field; the cursor is at its content."""
        tag = self.varint()
        number, wire = tag >> 3, tag & 7
        if wire == 2:
            end = self.varint() + self.position
        elif wire == 0:
            place = self.position
            self.varint()
            end, self.position = self.position, place
        elif wire in (1, 5):
            end = self.position + (8 if wire == 1 else 4)
        else:
            raise ValueError
        if end > self.stop:
            raise ValueError
        return number, wire, end


def _walk(window, image_key, label_key):
    """Protocol buffer of tf.train.Example: features (1) -> entries (1) -> key (1), value (2)."""
    start = length = label = None
    while window:
        number, _, features_end = window.field()
        if number != 1:
            window.position = features_end
            continue
        while window.position < features_end:
            _, _, entry_end = window.field()
            key = None
            while window.position < entry_end:
                number, _, end = window.field()
                if number == 1:
                    key = window.bytes(min(end - window.position, 64))
                elif number == 2 and key == image_key:
                    start, length = _only_bytes(window, end)
                elif number == 2 and key == label_key:
                    label = _only_integer(window, end)
                window.position = end
            if start is not None and label is not None:
                return start, length, label
    return start, length, label


def _only_bytes(window, end):
    """(start, length) of the only value of a Feature's bytes_list (1)."""
    number, _, list_end = window.field()
    if number != 1 or window.position >= list_end:
        raise ValueError
    _, wire, value_end = window.field()
    if wire != 2 or value_end != list_end or list_end != end:
        raise ValueError
    return window.position, value_end - window.position


def _only_integer(window, end):
    """The only value of a Feature's int64_list (3), packed or not."""
    number, _, list_end = window.field()
    if number != 3 or window.position >= list_end:
        raise ValueError
    _, _, value_end = window.field()
    value = window.varint()
    if window.position != value_end or value_end != end:
        raise ValueError
    return value - (1 << 64) if value >> 63 else value


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _crc32c_table()


def _masked_crc32c(data):
    """The checksum of TFRecord: CRC-32C, rotated and offset."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
