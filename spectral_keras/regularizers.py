"""Regularizers of weights."""

from typing import Any

import keras
from keras import ops

from spectral_keras.ops.validation import check_number

__all__ = ["InverseStride"]


def __dir__():
    return __all__


@keras.saving.register_keras_serializable(package="spectral_keras")
class InverseStride(keras.regularizers.Regularizer):
    """rate / (s_h s_w): the share of a map that the strides of a `DiffStride` keep.

    The penalty on computation of Riad et al. 2022 (arXiv 2202.01653), for one layer: summed over
    the layers it trades accuracy for larger strides.

    Args:
        rate: number of at least 0.

    Raises:
        ValueError: `rate` is out of its range.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.regularizers import InverseStride
    >>> float(InverseStride(0.5)(np.array([2.0, 4.0], "float32")))
    0.0625
    """

    def __init__(self, rate: float = 0.01) -> None:
        self.rate = check_number("rate", rate, low=0)

    def __call__(self, x: Any) -> Any:
        return self.rate / ops.prod(ops.broadcast_to(x, (2,)))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"rate": self.rate}
