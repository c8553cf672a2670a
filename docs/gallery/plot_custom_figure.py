"""
A figure of your own, from the library's parts
==============================================

Where does an attack put its changes?  No command draws it, but a few functions of the library and
matplotlib do.
"""

# %%
# Attack a preset
# ---------------

import matplotlib.pyplot as plt
import numpy as np

from spectral_keras import models
from spectral_keras.analysis import radial_bands
from spectral_keras.attacks import fgsm, pgd
from spectral_keras.corruptions import corrupt
from spectral_keras.data import load

digits = load("digits", limit_test=150)
images, labels = digits.x_test.astype("float32") / 255, digits.y_test
model = models.from_preset("deep_spectral_digits")

changes = {
    "FGSM": fgsm(model, images, labels, eps=16 / 255) - images,
    "PGD": pgd(model, images, labels, eps=16 / 255, early_stop=False) - images,
    "Gaussian noise": corrupt(digits.x_test, "gaussian_noise", 3) / 255.0 - images,
    "fog": corrupt(digits.x_test, "fog", 3) / 255.0 - images,
}

# %%
# Energy by radius
# ----------------
# `radial_bands` says in which ring of the spectrum each frequency lies, in the order of the FFT.

rings = radial_bands(32, 32, bands=16)


def shares(change):
    """Share of a change's energy in each ring, the mean over images."""
    energy = np.abs(np.fft.fft2(change, axes=(1, 2))) ** 2
    energy = energy.sum((0, 3))
    inside = rings >= 0
    total = np.bincount(rings[inside], energy[inside], minlength=16)
    return total / total.sum()


# %%
# Draw
# ----

width = np.hypot(16, 16) / 16  # of a ring, in periods an image
radii = (np.arange(16) + 0.5) * width
figure, (left, right) = plt.subplots(
    1, 2, figsize=(7, 3.2), layout="constrained", width_ratios=[3, 2]
)
left.plot(radii, shares(images - images.mean()), color="0.6", linewidth=3, label="the images")
for (name, change), marker in zip(changes.items(), "os^v", strict=True):
    left.plot(radii, shares(change), marker=marker, markersize=4, label=name)
left.set(xlabel="radius, periods an image", ylabel="share of the energy", ylim=(0, None))
left.legend()

one = changes["PGD"][np.abs(changes["PGD"]).sum((1, 2, 3)).argmax(), ..., 0]
right.imshow(one, cmap="RdBu")
right.set(title="one change by PGD", xticks=[], yticks=[])
plt.show()
