"""TFRecord sets streamed: the images, splits and orders of the same sets in memory."""

import io

import numpy as np
import pytest

from spectral_keras.data import Batches, DataError, StreamedImages, load

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")
Image = pytest.importorskip("PIL.Image")

PARTS = [f"{kind}_{part}" for kind in "xy" for part in ("train", "validation", "test")]
SHARDS = 7


def encoded(number, sizes):
    noise = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    size = (30 + number % 11, 25 + number % 5) if sizes else (8, 6)
    file = io.BytesIO()
    Image.fromarray(noise).resize(size).save(file, "JPEG" if sizes else "PNG")
    return file.getvalue()


# Not registered: they are found by their files, as sets whose code is not at hand are.
with tfds.core.registered.skip_registration():

    class _Streamed(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None
        SHAPE = (None, None, 3)
        SPLITS = {"train": 150, "validation": 40}
        BROKEN = ()

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=self.SHAPE),
                        "label": tfds.features.ClassLabel(names=["ant", "bee", "cow"]),
                        "a_note": tfds.features.Text(),
                    }
                ),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(count) for split, count in self.SPLITS.items()}

        def _generate_examples(self, count):
            for number in range(count):
                image = encoded(number, self.SHAPE[0] is None)
                if number in self.BROKEN:
                    image = image[:-200]
                note = "x" * (40 * number)
                yield number, {
                    "image": io.BytesIO(image), "label": number % 3, "a_note": note,
                }  # fmt: skip

    class StreamedPhotos(_Streamed):
        """As Imagenette: JPEGs of different sizes, and no split that is called test."""

    class StreamedNoTest(_Streamed):
        SPLITS = {"train": 150}
        SHAPE = (6, 8, 3)

    class StreamedBroken(_Streamed):
        BROKEN = (47,)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")

    def prepare(builder_class, file_format="tfrecord"):
        where = folder / file_format
        builder = builder_class(data_dir=where, file_format=file_format)
        if not builder.is_prepared():
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(num_shards=SHARDS)
            )
        return {"name": builder.name, "data_dir": where}

    return prepare


def assert_same(stream, memory):
    for part in PARTS:
        found, wanted = getattr(stream, part), getattr(memory, part)
        np.testing.assert_array_equal(np.asarray(found), wanted, err_msg=part)
    assert isinstance(stream.x_train, StreamedImages) and isinstance(memory.x_train, np.ndarray)


class TestContract:
    def test_different_sizes_need_a_size(self, prepared):
        with pytest.raises(DataError, match=r"different sizes \(image .*tfrecord.*give image_size"):
            load(**prepared(StreamedPhotos), stream=True)

    def test_a_broken_image_is_named(self, prepared):
        where = prepared(StreamedBroken)
        data = load(**where, image_size=8, stream=True, validation_fraction=0)
        named = r"image (\d+) of the train split \(.*tfrecord-0000\d-of-00007\) .*cannot be decoded"
        with pytest.raises(DataError, match=named) as caught:
            np.asarray(data.x_train)
        assert "\n" not in str(caught.value) and "0x" not in str(caught.value)
        with pytest.raises(DataError, match="image .* of the train split .*cannot be decoded"):
            load(**where, image_size=8)

    def test_labels_out_of_range(self, prepared, tmp_path):
        StreamedNoTest(data_dir=tmp_path).download_and_prepare()
        (names,) = tmp_path.rglob("label.labels.txt")
        names.write_text("ant\nbee\n")
        (features,) = tmp_path.rglob("features.json")
        features.write_text(features.read_text().replace('"numClasses": "3"', '"numClasses": "2"'))
        for stream in (True, False):
            with pytest.raises(DataError, match="label 2, out of range for 2 classes"):
                load("streamed_no_test", data_dir=tmp_path, stream=stream)

    def test_files_that_are_not_complete(self, tmp_path):
        builder = StreamedNoTest(data_dir=tmp_path)
        builder.download_and_prepare()
        (file,) = tmp_path.rglob("*.tfrecord*")
        whole = file.read_bytes()
        file.write_bytes(whole[:-50])
        with pytest.raises(DataError, match="cannot be read .*truncated record.*prepare it again"):
            load(builder.name, data_dir=tmp_path, stream=True)
        length = int.from_bytes(whole[:8], "little") + 16
        file.write_bytes(whole[length:])  # whole records, one too few
        with pytest.raises(DataError, match="is not complete"):
            load(builder.name, data_dir=tmp_path, stream=True)


class TestCorrectness:
    @pytest.mark.parametrize(
        "options",
        [
            {"seed": 3},
            {"limit": 40, "limit_test": 10, "validation_fraction": 0.25},
            {"grayscale": True, "validation_fraction": 0},
        ],
    )
    @pytest.mark.parametrize("builder", [StreamedPhotos, StreamedNoTest])
    def test_the_same_as_in_memory(self, prepared, capfd, builder, options):
        where = prepared(builder) | options | {"image_size": (9, 12)}
        capfd.readouterr()
        stream = load(**where, stream=True)
        assert capfd.readouterr() == ("", "")
        memory = load(**where)
        assert_same(stream, memory)
        assert stream.source["test"] == memory.source["test"]
        shards = SHARDS * len(builder.SPLITS)
        assert stream.source["stream"]["shards"] == shards
        assert stream.source["stream"]["format"] == "tfrecord"

    def test_pngs_of_one_size_as_they_are(self, prepared):
        where = prepared(StreamedNoTest)
        assert_same(load(**where, stream=True), load(**where))

    def test_array_record(self, prepared):
        pytest.importorskip("array_record")
        where = prepared(StreamedPhotos, "array_record") | {"image_size": 10}
        stream, memory = load(**where, stream=True), load(**where)
        assert_same(stream, memory)
        assert stream.source["stream"]["format"] == "array_record"
        # The same images as in the TFRecord files, in another order.
        other = load(**prepared(StreamedPhotos), image_size=10)
        images = [sorted(image.tobytes() for image in data.x_test) for data in (stream, other)]
        assert images[0] == images[1]

    def test_batches_with_a_shuffle_buffer(self, prepared):
        data = load(**prepared(StreamedPhotos), image_size=8, stream=True, validation_fraction=0)
        images = np.asarray(data.x_train)
        options = {"shuffle": True, "seed": 4, "shuffle_buffer": 12}
        batches = [Batches(data.x_train, data.y_train, 16, workers=w, **options) for w in (0, 3)]
        for epoch in (0, 3):
            seen = []
            for batch in batches:
                batch.epoch = epoch
            for index in range(len(batches[0])):
                x, y = batches[0][index]
                for found, wanted in zip(batches[1][index], (x, y), strict=True):
                    np.testing.assert_array_equal(found, wanted)
                for image, label in zip(x, y, strict=True):
                    same = np.flatnonzero(
                        (images == np.rint(image * 255)).all((1, 2, 3)) & (data.y_train == label)
                    )
                    seen.extend(same)
            assert sorted(seen) == list(range(len(images)))
            # Each file is read from front to back, up to the buffer.
            shards = data.x_train.shards[seen]
            for shard in range(SHARDS):
                backwards = -np.diff(
                    np.flatnonzero(data.x_train.shards == shard).searchsorted(
                        np.array(seen)[shards == shard]
                    )
                )
                assert backwards.max() <= 12
