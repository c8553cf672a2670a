"""The zoo by name: `spectral_keras.models`."""

from spectral_keras.models import (
    build,
    factory,
    from_preset,
    names,
    options,
    presets,
    recipe,
)

__all__ = ["build", "factory", "from_preset", "names", "options", "presets", "recipe"]
