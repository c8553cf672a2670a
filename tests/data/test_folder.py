import os
import struct
import warnings

import numpy as np
import pytest

from spectral_keras.data import DataError, DataWarning, load

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

    def test_a_folder_that_was_moved(self, flowers):
        expected = load(flowers).x_train
        for name in (flowers.parent / "gone" / "flowers", "flowers", "old/flowers"):
            with pytest.warns(DataWarning, match="flowers is not there: .*flowers is taken"):
                data = load(name, data_dir=flowers.parent)
            np.testing.assert_array_equal(data.x_train, expected)
        with pytest.raises(DataError, match="no such file or folder"):
            load("/gone/..", data_dir=flowers)

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

    @pytest.mark.parametrize("size", [None, 4])
    def test_of_a_large_image_pillow_does_not_warn(self, flowers, monkeypatch, size):
        """As it does of 12000 x 9000 pixels; warnings are errors here."""
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 23)  # of 24
        filters = list(warnings.filters)
        assert len(load(flowers, image_size=size, validation_fraction=0).x_train) == 16
        assert warnings.filters == filters

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
            (["a/1.png", "b/1.tga", "c/1.png"], r"folder .*b holds only .* kinds \(\.tga\)"),
            (["a/1.png", "b/.hidden", "c/1.png"], "folder .*b holds no files"),
            (
                ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/x"],
                r"folder .*test.b holds only files of other kinds \(no suffix\)",
            ),
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

    @pytest.mark.parametrize(
        ("name", "suffix", "message"),
        [
            ("eps", ".png", "the content of none of PNG, JPEG, BMP, WEBP, GIF"),
            ("TIFF", ".jpg", "the content of none of"),
            ("PPM", ".bmp", "the content of none of"),
            ("GIF", ".gif", "3 frames: save the one that is meant"),
            ("WEBP", ".webp", "3 frames"),
            ("PNG", ".png", "3 frames"),
        ],
    )
    def test_content_that_is_not_read(self, flowers, name, suffix, message):
        """Whatever a file is called; EPS would start an external program."""
        path = flowers / "rose" / f"odd{suffix}"
        frames = [Image.new("RGB", (6, 4), (value, 0, 0)) for value in (10, 90, 200)]
        if name == "eps":
            path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\nshowpage\n")
        elif "frames" in message:
            frames[0].save(path, name, save_all=True, append_images=frames[1:])
        else:
            frames[0].save(path, name)
        with pytest.raises(DataError, match=rf"odd\{suffix} has {message}") as caught:
            load(flowers)
        assert "\n" not in str(caught.value)

    def test_files_that_are_no_files_or_too_large(self, flowers):
        odd = flowers / "rose" / "odd.png"
        os.mkfifo(odd)
        with pytest.raises(DataError, match=r"the image .*odd\.png is a pipe"):
            load(flowers)
        odd.unlink()
        odd.symlink_to("/dev/zero")
        with pytest.raises(DataError, match="a device"):
            load(flowers)
        odd.unlink()
        odd.touch()
        os.truncate(odd, 2**40)
        with pytest.raises(DataError, match="larger than 268,435,456 bytes"):
            load(flowers)

    def test_what_is_left_out_is_said_in_one_line(self, flowers):
        load(flowers)  # nothing
        for name in ("notes.txt", "rose/labels.csv", "rose/deep/a.tif", "tulip/b", "beside.png"):
            (flowers / name).parent.mkdir(exist_ok=True)
            (flowers / name).write_text("x")
        for name in (".hidden.txt", "rose/Thumbs.db", "rose/.DS_Store", "__MACOSX/rose/._1.png"):
            (flowers / name).parent.mkdir(parents=True, exist_ok=True)
            (flowers / name).write_text("x")
        line = (
            "files of kinds that are not read: 3 (rose/deep/a.tif, rose/labels.csv, tulip/b); "
            "files outside the class folders: 2 (beside.png, notes.txt)"
        )
        with pytest.warns(DataWarning) as caught:
            data = load(flowers, validation_fraction=0)
        assert [str(each.message) for each in caught] == [f"left out of {flowers}: {line}"]
        assert caught[0].filename == __file__
        assert data.source["left_out"] == line
        assert len(data.x_train) + len(data.x_test) == 20

    def test_folders_beside_train_and_test_are_said(self, flowers):
        for part in ("train", "test", "val", "extra"):
            for name in ("a", "b"):
                write_image(flowers / part / name / "1.png", (1, 2, 3))
        with pytest.warns(DataWarning, match=r"folders: 4 \(extra, rose, tulip, \.\.\.\)"):
            data = load(flowers, validation_fraction=0)
        assert data.class_names == ["a", "b"] and data.source["test"] == "test/"


