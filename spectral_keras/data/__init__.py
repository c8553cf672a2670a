"""Image classification data sets: loading, splitting and feeding them to a model."""

from spectral_keras.data.batches import Batches as Batches
from spectral_keras.data.cifar10c import CorruptedImages as CorruptedImages
from spectral_keras.data.cifar10c import load_corrupted as load_corrupted
from spectral_keras.data.datasets import Dataset as Dataset
from spectral_keras.data.datasets import load as load
from spectral_keras.data.errors import DataError as DataError
from spectral_keras.data.streamed import StreamedImages as StreamedImages
