"""What attacks, analysis and evaluation need of any Keras classifier: predictions and gradients."""

from spectral_keras.classifiers.gradients import input_gradient
from spectral_keras.classifiers.intervals import wilson_interval
from spectral_keras.classifiers.logits import logits_function
from spectral_keras.classifiers.predictions import predict_classes

__all__ = ["input_gradient", "logits_function", "predict_classes", "wilson_interval"]


def __dir__():
    return __all__
