"""What models that train a classifier with a second loss have in common."""

from typing import Any

import keras
from keras import ops

from spectral_keras.training.adversarial_model import AdversarialModel
from spectral_keras.training.replicas import number_of_replicas, part_of_global_mean

__all__ = ["AuxiliaryLossModel"]


class AuxiliaryLossModel(AdversarialModel):
    """Abstract: the loss of a classifier plus `weight` times a second loss of each image.

    A subclass calls `_track_losses`, hands `call` a dict in its steps (`_as_inputs`), answers it
    with a dict that has the classifier's output as "outputs", and computes the second loss of each
    image from that dict in `_image_losses`.
    """

    def _track_losses(self):
        self._image_loss = _ImageLoss(name="auxiliary_loss")
        self._classification_tracker = keras.metrics.Mean(name="classification_loss")
        self._auxiliary_tracker = keras.metrics.Mean(name="auxiliary_loss")

    def _image_losses(self, y_pred):
        """The second loss of each image, [N]; every subclass has its own."""
        raise NotImplementedError("abstract: AuxiliaryModel and others define it")

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool | None = True,
    ) -> Any:
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        classification = super().compute_loss(x, y, y_pred["outputs"], sample_weight, training)
        losses = self._image_losses(y_pred)
        count = ops.shape(y_pred["outputs"])[0]
        auxiliary = self._image_loss(losses, losses, sample_weight)
        auxiliary = part_of_global_mean(auxiliary, count)
        replicas = number_of_replicas()
        self._classification_tracker.update_state(classification * replicas, count)
        self._auxiliary_tracker.update_state(auxiliary * replicas, count)
        return classification + self.weight * auxiliary

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        if isinstance(y_pred, dict):
            y_pred = y_pred["outputs"]
        return super().compute_metrics(x, y, y_pred, sample_weight)


class _ImageLoss(keras.losses.Loss):
    """Passes the losses of the images on, [N], so that sample weights weigh images.

    A loss object, because that is what Keras scales under a distribution strategy.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            sample_weight = ops.reshape(sample_weight, (-1,))
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        return y_pred
