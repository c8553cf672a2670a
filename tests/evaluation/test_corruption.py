"""Accuracy under corruption, against corrupting and counting by hand."""

import json

import keras
import numpy as np
import pytest

from spectral_keras.corruptions import corrupt, names
from spectral_keras.evaluation import (
    accuracy_under_corruption,
    mean_corruption_error,
    wilson_interval,
)
from tests.attacks.nets import linear_net

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(60, 190, (11, 8, 8, 3), dtype=np.uint8)
# Two classes: whether the mean is above 0.5.
KERNEL = np.stack([np.zeros(192), np.full(192, 1 / 192)], axis=1)
BIAS = [0.49, 0.0]
Y = np.arange(11) % 2


@pytest.fixture(scope="module")
def model():
    return linear_net(KERNEL, BIAS, shape=(8, 8, 3))


def correct(images):
    """The number that the model gets right, in float64."""
    return int(np.sum((images.reshape(11, -1).mean(axis=1) / 255 > 0.49) == Y))


def test_each_cell_is_what_counting_gives(model):
    seen = []
    result = accuracy_under_corruption(
        model,
        IMAGES,
        Y,
        ["fog", "brightness", "saturate", "fog"],
        (5, 1),
        seed=3,
        batch_size=4,
        progress=lambda *arguments: seen.append(arguments),
    )
    assert list(result) == ["images", "clean", "corruptions", "settings", "mean_accuracy"]
    assert result["images"] == 11
    assert result["clean"]["correct"] == correct(IMAGES)
    assert list(result["corruptions"]) == ["fog", "brightness", "saturate"]
    cells = []
    for name, points in result["corruptions"].items():
        assert [point["severity"] for point in points] == [1, 5]
        for point in points:
            count = correct(corrupt(IMAGES, name, point["severity"], 3))
            assert point["correct"] == count
            assert point["accuracy"] == count / 11
            assert point["interval"] == list(wilson_interval(count, 11))
            cells += [count / 11] * (name != "saturate")
    assert result["mean_accuracy"] == pytest.approx(np.mean(cells))
    assert result["settings"] == {"seed": 3, "table": "cifar"}
    assert seen[:4] == [("fog", 1, 4, 11), ("fog", 1, 8, 11), ("fog", 1, 11, 11), ("fog", 5, 4, 11)]
    assert len(seen) == 18
    assert json.loads(json.dumps(result)) == result


def test_the_batch_size_changes_nothing(model):
    results = [
        accuracy_under_corruption(model, IMAGES, Y, ["gaussian_noise", "snow"], 3, batch_size=size)
        for size in (1, 4, 64)
    ]
    assert results[0] == results[1] == results[2]


def test_the_model_sees_one_batch_of_float32_at_a_time(model, monkeypatch):
    seen = []

    def spy(images, *arguments, **options):
        seen.append((len(images), list(options["indices"])))
        return corrupt(images, *arguments, **options)

    monkeypatch.setattr("spectral_keras.evaluation.corruption.corrupt", spy)
    inputs = []

    class Spy(keras.Layer):
        def call(self, x):
            inputs.append(keras.backend.standardize_dtype(x.dtype))
            return x

    probe = keras.Sequential([keras.Input((8, 8, 3)), Spy(), model])
    accuracy_under_corruption(probe, IMAGES, Y, "contrast", 1, batch_size=4)
    assert seen == [(4, [0, 1, 2, 3]), (4, [4, 5, 6, 7]), (3, [8, 9, 10])]
    assert set(inputs) == {"float32"}


def test_groups_tables_and_one_hot_labels(model):
    result = accuracy_under_corruption(
        model, IMAGES, np.eye(2)[Y], "extra", [2], table="imagenet", batch_size=16
    )
    assert list(result["corruptions"]) == list(names("extra"))
    assert result["settings"]["table"] == "imagenet"
    assert result["mean_accuracy"] is None
    for name, (point,) in result["corruptions"].items():
        assert point["correct"] == correct(corrupt(IMAGES, name, 2, table="imagenet"))


def test_all_of_the_benchmark_and_its_mce(model):
    result = accuracy_under_corruption(model, IMAGES, Y, severities=(1, 5), batch_size=16)
    assert list(result["corruptions"]) == list(names("benchmark"))
    assert mean_corruption_error(result, result)["mce"] == pytest.approx(100)
    error = mean_corruption_error(result, None)["mce"]
    assert error == pytest.approx(100 * (1 - result["mean_accuracy"]))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model": 3}, "`model` must be a Keras model"),
        ({"images": IMAGES / 255}, "`images` must be uint8"),
        ({"images": IMAGES[:0], "y": []}, "`images` must hold at least one image"),
        ({"y": None}, "`y` must be the true classes"),
        ({"y": np.full(len(IMAGES), 30)}, "`y` must hold classes from 0 to"),
        ({"y": Y[:5]}, "`y` must be"),
        ({"names": "rain"}, "`names` must be one of .*Received: names='rain'"),
        ({"names": []}, "`names` must be a group, a corruption or several"),
        ({"names": 3}, "`names` must be a group, a corruption or several"),
        ({"severities": []}, "`severities` must hold at least one"),
        ({"severities": (1, 6)}, "`severities` must be one of 1, 2.*Received: severities=6"),
        ({"severities": 0}, "`severities` must be a positive integer"),
        ({"seed": -1}, "`seed` must be"),
        ({"table": "coco"}, "`table` must be one of"),
        ({"batch_size": 0}, "`batch_size` must be"),
        ({"progress": 3}, "`progress` must be"),
    ],
)
def test_bad_arguments_are_named(model, change, match):
    arguments = {"model": model, "images": IMAGES, "y": Y, "names": "fog"}
    with pytest.raises(ValueError, match=match):
        accuracy_under_corruption(**arguments | change)
