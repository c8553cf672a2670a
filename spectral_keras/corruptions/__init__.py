"""The common corruptions of CIFAR-10-C and ImageNet-C, on uint8 batches, in NumPy and SciPy."""

from spectral_keras.corruptions.corrupt import corrupt as corrupt
from spectral_keras.corruptions.severities import BENCHMARK as BENCHMARK
from spectral_keras.corruptions.severities import EXTRA as EXTRA
from spectral_keras.corruptions.severities import SEVERITIES as SEVERITIES
from spectral_keras.corruptions.severities import TABLES as TABLES
from spectral_keras.corruptions.severities import names as names
from spectral_keras.corruptions.severities import table_for as table_for
