"""FGSM against closed forms, and what holds for every attacked image."""

import keras
import numpy as np
import pytest

from spectral_keras.attacks import fgsm
from tests.attacks.nets import (
    classes,
    conv_net,
    images,
    linear_net,
    outputs,
    shared_net,
    state,
)

KERNEL = np.random.default_rng(3).normal(size=(12, 2))
# Far enough from 0 and 1 for eps = 0.1.
X = 0.2 + 0.6 * images(6, (2, 2, 3))
Y = np.array([0, 1, 0, 1, 1, 0])
AWAY = (KERNEL[:, 1] - KERNEL[:, 0]) * np.where(Y == 0, 1, -1)[:, None]


@pytest.fixture(scope="module")
def linear():
    return linear_net(KERNEL, shape=(2, 2, 3))


def test_two_linear_classes_inf(linear):
    attacked = fgsm(linear, X, Y, 0.1)
    assert attacked.dtype == np.float32 and attacked.shape == X.shape
    np.testing.assert_allclose(
        (attacked - X).reshape(6, -1), 0.1 * np.sign(AWAY), rtol=0, atol=1.2e-7
    )


def test_two_linear_classes_l2(linear):
    attacked = fgsm(linear, X, Y, 0.1, norm="l2")
    expected = 0.1 * AWAY / np.linalg.norm(AWAY, axis=1, keepdims=True)
    np.testing.assert_allclose((attacked - X).reshape(6, -1), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("norm", "dual"), [("inf", 1), ("l2", 2)])
@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
def test_optimal_for_two_linear_classes(linear, norm, dual, loss):
    """No point of the ball moves the difference of the logits further (Hoelder)."""
    attacked = fgsm(linear, X, Y, 0.1, norm=norm, loss=loss)
    moved = np.sum((attacked - X).reshape(6, -1) * AWAY, axis=1)
    np.testing.assert_allclose(moved, 0.1 * np.linalg.norm(AWAY, ord=dual, axis=1), rtol=1e-5)


def test_targeted_goes_the_other_way(linear):
    toward = fgsm(linear, X, Y, 0.1, targeted=True)
    np.testing.assert_array_equal(toward, fgsm(linear, X, 1 - Y, 0.1))


def test_targeted_takes_the_wanted_class_of_many():
    kernel = np.eye(4)
    model = linear_net(kernel, scale=20)
    x = np.full((3, 4), 0.5, "float32")
    attacked = fgsm(model, x, np.array([0, 2, 3]), 0.2, targeted=True)
    assert classes(model, attacked).tolist() == [0, 2, 3]


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_zero_eps_is_the_identity(norm):
    attacked = fgsm(shared_net(), images(), None, 0.0, norm=norm)
    np.testing.assert_array_equal(attacked, images())
    attacked[:] = 0  # a copy


@pytest.mark.parametrize("eps", [8 / 255, 0.1, 1e-9, 0.5])
@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_in_the_ball_and_in_the_range_exactly(eps, norm):
    x = images(20)
    x[0], x[1] = 0, 1
    x[2] = np.float32(1e-30)
    attacked = fgsm(shared_net(), x, None, eps, norm=norm)
    assert attacked.min() >= 0 and attacked.max() <= 1
    delta = (attacked.astype("float64") - x).reshape(20, -1)
    length = np.abs(delta).max(axis=1) if norm == "inf" else np.linalg.norm(delta, axis=1)
    assert (length <= eps).all(), length.max() - eps
    if norm == "inf":
        assert np.abs(attacked - x).max() <= np.float32(eps)
    if eps > 1e-3:
        assert length.max() > 0.99 * eps


def test_an_addition_in_float32_would_leave_the_ball():
    """The oracle of the test above can fail."""
    x = images(20)
    naive = x + np.float32(8 / 255)
    assert (naive.astype("float64") - x > 8 / 255).any()