class TestCorrectness:
    @pytest.mark.parametrize("stream", [False, True])
    def test_images_in_sub_folders_are_of_the_class(self, flowers, stream):
        before = load(flowers, validation_fraction=0)
        for number in (3, 7):
            path = flowers / "rose" / f"{number}.png"
            deep = path.parent / "red" / "dark"
            deep.mkdir(parents=True, exist_ok=True)
            path.rename(deep / path.name)
        (flowers / "rose" / "red" / "again").symlink_to(flowers / "rose")  # no endless walk
        data = load(flowers, validation_fraction=0, stream=stream)
        assert data.class_names == before.class_names
        images = np.concatenate([data.x_train, data.x_test])
        labels = np.concatenate([data.y_train, data.y_test])
        np.testing.assert_array_equal(images[:, 0, 0, 1], 100 * labels)
        for label in range(2):
            assert sorted(images[labels == label][:, 0, 0, 0]) == list(range(10))

    @pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8, 0, 99])
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
    def test_images_are_upright(self, tmp_path, suffix, orientation):
        """As Pillow's own exif_transpose turns them, resized or not."""
        from PIL import ImageOps

        ramp = np.add.outer(np.arange(0, 160, 5), np.arange(0, 64, 4)).astype(np.uint8)
        exif = Image.Exif()
        exif[0x0112] = orientation
        for name in "aabbb":
            number = len(list(tmp_path.rglob("*.*")))
            path = tmp_path / name / f"{number}.{suffix}"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(ramp).convert("RGB").save(path, exif=exif, quality=95)
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        assert upright.size == ((32, 16) if 5 <= orientation <= 8 else (16, 32))
        found = load(tmp_path, validation_fraction=0).x_train[0]
        np.testing.assert_array_equal(found, upright)
        resized = upright.resize((10, 4), Image.Resampling.BILINEAR)
        found = load(tmp_path, validation_fraction=0, image_size=(4, 10)).x_train[0].astype(int)
        assert np.abs(found - np.asarray(resized)).max() <= 2  # a JPEG may be reduced before

    def test_a_damaged_description_costs_no_image(self, flowers):
        path = flowers / "rose" / "odd.jpg"
        broken = b"Exif\0\0II*\0" + struct.pack("<I", 8) + b"\xff" * 9
        Image.new("RGB", (6, 4), (60, 0, 0)).save(path, exif=broken)
        data = load(flowers, validation_fraction=0)
        assert len(data.x_train) + len(data.x_test) == 21

    def test_the_second_image_of_a_camera_is_no_frame(self, flowers):
        first, second = (Image.new("RGB", (6, 4), (value, 0, 7)) for value in (60, 250))
        path = flowers / "rose" / "camera.jpg"
        first.save(path, "MPO", save_all=True, append_images=[second], quality=95)
        data = load(flowers, validation_fraction=0)
        reds = np.concatenate([data.x_train, data.x_test])[:, 0, 0, 0]
        assert len(reds) == 21 and 55 < reds.max() < 65

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
        with pytest.raises(DataError, match="png has the content of none"):
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
