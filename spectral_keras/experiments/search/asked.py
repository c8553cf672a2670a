"""What a function of hp asks for."""

from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np

__all__ = ["Asked", "sample"]


class Asked(keras_tuner.HyperParameters):
    """Hyper-parameters that hold what a function asked for, and nothing else.

    A function may branch and loop on the values that it gets, so that one evaluation does not show
    its whole space.  An evaluation with an object of this class shows all that matters at a point:
    `space` and `values` begin empty, and each hyper-parameter enters when it is asked for.

    Args:
        values: values that are given where the function asks for them, dict of name -> value.
        draw: function of a hyper-parameter that gives the value where `values` has none; its
            default if None.
        define: function of a hyper-parameter that gives the one in its place, or None.

    Example:

    >>> from spectral_keras.experiments.search.asked import Asked
    >>> hp = Asked({"dropout": True, "rate": 0.3, "units": 8})
    >>> hp.Float("rate", 0.1, 0.9) if hp.Boolean("dropout") else 0.0
    0.3
    >>> hp.values
    {'dropout': True, 'rate': 0.3}
    """

    def __init__(
        self,
        values: dict[str, Any] | None = None,
        draw: Callable | None = None,
        define: Callable | None = None,
    ):
        super().__init__()
        self._given = values or {}
        self._draw = draw or (lambda hp: hp.default)
        self._define = define or (lambda hp: hp)

    def _retrieve(self, hp):
        # Keras Tuner's methods Int, Float, ... come here.
        if not self._exists(hp.name, hp.conditions):
            hp = self._define(hp)
            if self.is_active(hp) and hp.name not in self.values:
                known = hp.name in self._given
                self.values[hp.name] = self._given[hp.name] if known else self._draw(hp)
        return super()._retrieve(hp)


def sample(hp: Any, rng: np.random.Generator) -> Any:
    """A random value of a hyper-parameter; `rng` is a `numpy.random.Generator`."""
    return hp.random_sample(int(rng.integers(2**31)))
