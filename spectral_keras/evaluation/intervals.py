"""Intervals of shares; the function is `spectral_keras.ops.intervals.wilson_interval`."""

from spectral_keras.ops.intervals import wilson_interval as wilson_interval
