"""Arguments of layers that are one of a few names."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras

__all__ = ["NamedChoices"]


class NamedChoices:
    """A layer with such arguments that also loads from `.h5`.

    Keras' loader of `.h5` takes a string in a layer's config for the function of that name, if
    Keras (`keras.layers.average`) or the user's `custom_objects` have one.  Layers that inherit
    from this take the name again.

    Attributes:
        choices: dict of argument -> the names that it can be.

    Example:

    >>> from spectral_keras.layers import SpectralPool
    >>> sorted(SpectralPool.choices)
    ['implementation', 'norm', 'nyquist', 'window']
    """

    choices: ClassVar[dict[str, Sequence[str]]] = {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        names = {
            argument: _name(config[argument], names)
            for argument, names in cls.choices.items()
            if callable(config.get(argument))
        }
        return super().from_config(  # type: ignore[misc]
            {**config, **names}
        )


def _name(function, names):
    """The name under which the loader found the function, if it is one of `names`."""
    for name in names:
        if keras.saving.get_registered_object(name) is function:
            return name
    return function.__name__ if getattr(function, "__name__", None) in names else function
