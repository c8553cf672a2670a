import numpy as np
import pytest

from spectral_keras.data import DataError, load

Image = pytest.importorskip("PIL.Image")


def write_image(path, color, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


@pytest.fixture
def flowers(tmp_path):
    """Two classes of ten images; image n of a class is of the colour (n, 100 * class, 7)."""
    for label, name in enumerate(["rose", "tulip"]):
        for number in range(10):
            write_image(tmp_path / "flowers" / name / f"{number}.png", (number, 100 * label, 7))
    return tmp_path / "flowers"


class TestContract:
    def test_a_folder_in_the_working_directory_needs_no_dot(self, flowers, monkeypatch):
        monkeypatch.chdir(flowers.parent)
        assert load("flowers").class_names == ["rose", "tulip"]

    def test_a_broken_image_is_named(self, flowers):
        broken = flowers / "rose" / "3.png"
        broken.write_bytes(broken.read_bytes()[:-30])
        with pytest.raises(DataError, match=r"rose.3\.png cannot be read"):
            load(flowers)

    def test_images_of_different_sizes_need_a_size(self, flowers):
        write_image(flowers / "rose" / "big.png", (50, 0, 7), size=(60, 40))
        with pytest.raises(DataError, match="different sizes.*give image_size"):
            load(flowers)
        data = load(flowers, image_size=(4, 6), validation_fraction=0)
        assert data.input_shape == (4, 6, 3)
        reds = np.concatenate([data.x_train, data.x_test])[..., 0]
        assert np.all(reds == reds[:, :1, :1])  # each image is still of one colour
        assert sorted(reds[:, 0, 0]) == sorted([*range(10), *range(10), 50])

    def test_sixteen_bit_images_are_refused(self, flowers):
        write_image(flowers / "rose" / "deep.png", 40000, mode="I;16")
        with pytest.raises(DataError, match=r"deep\.png has more than 8 bits"):
            load(flowers)

    @pytest.mark.parametrize(
        ("images", "message"),
        [
            ([], "0 class folder"),
            (["a.png"], "0 class folder"),
            (["only/a.png", "only/b.png"], "1 class folder"),
            (["a/1.txt", "b/1.txt"], "0 class folder"),
            (["a/1.png", "b/1.png"], "too few images"),
            (["train/a/1.png", "train/b/1.png"], "test does not exist"),
            (["test/a/1.png", "test/b/1.png"], "train does not exist"),
            (["train/a/1.png", "train/b/1.png", "test/c/1.png"], "the class 'c'"),
            (["train/a/1.png", "train/b/1.png", "test/a/1.txt"], "holds no images"),
        ],
    )
    def test_bad_folders_end_with_one_line(self, tmp_path, images, message):
        for name in images:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".png":
                write_image(path, (1, 2, 3))
            else:
                path.write_text("no image")
        with pytest.raises(DataError, match=message) as caught:
            load(str(tmp_path))
        assert "\n" not in str(caught.value)


class TestCorrectness:
    def test_pixels_labels_and_a_fixed_split(self, flowers):
        data = load(flowers, validation_fraction=0)
        assert data.class_names == ["rose", "tulip"] and data.input_shape == (4, 6, 3)
        assert np.bincount(data.y_train).tolist() == [8, 8]
        assert np.bincount(data.y_test).tolist() == [2, 2]
        images = np.concatenate([data.x_train, data.x_test])
        labels = np.concatenate([data.y_train, data.y_test])
        np.testing.assert_array_equal(images[:, 0, 0, 1], 100 * labels)
        for label in range(2):
            assert sorted(images[labels == label][:, 0, 0, 0]) == list(range(10))
        # By a hash of the path: the same images wherever the folder lies, on any machine.
        assert data.x_test[:, 0, 0, 0].tolist() == [2, 4, 1, 9]
        moved = flowers.rename(flowers.with_name("elsewhere"))
        np.testing.assert_array_equal(load(moved, validation_fraction=0).x_test, data.x_test)

    @pytest.mark.parametrize("test_name", ["test", "validation", "val"])
    def test_given_test_folder(self, flowers, test_name):
        (flowers / "train").mkdir()
        for name in ("rose", "tulip"):
            (flowers / name).rename(flowers / "train" / name)
        write_image(flowers / test_name / "tulip" / "new.bmp", (200, 100, 7))
        data = load(flowers, validation_fraction=0)
        assert len(data.x_train) == 20
        assert data.x_test[:, 0, 0].tolist() == [[200, 100, 7]] and data.y_test.tolist() == [1]
        assert data.source["test"] == f"{test_name}/"

    def test_limit_reads_only_what_it_uses(self, flowers):
        data = load(flowers, limit=4, limit_test=2, validation_fraction=0)
        assert data.y_train.tolist() == [0, 0, 1, 1] and data.y_test.tolist() == [0, 1]
        used = set(zip(data.y_train, data.x_train[:, 0, 0, 0], strict=True))
        for path in flowers.glob("*/*.png"):
            label = ["rose", "tulip"].index(path.parent.name)
            if (label, int(path.stem)) not in used:
                path.write_bytes(b"broken")
        with pytest.raises(DataError):
            load(flowers)
        # The test images are broken now; the training images alone were not touched.
        with pytest.raises(DataError, match="png cannot be read"):
            load(flowers, limit=4, limit_test=2)

    @pytest.mark.parametrize(
        ("suffix", "mode", "color"),
        [
            (".png", "L", 90),
            (".png", "RGBA", (90, 90, 90, 10)),
            (".png", "P", 0),
            (".png", "1", 1),
            (".jpg", "L", 90),
            (".JPEG", "CMYK", (0, 0, 0, 165)),
            (".gif", "L", 90),
            (".webp", "RGB", (90, 90, 90)),
        ],
    )
    def test_kinds_of_files(self, flowers, suffix, mode, color):
        write_image(flowers / "rose" / f"other{suffix}", color, mode=mode)
        grey = load(flowers, validation_fraction=0, grayscale=True)
        rgb = load(flowers, validation_fraction=0)
        assert grey.input_shape == (4, 6, 1) and rgb.input_shape == (4, 6, 3)
        assert len(grey.x_train) + len(grey.x_test) == 21
        value = {"P": 0, "1": 255}.get(mode, 90)
        found = np.concatenate([rgb.x_train, rgb.x_test]).astype(int)
        assert (np.abs(found - value).max((1, 2, 3)) <= 2).sum() == 1
