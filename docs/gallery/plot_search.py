"""
A search in five minutes
========================

Bayesian optimisation over a model of your own: any function that builds a Keras model from `hp`.
Six trials here; forty find more.
"""

# %%
# A model with open questions
# ---------------------------

import pathlib
import tempfile

import keras
import matplotlib.pyplot as plt

from spectral_keras.data import load
from spectral_keras.experiments.search.api import Training, search
from spectral_keras.layers import SpectralPool

digits = load("digits", limit=600, limit_test=50)


def build(hp):
    """A network that pools to a size that the search chooses."""
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model = keras.Sequential([keras.Input((32, 32, 1)), SpectralPool(hp.Int("side", 4, 16))])
    model.add(keras.layers.Conv2D(hp.Int("filters", 4, 16), 3, padding="same", activation="relu"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


# %%
# Six trials
# ----------
# Scores are accuracies on the validation images; the test images stay untouched.  The folder keeps
# everything, and the same call with `existing="resume"` continues after an interruption.

folder = pathlib.Path(tempfile.mkdtemp()) / "mine"
found = search(
    build, digits, trials=6, training=Training(epochs=2), initial_points=3, folder=folder
)
print(found["best"]["point"], found["best"]["score"])

# %%
# What was tried
# --------------

trials = [trial for trial in found["trials"] if trial["score"] is not None]
figure, axis = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
shown = axis.scatter(
    [trial["point"]["rate"] for trial in trials],
    [trial["point"]["side"] for trial in trials],
    c=[trial["score"] for trial in trials],
    s=140,
    cmap="viridis",
)
axis.set(xscale="log", xlabel="learning rate", ylabel="side after pooling")
figure.colorbar(shown, label="validation accuracy")
plt.show()

assert found["best"]["score"] == max(trial["score"] for trial in trials)
