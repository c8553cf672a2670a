"""Cross-entropy with smoothed labels, of integer labels or rows."""

from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.ops.validation import check_number

__all__ = ["SmoothedCrossentropy", "rows_of"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class SmoothedCrossentropy(keras.losses.Loss):
    """Keras' `CategoricalCrossentropy` of logits with `label_smoothing`, for integer labels.

    Labels may also be rows of shares, of mixed images.  With K classes the target of class k is
    (1 - s) [k = label] + s / K (Szegedy et al. 2016, "Rethinking the inception architecture",
    section 7).  A label of no class makes the loss NaN, as TensorFlow's own on a GPU.

    Args:
        label_smoothing: the share s in [0, 1) of a label that is spread over all classes.
        **kwargs: `reduction`, `name`, `dtype`.

    Raises:
        ValueError: for a share out of its range.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.training import SmoothedCrossentropy
    >>> loss = SmoothedCrossentropy(0.2)(np.array([1]), np.log(np.array([[0.1, 0.9]])))
    >>> bool(np.isclose(loss, -0.1 * np.log(0.1) - 0.9 * np.log(0.9)))
    True
    """

    def __init__(self, label_smoothing: float, **kwargs: Any) -> None:
        super().__init__(**{"name": "smoothed_crossentropy", **kwargs})
        self.label_smoothing = check_number(
            "label_smoothing", label_smoothing, 0, 1, high_open=True
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if tuple(y_true.shape[1:]) != tuple(y_pred.shape[1:]):
            labels = ops.reshape(ops.cast(y_true, "int32"), ops.shape(y_pred)[:-1])
            y_true = rows_of(labels, y_pred.shape[-1], y_pred.dtype)
        return keras.losses.categorical_crossentropy(
            ops.cast(y_true, y_pred.dtype),
            y_pred,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def rows_of(labels: Any, classes: int, dtype: Any) -> Any:
    """One-hot rows of integer labels; NaN for a label of no class, whose row would be zeros."""
    known = ops.logical_and(labels >= 0, labels < classes)
    rows = ops.equal(ops.expand_dims(labels, -1), ops.arange(classes, dtype="int32"))
    return ops.where(ops.expand_dims(known, -1), ops.cast(rows, dtype), ops.cast(np.nan, dtype))
