"""
Fooling a preset, and one that resists
======================================

PGD changes each pixel by a few grey levels and a trained network answers something else.  The same
network, trained on attacked images, resists.
"""

# %%
# Attack a preset
# ---------------
# Images are in [0, 1] and so is eps: 24 / 255 is 24 grey levels.

import matplotlib.pyplot as plt
import numpy as np

from spectral_keras import models
from spectral_keras.attacks import Attack, fgsm, pgd
from spectral_keras.classifiers import predict_classes
from spectral_keras.data import load
from spectral_keras.evaluation import accuracy_under_attack

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
figure, axes = plt.subplots(3, len(fooled), figsize=(6.4, 4.2), layout="constrained")
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
# `deep_spectral_digits_robust` has the same layers, and as many weights.  All images of its
# training were attacked by four steps of PGD, from a random point of the ball with eps 24 / 255:
#
# .. code-block:: bash
#
#     python -m models.deep_spectral --augment crop --batch-size 32 --padding valid --width 0.15 \
#         --adversarial pgd --adversarial-eps 24/255 --adversarial-steps 4 \
#         --adversarial-random-start true

robust = models.from_preset("deep_spectral_digits_robust")
radii = np.array((0, 8, 16, 24, 32, 48)) / 255
curves = {}
for name, network in (("preset", model), ("robust preset", robust)):
    result = accuracy_under_attack(network, x, y, Attack("pgd", steps=10), radii)
    curves[name] = [point["accuracy"] for point in result["attacks"]["pgd"]]

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
for (name, accuracies), marker in zip(curves.items(), "os", strict=True):
    axis.plot(radii * 255, accuracies, marker=marker, label=name)
axis.axvline(24, color="0.6", linestyle=":", label="eps of the robust training")
axis.set(xlabel="eps, grey levels", ylabel="accuracy under PGD", ylim=(0, 1.02))
axis.legend()
plt.show()

assert curves["robust preset"][3] > curves["preset"][3] + 0.5

# %%
# What it takes to fool it
# ------------------------
# The changes that fool the robust preset, four times as large, follow the digits: they darken the
# strokes and brighten the ground between them.

eps = 96 / 255
attacked = pgd(robust, x, y, eps=eps)
fooled = np.flatnonzero(
    (predict_classes(robust, x) == y) & (predict_classes(robust, attacked) != y)
)
figure, axes = plt.subplots(3, 5, figsize=(6.4, 4.2), layout="constrained")
for column, index in enumerate(fooled[:5]):
    for row, image in enumerate((x[index], attacked[index])):
        axes[row, column].imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
        axes[row, column].set_title(f"answer {predict_classes(robust, image[None])[0]}")
    change = attacked[index] - x[index]
    axes[2, column].imshow(change[..., 0], cmap="RdBu", vmin=-eps, vmax=eps)
for axis in axes.ravel():
    axis.set(xticks=[], yticks=[])
for row, name in enumerate(("image", "attacked", "change")):
    axes[row, 0].set_ylabel(name)
plt.show()

# %%
# One attack with ten steps is a bound from above: a stronger one may find more, see
# :doc:`/guides/attacks`.  What training on a single step goes wrong with:
# :doc:`/guides/adversarial_and_auxiliary`.
