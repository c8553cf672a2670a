"""
Fooling a preset, and a network that resists
============================================

PGD changes each pixel by a few grey levels and a trained network answers something else.  Some
epochs of adversarial training make the same network resist.
"""

# %%
# Attack a preset
# ---------------
# Images are in [0, 1] and so is eps: 24 / 255 is 24 grey levels.

import keras
import matplotlib.pyplot as plt
import numpy as np

from spectral_keras import models
from spectral_keras.attacks import Attack, fgsm, pgd
from spectral_keras.classifiers import predict_classes
from spectral_keras.data import load
from spectral_keras.evaluation import accuracy_under_attack
from spectral_keras.training import AdversarialExamples, AdversarialModel

digits = load("digits", limit_test=150)
x, y = digits.x_test.astype("float32") / 255, digits.y_test
model = models.from_preset("deep_spectral_digits")

eps = 24 / 255
attacked = {"as it is": x, "FGSM": fgsm(model, x, y, eps=eps), "PGD": pgd(model, x, y, eps=eps)}
for name, images in attacked.items():
    print(f"{name:8} accuracy {(predict_classes(model, images) == y).mean():.3f}")

# %%
# What was changed
# ----------------

fooled = np.flatnonzero(
    (predict_classes(model, x) == y) & (predict_classes(model, attacked["PGD"]) != y)
)[:5]
figure, axes = plt.subplots(3, len(fooled), figsize=(9, 5.4), layout="constrained")
for column, index in enumerate(fooled):
    change = attacked["PGD"][index] - x[index]
    for row, image in enumerate((x[index], attacked["PGD"][index])):
        axes[row, column].imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
        axes[row, column].set_title(f"answer {predict_classes(model, image[None])[0]}")
    axes[2, column].imshow(change[..., 0], cmap="RdBu", vmin=-eps, vmax=eps)
for axis in axes.ravel():
    axis.set(xticks=[], yticks=[])
for row, name in enumerate(("image", "attacked", "change")):
    axes[row, 0].set_ylabel(name)
plt.show()

# %%
# One that resists
# ----------------
# The same weights, trained for some epochs more on attacked images only.  A single step from a
# random point of the ball is the cheapest attack that works here.

keras.utils.set_random_seed(0)
robust = models.from_preset("deep_spectral_digits")
attack = AdversarialExamples(Attack("fgsm", eps=eps, random_start=True, step_size=1.25 * eps))
trainer = AdversarialModel(robust, attack)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
trainer.compile(keras.optimizers.Adam(2e-3), loss)
trainer.fit(
    digits.x_train.astype("float32") / 255, digits.y_train, batch_size=64, epochs=4, verbose=0
)

radii = np.array((0, 8, 16, 24, 32)) / 255
curves = {}
for name, network in (("preset", model), ("after adversarial training", robust)):
    result = accuracy_under_attack(network, x, y, Attack("pgd", steps=10), radii)
    curves[name] = [point["accuracy"] for point in result["attacks"]["pgd"]]

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
for (name, accuracies), marker in zip(curves.items(), "os", strict=True):
    axis.plot(radii * 255, accuracies, marker=marker, label=name)
axis.axvline(24, color="0.6", linestyle=":", label="eps of the training")
axis.set(xlabel="eps, grey levels", ylabel="accuracy under PGD", ylim=(0, 1.02))
axis.legend()
plt.show()

assert curves["after adversarial training"][3] > curves["preset"][3]

# %%
# One attack with ten steps is a bound from above: a stronger one may find more.  See
# :doc:`/guides/adversarial_and_auxiliary` for what single-step training can go wrong with.
