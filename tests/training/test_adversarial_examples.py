import json

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.attacks import perturb
from spectral_keras.training import AdversarialExamples, AdversarialModel
from tests.oracles import compiled, to_numpy
from tests.training.nets import (
    LOGITS_LOSS,
    assert_same_weights,
    attacked,
    batch,
    conv_net,
    examples_of,
    weights_of,
)

BACKEND = keras.backend.backend()


def test_images_are_those_of_perturb():
    model, (x, y) = conv_net(softmax=True), batch()
    cases = [
        (examples_of(eps=0.05), y),
        (examples_of("pgd", 0.05, steps=7), y),
        (examples_of("pgd", 0.05, steps=2, step_size=0.03), y),
        (examples_of(eps=0.05, labels="predicted"), None),
        (examples_of(eps=np.array([0.05, 0.1, 0.0])), y),
    ]
    for examples, labels in cases:
        reference = compiled(
            lambda x, labels=labels, attack=examples.attack: perturb(model, x, labels, attack)
        )
        expected = to_numpy(reference(ops.convert_to_tensor(x)), "float32")
        np.testing.assert_array_equal(attacked(examples, model, x, y), expected)
    examples = examples_of("pgd", 0.5, steps=2, norm="l2", clip=None)
    delta = (attacked(examples, model, x, y) - x).reshape(len(x), -1)
    np.testing.assert_allclose(np.linalg.norm(delta, axis=1), 0.5, rtol=1e-3)


@pytest.mark.parametrize(
    ("share", "count"), [(0, 0), (0.04, 0), (0.25, 3), (0.5, 6), (0.7, 8), (1, 12)]
)
def test_share(share, count):
    model, (x, y) = conv_net(), batch()
    full = attacked(examples_of(eps=0.05), model, x, y)
    part = attacked(examples_of(eps=0.05, share=share), model, x, y)
    np.testing.assert_array_equal(part[count:], x[count:])
    assert np.mean(np.abs(part[:count] - full[:count]) > 1e-6) < 0.002 if count else True


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow has unknown batch sizes")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_share_of_a_batch_of_unknown_size(jit_compile):
    import tensorflow as tf

    model, (x, y) = conv_net(), batch()
    examples = examples_of(eps=0.05, share=0.3)
    signature = [tf.TensorSpec([None, 8, 8, 3], "float32"), tf.TensorSpec([None], "int32")]
    traced = tf.function(
        lambda x, y: examples(model, x, y), input_signature=signature, jit_compile=jit_compile
    )
    for size, count in ((12, 4), (5, 2), (1, 0)):
        changed = (traced(x[:size], y[:size]).numpy() != x[:size]).any(axis=(1, 2, 3))
        assert changed.tolist() == [i < count for i in range(size)]


def test_fast_random_start():
    model, (x, y) = conv_net(), batch()
    examples = examples_of(eps=0.04, step_size=0.05, random_start=True, seed=1)
    seed = examples.seed_generator()
    first = to_numpy(examples(model, x, y, seed_generator=seed), "float32")
    second = to_numpy(examples(model, x, y, seed_generator=seed), "float32")
    again = to_numpy(examples(model, x, y, seed_generator=examples.seed_generator()), "float32")
    assert np.mean(first != second) > 0.1
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - x).max() <= 0.04 + 1e-6
    # A step of 1.25 eps from a random start: most entries reach the border, not all.
    assert 0.4 < np.mean(np.abs(first - x) > 0.0399) < 0.95


def test_inference_mode_leaves_the_model_alone():
    model, (x, y) = conv_net(dropout=0.3), batch()
    before = {v.path: to_numpy(v) for v in model.variables}
    examples_of("pgd", steps=2)(model, x, y)
    for variable in model.variables:
        np.testing.assert_array_equal(to_numpy(variable), before[variable.path])


@keras.saving.register_keras_serializable(package="spectral_keras_tests")
class BatchStatistics(keras.layers.Layer):
    """Batch normalisation without weights or averages: the mode of training always."""

    def call(self, inputs, mask=None):  # called as BatchNormalization is
        mean, variance = ops.moments(inputs, axes=(0, 1, 2), keepdims=True)
        return (inputs - mean) / ops.sqrt(variance + 1e-3)


def _by_the_batch(layer):
    if isinstance(layer, keras.layers.BatchNormalization):
        return BatchStatistics(name=layer.name)
    return layer.__class__.from_config(layer.get_config())


