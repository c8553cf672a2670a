"""APGD: the paper's algorithm in float64 on a linear model, its schedule, losses and bounds."""

import keras
import numpy as np
import pytest

from spectral_keras.attacks import Attack, apgd, pgd, run_attack
from spectral_keras.attacks.apgd_run import checkpoints
from spectral_keras.attacks.step import objective
from tests.attacks.nets import classes, conv_net, images, linear_net, outputs, shared_net, state

RNG = np.random.default_rng(0)


def published_checkpoints(steps):
    """w_j = ceil(p_j N), p_0 = 0, p_1 = .22, p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06)."""
    p = [0.0, 0.22]
    while p[-1] < 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    return [round(steps * share) for share in p[1:] if share < 1]


def test_checkpoints_are_the_papers():
    assert list(checkpoints(100)) == published_checkpoints(100)
    assert list(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert list(checkpoints(1)) == [1] and max(checkpoints(10)) <= 10


def numpy_apgd(weights, x, y, eps, steps, norm):
    """Algorithm 1 on the margin of a two-layer network, float64, images in [0, 1], no random start.

    The loss is max_j z_j - z_y: its gradient comes by the chain rule.
    """
    first, second = weights

    def loss(z):
        hidden = np.maximum(z @ first, 0)
        logits = hidden @ second
        others = logits.copy()
        others[y] = -np.inf
        j = others.argmax()
        gradient = first @ ((hidden > 0) * (second[:, j] - second[:, y]))
        return logits[j] - logits[y], gradient

    def project(z):
        if norm == "inf":
            return np.clip(np.clip(z, x - eps, x + eps), 0, 1)
        length = np.linalg.norm(z - x)
        return np.clip(x + (z - x) * min(1, eps / max(length, 1e-30)), 0, 1)

    def direction(gradient):
        return np.sign(gradient) if norm == "inf" else gradient / np.linalg.norm(gradient)

    size, due = 2 * eps, published_checkpoints(steps)
    current, before = x, x
    value, gradient = loss(current)
    best, best_value, best_gradient = current, value, gradient
    values, checked, last_size = [value], value, None
    start, sizes = 0, []
    for k in range(1, steps + 1):
        share = 0.25 if k > 1 else 0.0
        there = project(current + size * direction(gradient))
        moved = project(current + (1 - share) * (there - current) + share * (current - before))
        before, current = current, moved
        value, gradient = loss(current)
        values.append(value)
        if value > best_value:
            best, best_value, best_gradient = current, value, gradient
        sizes.append(size)
        if k in due:
            rises = sum(values[i] > values[i - 1] for i in range(start + 1, k + 1))
            stalled = last_size == size and checked == best_value
            start, checked, last_size = k, best_value, size
            if rises <= 0.75 * (k - (due[due.index(k) - 1] if due.index(k) else 0)) or stalled:
                size, current, gradient = size / 2, best, best_gradient
    return best, best_value, sizes


@pytest.mark.parametrize(("norm", "eps"), [("inf", 0.2), ("l2", 0.6)])
def test_numpy(norm, eps):
    steps, count = 100, 6
    weights = RNG.normal(size=(12, 20)), RNG.normal(size=(20, 4))
    x, y = RNG.random((count, 12)), RNG.integers(0, 4, count)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(20, activation="relu", use_bias=False),
            keras.layers.Dense(4, use_bias=False),
        ]
    )
    model.set_weights([w.astype("float32") for w in weights])
    attack = Attack("apgd", eps, steps=steps, norm=norm, loss="margin", random_start=False)
    actual = run_attack(model, x, y, attack, early_stop=False)
    halvings = 0
    for image, label, found in zip(x.astype("float32").astype("float64"), y, actual, strict=True):
        best, value, sizes = numpy_apgd(weights, image, label, eps, steps, norm)
        halvings += len(set(sizes)) - 1
        logits = np.maximum(found @ weights[0], 0) @ weights[1]
        margin = np.delete(logits, label).max() - logits[label]
        # Paths part at kinks of the network; where they end counts.
        assert margin == pytest.approx(value, rel=0.02, abs=0.02)
    assert halvings >= count


