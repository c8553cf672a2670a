"""
SpectralPool inside a backbone of Keras Applications
====================================================

Any pooling of a functional model can be replaced while the model is cloned.  Here the max pooling
of VGG16 becomes spectral pooling, and the features change far less when the image is shifted by a
pixel.
"""

# %%
# Clone with other layers
# -----------------------
# The weights are random here, since nothing is downloaded; with `weights="imagenet"` the same lines
# keep the trained ones, because poolings have none.

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from spectral_keras.layers import SpectralPool

keras.utils.set_random_seed(0)
backbone = keras.applications.VGG16(weights=None, include_top=False, input_shape=(64, 64, 3))


def with_spectral_pooling(layer):
    """The layer, or what takes its place."""
    if isinstance(layer, keras.layers.MaxPooling2D):
        return SpectralPool(scale=0.5, name=layer.name)
    return layer.__class__.from_config(layer.get_config())


spectral = keras.models.clone_model(backbone, clone_function=with_spectral_pooling)
spectral.set_weights(backbone.get_weights())
print([type(layer).__name__ for layer in spectral.layers if "pool" in layer.name])
print(backbone.output_shape, spectral.output_shape)

# %%
# Shift by a pixel
# ----------------
# A map that is halved by taking maxima is not the shifted map when its input is shifted: high
# frequencies fold onto low ones.  What changes besides a shift is measured by the amplitudes of the
# spectrum, which a shift leaves alone.  The picture fades to black at its border, where a shift
# would bring in something new.

photograph = load_sample_image("china.jpg")[40:424, 100:484].astype("float32") / 255
fade = np.outer(np.hanning(64), np.hanning(64))[..., None].astype("float32")
image = np.asarray(SpectralPool(64)(photograph[None])) * fade
shifts = range(9)
shifted = np.concatenate([np.roll(image, shift, axis=2) for shift in shifts])


def changes(model, name):
    """Relative change of the amplitudes of a layer's maps for each shift."""
    part = keras.Model(model.input, model.get_layer(name).output)
    amplitudes = np.abs(np.fft.fft2(part(shifted), axes=(1, 2)))
    return np.linalg.norm((amplitudes - amplitudes[:1]).reshape(9, -1), axis=1) / np.linalg.norm(
        amplitudes[0]
    )


figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), layout="constrained", sharey=True)
for axis, name in zip(axes, ("block1_pool", "block3_pool"), strict=True):
    axis.plot(shifts, changes(backbone, name), marker="s", label="max pooling")
    axis.plot(shifts, changes(spectral, name), marker="o", label="SpectralPool")
    axis.set(title=name, xlabel="shift, pixels")
axes[0].set_ylabel("relative change")
axes[0].legend()
plt.show()

# %%
# Max pooling gives the same maps again only after a shift by its own step: two pixels after one of
# them, eight after three.  In between the features depend on where an object lies.  What both
# change at such a step comes from the convolutions, which see zeros beyond the border.

assert changes(spectral, "block3_pool")[1:8].mean() < changes(backbone, "block3_pool")[1:8].mean()

# %%
# A head, and it trains as any other model.

outputs = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(spectral.output))
classifier = keras.Model(spectral.input, outputs)
print(f"{classifier.count_params():,} parameters")
