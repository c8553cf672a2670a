"""Walking a network: weights, what is kept, where gradients end, nested models."""

import keras
import pytest

from benchmarks import model_costs
from benchmarks.layer_costs import BACKWARD
from spectral_keras import layers
from spectral_keras.models import registry


def _block(x, filters):
    y = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    return keras.layers.ReLU()(keras.layers.BatchNormalization()(y))


def test_what_is_kept_is_counted_once():
    """Convolution, normalisation, ReLU, twice, and a sum: five maps and the images are kept."""
    inputs = keras.Input((8, 8, 3))
    x = _block(inputs, 4)
    y = _block(x, 4)
    z = keras.layers.Flatten()(keras.layers.Add()([x, y]))
    model = keras.Model(inputs, keras.layers.Dense(2)(z))
    cost = model_costs.model_cost(model, 10)
    maps = 10 * 8 * 8 * 4
    # Two outputs of convolutions, two of ReLUs (the first is the second's input), and the sum.
    assert cost.kept == 10 * 8 * 8 * 3 + 5 * maps
    # The largest moment: the sum with two inputs, or normalisation with one, and the images' own.
    assert cost.transient == 3 * maps
    assert cost.activation_bytes(2) == 2 * (cost.kept + cost.transient)
    assert cost.weights == sum(
        w.shape[0] if len(w.shape) == 1 else _size(w) for w in model.trainable_weights
    )
    assert cost.weight_bytes() == 4 * 3 * cost.weights


def _size(weight):
    size = 1
    for n in weight.shape:
        size *= n
    return size


def test_nested_models_count_as_their_layers():
    def pieces():
        keras.utils.set_random_seed(0)
        return [
            keras.layers.Conv2D(4, 3, activation="relu"),
            layers.SpectralPool(4),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]

    flat = keras.Sequential([keras.Input((10, 10, 3)), *pieces()])
    conv, pool, *head = pieces()
    inner_inputs = keras.Input((10, 10, 3))
    inner = keras.Model(inner_inputs, pool(conv(inner_inputs)))
    nested = keras.Sequential([keras.Input((10, 10, 3)), inner, keras.Sequential(head)])
    costs = [model_costs.model_cost(model, 6) for model in (flat, nested)]
    for what in ("kept", "kept_wide", "transient", "weights"):
        assert getattr(costs[0], what) == getattr(costs[1], what)
    for phase in (None, BACKWARD):
        assert costs[0].flops(phase) == costs[1].flops(phase)
    assert costs[0].bytes() == costs[1].bytes()


def test_nothing_in_front_of_the_first_weight_has_a_backward_pass():
    inputs = keras.Input((12, 12, 3))
    x = layers.PowerSuppression(1.0)(keras.layers.Rescaling(2.0)(inputs))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(x))
    cost = model_costs.model_cost(model, 2)
    front, conv = cost.layers[:2], cost.layers[2]
    assert all(step.phase != BACKWARD for layer in front for step in layer.steps)
    # The kernel's gradient and the bias', none of the images.
    assert conv.flops(BACKWARD) < 1.1 * conv.flops("forward")
    both = model_costs.model_cost(model, 2, input_gradient=True)
    assert both.flops(BACKWARD) > cost.flops(BACKWARD) + conv.flops("forward") / 2


@pytest.mark.parametrize("name", registry.names())
def test_every_network_of_the_zoo(name):
    model = model_costs.build(name, (64, 64, 3), 10)
    cost = model_costs.model_cost(model, 3)
    assert cost.weights == sum(map(_size, model.trainable_weights)) > 0
    twice = model_costs.model_cost(model, 6)
    # Proportional to the batch but for what is done once for all of it: kernels and weights.
    assert cost.flops() < twice.flops() <= 2 * cost.flops()
    assert cost.kept < twice.kept <= 2 * cost.kept
    assert 1.5 < cost.flops() / cost.flops("forward") < 3.5


def test_published_counts():
    """ResNet-18 for CIFAR: 0.56 G multiplications; VGG-16 for ImageNet: 15.5 G, 138 M weights."""
    resnet = model_costs.model_cost(model_costs.build("resnet18", (32, 32, 3), 10), 1)
    assert sum(s.products for s in resnet.steps if s.phase == "forward") == pytest.approx(
        2 * 0.556e9, rel=0.01
    )
    vgg = model_costs.build("vgg16", (224, 224, 3), 1000, head="imagenet")
    cost = model_costs.model_cost(vgg, 1)
    assert cost.weights == 138_357_544
    assert sum(s.products for s in cost.steps if s.phase == "forward") == pytest.approx(
        2 * 15.47e9, rel=0.01
    )


def test_optimizers():
    layer = keras.layers.Dense(4)
    costs = {
        name: model_costs.single_layer_cost(layer, (3,), 2, optimizer=name)
        for name in model_costs.OPTIMIZERS
    }
    assert [cost.weight_bytes() for cost in costs.values()] == [4 * 16 * n for n in (2, 2, 3, 4)]
    assert costs["adam"].bytes() - costs["none"].bytes() == 4 * 7 * 16
