"""The evaluation command: accuracy of a saved classifier under attack and corruption."""

from spectral_keras.experiments import at_first_use

__all__ = ["EvaluateOptions", "evaluate"]

__getattr__ = at_first_use(__name__, EvaluateOptions="options", evaluate="command")
