import keras
import numpy as np
import pytest

from spectral_keras.training import ScaledSGD
from tests.oracles import to_numpy


def trained(optimizer, steps=4):
    """Weights of a small model after some steps on fixed gradients."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    )
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    for _ in range(steps):
        gradients = [rng.normal(size=w.shape).astype("float32") for w in model.trainable_variables]
        optimizer.apply(
            [keras.ops.convert_to_tensor(g) for g in gradients], model.trainable_variables
        )
    return {
        weight.path.rpartition("/")[2]: to_numpy(weight) for weight in model.trainable_variables
    }


ARGUMENTS = {"momentum": 0.85, "nesterov": True, "weight_decay": 0.1}


@pytest.mark.parametrize("arguments", [{}, ARGUMENTS])
def test_biases_and_shifts_learn_at_their_own_rate(arguments):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.05])
    found = trained(ScaledSGD(schedule, bias_rate=4.0, **arguments))
    plain = trained(keras.optimizers.SGD(schedule, **arguments))
    for name in ("kernel", "gamma"):
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-6)
    if not arguments:
        fast = trained(keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay(
            [1], [0.4, 0.2])))  # fmt: skip
        for name in ("bias", "beta"):
            np.testing.assert_allclose(found[name], fast[name], rtol=1e-6)
    for name in ("bias", "beta"):
        assert not np.allclose(found[name], plain[name])


def test_decay_is_the_same_for_all():
    found = {}
    for rate in (1.0, 50.0):
        variable = keras.Variable(np.ones(3), name="bias")
        optimizer = ScaledSGD(0.5, bias_rate=rate, weight_decay=0.1)
        optimizer.apply([keras.ops.zeros(3)], [variable])
        found[rate] = to_numpy(variable)
    np.testing.assert_allclose(found[1.0], 0.95, rtol=1e-6)
    np.testing.assert_array_equal(found[1.0], found[50.0])


def test_config_and_bad_rate():
    optimizer = ScaledSGD(0.3, bias_rate=64.0, momentum=0.85, nesterov=True)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, ScaledSGD) and again.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match="`bias_rate` must.*Received"):
        ScaledSGD(0.1, bias_rate=0)
