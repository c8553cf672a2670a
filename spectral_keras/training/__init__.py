"""Training beyond a plain `fit`: auxiliary tasks, adversarial examples, attended suppression."""

from spectral_keras.training.adversarial_examples import AdversarialExamples
from spectral_keras.training.adversarial_model import AdversarialModel
from spectral_keras.training.attended_suppression_model import AttendedSuppressionModel
from spectral_keras.training.auxiliary_model import AuxiliaryModel
from spectral_keras.training.channel_gate import first_semantic_layer, insert_channel_gate
from spectral_keras.training.decoder import build_decoder
from spectral_keras.training.fourier_target import FourierTarget
from spectral_keras.training.gate_rule import GateRule
from spectral_keras.training.lookahead import Lookahead
from spectral_keras.training.mixing_model import MixingModel
from spectral_keras.training.parallel_augmentation_model import ParallelAugmentationModel
from spectral_keras.training.reconstruction_target import ReconstructionTarget
from spectral_keras.training.scaled_sgd import ScaledSGD
from spectral_keras.training.smoothed_crossentropy import SmoothedCrossentropy

__all__ = [
    "AdversarialExamples",
    "AdversarialModel",
    "AttendedSuppressionModel",
    "AuxiliaryModel",
    "FourierTarget",
    "GateRule",
    "Lookahead",
    "MixingModel",
    "ParallelAugmentationModel",
    "ReconstructionTarget",
    "ScaledSGD",
    "SmoothedCrossentropy",
    "build_decoder",
    "first_semantic_layer",
    "insert_channel_gate",
]


def __dir__():
    return __all__
