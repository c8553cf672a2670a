"""Dropout of high frequencies."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.frequency_dropout import draw_side, frequency_dropout
from spectral_keras.ops.resize import IMPLEMENTATIONS
from spectral_keras.ops.unknown_size import sizes_of
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_data_format,
    check_float_images,
    check_number,
    spatial_shape,
)

__all__ = ["FrequencyDropout"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class FrequencyDropout(NamedChoices, keras.layers.Layer):
    """Zeroes the frequencies outside a central square of random side, during training.

    At each training step a side R is sampled, uniform on the integers {ceil(min_fraction * n), ...,
    n} for maps of n x n, and only the frequencies |k| < R/2 of either axis are kept: nested
    dropout on frequencies (Rippel, Snoek and Adams 2015, arXiv 1506.03767, section 3.3,
    "regularization via resolution corruption").  R = 1 leaves the mean of each map, R = n leaves
    the map as it is.  As in the paper there is one draw for the whole batch, the maps that remain
    are not rescaled (the mean is never dropped), and at inference the layer is the identity.
    `spectral_keras.ops.frequency_dropout_floor` gives the paper's `min_fraction` of each layer.

    The report (section III.B) follows the paper; its published code never applied it.

    Maps that are not square: R is sampled for the longer side and scaled to the shorter one,
    ceil(R * n_short / n_long).

    Args:
        min_fraction: number in [0, 1], the smallest kept fraction of the side; R is at least 1.
            With 1 the layer does nothing.
        per_sample: one draw for each sample instead of one for the batch.
        seed: integer or None.
        implementation: "matmul", a real projection matrix for each axis; "fft"; or "auto", the
            faster one for the size at hand.  They agree to rounding errors.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float tensor of rank 4.
        training: whether to drop.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`.

    Output shape:
        As the input.

    Raises:
        ValueError: an argument is out of its range.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import FrequencyDropout
    >>> x = np.random.default_rng(0).random((4, 16, 16, 3), dtype="float32")
    >>> layer = FrequencyDropout(0.25, seed=1)
    >>> tuple(layer(x, training=True).shape)
    (4, 16, 16, 3)
    >>> bool(np.array_equal(layer(x), x))
    True
    """

    choices = {"implementation": IMPLEMENTATIONS}

    def __init__(
        self,
        min_fraction: float,
        *,
        per_sample: bool = False,
        seed: Any = None,
        implementation: str = "auto",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.min_fraction = check_number("min_fraction", min_fraction, low=0, high=1)
        self.per_sample = check_bool("per_sample", per_sample)
        self.seed = seed
        self.implementation = check_choice("implementation", implementation, IMPLEMENTATIONS)
        self.data_format = check_data_format(data_format)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        spatial_shape(input_shape, self.data_format, "FrequencyDropout")
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        check_float_images(inputs, "FrequencyDropout")
        if not training or self.min_fraction == 1:
            return inputs
        side = draw_side(
            sizes_of(inputs, self.data_format),
            self.min_fraction,
            self.seed_generator,
            batch_size=ops.shape(inputs)[0] if self.per_sample else None,
        )
        return frequency_dropout(
            inputs, side, implementation=self.implementation, data_format=self.data_format
        )

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        spatial_shape(input_shape, self.data_format, "FrequencyDropout")
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "min_fraction": self.min_fraction,
                "per_sample": self.per_sample,
                "seed": self.seed,
                "implementation": self.implementation,
                "data_format": self.data_format,
            }
        )
        return config
