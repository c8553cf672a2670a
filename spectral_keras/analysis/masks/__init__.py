"""Learning which frequencies a trained network needs."""

from spectral_keras.analysis.masks.result import ImageMasks as ImageMasks
from spectral_keras.analysis.masks.result import SetMasks as SetMasks
from spectral_keras.analysis.masks.schedule import GaussNewton as GaussNewton
from spectral_keras.analysis.masks.schedule import OneCycle as OneCycle
from spectral_keras.analysis.masks.single import learn_masks as learn_masks
from spectral_keras.analysis.masks.stopping import EpochRule as EpochRule
from spectral_keras.analysis.masks.stopping import StepRule as StepRule
from spectral_keras.analysis.masks.whole_set import learn_mask as learn_mask
