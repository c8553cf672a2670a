"""The explanation command: which frequencies a saved classifier needs."""

from spectral_keras.experiments import at_first_use

__all__ = ["ExplainOptions", "explain"]

__getattr__ = at_first_use(__name__, ExplainOptions="options", explain="command")