class TestLosses:
    LOGITS = RNG.normal(size=(50, 5)).astype("float32")
    LABELS = RNG.integers(0, 5, 50).astype("int32")

    def test_difference_of_logits_ratio(self):
        z = np.sort(self.LOGITS.astype("float64"), axis=1)
        own = self.LOGITS[np.arange(50), self.LABELS].astype("float64")
        other = np.where(own == z[:, -1], z[:, -2], z[:, -1])
        expected = -(own - other) / (z[:, -1] - z[:, -3] + 1e-12)
        for scale in (1.0, 100.0):
            values = objective(scale * self.LOGITS, self.LABELS, "dlr", False)
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(values), expected, rtol=2e-5, atol=1e-6
            )

    def test_needs_three_classes(self):
        model = linear_net(RNG.normal(size=(4, 2)))
        with pytest.raises(ValueError, match="`loss` must be .* for two classes.*'dlr'"):
            apgd(model, np.full((2, 4), 0.5), [0, 1], 0.1, loss="dlr")


@pytest.mark.parametrize("norm", ["inf", "l2"])
@pytest.mark.parametrize("loss", ["cross_entropy", "dlr"])
def test_within_the_ball_and_stronger_than_pgd(norm, loss):
    model, x = conv_net(), images(24)
    y, eps, before = classes(model, x), {"inf": 0.02, "l2": 0.2}[norm], state(model)
    attacked = apgd(model, x, y, eps, steps=20, norm=norm, loss=loss)
    change = attacked.astype("float64") - x
    size = np.abs(change).max() if norm == "inf" else np.sqrt((change**2).sum((1, 2, 3))).max()
    assert size <= eps and attacked.min() >= 0 and attacked.max() <= 1
    fooled = (classes(model, attacked) != y).sum()
    plain = (classes(model, pgd(model, x, y, eps, steps=20, norm=norm)) != y).sum()
    assert fooled >= plain - 1 and fooled > 0
    for value, old in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(value, old)


def test_an_image_has_its_own_attack():
    model, x = shared_net(), images(7)
    y = classes(model, x)
    whole = apgd(model, x, y, 0.02, steps=6, batch_size=3)
    part = apgd(model, x[[5, 2]], y[[5, 2]], 0.02, steps=6, index=[5, 2])
    np.testing.assert_allclose(part, whole[[5, 2]], atol=1e-6)
    assert not np.array_equal(whole, apgd(model, x, y, 0.02, steps=6, seed=1))


@pytest.mark.parametrize(("norm", "eps"), [("inf", 0.05), ("l2", 0.3)])
def test_without_early_stop_what_fools_counts_more_than_a_higher_loss(norm, eps):
    """Of many classes an image that is not fooled may have the higher log-odds."""
    rng = np.random.default_rng(0)
    layers = [keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    kernels = rng.normal(size=(64, 32)) / 8, rng.normal(size=(32, 10)) * 0.75
    model.set_weights([kernels[0], np.zeros(32), kernels[1], np.zeros(10)])
    x = rng.random((200, 64), dtype="float32")
    y, fooled = classes(model, x), {}
    options = {"steps": 20, "norm": norm, "loss": "cross_entropy"}
    for stop in (True, False):
        attacked = apgd(model, x, y, eps, early_stop=stop, **options)
        fooled[stop] = classes(model, attacked) != y
    assert fooled[True].any() and not fooled[True].all()
    assert (fooled[False] >= fooled[True]).all()


def test_without_early_stop_the_loss_is_higher_and_targets_are_reached():
    model, x = shared_net(), images(8)
    y = classes(model, x)

    def margins(attacked):
        logits = outputs(model, attacked)
        own = logits[np.arange(8), y]
        logits[np.arange(8), y] = -np.inf
        return logits.max(1) - own

    stopped, on = (
        apgd(model, x, y, 0.05, steps=15, early_stop=stop, loss="margin") for stop in (True, False)
    )
    assert (margins(on) >= margins(stopped) - 1e-4).all()
    wanted = (y + 1) % 5
    reached = classes(model, apgd(model, x, wanted, 0.3, steps=30, targeted=True)) == wanted
    assert reached.mean() > 0.7


def test_arguments():
    with pytest.raises(ValueError, match='`step_size` must be None for "apgd".*0.1'):
        Attack("apgd", step_size=0.1)
    assert Attack("apgd").steps == 100 and Attack("apgd", random_start=False).restarts == 1
