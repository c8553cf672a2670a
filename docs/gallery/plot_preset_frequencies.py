"""
Which frequencies a preset lives on
===================================

Three views of the weights `deep_spectral_digits`: its accuracy when frequencies are taken away, a
Fourier heat map, and the frequencies to which the first layer responds.
"""

# %%
# A preset and its data
# ---------------------

import matplotlib.pyplot as plt
import numpy as np

from spectral_keras import models
from spectral_keras.analysis import filtered_images, fourier_heat_map, frequency_response
from spectral_keras.classifiers import predict_classes
from spectral_keras.data import load
from spectral_keras.ops import radial_band

model = models.from_preset("deep_spectral_digits")
digits = load("digits", limit_test=200)
images, labels = digits.x_test.astype("float32") / 255, digits.y_test
print(f"accuracy {(predict_classes(model, images) == labels).mean():.3f} of {len(labels)} images")

# %%
# Without the high, or without the low frequencies
# ------------------------------------------------
# The digits are scans of 8 x 8 pixels, so there is nothing beyond frequency 4 to live on.

radii = np.arange(0, 9)
inside = [np.asarray(radial_band(32, 32, 0, radius + 0.5)) for radius in radii]
low, high = [], []
for mask in inside:
    keep_mean = 1 - mask
    keep_mean[0, 0] = 1  # a picture without its mean is another test
    for kept, accuracies in ((mask, low), (keep_mean, high)):
        filtered = filtered_images(images, kept.astype("float32")).clip(0, 1)
        accuracies.append((predict_classes(model, filtered) == labels).mean())

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
axis.plot(radii, low, marker="o", label="only frequencies up to here")
axis.plot(radii, high, marker="s", label="only frequencies beyond here, and the mean")
axis.axhline(0.1, color="0.6", linestyle=":", label="guessing")
axis.set(xlabel="radius, periods an image", ylabel="accuracy", ylim=(0, 1.02))
axis.legend()
plt.show()

# %%
# Waves that disturb it
# ---------------------
# Each pixel of the heat map is the error rate when a wave of that frequency is added to all images;
# frequencies up to 8 waves an image.

heat = fourier_heat_map(model, images[:100], labels[:100], norm=6.0, frequencies=8)
side = slice(16 - 8, 16 + 9)
centred = np.fft.fftshift(heat)[side, side]

figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.2), layout="constrained")
shown = axes[0].imshow(centred, cmap="viridis", vmin=0, extent=(-8.5, 8.5, 8.5, -8.5))
axes[0].set(title="error under a wave of norm 6", xlabel="l", ylabel="k")
figure.colorbar(shown, ax=axes[0], shrink=0.85)

# The first convolution: how far a wave of each frequency moves its maps, the largest of all maps.
first = next(layer.name for layer in model.layers if "conv" in layer.name)
response = frequency_response(model, first)[:, 0].max(0)
shown = axes[1].imshow(np.fft.fftshift(response), cmap="magma", extent=(-16.5, 15.5, 15.5, -16.5))
axes[1].set(title=f"largest response of {first}", xlabel="l")
figure.colorbar(shown, ax=axes[1], shrink=0.85)
plt.show()
