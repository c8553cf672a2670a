"""The image itself as a target to predict."""

from typing import Any

import keras
from keras import ops

__all__ = ["ReconstructionTarget"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class ReconstructionTarget(keras.layers.Layer):
    """The images as they come, without a gradient: the task of an autoencoder.

    Compared with the Fourier task in "Fourier transform as an auxiliary task", where the target
    is the normalised image, and in adversarial training the normalised adversarial one.

    Args:
        **kwargs: `name`, `dtype` (default "float32").

    Input shape:
        Any.

    Output shape:
        The input shape.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.training import ReconstructionTarget
    >>> x = np.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    >>> bool(np.array_equal(ReconstructionTarget()(x), x))
    True
    """

    def __init__(self, **kwargs: Any):
        # By default not the global policy's half precision: inputs are cast up, not down.
        super().__init__(**{"dtype": "float32", **kwargs})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.stop_gradient(inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple:
        return tuple(input_shape)
