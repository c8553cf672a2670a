"""Batches whose maps no machine holds are refused before anything is computed or written."""

import keras
import pytest

from spectral_keras import models
from spectral_keras.data import load
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.evaluate import EvaluateOptions, evaluate
from spectral_keras.models import activation_limit
from spectral_keras.models.activation_limit import check_batch, least_bytes


def _network(dtype="float32"):
    """8 x 8 x 1 to 8 x 8 x 4, twice by one layer, and to 2 classes."""
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 1))
    x = layers.ReLU(dtype=dtype)(layers.Conv2D(4, 3, padding="same", dtype=dtype)(x))
    shared = layers.Conv2D(4, 3, padding="same", dtype=dtype)
    x = layers.Flatten()(shared(shared(x)))
    return keras.Model(inputs, layers.Dense(2, dtype=dtype)(x))


@pytest.mark.parametrize(("dtype", "width"), [("float32", 4), ("mixed_bfloat16", 2)])
def test_inputs_and_outputs_add_up(dtype, width):
    model = _network(dtype)
    # The shared layer reads and writes 256 numbers at once; of 64, 256, 256 and 256 numbers kernels
    # have their gradients.
    assert least_bytes(model, 10) == 10 * width * 512
    assert least_bytes(model, 10, training=True) == 10 * width * 832
    nested = keras.Sequential([keras.Input((8, 8, 1)), model])
    assert least_bytes(nested, 10, training=True) == 10 * width * 832
    model.layers[1].trainable = False
    assert least_bytes(model, 10, training=True) == 10 * width * 768


def test_unknown_sizes_count_as_one():
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(5, 3)])
    assert least_bytes(model, 2) == 2 * 4 * 8


def test_what_the_memory_does_not_hold(monkeypatch):
    model = _network()
    monkeypatch.setattr(activation_limit, "has_accelerator", lambda: False)
    monkeypatch.setattr(activation_limit, "available_memory", lambda: 20479)
    with pytest.raises(MemoryError, match=r"the maps of 10 images need 0.0 GiB and more, 0.0 GiB"):
        check_batch(model, 10)
    check_batch(model, 9)
    monkeypatch.setattr(activation_limit, "has_accelerator", lambda: True)
    check_batch(model, 10)
    monkeypatch.setattr(activation_limit, "has_accelerator", lambda: False)
    monkeypatch.setattr(activation_limit, "available_memory", lambda: None)
    check_batch(model, 10)


def test_no_network_of_the_zoo_is_refused_by_mistake():
    """A step of 128 CIFAR images, which machines of 8 GB have trained."""
    network = models.build("resnet18")
    needed = least_bytes(network, 128, training=True)
    # Inputs of 20 convolutions and a dense layer, all but the images once each.
    assert 0.2e9 < needed < 1e9


def test_large_images_are_refused_where_they_would_be_made():
    with pytest.raises(ValueError, match="images of 4096x4096 need .* GiB and this machine has"):
        load("digits", image_size=4096)
    with pytest.raises(ValueError, match=r"images of 100000x100000 need [\d.]+ GiB"):
        load("digits", image_size=100_000, limit=50, limit_test=50, validation_fraction=0.1)


def test_evaluation(tmp_path, monkeypatch):
    layers = [keras.Input((32, 32, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    monkeypatch.setattr(activation_limit, "available_memory", lambda: 1000)
    monkeypatch.setattr(activation_limit, "has_accelerator", lambda: False)
    options = EvaluateOptions(str(tmp_path / "m.keras"), corruptions=["fog"], batch_size=10**9)
    with pytest.raises(CommandError, match=r"m.keras: the maps of 355 images need"):
        evaluate(options)
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]
