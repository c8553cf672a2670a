import json

import numpy as np
import pytest

from spectral_keras.data import DataError, load
from spectral_keras.data.arrays import balanced_prefix, every_fifth, stratified_split

scipy_signal = pytest.importorskip("scipy.signal")


@pytest.fixture(scope="module")
def digits():
    return load("digits", seed=1)


def pixels_as_rows(images):
    return {image.tobytes() for image in images}


class TestContract:
    def test_digits(self, digits):
        assert digits.name == "digits"
        assert digits.num_classes == 10 and digits.class_names[3] == "3"
        assert digits.input_shape == (32, 32, 1)
        sizes = [len(digits.x_train), len(digits.x_validation), len(digits.x_test)]
        assert sizes == [1298, 144, 355]
        for part in ("train", "validation", "test"):
            images, labels = getattr(digits, f"x_{part}"), getattr(digits, f"y_{part}")
            assert images.dtype == np.uint8 and labels.dtype == np.int32
            assert len(images) == len(labels)

    def test_source_is_plain_json(self, digits):
        source = json.loads(json.dumps(digits.source))
        assert source == digits.source
        assert source["kind"] == "digits" and source["split_seed"] == 1
        assert source["train_images"] == 1298 and source["validation_images"] == 144

    def test_loading_twice_gives_the_same(self, digits):
        again = load("digits", seed=1)
        for field in ("x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test"):
            np.testing.assert_array_equal(getattr(again, field), getattr(digits, field))

    def test_no_validation(self):
        data = load("digits", validation_fraction=0)
        assert data.x_validation.shape == (0, 32, 32, 1) and data.y_validation.shape == (0,)
        assert len(data.x_train) == 1442

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"name": ""}, "must be a name"),
            ({"name": 3}, "must be a name"),
            ({"name": None}, "must be a name"),
            ({"name": "a\0b"}, "null character"),
            ({"name": "/no/such/place"}, "no such file or folder"),
            ({"name": "/no/such/file.npz"}, "no such file"),
            ({"name": __file__}, "neither an .npz file nor a folder"),
            ({"limit": 0}, "limit must be a positive integer"),
            ({"limit": 1.5}, "limit must be a positive integer"),
            ({"limit": True}, "limit must be a positive integer"),
            ({"limit": 1}, "all of one class: raise the limit"),
            ({"limit": 4}, "too few for a validation share"),
            ({"limit": 12, "validation_fraction": 0.97}, "too few for a validation share"),
            ({"limit_test": -1}, "limit_test must be a positive integer"),
            ({"validation_fraction": 1}, "validation_fraction must be"),
            ({"validation_fraction": -0.1}, "validation_fraction must be"),
            ({"validation_fraction": float("nan")}, "validation_fraction must be"),
            ({"validation_fraction": "0.1"}, "validation_fraction must be"),
            ({"seed": -1}, "seed must be"),
            ({"seed": 0.5}, "seed must be"),
            ({"image_size": 0}, "image_size must be"),
            ({"image_size": (8, 8, 8)}, "image_size must be"),
            ({"image_size": "8"}, "image_size must be"),
            ({"data_dir": 3}, "data_dir must be"),
            ({"grayscale": 1}, "grayscale must be"),
        ],
    )
    def test_bad_arguments_end_with_one_line(self, arguments, message):
        with pytest.raises(DataError, match=message) as caught:
            load(**{"name": "digits", **arguments})
        assert "\n" not in str(caught.value)


