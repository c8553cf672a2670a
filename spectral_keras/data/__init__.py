"""Image classification data sets: loading, splitting and feeding them to a model."""

from spectral_keras.data.batches import Batches
from spectral_keras.data.cifar10c import CorruptedImages, load_corrupted
from spectral_keras.data.datasets import Dataset, load
from spectral_keras.data.errors import DataError, DataWarning
from spectral_keras.data.streamed import StreamedImages

__all__ = [
    "Batches",
    "CorruptedImages",
    "DataError",
    "DataWarning",
    "Dataset",
    "StreamedImages",
    "load",
    "load_corrupted",
]


def __dir__():
    return __all__
