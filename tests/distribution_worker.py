"""One process of the trainings that `tests/test_distribution.py` compares.

    python -m tests.distribution_worker KIND DEVICES FOLDER NAME ...

trains the models of those names on the devices of KIND (of `experiments.train.devices`) and writes
the weights and the history of each into FOLDER/NAME-WORKER.npz.
"""

import json
import os
import pathlib
import sys
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from spectral_keras.attacks import Attack
from spectral_keras.data import Batches
from spectral_keras.experiments.train import devices as _distribute
from spectral_keras.layers import (
    BatchNormalization,
    FrequencyNoise,
    PowerSuppression,
    SpectralConv2D,
)
from spectral_keras.training import (
    AdversarialExamples,
    AdversarialModel,
    AttendedSuppressionModel,
    AuxiliaryModel,
    GateRule,
    Lookahead,
    insert_channel_gate,
)

# 29 images in batches of 8, the last of 5; in validation 12, 12 and 5: on two devices no replica is
# without an image, so that all make the same batches, of which a share is attacked.
IMAGES, BATCH, VALIDATION_BATCH, EPOCHS = 29, 8, 12, 2


def network(batch_norm=False):
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = SpectralConv2D(
        4, 3, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(1e-2)
    )(image)
    if batch_norm:
        x = BatchNormalization(momentum=0.5)(x)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="features")(x)
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def plain():
    return network()


def normalized():
    return network(batch_norm=True)


def auxiliary():
    return AuxiliaryModel(network(), "fourier", weight=0.1)


def adversarial():
    attack = AdversarialExamples(Attack("pgd", steps=2, seed=4), share=0.4)
    return AdversarialModel(network(), attack)


def attended():
    return AttendedSuppressionModel(
        insert_channel_gate(network(), hidden=8),
        PowerSuppression(0.5, seed=1),
        FrequencyNoise(probability=0.5, seed=2),
        attention=GateRule("learnable", weight=10.0, normalizer="suppressed"),
        padding=1,
        seed=3,
    )


MODELS = {make.__name__: make for make in (plain, normalized, auxiliary, adversarial, attended)}


def prepare(kind, count):
    """The devices, before anything has run on them."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if count > 1:
            cpu = tf.config.list_physical_devices("CPU")[0]
            parts = [tf.config.LogicalDeviceConfiguration()] * count
            tf.config.set_logical_device_configuration(cpu, parts)
        tf.config.experimental.enable_op_determinism()
        # Four processes compile five models each.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    options = SimpleNamespace(distribute=kind, batch_size=BATCH, jit=None)
    return _distribute.plan(options).connect(options)


def train(devices, make):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (IMAGES, 8, 8, 3)).astype("uint8")
    labels = np.arange(IMAGES) % 3
    with devices.scope():
        model = devices.trainable(make())
        model.compile(
            keras.optimizers.Adam(1e-2),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
    batches = {
        "train": Batches(images, labels, BATCH, shuffle=True, seed=5),
        "validation": Batches(images, labels, VALIDATION_BATCH),
    }

    class Epoch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            batches["train"].epoch = epoch

    steps = EPOCHS * len(batches["train"])
    callbacks = [Lookahead(steps, every=2), *devices.callbacks(), Epoch()]
    with devices.fitting():
        fed = devices.feed(model, batches, 0)
        history = model.fit(**fed, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks)
    return model, history.history


def main(kind, count, folder, *names):
    devices = prepare(kind, int(count))
    for name in names:
        model, history = train(devices, MODELS[name])
        weights = {f"w{k:03d}": np.array(w) for k, w in enumerate(model.get_weights())}
        path = pathlib.Path(folder) / f"{name}-{devices.worker}.npz"
        np.savez(path, history=np.array(json.dumps(history)), **weights)
    print(devices, flush=True)
    devices.leave(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
