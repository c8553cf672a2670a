"""Every layer comes back from every way that Keras has to keep a model."""

import json
import pickle

import keras
import numpy as np
import pytest

from spectral_keras import layers
from spectral_keras.constraints import UnitInterval
from spectral_keras.initializers import DiracInitializer
from spectral_keras.regularizers import InverseStride
from spectral_keras.windows import Ramp
from tests.oracles import compiled, random_images, to_numpy

_CONV = {
    "groups": 3,
    "activation": "relu",
    "kernel_initializer": keras.initializers.HeNormal(seed=1),
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "bias_regularizer": keras.regularizers.L1(0.1),
    "activity_regularizer": "l1",
    "kernel_constraint": keras.constraints.MaxNorm(1.0),
    "bias_constraint": "non_neg",
}

_KERNEL = {"kernel_regularizer": "l2", "kernel_constraint": "max_norm"}

# Class -> arguments of which the others are defaults, and arguments that are none.
LAYERS = {
    "BatchNormalization": [{}, {"axis": 3, "scale": False, "beta_regularizer": "l2"}],
    "SpectralPool": [
        {"output_size": 4},
        {
            "output_size": (4, 5),
            "nyquist": "sum",
            "norm": "ortho",
            "implementation": "matmul",
            "frequency_dropout": 0.5,
            "per_sample": True,
            "seed": 3,
            "dtype": "mixed_bfloat16",
        },
        {"scale": 0.5, "nyquist": "isometric", "implementation": "fft", "window": "hamming"},
    ],
    "HartleySpectralPool": [{"output_size": 4, "window": [2.0, Ramp(3.0, 1.5)]}],
    "DiffStride": [
        # JAX compiles for one size.
        {"output_size": "initial" if keras.backend.backend() == "jax" else None},
        {
            "strides": [1.5, 2],
            "output_size": "initial",
            "smoothness": 2.0,
            "regularizer": InverseStride(0.5),
            "norm": "ortho",
        },
        {"shared": True, "output_size": (5, 4), "regularizer": "l2"},
    ],
    "FrequencyDropout": [
        {"min_fraction": 0.5},
        {"min_fraction": 0.25, "per_sample": True, "seed": 1, "implementation": "fft"},
    ],
    "SpectralConv2D": [
        {"filters": 6, "kernel_size": 3},
        {"filters": 6, "kernel_size": (3, 2), "parametrization": "hermitian", **_CONV},
    ],
    "Conv2D": [
        {"filters": 6, "kernel_size": 3},
        {"filters": 6, "kernel_size": (3, 2), "padding": "same", **_CONV},
    ],
    "FFTConv2D": [
        {"filters": 6, "kernel_size": 3},
        {"filters": 6, "kernel_size": (3, 2), "padding": "circular", **_CONV},
    ],
    "FFTConvPool2D": [
        {"filters": 6, "kernel_size": 3},
        {"filters": 6, "kernel_size": (3, 2), "output_size": 4, "norm": "ortho", **_CONV},
        {"filters": 6, "kernel_size": 3, "scale": 0.5, "nyquist": "drop", "use_bias": False},
    ],
    "FourierMask": [
        {},
        {"per_channel": True, "constraint": UnitInterval(), "regularizer": "l1"},
        {"constraint": None, "implementation": "matmul", "initializer": "he_normal"},
    ],
    "FFT2D": [{}, {"norm": "ortho", "implementation": "matmul"}],
    "InverseFFT2D": [{}, {"norm": "forward", "real": True}],
    "GlobalFilter2D": [{}, {"size": (5, 6), "kernel_initializer": "zeros", **_KERNEL}],
    "SpectralMixing2D": [
        {"filters": 4, "modes": 3},
        {"filters": 4, "modes": (2, 9), "output_size": 4, "kernel_initializer": "ones", **_KERNEL},
    ],
    "PowerSuppression": [
        {},
        {"probability": 1, "alpha": [0.1, 0.2], "alpha_is": "suppressed", "variant": "printed"},
    ],
    "FrequencyNoise": [
        {},
        {"sigma": 2, "alpha_r": [0, 0.5, 1, 1, 0], "variant": "printed", "per_channel": False},
    ],
    "AmplitudePhaseRecombination": [
        {},
        {"mode": "views", "probability": 0.25, "clip": None},
        {"mode": "views", "views": keras.layers.RandomFlip(seed=1)},
    ],
    "FourierBasisNoise": [{}, {"strength": 2.0, "frequencies": [1, 4], "clip": [-1.0, 1.0]}],
    "FMix": [{}, {"alpha": 0.5, "decay": 2.0, "seed": 1}],
    "ChannelGate": [{}, {"hidden": 5, "extended": True, "gap_activation": None}],
}
CASES = [(name, arguments) for name, rows in LAYERS.items() for arguments in rows]


def test_every_layer_is_here():
    public = {
        name
        for name, value in vars(layers).items()
        if isinstance(value, type) and issubclass(value, keras.Layer)
    }
    assert public == set(LAYERS)


def _through_file(model, folder, name):
    path = folder / name
    model.save(path)
    return keras.saving.load_model(path)


def _through_weights(model, folder):
    again = keras.models.clone_model(model)
    model.save_weights(folder / "model.weights.h5")
    again.load_weights(folder / "model.weights.h5")
    return again


def _with_weights(again, model):
    again.set_weights(model.get_weights())
    return again


