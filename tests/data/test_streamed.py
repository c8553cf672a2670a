"""Streamed images are the images that would have been read into memory, and never all at once."""

import threading
import tracemalloc

import numpy as np
import pytest

from spectral_keras.augmentation.image import build_augmentation
from spectral_keras.data import Batches, DataError, StreamedImages, load
from spectral_keras.data import streamed as module

Image = pytest.importorskip("PIL.Image")

PARTS = [f"{kind}_{part}" for kind in "xy" for part in ("train", "validation", "test")]


def write_noise(path, number, size, mode="RGB"):
    """A JPEG or PNG of soft noise that belongs to `number`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode).save(path)


@pytest.fixture
def photos(tmp_path):
    """Three classes of 20 JPEGs and PNGs, no two of one size, some grey and some with alpha."""
    for number in range(60):
        suffix, mode = [("jpg", "RGB"), ("png", "RGBA"), ("jpeg", "L")][number % 3]
        path = tmp_path / "photos" / f"class{number % 3}" / f"{number}.{suffix}"
        write_noise(path, number, (20 + number, 90 - number), mode)
    return tmp_path / "photos"


class Ramp:
    """Image n is all n."""

    name, shards, resizes = "ramp", None, False

    def __init__(self):
        self.asked = []

    def describe(self, index):
        return f"image {index}"

    def decode(self, index):
        self.asked.append(int(index))
        if index == 13:
            raise DataError("image 13 cannot be read")
        return np.full((6, 5, 3), index, np.uint8)


class TestContract:
    def test_it_is_indexed_like_an_array(self):
        images = StreamedImages(Ramp(), (6, 5, 3), np.arange(20, 60))
        array = np.asarray(images)
        assert images.shape == array.shape == (40, 6, 5, 3) and images.dtype == array.dtype
        assert len(images) == 40 and images.ndim == 4
        some = np.random.default_rng(0).integers(-40, 40, 9)
        for key in (3, -1, slice(4, 9), slice(None, None, -7), some, array[:, 0, 0, 0] > 50):
            np.testing.assert_array_equal(images[key], array[key])
        np.testing.assert_array_equal(np.asarray(images.subset(some)), array[some])
        np.testing.assert_array_equal(images.subset(slice(5, 30))[::3], array[5:30][::3])
        with pytest.raises(IndexError):
            images[40]
        assert np.asarray(images, np.float32).dtype == np.float32

    def test_only_what_is_asked_for_is_decoded(self):
        source = Ramp()
        images = StreamedImages(source, (6, 5, 3), np.arange(100))
        images.subset(slice(50, None))[[3, 1]]
        assert source.asked == [53, 51]

    def test_a_broken_image_breaks_only_its_batch(self):
        images = StreamedImages(Ramp(), (6, 5, 3), np.arange(40))
        for workers in (0, 1, 3):
            batches = Batches(images, np.zeros(40, int), 8, workers=workers)
            assert batches.error is None
            assert batches[0][0].shape == (8, 6, 5, 3)
            with pytest.raises(DataError, match="image 13"):
                batches[1]
            assert isinstance(batches.error, DataError)
            assert batches[2][0][0, 0, 0, 0] == np.float32(16 / 255)

    @pytest.mark.parametrize("value", [None, 1, "yes", "True", 0])
    def test_a_wrong_choice(self, photos, value):
        with pytest.raises(DataError, match="stream must be True, False or 'auto'"):
            load(photos, image_size=8, stream=value)

    @pytest.mark.parametrize("name", ["digits", "planted", "some.npz"])
    def test_what_cannot_be_streamed(self, name):
        with pytest.raises(DataError, match=f"'{name}' cannot be streamed: only folders"):
            load(name, stream=True)

    def test_auto_reads_what_lies_in_memory_anyway(self):
        assert isinstance(
            load("planted", limit=20, stream="auto", stream_above=1).x_test, np.ndarray
        )

    def test_broken_files_are_named(self, photos):
        broken = photos / "class0" / "30.jpg"
        broken.write_bytes(broken.read_bytes()[:-100])
        data = load(photos, image_size=8, stream=True, validation_fraction=0)
        with pytest.raises(DataError, match=r"class0.30\.jpg cannot be read \(OSError"):
            np.asarray(data.x_train), np.asarray(data.x_test)
        broken.unlink()
        with pytest.raises(DataError, match=r"class0.30\.jpg cannot be read \(FileNotFoundError"):
            np.asarray(data.x_train), np.asarray(data.x_test)

    def test_different_sizes_need_a_size_before_anything_is_trained(self, photos):
        with pytest.raises(DataError, match="different sizes.*give image_size"):
            load(photos, stream=True)

    def test_one_image_of_another_size_is_named_when_it_is_met(self, tmp_path):
        for number in range(200):
            write_noise(tmp_path / f"class{number % 2}" / f"{number}.png", number, (9, 8))
        (tmp_path / "class1" / "77.png").unlink()
        write_noise(tmp_path / "class1" / "77.png", 77, (9, 9))
        data = load(tmp_path, stream=True, validation_fraction=0)
        with pytest.raises(DataError, match=r"77\.png is 9x9, others are 8x9.*image_size"):
            np.asarray(data.x_train), np.asarray(data.x_test)


class TestDecision:
    def test_auto_streams_above_the_bound(self, photos):
        decoded = 60 * 8 * 8 * 3
        for above, streams in ((decoded, False), (decoded - 1, True)):
            data = load(photos, image_size=8, stream="auto", stream_above=above)
            assert isinstance(data.x_train, StreamedImages) is streams
            assert data.source["stream"] == {
                "streamed": streams, "decoded_bytes": decoded, "bound_bytes": above,
                "format": "image", "shards": 60,
            }  # fmt: skip

    def test_the_bound_is_a_quarter_of_the_free_memory(self, photos, monkeypatch):
        for memory, streams in (
            (4 * 60 * 64 * 3, False),
            (4 * 60 * 64 * 3 - 4, True),
            (None, False),
        ):
            monkeypatch.setattr(module, "available_memory", lambda memory=memory: memory)
            data = load(photos, image_size=8, stream="auto")
            assert data.source["stream"]["streamed"] is streams
        # A limit makes the set small.
        monkeypatch.setattr(module, "available_memory", lambda: 4 * 30 * 64 * 3)
        data = load(photos, image_size=8, stream="auto", limit=10, limit_test=10)
        assert isinstance(data.x_train, np.ndarray)

    def test_the_free_memory_is_plausible(self):
        memory = module.available_memory()
        assert memory is None or 2**24 < memory < 2**50

    @pytest.mark.parametrize(("limit", "free"), [("1000", 450), ("700", 150), ("500", 0)])
    def test_a_container_may_take_less(self, tmp_path, monkeypatch, limit, free):
        monkeypatch.setattr(module, "_CONTAINER", tmp_path)
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("600\n")
        (tmp_path / "memory.stat").write_text("anon 500\nactive_file 20\ninactive_file 50\n")
        assert module.available_memory() == free
        (tmp_path / "memory.max").write_text("max\n")
        assert module.available_memory() > 2**24


class TestCorrectness:
    @pytest.mark.parametrize(
        "options",
        [
            {"image_size": 12},
            {"image_size": (7, 16), "grayscale": True},
            {"image_size": 9, "limit": 21, "limit_test": 5},
            {"image_size": 9, "validation_fraction": 0},
        ],
    )
    def test_a_folder_is_the_same_as_in_memory(self, photos, options):
        memory, stream = load(photos, **options), load(photos, stream=True, **options)
        assert stream.input_shape == memory.input_shape
        assert stream.class_names == memory.class_names
        assert isinstance(stream.x_validation, StreamedImages)
        for part in PARTS:
            np.testing.assert_array_equal(
                np.asarray(getattr(stream, part)), getattr(memory, part), err_msg=part
            )

    @pytest.mark.parametrize("workers", [0, 1, 2, 5])
    def test_batches_are_the_same_as_in_memory(self, photos, workers):
        def batches(stream, workers):
            data = load(photos, image_size=12, stream=stream, seed=2)
            options = {"shuffle": True, "augment": build_augmentation("crop_flip"), "seed": 7}
            return Batches(data.x_train, data.y_train, 10, workers=workers, **options)

        memory, stream = batches(False, 0), batches(True, workers)
        for epoch in (0, 1, 5):  # 5: as after --resume
            memory.epoch = stream.epoch = epoch
            for index in range(len(memory)):
                for found, wanted in zip(stream[index], memory[index], strict=True):
                    np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(stream.batch(1, 3)[0], memory.batch(1, 3)[0])

    @pytest.mark.parametrize(
        ("side", "resizes", "threads"), [(64, False, 1), (64, True, 3), (65, False, 3)]
    )
    def test_small_images_are_decoded_by_one_thread(self, side, resizes, threads):
        """A second one would wait for the interpreter's lock most of the time."""

        class Source:
            name, shards = "made up", None

            def __init__(self):
                self.resizes, self.users = resizes, set()

            def decode(self, index):
                self.users.add(threading.get_ident())
                barrier.wait(20)
                return np.zeros((side, 64, 3), np.uint8)

        barrier = threading.Barrier(threads)
        source = Source()
        images = StreamedImages(source, (side, 64, 3), np.arange(48))
        batches = Batches(images, np.zeros(48, int), 12, workers=3).endless()
        assert [len(next(batches)[0]) for _ in range(4)] == [12] * 4
        assert len(source.users) == threads

    def test_a_process_decodes_its_part_of_a_batch_only(self, photos, monkeypatch):
        data = load(photos, image_size=12, stream=True)
        augment = build_augmentation("report")
        batches = Batches(data.x_train, data.y_train, 10, shuffle=True, augment=augment)
        whole, decoded, decode = batches.batch(0, 1)[0], [], data.x_train.source.decode
        monkeypatch.setattr(
            data.x_train.source, "decode", lambda index: decoded.append(index) or decode(index)
        )
        part, _ = batches.batch(0, 1, lambda count: np.arange(0, count, 3))
        np.testing.assert_array_equal(part, whole[::3])
        assert len(decoded) == len(part) == 4

    def test_large_jpegs_are_reduced_while_they_are_decoded(self, tmp_path):
        for number in range(12):
            write_noise(tmp_path / f"class{number % 2}" / f"{number}.jpg", number, (400, 330))
        data = load(tmp_path, image_size=16, stream=True, validation_fraction=0)
        for index, path in enumerate(data.x_train.source.files):
            with Image.open(path) as image:
                whole = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR), float)
            found = data.x_train.source.decode(index)
            assert np.abs(found - whole).mean() < 1.2 and np.abs(found - whole).max() <= 6

    def test_memory_is_bounded(self, tmp_path):
        """An epoch over 6.6 MB of images in less than a third of that (NumPy's own allocations)."""
        for number in range(20):
            write_noise(tmp_path / f"class{number % 2}" / f"{number}.jpg", number, (96, 96))
        data = load(tmp_path, stream=True, validation_fraction=0)
        many = data.x_train.subset(np.resize(np.arange(len(data.x_train)), 240))
        decoded = 240 * 96 * 96 * 3
        batch = 2 * 96 * 96 * 3 * 4  # bytes of float32
        for workers in (0, 3):
            batches = Batches(
                many, np.zeros(240, int), 2, shuffle=True,
                augment=build_augmentation("flip"), workers=workers,
            )  # fmt: skip
            tracemalloc.start()
            try:
                for index in range(len(batches)):
                    batches[index]
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < 8 * batch < decoded / 3, f"{peak / batch} batches"
