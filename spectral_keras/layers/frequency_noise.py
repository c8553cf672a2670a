"""Random noise on the spectrum of images."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.global_batch import global_draw
from spectral_keras.ops.mask_curves import (
    LARGEST_NOISE_SIZE,
    NOISE_BANDS,
    VARIANTS,
    check_reference_size,
)
from spectral_keras.ops.spectral_noise import (
    amplitude_noise,
    draw_control,
    draw_even,
    noise_deviation,
)
from spectral_keras.ops.validation import (
    check_bool,
    check_channels,
    check_choice,
    check_data_format,
    check_float_images,
    check_number,
    check_positive_int,
    spatial_shape,
    static_spatial_shape,
)

__all__ = ["FrequencyNoise"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class FrequencyNoise(NamedChoices, keras.layers.Layer):
    """Adds noise to the amplitudes of an image's spectrum, band by band, during training.

        y = F^-1(F(x) + R * F(x)/|F(x)|),   R[k] ~ N(0, sigma * (1 - M[k])),   R[-k] = R[k]

    "Noise in frequency domain" of Jia, Bao and Ma (arXiv 1911.12044, section 3.3).  The control
    matrix M = sum_i alpha_r[i] M_i protects five bands of about equal information (see
    `spectral_keras.augmentation.information`): alpha_r[i] = 1 keeps noise out of band i.  For each
    image one element of alpha_r is uniform on (0, 1) and each of the others is 0 or 1 with equal
    chance.  At inference the layer is the identity.

    What `sigma` means: it is a variance, and F is the DFT without a factor of images in [0, 1].
    With nothing protected the standard deviation of the noise on a pixel is
    sqrt(sigma / (height * width)): for sigma = 1 it is 0.025 on 40 x 40 and 0.03125 on 32 x 32
    pixels.  For the same noise on other sizes scale sigma with the number of pixels.  The paper
    applies it to CIFAR images with a border of 4, before the crop.

    The noise is sampled once for k and -k, which keeps the image real; `variant="printed"` is the
    real part of the paper's, whose variance is half as large but for the frequencies that are their
    own partner.  Where |F| + R < 0 the phase turns by half a turn (16 % of the coefficients on
    CIFAR with sigma = 1); `keep_phase=True` stops at 0 instead.  What else the print leaves open is
    in docs/papers/frequency_interpretation.md.

    Values may leave [0, 1]; they are not clipped.  The gradient by the images is that of the
    identity: the noise counts as a constant, since its derivative R/|F| has no bound.

    Args:
        sigma: variance of an unprotected amplitude, >= 0.
        alpha_r: None to draw it; or five numbers in [0, 1], the protection of the bands at radius
            0 to 9, 10 to 13, 14 to 17, 18 to 20 and 21 to 29.
        uniform_bands: how many elements of a sampled alpha_r are uniform, 1 ... 5.
        probability: chance that an image gets noise, in [0, 1].
        per_channel: True for noise of its own in each channel, False for the same R in all of them
            (on the phase of each).
        keep_phase: whether to stop amplitudes at 0.
        variant: "consistent" or "printed".
        reference_size: side of the images, in pixels, on which the radii are cycles per image, at
            most 41.  None: their own side from 32 to 40 pixels, 32 for smaller and 40 for larger
            images.  The bands carry equal information with 40, on any size.
        seed: integer or None.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float tensor of rank 4; height and width known in training.
        training: whether to add noise.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`; channels known.

    Output shape:
        As the input.

    Raises:
        ValueError: an argument is out of its range, height, width or channels are unknown, or the
            images are integers.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import FrequencyNoise
    >>> x = np.random.default_rng(0).random((4, 40, 40, 3), dtype="float32")
    >>> noise = FrequencyNoise(alpha_r=[0] * 5, seed=1)(x, training=True) - x
    >>> round(float(np.std(noise)), 3)
    0.025
    >>> y = FrequencyNoise(alpha_r=[1] * 5)(x, training=True)
    >>> bool(np.array_equal(y, x))
    True

    In an input pipeline of TensorFlow:
    `dataset.batch(128).map(lambda x, y: (layer(x, training=True), y))`.
    """

    choices = {"variant": VARIANTS}

    def __init__(
        self,
        sigma: float = 1.0,
        *,
        alpha_r: Any = None,
        uniform_bands: int = 1,
        probability: float = 1.0,
        per_channel: bool = True,
        keep_phase: bool = False,
        variant: str = "consistent",
        reference_size: int | None = None,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sigma = check_number("sigma", sigma, low=0)
        self.alpha_r = _check_control(alpha_r)
        self.uniform_bands = check_positive_int("uniform_bands", uniform_bands)
        if self.uniform_bands > len(NOISE_BANDS):
            raise ValueError(
                f"`uniform_bands` must be in 1..{len(NOISE_BANDS)}. "
                f"Received: uniform_bands={uniform_bands}"
            )
        self.probability = check_number("probability", probability, low=0, high=1)
        self.per_channel = check_bool("per_channel", per_channel)
        self.keep_phase = check_bool("keep_phase", keep_phase)
        self.variant = check_choice("variant", variant, VARIANTS)
        self.reference_size = check_reference_size(reference_size, LARGEST_NOISE_SIZE)
        self.seed = seed
        self.data_format = check_data_format(data_format)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Sequence[int | None]) -> None:
        check_channels(input_shape, self.data_format, "FrequencyNoise")
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        check_float_images(inputs, "FrequencyNoise")
        if not training or self.probability == 0:
            return inputs
        static_spatial_shape(
            inputs.shape, self.data_format, "FrequencyNoise", " in training, for its masks"
        )
        planes = ops.stop_gradient(inputs)
        if self.data_format == "channels_last":
            planes = ops.transpose(planes, (0, 3, 1, 2))
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        planes = planes if dtype == "float64" else ops.cast(planes, "float32")
        amplitudes = ops.cast(self._draw(planes), planes.dtype)
        noise = amplitude_noise(planes, amplitudes, keep_phase=self.keep_phase)
        if self.data_format == "channels_last":
            noise = ops.transpose(noise, (0, 2, 3, 1))
        return inputs + ops.cast(noise, inputs.dtype)

    def _draw(self, planes):
        """R for (batch, channels, height, width) images."""
        batch_size, (channels, height, width) = ops.shape(planes)[0], planes.shape[1:]
        if self.alpha_r is None:
            alpha_r = draw_control(batch_size, self.seed_generator, self.uniform_bands)
        else:
            alpha_r = ops.convert_to_tensor([self.alpha_r], dtype="float32")
        deviation = noise_deviation(
            alpha_r,
            height,
            width,
            self.sigma,
            variant=self.variant,
            reference_size=self.reference_size,
        )
        normal = draw_even(
            batch_size, channels if self.per_channel else 1, height, width, self.seed_generator
        )
        amplitudes = normal * ops.expand_dims(deviation, 1)
        if self.probability < 1:
            shape = (batch_size, 1, 1, 1)
            uniform = global_draw(
                keras.random.uniform, shape, dtype="float32", seed=self.seed_generator
            )
            amplitudes = amplitudes * ops.cast(uniform < self.probability, "float32")
        return amplitudes

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        spatial_shape(input_shape, self.data_format, "FrequencyNoise")
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "sigma": self.sigma,
            # Keras tracks lists by a class of its own.
            "alpha_r": None if self.alpha_r is None else list(self.alpha_r),
            "uniform_bands": self.uniform_bands,
            "probability": self.probability,
            "per_channel": self.per_channel,
            "keep_phase": self.keep_phase,
            "variant": self.variant,
            "reference_size": self.reference_size,
            "seed": self.seed,
            "data_format": self.data_format,
        }


def _check_control(alpha_r):
    """None, or a list of five numbers in [0, 1]."""
    if alpha_r is None:
        return None
    if not isinstance(alpha_r, (list, tuple)) or len(alpha_r) != len(NOISE_BANDS):
        raise ValueError(
            f"`alpha_r` must be None or {len(NOISE_BANDS)} numbers in [0, 1]. "
            f"Received: alpha_r={alpha_r!r}"
        )
    return [check_number("alpha_r", value, low=0, high=1) for value in alpha_r]
