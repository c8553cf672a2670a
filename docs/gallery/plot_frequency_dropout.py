"""
Frequency dropout
=================

During training `FrequencyDropout` keeps a square of low frequencies whose side is sampled anew at
each step.  A network that is trained with it cannot lean on fine detail alone.
"""

# %%
# Some draws
# ----------
# One draw for each image of the batch; by default, as in the paper, it is one for the whole batch.

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from spectral_keras.layers import FrequencyDropout, SpectralPool

photograph = load_sample_image("china.jpg")[100:356, 200:456].astype("float32") / 255
images = np.asarray(SpectralPool(64)(photograph[None]))

layer = FrequencyDropout(min_fraction=0.05, per_sample=True, seed=4)
batch = np.repeat(images, 5, axis=0)
dropped = np.asarray(layer(batch, training=True))

figure, axes = plt.subplots(2, 6, figsize=(7, 2.8), layout="constrained")
for column, image in enumerate([images[0], *dropped]):
    axes[0, column].imshow(image.clip(0, 1))
    spectrum = np.fft.fftshift(np.abs(np.fft.fft2(image.mean(-1))))
    axes[1, column].imshow(np.log10(spectrum + 1e-3), cmap="magma", vmin=-3, vmax=3)
    side = int((spectrum[32] > 1e-2).sum())  # frequencies that are left along an axis
    axes[0, column].set_title("image" if column == 0 else f"{side} of 64")
for axis in axes.ravel():
    axis.set(xticks=[], yticks=[])
axes[1, 0].set_ylabel("log amplitude")
plt.show()

# %%
# At inference the layer is the identity.

assert np.array_equal(np.asarray(layer(batch)), batch)

# %%
# How often is a frequency kept?
# ------------------------------
# The side is uniform, so the share of steps that keep a frequency falls along a line; the
# constant is always kept.  An impulse has all frequencies, so its spectrum after the layer is
# what was kept.

impulse = np.zeros((400, 32, 32, 1), "float32")
impulse[:, 0, 0] = 1
draws = np.asarray(FrequencyDropout(0.25, per_sample=True, seed=0)(impulse, training=True))
kept = (np.abs(np.fft.fft(draws[:, :, 0, 0], axis=1)) > 1e-4).mean(0)[:17]

figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
axis.plot(range(17), kept, marker="o")
axis.set(xlabel="frequency, periods an image", ylabel="share of steps that keep it", ylim=(0, 1.05))
axis.set_title("min_fraction = 0.25, 32 x 32")
plt.show()

# %%
# In a network
# ------------
# After a pooling the layer costs a second pair of transforms.  `SpectralPool` does both in one.

inputs = keras.Input((32, 32, 3))
x = SpectralPool(24, frequency_dropout=0.5)(inputs)
x = keras.layers.Conv2D(8, 3, activation="relu")(x)
model = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x)))
print(model(np.ones((2, 32, 32, 3), "float32"), training=True).shape)
