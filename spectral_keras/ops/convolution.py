"""2-D convolution as a product in the frequency domain."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spectral_keras.ops.convolution_plan import (
    ConvolutionShape,
    choose_implementation,
    choose_tilings,
    convolution_axis,
    convolution_size,
    pooled_axis,
)
from spectral_keras.ops.convolution_spectra import convolve_by_fft, convolve_by_matmul, first_part
from spectral_keras.ops.minimal_filtering import (
    conv2d_by_minimal_filtering,
    is_faster_by_minimal_filtering,
)
from spectral_keras.ops.processor import multiplies_bfloat16
from spectral_keras.ops.resize import NORMS, NYQUIST_RULES, spectral_resize
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_float_images,
    check_size_pair,
    spatial_shape,
)

__all__ = [
    "CONV_IMPLEMENTATIONS",
    "CONV_POOL_IMPLEMENTATIONS",
    "FFT_SIDE",
    "PADDINGS",
    "check_size_is_not_needed",
    "direct_conv2d",
    "fft_conv2d",
    "fft_conv_pool2d",
]

PADDINGS = ("valid", "same", "circular")
CONV_IMPLEMENTATIONS = ("auto", "direct", "matmul", "fft")
CONV_POOL_IMPLEMENTATIONS = ("auto", "matmul", "fft")

# From this side on the FFT transforms a whole map faster than matrices do.
FFT_SIDE = 128


def fft_conv2d(
    x: Any,
    kernel: Any,
    *,
    strides: int | Sequence[int] = 1,
    padding: str = "same",
    dilation_rate: int | Sequence[int] = 1,
    implementation: str = "auto",
    data_format: str | None = None,
) -> Any:
    """2-D convolution, computed as a product of spectra.

    The same numbers as `keras.ops.conv` (a cross-correlation), with both gradients, at a cost
    that hardly grows with the kernel.  The images are padded with zeros just as far as wrapping
    around would reach an output that is asked for: to size + kernel//2 for "same", not at all for
    "valid" and "circular".

    Source: the convolution theorem; for networks Mathieu, Henaff and LeCun 2014 (arXiv 1312.5851)
    and the future work of Rippel, Snoek and Adams 2015 (arXiv 1506.03767) and of the report.

    Args:
        x: float tensor of shape (batch, height, width, channels), or (batch, channels, height,
            width) with `data_format="channels_first"`; height and width known for "matmul" and
            "fft", of unknown ones "auto" takes the ordinary convolution.
        kernel: tensor of shape (kh, kw, channels/groups, filters).  The number of groups follows
            from the shapes.
        strides: integer or pair.
        padding: "same" or "valid" as in Keras, or "circular": the image is periodic.
            Then the output has ceil(size/stride) samples, and output sample p is

                sum over j of kernel[j] * x[(stride * p + dilation * j - (dilation * (k-1))//2) % n]

            along each axis, which is where "same" with stride 1 puts the kernel.
        dilation_rate: integer or pair; not together with strides.
        implementation: "direct", the ordinary convolution; "matmul", DFTs as real matrices of the
            whole image or of overlapping tiles, no complex numbers (exports to ONNX and LiteRT);
            "fft", the backend's FFT; "auto", the fastest by the cost model of `convolution_plan`.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of x's dtype, (batch, out_height, out_width, filters) or channels first.  float16 is
        computed in float32; bfloat16 in float32 by "fft" and in bfloat16 by "matmul".

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
    size, channels = _check_kernel(x, kernel, data_format)
    if None in size:
        check_size_is_not_needed("`fft_conv2d`", implementation, size)
        return _direct(x, kernel, strides, padding, dilation_rate, data_format)
    shape = ConvolutionShape(
        size=size,
        taps=tuple(kernel.shape[:2]),
        strides=strides,
        dilation=dilation_rate,
        padding=padding,
        channels=channels,
        filters=kernel.shape[3],
        groups=channels // kernel.shape[2],
    )
    shape.output_size()  # refuses an image smaller than the kernel
    batch = x.shape[0]
    if implementation == "auto":
        implementation = choose_implementation(shape, batch)
    if implementation == "direct":
        return _direct(x, kernel, strides, padding, dilation_rate, data_format)

    def convolve(x, kernel):
        if implementation == "fft":
            axis_h, axis_w = (convolution_axis(*numbers, smooth=True) for numbers in shape.axes())
            return convolve_by_fft(x, kernel, axis_h, axis_w, shape.groups)
        return _convolve_tiles(x, kernel, shape, choose_tilings(shape, batch)[0])

    return _in_spectral_dtype(convolve, x, kernel, implementation, data_format)


def fft_conv_pool2d(
    x: Any,
    kernel: Any,
    output_size: int | Sequence[int],
    *,
    nyquist: str = "average",
    norm: str = "mean",
    implementation: str = "auto",
    data_format: str | None = None,
) -> Any:
    """Circular convolution and spectral pooling in one pass through the frequency domain.

    Equal to `spectral_resize(fft_conv2d(x, kernel, padding="circular"), output_size)`, without
    going back to space in between: the product of the spectra of image and kernel is cropped, and
    nothing that is cropped is computed, in the transform of the image, the product, or the inverse.

    Args:
        x: float tensor of shape (batch, height, width, channels), or (batch, channels, height,
            width) with `data_format="channels_first"`.  Of unknown height or width, the two
            steps are taken one by one.
        kernel: tensor of shape (kh, kw, channels/groups, filters).
        output_size: integer or pair (height, width), at most the input's.
        nyquist, norm: as in `spectral_resize`.
        implementation: "matmul", DFTs as real matrices, no complex numbers; "fft", the backend's
            FFT; "auto", the faster by size.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.

    Returns:
        Tensor of x's dtype, (batch, *output_size, filters) or channels first; precision as in
        `fft_conv2d`.

    Raises:
        ValueError: shapes that do not fit, or an argument out of its range.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops.resize import spectral_resize
    >>> rng = np.random.default_rng(0)
    >>> x, kernel = rng.random((2, 16, 15, 3), "float32"), rng.random((3, 3, 3, 4), "float32")
    >>> y = fft_conv_pool2d(x, kernel, (8, 7))
    >>> two_steps = spectral_resize(fft_conv2d(x, kernel, padding="circular"), (8, 7))
    >>> bool(np.allclose(y, two_steps, rtol=1e-4))
    True
    """
    output_size = check_size_pair("output_size", output_size)
    check_choice("nyquist", nyquist, NYQUIST_RULES)
    check_choice("norm", norm, NORMS)
    check_choice("implementation", implementation, CONV_POOL_IMPLEMENTATIONS)
    data_format = check_data_format(data_format)
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    size, channels = _check_kernel(x, kernel, data_format)
    if None in size:
        y = fft_conv2d(x, kernel, padding="circular", data_format=data_format)
        return spectral_resize(y, output_size, nyquist=nyquist, norm=norm, data_format=data_format)
    if any(new > old for new, old in zip(output_size, size, strict=True)):
        raise ValueError(
            f"`output_size` must be at most the input's size {size}. "
            f"Received: output_size={output_size}"
        )
    axis_h, axis_w = (
        pooled_axis(*numbers, nyquist, norm)
        for numbers in zip(size, kernel.shape[:2], output_size, strict=True)
    )
    if implementation == "auto":
        implementation = "fft" if min(output_size) >= FFT_SIDE else "matmul"
    convolve = convolve_by_fft if implementation == "fft" else convolve_by_matmul
    groups = channels // kernel.shape[2]

    def run(x, kernel):
        return convolve(x, kernel, axis_h, axis_w, groups)

    return _in_spectral_dtype(run, x, kernel, implementation, data_format)


def _check_kernel(x, kernel, data_format):
    """((height, width), channels) of x, after checks of both shapes."""
    check_float_images(x, "FFT convolution")
    size = spatial_shape(x.shape, data_format, "FFT convolution")
    channels = x.shape[-1 if data_format == "channels_last" else 1]
    shape = tuple(kernel.shape)
    if len(shape) != 4:
        raise ValueError(
            "`kernel` must have the shape (height, width, channels/groups, filters). "
            f"Received: kernel of shape {shape}"
        )
    if channels is None or channels % shape[2] or shape[3] % (channels // shape[2]):
        raise ValueError(
            "The channels of `x` must be a multiple of the kernel's, and the filters a multiple "
            f"of that. Received: x with {channels} channels, kernel of shape {shape}"
        )
    return size, channels


def _in_spectral_dtype(convolve, x, kernel, implementation, data_format):
    """Runs `convolve`, a function of channels-last images, in a dtype that spectra can have.

    FFTs exist in float32 and float64.  Matrices run in bfloat16 too: its products sum in float32
    and its range is that of float32 (rounding errors are twice those of a bfloat16 Conv2D).  The
    spectrum of a map, up to its number of pixels times its mean, may overflow float16.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    keeps = dtype == "float64" or (dtype == "bfloat16" and implementation == "matmul")
    spectral_dtype = dtype if keeps else "float32"
    if data_format == "channels_first":
        x = ops.transpose(x, (0, 2, 3, 1))
    y = ops.cast(convolve(ops.cast(x, spectral_dtype), ops.cast(kernel, spectral_dtype)), dtype)
    return ops.transpose(y, (0, 3, 1, 2)) if data_format == "channels_first" else y


def _convolve_tiles(x, kernel, shape, tilings):
    """`convolve_by_matmul` on overlapping tiles where `tilings` says so (overlap-save)."""
    axes = []
    for axis, (numbers, tiling) in enumerate(zip(shape.axes(), tilings, strict=True), start=1):
        if tiling is None:
            axes.append(convolution_axis(*numbers))
            continue
        axes.append(tiling.axis)
        x = _continue_axis(x, axis, *numbers)
        widths = [(0, 0)] * 4
        widths[axis] = (0, (tiling.count + 1) * tiling.advance - x.shape[axis])
        x = ops.pad(x, widths)
    rows, columns = tilings
    if rows is not None:
        width, channels = x.shape[2:]
        blocks = ops.reshape(x, (-1, rows.count + 1, rows.advance, width, channels))
        x = _overlap(blocks, rows, 2)
        x = ops.reshape(x, (-1, rows.axis.size, width, channels))
    if columns is not None:
        height, channels = x.shape[1], x.shape[3]
        x = ops.reshape(x, (-1, height, columns.count + 1, columns.advance, channels))
        x = ops.transpose(_overlap(x, columns, 3), (0, 2, 1, 3, 4))
        x = ops.reshape(x, (-1, height, columns.axis.size, channels))

    y = convolve_by_matmul(x, kernel, *axes, shape.groups)

    if columns is not None:
        height, width = y.shape[1:3]
        y = ops.reshape(y, (-1, columns.count, height, width, shape.filters))
        y = ops.transpose(y, (0, 2, 1, 3, 4))
        y = ops.reshape(y, (-1, height, columns.count * width, shape.filters))
    if rows is not None:
        height, width = y.shape[1:3]
        y = ops.reshape(y, (-1, rows.count * height, width, shape.filters))
    for axis, size in enumerate(shape.output_size(), start=1):
        y = first_part(y, size, axis)
    return y


def _overlap(blocks, tiling, axis):
    """Blocks along the axis before `axis`, each with the first samples of the next one added."""
    own = first_part(blocks, tiling.count, axis - 1)
    if tiling.overlap == 0:
        return own
    following = ops.split(blocks, [1], axis=axis - 1)[1]
    return ops.concatenate([own, first_part(following, tiling.overlap, axis)], axis=axis)


def _continue_axis(x, axis, size, taps, stride, padding, dilation):
    """The axis continued by what the kernel reads beyond it: zeros, or periodically."""
    size_out, before = convolution_size(size, taps, stride, padding, dilation)
    after = max((size_out - 1) * stride + dilation * (taps - 1) - before + 1 - size, 0)
    if padding != "circular":
        widths = [(0, 0)] * 4
        widths[axis] = (before, after)
        return ops.pad(x, widths) if before + after else x
    parts, start, missing = [], -before % size, before + size + after
    while missing:
        index = [slice(None)] * 4
        index[axis] = slice(start, min(size, start + missing))
        parts.append(x[tuple(index)])
        missing -= index[axis].stop - start
        start = 0
    return ops.concatenate(parts, axis=axis) if len(parts) > 1 else parts[0]


def check_size_is_not_needed(name: str, implementation: str, size: Sequence[Any]) -> None:
    """ValueError where sizes (height, width) are None and an implementation needs them."""
    if None in size and implementation in ("matmul", "fft"):
        raise ValueError(
            f"{name} needs a known height and width with implementation={implementation!r}, whose "
            f'transforms are made for one size; "auto" and "direct" take any. Received: {size}'
        )


def _direct(x, kernel, strides, padding, dilation, data_format):
    """The ordinary convolution, of images of any size."""
    if padding == "circular":
        padding = "valid"
        first = 1 if data_format == "channels_last" else 2
        for axis, taps in enumerate(kernel.shape[:2]):
            if x.shape[first + axis] is None:
                x = _periodic(x, first + axis, dilation[axis] * (taps - 1))
            else:
                numbers = x.shape[first + axis], taps, strides[axis], "circular", dilation[axis]
                x = _continue_axis(x, first + axis, *numbers)
    return direct_conv2d(x, kernel, strides, padding, dilation, data_format)


def _periodic(x, axis, reach):
    """`_continue_axis` for a periodic axis of unknown length, as far as the kernel reaches."""
    size = ops.shape(x)[axis]
    index = ops.arange(size + reach, dtype="int32") - reach // 2
    return ops.take(x, index % size, axis=axis) if reach else x


def direct_conv2d(
    x: Any,
    kernel: Any,
    strides: Sequence[Any],
    padding: str,
    dilation_rate: Sequence[Any],
    data_format: str | None,
) -> Any:
    """`keras.ops.conv` of images, in either data format on every device.

    TensorFlow's kernels for a CPU know channels last only, but for some processors.  Where the
    processor is slower in bfloat16, float32 computes what its units would: exact products, summed
    in float32 and rounded once.
    """
    if x.shape[0] == 0:
        # Not every native kernel gives the result its shape then.
        one = ops.zeros((1, *x.shape[1:]), dtype=x.dtype)
        return direct_conv2d(one, kernel, strides, padding, dilation_rate, data_format)[:0]
    if _is_faster_in_float32(x, kernel):
        x, kernel = ops.cast(x, "float32"), ops.cast(kernel, "float32")
        y = direct_conv2d(x, kernel, strides, padding, dilation_rate, data_format)
        return ops.cast(y, "bfloat16")
    swap = data_format == "channels_first" and keras.backend.backend() == "tensorflow"
    x = ops.transpose(x, (0, 2, 3, 1)) if swap else x
    if set(dilation_rate) == {1} and is_faster_by_minimal_filtering(x, kernel, strides, padding):
        y = conv2d_by_minimal_filtering(x, kernel, padding)
    else:
        y = ops.conv(
            x,
            kernel,
            strides=list(strides),
            padding=padding,
            dilation_rate=list(dilation_rate),
            data_format="channels_last" if swap else data_format,
        )
    return ops.transpose(y, (0, 3, 1, 2)) if swap else y


def _is_faster_in_float32(x, kernel):
    """Whether bfloat16 images meet a processor that has no fast products of them."""
    dtypes = {keras.backend.standardize_dtype(each.dtype) for each in (x, kernel)}
    if dtypes != {"bfloat16"} or multiplies_bfloat16() is not False:
        return False
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return not any(map(tf.config.list_logical_devices, ("GPU", "TPU")))
    return backend == "torch" and x.device.type == "cpu"
