import math

import keras
import numpy as np
import pytest

from spectral_keras.training.schedules import WarmupCosine, learning_rate_schedule
from tests.oracles import to_numpy


def rates(schedule, steps):
    return np.array([float(to_numpy(schedule(step))) for step in steps])


def test_cosine_closed_form():
    schedule = learning_rate_schedule("cosine", 0.4, epochs=10, steps_per_epoch=10)
    steps = np.arange(100)
    expected = 0.2 * (1 + np.cos(np.pi * steps / 99))
    np.testing.assert_allclose(rates(schedule, steps), expected, atol=1e-7)


def test_warmup_rises_to_the_peak_and_ends_at_zero():
    schedule = learning_rate_schedule("cosine", 0.4, 10, 10, warmup_epochs=2)
    values = rates(schedule, range(100))
    assert values[0] == 0 and abs(values[20] - 0.4) < 1e-7 and values[-1] < 1e-7
    assert (np.diff(values[:21]) > 0).all() and (np.diff(values[20:]) < 0).all()
    assert abs(values[10] - 0.2) < 1e-7


def test_onecycle_has_the_constants_of_pytorch():
    # torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=1000, pct_start=.1): 1/25 -> 1 ->
    # 1/250 000, cosine (lr .2 over 4 000 000 steps).
    schedule = WarmupCosine(1.0, 1000, 100, initial=1 / 25, final=1 / 25e4)
    values = rates(schedule, [0, 50, 100, 999])
    np.testing.assert_allclose(values, [0.04, 0.52, 1.0, 4e-6], rtol=1e-5, atol=1e-8)
    slow = WarmupCosine(0.2, 4_000_000, 400_000, initial=0.008, final=0.2 / 25e4)
    values = rates(slow, [0, 1000, 5000, 20000])
    np.testing.assert_allclose(values, [0.008, 0.008003, 0.008074, 0.009182], atol=1.5e-6)


# torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=epochs * steps, pct_start=0.3), and
# with 100 of 1,000 steps for pct_start.
@pytest.mark.parametrize(
    ("epochs", "steps", "warmup", "expected"),
    [
        (1, 10, 0, [0.04, 0.52, 1, 0.9504846, 0.8117457, 0.611262, 0.388742, 0.1882583, 0.0495194]),
        (7, 1, 0, [0.04, 0.9805566, 0.9190444, 0.6726838, 0.3577388, 0.0992968, 4e-6]),
        (10, 100, 0, {0: 0.04, 150: 0.522521668, 298: 0.999973505, 299: 1, 300: 0.999994965,
                      650: 0.497758022, 999: 4e-6}),
        (10, 100, 1, {0: 0.04, 50: 0.527615663, 99: 1, 100: 0.999996954, 999: 4e-6}),
    ],
)  # fmt: skip
def test_onecycle_is_pytorchs(epochs, steps, warmup, expected):
    schedule = learning_rate_schedule("onecycle", 1.0, epochs, steps, warmup)
    expected = expected if isinstance(expected, dict) else dict(enumerate(expected))
    found = rates(schedule, expected)
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_onecycle_starts_at_the_peak(total):
    values = rates(learning_rate_schedule("onecycle", 1.0, 1, total), range(total))
    assert values[0] == 1 and (total == 1 or values[-1] < 1e-5)


def test_triangle_closed_form():
    schedule = learning_rate_schedule("triangle", 0.5, epochs=10, steps_per_epoch=20)
    steps = np.arange(201)
    expected = 0.5 * np.interp(steps, [0, 46, 200], [0.2, 1, 0.07])
    np.testing.assert_allclose(rates(schedule, steps), expected, rtol=1e-5)
    early = learning_rate_schedule("triangle", 0.5, 10, 20, warmup_epochs=1)
    assert rates(early, [20])[0] == 0.5 and rates(early, [19, 21]).max() < 0.5
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    np.testing.assert_array_equal(rates(again, steps), rates(schedule, steps))


def test_the_shortest_triangle_is_finite():
    assert 0 < rates(learning_rate_schedule("triangle", 1.0, 1, 1), [0])[0] <= 1


# torch.optim.lr_scheduler.MultiStepLR: step `epochs * steps_per_epoch` is the first of a new rate.
@pytest.mark.parametrize(
    ("name", "epochs", "steps", "drops"),
    [
        ("step", 150, 2, [200, 280]),  # Rippel et al.: at epochs 100 and 140 of 150
        ("thirds", 90, 4, [120, 240]),  # Jia et al.: every 30 epochs of 90
        ("thirds", 3, 10, [10, 20]),
        ("thirds", 2, 6, [6]),
        ("thirds", 1, 6, []),
        ("step", 1, 5, []),
        ("thirds", 3, 1, [1, 2]),
    ],
)
def test_steps_are_pytorchs(name, epochs, steps, drops):
    schedule = learning_rate_schedule(name, 0.1, epochs, steps)
    some = [0, epochs * steps - 1] + [drop + near for drop in drops for near in (-1, 0, 1)]
    expected = [0.1 * 0.1 ** sum(step >= drop for drop in drops) for step in some]
    np.testing.assert_allclose(rates(schedule, some), expected, rtol=1e-5)


def test_constant_and_plateau_are_numbers():
    assert learning_rate_schedule("constant", 0.1, 2, 3) == 0.1
    assert learning_rate_schedule("plateau", 0.1, 2, 3) == 0.1


def test_serialises():
    schedule = WarmupCosine(0.3, 50, 5.5, 0.01, 0.001)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    np.testing.assert_array_equal(rates(again, range(50)), rates(schedule, range(50)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("linear", 0.1, 1, 1), "schedule='linear'"),
        (("cosine", -1, 1, 1), "learning_rate=-1"),
        (("cosine", math.nan, 1, 1), "learning_rate=nan"),
        (("cosine", 0.1, 0, 1), "epochs=0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        learning_rate_schedule(*arguments)
