"""The index of TFRecord files against TensorFlow's own writer and reader."""

import numpy as np
import pytest

from spectral_keras.data.records import (
    WINDOW,
    ArrayRecords,
    RecordError,
    TFRecords,
    _masked_crc32c,
    interleaved,
)

tf = pytest.importorskip("tensorflow")


def example(image, label, **others):
    def feature(value):
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))

    features = {"image": image, "label": label, **others}
    features = {key: feature(value) for key, value in features.items() if value is not None}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


class TestContract:
    @pytest.mark.parametrize("cut", [1, 5, 30])
    def test_a_file_that_is_cut_off(self, tmp_path, cut):
        path = write(tmp_path / "a.tfrecord", [example(b"pixels", 1)] * 3)
        path.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(RecordError, match=r"a\.tfrecord: its last record is cut off"):
            TFRecords([path], "image", "label")

    def test_a_damaged_head(self, tmp_path):
        record = example(b"pixels", 1)
        path = write(tmp_path / "a.tfrecord", [record] * 3)
        content = bytearray(path.read_bytes())
        content[len(record) + 16] ^= 1  # the length of the second record
        path.write_bytes(content)
        with pytest.raises(RecordError, match="record 1 is damaged"):
            TFRecords([path], "image", "label")

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            (example(None, 1), "record 0 has no image or no label"),
            (example(b"x", None), "record 0 has no image or no label"),
            (example(b"x", [0.5]), "record 0 is no Example"),
            (example(7, 1), "record 0 is no Example"),
            (b"\xff" * 20, "record 0 is no Example"),
        ],
        ids=["no image", "no label", "float label", "number for an image", "no protocol buffer"],
    )
    def test_records_of_something_else(self, tmp_path, record, message):
        path = write(tmp_path / "a.tfrecord", [record])
        with pytest.raises(RecordError, match=message):
            TFRecords([path], "image", "label")


class TestCorrectness:
    def test_the_checksum(self):
        # CRC-32C of "123456789" is 0xE3069283 (RFC 3720 and others); masked as TFRecord has it.
        value = 0xE3069283
        masked = (((value >> 15) | (value << 17)) + 0xA282EAD8) % 2**32
        assert _masked_crc32c(b"123456789") == masked

    def test_images_and_labels_of_any_size_and_order(self, tmp_path):
        rng = np.random.default_rng(0)
        sizes = [1, 127, 128, WINDOW - 40, WINDOW, 3 * WINDOW, 70_000, 20]
        labels = [0, 1, 127, 128, 999, 2**40, -1, 3]
        images = [rng.bytes(size) for size in sizes]
        others = [
            {},
            {"a": rng.bytes(10_000)},
            {"zz": rng.bytes(9000), "b": 5},
            {"h": [0.5] * 3000},
        ]
        records = [
            example(image, label, **others[number % 4])
            for number, (image, label) in enumerate(zip(images, labels, strict=True))
        ]
        paths = [
            write(tmp_path / "0.tfrecord", records[:3]),
            write(tmp_path / "1.tfrecord", []),
            write(tmp_path / "2.tfrecord", records[3:]),
        ]
        found = TFRecords(paths, "image", "label")
        assert found.labels.tolist() == labels
        assert found.shards.tolist() == [0] * 3 + [2] * 5
        for index in (7, 0, 3, 6, 1, 5, 2, 4):
            assert found.image(index) == images[index]

    def test_array_record(self, tmp_path):
        module = pytest.importorskip("array_record.python.array_record_module")
        images = [bytes([number]) * (50 + number) for number in range(100)]
        paths = [tmp_path / f"{number}.array_record" for number in range(2)]
        for path, part in zip(paths, (slice(0, 70), slice(70, 100)), strict=True):
            writer = module.ArrayRecordWriter(str(path), "group_size:1")
            for number in range(100)[part]:
                writer.write(example(images[number], number % 7))
            writer.close()
        found = ArrayRecords(paths, "image", "label")
        assert found.labels.tolist() == [number % 7 for number in range(100)]
        for index in (99, 0, 70, 69):
            assert found.image(index) == images[index]
        paths[1].write_bytes(b"no such file")
        with pytest.raises(RecordError, match=r"1\.array_record"):
            ArrayRecords(paths, "image", "label")

    @pytest.mark.parametrize(
        "lengths",
        [[5], [0, 3], [16, 16], [32, 7, 48, 1], [1] * 40, [33] * 5, list(range(40)), [17, 64] * 11],
    )
    @pytest.mark.parametrize(("cycle", "block"), [(16, 16), (1, 16), (3, 2)])
    def test_the_order_of_tf_data(self, lengths, cycle, block):
        """Against tf.data itself, in parallel as TFDS uses it."""
        lengths = [length for length in lengths if length]
        starts = np.cumsum([0, *lengths])
        data = tf.data.Dataset.range(len(lengths)).interleave(
            lambda file: tf.data.Dataset.range(
                tf.gather(starts, file), tf.gather(starts, file + 1)
            ),
            cycle_length=cycle,
            block_length=block,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        wanted = list(data.as_numpy_iterator())
        np.testing.assert_array_equal(interleaved(lengths, cycle, block), wanted)
