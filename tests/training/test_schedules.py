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
    named = learning_rate_schedule("onecycle", 1.0, epochs=10, steps_per_epoch=100)
    np.testing.assert_allclose(rates(named, [0, 300, 999]), [0.04, 1, 4e-6], rtol=1e-5)


def test_step_is_the_papers():
    # Rippel et al.: divided by ten at epochs 100 and 140 of 150.
    schedule = learning_rate_schedule("step", 0.1, epochs=150, steps_per_epoch=2)
    values = rates(schedule, [0, 200, 201, 280, 281, 299])
    np.testing.assert_allclose(values, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-5)
    assert rates(learning_rate_schedule("step", 0.1, 1, 5), [0])[0] == pytest.approx(0.1)


def test_thirds_are_the_papers():
    # Jia et al.: divided by ten every 30 epochs of 90.
    schedule = learning_rate_schedule("thirds", 0.01, epochs=90, steps_per_epoch=4)
    values = rates(schedule, [0, 120, 121, 240, 241, 359])
    np.testing.assert_allclose(values, [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-5)


@pytest.mark.parametrize(
    ("epochs", "expected"), [(1, [1]), (2, [1, 0.1]), (3, [1, 0.1, 0.01]), (4, [1, 0.1, 0.1, 0.01])]
)
def test_thirds_of_a_short_training(epochs, expected):
    schedule = learning_rate_schedule("thirds", 1.0, epochs, steps_per_epoch=6)
    last_steps = 6 * np.arange(1, epochs + 1) - 1
    np.testing.assert_allclose(rates(schedule, last_steps), expected, rtol=1e-5)


def test_constant_and_plateau_are_numbers():
    assert learning_rate_schedule("constant", 0.1, 2, 3) == 0.1
    assert learning_rate_schedule("plateau", 0.1, 2, 3) == 0.1


def test_serialises():
    schedule = WarmupCosine(0.3, 50, 5, 0.01, 0.001)
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
