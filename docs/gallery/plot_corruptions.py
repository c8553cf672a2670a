"""
Corruptions, and a robust preset
================================

The common corruptions of CIFAR-10-C on any batch of images, and what they do to a preset and to a
robust one.
"""

# %%
# Fifteen corruptions
# -------------------
# Batches are uint8.  The same seed and index give the same image, whatever else is in the batch.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from spectral_keras import models
from spectral_keras.corruptions import corrupt, names
from spectral_keras.data import load
from spectral_keras.evaluation import accuracy_under_corruption, mean_corruption_error

photograph = load_sample_image("flower.jpg")[64:384, 200:520]
images = photograph.reshape(32, 10, 32, 10, 3).mean((1, 3)).round().astype("uint8")[None]

figure, axes = plt.subplots(4, 4, figsize=(6.4, 7), layout="constrained")
panels = {"image": images[0]}
panels |= {name: corrupt(images, name, severity=4, seed=0)[0] for name in names("benchmark")}
for axis, (name, panel) in zip(axes.ravel(), panels.items(), strict=True):
    axis.imshow(panel)
    axis.set(title=name.replace("_", " "), xticks=[], yticks=[])
plt.show()

# %%
# Severity
# --------

figure, axes = plt.subplots(2, 6, figsize=(7, 2.8), layout="constrained")
for row, name in enumerate(("gaussian_noise", "contrast")):
    axes[row, 0].imshow(images[0])
    axes[row, 0].set_ylabel(name.replace("_", " "))
    for severity in range(1, 6):
        axes[row, severity].imshow(corrupt(images, name, severity)[0])
        if row == 0:
            axes[row, severity].set_title(f"severity {severity}")
for axis in axes.ravel():
    axis.set(xticks=[], yticks=[])
plt.show()

# %%
# Two presets
# -----------
# The preset of the digits, and the same network trained on images that PGD had attacked.  Their
# numbers on all corruptions and all test images are on their cards: :doc:`/zoo/deep_spectral`.

digits = load("digits", limit_test=150)
chosen = ("gaussian_noise", "impulse_noise", "defocus_blur", "fog", "contrast", "pixelate")
results = {
    name: accuracy_under_corruption(
        models.from_preset(name), digits.x_test, digits.y_test, chosen, (1, 3, 5)
    )
    for name in ("deep_spectral_digits", "deep_spectral_digits_robust")
}

figure, axis = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for offset, (name, result) in zip((-0.2, 0.2), results.items(), strict=True):
    means = [np.mean([p["accuracy"] for p in result["corruptions"][c]]) for c in chosen]
    axis.bar(np.arange(len(chosen)) + offset, means, width=0.38, label=name)
axis.set_xticks(range(len(chosen)), [name.replace("_", "\n") for name in chosen])
axis.set(ylabel="mean accuracy", ylim=(0, 1.02))
axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
plt.show()

# %%
# mCE divides the errors of a model by those of a baseline, corruption by corruption: 100 is as
# good as the baseline, less is better.

robust, baseline = results["deep_spectral_digits_robust"], results["deep_spectral_digits"]
error = mean_corruption_error(robust, baseline)
for name, value in error["corruption_errors"].items():
    print(f"{name:15} {value:3.0f}")
print(f"mCE {error['mce']:.0f}")

# %%
# Training on attacked images makes small changes of many pixels harmless, and noise is such a
# change.  Low contrast is not, and fog hardly: they move all pixels together, and further than eps.
