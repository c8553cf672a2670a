"""Small classifiers and data for the training wrappers."""

import keras
import numpy as np

from spectral_keras.attacks import Attack
from spectral_keras.training import AdversarialExamples
from tests.oracles import compiled, random_images, to_numpy

LOGITS_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def conv_net(*, softmax=False, batch_norm=True, dropout=0.0, side=8, seed=0):
    """Normalisation, convolution (stride 2), [batch normalisation], ReLU, tap, mean, Dense(4).

    The weights come from numpy's generator, so that two of them are equal.
    """
    inputs = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(4.0, offset=-2.0, name="normalize")(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", name="conv")(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.5, name="bn")(x)
    x = keras.layers.ReLU(name="relu")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=3, name="dropout")(x)
    x = keras.layers.Identity(name="features")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    outputs = keras.layers.Dense(4, activation="softmax" if softmax else None, name="logits")(x)
    model = keras.Model(inputs, outputs, name="conv_net")
    rng = np.random.default_rng(seed)
    for name in ("conv", "logits"):
        kernel, bias = model.get_layer(name).get_weights()
        kernel = rng.normal(0, np.prod(kernel.shape[:-1]) ** -0.5, kernel.shape)
        model.get_layer(name).set_weights([kernel, rng.normal(0, 0.1, bias.shape)])
    return model


def batch(count=12, side=8, seed=1):
    """Images in [0.1, 0.9] and their class, the brightest quadrant."""
    x = 0.1 + 0.8 * random_images((count, side, side, 3), seed=seed)
    half = side // 2
    quadrants = x.reshape(count, 2, half, 2, half, 3).mean(axis=(2, 4, 5)).reshape(count, 4)
    return x, quadrants.argmax(axis=1).astype("int32")


def compiled_model(model, loss=LOGITS_LOSS, learning_rate=0.1, **kwargs):
    model.compile(keras.optimizers.SGD(learning_rate), loss, **kwargs)
    return model


def weights_of(model):
    """Dict of path -> value of every weight, batch statistics included."""
    return {w.path: np.array(keras.ops.convert_to_numpy(w)) for w in model.weights}


def assert_same_weights(a, b, atol=0.0):
    a, b = weights_of(a), weights_of(b)
    assert list(a) == list(b)
    for path in a:
        np.testing.assert_allclose(a[path], b[path], rtol=0, atol=atol, err_msg=path)


def attacked(examples, model, x, y=None):
    """The batch that the `AdversarialExamples` make of x, numpy; without random starts."""
    y = None if y is None else keras.ops.convert_to_tensor(y)
    function = compiled(lambda x: examples(model, x, y))
    return to_numpy(function(keras.ops.convert_to_tensor(x)), "float32")


def examples_of(
    name="fgsm", eps=8 / 255, *, share=1.0, labels="given", training_mode=False, **kwargs
):
    """`AdversarialExamples` with an attack of these values, without a random start by default."""
    attack = Attack(name, eps, **{"random_start": False, **kwargs})
    return AdversarialExamples(attack, share=share, labels=labels, training_mode=training_mode)
