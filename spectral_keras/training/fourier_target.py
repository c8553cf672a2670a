"""The spectrum of the grey image as a target to predict."""

from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.fft import fft2_last, fftshift2_last
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_data_format,
    static_spatial_shape,
)

__all__ = ["FourierTarget"]

# Weights of red, green and blue (ITU-R BT.601), as the paper's code writes them.
_GREY = (0.2989, 0.587, 0.114)

# A bin below this share of the spectrum's root mean square holds rounding errors only.
_EMPTY = 1e-5


@keras.saving.register_keras_serializable(package="spectral_keras")
class FourierTarget(keras.layers.Layer):
    """Magnitude and phase of the centred 2-D DFT of the grey image.

    The auxiliary task of "Fourier transform as an auxiliary task": with the grey image
    g = 0.2989 R + 0.587 G + 0.114 B and F its DFT without a factor, channel 0 is the magnitude and
    the other channels are the phase.  Of images of another number of channels than 3 g is the mean
    of the channels.  The grey image is taken of what the layer is given: of normalised images in
    the paper.

    The paper prints |F| itself.  Its constant term is some hundred times its median, so that
    a mean squared error sees little else; the default takes the logarithm.  The phase is in
    (-pi, pi], where two angles next to each other across pi are 2 pi apart; "cos_sin" has no such
    jump.  Bins that are empty but for rounding have no phase: 0 here, and 0 for both cosine and
    sine.  Bins that are their own mirror image (constant, Nyquist) are real, exactly.

    The DFT runs in float32 whatever the precision of the model (in float64 with
    `dtype="float64"`).  No gradient flows through the target.

    Args:
        magnitude: "log" for log(1 + |F|), "raw" for |F|, or "unitary" for |F| / sqrt(H W).
        phase: "angle" for one channel, "cos_sin" for two, or "none".
        shifted: whether the constant is at (H // 2, W // 2), as people look at spectra, or at
            (0, 0).
        roll_batch: reproduces an error of the paper's published code, which shifted all axes:
            image i gets the spectrum of image (i - N // 2) mod N, so that nothing but the mean
            spectrum can be learned.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype` (default "float32").

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; channels, height and width known.

    Output shape:
        The input shape with 1, 2 or 3 channels.

    Raises:
        ValueError: for a bad argument or input shape.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.training import FourierTarget
    >>> target = np.array(FourierTarget("raw")(np.full((1, 32, 32, 3), 0.5, "float32")))
    >>> target.shape, round(float(target[0, 16, 16, 0]), 1)  # 0.9999 * 0.5 * 32 * 32
    ((1, 32, 32, 2), 511.9)
    """

    def __init__(
        self,
        magnitude: str = "log",
        phase: str = "angle",
        *,
        shifted: bool = True,
        roll_batch: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        # By default not the global policy's half precision: inputs are cast up, not down.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.magnitude = check_choice("magnitude", magnitude, ("log", "raw", "unitary"))
        self.phase = check_choice("phase", phase, ("angle", "cos_sin", "none"))
        self.shifted = check_bool("shifted", shifted)
        self.roll_batch = check_bool("roll_batch", roll_batch)
        self.data_format = check_data_format(data_format)
        self._channel_axis = 3 if self.data_format == "channels_last" else 1

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        # Also of a layer that is built: Keras' steps may not know the size of the next batch.
        static_spatial_shape(inputs.shape, self.data_format, "FourierTarget")
        grey = self._grey(ops.stop_gradient(inputs))
        height, width = grey.shape[1:]
        spectrum = fft2_last(grey)
        real, imag = ops.real(spectrum), ops.imag(spectrum)
        imag = ops.where(_self_conjugate(height, width), ops.zeros_like(imag), imag)
        magnitude = ops.sqrt(ops.square(real) + ops.square(imag))
        channels = [self._scaled(magnitude, height * width)]
        if self.phase != "none":
            # Parseval: the sum of squares of the image is the mean square of its spectrum.
            power = ops.sum(ops.square(grey), axis=(1, 2), keepdims=True)
            present = magnitude > _EMPTY * ops.sqrt(power)
            channels += [
                ops.where(present, part, ops.zeros_like(part))
                for part in self._phases(real, imag, ops.where(present, magnitude, 1.0))
            ]
        if self.shifted:
            channels = [fftshift2_last(channel) for channel in channels]
        target = ops.stack(channels, axis=self._channel_axis)
        if self.roll_batch:
            target = ops.roll(target, ops.shape(target)[0] // 2, axis=0)
        return target

    def _grey(self, images):
        axis = self._channel_axis
        if images.shape[axis] != 3:
            return ops.mean(images, axis=axis)
        return sum(
            weight * ops.take(images, channel, axis=axis) for channel, weight in enumerate(_GREY)
        )

    def _scaled(self, magnitude, pixels):
        if self.magnitude == "log":
            return ops.log1p(magnitude)
        return magnitude / np.sqrt(pixels).item() if self.magnitude == "unitary" else magnitude

    def _phases(self, real, imag, magnitude):
        if self.phase == "angle":
            return [ops.arctan2(imag, real)]
        return [real / magnitude, imag / magnitude]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple:
        static_spatial_shape(input_shape, self.data_format, "FourierTarget")
        shape = list(input_shape)
        if shape[self._channel_axis] is None:
            raise ValueError(
                "FourierTarget expects images of a known number of channels. "
                f"Received: input shape {tuple(input_shape)} (data_format={self.data_format!r})"
            )
        shape[self._channel_axis] = {"none": 1, "angle": 2, "cos_sin": 3}[self.phase]
        return tuple(shape)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "magnitude": self.magnitude,
            "phase": self.phase,
            "shifted": self.shifted,
            "roll_batch": self.roll_batch,
            "data_format": self.data_format,
        }


def _self_conjugate(height, width):
    """Bool array [height, width], unshifted: where k = -k, so that a real image's DFT is real."""
    rows, columns = ((2 * np.arange(n)) % n == 0 for n in (height, width))
    return rows[:, None] & columns
