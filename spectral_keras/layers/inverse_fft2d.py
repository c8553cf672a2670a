"""The inverse 2-D DFT as a layer."""

from typing import Any

import keras

from spectral_keras.layers.fft2d import FFT2D
from spectral_keras.ops.validation import check_bool

__all__ = ["InverseFFT2D"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class InverseFFT2D(FFT2D):
    """The inverse discrete Fourier transform over height and width, the inverse of `FFT2D`.

    Args:
        real: whether the result is the real part only, a single tensor, in place of the pair.
        norm: "backward" (the factor 1/(H W)), "ortho" (1/sqrt(H W)) or "forward" (none).
        **kwargs: `implementation` and the other arguments of `FFT2D`.

    Call arguments:
        inputs: pair (real, imaginary) of tensors of rank 4.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import FFT2D, InverseFFT2D
    >>> x = np.random.default_rng(0).random((2, 5, 8, 3), dtype="float32")
    >>> real, imag = InverseFFT2D()(FFT2D()(x))
    >>> bool(np.allclose(real, x, atol=1e-6)), bool(np.allclose(imag, 0, atol=1e-6))
    (True, True)
    """

    _inverse = True

    def __init__(self, *, real: bool = False, norm: str = "backward", **kwargs: Any) -> None:
        super().__init__(norm=norm, **kwargs)
        self.real = check_bool("real", real)

    def call(self, inputs: Any) -> Any:
        outputs = super().call(inputs)
        return outputs[0] if self.real else outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self._image_shape(input_shape)
        return shape if self.real else (shape, shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "real": self.real}
