"""Small classifiers with known weights, and what they answer."""

import functools

import keras
import numpy as np


def linear_net(kernel, bias=None, shape=None, activation=None, scale=1.0):
    """Flatten and Dense with the given weights: logits scale * (x @ kernel + bias)."""
    kernel = np.asarray(kernel, "float32") * scale
    bias = np.zeros(kernel.shape[1]) if bias is None else np.asarray(bias) * scale
    model = keras.Sequential(
        [
            keras.Input(shape or (kernel.shape[0],)),
            keras.layers.Flatten(),
            keras.layers.Dense(kernel.shape[1], activation=activation),
        ]
    )
    model.layers[-1].set_weights([kernel, bias.astype("float32")])
    return model


def conv_net(classes=5, activation=None, dropout=0.5, seed=0, shape=(8, 8, 3)):
    """Convolution, batch normalisation, dropout, Dense; weights from numpy's generator."""
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(6, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(dropout),
            keras.layers.AveragePooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation=activation),
        ]
    )
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            weights = [
                rng.normal(0, 1 / np.sqrt(np.prod(w.shape[:-1])) if w.ndim > 1 else 0.1, w.shape)
                for w in layer.get_weights()
            ]
            layer.set_weights(weights)
    return model


@functools.cache
def shared_net():
    """One `conv_net()` for all tests that leave it as it is: what is compiled for it is kept."""
    return conv_net()


class Opaque(keras.Model):
    """A subclassed model, of which nothing but the outputs can be seen."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x, training=None):
        return self.inner(x, training=training)


def outputs(model, x):
    """The model's outputs for all of x, numpy."""
    return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(x), training=False))


def classes(model, x):
    return outputs(model, x).argmax(axis=1)


def images(count=12, shape=(8, 8, 3), seed=1):
    return np.random.default_rng(seed).random((count, *shape), dtype="float32")


def state(model):
    """Every variable's value, batch statistics and seeds included."""
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.variables]


def numpy_pgd(kernel, bias, x, y, eps, step, steps, norm, targeted=False, start=None):
    """PGD on a linear classifier with softmax cross-entropy, float64, images in [0, 1]."""
    kernel, bias = np.asarray(kernel, "float64"), np.asarray(bias, "float64")
    x = np.asarray(x, "float64")
    z = x.copy() if start is None else np.asarray(start, "float64")
    one_hot = np.eye(kernel.shape[1])[y]
    for _ in range(steps):
        logits = z @ kernel + bias
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gradient = (p - one_hot) @ kernel.T * (-1 if targeted else 1)
        if norm == "inf":
            z = z + step * np.sign(gradient)
            z = np.minimum(np.maximum(z, x - eps), x + eps)
        else:
            z = z + step * gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
            length = np.linalg.norm(z - x, axis=1, keepdims=True)
            z = x + (z - x) * np.minimum(1, eps / np.maximum(length, 1e-30))
        z = np.clip(z, 0, 1)
    return z
