"""The unit interval constraint, alone and in a training step."""

import json

import keras
import numpy as np

from spectral_keras import constraints
from tests.oracles import random_images, to_numpy


def test_at_least_comes_back():
    constraint = constraints.AtLeast(1.5)
    again = keras.constraints.get(json.loads(json.dumps(keras.constraints.serialize(constraint))))
    w = np.array([-2.0, 1.5, 3.0], "float32")
    np.testing.assert_array_equal(to_numpy(again(w)), [1.5, 1.5, 3.0])


class TestUnitInterval:
    def test_clips_and_keeps_what_is_inside(self):
        w = np.array([[-2.0, -0.0, 0.25], [1.0, 1.0001, 7.0]], "float32")
        expected = np.array([[0, 0, 0.25], [1, 1, 1]])
        np.testing.assert_array_equal(
            to_numpy(constraints.UnitInterval()(w)), expected.astype("f4")
        )

    def test_config_round_trip(self):
        constraint = constraints.UnitInterval()
        config = json.loads(json.dumps(keras.constraints.serialize(constraint)))
        assert config["registered_name"] == "spectral_keras>UnitInterval"
        assert isinstance(keras.constraints.get(config), constraints.UnitInterval)

    def test_names(self):
        assert isinstance(constraints.get("unit_interval"), constraints.UnitInterval)
        assert isinstance(constraints.get("non_neg"), keras.constraints.NonNeg)
        assert constraints.get(None) is None
        constraint = constraints.UnitInterval()
        assert isinstance(constraints.get(constraint), constraints.UnitInterval)

    def test_after_a_training_step(self):
        """A step far beyond both bounds ends on the bounds."""
        layer = keras.layers.Dense(
            2,
            use_bias=False,
            kernel_initializer=keras.initializers.Constant(0.5),
            kernel_constraint=constraints.UnitInterval(),
        )
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile(optimizer=keras.optimizers.SGD(1e3), loss="mse", jit_compile=False)
        targets = np.tile(np.array([[-10.0, 10.0]], "float32"), (4, 1))
        model.fit(random_images((4, 3)) + 0.1, targets, epochs=1, verbose=0)
        np.testing.assert_array_equal(to_numpy(layer.kernel), np.tile([0.0, 1.0], (3, 1)))
