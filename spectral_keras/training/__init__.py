"""Training beyond a plain `fit`: auxiliary tasks, adversarial examples, attended suppression."""

from spectral_keras.training.adversarial_examples import AdversarialExamples as AdversarialExamples
from spectral_keras.training.adversarial_model import AdversarialModel as AdversarialModel
from spectral_keras.training.attended_suppression_model import (
    AttendedSuppressionModel as AttendedSuppressionModel,
)
from spectral_keras.training.auxiliary_model import AuxiliaryModel as AuxiliaryModel
from spectral_keras.training.channel_gate import first_semantic_layer as first_semantic_layer
from spectral_keras.training.channel_gate import insert_channel_gate as insert_channel_gate
from spectral_keras.training.decoder import build_decoder as build_decoder
from spectral_keras.training.fourier_target import FourierTarget as FourierTarget
from spectral_keras.training.reconstruction_target import (
    ReconstructionTarget as ReconstructionTarget,
)
