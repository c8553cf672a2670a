"""The attack on tensors: the same images, inside of traces and training steps."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.attacks import Attack, fgsm, perturb, pgd
from tests.attacks.nets import classes, conv_net, images, linear_net, shared_net, state
from tests.oracles import compiled, to_numpy, weight_gradients


def compile_everywhere(function):
    """tf.function, jax.jit or the function itself."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return compiled(function)


@pytest.mark.parametrize("norm", ["inf", "l2"])
@pytest.mark.parametrize("steps", [1, 3])
def test_same_images_as_fgsm_and_pgd(norm, steps):
    model, x = shared_net(), images()
    y = classes(model, x).astype("int32")
    options = {"norm": norm, "eps": 0.05}
    if steps == 1:
        expected = fgsm(model, x, y, **options)
    else:
        options |= {"steps": steps, "step_size": 0.03}
        expected = pgd(model, x, y, random_start=False, early_stop=False, **options)
    attack = Attack("fgsm" if steps == 1 else "pgd", **{"random_start": False, **options})
    traced = compile_everywhere(lambda x, y: perturb(model, x, y, attack))
    for labels in (y, np.eye(5, dtype="float32")[y]):
        attacked = to_numpy(traced(ops.convert_to_tensor(x), ops.convert_to_tensor(labels)))
        # Fused operations round otherwise: a gradient near zero may change its sign.
        assert np.mean(np.abs(attacked - expected) > 1e-6) < 0.002


def test_predictions_as_labels_and_a_function_as_model():
    net, x = shared_net(), images()
    y = classes(net, x).astype("int32")

    def three(x):
        function = perturb(lambda x: net(x, training=False), x, y[:, None], eps=0.05)
        return perturb(net, x, y, eps=0.05), perturb(net, x, eps=0.05), function

    expected, *others = map(to_numpy, compile_everywhere(three)(ops.convert_to_tensor(x)))
    for other in others:
        assert np.mean(other != expected) < 0.002


def test_eps_may_be_a_tensor_or_of_each_channel():
    net, x = shared_net(), images()
    expected = fgsm(net, x, None, 0.25)
    traced = compile_everywhere(lambda x, eps: perturb(net, x, eps=eps))
    attacked = to_numpy(traced(ops.convert_to_tensor(x), ops.convert_to_tensor(0.25)))
    assert np.mean(np.abs(attacked - expected) > 1e-6) < 0.002
    attacked = to_numpy(perturb(net, x, None, Attack("fgsm", [0.25, 0.0, 0.25], clip=None)))
    np.testing.assert_array_equal(attacked[..., 1], x[..., 1])
    assert np.abs(np.abs(attacked - x)[..., 0].max() - 0.25) < 1e-6


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_random_start(norm):
    net, x = shared_net(), images()
    seed = keras.random.SeedGenerator(3)
    attack = Attack("pgd", 0.1, step_size=1e-7, norm=norm, steps=2)
    first = to_numpy(perturb(net, x, None, attack, seed_generator=seed)) - x
    second = to_numpy(perturb(net, x, None, attack, seed_generator=seed)) - x
    assert (first != second).mean() > 0.9
    delta = first.reshape(len(x), -1)
    length = np.abs(delta).max(axis=1) if norm == "inf" else np.linalg.norm(delta, axis=1)
    assert (length <= 0.1 + 1e-6).all() and (length > 0.08).all()


@pytest.mark.parametrize("steps", [1, 2])
def test_no_gradient_through_the_attack(steps):
    """The weights' gradients are those at constant images, and nothing else in the net moves."""
    net, x = conv_net(dropout=0.0), images()
    y = classes(net, x).astype("int32")
    attack = Attack("pgd", 0.05, steps=steps, random_start=False)
    fixed = ops.convert_to_tensor(to_numpy(perturb(net, x, y, attack), "float32"))
    before = state(net)

    def loss(attacked):
        logits = net(attacked(), training=False)
        losses = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return ops.mean(losses)

    variables = net.trainable_variables
    expected = weight_gradients(lambda: loss(lambda: fixed), variables)
    got = weight_gradients(lambda: loss(lambda: perturb(net, x, y, attack)), variables)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    for old, new in zip(before, state(net), strict=True):
        np.testing.assert_array_equal(old, new)


class Adversarial(keras.Model):
    """Trains on attacked images only."""

    seed = None
    steps = 1

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if training:
            attack = Attack("pgd", 0.05, steps=self.steps, random_start=self.seed is not None)
            attacked = perturb(self, x, y, attack, seed_generator=self.seed)
            y_pred = self(attacked, training=True)
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def test_training_with_fit():
    net = conv_net(dropout=0.1, activation="softmax")
    model = Adversarial(net.inputs[0], net.outputs[0])
    model.steps = 2
    model.seed = keras.random.SeedGenerator(1)
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(keras.optimizers.Adam(0.02), loss)
    x = images(32)
    y = (x[:, :4].mean(axis=(1, 2, 3)) > x[:, 4:].mean(axis=(1, 2, 3))).astype("int32")
    start = np.array(to_numpy(model.seed.state))
    history = model.fit(x, y, batch_size=16, epochs=5, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] < history[0]
    assert (to_numpy(model.seed.state) != start).any()
    np.testing.assert_allclose(
        model.evaluate(x, y, verbose=0),
        float(to_numpy(loss(y, model.predict(x, verbose=0)))),
        rtol=1e-4,
    )


@pytest.mark.parametrize("norm", ["inf", "l2"])
@pytest.mark.parametrize("steps", [1, 3])
def test_inputs_outside_of_the_range_are_clipped_first(norm, steps):
    model = linear_net(np.random.default_rng(3).normal(size=(3, 2)))
    x, y = np.array([[-0.5, 0.2, 1.4]], "float32"), np.array([0], "int32")
    attack = Attack("fgsm" if steps == 1 else "pgd", 0.1, norm=norm, steps=steps)
    attack = dataclasses.replace(attack, random_start=False)
    attacked = to_numpy(perturb(model, x, y, attack))
    clipped = np.clip(x, 0, 1)
    np.testing.assert_array_equal(attacked, to_numpy(perturb(model, clipped, y, attack)))
    change = np.abs(attacked - clipped)
    assert (np.sqrt((change**2).sum()) if norm == "l2" else change.max()) <= 0.1 + 1e-6
    assert attacked.min() >= 0 and attacked.max() <= 1


def test_linear_closed_form():
    kernel = np.random.default_rng(3).normal(size=(6, 2))
    x = np.full((2, 6), 0.5, "float32")
    y = np.array([0, 1], "int32")
    attacked = to_numpy(perturb(linear_net(kernel), x, y, eps=0.1))
    sign = np.sign(kernel[:, 1] - kernel[:, 0])
    np.testing.assert_allclose(attacked - x, 0.1 * np.stack([sign, -sign]), atol=1e-6)
