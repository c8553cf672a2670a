"""Defaults hold for small and large images, one and four channels, few and many classes."""

import keras
import matplotlib
import numpy as np
import pytest

from spectral_keras import layers, plots
from spectral_keras.analysis import (
    angular_energies,
    embed,
    filtered_images,
    fourier_heat_map,
    frequency_response,
    radial_energies,
    real_frequencies,
    response,
    response_histogram,
    vote_shares,
)
from spectral_keras.analysis.masks import learn_mask, learn_masks
from spectral_keras.attacks import EPS, apgd, fgsm, pgd, square, strong
from spectral_keras.augmentation import build_augmentation
from spectral_keras.augmentation.image import ATOMS
from spectral_keras.evaluation import accuracy_under_corruption
from spectral_keras.training import (
    AdversarialExamples,
    AdversarialModel,
    AttendedSuppressionModel,
    AuxiliaryModel,
    GateRule,
    MixingModel,
    ParallelAugmentationModel,
    SmoothedCrossentropy,
    insert_channel_gate,
)
from tests.oracles import random_images, to_numpy

matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402

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


# (side, channels, classes): each value of each beside each value of the others.
CASES = [(8, 4, 2), (8, 1, 1000), (224, 1, 1000), (224, 4, 2)]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    """(a small classifier, images, the classes that it gives them)."""
    side, channels, classes = request.param
    inputs = keras.Input((side, side, channels))
    features = keras.layers.Conv2D(4, 3, 2, "same", activation="relu", name="features")(inputs)
    logits = keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(inputs, logits)
    x = random_images((1 if side > 8 else 2, side, side, channels))
    return model, x, to_numpy(model(x)).argmax(axis=1)


@pytest.mark.parametrize("attack", [fgsm, pgd, apgd, square, strong], ids=lambda f: f.__name__)
def test_attacks(attack, case):
    model, x, y = case
    # The square attack takes 5,000 calls of the model by default, inside of the strong one too.
    few = {square: {"steps": 30}, strong: {"steps": 2}}.get(attack, {})
    attacked = attack(model, x, y, **few)
    assert attacked.shape == x.shape and 0 < abs(attacked - x).max() <= EPS + 1e-6
    assert attacked.min() >= 0 and attacked.max() <= 1


def test_masks(case):
    model, x, y = case
    masks = (learn_mask(model, (x, y)), learn_masks(model, x))
    for learned in masks:
        assert learned.masks.shape[1:] == x.shape[1:3]
        assert learned.masks.min() >= 0 and 0 < learned.masks.max() <= 1


def test_frequencies(case, monkeypatch):
    model, x, y = case
    if x.shape[1] > 8:  # all 25,088 frequencies take minutes
        monkeypatch.setattr(
            response, "real_frequencies", lambda size: real_frequencies(size)[::5000]
        )
    heat = fourier_heat_map(model, x, y, frequencies=None if x.shape[1] == 8 else 2.0)
    assert heat.shape == x.shape[1:3] and np.nanmin(heat) >= 0 and np.nanmax(heat) <= 1
    found = frequency_response(model, "features")
    assert found.shape == (4, x.shape[-1], *x.shape[1:3]) and np.nanmax(found) > 0


@pytest.mark.parametrize("side", [8, 224])
@pytest.mark.parametrize("channels", [1, 4])
def test_numbers_of_masks_and_pictures(side, channels):
    images = random_images((2, side, side, channels))
    masks = random_images((2, side, side))
    for function in (radial_energies, angular_energies):
        assert np.isfinite(function(masks)).all()
    assert filtered_images(images, masks).shape == images.shape
    embedded = embed(masks.reshape(2, -1))
    assert embedded.shape == (2, 2) and np.isfinite(embedded).all()
    votes = response_histogram(random_images((2, channels, side, side)))
    assert sum(part["share"] for part in vote_shares(votes).values()) > 0.99
    figure, axes = pyplot.subplots(1, 6)
    plots.plot_mask(masks[0], axes[0])
    plots.plot_spectrum(masks[0], axes[1])
    plots.plot_heat_map(masks[0], axes[2])
    plots.plot_response(masks, axes[3])
    plots.plot_power(images, axes[4])
    plots.plot_pooling(images[0], side // 2, axes[5])
    figure.canvas.draw()
    pyplot.close(figure)


WRAPPERS = {
    "adversarial": lambda model: AdversarialModel(model, AdversarialExamples()),
    "fourier": AuxiliaryModel,
    "reconstruction": lambda model: AuxiliaryModel(model, "reconstruction"),
    "attended": lambda model: AttendedSuppressionModel(
        insert_channel_gate(model), layers.PowerSuppression(), layers.FrequencyNoise(),
        attention=GateRule("learnable"),
    ),
    "mixing": lambda model: MixingModel(model, layers.FMix()),
    "parallel": ParallelAugmentationModel,
}  # fmt: skip


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_training(wrapper, case):
    model, x, y = case
    wrapped = WRAPPERS[wrapper](model)
    wrapped.compile(keras.optimizers.SGD(0.1), SmoothedCrossentropy(0.1), run_eagerly=True)
    before = model.get_weights()
    loss = wrapped.train_on_batch(x, y)
    assert np.isfinite(loss).all()
    trained = wrapped.classifier.get_weights()
    assert all(np.isfinite(weight).all() for weight in trained)
    assert (before[0] != trained[0]).any()


@pytest.mark.parametrize("side", [8, 224])
def test_corruptions(side):
    """One channel: four are no image to corrupt."""
    inputs = keras.Input((side, side, 1))
    logits = keras.layers.Dense(1000)(keras.layers.GlobalAveragePooling2D()(inputs))
    images = (255 * random_images((1, side, side, 1))).astype("uint8")
    names = "all" if side == 8 else ["fog", "frost", "pixelate"]  # the others take seconds each
    found = accuracy_under_corruption(keras.Model(inputs, logits), images, [0], names)
    assert found["images"] == 1
