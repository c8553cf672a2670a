"""Convolution whose kernel is parametrised in the frequency domain."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.layers.choices import NamedChoices
from spectral_keras.layers.conv2d import Conv2D
from spectral_keras.ops.kernel_dft import (
    PARAMETRIZATIONS,
    kernel_from_spectrum,
    kernel_spectrum,
    spectral_sizes,
)
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_float_images,
    check_identifiers,
)

__all__ = ["PARAMETRIZATIONS", "SpectralConv2D"]


@keras.saving.register_keras_serializable(package="spectral_keras")
class SpectralConv2D(NamedChoices, Conv2D):
    """2-D convolution with a spectrally parametrised kernel.

    The trainable weights are the real and the imaginary part of the kernel's discrete Fourier
    transform.  At every call the inverse transform gives the spatial kernel

        w = Re F^-1(kernel_real + i kernel_imag),

    with the unitary DFT over the two kernel axes, and w is used in an ordinary convolution: the
    layer computes exactly what `keras.layers.Conv2D` computes, only the coordinates in which the
    optimiser moves differ (Rippel, Snoek and Adams 2015, section 3.2; the report's section III.A
    and Figure 2).  It starts where a `Conv2D` with the same initializer and seed starts: the
    parameters are the DFT of that spatial sample.

    What to expect.  With the unitary DFT and "full" parametrisation, a step of plain SGD (with or
    without momentum) moves w by exactly the step of the spatial layer, so the two are the same
    optimisation.  Adaptive optimisers such as Adam scale each coefficient by itself, and there
    the parametrisation makes a difference.

    Parametrisations:

    - "full": two tables of shape (kh, kw, in/groups, filters), 2*kh*kw numbers for each spatial
      kernel of kh*kw.  The redundant half (the part of the table that is not Hermitian) has no
      gradient and keeps its value.
    - "hermitian": the kh*kw free real numbers only, one of each conjugate pair: `kernel_real` of
      shape (n_real, in/groups, filters) and `kernel_imag` of shape (n_imag, in/groups, filters),
      3x3: 5 + 4, 5x5: 13 + 12.  `kernel_imag` is None where no bin has a free imaginary part
      (1x1, 2x2).  As a stored coefficient stands for its pair, SGD moves paired ones twice as far.
    - "orthogonal": no spectrum but the kernel's kh*kw coordinates in a random orthogonal basis (the
      same one for all kernels of a size), in `kernel_real`; the control for whether a gain is that
      of the Fourier basis or of any rotation under an adaptive optimiser.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation,
            use_bias, bias_initializer, bias_regularizer, activity_regularizer, bias_constraint:
            as in `keras.layers.Conv2D`.
        kernel_initializer: spatial initializer; its sample is transformed.  It is asked once.
        kernel_regularizer: of the spatial kernel, so that it means what it means for `Conv2D`.
        kernel_constraint: of the spatial kernel: as for `Conv2D`, it is projected after each step
            of the optimizer.
        parametrization: "full", "hermitian" or "orthogonal".
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`.

    Output shape:
        As `keras.layers.Conv2D`.

    `keras.layers.SpectralNormalization` wants a kernel that is a variable: wrap a `Conv2D`.

    Raises:
        ValueError: for arguments that `Conv2D` refuses, or an unknown parametrisation.

    Example:

    >>> import numpy as np, keras
    >>> from spectral_keras.layers import SpectralConv2D
    >>> layer = SpectralConv2D(8, 3, padding="same")
    >>> layer(np.ones((2, 16, 16, 3), "float32")).shape
    TensorShape([2, 16, 16, 8])
    >>> tuple(layer.spatial_kernel().shape)
    (3, 3, 3, 8)
    """

    choices = {"padding": ("valid", "same"), "parametrization": PARAMETRIZATIONS}

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        parametrization: str = "full",
        **kwargs: Any,
    ) -> None:
        if kwargs.get("lora_rank") is not None:
            raise ValueError(
                "`lora_rank` must be None: SpectralConv2D has no LoRA form. "
                f"Received: lora_rank={kwargs['lora_rank']!r}"
            )
        check_identifiers(
            padding=padding,
            activation=activation,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=check_data_format(data_format),
            dilation_rate=dilation_rate,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.parametrization = check_choice("parametrization", parametrization, PARAMETRIZATIONS)

    def build(self, input_shape: Sequence[int | None]) -> None:
        channel_axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[channel_axis]
        if channels is None:
            raise ValueError(
                "SpectralConv2D needs a known number of channels. "
                f"Received: input shape {tuple(input_shape)}"
            )
        if channels % self.groups:
            raise ValueError(
                "The number of input channels must be a multiple of `groups`. "
                f"Received: groups={self.groups}, input shape {tuple(input_shape)}"
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=4, axes={channel_axis: channels})
        self.compute_output_shape(input_shape)  # refuses inputs smaller than the kernel

        kh, kw = self.kernel_size
        spatial_shape = (kh, kw, channels // self.groups, self.filters)
        sizes = spectral_sizes(kh, kw, self.parametrization)
        sample = self._spatial_sampler(spatial_shape)
        names = ("kernel_real", "kernel_imag")
        for part, (name, size) in enumerate(zip(names, sizes, strict=True)):
            if size == 0:
                setattr(self, name, None)
                continue
            leading = (kh, kw) if self.parametrization == "full" else (size,)

            def initializer(shape, dtype=None, part=part):
                return kernel_spectrum(sample(dtype), self.parametrization)[part]

            weight = self.add_weight(
                name=name,
                shape=(*leading, *spatial_shape[2:]),
                initializer=initializer,
                # Both belong to the kernel of the two parts: the first part carries them.
                regularizer=self._penalty if part == 0 and self.kernel_regularizer else None,
                constraint=self._project if part == 0 and self.kernel_constraint else None,
                trainable=True,
                dtype=self.variable_dtype,
                # The inverse DFT runs in the variables' precision; its result is cast.
                autocast=False,
            )
            setattr(self, name, weight)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                trainable=True,
                dtype=self.dtype,
            )
        self.built = True

    def _spatial_sampler(self, shape):
        """A function that draws the spatial sample when it is first called, for both parts."""
        return functools.cache(lambda dtype: self.kernel_initializer(shape, dtype=dtype))

    def spatial_kernel(self) -> Any:
        """The spatial kernel, shape (kh, kw, in/groups, filters), in the variables' dtype."""
        if not self.built:
            raise AttributeError("Build the layer before asking for its kernel.")
        return self._kernel_with(self.kernel_real)

    def _kernel_with(self, real):
        """The spatial kernel of a real part and the layer's imaginary part."""
        return kernel_from_spectrum(real, self.kernel_imag, self.kernel_size, self.parametrization)

    def _penalty(self, real):
        """The regularizer of the variable `kernel_real`."""
        return self.kernel_regularizer(self._kernel_with(real))

    def _project(self, real):
        """The constraint of the variable `kernel_real`, which moves `kernel_imag` too.

        Moved by the difference that the constraint makes, the redundant half of a full table keeps
        its value.  An optimizer applies constraints when it has stepped all variables.
        """
        kernel = self._kernel_with(real)
        moved = kernel_spectrum(self.kernel_constraint(kernel) - kernel, self.parametrization)
        if self.kernel_imag is not None:
            self.kernel_imag.assign(self.kernel_imag + moved[1])
        return real + moved[0]

    @property
    def kernel(self) -> Any:
        """The spatial kernel in the compute dtype, which the convolution uses."""
        return ops.cast(self.spatial_kernel(), self.compute_dtype)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        check_float_images(inputs, "SpectralConv2D")
        return super().convolution_op(inputs, kernel)

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError("SpectralConv2D has no LoRA form: fold it into a Conv2D first.")

    # Conv2D saves `kernel`; here the parameters themselves are saved.
    def save_own_variables(self, store: Any) -> None:
        return keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        return keras.layers.Layer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["parametrization"] = self.parametrization
        return config
