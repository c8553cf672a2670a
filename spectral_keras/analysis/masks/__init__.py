"""Learning which frequencies a trained network needs."""

from spectral_keras.analysis.masks.result import ImageMasks, SetMasks
from spectral_keras.analysis.masks.single import StepRule, learn_masks
from spectral_keras.analysis.masks.step import GaussNewton, MaskOptions, OneCycle
from spectral_keras.analysis.masks.whole_set import EpochRule, learn_mask

__all__ = [
    "EpochRule",
    "GaussNewton",
    "ImageMasks",
    "MaskOptions",
    "OneCycle",
    "SetMasks",
    "StepRule",
    "learn_mask",
    "learn_masks",
]


def __dir__():
    return __all__
