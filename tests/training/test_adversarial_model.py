import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from spectral_keras.attacks import Attack, pgd
from spectral_keras.training import AdversarialExamples, AdversarialModel
from tests.oracles import to_numpy
from tests.training.nets import (
    LOGITS_LOSS,
    assert_same_weights,
    attacked,
    batch,
    compiled_model,
    conv_net,
    examples_of,
)

BACKEND = keras.backend.backend()
ROOT = pathlib.Path(__file__).resolve().parents[2]


class TestStep:
    def test_is_the_plain_step_on_the_attacked_images(self):
        """Weights, batch statistics, loss and accuracy."""
        x, y = batch()
        attack = examples_of(eps=0.05, share=0.75)
        plain = compiled_model(conv_net(), metrics=["accuracy"])
        expected = plain.fit(
            attacked(attack, conv_net(), x, y), y, shuffle=False, verbose=0
        ).history
        model = compiled_model(AdversarialModel(conv_net(), attack), metrics=["accuracy"])
        logs = model.fit(x, y, shuffle=False, verbose=0).history
        np.testing.assert_allclose(logs["loss"], expected["loss"], rtol=1e-5)
        np.testing.assert_allclose(logs["accuracy"], expected["accuracy"])
        # A gradient that is zero but for rounding may have either sign.
        assert_same_weights(model.classifier, plain, atol=1e-5)

    def test_of_eps_zero_is_plain_training(self):
        x, y = batch()
        options = {"batch_size": 6, "epochs": 2, "shuffle": False, "verbose": 0}
        plain = compiled_model(conv_net(dropout=0.3))
        expected = plain.fit(x, y, **options).history["loss"]
        model = compiled_model(AdversarialModel(conv_net(dropout=0.3), examples_of(eps=0)))
        np.testing.assert_allclose(model.fit(x, y, **options).history["loss"], expected, 1e-6)
        assert_same_weights(model.classifier, plain, atol=1e-6)

    @pytest.mark.parametrize("jit_compile", [False, True] if BACKEND == "tensorflow" else ["auto"])
    def test_random_starts_and_shares_in_fit(self, jit_compile):
        x, y = batch()
        attack = examples_of("pgd", 0.03, steps=2, random_start=True, share=0.5, seed=2)
        model = AdversarialModel(conv_net(dropout=0.1), attack)
        model.compile(keras.optimizers.SGD(0.1), LOGITS_LOSS, jit_compile=jit_compile)
        training, validation = model._training_seed, model._validation_seed
        states = [to_numpy(training.state)]
        for _ in range(2):
            logs = model.fit(x, y, batch_size=6, verbose=0).history
            assert np.isfinite(logs["loss"]).all()
            states.append(to_numpy(training.state))
        # Two batches an epoch, one draw each.
        steps = np.diff(np.stack(states), axis=0)
        assert (steps[:, 1] == 2).all(), states
        before = to_numpy(validation.state)
        model.evaluate(x, y, batch_size=6, verbose=0)
        assert (to_numpy(validation.state) != before).any()
        np.testing.assert_array_equal(to_numpy(training.state), states[-1])

    def test_published_attack_moves_the_averages_three_times(self):
        """Labels and gradient on the clean images, then the training pass on the attacked ones."""
        x, y = batch()
        attack = AdversarialExamples.published()
        expected = conv_net()
        images = attack(expected, x)  # two passes
        expected(images, training=True)
        model = compiled_model(AdversarialModel(conv_net(), attack), learning_rate=0.0)
        model.fit(x, y, shuffle=False, verbose=0)
        # The signs of gradients that are nearly zero differ between compiled and eager passes.
        assert_same_weights(model.classifier, expected, atol=2e-3)

    def test_a_second_size(self):
        """Keras' step, traced again, does not know the size of the images."""
        inputs = keras.Input((None, None, 3))
        maps = keras.layers.Conv2D(4, 3)(inputs)
        outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps))
        attack = examples_of("pgd", [0.1, 0.2, 0.3], steps=2, random_start=True)
        model = compiled_model(AdversarialModel(keras.Model(inputs, outputs), attack))
        for side in (8, 12, 10):
            x = np.random.default_rng(side).random((4, side, side, 3), np.float32)
            assert np.isfinite(model.fit(x, np.zeros(4), verbose=0).history["loss"]).all()


