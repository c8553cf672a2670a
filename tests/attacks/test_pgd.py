"""PGD against an independent implementation, and its bookkeeping of images."""

import gc
import weakref

import keras
import numpy as np
import pytest

from spectral_keras.attacks import fgsm, pgd, plain_run
from tests.attacks.nets import (
    classes,
    conv_net,
    images,
    linear_net,
    numpy_pgd,
    outputs,
    shared_net,
    state,
)

RNG = np.random.default_rng(5)
KERNEL, BIAS = RNG.normal(size=(10, 4)), RNG.normal(size=4)
X = RNG.random((9, 10)).astype("float32")
Y = RNG.integers(0, 4, 9)
OPTIONS = {"random_start": False, "early_stop": False}


@pytest.fixture(scope="module")
def linear():
    return linear_net(KERNEL, BIAS)


@pytest.fixture(scope="module")
def trained():
    """A net fitted to where in the image the bright patch is, images and labels.

    The last layer is fitted in closed form: in a second, and the same on every backend.
    """
    rng = np.random.default_rng(2)
    y = rng.integers(0, 5, 320)
    x = rng.random((320, 8, 8, 3), dtype="float32") * 0.5
    for image, label in zip(x, y, strict=True):
        image[label : label + 3, label : label + 3] += 0.3
    model = conv_net(seed=7)
    features = keras.Model(model.inputs[0], model.layers[-1].input)
    z = np.pad(outputs(features, x).astype("float64"), ((0, 0), (0, 1)), constant_values=1)
    weights = np.linalg.solve(z.T @ z + 0.1 * np.eye(z.shape[1]), z.T @ (8 * np.eye(5)[y]))
    model.layers[-1].set_weights([weights[:-1], weights[-1]])
    x, y = x[:32], y[:32]
    assert np.mean(classes(model, x) == y) > 0.9
    return model, x, y


def losses(model, x, y):
    """Cross-entropy of each image, float64."""
    z = outputs(model, x).astype("float64")
    z = z - z.max(axis=1, keepdims=True)
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]