class TestTrainingMode:
    def test_moves_the_running_averages_by_each_of_its_passes(self):
        """Two passes over the clean images with the published labels, one with given labels."""
        x, y = batch()
        for labels, passes in (("predicted", 2), ("given", 1)):
            model, expected = conv_net(), conv_net()
            examples_of(labels=labels, training_mode=True)(model, x, y)
            for _ in range(passes):
                expected(ops.convert_to_tensor(x), training=True)
            assert_same_weights(model, expected, atol=1e-6)
            changed = [
                p for p, w in weights_of(conv_net()).items() if (w != weights_of(model)[p]).any()
            ]
            assert changed == ["bn/moving_mean", "bn/moving_variance"]

    @pytest.mark.parametrize("softmax", [False, True])
    def test_sees_the_statistics_of_the_batch(self, softmax):
        """As an attack in inference mode on a net that always takes the batch's statistics."""
        x, _ = batch()
        examples = examples_of(eps=0.05, labels="predicted", training_mode=True, clip=None)
        images = attacked(examples, conv_net(softmax=softmax), x)
        inference = examples_of(eps=0.05, labels="predicted", clip=None)
        same = keras.models.clone_model(conv_net(), clone_function=_by_the_batch)
        for name in ("conv", "logits"):
            same.get_layer(name).set_weights(conv_net().get_layer(name).get_weights())
        expected = attacked(inference, same, x)
        assert np.mean(np.abs(images - expected) > 1e-6) < 0.01
        other = attacked(inference, conv_net(), x)
        assert np.mean(np.abs(images - other) > 1e-6) > 0.1
        np.testing.assert_allclose(np.abs(images - x), 0.05, atol=1e-6)

    def test_published_settings(self):
        examples = AdversarialExamples.published(share=0.5)
        np.testing.assert_allclose(examples.attack.eps, [0.0741, 0.0729, 0.0783])
        config = examples.get_config()
        assert config["labels"] == "predicted" and config["training_mode"] is True
        assert config["attack"]["clip"] is None and config["share"] == 0.5
        validation = examples.for_validation().get_config()
        assert validation == {**config, "share": 1.0, "training_mode": False}


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {
            "name": "pgd",
            "eps": (0.1, 0.2, 0.3),
            "steps": 3,
            "step_size": np.float32(0.125),
            "share": 0.5,
            "labels": "predicted",
            "random_start": True,
            "clip": None,
            "from_logits": True,
            "seed": 4,
        },
        {"name": "pgd", "norm": "l2", "eps": 1},
    ],
)
def test_config(kwargs):
    examples = examples_of(**kwargs)
    plain = json.loads(json.dumps(keras.saving.serialize_keras_object(examples)))
    assert plain["registered_name"] == "spectral_keras>AdversarialExamples"
    again = keras.saving.deserialize_keras_object(plain)
    assert type(again) is AdversarialExamples
    assert again.get_config() == examples.get_config() and again.attack == examples.attack


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"name": "cw"}, "`name`"),
        ({"eps": -0.1}, "`eps`"),
        ({"eps": [0.1, float("nan")]}, "`eps`"),
        ({"eps": [0.1, 0.1], "norm": "l2"}, "`eps`"),
        ({"steps": 2}, "`steps` must be 1"),
        ({"name": "pgd", "steps": 0}, "`steps`"),
        ({"step_size": -1}, "`step_size`"),
        ({"norm": 2}, "`norm`"),
        ({"share": 1.5}, "`share`"),
        ({"labels": "true"}, "`labels`"),
        ({"random_start": 1}, "`random_start`"),
        ({"name": "pgd", "training_mode": True}, "`training_mode`"),
        ({"random_start": True, "training_mode": True}, "`training_mode`"),
        ({"clip": (1, 0)}, "`clip`"),
        ({"from_logits": 1.5}, "`from_logits`"),
        ({"seed": -1}, "`seed`"),
        ({"targeted": True}, "`attack` must be None or an untargeted"),
        ({"random_start": True, "restarts": 2}, "`attack` must be None or an untargeted"),
    ],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        examples_of(**kwargs)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_an_empty_share_leaves_the_running_averages_finite(share):
    """Nine images in batches of four: of the last batch no image is attacked."""
    model, (x, y) = conv_net(), batch(9)
    attack = AdversarialExamples.published(share=share)
    wrapped = AdversarialModel(model, attack, validate_on="clean")
    wrapped.compile("sgd", LOGITS_LOSS)
    wrapped.fit(x, y, batch_size=4, verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_missing_arguments_of_the_call():
    model, (x, y) = conv_net(), batch(2)
    with pytest.raises(ValueError, match="`y` must be given"):
        AdversarialExamples()(model, x)
    with pytest.raises(ValueError, match="`seed_generator`"):
        examples_of(random_start=True)(model, x, y)
