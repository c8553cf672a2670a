import keras
import numpy as np
import pytest

from spectral_keras.folding import fold
from spectral_keras.layers.conv2d import Conv2D
from spectral_keras.layers.fft_conv2d import FFTConv2D
from spectral_keras.layers.spectral_conv2d import SpectralConv2D
from tests.oracles import random_images, to_numpy


def branched_model():
    inputs = keras.Input((12, 10, 3))
    shared = SpectralConv2D(3, 3, padding="same", bias_initializer="ones", name="shared")
    x = shared(shared(inputs))
    inner = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            SpectralConv2D(4, 5, strides=2, parametrization="hermitian", activation="relu"),
            keras.layers.BatchNormalization(),
        ],
        name="inner",
    )
    x = inner(x)
    left = FFTConv2D(4, 3, padding="same", name="fft")(x)
    right = SpectralConv2D(4, 1, use_bias=False, kernel_constraint="non_neg", name="point")(x)
    x = keras.layers.Add()([left, right])
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def test_folded_model_gives_the_same_outputs():
    model = branched_model()
    rng = np.random.default_rng(0)
    model.set_weights([w + 0.1 * rng.random(w.shape) for w in model.get_weights()])
    before = model.get_weights()
    x = random_images((3, 12, 10, 3))
    expected = to_numpy(model(x))
    folded = fold(model)
    np.testing.assert_allclose(to_numpy(folded(x)), expected, atol=1e-5)
    for layer in ("shared", "fft", "point"):
        assert type(folded.get_layer(layer)) is keras.layers.Conv2D
    assert type(folded.get_layer("inner").layers[0]) is keras.layers.Conv2D
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("layer", [SpectralConv2D, FFTConv2D, Conv2D])
@pytest.mark.parametrize("compiled", [False, True])
def test_channels_first_with_as_many_filters_as_columns(layer, compiled):
    """The bias stays on the channels, where Keras' own Conv2D adds it along the width."""
    model = keras.Sequential(
        [keras.Input((3, 8, 8)), layer(8, 3, padding="same", data_format="channels_first")]
    )
    kernel, bias = model.get_weights()[:-1], np.arange(8.0)
    model.set_weights([*kernel, bias])
    x = random_images((2, 3, 8, 8))
    folded = fold(model)
    if compiled:
        folded.compile(jit_compile=keras.backend.backend() != "torch")
        found = folded.predict(x, verbose=0)
    else:
        found = to_numpy(folded(x))
    np.testing.assert_allclose(found, to_numpy(model(x)), atol=1e-5)
    model.set_weights([*kernel, 0 * bias])
    plain = to_numpy(model(x))
    np.testing.assert_allclose(
        found - plain, np.broadcast_to(bias[:, None, None], plain.shape), atol=1e-4
    )


@pytest.mark.parametrize("layer", [FFTConv2D, Conv2D])
def test_lora(layer):
    model = keras.Sequential([keras.Input((8, 8, 3)), layer(4, 5, padding="same")])
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones(model.layers[0].lora_kernel_b.shape))
    x = random_images((2, 8, 8, 3))
    folded = fold(model)
    assert type(folded.layers[0]) is keras.layers.Conv2D
    np.testing.assert_allclose(to_numpy(folded(x)), to_numpy(model(x)), atol=1e-5)


def test_folded_model_loads_without_the_library(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), SpectralConv2D(4, 3, activation="relu")])
    fold(model).save(tmp_path / "folded.keras")
    assert b"spectral_keras" not in (tmp_path / "folded.keras").read_bytes()
    loaded = keras.saving.load_model(tmp_path / "folded.keras")
    x = random_images((2, 8, 8, 3))
    np.testing.assert_allclose(to_numpy(loaded(x)), to_numpy(model(x)), atol=1e-5)


def test_mixed_precision():
    with_policy = keras.Sequential(
        [keras.Input((8, 8, 3)), SpectralConv2D(4, 3, dtype="mixed_bfloat16")]
    )
    folded = fold(with_policy)
    assert folded.layers[0].compute_dtype == "bfloat16"
    x = random_images((2, 8, 8, 3))
    np.testing.assert_allclose(to_numpy(folded(x)), to_numpy(with_policy(x)), atol=1e-6)


def test_circular_convolution_is_kept():
    model = keras.Sequential([keras.Input((8, 8, 3)), FFTConv2D(4, 3, padding="circular")])
    folded = fold(model)
    assert type(folded.layers[0]) is FFTConv2D
    x = random_images((2, 8, 8, 3))
    np.testing.assert_allclose(to_numpy(folded(x)), to_numpy(model(x)), atol=1e-6)


@pytest.mark.parametrize("what", ["layer", "subclass", "wrapper"])
def test_what_cannot_be_folded(what):
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    if what == "wrapper":
        layer = keras.layers.TimeDistributed(SpectralConv2D(2, 3), name="over_time")
        model = keras.Sequential([keras.Input((2, 8, 8, 3)), layer])
        message = "over_time"
    else:
        model = SpectralConv2D(2, 3) if what == "layer" else Subclassed()
        message = "`model` must be"
    with pytest.raises(ValueError, match=message):
        fold(model)
