"""
Spectral convolution is a change of coordinates
===============================================

`SpectralConv2D` keeps the DFT of its kernels as weights.  It has the functions of `Conv2D` and,
with the same seed, the same start.  Under SGD it also takes the same path; under Adam, which
scales each weight by itself, it does not.
"""

# %%
# Two parametrisations of one network
# -----------------------------------

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from spectral_keras import fold
from spectral_keras.layers import SpectralConv2D

images, labels = load_digits(return_X_y=True)
images = (images / 16).reshape(-1, 8, 8, 1).astype("float32")


def network(convolution):
    """A small classifier; the same seed gives both kinds of convolution the same kernels."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            convolution(16, 3, padding="same", activation="relu"),
            convolution(16, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


spatial, spectral = network(keras.layers.Conv2D), network(SpectralConv2D)
print([tuple(weight.shape) for weight in spatial.layers[0].weights])
print([tuple(weight.shape) for weight in spectral.layers[0].weights])  # real and imaginary parts
difference = np.abs(spatial.predict(images[:64], verbose=0) - spectral(images[:64])).max()
print(f"largest difference of the logits before training: {difference:.1e}")

# %%
# The same training with two optimizers
# -------------------------------------

optimizers = {
    "SGD": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(1e-3),
}
losses = {}
for name, optimizer in optimizers.items():
    for kind, convolution in (("Conv2D", keras.layers.Conv2D), ("SpectralConv2D", SpectralConv2D)):
        model = network(convolution)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer(), loss)
        history = model.fit(
            images[:1000], labels[:1000], batch_size=50, epochs=8, shuffle=False, verbose=0
        )
        losses[name, kind] = history.history["loss"]

figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), layout="constrained", sharey=True)
for axis, name in zip(axes, optimizers, strict=True):
    epochs = range(1, 9)
    axis.semilogy(epochs, losses[name, "Conv2D"], linewidth=5, alpha=0.4, label="Conv2D")
    axis.semilogy(epochs, losses[name, "SpectralConv2D"], color="C1", label="SpectralConv2D")
    axis.set(title=name, xlabel="epoch")
axes[0].set_ylabel("training loss")
axes[0].legend()
plt.show()

apart = np.abs(np.divide(losses["SGD", "SpectralConv2D"], losses["SGD", "Conv2D"]) - 1).max()
print(f"under SGD the losses differ by {apart:.1e} of their value at most")
assert apart < 1e-2

# %%
# The DFT here is unitary, so that a step along the gradient is the same step in both coordinates.
# Adam divides each coordinate by the size of its own gradients, and that depends on the
# coordinates.
#
# Back to plain convolutions
# --------------------------
# `fold` turns the trained spectral layers into `Conv2D`, for deployment.

plain = fold(model)
print([type(layer).__name__ for layer in plain.layers])
print(np.abs(np.asarray(plain(images[:64])) - np.asarray(model(images[:64]))).max() < 1e-4)
