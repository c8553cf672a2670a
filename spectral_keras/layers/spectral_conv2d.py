"""Convolution whose kernel is parametrised in the frequency domain."""

import keras
from keras import ops

from spectral_keras.ops.kernel_dft import kernel_from_spectrum, kernel_spectrum, spectral_sizes
from spectral_keras.ops.validation import check_choice


@keras.saving.register_keras_serializable(package="spectral_keras")
class SpectralConv2D(keras.layers.Conv2D):
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

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation,
            use_bias, bias_initializer, bias_regularizer, activity_regularizer, bias_constraint:
            as in `keras.layers.Conv2D`.
        kernel_initializer: spatial initializer; its sample is transformed.
        kernel_regularizer: applied to the spatial kernel, so that it means what it means for
            `Conv2D`.
        kernel_constraint: applied to the spatial kernel inside the layer, so that the kernel of
            the convolution always fulfils it; gradients flow through it.
        parametrization: "full" or "hermitian".
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) with
        `data_format="channels_first"`.

    Output shape:
        As `keras.layers.Conv2D`.

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

    def __init__(self, filters, kernel_size, *args, parametrization="full", **kwargs):
        if kwargs.get("lora_rank") is not None:
            raise ValueError(
                "`lora_rank` must be None: SpectralConv2D has no LoRA form. "
                f"Received: lora_rank={kwargs['lora_rank']!r}"
            )
        super().__init__(filters, kernel_size, *args, **kwargs)
        self.parametrization = check_choice(
            "parametrization", parametrization, ("full", "hermitian")
        )

    def build(self, input_shape):
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
        """A function that returns the same spatial sample each time it is called."""
        if isinstance(getattr(self.kernel_initializer, "seed", None), keras.random.SeedGenerator):
            # Each call of such an initializer moves its generator on: draw once.
            drawn = self.kernel_initializer(shape, dtype=self.variable_dtype)
            return lambda dtype: drawn
        return lambda dtype: self.kernel_initializer(shape, dtype=dtype)

    def spatial_kernel(self):
        """The spatial kernel, shape (kh, kw, in/groups, filters), in the variables' dtype."""
        if not self.built:
            raise AttributeError("Build the layer before asking for its kernel.")
        kernel = kernel_from_spectrum(
            self.kernel_real, self.kernel_imag, self.kernel_size, self.parametrization
        )
        return kernel if self.kernel_constraint is None else self.kernel_constraint(kernel)

    @property
    def kernel(self):
        """The spatial kernel in the compute dtype, which the convolution uses."""
        return ops.cast(self.spatial_kernel(), self.compute_dtype)

    def call(self, inputs):
        if self.kernel_regularizer is not None:
            self.add_loss(self.kernel_regularizer(self.spatial_kernel()))
        return super().call(inputs)

    def enable_lora(self, *args, **kwargs):
        raise ValueError("SpectralConv2D has no LoRA form: fold it into a Conv2D first.")

    # Conv2D saves `kernel`; here the parameters themselves are saved.
    def save_own_variables(self, store):
        return keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        return keras.layers.Layer.load_own_variables(self, store)

    def get_config(self):
        config = super().get_config()
        config["parametrization"] = self.parametrization
        return config
