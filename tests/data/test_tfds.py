"""TensorFlow Datasets through the real reader: small sets, prepared here, without a network."""

import logging
import os
import sys
import warnings

import numpy as np
import pytest

from spectral_keras.data import DataError, DataWarning, load
from spectral_keras.data.arrays import balanced_prefix

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("tensorflow")


def image_of(number, shape):
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


class _Small(tfds.core.GeneratorBasedBuilder):
    """Image n of a split is `image_of(n, shape)`, of class n % 3."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None
    SHAPE = (6, 5, 3)
    SPLITS = {"train": 40, "test": 12}

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=self.SHAPE),
                    "label": tfds.features.ClassLabel(names=["ant", "bee", "cow"]),
                    "note": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(count) for split, count in self.SPLITS.items()}

    def _generate_examples(self, count):
        for number in range(count):
            shape = [size or 8 + number for size in self.SHAPE]
            yield number, {"image": image_of(number, shape), "label": number % 3, "note": "x"}


class SpectralTestPlain(_Small):
    pass


class SpectralTestSizes(_Small):
    SHAPE = (None, None, 3)


class SpectralTestNoTest(_Small):
    SPLITS = {"train": 30}


class SpectralTestValidation(_Small):
    SPLITS = {"train": 30, "validation": 6}


class SpectralTestFourSplits(_Small):
    SPLITS = {"train": 30, "test": 6, "validation": 6, "extra": 9}


class SpectralTestOnlyTest(_Small):
    SPLITS = {"test": 30}


class SpectralTestDeep(_Small):
    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16),
                    "label": tfds.features.ClassLabel(num_classes=2),
                }
            )
        )


class SpectralTestBoxes(_Small):
    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(), "label": tfds.features.BBoxFeature()}
            )
        )


class SpectralTestRemote(_Small):
    # Nobody listens on port 9 of this machine.
    url_infos = {"http://127.0.0.1:9/images.zip": None}

    def _split_generators(self, dl_manager):
        dl_manager.download("http://127.0.0.1:9/images.zip")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Prepare each set once; `load` then finds it as it finds one that a user prepared."""
    folder = tmp_path_factory.mktemp("tfds")

    def prepare(builder_class):
        builder = builder_class(data_dir=folder)
        if not builder.is_prepared():
            builder.download_and_prepare()
        return {"name": builder.name, "data_dir": folder}

    return prepare


def numbers_of(images, count, shape=_Small.SHAPE):
    """Which `image_of` each image is."""
    known = {image_of(number, shape).tobytes(): number for number in range(count)}
    return np.array([known[image.tobytes()] for image in images])


@pytest.mark.parametrize("stream", [False, True])
def test_splits_that_are_not_read_are_said_in_one_line(prepared, stream):
    arguments = prepared(SpectralTestFourSplits)
    with pytest.warns(DataWarning) as caught:
        data = load(**arguments, stream=stream, validation_fraction=0)
    line = "splits that are not read: 2 (extra, validation)"
    name = arguments["name"]
    assert [str(each.message) for each in caught] == [f"left out of the data set {name!r}: {line}"]
    assert caught[0].filename == __file__
    assert data.source["left_out"] == line
    assert len(data.x_train) == 30 and len(data.x_test) == 6


