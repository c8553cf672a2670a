"""Convolutional networks in the frequency domain, for Keras 3.

Importing the package registers its layers, initializers and constraints with Keras, so that saved
models load.  Nothing here needs TensorFlow.
"""

from spectral_keras import attacks as attacks
from spectral_keras import constraints as constraints
from spectral_keras import corruptions as corruptions
from spectral_keras import initializers as initializers
from spectral_keras import layers as layers
from spectral_keras import ops as ops
from spectral_keras.folding import fold as fold
from spectral_keras.training import schedules as _schedules  # noqa: F401 (registers them)

__version__ = "0.1.0"
