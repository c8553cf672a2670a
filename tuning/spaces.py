"""Search spaces of the zoo: `spectral_keras.experiments.search.spaces`."""

from spectral_keras.experiments.search.spaces import CONSTANTS, SPACES, Choice, Range, Space

__all__ = ["CONSTANTS", "SPACES", "Choice", "Range", "Space"]
