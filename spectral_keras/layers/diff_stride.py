"""Spectral pooling by a trainable stride."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.constraints import AtLeast
from spectral_keras.layers.choices import NamedChoices
from spectral_keras.layers.spectral_pool import SpectralPool
from spectral_keras.ops.learned_stride import (
    initial_size,
    learned_size,
    passband,
    pool_with_passbands,
)
from spectral_keras.ops.resize import NORMS
from spectral_keras.ops.unknown_size import sizes_of
from spectral_keras.ops.validation import (
    as_plain,
    check_bool,
    check_built,
    check_choice,
    check_data_format,
    check_float_images,
    check_identifiers,
    check_number,
    check_size_pair,
    spatial_shape,
)
from spectral_keras.windows import Ramp

__all__ = ["DiffStride"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class DiffStride(NamedChoices, keras.layers.Layer):
    """Shrinks images by strides that are learned.

    The spectrum of an axis of n values is multiplied by W(k) = clip((R + n/(2 s) - |k|) / R, 0, 1)
    with the trainable stride s, cropped to where W > 0, and transformed back (Riad, Teboul,
    Grangier and Zeghidour 2022, arXiv 2202.01653).  About n/s + 2R values remain, an odd number or
    n.  The gradient of s comes through the ramp of W.  In place of FFTs each axis is multiplied by
    one matrix, as in `SpectralPool`, which is as much faster.

    What differs from the published code: the mean of a map is kept; W is the same for k and -k and
    on both axes (there it has n/(2 s) + 1 along the width and for the negative k of an even
    height); the size is odd, a DC bin and pairs (there even: 24 in place of 23 of 32 values at the
    stride 2); the limits of the stride, n/(n - R) and n/2, hold at each call without writing to the
    weight, and for each axis of its own where a stride is shared (there the tighter one for both).

    Args:
        strides: where the strides start: a number of at least 1, or a pair (height, width).
        output_size: None for the paper's layer, whose output follows the strides: it runs on
            TensorFlow, also in graphs but not under XLA, on PyTorch and in eager JAX.  An integer,
            a pair, or "initial" for the size that `strides` give, crops to this size whatever the
            strides become; they change the window only, and the layer compiles and exports
            everywhere.  For images of unknown size "initial" is what the initial strides give for
            the size of each.
        smoothness: R > 0.
        shared: whether one stride serves both axes.
        regularizer: of the strides; `spectral_keras.regularizers.InverseStride` is the paper's.
        norm: "mean" or "ortho", as in `SpectralPool`.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        **kwargs: `name`, `dtype`, `trainable`.

    Attributes:
        strides: the weight, of shape (2,), or (1,) with `shared`; at least 1 after each step.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`.

    Output shape:
        The same with height and width of the output, None where they follow the strides.

    Raises:
        ValueError: an argument is out of its range, the output is larger than the input, or the
            output of a compiled function of JAX follows the strides.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.layers import DiffStride
    >>> x = np.ones((2, 32, 32, 3), "float32")
    >>> layer = DiffStride(2.0)
    >>> tuple(layer(x).shape)
    (2, 23, 23, 3)
    >>> layer.set_weights([np.array([3.2, 4.0])])  # as if learned
    >>> tuple(layer(x).shape), tuple(layer.freeze()(x).shape)
    ((2, 17, 15, 3), (2, 17, 15, 3))
    """

    choices = {"output_size": ("initial",), "norm": NORMS}

    def __init__(
        self,
        strides: float | Sequence[float] = 2.0,
        *,
        output_size: int | Sequence[int] | str | None = None,
        smoothness: float = 4.0,
        shared: bool = False,
        regularizer: Any = None,
        norm: str = "mean",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        pair = list(strides) if isinstance(strides, (list, tuple)) else [strides] * 2
        if len(pair) != 2:
            raise ValueError(f"`strides` must be a number or a pair. Received: strides={strides!r}")
        self._initial = tuple(check_number("strides", s, low=1) for s in pair)
        self.initial_strides = as_plain(strides)
        self.shared = check_bool("shared", shared)
        if shared and pair[0] != pair[1]:
            raise ValueError(
                f"`strides` must be one number with shared=True. Received: strides={strides!r}"
            )
        initial = isinstance(output_size, str) and output_size == "initial"
        self._output_size = None
        if output_size is not None and not initial:
            self._output_size = check_size_pair("output_size", output_size)
        self.output_size = as_plain(output_size)
        self.smoothness = check_number("smoothness", smoothness, low=0, low_open=True)
        check_identifiers(regularizer=regularizer)
        self.regularizer = keras.regularizers.get(regularizer)
        self.norm = check_choice("norm", norm, NORMS)
        self.data_format = check_data_format(data_format)
        # A size that follows a weight is none that XLA knows.
        self.supports_jit = output_size is not None

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._input_size = spatial_shape(input_shape, self.data_format, "DiffStride")
        if self.output_size == "initial":
            self._output_size = self._initial_size(self._input_size)
        self._sizes(input_shape)
        initial = self._initial[: 1 if self.shared else 2]
        self.strides = self.add_weight(
            name="strides",
            shape=(len(initial),),
            initializer=lambda shape, dtype: ops.convert_to_tensor(initial, dtype=dtype),
            regularizer=self.regularizer,
            constraint=AtLeast(1.0),
            dtype="float64" if self.variable_dtype == "float64" else "float32",
            autocast=False,
        )
        self.built = True

    def _sizes(self, input_shape):
        """(height, width) of the output, None where it follows the strides; checked."""
        size = spatial_shape(input_shape, self.data_format, "DiffStride")
        output_size = self._output_size or (None, None)
        if any(
            None not in pair and pair[1] > pair[0] for pair in zip(size, output_size, strict=True)
        ):
            raise ValueError(
                f"`output_size` must be at most the input's height and width {size}. "
                f"Received: output_size={self.output_size!r}"
            )
        return output_size

    def _passbands(self, strides, size):
        strides = ops.convert_to_tensor(strides)
        return [
            passband(strides[0 if self.shared else axis], n, self.smoothness)
            for axis, n in enumerate(size)
        ]

    def _learned_size(self, strides, size):
        passbands = self._passbands(strides, size)
        return tuple(
            learned_size(c, n, self.smoothness) for c, n in zip(passbands, size, strict=True)
        )

    def _initial_size(self, size):
        """What the initial strides give, None where the size is."""
        return tuple(
            n if n is None else initial_size(stride, n, self.smoothness)
            for stride, n in zip(self._initial, size, strict=True)
        )

    def call(self, inputs: Any) -> Any:
        check_float_images(inputs, "DiffStride")
        output_size = self._sizes(inputs.shape)
        size = sizes_of(inputs, self.data_format)
        if self.output_size == "initial":
            known = zip(output_size, self._initial_size(size), strict=True)
            output_size = tuple(new if old is None else old for old, new in known)
        elif None in output_size:
            output_size = self._learned_size(self.strides, size)
        return pool_with_passbands(
            inputs,
            self._passbands(self.strides, size),
            output_size,
            self.smoothness,
            self.norm,
            self.data_format,
        )

    def freeze(self, input_size: int | Sequence[int] | None = None) -> SpectralPool:
        """A `SpectralPool` with this layer's window, of the size that the strides ask for.

        Without an `output_size` it computes what this layer does; with one, the same map with
        fewer values where the strides have grown.

        Args:
            input_size: integer or pair (height, width) of the images, if the layer was built for
                an unknown size.

        Returns:
            A layer without weights, of this one's name and precision.

        Raises:
            ValueError: the layer was not built, or the size is not known.
        """
        check_built(self, "freeze")
        if input_size is not None:
            input_size = check_size_pair("input_size", input_size)
        size = input_size or self._input_size
        if None in size:
            raise ValueError(
                "`freeze` needs a layer that was built for a known size, or `input_size`. "
                f"Received: input_size={input_size!r}"
            )
        strides = ops.convert_to_numpy(self.strides)
        largest = self._output_size or size
        if None in largest:
            largest = self._initial_size(size)
        output_size = [
            min(pair) for pair in zip(self._learned_size(strides, size), largest, strict=True)
        ]
        passbands = [float(c) for c in self._passbands(strides, size)]
        return SpectralPool(
            output_size,
            window=[Ramp(self.smoothness, c) for c in passbands],
            norm=self.norm,
            data_format=self.data_format,
            name=self.name,
            dtype=self.dtype_policy,
        )

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Any:
        if self.output_size == "initial" and self._output_size is None:
            output_size = self._initial_size(
                spatial_shape(input_shape, self.data_format, "DiffStride")
            )
        else:
            output_size = self._sizes(input_shape)
        if self.data_format == "channels_last":
            return (input_shape[0], *output_size, input_shape[3])
        return (*input_shape[:2], *output_size)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "strides": self.initial_strides,
            "output_size": self.output_size,
            "smoothness": self.smoothness,
            "shared": self.shared,
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "norm": self.norm,
            "data_format": self.data_format,
        }
