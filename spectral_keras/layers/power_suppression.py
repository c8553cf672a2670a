"""Random power suppression of images."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.mask_curves import VARIANTS, check_reference_size
from spectral_keras.ops.suppression import (
    ALPHA_SENSES,
    draw_suppression,
    identity_alpha,
    suppress_power,
)
from spectral_keras.ops.validation import (
    as_plain,
    check_bool,
    check_choice,
    check_data_format,
    check_float_images,
    check_number,
    spatial_shape,
)

__all__ = ["PowerSuppression"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class PowerSuppression(NamedChoices, keras.layers.Layer):
    """Damps all frequencies of an image but one band, during training.

    Each image is chosen with `probability`; a chosen one keeps its low, its medium or its high
    frequencies (one mask M of the three, with equal chance), and the others are damped:

        y = F^-1(F(x) * (alpha + (1 - alpha) M))

    "Power suppression" of Jia, Bao and Ma (arXiv 1911.12044, section 3.2).  The masks are in
    `spectral_keras.ops.mask_curves`; all of them keep the mean of the image.  At inference the
    layer is the identity.

    The paper uses alpha in two senses and prints a low-pass for m_H: what `alpha_is="suppressed"`
    and `variant="printed"` are for is in docs/papers/frequency_interpretation.md.

    The layer is linear, so images may have any range; as it stands for [0, 1] before any
    normalisation in the paper, put it first.

    Args:
        probability: chance that an image is suppressed, in [0, 1]; the paper's is 1/3.
        alpha: pair (low, high) in [0, 1], alpha is uniform on it; or one number.
        alpha_is: "kept" or "suppressed".
        variant: "consistent" or "printed".
        reference_size: side of the images, in pixels, on which the radii of the masks are cycles
            per image.  None: their own side from 32 to 40 pixels, as in the paper, 32 for smaller
            and 40 for larger images.
        return_labels: whether to return what was sampled along with the images.
        seed: integer or None.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float tensor of rank 4; height and width known in training.
        training: whether to suppress.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; any number of channels, all damped alike.

    Output shape:
        As the input.  With `return_labels` a pair (images, labels), labels["band"] of shape
        (batch,), int32: 0 low, 1 medium, 2 high, -1 not suppressed; and labels["alpha"] of shape
        (batch,), float32: in the sense of `alpha_is`, for an image that is not suppressed the
        value that changes nothing (1 kept, 0 suppressed).

    Raises:
        ValueError: an argument is out of its range, height or width is unknown, or the images are
            integers.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import PowerSuppression
    >>> x = np.random.default_rng(0).random((4, 32, 32, 3), dtype="float32")
    >>> layer = PowerSuppression(1.0, return_labels=True, seed=1)
    >>> y, labels = layer(x, training=True)
    >>> tuple(y.shape), sorted(labels)
    ((4, 32, 32, 3), ['alpha', 'band'])
    >>> bool(np.allclose(np.mean(y, (1, 2)), x.mean((1, 2)), atol=1e-5))
    True

    In an input pipeline of TensorFlow:
    `dataset.batch(128).map(lambda x, y: (layer(x, training=True), y))`.
    """

    choices = {"alpha_is": ALPHA_SENSES, "variant": VARIANTS}

    def __init__(
        self,
        probability: Any = 1 / 3,
        *,
        alpha: Any = (0.0, 1.0),
        alpha_is: str = "kept",
        variant: str = "consistent",
        reference_size: int | None = None,
        return_labels: bool = False,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.probability = check_number("probability", probability, low=0, high=1)
        self._alpha_range = _check_range(alpha)
        self.alpha = as_plain(alpha)
        self.alpha_is = check_choice("alpha_is", alpha_is, ALPHA_SENSES)
        self.variant = check_choice("variant", variant, VARIANTS)
        self.reference_size = check_reference_size(reference_size)
        self.return_labels = check_bool("return_labels", return_labels)
        self.seed = seed
        self.data_format = check_data_format(data_format)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Sequence[int | None]) -> None:
        spatial_shape(input_shape, self.data_format, "PowerSuppression")
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        check_float_images(inputs, "PowerSuppression")
        batch_size = ops.shape(inputs)[0]
        if training and self.probability > 0:
            band, alpha = draw_suppression(
                batch_size,
                self.probability,
                self._alpha_range,
                self.seed_generator,
                alpha_is=self.alpha_is,
            )
            outputs = suppress_power(
                inputs,
                band,
                alpha,
                alpha_is=self.alpha_is,
                variant=self.variant,
                reference_size=self.reference_size,
                data_format=self.data_format,
            )
        else:
            outputs = inputs
            if self.return_labels:
                band = ops.full((batch_size,), -1, dtype="int32")
                alpha = ops.full((batch_size,), identity_alpha(self.alpha_is), dtype="float32")
        return (outputs, {"band": band, "alpha": alpha}) if self.return_labels else outputs

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        shape = tuple(input_shape)
        spatial_shape(shape, self.data_format, "PowerSuppression")
        return (shape, {"band": shape[:1], "alpha": shape[:1]}) if self.return_labels else shape

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        spatial_shape(inputs.shape, self.data_format, "PowerSuppression")
        images = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        if not self.return_labels:
            return images
        batch = inputs.shape[:1]
        return images, {
            "band": keras.KerasTensor(batch, dtype="int32"),
            "alpha": keras.KerasTensor(batch, dtype="float32"),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "probability": self.probability,
            "alpha": self.alpha,
            "alpha_is": self.alpha_is,
            "variant": self.variant,
            "reference_size": self.reference_size,
            "return_labels": self.return_labels,
            "seed": self.seed,
            "data_format": self.data_format,
        }


def _check_range(alpha):
    """(low, high) of a pair or of one number."""
    pair = alpha if isinstance(alpha, (list, tuple)) else (alpha, alpha)
    if len(pair) != 2:
        raise ValueError(f"`alpha` must be a number or a pair (low, high). Received: {alpha!r}")
    low = check_number("alpha", pair[0], low=0, high=1)
    return low, check_number("alpha", pair[1], low=low, high=1)