@pytest.mark.parametrize("norm", ["inf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_agrees_with_numpy(linear, norm, targeted):
    eps, step = (0.2, 0.06) if norm == "inf" else (0.5, 0.15)
    attacked = pgd(linear, X, Y, eps, step, 7, norm=norm, targeted=targeted, **OPTIONS)
    expected = numpy_pgd(KERNEL, BIAS, X, Y, eps, step, 7, norm, targeted)
    np.testing.assert_allclose(attacked, expected, rtol=0, atol=2e-6)


def test_agrees_with_numpy_from_the_documented_random_start(linear):
    start = [
        x + (2 * np.random.default_rng([7, 0, i]).random(10, "float32") - 1) * 0.2
        for i, x in enumerate(X)
    ]
    start = np.clip(start, 0, 1)
    attacked = pgd(linear, X, Y, 0.2, 0.03, 4, seed=7, early_stop=False)
    expected = numpy_pgd(KERNEL, BIAS, X, Y, 0.2, 0.03, 4, "inf", start=start)
    np.testing.assert_allclose(attacked, expected, rtol=0, atol=2e-6)


def test_default_step_size(linear):
    expected = pgd(linear, X, Y, 0.2, 0.1, 5, **OPTIONS)
    np.testing.assert_array_equal(pgd(linear, X, Y, 0.2, steps=5, **OPTIONS), expected)


def test_one_step_of_eps_is_fgsm():
    model, x = shared_net(), images()
    y = classes(model, x)
    np.testing.assert_array_equal(
        pgd(model, x, y, 0.05, 0.05, 1, **OPTIONS), fgsm(model, x, y, 0.05)
    )


@pytest.mark.parametrize(("norm", "eps"), [("inf", 0.03), ("l2", 0.35)])
def test_at_least_as_strong_as_fgsm(trained, norm, eps):
    model, x, y = trained
    weak = fgsm(model, x, y, eps, norm=norm)
    strong = pgd(model, x, y, eps, eps / 2, 10, norm=norm, early_stop=False)
    assert losses(model, strong, y).mean() > losses(model, weak, y).mean()
    fooled = [np.mean(classes(model, a) != y) for a in (x, weak, strong)]
    assert fooled[0] < fooled[1] <= fooled[2]


@pytest.mark.parametrize("norm", ["inf", "l2"])
@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("eps", [8 / 255, 0.3])
def test_in_the_ball_and_in_the_range_exactly(norm, random_start, eps):
    x = images(20)
    x[0], x[1] = 0, 1
    attacked = pgd(
        shared_net(), x, None, eps, 0.7 * eps, 3, norm=norm, random_start=random_start, batch_size=8
    )
    assert attacked.min() >= 0 and attacked.max() <= 1
    delta = (attacked.astype("float64") - x).reshape(20, -1)
    length = np.abs(delta).max(axis=1) if norm == "inf" else np.linalg.norm(delta, axis=1)
    assert (length <= eps).all(), length.max() - eps
    assert length.max() > 0.6 * eps  # one step, where that is enough


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_zero_eps_is_the_identity(norm):
    x = images()
    np.testing.assert_array_equal(pgd(shared_net(), x, None, 0, norm=norm, restarts=2), x)


def test_early_stop_leaves_what_is_misclassified(trained):
    model, x, _ = trained
    wrong = classes(model, x)
    wrong[::2] = (wrong[::2] + 1) % 5
    attacked = pgd(model, x, wrong, 0.05)
    np.testing.assert_array_equal(attacked[::2], x[::2])
    assert (attacked[1::2] != x[1::2]).any(axis=(1, 2, 3)).all()
    # Targeted: what is at the target stays, the rest goes.
    attacked = pgd(model, x, wrong, 0.05, targeted=True)
    at_target = classes(model, x) == wrong
    np.testing.assert_array_equal(attacked[at_target], x[at_target])
    assert (attacked != x).any(axis=(1, 2, 3))[~at_target].all()


def test_early_stop_takes_the_first_image_that_fools(trained):
    """The same path, left at the first step after which the class is wrong."""
    model, x, y = trained
    attacked = pgd(model, x, y, 0.06, 0.006, 8, random_start=False, batch_size=8)
    path = [x] + [pgd(model, x, y, 0.06, 0.006, n, **OPTIONS) for n in range(1, 9)]
    wrong = np.stack([classes(model, step) != y for step in path])
    stop = np.where(wrong.any(axis=0), wrong.argmax(axis=0), 8)
    assert len(set(stop.tolist())) > 3
    expected = np.stack([path[n][i] for i, n in enumerate(stop)])
    # Other batches round otherwise: a gradient near zero may change its sign.
    assert np.mean(np.abs(attacked - expected) > 1e-6) < 0.002
    assert np.mean(wrong.any(axis=0)) == np.mean(classes(model, attacked) != y)


def test_early_stop_saves_steps(trained, monkeypatch):
    """Images that are done leave their slots, so fewer batches are computed."""
    model, x, y = trained
    compiled_step, calls = plain_run.compiled_step, []

    def counted(*args, **kwargs):
        step = compiled_step(*args, **kwargs)
        return lambda *tensors: calls.append(1) or step(*tensors)

    monkeypatch.setattr(plain_run, "compiled_step", counted)
    count, log = {}, {}
    for early_stop in (False, True):
        calls.clear()
        log[early_stop] = []
        attacked = pgd(
            model,
            x,
            y,
            0.15,
            0.05,
            10,
            early_stop=early_stop,
            batch_size=8,
            progress=lambda *s, log=log[early_stop]: log.append(s),
        )
        count[early_stop] = len(calls)
        assert np.mean(classes(model, attacked) != y) > 0.9
    assert count[False] == 4 * 10 and count[True] < 30
    assert log[False] == [(8, 32), (16, 32), (24, 32), (32, 32)]
    done = [d for d, _ in log[True]]
    assert done == sorted(set(done)) and done[-1] == 32


def test_restarts_never_lose(trained):
    model, x, y = trained
    for early_stop in (True, False):
        fooled, loss = [], []
        for restarts in (1, 2, 4):
            attacked = pgd(
                model, x, y, 0.03, 0.015, 2, restarts=restarts, early_stop=early_stop, batch_size=16
            )
            fooled.append(classes(model, attacked) != y)
            loss.append(losses(model, attacked, y))
        for less, more in zip(fooled, fooled[1:], strict=False):
            assert (more | ~less).all()
        # Those that never fooled the model end at their highest loss.
        never = ~fooled[-1]
        assert never.any()
        for less, more in zip(loss, loss[1:], strict=False):
            assert (more[never] >= less[never] - 1e-4).all()
        assert (loss[-1][never] > loss[0][never] + 1e-4).any()


def test_restarts_keep_the_best_of_the_single_tries():
    model = linear_net(KERNEL, BIAS, scale=0.2)
    y = classes(model, X)
    kept = pgd(model, X, y, 0.01, 0.001, 2, restarts=3, seed=3)
    tries = []
    for r in range(3):
        start = [
            x + (2 * np.random.default_rng([3, r, i]).random(10, "float32") - 1) * 0.01
            for i, x in enumerate(X)
        ]
        start = np.clip(start, 0, 1)
        tries.append(numpy_pgd(0.2 * KERNEL, 0.2 * BIAS, X, y, 0.01, 0.001, 2, "inf", start=start))
    loss = np.stack([losses(model, t.astype("float32"), y) for t in tries])
    assert (classes(model, kept) == y).all()
    expected = np.stack([tries[r][i] for i, r in enumerate(loss.argmax(axis=0))])
    np.testing.assert_allclose(kept, expected, rtol=0, atol=1e-6)


def test_seeds():
    model, x = shared_net(), images()
    options = {"eps": 0.05, "steps": 2, "step_size": 0.01}
    first = pgd(model, x, seed=1, **options)
    np.testing.assert_array_equal(first, pgd(model, x, seed=1, **options))
    assert np.mean(first == pgd(model, x, seed=2, **options)) < 0.5
    # The draw of an image depends neither on the others nor on the batch.
    few = pgd(model, x[:5], seed=1, batch_size=2, **options)
    assert np.mean(np.abs(few - first[:5]) > 1e-6) < 0.002
    assert (first[0] - x[0] != first[1] - x[1]).any()


def test_random_start_fills_the_l2_ball():
    """The radius of a uniform point in d dimensions has the distribution (r / eps)^d."""
    x = np.full((400, 3), 0.5, "float32")
    model = linear_net(np.random.default_rng(0).normal(size=(3, 2)))
    # A step of no length to speak of shows the start.
    start = pgd(model, x, None, 0.2, 1e-9, 1, norm="l2", early_stop=False)
    share = (np.linalg.norm(start - 0.5, axis=1) / 0.2) ** 3
    assert share.max() <= 1 + 1e-6
    np.testing.assert_allclose(np.quantile(share, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.08)
    assert np.abs((start - 0.5).mean(axis=0)).max() < 0.02


def test_targeted_reaches_the_target(trained):
    model, x, y = trained
    target = (y + 2) % 5
    attacked = pgd(model, x, target, 0.4, steps=20, targeted=True)
    assert np.mean(classes(model, attacked) == target) > 0.9


def test_margin_loss(trained):
    model, x, y = trained
    attacked = pgd(model, x, y, 0.1, loss="margin")
    assert np.mean(classes(model, attacked) != y) > 0.8


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_nothing_in_the_model_changes(norm):
    model = shared_net()
    before = state(model)
    assert len(before) == 9  # with the batch statistics and the seed of the dropout
    pgd(model, images(), None, 0.05, steps=2, norm=norm, restarts=2)
    for old, new in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="traces nothing")
def test_traced_once_for_all_batches_and_settings():
    traces = []

    class Counted(keras.layers.Layer):
        def call(self, x):
            traces.append(x.shape)
            return x * 1.0

    model = keras.Sequential([keras.Input((8, 8, 3)), Counted(), *conv_net().layers])
    traces.clear()
    pgd(model, images(37), None, 0.05, steps=3, batch_size=8)
    # The step and the logits; on JAX each for a full and a small batch.
    most = 2 if keras.backend.backend() == "tensorflow" else 4
    assert 2 <= len(traces) <= most, traces
    traces.clear()
    for eps in (0.1, 0.2):
        pgd(model, images(37), None, eps, eps / 2, 2, batch_size=8, seed=4)
    pgd(model, images(37), np.zeros(37, int), np.array([0.1, 0.2, 0.3]), batch_size=8)
    assert len(traces) <= most - 2, traces
    traces.clear()
    pgd(model, images(19), None, 0.1, steps=4, batch_size=8)
    assert not traces


def test_the_model_can_go():
    """What is kept for a model does not keep the model."""
    for make in (conv_net, lambda: conv_net(activation="softmax")):
        model = make()
        pgd(model, images(2), None, 0.05, steps=1)
        reference = weakref.ref(model)
        del model
        gc.collect()
        assert reference() is None