class TestValidation:
    def test_on_adversarial_and_on_clean_images(self):
        x, y = batch()
        attack = examples_of(eps=0.05, share=0.25)
        plain = compiled_model(conv_net())
        clean = plain.evaluate(x, y, verbose=0)
        every = attacked(examples_of(eps=0.05), conv_net(), x, y)
        adversarial = plain.evaluate(every, y, verbose=0)
        assert adversarial > 1.01 * clean
        for where, expected in (("clean", clean), ("adversarial", adversarial)):
            model = compiled_model(AdversarialModel(conv_net(), attack, validate_on=where))
            np.testing.assert_allclose(model.evaluate(x, y, verbose=0), expected, rtol=1e-5)
            np.testing.assert_allclose(
                model.predict(x, verbose=0), plain.predict(x, verbose=0), atol=1e-6
            )

    def test_does_not_change_the_training(self):
        x, y = batch()
        attack = examples_of(eps=0.05, random_start=True, seed=1)
        options = {"batch_size": 6, "epochs": 2, "shuffle": False, "verbose": 0}
        with_validation = compiled_model(AdversarialModel(conv_net(), attack))
        with_validation.fit(x, y, validation_data=(x, y), **options)
        without = compiled_model(AdversarialModel(conv_net(), attack))
        without.fit(x, y, **options)
        assert_same_weights(with_validation, without)


def test_saving(tmp_path):
    x, y = batch()
    attack = examples_of("pgd", [0.1, 0.2, 0.3], steps=2, clip=None)
    model = compiled_model(AdversarialModel(conv_net(), attack, name="adversarial"))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is AdversarialModel and loaded.name == "adversarial"
    assert loaded.attack.get_config() == attack.get_config()
    assert_same_weights(loaded, model)
    np.testing.assert_allclose(
        loaded.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-5
    )


def test_gain_in_robustness():
    """A feature that an attack cannot turn around, among many that predict better but that it can.

    After Tsipras et al., "Robustness may be at odds with accuracy" (2019), section 2.1: plain
    training leans on the sum of the weak features, adversarial training on the one strong feature.
    """
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400).astype("int32")
    sign = 2.0 * y - 1
    strong = np.where(rng.random(400) < 0.9, sign, -sign)
    weak = 0.3 * sign[:, None] + 0.3 * rng.standard_normal((400, 30))
    x = np.concatenate([strong[:, None], weak], axis=1).astype("float32")

    def accuracies(attack):
        inputs = keras.Input((31,))
        outputs = keras.layers.Dense(2, kernel_initializer="zeros")(inputs)
        classifier = keras.Model(inputs, outputs)
        model = compiled_model(AdversarialModel(classifier, attack), learning_rate=0.3)
        model.fit(x, y, batch_size=100, epochs=10, verbose=0)
        worst = pgd(classifier, x, y, 0.5, steps=5, clip=None, random_start=False)
        return [
            np.mean(classifier.predict(images, verbose=0).argmax(axis=1) == y)
            for images in (x, worst)
        ]

    clean, robust = accuracies(None)
    assert clean > 0.98 and robust < 0.2
    clean, robust = accuracies(examples_of(eps=0.5, clip=None))
    assert clean > 0.85 and robust > 0.85


_DISTRIBUTED = """
import sys
import numpy as np
import keras
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.experimental.enable_op_determinism()
from spectral_keras.training import AdversarialExamples, AuxiliaryModel
from tests.training.nets import LOGITS_LOSS, batch, conv_net, examples_of

x, y = batch(24)
results = []
for strategy in (
    tf.distribute.get_strategy(),
    tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        # No batch normalisation: its statistics are each replica's own.
        attack = examples_of("pgd", 0.03, steps=2)
        classifier = conv_net(batch_norm=False)
        classifier.get_layer("conv").kernel.regularizer = keras.regularizers.L2(0.01)
        model = AuxiliaryModel(classifier, weight=0.1, attack=attack)
        model.compile(keras.optimizers.SGD(0.1), LOGITS_LOSS, metrics=["accuracy"])
    options = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    history = model.fit(x, y, validation_data=(x, y), **options).history
    results.append((history, model.get_weights()))
    assert model.distribute_strategy.num_replicas_in_sync == len(results)
(first, first_weights), (second, second_weights) = results
assert {"auxiliary_loss", "val_classification_loss", "val_accuracy"} <= set(first)
for name in first:
    np.testing.assert_allclose(second[name], first[name], rtol=1e-5, err_msg=name)
for a, b in zip(first_weights, second_weights, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)
print("equal")
"""


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute")
def test_two_replicas_train_as_one_device_does():
    """With the auxiliary task: both losses and the weights, at the same global batch."""
    done = subprocess.run(
        [sys.executable, "-c", _DISTRIBUTED],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "equal"


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [({"attack": "fgsm"}, "`attack`"), ({"attack": None, "validate_on": True}, "`validate_on`")],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        AdversarialModel(conv_net(), **kwargs)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModel")
def test_its_export_is_the_classifiers(tmp_path):
    import tensorflow as tf

    classifier = conv_net()
    model = AdversarialModel(classifier, AdversarialExamples(Attack("fgsm", 0.1)))
    x, y = batch()
    compiled_model(model).fit(x, y, verbose=0)
    model.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(to_numpy(exported.serve(x)), to_numpy(classifier(x)), atol=1e-5)
