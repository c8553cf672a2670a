"""The 2-D DFT as a layer."""

from collections.abc import Sequence
from typing import Any

import keras

from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.dft_pairs import dft_pair
from spectral_keras.ops.masking import IMPLEMENTATIONS
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_float_images,
    spatial_shape,
)

__all__ = ["FFT2D"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class FFT2D(NamedChoices, keras.layers.Layer):
    """The discrete Fourier transform of images over height and width, as real tensors.

    Keras' functional models and mixed precision know no complex tensors: a spectrum is the pair
    (real, imaginary), to be worked on by other layers and taken back by `InverseFFT2D`.

    Args:
        norm: "backward" (no factor), "ortho" (1/sqrt(H W)) or "forward" (1/(H W)).
        implementation: "fft", in float32 at least; "matmul", by real matrices in the compute dtype,
            for ONNX and LiteRT and of known sizes; or "auto", the faster for the size.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: images, or a pair (real, imaginary) of them.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; or two of these.

    Output shape:
        A pair of tensors of the shape of the images, in unshifted order.

    Raises:
        ValueError: an argument is out of its range, or the inputs are no images.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.layers import FFT2D, InverseFFT2D
    >>> images = keras.Input((8, 8, 3))
    >>> real, imag = FFT2D(norm="ortho")(images)
    >>> blurred = InverseFFT2D(norm="ortho", real=True)((0.5 * real, 0.5 * imag))
    >>> x = np.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    >>> bool(np.allclose(keras.Model(images, blurred)(x), x / 2, atol=1e-6))
    True
    """

    choices = {"norm": ("backward", "ortho", "forward"), "implementation": IMPLEMENTATIONS}
    _inverse = False

    def __init__(
        self,
        *,
        norm: str = "backward",
        implementation: str = "auto",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.norm = check_choice("norm", norm, self.choices["norm"])
        self.implementation = check_choice("implementation", implementation, IMPLEMENTATIONS)
        self.data_format = check_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        parts = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        # Later calls, too: a part that is missing or broadcast would go unnoticed.
        self._image_shape([tuple(part.shape) for part in parts])
        real, imag = (*parts, None)[:2]
        check_float_images(real, type(self).__name__)
        return dft_pair(real, imag, self._inverse, self.norm, self.implementation, self.data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self._image_shape(input_shape)
        return shape, shape

    def _image_shape(self, input_shape: Any) -> Sequence[int | None]:
        """The shape of the images, or of both parts of a pair."""
        name = type(self).__name__
        shapes = list(input_shape)
        if not isinstance(input_shape[0], (list, tuple)):
            shapes = [input_shape]
        shapes = [tuple(shape) for shape in shapes]
        alike = len(shapes[0]) == len(shapes[-1]) and all(
            one == other or None in (one, other)
            for one, other in zip(shapes[0], shapes[-1], strict=True)
        )
        if len(shapes) > 2 or not alike or (self._inverse and len(shapes) == 1):
            pair = "a pair" if self._inverse else "images or a pair"
            raise ValueError(
                f"{name} expects {pair} of tensors (real, imaginary) of one shape. "
                f"Received: input shape {input_shape}"
            )
        size = spatial_shape(shapes[0], self.data_format, name)
        if self.implementation == "matmul" and None in size:
            raise ValueError(
                f'{name} needs a known height and width with implementation="matmul". '
                f"Received: input shape {input_shape}"
            )
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "norm": self.norm,
            "implementation": self.implementation,
            "data_format": self.data_format,
        }
