"""2-D convolution as a product in the frequency domain."""

import math

import keras
from keras import ops

from spectral_keras.ops.convolution_spectra import (
    FourierAxis,
    convolve_by_fft,
    convolve_by_matmul,
)
from spectral_keras.ops.resize import NORMS, NYQUIST_RULES, nyquist_weight
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_size_pair,
    static_spatial_shape,
)

PADDINGS = ("valid", "same", "circular")
CONV_IMPLEMENTATIONS = ("auto", "direct", "matmul", "fft")
CONV_POOL_IMPLEMENTATIONS = ("auto", "matmul", "fft")


def fast_fft_size(minimum):
    """The smallest size of at least `minimum` without a prime factor above 5.

    On a CPU such sizes took 0.02 ms for a 64x64 to 128x128 image, whatever their factors; a prime
    one takes 3 to 5 times as long.

    >>> [fast_fft_size(n) for n in (64, 79, 94, 127)]
    [64, 80, 96, 128]
    """
    size = max(int(minimum), 1)
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1


def convolution_size(size, taps, stride, padding, dilation):
    """Output length of one axis and the place of the kernel on it.

    Args:
        size: length of the input.
        taps, dilation: length of the kernel and the distance of its taps.
        stride: distance of two output samples.
        padding: "valid", "same" (both as in Keras) or "circular".

    Returns:
        (size_out, before): output sample p is the sum over the taps j of
        kernel[j] * input[stride * p + dilation * j - before].
    """
    reach = dilation * (taps - 1)
    if padding == "valid":
        if size <= reach:
            raise ValueError(
                '`padding="valid"` needs an input at least as large as the dilated kernel, '
                f"{reach + 1}. Received: input of size {size}"
            )
        return (size - reach - 1) // stride + 1, 0
    size_out = -(-size // stride)
    if padding == "circular":
        return size_out, reach // 2
    return size_out, max((size_out - 1) * stride + reach + 1 - size, 0) // 2


def _convolution_axis(size, taps, stride, padding, dilation, smooth):
    size_out, before = convolution_size(size, taps, stride, padding, dilation)
    period = size
    if padding == "same":
        # Wrapping around does no harm where only zeros or samples that nobody asks for meet.
        last = (size_out - 1) * stride + dilation * (taps - 1) - before
        period = max(size + before, last + 1)
    if smooth and padding != "circular":
        period = fast_fft_size(period)
    return FourierAxis(
        size=size,
        taps=taps,
        size_out=size_out,
        dilation=dilation,
        before=before,
        period=period,
        top=period // 2,
        step=stride,
        step_period=period,
        edge_weight=None,
        scale=1 / period,
    )


def _pooled_axis(size, taps, size_out, nyquist, norm):
    return FourierAxis(
        size=size,
        taps=taps,
        size_out=size_out,
        dilation=1,
        before=(taps - 1) // 2,
        period=size,
        top=size_out // 2,
        step=1,
        step_period=size_out,
        edge_weight=(
            nyquist_weight(size, size_out, nyquist)
            if size_out % 2 == 0 and size_out < size
            else None
        ),
        scale=1 / size if norm == "mean" else 1 / math.sqrt(size * size_out),
    )


def _spectral_dtype(dtype, implementation):
    """The dtype in which spectra are computed.

    FFTs exist in float32 and float64.  Matrices run in bfloat16 too: its products sum in float32
    and its range is that of float32 (rounding error about twice a bfloat16 Conv2D's).  The
    spectrum of a large map, up to its number of pixels times its mean, overflows float16.
    """
    if dtype == "float64" or (dtype == "bfloat16" and implementation == "matmul"):
        return dtype
    return "float32"


def _run(x, kernel, axes, implementation, data_format):
    dtype = keras.backend.standardize_dtype(x.dtype)
    working = _spectral_dtype(dtype, implementation)
    if data_format == "channels_first":
        x = ops.transpose(x, (0, 2, 3, 1))
    convolve = convolve_by_fft if implementation == "fft" else convolve_by_matmul
    groups = x.shape[3] // kernel.shape[2]
    y = convolve(ops.cast(x, working), ops.cast(kernel, working), *axes, groups=groups)
    y = ops.cast(y, dtype)
    return ops.transpose(y, (0, 3, 1, 2)) if data_format == "channels_first" else y


def _check_kernel(x, kernel, data_format):
    """(height, width) of x, after checks of both shapes."""
    size = static_spatial_shape(x.shape, data_format, "FFT convolution")
    channels = x.shape[-1 if data_format == "channels_last" else 1]
    shape = tuple(kernel.shape)
    if len(shape) != 4:
        raise ValueError(
            "`kernel` must have the shape (height, width, in/groups, filters). "
            f"Received: kernel of shape {shape}"
        )
    if channels is None or channels % shape[2] or shape[3] % (channels // shape[2]):
        raise ValueError(
            "The input channels must be a multiple of the kernel's, and its filters of the number "
            f"of groups. Received: {channels} channels, kernel of shape {shape}"
        )
    return size


def fft_conv2d(
    x,
    kernel,
    *,
    strides=1,
    padding="same",
    dilation_rate=1,
    implementation="auto",
    data_format=None,
):
    """2-D convolution, computed as a product of spectra.

    The same numbers as `keras.ops.conv` (a cross-correlation), with both gradients, at a cost
    that hardly grows with the kernel.  The images are padded with zeros just as far as wrapping
    around would reach an output that is asked for: to size + kernel//2 for "same", not at all for
    "valid" and "circular".

    Source: the convolution theorem; Mathieu, Henaff and LeCun 2014 (arXiv 1312.5851) for
    networks; the future work of Rippel, Snoek and Adams 2015 (arXiv 1506.03767) and the report.

    Args:
        x: float tensor of shape (batch, height, width, channels), or (batch, channels, height,
            width) with `data_format="channels_first"`; height and width known.
        kernel: tensor of shape (kh, kw, channels/groups, filters).  The number of groups follows
            from the shapes.
        strides: integer or pair.
        padding: "same" or "valid" as in Keras, or "circular": the image goes on periodically, and
            the output has ceil(size/stride) samples, sample p with the kernel's tap (k-1)//2
            (dilated: (d (k-1))//2 from the first tap) on the input sample stride * p, which is
            where "same" with stride 1 puts it.
        dilation_rate: integer or pair; not together with strides.
        implementation: "direct", the ordinary convolution; "matmul", DFTs as real matrices, no
            complex numbers (exports to ONNX and LiteRT); "fft", the backend's FFT; "auto", the
            fastest by the cost model of `choose_conv_implementation`.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of x's dtype, (batch, out_height, out_width, filters) or channels first.  float16 is
        computed in float32, bfloat16 in float32 by "fft" and in bfloat16 by "matmul".

    Raises:
        ValueError: shapes that do not fit, or an argument out of its range.

    Example:

    >>> import numpy as np, keras
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.random((2, 16, 16, 3), "float32"), rng.random((7, 7, 3, 4), "float32")
    >>> y = fft_conv2d(x, kernel, implementation="matmul")
    >>> bool(np.allclose(y, keras.ops.conv(x, kernel, padding="same"), rtol=1e-4))
    True
    """
    strides = check_size_pair("strides", strides)
    dilation_rate = check_size_pair("dilation_rate", dilation_rate)
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            "`strides` above 1 and `dilation_rate` above 1 do not go together. "
            f"Received: strides={strides}, dilation_rate={dilation_rate}"
        )
    check_choice("padding", padding, PADDINGS)
    check_choice("implementation", implementation, CONV_IMPLEMENTATIONS)
    data_format = check_data_format(data_format)
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    size = _check_kernel(x, kernel, data_format)
    axes = list(zip(size, kernel.shape[:2], strides, [padding] * 2, dilation_rate, strict=True))
    for numbers in axes:
        convolution_size(*numbers)  # refuses an image smaller than the kernel
    if implementation == "auto":
        channels = x.shape[-1 if data_format == "channels_last" else 1]
        implementation = choose_conv_implementation(
            size,
            kernel.shape,
            channels // kernel.shape[2],
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
        )
    if implementation == "direct":
        return _direct(x, kernel, strides, padding, dilation_rate, data_format)
    axes = [_convolution_axis(*numbers, smooth=implementation == "fft") for numbers in axes]
    return _run(x, kernel, axes, implementation, data_format)


def fft_conv_pool2d(
    x,
    kernel,
    output_size,
    *,
    nyquist="average",
    norm="mean",
    implementation="auto",
    data_format=None,
):
    """Circular convolution and spectral pooling in one pass through the frequency domain.

    `spectral_resize(fft_conv2d(x, kernel, padding="circular"), output_size)`, without going back
    to space in between: the product of the spectra of image and kernel is cropped, and only what
    is kept is computed, forward transform and product included.

    Args:
        x: float tensor of shape (batch, height, width, channels), or (batch, channels, height,
            width) with `data_format="channels_first"`; height and width known.
        kernel: tensor of shape (kh, kw, channels/groups, filters).
        output_size: integer or pair (height, width), at most the input's.
        nyquist, norm: as in `spectral_resize`.
        implementation: "matmul", "fft" or "auto".
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of x's dtype, (batch, *output_size, filters) or channels first.

    Raises:
        ValueError: shapes that do not fit, or an argument out of its range.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.resize import spectral_resize
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.random((2, 16, 15, 3), "float32"), rng.random((3, 3, 3, 4), "float32")
    >>> y = fft_conv_pool2d(x, kernel, (8, 7))
    >>> two_steps = spectral_resize(fft_conv2d(x, kernel, padding="circular"), (8, 7))
    >>> bool(np.allclose(y, two_steps, atol=1e-4))
    True
    """
    output_size = check_size_pair("output_size", output_size)
    check_choice("nyquist", nyquist, NYQUIST_RULES)
    check_choice("norm", norm, NORMS)
    check_choice("implementation", implementation, CONV_POOL_IMPLEMENTATIONS)
    data_format = check_data_format(data_format)
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    size = _check_kernel(x, kernel, data_format)
    if any(new > old for new, old in zip(output_size, size, strict=True)):
        raise ValueError(
            f"`output_size` must be at most the input's size {size}. "
            f"Received: output_size={output_size}"
        )
    if implementation == "auto":
        implementation = "matmul"
    axes = [
        _pooled_axis(*numbers, nyquist, norm)
        for numbers in zip(size, kernel.shape[:2], output_size, strict=True)
    ]
    return _run(x, kernel, axes, implementation, data_format)


def choose_conv_implementation(*a, **k):
    return "matmul"


def _wrapped(x, before, after, axis):
    """Periodic continuation of an axis by `before` and `after` samples."""
    size = x.shape[axis]
    index = [slice(None)] * 4
    parts, start, missing = [], -before % size, before + size + after
    while missing:
        stop = min(size, start + missing)
        index[axis] = slice(start, stop)
        parts.append(x[tuple(index)])
        missing -= stop - start
        start = 0
    return ops.concatenate(parts, axis=axis) if len(parts) > 1 else parts[0]


def _direct(x, kernel, strides, padding, dilation_rate, data_format):
    """The ordinary convolution."""
    # TensorFlow's CPU kernels know channels last only.
    swap = data_format == "channels_first" and keras.backend.backend() == "tensorflow"
    if swap:
        x, data_format = ops.transpose(x, (0, 2, 3, 1)), "channels_last"
    if padding == "circular":
        padding = "valid"
        for axis, taps, stride, dilation in zip(
            (1, 2) if data_format == "channels_last" else (2, 3),
            kernel.shape[:2],
            strides,
            dilation_rate,
            strict=True,
        ):
            size_out, before = convolution_size(x.shape[axis], taps, stride, "circular", dilation)
            last = (size_out - 1) * stride + dilation * (taps - 1) - before
            x = _wrapped(x, before, max(last + 1 - x.shape[axis], 0), axis)
    y = ops.conv(
        x,
        kernel,
        strides=list(strides),
        padding=padding,
        dilation_rate=list(dilation_rate),
        data_format=data_format,
    )
    return ops.transpose(y, (0, 3, 1, 2)) if swap else y
