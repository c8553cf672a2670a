"""
What pooling keeps of an image
==============================

Three poolings leave the same number of values of a photograph.  Each is enlarged again in the way
that fits it, and compared with the original.
"""

# %%
# The picture
# -----------
# A photograph that scikit-learn brings, cut to 256 x 256 pixels in [0, 1].

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from spectral_keras.layers import SpectralPool
from spectral_keras.ops import spectral_resize

photograph = load_sample_image("flower.jpg")[80:336, 220:476].astype("float32") / 255
images = photograph[None]  # a batch of one, channels last
print(images.shape, images.dtype)

# %%
# Where its energy is
# -------------------
# Nearly all of it lies at the lowest frequencies.  That is why a crop of the spectrum loses so
# little.  Only for the eye the constant is moved to the centre: inside the library it is at [0, 0].

spectrum = np.fft.fftshift(np.abs(np.fft.fft2(photograph.mean(-1))))
energy = spectrum**2
center = 128


def share(side):
    """Share of the energy, without the constant, at the frequencies that a crop to `side` keeps."""
    kept = energy[center - side // 2 : center + side // 2, center - side // 2 : center + side // 2]
    constant = energy[center, center]
    return (kept.sum() - constant) / (energy.sum() - constant)


figure, axis = plt.subplots(figsize=(4.4, 5.2), layout="constrained")
axis.imshow(np.log1p(spectrum), cmap="magma")
for side, color in ((128, "white"), (64, "cyan"), (32, "lime")):
    low = center - side // 2
    label = f"{side} x {side}: {100 * share(side):.1f} % of the energy"
    axis.add_patch(
        plt.Rectangle((low, low), side, side, fill=False, edgecolor=color, linewidth=2, label=label)
    )
figure.legend(loc="outside lower center", facecolor="0.25", labelcolor="white")
axis.set(title="log amplitude of the spectrum", xticks=[], yticks=[])
plt.show()

# %%
# Three poolings
# --------------
# `SpectralPool` takes any output size, and the spectrum padded with zeros enlarges it again.  The
# maximum and the mean of a block are enlarged by repeating them.


def enlarge(pooled):
    """Repeat each value, as the maximum and the mean of a block stand for the whole block."""
    times = 256 // pooled.shape[1]
    return np.repeat(np.repeat(pooled, times, axis=1), times, axis=2)


def pool(side):
    """Name of a pooling -> the image that is left of it, at the size of the original."""
    block = 256 // side
    return {
        "max": enlarge(np.asarray(keras.layers.MaxPooling2D(block)(images))),
        "average": enlarge(np.asarray(keras.layers.AveragePooling2D(block)(images))),
        "SpectralPool": np.asarray(spectral_resize(SpectralPool(side)(images), (256, 256))),
    }


sides = (128, 64, 32)
figure, axes = plt.subplots(3, 3, figsize=(6.4, 6.9), layout="constrained")
for column, side in enumerate(sides):
    for row, (name, left) in enumerate(pool(side).items()):
        axis = axes[row, column]
        axis.imshow(left[0].clip(0, 1))
        loss = np.linalg.norm(left - images) / np.linalg.norm(images)
        axis.set(xticks=[], yticks=[], xlabel=f"relative error {loss:.3f}")
        if row == 0:
            axis.set_title(f"to {side} x {side}")
        if column == 0:
            axis.set_ylabel(name)
plt.show()

# %%
# The maximum brightens the picture and draws blocks; the mean draws blocks; the spectrum loses
# detail evenly and rings a little beside edges.
#
# Sizes between
# -------------
# Blocks halve, spectra do not: `SpectralPool` shrinks to any size, so a network may lose its
# resolution slowly.

sizes = range(16, 257, 16)
errors = []
for side in sizes:
    back = np.asarray(spectral_resize(SpectralPool(side)(images), (256, 256)))
    errors.append(np.linalg.norm(back - images) / np.linalg.norm(images))
blocks = {
    name: [np.linalg.norm(pool(s)[name] - images) / np.linalg.norm(images) for s in sides]
    for name in ("max", "average")
}

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
axis.plot(sizes, errors, marker="o", label="SpectralPool")
for name, marker in (("max", "s"), ("average", "^")):
    axis.plot(sides, blocks[name], linestyle="", marker=marker, label=name)
axis.set(xlabel="side of what is kept", ylabel="relative error", ylim=(0, None))
axis.legend()
plt.show()

assert errors[-1] < 1e-5  # at its own size the image comes back
