"""Logits of models that end in probabilities, and attacks that see through a softmax."""

import keras
import numpy as np
import pytest

from spectral_keras.attacks import fgsm, pgd
from spectral_keras.attacks.step import objective
from spectral_keras.classifiers import input_gradient, logits_function
from tests.attacks.nets import Opaque, classes, conv_net, images, linear_net, outputs
from tests.oracles import to_numpy

KERNEL = np.random.default_rng(3).normal(size=(6, 3))
X = (0.2 + 0.6 * np.random.default_rng(4).random((8, 6))).astype("float32")


def dense_softmax():
    return linear_net(KERNEL, activation="softmax")


def softmax_layer():
    return keras.Sequential([linear_net(KERNEL), keras.layers.Softmax()])


def activation_layer():
    return keras.Sequential([linear_net(KERNEL), keras.layers.Activation("softmax")])


def functional():
    x = keras.Input((6,))
    return keras.Model(x, keras.ops.softmax(linear_net(KERNEL)(x)))


def nested():
    return keras.Sequential(
        [keras.Input((6,)), keras.layers.Rescaling(1.0), keras.Sequential([dense_softmax()])]
    )


@pytest.mark.parametrize(
    "build", [dense_softmax, softmax_layer, activation_layer, functional, nested]
)
@pytest.mark.parametrize("from_logits", [None, False])
def test_a_softmax_is_cut_off(build, from_logits):
    model = build()
    function, ending = logits_function(model, from_logits)
    assert ending == "softmax"
    np.testing.assert_allclose(to_numpy(function(X)), X @ KERNEL, rtol=1e-5, atol=1e-5)
    z = np.exp(X @ KERNEL)
    np.testing.assert_allclose(outputs(model, X), z / z.sum(1, keepdims=True), rtol=1e-4)


def test_logits_stay():
    function, ending = logits_function(linear_net(KERNEL))
    assert ending == "linear"
    np.testing.assert_allclose(to_numpy(function(X)), X @ KERNEL, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["inf", "l2"])
@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
def test_probabilities_give_the_attack_of_the_logits(norm, loss):
    expected = pgd(linear_net(KERNEL), X, None, 0.1, steps=3, norm=norm, loss=loss)
    for model in (
        dense_softmax(),
        Opaque(dense_softmax()),
        Opaque(linear_net(KERNEL)),
    ):
        attacked = pgd(model, X, None, 0.1, steps=3, norm=norm, loss=loss)
        np.testing.assert_allclose(attacked, expected, rtol=0, atol=2e-6)


def test_an_own_call_is_not_cut():
    class Negated(keras.Model):
        def call(self, x, training=None):
            return 1 - super().call(x, training=training)

    x = keras.Input((6,))
    model = Negated(x, keras.layers.Dense(3, activation="softmax")(x))
    assert logits_function(model)[1] == "unknown"
    # Its prediction is the class that the softmax likes least; the attack makes that one likelier.
    before, after = outputs(model, X), outputs(model, fgsm(model, X, None, 0.1))
    rows = range(len(X)), before.argmax(1)
    assert (after[rows] < before[rows]).all()


def naive_gradient(model, x, y):
    """The gradient of the cross-entropy of a model of probabilities, as usually written."""

    def loss(x):
        return keras.ops.sum(keras.losses.sparse_categorical_crossentropy(y, model(x)))

    return to_numpy(input_gradient(loss, x))


def naive_logit_gradient(model, x, y):
    def loss(x):
        return keras.ops.sum(
            keras.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True)
        )

    return to_numpy(input_gradient(loss, x))


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_scaled_logits_are_attacked_like_unscaled_ones(activation, targeted):
    y = classes(linear_net(KERNEL), X)
    if targeted:
        y = (y + 1) % 3
    scaled = linear_net(KERNEL, activation=activation, scale=1000)
    if not targeted:
        naive = naive_gradient if activation else naive_logit_gradient
        assert not naive(scaled, X, y).any()
    two = KERNEL[:, :2]
    for loss in ("cross_entropy", "margin"):
        attacked = fgsm(scaled, X, y, 0.2, targeted=targeted, loss=loss)
        moved = np.abs(attacked - X)
        np.testing.assert_allclose(moved, 0.2, atol=1e-6)
        better = np.mean((classes(scaled, attacked) == y) == targeted)
        assert better > np.mean((classes(scaled, X) == y) == targeted)
    # Two classes: the scale does not matter at all.
    y = classes(linear_net(two), X)
    np.testing.assert_array_equal(
        fgsm(linear_net(two, activation=activation, scale=1000), X, y, 0.1),
        fgsm(linear_net(two), X, y, 0.1),
    )


def test_a_scaled_net_is_no_more_robust():
    model = conv_net()
    scaled = conv_net(activation="softmax")
    x = images(16)
    y = classes(model, x)
    weights = model.get_weights()
    scaled.set_weights(weights[:-2] + [1000 * w for w in weights[-2:]])
    fooled = [np.mean(classes(m, pgd(m, x, y, 0.03)) != y) for m in (model, scaled)]
    assert fooled[0] > 0.3 and abs(fooled[0] - fooled[1]) < 0.15


def test_rounded_probabilities_of_a_model_that_cannot_be_cut():
    """A difference of logits of 40: the probability is 1 in float32, its logarithm's gradient 0."""
    kernel = np.array([[1.0, -1.0], [-0.5, 0.5]])
    model = Opaque(linear_net(kernel, bias=[20.0, -20.0], activation="softmax"))
    x = np.full((2, 2), 0.5, "float32")
    y = np.zeros(2, int)
    assert (outputs(model, x)[:, 0] == 1).all()
    attacked = fgsm(model, x, y, 0.1)
    np.testing.assert_allclose(attacked, [[0.4, 0.6]] * 2, atol=1e-6)


def test_a_hidden_gradient_is_reported():
    model = Opaque(linear_net([[1.0, -1.0]], bias=[500.0, -500.0], activation="softmax"))
    x = np.full((3, 1), 0.5, "float32")
    with pytest.warns(RuntimeWarning, match="zero or not finite for 3 of 3 images"):
        attacked = fgsm(model, x, None, 0.1)
    np.testing.assert_array_equal(attacked, x)
    with pytest.warns(RuntimeWarning, match="3 of 3"):
        pgd(model, x, None, 0.1, steps=2, restarts=2)


@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
def test_objective(loss):
    z = np.array([[1.0, 3.0, -2.0], [0.5, 0.0, 0.25]], "float32")
    y = np.array([1, 2], "int32")
    rest = [z[0, [0, 2]], z[1, [0, 1]]]
    reduce = np.max if loss == "margin" else lambda r: np.log(np.exp(r).sum())
    expected = np.array([reduce(r) for r in rest]) - z[[0, 1], y]
    got = objective(*map(keras.ops.convert_to_tensor, (z, y)), loss, False)
    np.testing.assert_allclose(to_numpy(got), expected, rtol=1e-6)
    got = objective(*map(keras.ops.convert_to_tensor, (z, y)), loss, True)
    np.testing.assert_allclose(to_numpy(got), -expected, rtol=1e-6)
    if loss == "cross_entropy":
        cross_entropy = np.log(np.exp(z).sum(1)) - z[[0, 1], y]
        np.testing.assert_allclose(np.log1p(np.exp(expected)), cross_entropy, rtol=1e-5)
