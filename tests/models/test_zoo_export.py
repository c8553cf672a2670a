"""Every network of the zoo, and the FFT layers inside one, in every export format."""

import keras
import numpy as np
import pytest

from models import registry
from spectral_keras.export import SUFFIXES, export
from spectral_keras.layers import FFTConv2D, FFTConvPool2D
from tests.oracles import random_images, to_numpy

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="SavedModel, ONNX and LiteRT are TensorFlow's"
)

OPTIONS = {"generic_cnn": {"dense_units": (32,)}, "spectral_pool_cnn": {"num_pairs": 2}}


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("name", registry.names())
def test_network(name, format, tmp_path):
    model = registry.build(name, (32, 32, 3), 5, **OPTIONS.get(name, {}))
    report = export(model, tmp_path / f"model{SUFFIXES[format]}", format)
    # `export` itself has run the file; an untrained network's logits are of this size.
    assert np.ptp(to_numpy(model(random_images((4, 32, 32, 3))))) > 0.1
    assert report["max_abs_difference"] < 1e-4


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: FFTConv2D(8, 3, padding="same", implementation="matmul"),
        lambda: FFTConvPool2D(8, 3, (15, 16), implementation="matmul"),
    ],
    ids=["FFTConv2D", "FFTConvPool2D"],
)
def test_layer_too_large_to_be_folded_into_a_constant(layer, channels, format, tmp_path):
    # LiteRT once computed other numbers from the spectrum of kernels above 128 KiB.
    path = tmp_path / f"layer{SUFFIXES[format]}"
    report = export(layer(), path, format, input_shape=(32, 32, channels))
    assert report["max_abs_difference"] < 1e-5