WAYS = {
    "keras": lambda model, folder: _through_file(model, folder, "model.keras"),
    "h5": lambda model, folder: _through_file(model, folder, "model.h5"),
    "weights": _through_weights,
    "json": lambda model, _: _with_weights(keras.models.model_from_json(model.to_json()), model),
    "clone": lambda model, _: _with_weights(keras.models.clone_model(model), model),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
}


def _predict(model, x):
    outputs = compiled(lambda x: model(x, training=False))(x)
    return np.concatenate([to_numpy(part) for part in keras.tree.flatten(outputs)])


# Keras warns of its own `.h5` format.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_it_comes_back(name, arguments, tmp_path):
    inputs = keras.Input((8, 9, 3))
    layer = getattr(layers, name)(**arguments)
    pair = name == "InverseFFT2D"
    model = keras.Model(inputs, layer((inputs, inputs) if pair else inputs))
    rng = np.random.default_rng(2)
    model.set_weights([w + 0.1 * rng.random(w.shape) for w in model.get_weights()])
    plain = json.loads(json.dumps(layer.get_config()))
    x = random_images((2, 8, 9, 3))
    expected = _predict(model, x)
    for way, bring_back in WAYS.items():
        again = bring_back(model, tmp_path)
        assert type(again.layers[1]) is type(layer), way
        assert json.loads(json.dumps(again.layers[1].get_config())) == plain, way
        # Regularizers and constraints come back where they work: on the weights.
        for old, new in zip(model.weights, again.weights, strict=True):
            assert (old.regularizer is None) == (new.regularizer is None), way
            assert (old.constraint is None) == (new.constraint is None), way
            np.testing.assert_array_equal(to_numpy(new), to_numpy(old), err_msg=way)
        # JAX compiles each model; the others are of the same config and weights.
        if keras.backend.backend() != "jax" or way == "keras":
            found = _predict(again, x)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=way)


@pytest.mark.filterwarnings("ignore")
def test_choices_that_a_user_has_functions_of(tmp_path):
    """The loader of `.h5` takes "mean" for the function of a user who has one of that name."""

    def other():
        return lambda x: x

    functions = {name: other() for name in ("mean", "matmul", "full", "hamming", "kept")}
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.SpectralConv2D(2, 3, padding="same"),
            layers.FFTConv2D(2, 3, implementation="fft", padding="same"),
            layers.FourierMask(implementation="matmul"),
            layers.PowerSuppression(),
            layers.SpectralPool(6, window="hamming"),
            layers.FFTConvPool2D(2, 3, 4),
        ]
    )
    model.save(tmp_path / "model.h5")
    again = keras.saving.load_model(tmp_path / "model.h5", custom_objects=functions)
    old, new = (json.dumps([layer.get_config() for layer in m.layers]) for m in (model, again))
    assert new == old


def test_initializers_come_back_in_files(tmp_path):
    initializer = DiracInitializer("he_normal")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    model.layers[0].kernel_initializer = initializer
    for way in ("keras", "json"):
        again = WAYS[way](model, tmp_path).layers[0].kernel_initializer
        np.testing.assert_array_equal(
            to_numpy(again((3, 3, 2, 3))), to_numpy(initializer((3, 3, 2, 3)))
        )


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_a_config_is_plain_and_says_the_data_format(name, arguments):
    """So that it means the same where Keras' global setting is another."""
    config = getattr(layers, name)(**arguments).get_config()
    json.dumps(config)
    if "data_format" in config:
        assert config["data_format"] == keras.config.image_data_format()


def test_numbers_of_numpy_in_a_config():
    for layer in (
        layers.PowerSuppression(alpha=(np.float32(0.25), 1)),
        layers.GlobalFilter2D(size=np.int64(8)),
        layers.DiffStride(np.float32(2), output_size=np.int64(4)),
        layers.DiffStride([2.0, 3.0], output_size=[4, 3]),
        layers.SpectralPool(4, window=np.float32(1.5)),
    ):
        config = layer.get_config()
        again = type(layer).from_config(json.loads(json.dumps(config)))
        assert json.dumps(again.get_config()) == json.dumps(config)


def test_a_model_means_the_same_under_another_global_format(tmp_path):
    """The channels of a square could be taken for a side."""
    images = np.random.default_rng(0).random((2, 8, 8, 8), "float32")
    before = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        inputs = keras.Input((8, 8, 8))
        random = keras.initializers.RandomUniform(0, 1, seed=1)
        x = layers.ChannelGate(4)(layers.FourierMask(initializer=random)(inputs))
        model = keras.Model(inputs, x)
        model.save(tmp_path / "model.keras")
        keras.config.set_image_data_format("channels_last")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(to_numpy(loaded(images)), to_numpy(model(images)), atol=1e-6)
    finally:
        keras.config.set_image_data_format(before)


def test_what_needs_weights_refuses_a_layer_without():
    for layer, method in (
        (layers.DiffStride(2.0), "freeze"),
        (layers.FourierMask(), "resized"),
        (layers.GlobalFilter2D(), "resized"),
    ):
        with pytest.raises(ValueError, match=f"`{method}` needs a layer that was built"):
            getattr(layer, method)((8, 8))


def test_a_gate_whose_precision_changes_after_it_was_built():
    images = np.random.default_rng(0).random((2, 4, 4, 3), "float32")
    gate = layers.ChannelGate(4, extended=True)
    expected = to_numpy(gate(images))
    gate.dtype_policy = "mixed_bfloat16"
    found = gate(images)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    np.testing.assert_allclose(to_numpy(found), expected, atol=0.02)
