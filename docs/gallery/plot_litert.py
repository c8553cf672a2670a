"""
A spectral layer in a phone file, checked
=========================================

LiteRT, which runs on phones, has no complex numbers.  The layers here need none: a spectral
pooling is two products with real matrices.  `export` writes the file, runs it again and compares.
"""

# %%
# A model with spectral layers
# ----------------------------

import pathlib
import tempfile

import keras
import matplotlib.pyplot as plt
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from sklearn.datasets import load_sample_image

from spectral_keras import fold
from spectral_keras.export import export
from spectral_keras.layers import SpectralConv2D, SpectralPool

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((64, 64, 3)),
        SpectralConv2D(8, 3, padding="same", activation="relu"),
        SpectralPool((24, 24)),  # not a divisor of 64
    ]
)

# %%
# Fold, export, compare
# ---------------------
# `fold` first turns the spectral convolutions into plain ones with the same outputs.

folder = pathlib.Path(tempfile.mkdtemp())
report = export(fold(model), folder / "maps.tflite", "litert")
print(f"{(folder / 'maps.tflite').stat().st_size:,} bytes")
print(f"largest difference when it was run again: {report['max_abs_difference']:.1e}")

# %%
# Run it as a phone does
# ----------------------

photograph = load_sample_image("flower.jpg")[64:384, 200:520].astype("float32") / 255
image = np.asarray(SpectralPool(64)(photograph[None]))

interpreter = Interpreter(model_path=str(folder / "maps.tflite"))
(inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
interpreter.resize_tensor_input(inputs["index"], image.shape)
interpreter.allocate_tensors()
interpreter.set_tensor(inputs["index"], image)
interpreter.invoke()
on_phone = interpreter.get_tensor(outputs["index"])
in_keras = np.asarray(model(image))
print(on_phone.shape, f"largest difference {np.abs(on_phone - in_keras).max():.1e}")
assert np.allclose(on_phone, in_keras, atol=1e-4)

figure, axes = plt.subplots(2, 5, figsize=(7, 3), layout="constrained")
axes[0, 0].imshow(image[0].clip(0, 1))
axes[0, 0].set_title("image")
axes[1, 0].set_axis_off()
strongest = np.argsort(in_keras[0].std((0, 1)))[::-1][:4]
for column, channel in enumerate(strongest, start=1):
    for row, maps in enumerate((in_keras, on_phone)):
        axes[row, column].imshow(maps[0, ..., channel], cmap="viridis")
    axes[0, column].set_title(f"map {channel}")
axes[0, 1].set_ylabel("Keras")
axes[1, 1].set_ylabel("LiteRT")
for axis in axes.ravel():
    axis.set(xticks=[], yticks=[])
plt.show()
