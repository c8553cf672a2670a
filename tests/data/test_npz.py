import os

import numpy as np
import pytest

from spectral_keras.data import DataError, DataWarning, load

RNG = np.random.default_rng(0)


def arrays(**changes):
    parts = {
        "x_train": RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8),
        "y_train": np.arange(20) % 4,
        "x_test": RNG.integers(0, 256, (8, 6, 5, 3), dtype=np.uint8),
        "y_test": np.arange(8) % 4,
        **changes,
    }
    return {key: value for key, value in parts.items() if value is not None}


@pytest.fixture
def written(tmp_path):
    def write(**changes):
        path = tmp_path / "set.npz"
        np.savez(path, **arrays(**changes))
        return path

    return write


def with_value(array, value):
    array = np.array(array)
    array.flat[3] = value
    return array


FLOATS = RNG.random((20, 6, 5, 3), dtype=np.float32)

BAD = {
    "missing": ({"x_test": None, "y_test": None}, "lacks x_test, y_test .it has x_train, y_train"),
    "rank 2": ({"x_train": np.zeros((20, 30))}, "x_train .* has shape .20, 30.: expected"),
    "rank 5": ({"x_train": np.zeros((20, 2, 6, 5, 3))}, "x_train .* has shape"),
    "no pixels": ({"x_train": np.zeros((20, 0, 5, 3), np.uint8)}, "x_train .* has shape"),
    "channels first": ({"x_train": np.zeros((20, 3, 32, 32), np.uint8)}, "looks channels first"),
    "int64 pixels": ({"x_train": np.zeros((20, 6, 5, 3), int)}, "data type int64: expected uint8"),
    "complex": ({"x_train": FLOATS.astype(complex)}, "data type complex128"),
    "text pixels": ({"x_train": np.full((20, 6, 5, 3), "a")}, "data type <U1"),
    "NaN": ({"x_train": with_value(FLOATS, np.nan)}, "not finite"),
    "not float32": (
        {"x_train": with_value(FLOATS.astype(float), 1e300)},
        r"floats from .* to 1e\+300: expected",
    ),
    "infinity": ({"x_train": with_value(FLOATS, np.inf)}, "not finite"),
    "above 1": ({"x_train": FLOATS * 255}, r"floats from .* to .*: expected floats in \[0, 1\]"),
    "below 0": ({"x_train": FLOATS - 0.5}, r"expected floats in \[0, 1\]"),
    "other shape": ({"x_test": np.zeros((8, 7, 5, 3), np.uint8)}, "training images have shape"),
    "empty": ({"x_train": np.zeros((0, 6, 5, 3), np.uint8)}, "x_train .* is empty"),
    "empty test": ({"x_test": np.zeros((0, 6, 5, 3), np.uint8)}, "x_test .* is empty"),
    "fewer labels": ({"y_train": np.arange(19) % 4}, "19 labels for 20 images"),
    "one-hot": ({"y_train": np.eye(4)[np.arange(20) % 4]}, "one-hot.*argmax"),
    "label rank": ({"y_train": np.zeros((20, 1, 1), int)}, "expected one integer per image"),
    "fractions": ({"y_train": np.arange(20) / 5}, "not integers"),
    "NaN label": ({"y_train": with_value(np.arange(20.0) % 4, np.nan)}, "not integers"),
    "huge label": ({"y_train": with_value(np.arange(20.0) % 4, 1e300)}, r"the label 1e\+300: use"),
    "text labels": ({"y_train": np.array(list("abcd") * 5)}, "expected integers"),
    "negative": ({"y_train": np.arange(20) % 4 - 1}, "label -1"),
    "one-based": ({"y_train": np.arange(20) % 4 + 1}, "number the classes 0 to 3"),
    "gap": ({"y_train": np.arange(20) % 4 * 2}, "4 different labels from 0 to 6"),
    "unseen": ({"y_test": np.arange(8)}, "label 7, out of range for 4 classes"),
    "one class": ({"y_train": np.zeros(20, int), "y_test": np.zeros(8, int)}, "only one class"),
    "pickled": ({"x_train": np.array([{}] * 20)}, "pickled objects"),
    "pickled names": ({"class_names": np.array([None] * 4)}, "pickled objects"),
    "numbers as names": ({"class_names": np.arange(4)}, "class_names .* strings"),
    "few names": ({"class_names": np.array(["a", "b"])}, "out of range for 2 classes"),
}


