"""The index of TFRecord files against TensorFlow's own writer and reader."""

import numpy as np
import pytest

from spectral_keras.data.records import TFRecords, image_of, interleave, label_of

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
        with pytest.raises(tf.errors.DataLossError, match="truncated record"):
            TFRecords([path], [3], "label")

    @pytest.mark.parametrize("place", [3, 15, 40])
    def test_a_flipped_bit(self, tmp_path, place):
        """In the length of the second record, its checksum and its content."""
        record = example(b"pixels", 1)
        path = write(tmp_path / "a.tfrecord", [record] * 3)
        content = bytearray(path.read_bytes())
        content[len(record) + 16 + place] ^= 1
        path.write_bytes(content)
        with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
            TFRecords([path], [3], "label")

    @pytest.mark.parametrize(
        "record",
        [example(b"x", None), example(b"x", [0.5]), example(b"x", b"1")],
        ids=["no label", "float label", "text label"],
    )
    def test_records_without_a_label(self, tmp_path, record):
        path = write(tmp_path / "a.tfrecord", [record])
        with pytest.raises(tf.errors.InvalidArgumentError):
            TFRecords([path], [1], "label")

    # The bytes of a record differ between processes: names, for pytest-xdist to compare.
    @pytest.mark.parametrize(
        "record",
        [example(None, 1), example(7, 1), example([0.5], 1)],
        ids=["none", "integer", "float"],
    )
    def test_records_without_an_image(self, record):
        with pytest.raises(ValueError):
            image_of(record, "image")

    @pytest.mark.parametrize("counts", [[2, 1], [4, 1], [1, 1], [3, 2]])
    def test_another_number_of_records(self, tmp_path, counts):
        paths = [tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"]
        for path, count in zip(paths, (3, 1), strict=True):
            write(path, [example(b"pixels", 1)] * count)
        with pytest.raises(ValueError, match="records: expected"):
            TFRecords(paths, counts, "label")

    def test_a_file_that_became_shorter(self, tmp_path):
        path = write(tmp_path / "a.tfrecord", [example(b"pixels", 1)] * 3)
        records = TFRecords([path], [3], "label")
        path.write_bytes(path.read_bytes()[:-30])
        assert image_of(records[1], "image") == b"pixels"
        with pytest.raises(OSError, match=r"a\.tfrecord ends too early"):
            records[2]


class TestCorrectness:
    def test_records_of_any_size_and_order(self, tmp_path):
        rng = np.random.default_rng(0)
        sizes = [1, 127, 128, 4096, 70_000, 20, 5]
        labels = [0, 1, 127, 128, 2**40, -1, 3]
        images = [rng.bytes(size) for size in sizes]
        others = [{}, {"a": rng.bytes(10_000)}, {"zz": rng.bytes(9000), "b": 5}, {"h": [0.5] * 99}]
        records = [
            example(image, label, **others[number % 4])
            for number, (image, label) in enumerate(zip(images, labels, strict=True))
        ]
        paths = [write(tmp_path / "0.tfrecord", records[:3])]
        paths += [write(tmp_path / f"{n}.tfrecord", records[n : n + 1]) for n in range(3, 7)]
        found = TFRecords(paths, [3, 1, 1, 1, 1], "label")
        assert found.labels.tolist() == labels and len(found) == 7
        for index in (6, 0, 3, 1, 5, 2, 4):
            assert found[index] == records[index]
            assert image_of(found[index], "image") == images[index]
            assert label_of(found[index], "label") == labels[index]

    def test_many_files_stay_in_order(self, tmp_path):
        """More than are read at the same time, of very different lengths."""
        counts = [200 if number % 7 == 0 else 1 + number % 3 for number in range(40)]
        labels = iter(range(sum(counts)))
        paths = [
            write(tmp_path / f"{n}.tfrecord", [example(b"x", next(labels)) for _ in range(count)])
            for n, count in enumerate(counts)
        ]
        found = TFRecords(paths, counts, "label")
        assert found.labels.tolist() == list(range(sum(counts)))
        for index in (0, 200, 201, sum(counts) - 1):
            assert label_of(found[index], "label") == index

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
        np.testing.assert_array_equal(interleave(lengths, cycle, block), wanted)
