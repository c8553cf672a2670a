"""Pairs of images mixed by masks of low frequency."""

from typing import Any

import keras
import numpy as np
import scipy.special
from keras import ops

from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.noise_masks import low_frequency_noise, top_share
from spectral_keras.ops.validation import (
    check_data_format,
    check_float_images,
    check_number,
    spatial_shape,
    static_spatial_shape,
)

__all__ = ["FMix"]

# Steps of the table of the Beta distribution, between which quantiles are interpolated.
_STEPS = 4096


@keras.saving.register_keras_serializable(package="spectral_keras")
class FMix(keras.layers.Layer):
    """Mixes each image with another of the batch by a binary mask of low frequency, and the labels.

        y = M x + (1 - M) x',   label = m label(x) + (1 - m) label(x'),   m = mean of M

    FMix (Harris et al. 2020, arXiv 2002.12047): M is 1 at the largest values of noise whose
    amplitudes fall with the frequency f as max(f, 1 / longer side)^-decay.  m is sampled from
    Beta(alpha, alpha) and rounded to whole pixels, so that the labels are mixed by exactly the
    share of pixels.  Each image has its own mask, as with Keras' `CutMix`.  The others come by a
    permutation, in which one image on average meets itself.  At inference the layer is the
    identity.

    In the published code all images of a batch share a mask, and labels are mixed by m before it
    is rounded.  There the real and imaginary parts of the noise lie side by side as columns of
    their own, so that the spectrum is real and every mask is point symmetric; here it is complex.

    Args:
        alpha: parameter of the Beta distribution, > 0; 1 is the uniform one.
        decay: power with which the amplitudes fall, >= 0.
        seed: integer or None.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float images of rank 4, or as with Keras' `MixUp` and `CutMix` a dict of "images"
            and "labels", one-hot (or other) rows of shape (batch, classes); height and width known
            in training.  Integer labels of rank 1 have no mixture: `keras.ops.one_hot` first.
        training: whether to mix.

    Output shape:
        As the input; labels in the layer's compute dtype.

    Raises:
        ValueError: an argument is out of its range, height or width are unknown, images are
            integers or labels are no rows.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import FMix
    >>> batch = {"images": np.eye(2)[:, :, None, None] * np.ones((2, 2, 6, 6)), "labels": np.eye(2)}
    >>> mixed = FMix(seed=1, data_format="channels_first")(batch, training=True)
    >>> shares = np.mean(mixed["images"], axis=(2, 3))  # of the pixels of each class
    >>> bool(np.allclose(shares, mixed["labels"], atol=1e-6))
    True

    In an input pipeline of TensorFlow:
    `dataset.batch(128).map(lambda x, y: mix({"images": x, "labels": y}, training=True))`.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        decay: float = 3.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha = check_number("alpha", alpha, low=0, low_open=True)
        self.decay = check_number("decay", decay, low=0)
        self.seed = seed
        self.data_format = check_data_format(data_format)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        has_labels = isinstance(inputs, dict)
        images = inputs["images"] if has_labels else inputs
        check_float_images(images, "FMix")
        # TensorFlow may not know how many axes labels have.
        if has_labels and getattr(inputs["labels"].shape, "rank", 2) is not None:
            self.compute_output_shape({name: part.shape for name, part in inputs.items()})
        labels = ops.cast(inputs["labels"], self.compute_dtype) if has_labels else None
        if training:
            images, labels = self._mix(images, labels)
        return {"images": images, "labels": labels} if has_labels else images

    def _mix(self, images, labels):
        height, width = static_spatial_shape(
            images.shape, self.data_format, "FMix", " in training, for its masks"
        )
        count = ops.shape(images)[0]
        order = ops.argsort(self._draw(keras.random.uniform, (count,)))
        share = _quantiles(self._draw(keras.random.uniform, (count,)), self.alpha)
        parts = (self._draw(keras.random.normal, (count, height, width // 2 + 1)) for _ in range(2))
        mask, share = top_share(low_frequency_noise(*parts, width, self.decay), share)
        mask = ops.expand_dims(mask, 3 if self.data_format == "channels_last" else 1)
        images = ops.where(mask, images, ops.take(images, order, axis=0))
        if labels is not None:
            share = ops.cast(share, labels.dtype)[:, None]
            labels = share * labels + (1 - share) * ops.take(labels, order, axis=0)
        return images, labels

    def _draw(self, function, shape):
        return global_draw(function, shape, dtype="float32", seed=self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, dict):
            spatial_shape(input_shape, self.data_format, "FMix")
            return tuple(input_shape)
        if set(input_shape) != {"images", "labels"} or len(input_shape["labels"]) != 2:
            shapes = {name: tuple(shape) for name, shape in input_shape.items()}
            raise ValueError(
                'FMix expects images, or a dict of "images" and of "labels" of shape '
                f"(batch, classes). Received: {shapes}"
            )
        spatial_shape(input_shape["images"], self.data_format, "FMix")
        return {name: tuple(shape) for name, shape in input_shape.items()}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "decay": self.decay,
            "seed": self.seed,
            "data_format": self.data_format,
        }


def _quantiles(uniform, alpha):
    """Beta(alpha, alpha) from uniform numbers; XLA has no `keras.random.beta`."""
    table = scipy.special.betaincinv(alpha, alpha, np.linspace(0, 1, _STEPS + 1))
    table = ops.convert_to_tensor(table.astype("float32"))
    place = uniform * _STEPS
    below = ops.floor(place)
    low, high = (ops.take(table, ops.cast(below, "int32") + i) for i in (0, 1))
    return low + (place - below) * (high - low)
