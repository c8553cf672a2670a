"""A classifier trained on mixtures of images and of their labels."""

from typing import Any

import keras
from keras import ops

from spectral_keras.training.adversarial_model import AdversarialModel
from spectral_keras.training.smoothed_crossentropy import rows_of

__all__ = ["MixingModel"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class MixingModel(AdversarialModel):
    """Trains a classifier on mixed images.

    In each step of `fit` a layer mixes the images of the batch and their labels, integers, which
    are made one-hot for it, or rows, as Keras' `MixUp` and `CutMix` and our `FMix` do.  The loss
    is that of the mixed labels, the accuracy in training is that for the larger part of a mixture;
    validation, `evaluate` and `predict` see the images as they are.  Weights of samples are not
    mixed: a mixture has that of the image at its place in the batch.

    Args:
        classifier: built `keras.Model` (functional or sequential) with one input and one output
            [N, K] of logits or probabilities.
        mixing: Keras layer of a dict of "images" and one-hot "labels", called with `training=True`.
        **kwargs: `name`, `dtype`.

    Compile it with a loss that takes integer labels and rows alike, as `SmoothedCrossentropy` does.

    Attributes:
        classifier: the classifier that was passed, with the weights of the training; save this one.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.layers import FMix
    >>> from spectral_keras.training import MixingModel, SmoothedCrossentropy
    >>> classifier = keras.Sequential(
    ...     [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    >>> model = MixingModel(classifier, FMix(seed=1))
    >>> model.compile("sgd", SmoothedCrossentropy(0.0))
    >>> x, y = np.full((6, 8, 8, 3), 0.5, "float32"), np.zeros(6, "int32")
    >>> sorted(model.fit(x, y, verbose=0).history)
    ['loss']
    """

    def __init__(self, classifier: keras.Model, mixing: keras.Layer, **kwargs: Any):
        super().__init__(classifier, None, validate_on="clean", **kwargs)
        if not isinstance(mixing, keras.Layer):
            raise ValueError(f"`mixing` must be a Keras layer. Received: {mixing!r}")
        if classifier.outputs[0].shape[-1] < 2:  # labels are mixed as rows, one number a class
            raise ValueError(
                "`classifier` must have an output for each class. Received: outputs of shape "
                f"{tuple(classifier.outputs[0].shape)}"
            )
        self.mixing = mixing
        if not mixing.built:
            images, labels = classifier.inputs[0].shape, classifier.outputs[0].shape
            mixing.build({"images": images, "labels": labels})

    def _prepared(self, data, training):
        if not training:
            return data
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        classes = self.classifier.outputs[0].shape[-1]
        dtype = keras.backend.result_type(x.dtype, "float32")  # images may be integers
        if len(y.shape) == 2 and y.shape[-1] == classes:
            labels = ops.cast(y, dtype)
        else:
            labels = rows_of(ops.reshape(ops.cast(y, "int32"), (-1,)), classes, dtype)
        mixed = self.mixing({"images": x, "labels": labels}, training=True)
        return keras.utils.pack_x_y_sample_weight(mixed["images"], mixed["labels"], sample_weight)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        if len(y.shape) == 2 and y.shape[-1] == y_pred.shape[-1]:
            y = ops.argmax(y, axis=-1)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["attack"], config["validate_on"]
        return {**config, "mixing": keras.saving.serialize_keras_object(self.mixing)}