def test_labels_of_every_kind_are_the_same():
    model, x = shared_net(), images()
    y = classes(model, x)
    expected = fgsm(model, x, y, 0.05)
    for labels in (
        None,
        y[:, None],
        np.eye(5)[y],
        np.eye(5, dtype="int64")[y],
        keras.ops.convert_to_tensor(y.astype("int32")),
        y.tolist(),
    ):
        np.testing.assert_array_equal(fgsm(model, x, labels, 0.05), expected)


def test_images_of_every_kind_are_the_same():
    model, x = shared_net(), images()
    expected = fgsm(model, x, None, 0.05)
    np.testing.assert_array_equal(fgsm(model, x.astype("float64"), None, 0.05), expected)
    np.testing.assert_array_equal(fgsm(model, keras.ops.convert_to_tensor(x), None, 0.05), expected)


def test_eps_of_each_channel_without_clipping():
    std = np.array([0.247, 0.243, 0.261])
    x = images()
    attacked = fgsm(shared_net(), x, None, 0.3 * std, clip=None)
    assert attacked.min() < 0 and attacked.max() > 1
    np.testing.assert_allclose(
        np.abs(attacked - x).max(axis=(0, 1, 2)), 0.3 * std, rtol=0, atol=2e-7
    )


def test_eps_by_channel_is_eps_in_normalised_units():
    """The published attack sees normalised images."""
    std = np.array([0.25, 0.5, 0.125], "float32")
    mean = np.array([0.5, 0.375, 0.25], "float32")
    inner, x = shared_net(), images()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Normalization(mean=mean, variance=std**2),
            inner,
        ]
    )
    attacked = fgsm(model, x, None, 0.25 * std, clip=None)
    expected = fgsm(inner, (x - mean) / std, None, 0.25, clip=None)
    np.testing.assert_allclose((attacked - mean) / std, expected, atol=2e-6)


def test_batches_change_nothing():
    model, x = shared_net(), images(11)
    calls = []
    expected = fgsm(model, x, None, 0.05)
    attacked = fgsm(model, x, None, 0.05, batch_size=4, progress=lambda *state: calls.append(state))
    assert np.mean(attacked != expected) < 0.001  # the sign of a gradient near zero
    assert calls == [(4, 11), (8, 11), (11, 11)]


def test_a_model_with_a_fixed_batch_size():
    model, x = shared_net(), images(7)
    fixed = keras.Sequential([keras.Input(batch_shape=(4, 8, 8, 3)), *model.layers])
    difference = fgsm(fixed, x, None, 0.05) - fgsm(model, x, None, 0.05)
    assert np.mean(difference != 0) < 0.001


def test_no_images():
    assert fgsm(shared_net(), np.zeros((0, 8, 8, 3)), None, 0.1).shape == (0, 8, 8, 3)


def test_nothing_in_the_model_changes():
    model = shared_net()
    before = state(model)
    fgsm(model, images(), None, 0.05)
    for old, new in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_new_weights_are_seen():
    model = linear_net(KERNEL, shape=(2, 2, 3))
    first = fgsm(model, X, Y, 0.1)
    model.set_weights([-w for w in model.get_weights()])
    np.testing.assert_allclose(fgsm(model, X, Y, 0.1) - X, X - first, atol=2e-7)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    model = conv_net()
    keras.config.set_dtype_policy("float32")
    attacked = fgsm(model, images(), None, 8 / 255)
    assert attacked.dtype == np.float32
    # bfloat16 images would be off by up to 1/512.
    np.testing.assert_array_less(np.abs(attacked.astype("float64") - images()), 8 / 255 + 1e-12)
    assert np.mean(np.abs(attacked - images()) > 8 / 255 - 1e-6) > 0.7
    same = fgsm(shared_net(), images(), None, 8 / 255) == attacked
    assert same.mean() > 0.9
    assert (outputs(model, attacked).argmax(1) != classes(model, images())).any()
