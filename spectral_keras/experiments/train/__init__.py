"""The training command: options, devices, a run and its files."""

from spectral_keras.experiments import at_first_use

__all__ = ["TrainOptions", "train"]

__getattr__ = at_first_use(__name__, TrainOptions="options", train="command")
