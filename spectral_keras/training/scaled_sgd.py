"""Stochastic gradient descent with another learning rate for biases."""

from typing import Any

import keras

from spectral_keras.ops.validation import check_number

__all__ = ["ScaledSGD"]

# Last parts of the paths of Keras' biases and of the shifts of its normalisations.
_BIASES = ("bias", "beta")


@keras.saving.register_keras_serializable(package="spectral_keras")
class ScaledSGD(keras.optimizers.SGD):
    """Keras' `SGD`, whose learning rate is multiplied for biases and shifts of normalisations.

    The gradient of a variable called "bias" or "beta" is multiplied by `bias_rate`, which for this
    optimizer is the same as a learning rate of its own (the 64 of Jordan 2024, arXiv 2404.00498);
    clipping, if asked for, sees the multiplied one.
    The decoupled `weight_decay` is the same for all variables.

    Args:
        learning_rate: float or schedule.
        bias_rate: factor of the learning rate, above 0.
        **kwargs: further arguments of `keras.optimizers.SGD`.

    Raises:
        ValueError: for a factor that is not above 0.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.training import ScaledSGD
    >>> kernel, bias = (keras.Variable(np.zeros(1), name=name) for name in ("kernel", "bias"))
    >>> ScaledSGD(0.5, bias_rate=8.0).apply([np.ones(1), np.ones(1)], [kernel, bias])
    >>> float(np.asarray(kernel)[0]), float(np.asarray(bias)[0])
    (-0.5, -4.0)
    """

    def __init__(self, learning_rate: Any = 0.01, *, bias_rate: float = 1.0, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.bias_rate = check_number("bias_rate", bias_rate, 0, low_open=True)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        variables = trainable_variables
        if variables is None:
            variables = self._trainable_variables
        variables = list(variables)
        scaled = [
            gradient * self.bias_rate
            if gradient is not None and variable.path.rpartition("/")[2] in _BIASES
            else gradient
            for gradient, variable in zip(grads, variables, strict=True)
        ]
        super().apply(scaled, None if trainable_variables is None else variables)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bias_rate": self.bias_rate}
