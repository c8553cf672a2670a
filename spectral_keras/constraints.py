"""Constraints on weights."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from spectral_keras.ops.validation import check_identifiers, check_number

__all__ = ["AtLeast", "UnitInterval", "get"]


def __dir__():
    return __all__


@keras.saving.register_keras_serializable(package="spectral_keras")
class AtLeast(keras.constraints.Constraint):
    """Raises weights to `low` after every optimiser step, as the strides of `DiffStride` to 1.

    Args:
        low: number.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.constraints import AtLeast
    >>> np.asarray(AtLeast(1.0)(np.array([-0.5, 1.25], "float32"))).tolist()
    [1.0, 1.25]
    """

    def __init__(self, low: float) -> None:
        self.low = check_number("low", low)

    def __call__(self, w: Any) -> Any:
        return ops.maximum(w, ops.cast(self.low, w.dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"low": self.low}


@keras.saving.register_keras_serializable(package="spectral_keras")
class UnitInterval(keras.constraints.Constraint):
    """Clips weights to [0, 1] after every optimiser step.

    The constraint of Fourier masks: 0 removes a frequency, 1 keeps it (Karantzas et al., Frontiers
    in Artificial Intelligence 5:890016, 2022, whose published code clamps the mask after each
    step).  `spectral_keras.layers.FourierMask` knows it by the name "unit_interval".

    Example:

    >>> import numpy as np
    >>> from spectral_keras.constraints import UnitInterval
    >>> np.asarray(UnitInterval()(np.array([-0.5, 0.25, 1.5], "float32"))).tolist()
    [0.0, 0.25, 1.0]
    """

    def __call__(self, w: Any) -> Any:
        return ops.clip(w, 0.0, 1.0)


def get(identifier: Any) -> Callable[[Any], Any] | None:
    """`keras.constraints.get` that also knows the name "unit_interval".

    Args:
        identifier: None, a name, a config, a constraint or a callable.

    Returns:
        A constraint, or None for None.

    Example:

    >>> from spectral_keras.constraints import get
    >>> type(get("unit_interval")).__name__, get(None)
    ('UnitInterval', None)
    """
    check_identifiers(constraint=identifier)
    if identifier == "unit_interval":
        return UnitInterval()
    return keras.constraints.get(identifier)
