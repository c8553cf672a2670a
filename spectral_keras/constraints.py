"""Constraints on weights."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

__all__ = ["UnitInterval", "get"]


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
    """
    if identifier == "unit_interval":
        return UnitInterval()
    return keras.constraints.get(identifier)
