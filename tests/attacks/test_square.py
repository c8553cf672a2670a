"""The square attack: its squares, its bounds, and what it finds without gradients."""

import keras
import numpy as np
import pytest

from spectral_keras.attacks import Attack, run_attack, square
from spectral_keras.attacks.square_run import pyramids, side_of
from tests.attacks.nets import classes, conv_net, images, linear_net, outputs, shared_net


def published_side(call, height, width):
    """The table of the authors' code, p = 0.8."""
    limits = [(10, 2), (50, 4), (200, 8), (500, 16), (1000, 32), (2000, 64), (4000, 128)]
    limits += [(6000, 256), (8000, 512)]
    p = 0.8 / max([1] + [divisor for limit, divisor in limits if call > limit])
    return max(round((p * height * width) ** 0.5), 1)


def test_sides():
    for call in (0, 10, 11, 50, 51, 201, 999, 1001, 4000, 4001, 8001, 20000):
        assert side_of(call, 10_000, 32, 32) == published_side(call, 32, 32)
        assert side_of(call, 20_000, 32, 32) == published_side(call // 2, 32, 32)
    assert side_of(0, 100, 40, 4) == 4


@pytest.mark.parametrize("side", [1, 2, 3, 8, 9])
def test_pyramids(side):
    bump = pyramids(side)
    assert bump.shape == (side, side) and np.linalg.norm(bump) == pytest.approx(1)
    upper = side // 2
    assert (bump[:upper] >= 0).all() and (bump[upper:] <= 0).all()
    np.testing.assert_array_equal(bump, bump[:, ::-1] if side % 2 else bump)


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_within_the_ball_and_better_with_more_calls(norm):
    model, x = conv_net(shape=(10, 9, 3)), images(16, (10, 9, 3))
    y, eps = classes(model, x), {"inf": 0.05, "l2": 0.6}[norm]

    def attacked(steps, early_stop=False):
        return square(model, x, y, eps, steps, norm=norm, early_stop=early_stop)

    def margin(images_):
        logits = outputs(model, images_)
        own = logits[np.arange(16), y]
        logits[np.arange(16), y] = -np.inf
        return (logits.max(1) - own).mean()

    few, many = attacked(2), attacked(60)
    for found in (few, many):
        change = found.astype("float64") - x
        size = np.abs(change).max() if norm == "inf" else np.sqrt((change**2).sum((1, 2, 3))).max()
        assert 0.9 * eps < size <= eps and found.min() >= 0 and found.max() <= 1
    assert margin(few) > margin(x) and margin(many) > margin(few) + 0.05
    stopped = attacked(60, early_stop=True)
    np.testing.assert_array_equal(classes(model, stopped) != y, classes(model, many) != y)


@pytest.mark.parametrize(("norm", "eps"), [("inf", 0.05), ("l2", 0.3)])
def test_without_early_stop_what_fools_counts_more_than_a_higher_loss(norm, eps):
    """Of many classes an image that is not fooled may have the higher log-odds."""
    rng = np.random.default_rng(0)
    model = linear_net(0.03 * rng.normal(size=(64, 10)), shape=(8, 8, 1))
    x = rng.random((100, 8, 8, 1), dtype="float32")
    y, fooled = classes(model, x), {}
    options = {"steps": 60, "norm": norm, "loss": "cross_entropy"}
    for stop in (True, False):
        attacked = square(model, x, y, eps, early_stop=stop, **options)
        fooled[stop] = classes(model, attacked) != y
    assert fooled[True].any() and not fooled[True].all()
    assert (fooled[False] >= fooled[True]).all()


def test_linear_model_falls_where_it_must():
    """One channel's sign decides: stripes and squares find it, the best corner is known."""
    kernel = np.zeros((6, 6, 1, 2))
    kernel[..., 0, 1] = 1 / 36
    model = linear_net(kernel.reshape(36, 2), bias=[0.5, 0], shape=(6, 6, 1))
    x = (
        np.full((4, 6, 6, 1), 0.0, "float32")
        + np.array([0.42, 0.45, 0.55, 0.58])[:, None, None, None]
    )
    y = classes(model, x)
    fooled = classes(model, square(model, x, y, 0.06, 300)) != y
    # Mean 0.5 +- 0.05 is within reach, 0.5 +- 0.08 is not.
    np.testing.assert_array_equal(fooled, [False, True, True, False])


def test_a_hidden_gradient_hides_nothing():
    model = conv_net()
    inputs = keras.Input((8, 8, 3))
    rounded = keras.Model(inputs, model(keras.ops.round(inputs * 64) / 64))
    x = images(12)
    y = classes(rounded, x)
    assert (classes(rounded, square(rounded, x, y, 0.06, 100)) != y).sum() >= 6


def test_an_image_has_its_own_attack():
    model, x = shared_net(), images(7)
    y = classes(model, x)
    whole = square(model, x, y, 0.03, 20, batch_size=3)
    part = square(model, x[[5, 2]], y[[5, 2]], 0.03, 20, index=[5, 2])
    np.testing.assert_array_equal(part, whole[[5, 2]])
    assert not np.array_equal(whole, square(model, x, y, 0.03, 20, seed=1))


def test_channels_first(monkeypatch):
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    model, x = conv_net(), images(4)
    inputs = keras.Input((3, 8, 8))
    first = keras.Model(inputs, model(keras.ops.transpose(inputs, (0, 2, 3, 1))))
    y = classes(model, x)
    eps = [[[0.01]], [[0.02]], [[0.03]]]
    for norm in ("inf", "l2"):
        attack = Attack("square", eps if norm == "inf" else 0.3, steps=10, norm=norm)
        found = run_attack(first, np.moveaxis(x, 3, 1), y, attack, early_stop=False)
        change = np.abs(found - np.moveaxis(x, 3, 1))
        if norm == "inf":
            np.testing.assert_allclose(change.max((0, 2, 3)), [0.01, 0.02, 0.03], rtol=1e-3)
            # Stripes and squares: whole columns move alike.
            assert (change > 0).mean() > 0.9
        assert change.max() > 0


def test_arguments():
    assert Attack("square").loss == "margin" and Attack("square").steps == 5000
    with pytest.raises(ValueError, match='`random_start` must be True for "square".*False'):
        Attack("square", random_start=False)
    with pytest.raises(ValueError, match=r"images of rank 4.*\(2, 4\)"):
        square(linear_net(np.eye(4)), np.full((2, 4), 0.5), [0, 1], 0.1)
