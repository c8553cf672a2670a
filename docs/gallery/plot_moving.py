"""
Moving from the published codes
===============================

The names of DiffStride, FLC pooling, FourierMasks and torchattacks beside ours, as calls that run.
All of them in tables: :doc:`/guides/moving`.
"""

# %%
# FLC pooling
# -----------
# The published layer takes the magnitude of the cropped spectrum's inverse.  A crop of an even
# size is not Hermitian, so the result is complex, and a magnitude makes negative values positive.

import keras
import matplotlib.pyplot as plt
import numpy as np

from spectral_keras.analysis.masks import learn_masks
from spectral_keras.attacks import pgd
from spectral_keras.layers import DiffStride, SpectralPool
from spectral_keras.regularizers import InverseStride

rng = np.random.default_rng(0)
maps = np.cumsum(rng.normal(size=(1, 64, 64, 1)), axis=1).astype("float32")
maps -= maps.mean()  # as after a batch normalisation


def published_flc(x):
    """Half the size: crop of the centred spectrum, inverse, magnitude."""
    height, width = x.shape[1:3]
    spectrum = np.fft.fftshift(np.fft.fft2(x, axes=(1, 2)), axes=(1, 2))
    crop = spectrum[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    inverse = np.fft.ifft2(np.fft.ifftshift(crop, axes=(1, 2)), axes=(1, 2))
    return inverse / 4  # NumPy's inverse divides by the smaller size


theirs = published_flc(maps)
ours = np.asarray(SpectralPool(scale=0.5, nyquist="crop")(maps))
print(f"real part: largest difference {np.abs(theirs.real - ours).max():.1e}")
assert np.allclose(theirs.real, ours, atol=1e-4)

figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), layout="constrained")
limit = np.abs(maps).max()
panels = {"map": maps, "published: magnitude": np.abs(theirs), "here: real part": ours}
for axis, (name, panel) in zip(axes, panels.items(), strict=True):
    axis.imshow(panel[0, ..., 0], cmap="RdBu", vmin=-limit, vmax=limit)
    axis.set(title=name, xticks=[], yticks=[])
plt.show()

# %%
# DiffStride
# ----------
# ``diffstride.DiffStride(strides=(2., 2.), smoothness_factor=4.)``, with a penalty on the weight.

layer = DiffStride(2.0, smoothness=4.0, regularizer=InverseStride(0.01))
print(layer(maps).shape, [weight.name for weight in layer.trainable_weights])
print(layer.freeze()(maps).shape)  # the SpectralPool of the learned size

# %%
# torchattacks
# ------------
# ``torchattacks.PGD(model, eps=8/255, alpha=2/255, steps=10)(x, y)``; there is no normalisation to
# name, because it belongs to the model.

model = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
x, y = rng.random((20, 16, 16, 1)).astype("float32"), np.arange(20) % 4
attacked = pgd(model, x, y, eps=8 / 255, step_size=2 / 255, steps=10)
print(np.abs(attacked - x).max() * 255)

# %%
# FourierMasks
# ------------
# One mask for each image, all learned at once instead of in a loop over images.

masks = learn_masks(model, x[:6]).masks
figure, axes = plt.subplots(1, 6, figsize=(7, 1.6), layout="constrained")
for axis, mask in zip(axes, masks, strict=True):
    axis.imshow(np.fft.fftshift(mask.squeeze()), cmap="gray_r", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
plt.show()
