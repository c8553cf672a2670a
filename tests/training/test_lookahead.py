import keras
import numpy as np
import pytest

from spectral_keras.training import Lookahead
from tests.oracles import to_numpy

STEPS, EPOCHS, RATE = 7, 3, 0.05


def trained(callbacks, epochs=range(EPOCHS), weights=None):
    """Weights after each epoch of a network whose gradients depend on the weights."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2 * STEPS, 3)), rng.normal(size=(2 * STEPS, 2))
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.5),
        ]
    )
    rng = np.random.default_rng(1)
    start = [rng.uniform(0.5, 1, weight.shape) for weight in model.weights]
    model.set_weights(start if weights is None else weights)
    model.compile(keras.optimizers.SGD(RATE), "mse")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(epochs.start * STEPS)
    seen = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: seen.append([to_numpy(weight) for weight in model.weights])
    )
    model.fit(
        x, y, batch_size=2, shuffle=False, verbose=0, epochs=epochs.stop,
        initial_epoch=epochs.start, callbacks=[*callbacks, keep],
    )  # fmt: skip
    return seen


def test_one_weight_against_its_recursion():
    """Loss (w - 1)^2: a step of gradient descent takes w to w - 2 RATE (w - 1)."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.full((1, 1), 3.0)])
    model.compile(keras.optimizers.SGD(RATE), "mse")
    ones = np.ones((STEPS, 1))
    total = STEPS * EPOCHS
    model.fit(
        ones, ones, batch_size=1, epochs=EPOCHS, verbose=0, callbacks=[Lookahead(total, 3, 0.8)]
    )
    w = slow = 3.0
    for step in range(1, total + 1):
        w -= 2 * RATE * (w - 1)
        # The third and sixth step of an epoch, and its last.
        if step % STEPS in (3, 6, 0):
            kept = 0.8**3 * (step / total) ** 3
            w = slow = kept * slow + (1 - kept) * w
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-5)
    assert abs(w - 1 - 2 * (1 - 2 * RATE) ** total) > 0.05


def test_none_of_the_old_weights_is_no_change():
    for found, expected in zip(
        trained([Lookahead(STEPS * EPOCHS, 2, decay=0.0)]), trained([]), strict=True
    ):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_weights_that_are_not_trained_keep_their_bits():
    """0.7 w + 0.3 w is not w in float32."""
    frozen = keras.layers.Dense(64, trainable=False)
    model = keras.Sequential([keras.Input((8,)), frozen, keras.layers.Dense(1)])
    before = [to_numpy(weight) for weight in frozen.weights]
    model.compile("sgd", "mse")
    callback = Lookahead(2 * STEPS, 2)
    model.fit(np.ones((STEPS, 8)), np.ones(STEPS), 1, 2, verbose=0, callbacks=[callback])
    for weight, value in zip(frozen.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), value)


def test_running_averages_move_and_an_epoch_needs_no_state():
    whole = trained([Lookahead(STEPS * EPOCHS, 2)])
    assert all(
        not np.allclose(one, other)
        for one, other in zip(whole[-1], trained([])[-1], strict=True)
    )  # fmt: skip
    rest = trained([Lookahead(STEPS * EPOCHS, 2)], range(1, EPOCHS), whole[0])
    for one, other in zip(rest[-1], whole[-1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "value"), [("total_steps", 0), ("every", 0), ("decay", 1.0), ("decay", -0.1)]
)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
        Lookahead(**{"total_steps": 10, name: value})


def moves(monkeypatch, **changes):
    """Weights of one network after `STEPS` steps of one sample, twice, and when they moved."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.full((1, 1), 3.0)])
    accumulated = changes.pop("accumulated", None)
    optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=accumulated)
    optimizer = changes.pop("wrapper", lambda one: one)(optimizer)
    model.compile(optimizer, "mse", steps_per_execution=changes.pop("at_once", 1))
    callback = Lookahead(2 * STEPS, **({"every": 3} | changes.pop("arguments", {})))
    seen, move = [], callback._move

    def recorded():
        if not callback._moved:
            seen.append(callback._first + callback._step)
        move()

    monkeypatch.setattr(callback, "_move", recorded)
    x = np.ones((STEPS, 1))

    def generator():
        for _ in range(STEPS):
            yield x[:1], x[:1]

    data = {"x": x, "y": x, "batch_size": 1}
    if changes.pop("unknown_length", False):
        data = {"x": generator(), "shuffle": False}
    epochs = 1 if "y" not in data else 2
    model.fit(**data, epochs=epochs, verbose=0, callbacks=[callback], **changes)
    return seen, model.get_weights()[0]


ONE_BY_ONE = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras executes steps one by one on PyTorch"
)


@ONE_BY_ONE
def test_when_it_moves(monkeypatch):
    known, expected = moves(monkeypatch)
    assert known == [3, 6, 7, 10, 13, 14]
    together, weights = moves(monkeypatch, at_once=3)
    assert together == known
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    for accumulated in (3, 7):
        assert moves(monkeypatch, accumulated=accumulated)[0] == known
    scaled = moves(monkeypatch, accumulated=5, wrapper=keras.optimizers.LossScaleOptimizer)
    assert scaled[0] == known


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("validation_data", [None, (np.ones((2, 1)), np.ones((2, 1)))])
def test_the_last_move_of_data_of_unknown_length(monkeypatch, validation_data):
    found, _ = moves(monkeypatch, unknown_length=True, validation_data=validation_data)
    assert found == [3, 6, 7]


@ONE_BY_ONE
def test_steps_that_are_executed_together_are_not_parted(monkeypatch):
    message = "multiple of the model's `steps_per_execution`. Received: every=3, steps_per_exec"
    with pytest.raises(ValueError, match=message):
        moves(monkeypatch, at_once=2)
