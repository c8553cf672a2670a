"""The common corruptions of CIFAR-10-C and ImageNet-C, on uint8 batches, in NumPy and SciPy."""

from spectral_keras.corruptions.corrupt import corrupt
from spectral_keras.corruptions.severities import (
    BENCHMARK,
    EXTRA,
    SEVERITIES,
    TABLES,
    names,
    table_for,
)
from spectral_keras.corruptions.strength import Strength, strengths

__all__ = [
    "BENCHMARK",
    "EXTRA",
    "SEVERITIES",
    "TABLES",
    "Strength",
    "corrupt",
    "names",
    "strengths",
    "table_for",
]


def __dir__():
    return __all__