class TestCorrectness:
    def test_digits_are_the_scans_on_a_finer_grid(self, digits):
        from sklearn.datasets import load_digits

        scans = load_digits()
        fine = scans.images * (255 / 16)
        for axis in (1, 2):
            fine = scipy_signal.resample(fine, 32, axis=axis)
        expected = np.clip(np.rint(np.round(fine, 6)), 0, 255).astype(np.uint8)[..., np.newaxis]
        train, test = every_fifth(scans.target)
        np.testing.assert_array_equal(digits.x_test, expected[test])
        np.testing.assert_array_equal(digits.y_test, scans.target[test])
        used = np.concatenate([digits.x_train, digits.x_validation])
        assert pixels_as_rows(used) == pixels_as_rows(expected[train])

    def test_the_validation_set_comes_from_training_and_follows_the_seed(self, digits):
        other = load("digits", seed=2)
        np.testing.assert_array_equal(other.x_test, digits.x_test)
        held_out = pixels_as_rows(digits.x_validation)
        assert held_out != pixels_as_rows(other.x_validation)
        assert not held_out & pixels_as_rows(digits.x_train)
        assert not held_out & pixels_as_rows(digits.x_test)
        shares = np.bincount(digits.y_validation) / np.bincount(digits.y_train)
        np.testing.assert_allclose(shares, 144 / 1298, atol=0.01)

    def test_limits_are_balanced_and_nested(self):
        small = load("digits", limit=100, limit_test=20, validation_fraction=0.2)
        large = load("digits", limit=300, validation_fraction=0, seed=5)
        assert [len(small.x_train), len(small.x_validation), len(small.x_test)] == [80, 20, 20]
        used = np.concatenate([small.y_train, small.y_validation])
        assert set(np.bincount(used)) <= {9, 10, 11}
        assert set(np.bincount(small.y_validation)) <= {1, 2, 3}
        chosen = pixels_as_rows(np.concatenate([small.x_train, small.x_validation]))
        assert chosen < pixels_as_rows(large.x_train)

    def test_a_limit_above_the_number_of_images_takes_all(self):
        assert len(load("digits", limit=10**6, validation_fraction=0).x_train) == 1442

    def test_prefix_and_split_follow_the_class_shares(self):
        labels = np.repeat([0, 1, 2], [60, 30, 10])
        np.random.default_rng(0).shuffle(labels)
        for count in (10, 20, 50):
            chosen = balanced_prefix(labels, count)
            assert np.all(np.diff(chosen) > 0)
            shares = np.array([0.6, 0.3, 0.1]) * count
            np.testing.assert_allclose(np.bincount(labels[chosen]), shares, atol=1)
            rest, part = stratified_split(labels, count, np.random.default_rng(1))
            np.testing.assert_array_equal(np.sort(np.append(rest, part)), np.arange(100))
            np.testing.assert_allclose(np.bincount(labels[part]), shares, atol=1)

    def test_every_fifth_of_each_class(self):
        labels = np.array([0] * 12 + [1] * 5 + [2] * 4)
        train, test = every_fifth(labels)
        np.testing.assert_array_equal(test, [4, 9, 16])
        np.testing.assert_array_equal(np.sort(np.append(train, test)), np.arange(21))

    def test_resizing_is_antialiased(self):
        full = load("digits", limit=50, validation_fraction=0)
        half = load("digits", limit=50, validation_fraction=0, image_size=(16, 8))
        assert half.input_shape == (16, 8, 1)
        # The mean survives a filter that covers all pixels; picking every other one loses it.
        means = [data.x_train.mean((1, 2, 3)) for data in (full, half)]
        np.testing.assert_allclose(*means, rtol=0.03)


def test_a_file_of_the_name_goes_before_tfds(tmp_path):
    """The data set without TensorFlow; elsewhere the name means what it did."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (20, 4, 4, 3), "uint8"), "y_train": np.arange(20) % 2,
        "x_test": rng.integers(0, 256, (6, 4, 4, 3), "uint8"), "y_test": np.arange(6) % 2,
    }  # fmt: skip
    np.savez(tmp_path / "cifar10.npz", **arrays)
    data = load("cifar10", data_dir=tmp_path, validation_fraction=0)
    assert data.name == "cifar10"
    np.testing.assert_array_equal(data.x_train, arrays["x_train"])
    np.testing.assert_array_equal(data.y_test, arrays["y_test"])
