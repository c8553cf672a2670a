"""One planar wave on each channel of an image."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.planar_waves import random_waves
from spectral_keras.ops.validation import (
    check_channels,
    check_clip,
    check_data_format,
    check_float_images,
    check_number,
    check_positive_int,
    spatial_shape,
    static_spatial_shape,
)

__all__ = ["FourierBasisNoise"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class FourierBasisNoise(keras.layers.Layer):
    """Adds one planar wave of a random frequency and direction to each channel, during training.

        y = clip(x + s W / ||W||),   W = sin(2 pi f (u cos w + v sin w) - pi/4)

    The augmentation of AFA, "Fourier-basis functions to bridge augmentation gap" (Vaish, Wang and
    Strisciuglio, CVPR 2024, arXiv 2403.01944): no image is left with a look that people would
    expect, but every frequency is met.  f is one of `frequencies` with equal chance, in periods
    over the smaller side; w is uniform on [0, pi); the strength s is exponential with mean
    `strength`, times sqrt(height width) / 32, so that the root mean square of the wave is s / 32
    of the grey range on any size.  AFA trains with it beside the plain images, through batch
    normalisations of their own: `spectral_keras.training.ParallelAugmentationModel`.

    The published code samples the angle from 64 values, and its pixels are n / (n - 1) apart, so
    that a wave has a little more than f periods an image.  Frequencies above half the side alias,
    there and here.

    Args:
        strength: mean of s, >= 0.
        frequencies: None for 1, 2, ... the smaller side; or positive integers.
        probability: chance that an image gets waves, in [0, 1].
        clip: (low, high), the range to which results are clipped, or None.
        seed: integer or None.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float tensor of rank 4; height, width and channels known in training.
        training: whether to add waves.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`.

    Output shape:
        As the input.

    Raises:
        ValueError: an argument is out of its range, height, width or channels are unknown, or the
            images are integers.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import FourierBasisNoise
    >>> x = np.full((4, 32, 32, 3), 0.5, "float32")
    >>> wave = np.array(FourierBasisNoise(frequencies=[5], clip=None)(x, training=True)) - x
    >>> k = np.argmax(abs(np.fft.rfft2(wave[0, :, :, 0])))  # near radius 5
    >>> bool(4 <= np.hypot(np.fft.fftfreq(32, 1 / 32)[k // 17], k % 17) <= 6)
    True
    """

    def __init__(
        self,
        strength: float = 5.0,
        *,
        frequencies: Sequence[int] | None = None,
        probability: float = 1.0,
        clip: Sequence[float] | None = (0.0, 1.0),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.strength = check_number("strength", strength, low=0)
        if frequencies is not None:
            if not isinstance(frequencies, (list, tuple)) or not frequencies:
                raise ValueError(
                    "`frequencies` must be None or positive integers. "
                    f"Received: frequencies={frequencies!r}"
                )
            frequencies = [check_positive_int("frequencies", f) for f in frequencies]
        self.frequencies = frequencies
        self.probability = check_number("probability", probability, low=0, high=1)
        self.clip = check_clip(clip)
        self.seed = seed
        self.data_format = check_data_format(data_format)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Sequence[int | None]) -> None:
        check_channels(input_shape, self.data_format, "FourierBasisNoise")
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        check_float_images(inputs, "FourierBasisNoise")
        if not training or self.probability == 0:
            return inputs
        size = static_spatial_shape(
            inputs.shape, self.data_format, "FourierBasisNoise", " in training"
        )
        last = self.data_format == "channels_last"
        count, channels = ops.shape(inputs)[0], inputs.shape[3 if last else 1]
        waves = random_waves(
            size, lambda: self._uniform(count, channels), self.strength, self.frequencies
        )
        if last:
            waves = ops.transpose(waves, (0, 2, 3, 1))
        noisy = inputs + ops.cast(waves, inputs.dtype)
        noisy = noisy if self.clip is None else ops.clip(noisy, *self.clip)
        chosen = self._uniform(count, 1)[:, :, None, None] < self.probability
        return ops.where(chosen, noisy, inputs)

    def _uniform(self, count, channels):
        return global_draw(
            keras.random.uniform, (count, channels), dtype="float32", seed=self.seed_generator
        )

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        spatial_shape(input_shape, self.data_format, "FourierBasisNoise")
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "strength": self.strength,
            # Keras tracks lists by a class of its own.
            "frequencies": None if self.frequencies is None else list(self.frequencies),
            "probability": self.probability,
            "clip": None if self.clip is None else list(self.clip),
            "seed": self.seed,
            "data_format": self.data_format,
        }
