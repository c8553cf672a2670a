"""Defaults hold for small and large images, one and four channels, few and many classes."""

import keras
import numpy as np
import pytest

from spectral_keras import layers
from spectral_keras.analysis import fourier_heat_map
from spectral_keras.attacks import fgsm, pgd
from spectral_keras.augmentation import build_augmentation
from spectral_keras.augmentation.image import ATOMS
from tests.oracles import random_images, to_numpy

SHAPES = [(8, 8, 1), (8, 8, 4), (224, 224, 1), (224, 224, 4)]
LAYERS = [
    ("SpectralPool", {"scale": 0.5}),
    ("HartleySpectralPool", {"scale": 0.5}),
    ("DiffStride", {"output_size": "initial"}),
    ("FrequencyDropout", {"min_fraction": 0.5}),
    ("SpectralConv2D", {"filters": 2, "kernel_size": 3}),
    ("FFTConv2D", {"filters": 2, "kernel_size": 3}),
    ("FFTConvPool2D", {"filters": 2, "kernel_size": 3}),
    ("FourierMask", {}),
    ("GlobalFilter2D", {}),
    ("SpectralMixing2D", {"filters": 2, "modes": 3}),
    ("PowerSuppression", {}),
    ("FrequencyNoise", {}),
    ("AmplitudePhaseRecombination", {"mode": "views"}),
    ("FourierBasisNoise", {}),
    ("FMix", {}),
    ("ChannelGate", {}),
    ("BatchNormalization", {}),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "arguments"), LAYERS)
def test_layers(name, arguments, shape):
    layer = getattr(layers, name)(**arguments)
    training = {"training": True} if layer._call_has_training_arg else {}
    y = to_numpy(layer(random_images((1, *shape)), **training))
    assert y.shape == layer.compute_output_shape((1, *shape)) and np.isfinite(y).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_augmentation(shape):
    for name in ATOMS:
        images = random_images((2, *shape))
        result = build_augmentation(name)(images, np.random.default_rng(0))
        assert result.shape == images.shape and np.isfinite(result).all()


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("classes", [2, 1000])
def test_attacks_and_heat_maps(classes, channels):
    pooling = keras.layers.GlobalAveragePooling2D()
    model = keras.Sequential(
        [keras.Input((8, 8, channels)), keras.layers.Conv2D(4, 3), pooling]
        + [keras.layers.Dense(classes)]
    )
    x, y = random_images((2, 8, 8, channels)), np.array([0, 1])
    for attack in (fgsm, pgd):
        assert np.isfinite(to_numpy(attack(model, x, y))).all()
    assert np.isfinite(fourier_heat_map(model, x, y)).all()