class TestContract:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("cifra10", "unknown data set 'cifra10': did you mean 'cifar10'"),
            ("CIFAR10", "did you mean 'cifar10'"),
            ("no_such_thing_at_all", "give 'digits', an image classification set .*--data-dir"),
            ("cifar10:9.9.9", "cannot be used .*9.9.9"),
            ("cifar10_corrupted/gausian_noise_1", "did you mean 'gaussian_noise_1'"),
            ("cifar10_corrupted/gaussian_noise_1", "no training split"),
            ("imdb_reviews", "not an image classification set"),
            ("coco", "not an image classification set"),
            ("spectral_test_deep", "images of type uint16"),
            ("spectral_test_boxes", "not an image classification set"),
            ("x" * 5000, "unknown data set 'xxxx"),
        ],
    )
    def test_bad_names_end_with_one_line_and_leave_nothing(self, tmp_path, capfd, name, message):
        with pytest.raises(DataError, match=message) as caught:
            load(name, data_dir=tmp_path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
        assert capfd.readouterr() == ("", "")
        assert list(tmp_path.iterdir()) == []

    def test_no_connection(self, tmp_path, capfd, monkeypatch):
        """TFDS tries again for minutes, which is shown; then one line, and nothing is left."""
        retry = pytest.importorskip("urllib3.util.retry").Retry
        monkeypatch.setattr(retry, "sleep", lambda *_: None)
        with pytest.raises(DataError, match=r"127\.0\.0\.1.*connect to.*tfds build.*npz") as caught:
            load("spectral_test_remote", data_dir=tmp_path)
        assert "\n" not in str(caught.value)
        out, err = capfd.readouterr()
        assert out == "" and "Downloading and preparing" in err and "Dl Completed" in err
        assert list(tmp_path.rglob("*.tfrecord*")) == []
        assert not (tmp_path / "downloads").exists()

    def test_preparing_shows_its_progress(self, tmp_path, capfd):
        data = load("spectral_test_plain", data_dir=tmp_path)
        assert len(data.x_test) == 12
        out, err = capfd.readouterr()
        assert out == "" and "Generating train examples" in err and str(tmp_path) in err
        load("spectral_test_plain", data_dir=tmp_path)  # prepared: nothing to show
        assert capfd.readouterr() == ("", "")

    def test_reading_leaves_the_process_as_it_was(self, prepared):
        logger = logging.getLogger("absl")
        before = logger.level, list(warnings.filters), sys.stdout, sys.stderr
        load(**prepared(SpectralTestPlain))
        with pytest.raises(DataError):
            load("cifra10")
        assert (logger.level, list(warnings.filters), sys.stdout, sys.stderr) == before

    @pytest.mark.parametrize("stream", [False, True])
    def test_records_that_are_no_files(self, tmp_path, stream):
        builder = SpectralTestPlain(data_dir=tmp_path)
        builder.download_and_prepare()
        (record,) = tmp_path.rglob("*train.tfrecord*")
        record.unlink()
        os.mkfifo(record)
        with pytest.raises(DataError, match="is a pipe"):
            load(builder.name, data_dir=tmp_path, stream=stream)

    def test_no_training_split_is_found_out_after_preparing(self, prepared):
        with pytest.raises(DataError, match="no training split"):
            load(**prepared(SpectralTestOnlyTest))

    def test_different_sizes_need_a_size(self, prepared):
        with pytest.raises(DataError, match="different sizes: give image_size"):
            load(**prepared(SpectralTestSizes))

    def test_damaged_files(self, tmp_path):
        builder = SpectralTestPlain(data_dir=tmp_path)
        builder.download_and_prepare()
        for record in tmp_path.rglob("*train.tfrecord*"):
            record.write_bytes(record.read_bytes()[:-200])
        with pytest.raises(DataError, match="cannot be read .*prepare it again") as caught:
            load(builder.name, data_dir=tmp_path)
        assert "\n" not in str(caught.value)


class TestCorrectness:
    def test_all_images_with_their_labels(self, prepared, capfd):
        where = prepared(SpectralTestPlain)
        capfd.readouterr()
        data = load(**where, validation_fraction=0.25)
        assert capfd.readouterr() == ("", "")
        assert data.class_names == ["ant", "bee", "cow"] and data.input_shape == (6, 5, 3)
        found = []
        for part in ("train", "validation", "test"):
            numbers = numbers_of(getattr(data, f"x_{part}"), 40)
            np.testing.assert_array_equal(getattr(data, f"y_{part}"), numbers % 3)
            found.append(sorted(numbers))
        assert len(found[1]) == 10 and found[2] == list(range(12))
        assert sorted(found[0] + found[1]) == list(range(40))
        assert data.source["version"] == "spectral_test_plain/1.0.0"
        assert data.source["test"] == "test"

    def test_limits_choose_the_balanced_prefix(self, prepared):
        where = prepared(SpectralTestPlain)
        full = load(**where, validation_fraction=0)
        part = load(**where, limit=10, limit_test=4, validation_fraction=0)
        for name, count in (("train", 10), ("test", 4)):
            labels = getattr(full, f"y_{name}")
            chosen = balanced_prefix(labels, count)
            for kind in "xy":
                field = f"{kind}_{name}"
                np.testing.assert_array_equal(getattr(part, field), getattr(full, field)[chosen])

    def test_validation_split_is_the_test_set_where_there_is_no_other(self, prepared):
        data = load(**prepared(SpectralTestValidation))
        assert len(data.x_test) == 6 and data.source["test"] == "validation"

    def test_a_fifth_of_training_is_the_test_set_where_there_is_none(self, prepared):
        where = prepared(SpectralTestNoTest)
        data = load(**where, validation_fraction=0)
        train, test = numbers_of(data.x_train, 30), numbers_of(data.x_test, 30)
        assert sorted([*train, *test]) == list(range(30))
        assert np.bincount(data.y_test).tolist() == [2, 2, 2]
        np.testing.assert_array_equal(data.y_test, test % 3)
        small = load(**where, limit=9, limit_test=3, validation_fraction=0)
        assert set(numbers_of(small.x_train, 30)) < set(train)
        assert set(numbers_of(small.x_test, 30)) < set(test)

    @pytest.mark.parametrize("limit", [None, 12])
    def test_resizing_is_antialiased(self, prepared, limit):
        data = load(
            **prepared(SpectralTestSizes), image_size=(4, 3), limit=limit, validation_fraction=0
        )
        assert data.input_shape == (4, 3, 3)
        # A triangle filter over all pixels: the mean of an image changes little.
        originals = [image_of(n, (8 + n, 8 + n, 3)).mean() for n in range(12)]
        np.testing.assert_allclose(data.x_test.mean((1, 2, 3)), originals, rtol=0.12)

    def test_cifar10(self):
        folder = os.environ.get("TFDS_DATA_DIR")
        if not tfds.builder("cifar10", data_dir=folder).is_prepared():
            pytest.skip("cifar10 is not prepared")
        data = load("cifar10", data_dir=folder, limit=200, limit_test=100)
        assert data.input_shape == (32, 32, 3) and data.num_classes == 10
        assert np.bincount(data.y_train).tolist() == [18] * 10
        # The published means of the training set's channels.
        means = data.x_train.mean((0, 1, 2)) / 255
        np.testing.assert_allclose(means, [0.491, 0.482, 0.447], atol=0.03)
