"""Networks that do not fit are refused before the memory for them is taken."""

import threading

import keras
import pytest

from spectral_keras import models
from spectral_keras.models import weight_limit
from spectral_keras.models.weight_limit import fits_memory, weights_within

ADD_WEIGHT = keras.layers.Layer.add_weight


def too_many(count):
    return ValueError(f"{count} are too many")


@pytest.fixture(autouse=True)
def _keras_is_as_before():
    yield
    assert keras.layers.Layer.add_weight is ADD_WEIGHT


@pytest.mark.parametrize(("limit", "fits"), [(15, True), (14, False), (0, False)])
def test_the_last_weight_counts(limit, fits):
    """A dense layer of 4 inputs and 3 units has 12 + 3 weights."""
    layer = keras.layers.Dense(3)
    if fits:
        with weights_within(limit, too_many):
            layer.build((None, 4))
        assert layer.count_params() == 15
        return
    with pytest.raises(ValueError, match="1[25] are too many"), weights_within(limit, too_many):
        layer.build((None, 4))


def test_bounds_within_bounds():
    with weights_within(100, too_many):
        with pytest.raises(ValueError, match="12 are too many"), weights_within(5, too_many):
            keras.layers.Dense(3).build((None, 4))
        with weights_within(1000, too_many):
            keras.layers.Dense(3).build((None, 4))
            with pytest.raises(ValueError, match="are too many"):
                keras.layers.Dense(3).build((None, 40))


def test_other_threads_are_free():
    built = []

    def build():
        layer = keras.layers.Dense(30)
        layer.build((None, 40))
        built.append(layer)

    with weights_within(1, too_many):
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    assert len(built) == 1


def test_a_network_larger_than_the_memory(monkeypatch):
    with pytest.raises(MemoryError, match=r"weights and more need [\d,.]+ GiB, .* GiB are free"):
        models.build("resnet18", width=1000)
    # 1000 weights of 4 bytes, twice.
    monkeypatch.setattr(weight_limit, "available_memory", lambda: 8000)
    with fits_memory(2):
        keras.layers.Dense(10, use_bias=False).build((None, 100))
    with pytest.raises(MemoryError, match="1,010 weights"), fits_memory(2):
        keras.layers.Dense(10).build((None, 100))
    monkeypatch.setattr(weight_limit, "available_memory", lambda: None)
    with fits_memory(2):
        keras.layers.Dense(10).build((None, 100))
