"""Pooling by truncation of the spectrum."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras import windows
from spectral_keras.layers.choices import NamedChoices
from spectral_keras.ops.frequencies import floor_of_fraction
from spectral_keras.ops.frequency_dropout import draw_side, frequency_dropout
from spectral_keras.ops.plain_crop import CROP_RULES, plain_crop
from spectral_keras.ops.resize import (
    IMPLEMENTATIONS,
    NORMS,
    NYQUIST_RULES,
    resize,
    resize_of_unknown_size,
)
from spectral_keras.ops.unknown_size import floor_of, sizes_of
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_data_format,
    check_float_images,
    check_number,
    check_size_pair,
    spatial_shape,
)

__all__ = ["SpectralPool"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class SpectralPool(NamedChoices, keras.layers.Layer):
    """Shrinks images by keeping the central part of their spectrum.

    With the DFT F over height and width, y = Re F^-1(crop(F(x))): all frequencies below the
    Nyquist frequency of the smaller grid survive, so for the same number of values far more of
    the image is kept than by max or average pooling, and any output size up to the input size is
    possible (Rippel, Snoek and Adams 2015, arXiv 1506.03767, section 3.1).  The gradient is the
    adjoint: the spectrum of the upstream gradient, padded with zeros.

    The default implementation multiplies each axis by the real matrix of that linear map, which
    needs no complex numbers and is an order of magnitude faster than FFTs at the usual sizes.

    What the report's Algorithms 1 and 2 get wrong is in docs/papers/spectral_representations.md.

    Args:
        output_size: integer or pair (height, width), at most the input size.
        scale: instead of `output_size`, a number in (0, 1]; each side n becomes floor(scale * n),
            at least 1.  Exactly one of the two must be given.
        nyquist: what becomes of the Nyquist frequency n/2 of an even output size n, which is a
            single bin for the input's +n/2 and -n/2: w * (F[n/2] + F[-n/2]).
            "average": w = 1/2, the real part of the plain crop;
            "sum": w = 1, the image is sampled, equal to `scipy.signal.resample` on each axis;
            "isometric": w = 1/sqrt(2), with `norm="ortho"` the map P fulfils P P^T = identity;
            "drop": w = 0.
            "crop" and "hartley" are plain crops of both axes at once, as published, for
            comparison: of the Fourier transform (Grabinski et al. 2022, arXiv 2204.00491, "FLC",
            at half the size), which differs from "average" in the corner of the spectrum only, and
            of the Hartley transform, see `HartleySpectralPool`.
            An axis that keeps its size is left alone.
        norm: "mean" keeps the mean of each map, and so a constant image; "ortho" is the pair of
            unitary transforms of the paper, which multiplies the mean by sqrt(H W/(H_out W_out)).
        implementation: "matmul", "fft", or "auto", the faster one for the sizes at hand (FFTs
            from maps of about 400 x 400 on).  They agree to rounding errors.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        frequency_dropout: None, or a number in [0, 1]: during training the `min_fraction` of a
            `FrequencyDropout` of the pooled maps, in the same pass.  Same numbers as the two
            layers one after the other, without the cost of the second.
        per_sample: with `frequency_dropout`, one draw for each sample instead of each batch.
        seed: with `frequency_dropout`, an integer or None.
        window: what the kept frequencies of each axis are multiplied with, against the ringing of a
            sharp cut: None; "hamming" (`spectral_keras.windows.hamming`, with the size halved the
            pooling "ASAP"); a number R, for a ramp over the last R of them
            (`spectral_keras.windows.Ramp`); a function (frequency, size_in, size_out) of the
            frequencies 0 ... size_out//2, an array, or a tensor where the size is unknown, which to
            be saved is registered with Keras; or a pair of these for height and width.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float tensor of rank 4.
        training: whether to apply the frequency dropout.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`.

    Output shape:
        The same with height and width of the output.

    Raises:
        ValueError: an argument is out of its range, both or none of `output_size` and `scale` are
            given, `frequency_dropout` is given for a plain crop, or the output is larger than the
            input (of an unknown size this is not seen, and a smaller image is enlarged).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import SpectralPool
    >>> x = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    >>> np.asarray(SpectralPool(2)(x))[0, :, :, 0].round(4).tolist()
    [[5.0, 6.0], [9.0, 10.0]]
    >>> tuple(SpectralPool(scale=0.85)(np.ones((2, 32, 20, 3), "float32")).shape)
    (2, 27, 17, 3)
    """

    choices = {
        "nyquist": (*NYQUIST_RULES, *CROP_RULES),
        "norm": NORMS,
        "implementation": IMPLEMENTATIONS,
        "window": ("hamming",),
    }

    def __init__(
        self,
        output_size: int | Sequence[int] | None = None,
        *,
        scale: float | None = None,
        nyquist: str = "average",
        norm: str = "mean",
        implementation: str = "auto",
        data_format: str | None = None,
        frequency_dropout: float | None = None,
        per_sample: bool = False,
        seed: Any = None,
        window: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (output_size is None) == (scale is None):
            raise ValueError(
                "Exactly one of `output_size` and `scale` must be given. "
                f"Received: output_size={output_size!r}, scale={scale!r}"
            )
        self._output_size = None
        if output_size is not None:
            self._output_size = check_size_pair("output_size", output_size)
            # Plain integers, one or two as they were given.
            pair = isinstance(output_size, (list, tuple))
            output_size = self._output_size if pair else self._output_size[0]
        else:
            scale = check_number("scale", scale, low=0, low_open=True, high=1)
        if frequency_dropout is not None:
            frequency_dropout = check_number("frequency_dropout", frequency_dropout, low=0, high=1)
        self.output_size = output_size
        self.scale = scale
        self.nyquist = check_choice("nyquist", nyquist, self.choices["nyquist"])
        if frequency_dropout is not None and nyquist in CROP_RULES:
            raise ValueError(
                f"`frequency_dropout` must be None with nyquist={nyquist!r}, a plain crop. "
                f"Received: frequency_dropout={frequency_dropout!r}"
            )
        self.norm = check_choice("norm", norm, NORMS)
        self.implementation = check_choice("implementation", implementation, IMPLEMENTATIONS)
        self.data_format = check_data_format(data_format)
        self.frequency_dropout = frequency_dropout
        self.per_sample = check_bool("per_sample", per_sample)
        self.seed = seed
        self.window = windows.deserialize(window)
        self._windows = windows.get(self.window)
        if frequency_dropout is not None:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._sizes(input_shape)
        self.built = True

    def _sizes(self, input_shape):
        """(height, width) of input and output, checked."""
        size = spatial_shape(input_shape, self.data_format, type(self).__name__)
        output_size = self._output_size or tuple(
            None if n is None else floor_of_fraction(self.scale, n) for n in size
        )
        if any(
            None not in pair and pair[1] > pair[0] for pair in zip(size, output_size, strict=True)
        ):
            raise ValueError(
                f"`output_size` must be at most the input's height and width {size}: SpectralPool "
                f"only shrinks, `spectral_resize` also enlarges. "
                f"Received: output_size={self.output_size!r}, input shape {tuple(input_shape)}"
            )
        return size, output_size

    def call(self, inputs: Any, training: bool = False) -> Any:
        check_float_images(inputs, type(self).__name__)
        _, output_size = self._sizes(inputs.shape)
        if None in output_size:
            size = sizes_of(inputs, self.data_format)
            output_size = tuple(floor_of(self.scale, n) for n in size)
        options = (self.norm, self.implementation, self.data_format, self._windows)
        if self.nyquist in CROP_RULES:
            return plain_crop(inputs, output_size, self.nyquist, *options)
        if not training or self.frequency_dropout in (None, 1):
            if None in inputs.shape[1:]:
                return resize_of_unknown_size(
                    inputs,
                    output_size,
                    self.nyquist,
                    self.norm,
                    self.data_format,
                    windows=self._windows,
                )
            return resize(inputs, output_size, self.nyquist, *options)
        side = draw_side(
            output_size,
            self.frequency_dropout,
            self.seed_generator,
            batch_size=ops.shape(inputs)[0] if self.per_sample else None,
        )
        return frequency_dropout(
            inputs,
            side,
            output_size=output_size,
            nyquist=self.nyquist,
            norm=self.norm,
            implementation=self.implementation,
            data_format=self.data_format,
            windows=self._windows,
        )

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        _, output_size = self._sizes(input_shape)
        if self.data_format == "channels_last":
            return (input_shape[0], *output_size, input_shape[3])
        return (*input_shape[:2], *output_size)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "output_size": self.output_size,
                "scale": self.scale,
                "nyquist": self.nyquist,
                "norm": self.norm,
                "implementation": self.implementation,
                "data_format": self.data_format,
                "frequency_dropout": self.frequency_dropout,
                "per_sample": self.per_sample,
                "seed": self.seed,
                "window": windows.serialize(self.window),
            }
        )
        return config