class TestContract:
    @pytest.mark.parametrize("case", BAD)
    def test_bad_arrays_end_with_one_line(self, written, case):
        changes, message = BAD[case]
        with pytest.raises(DataError, match=message) as caught:
            load(written(**changes))
        assert "\n" not in str(caught.value)

    def test_a_file_that_was_moved(self, written, tmp_path, monkeypatch):
        path = written()
        folder = tmp_path / "there"
        folder.mkdir()
        (folder / "set.npz").write_bytes(path.read_bytes())
        with pytest.warns(
            DataWarning, match=r"gone.set\.npz is not there: .*there.set\.npz is taken"
        ):
            moved = load(tmp_path / "gone" / "set.npz", data_dir=folder)
        np.testing.assert_array_equal(moved.x_train, load(path).x_train)
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.warns(DataWarning, match="is taken"):
            assert len(load("~/gone/set.npz", data_dir="~/there").x_train)
        # Where there is one at the path, that is taken.
        (folder / "set.npz").write_bytes(b"broken")
        assert len(load(path, data_dir=folder).x_train)
        with pytest.raises(DataError, match=r"no such file: .*gone.other\.npz, nor other\.npz in "):
            load(tmp_path / "gone" / "other.npz", data_dir=folder)

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken", b"\x93NUMPY"])
    def test_files_that_are_no_archive(self, tmp_path, content):
        path = tmp_path / "set.npz"
        path.write_bytes(content)
        with pytest.raises(DataError, match="set.npz"):
            load(path)

    def test_a_single_array_is_no_archive(self, tmp_path):
        with open(tmp_path / "set.npz", "wb") as file:
            np.save(file, np.zeros(3))
        with pytest.raises(DataError, match="no .npz archive"):
            load(tmp_path / "set.npz")

    @pytest.mark.parametrize("kind", ["pipe", "device"])
    def test_what_is_no_file_is_not_waited_for(self, tmp_path, kind):
        path = tmp_path / "set.npz"
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
        with pytest.raises(DataError, match=r"set\.npz is a pipe, a device or a socket"):
            load(path)

    def test_a_small_file_that_unpacks_beyond_the_memory(self, written, monkeypatch):
        path = written(x_train=np.zeros((20, 300, 300, 3), np.uint8))
        pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}
        monkeypatch.setattr(os, "sysconf", pages.__getitem__)
        with pytest.raises(DataError, match=r"need 0\.0 GiB .* give fewer or smaller images"):
            load(path)
        load(written())

    def test_a_single_array_is_not_read(self, tmp_path):
        """A .npy header of a petabyte, under the name of an archive."""
        header = {"descr": "|u1", "fortran_order": False, "shape": (2**50,)}
        with open(tmp_path / "set.npz", "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
        with pytest.raises(DataError, match="holds a single array"):
            load(tmp_path / "set.npz")

    def test_a_folder_called_npz(self, tmp_path):
        with pytest.raises(DataError, match="is a folder"):
            load(tmp_path.rename(tmp_path.with_name("folder.npz")))

    def test_damage_anywhere_is_a_data_error_or_harmless(self, written):
        path = written()
        content = path.read_bytes()
        rng = np.random.default_rng(1)
        refused = 0
        for attempt in range(60):
            damaged = bytearray(content[: rng.integers(len(content))] if attempt % 3 else content)
            for place in rng.integers(0, max(1, len(damaged)), 8):
                damaged[place : place + 1] = bytes([rng.integers(256)])
            path.write_bytes(damaged)
            try:
                load(path)
            except DataError:
                refused += 1
        assert refused > 50


class TestCorrectness:
    def test_uint8_is_kept_and_split(self, written):
        path = written()
        data = load(path, validation_fraction=0)
        stored = np.load(path)
        for key in ("x_train", "y_train", "x_test", "y_test"):
            np.testing.assert_array_equal(getattr(data, key), stored[key])
        assert data.class_names == ["0", "1", "2", "3"]
        split = load(path, validation_fraction=0.2)
        assert np.bincount(split.y_validation).tolist() == [1, 1, 1, 1]
        assert split.source["path"] == str(path)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_floats_become_256_levels(self, written, dtype):
        floats = FLOATS.astype(dtype)
        data = load(written(x_train=floats), validation_fraction=0)
        np.testing.assert_array_equal(data.x_train, np.rint(floats.astype(np.float32) * 255))

    def test_grey_images_get_a_channel_and_column_labels_lose_one(self, written):
        path = written(
            x_train=np.zeros((20, 6, 5), np.uint8),
            x_test=np.zeros((8, 6, 5, 1), np.uint8),
            y_train=(np.arange(20) % 4).reshape(20, 1).astype(np.uint8),
            y_test=(np.arange(8) % 4).astype(np.float16),
        )
        data = load(path, validation_fraction=0)
        assert data.input_shape == (6, 5, 1)
        np.testing.assert_array_equal(data.y_train, np.arange(20) % 4)
        assert data.y_test.dtype == np.int32

    def test_class_names(self, written):
        names = ["cat", "dog", "föx", "owl", "unused"]
        for stored in (np.array(names), np.array([name.encode() for name in names])):
            assert load(written(class_names=stored)).class_names == names

    def test_grayscale_is_the_luma_of_pillow(self, written):
        image = pytest.importorskip("PIL.Image")
        path = written()
        data = load(path, validation_fraction=0, grayscale=True)
        for color, grey in zip(np.load(path)["x_train"], data.x_train, strict=True):
            expected = np.asarray(image.fromarray(color).convert("L"))
            np.testing.assert_array_equal(grey[..., 0], expected)

    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_channels_are_resized_alike(self, written, channels):
        one = RNG.integers(0, 256, (20, 6, 5, 1), dtype=np.uint8)
        path = written(
            x_train=np.repeat(one, channels, -1), x_test=np.zeros((8, 6, 5, channels), np.uint8)
        )
        data = load(path, validation_fraction=0, image_size=(3, 9))
        assert data.input_shape == (3, 9, channels)
        np.testing.assert_array_equal(
            data.x_train, np.repeat(data.x_train[..., :1], channels, axis=-1)
        )
        assert data.x_train.std() > 10


def test_arrays_of_other_names_are_said_in_one_line(written):
    images = np.zeros((4, 6, 5, 3), np.uint8)
    path = written(x_val=images, y_val=np.arange(4), class_names=np.array(["a", "b", "c", "d"]))
    with pytest.warns(DataWarning) as caught:
        data = load(path, validation_fraction=0)
    line = "arrays of other names: 2 (x_val, y_val)"
    assert [str(each.message) for each in caught] == [f"left out of {path}: {line}"]
    assert caught[0].filename == __file__
    assert data.source["left_out"] == line
    assert len(data.x_train) == 20 and len(data.x_test) == 8
    assert "left_out" not in load(written()).source
