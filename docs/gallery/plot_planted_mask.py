"""
A mask that finds planted frequencies
=====================================

The data set `planted` has classes that differ in known bands of frequencies and in nothing else.  A
network learns to tell them apart, and a mask that is learned for the frozen network shows by what.
"""

# %%
# Textures with a secret
# ----------------------

import keras
import matplotlib.pyplot as plt
import numpy as np

from spectral_keras.analysis import band_recovery
from spectral_keras.analysis.masks import learn_mask
from spectral_keras.data import load
from spectral_keras.data.planted import planted_bands

data = load("planted", limit=1500, limit_test=300)
x_train, x_test = (x.astype("float32") / 255 for x in (data.x_train, data.x_test))
bands, together = planted_bands(32)  # for each class, and of all classes

figure, axes = plt.subplots(2, data.num_classes, figsize=(6.4, 3.6), layout="constrained")
for label in range(data.num_classes):
    axes[0, label].imshow(x_test[data.y_test == label][0, :, :, 0], cmap="gray")
    axes[0, label].set_title(f"class {label}")
    axes[1, label].imshow(np.fft.fftshift(bands[label]), cmap="gray_r")
for axis in axes.ravel():
    axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("image")
axes[1, 0].set_ylabel("planted band")
plt.show()

# %%
# The eye sees no difference.  A network does.

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((32, 32, 1)),
        keras.layers.Rescaling(6, offset=-3),
        keras.layers.Conv2D(24, 9, strides=2, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(data.num_classes),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
model.fit(x_train, data.y_train, batch_size=50, epochs=15, verbose=0)
accuracy = model.evaluate(x_test, data.y_test, verbose=0)[1]
print(f"test accuracy {accuracy:.2f}; guessing gives {1 / data.num_classes:.2f}")

# %%
# Which frequencies does it need?
# -------------------------------
# The mask starts at one everywhere, and a penalty takes away what the network does not miss.

found = learn_mask(
    model, (x_test, data.y_test), penalty=0.5, learning_rate=0.05, epochs=25, batch_size=100
)
mask = found.masks if found.masks.ndim == 2 else found.masks[0]
score = band_recovery(mask, together)
print(f"average precision {score['average_precision']:.2f}, guessing gives {score['chance']:.2f}")

figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.4), layout="constrained")
axes[0].imshow(np.fft.fftshift(together), cmap="gray_r")
axes[0].set_title("planted, all classes")
axes[1].imshow(np.fft.fftshift(mask), cmap="gray_r", vmin=0, vmax=1)
axes[1].set_title("learned mask")
for axis in axes:
    axis.set(xticks=[], yticks=[])
plt.show()

assert score["average_precision"] > 1.3 * score["chance"]

# %%
# What the mask keeps is what the network needs, not all that differs: the frequencies of a band
# carry the same information, and a few of them are enough.  :doc:`/guides/masks` says what else
# to mind.
