"""The search spaces: one for each network, and every corner of it is a training command."""

import keras_tuner
import numpy as np
import pytest

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.search.options import SearchOptions
from spectral_keras.experiments.search.plot import ticks
from spectral_keras.experiments.search.problem import ZooProblem
from spectral_keras.experiments.search.spaces import SPACES, Choice, Space, position
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.models import registry
from tests.oracles import random_images


class Data:
    input_shape, num_classes = (32, 32, 3), 10
    x_train = x_test = random_images((8, 32, 32, 3))


def corner(space, high):
    hp = keras_tuner.HyperParameters()
    space(hp)
    for parameter in hp.space:
        # The complement of a momentum runs the other way; both of its ends are visited.
        hp.values[parameter.name] = parameter.prob_to_value(1 - 1e-12 if high else 0.0)
    return hp


def test_every_network_has_a_space():
    assert set(SPACES) == set(registry.names())


@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("name", registry.names())
def test_corners_are_training_commands_that_build(name, high):
    space = Space(name)
    hp = corner(space, high)
    options = space(hp)
    argv = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
    resolved = TrainOptions.of_command(name, argv).to_json()
    for option, value in options.items():
        assert resolved[option] == value and type(resolved[option]) is type(value)
    training = {"width": 0.125} if "width" in resolved else {}  # the same layers, built faster
    model = ZooProblem(SearchOptions(name, training=training)).build(hp, Data, 10)
    assert model.output_shape == (None, 10)
    assert float(np.asarray(model.optimizer.learning_rate)) <= options["learning_rate"] * 1.001


def test_ranges_of_the_paper():
    space = Space("spectral_pool_cnn")
    low, high = space(corner(space, False)), space(corner(space, True))
    ends = {name: sorted((low[name], high[name])) for name in space.entries}
    expected = {
        "gamma": (0.25, 0.85),
        "num_pairs": (1, 15),
        "alpha": (0, 0.8),
        "beta": (0, 0.8),
        "learning_rate": (1e-4, 1e-1),
        "momentum": (1 - 0.1**0.5, 0.99),
        "weight_decay": (1e-5, 1e-2),
    }
    assert ends.keys() == expected.keys()
    for name, pair in expected.items():
        assert ends[name] == pytest.approx(pair, rel=1e-9), name
    assert low["optimizer"] == "sgd"


def test_momentum_is_sampled_on_the_log_of_its_complement():
    space = Space("spectral_pool_cnn")
    hp = corner(space, False)
    middle = next(p for p in hp.space if p.name == "one_minus_momentum").prob_to_value(0.5)
    hp.values["one_minus_momentum"] = middle
    assert 1 - space(hp)["momentum"] == pytest.approx((0.01 * 0.1**0.5) ** 0.5, rel=1e-6)


def test_fix_and_range():
    space = Space("spectral_pool_cnn", {"gamma": 0.85}, {"num_pairs": (2, 8)})
    assert "gamma" not in space(keras_tuner.HyperParameters())
    assert space(corner(space, True))["num_pairs"] == 8
    assert "momentum" not in Space("spectral_pool_cnn", {"optimizer": "adam"}).entries
    narrow = Space("generic_cnn", {}, {"pooling": ("max",)})
    assert narrow.entries["pooling"] == Choice(("max",))


@pytest.mark.parametrize(
    ("fixed", "ranges", "message"),
    [
        ({}, {"gama": (0, 1)}, "search space of spectral_pool_cnn has gamma"),
        ({}, {"gamma": (0.5, 0.5)}, "expected LOW,HIGH with LOW < HIGH, received 0.5,0.5"),
        ({}, {"gamma": (0.5,)}, "expected LOW,HIGH"),
        ({}, {"learning_rate": (0.0, 0.1)}, "above 0"),
        ({}, {"momentum": (0.5, 1.0)}, "below 1"),
        ({"gamma": 0.5}, {"gamma": (0.4, 0.6)}, "is fixed to 0.5"),
        (dict.fromkeys(SPACES["spectral_pool_cnn"], 0.5), {}, "every option"),
    ],
)
def test_what_a_space_refuses(fixed, ranges, message):
    with pytest.raises(CommandError, match=message):
        Space("spectral_pool_cnn", fixed, ranges)


@pytest.mark.parametrize("name", registry.names())
def test_axes_of_the_picture(name):
    space = Space(name)
    low, high = space(corner(space, False)), space(corner(space, True))
    for axis in space.axes():
        ends = sorted(position(axis, point[axis["name"]]) for point in (low, high))
        assert ends == pytest.approx([0, 1], abs=1e-6), axis
        heights = [position(axis, value) for value in ticks(axis)]
        assert len(heights) >= 2 and min(heights) == 0 and max(heights) == 1
        assert min(np.diff(sorted(heights))) > 0.05
