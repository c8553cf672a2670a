"""Every network of the zoo, and the FFT layers inside one, in every export format."""

import keras
import numpy as np
import pytest

from spectral_keras.export import SUFFIXES, export
from spectral_keras.layers import FFTConv2D, FFTConvPool2D
from spectral_keras.models import registry
from tests.oracles import random_images, to_numpy

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="SavedModel, ONNX and LiteRT are TensorFlow's"
)

OPTIONS = {
    "generic_cnn": {"dense_units": (32,)},
    "spectral_pool_cnn": {"num_pairs": 2},
    "quick_spectral": {"width": 0.25},
    "resnet18": {"width": 0.25},
    "resnext29": {"width": 0.25},
    "googlenet": {"width": 0.25},
    "efficientnet_b0": {"width": 0.5},
    "mobilenet_v2": {"width": 0.5},
    "vgg11_bn": {"width": 0.125},
    "vgg16": {"width": 0.125},
    "vgg16_bn": {"width": 0.125},
}


def make_lively(model):
    """Statistics and dense layers as after training: logits that depend on the image."""
    rng = np.random.default_rng(0)
    normalizations = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for layer in normalizations:
        layer.momentum = 0.0  # the moving statistics become the batch's
    model(random_images((16, 32, 32, 3), seed=1), training=True)
    for layer in normalizations:
        layer.momentum = 0.9
        layer.beta.assign(rng.uniform(-0.2, 0.2, layer.beta.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            spread = (2 / layer.kernel.shape[0]) ** 0.5
            layer.kernel.assign(rng.normal(0, spread, layer.kernel.shape))


# The backbones are one family with ordinary Keras layers: each format once is enough of them.
FORMATS = {
    "resnext29": ["onnx"],
    "googlenet": ["saved_model"],
    "efficientnet_b0": ["saved_model"],
    "mobilenet_v2": ["litert"],
    "vgg11_bn": ["onnx"],
    "vgg16": ["litert"],
    "vgg16_bn": ["saved_model"],
}
CASES = [(name, form) for name in registry.names() for form in FORMATS.get(name, SUFFIXES)]


@pytest.mark.parametrize(("name", "format"), CASES)
def test_network(name, format, tmp_path):
    model = registry.build(name, (32, 32, 3), 5, **OPTIONS.get(name, {}))
    make_lively(model)
    report = export(model, tmp_path / f"model{SUFFIXES[format]}", format)
    # `export` itself has run the file and compared; here: that there was something to compare.
    logits = to_numpy(model(random_images((4, 32, 32, 3))))
    spread = np.ptp(logits, axis=0).max()
    assert spread > 0.03
    assert report["max_abs_difference"] < 1e-4 * max(1, np.abs(logits).max())


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
