"""The corruption command: a corrupted copy of a data set."""

from spectral_keras.experiments import at_first_use

__all__ = ["CorruptOptions", "corrupt"]

__getattr__ = at_first_use(__name__, CorruptOptions="options", corrupt="command")
