"""A classifier and, while it trains, augmented images with batch normalisations of their own."""

from typing import Any

import keras

from spectral_keras.layers.fourier_basis_noise import FourierBasisNoise
from spectral_keras.training.adversarial_model import AdversarialModel

__all__ = ["ParallelAugmentationModel"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class ParallelAugmentationModel(AdversarialModel):
    """Trains a classifier on a batch and, beside it, on the batch under strong noise.

        loss = (L(classifier(x), y) + L(parallel(augmentation(x)), y)) / 2

    `parallel` is the classifier itself but for batch normalisations of its own: statistics, scales
    and offsets.  So the noise does not move those that the classifier is used with.  With
    `FourierBasisNoise` it is AFA (Vaish, Wang and Strisciuglio, CVPR 2024, arXiv 2403.01944), whose
    published code computes this mean of two cross-entropies; its variants with a Jensen-Shannon
    term are not here.  Metrics are those of the images as they come.

    Args:
        classifier: built `keras.Model` (functional or sequential) with one input and one output
            [N, K] of logits or probabilities.
        augmentation: Keras layer, called with `training=True` on the images; None for
            `FourierBasisNoise()`.
        **kwargs: `name`, `dtype`.

    Attributes:
        classifier: the classifier that was passed, with the weights of the training; save this one.
        parallel: `keras.Model` of the same layers with the other batch normalisations, which begin
            with the weights of the classifier's.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.training import ParallelAugmentationModel
    >>> classifier = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(),
    ...     keras.layers.Flatten(), keras.layers.Dense(2)])
    >>> model = ParallelAugmentationModel(classifier)
    >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> x, y = np.full((6, 8, 8, 3), 0.5, "float32"), np.zeros(6, "int32")
    >>> sorted(model.fit(x, y, verbose=0).history)
    ['loss']
    """

    def __init__(
        self, classifier: keras.Model, augmentation: keras.Layer | None = None, **kwargs: Any
    ):
        super().__init__(classifier, None, validate_on="clean", **kwargs)
        if augmentation is not None and not isinstance(augmentation, keras.Layer):
            raise ValueError(
                f"`augmentation` must be None or a Keras layer. Received: {augmentation!r}"
            )
        self.augmentation = FourierBasisNoise() if augmentation is None else augmentation
        if not self.augmentation.built:
            self.augmentation.build(classifier.inputs[0].shape)
        self.parallel = _with_own_norms(classifier)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool | None = True,
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        outputs = self.parallel(self.augmentation(x, training=True), training=True)
        return (loss + super().compute_loss(x, y, outputs, sample_weight, training)) / 2

    def get_config(self) -> dict:
        config = super().get_config()
        del config["attack"], config["validate_on"]
        return {**config, "augmentation": keras.saving.serialize_keras_object(self.augmentation)}


def _with_own_norms(model):
    """A model of the same layers, but with copies of its batch normalisations, at any depth."""
    return keras.models.clone_model(model, clone_function=_own_norm_or_same)


def _own_norm_or_same(layer):
    norm = keras.layers.BatchNormalization
    if isinstance(layer, norm):
        copy = type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_parallel"})
        copy.build_from_config(layer.get_build_config())
        copy.set_weights(layer.get_weights())
        return copy
    parts = layer._flatten_layers() if isinstance(layer, keras.Layer) else ()  # else `x + y`
    if not any(isinstance(part, norm) for part in parts):
        return layer
    functional = isinstance(layer, keras.Model) and hasattr(layer, "operations")
    if functional or isinstance(layer, keras.Sequential):
        return _with_own_norms(layer)
    raise ValueError(
        "`classifier` must have its batch normalisations in functional or sequential models, to be "
        f"copied alone. Received: one within the layer {layer.name!r} of type "
        f"{type(layer).__name__}"
    )
