"""What a layer computes, moves and keeps in one training step.

The rule of a layer lists its kernels, `Step`s: floating point operations (a multiplication and an
addition are two) and numbers read and written.  Executed one by one, each kernel reads its inputs
and writes its outputs once; after fusion, what an elementwise operation reads and writes stays in
the kernel beside it.  A rule also says what is kept from the forward pass until the backward pass.
"""

import dataclasses
import math

import keras

from spectral_keras import layers as spectral
from spectral_keras.ops.convolution import FFT_SIDE
from spectral_keras.ops.convolution_plan import (
    ConvolutionShape,
    choose_implementation,
    choose_tilings,
    convolution_axis,
    fft_work,
    matmul_work,
    pooled_axis,
)
from spectral_keras.ops.kernel_dft import spectral_sizes
from spectral_keras.ops.masking import choose_implementation as choose_mask_implementation
from spectral_keras.ops.resize import choose_implementation as choose_resize_implementation
from spectral_keras.ops.resize import nyquist_weight
from spectral_keras.ops.separable import FEW_CHANNELS, HALVING_SIZE

FORWARD, BACKWARD = "forward", "backward"

# Activations whose gradient needs the output; the others need the input.
_BY_OUTPUT = {"relu", "relu6", "sigmoid", "tanh", "softmax"}


@dataclasses.dataclass(frozen=True)
class Step:
    """One kernel.

    Attributes:
        name: what it does.
        phase: "forward" or "backward".
        products: floating point operations of matrix products and dense convolutions.
        transforms: those of FFTs.
        others: the rest.
        numbers: numbers of the compute precision that are read and written.
        wide: float32 numbers in any precision: weights, and spectra of FFTs.
        fused: `numbers` after fusion; None where it is no elementwise operation.
    """

    name: str
    phase: str
    products: float = 0.0
    transforms: float = 0.0
    others: float = 0.0
    numbers: float = 0.0
    wide: float = 0.0
    fused: float | None = None

    @property
    def flops(self):
        return self.products + self.transforms + self.others

    def bytes(self, precision_bytes=4, fusion=False):
        numbers = self.fused if fusion and self.fused is not None else self.numbers
        return precision_bytes * numbers + 4 * self.wide


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One layer of a network in one training step.

    Attributes:
        name, kind: of the layer; the kind is its class.
        steps: tuple of `Step`.
        weights: trainable numbers, each with a gradient to be summed over the devices.
        keeps_input, keeps_output: whether the backward pass needs these tensors.
        kept: numbers inside the layer that are kept, in the compute precision.
        kept_wide: the same, float32 in any precision.
        workspace: the most float32-or-compute numbers inside that live for a moment only.
    """

    name: str
    kind: str
    steps: tuple = ()
    weights: int = 0
    keeps_input: bool = False
    keeps_output: bool = False
    kept: float = 0.0
    kept_wide: float = 0.0
    workspace: float = 0.0

    def flops(self, phase=None):
        return sum(step.flops for step in self.steps if phase in (None, step.phase))

    def bytes(self, precision_bytes=4, fusion=False, phase=None):
        steps = (step for step in self.steps if phase in (None, step.phase))
        return sum(step.bytes(precision_bytes, fusion) for step in steps)


@dataclasses.dataclass(frozen=True)
class Call:
    """One use of a layer: shapes with the batch, and whether its input needs a gradient."""

    layer: object
    inputs: list
    outputs: list
    gradient: bool = True

    @property
    def batch(self):
        return self.inputs[0][0]

    @property
    def x(self):
        """Numbers of the (first) input."""
        return math.prod(self.inputs[0])

    @property
    def y(self):
        """Numbers of the (first) output."""
        return math.prod(self.outputs[0])

    def maps(self, shape=None):
        """(height, width, channels) of the input, or of a shape."""
        shape = self.inputs[0] if shape is None else shape
        data_format = getattr(self.layer, "_data_format", None) or self.layer.data_format
        if data_format == "channels_first":
            return *shape[2:], shape[1]
        return tuple(shape[1:])


def layer_cost(call):
    """`LayerCost` of one call of a layer or of a Keras operation.

    Raises:
        ValueError: for a layer with weights whose costs are not known here.
    """
    layer = call.layer
    for kind in type(layer).__mro__:
        rule = _RULES.get(kind)
        if rule is not None:
            parts = rule(call)
            break
    else:
        if getattr(layer, "weights", None):
            raise ValueError(
                f"The costs of a layer of the class {type(layer).__name__} are not known. "
                f"Received: layer {layer.name!r}"
            )
        parts = _elementwise(call)
    weights = sum(math.prod(w.shape) for w in getattr(layer, "trainable_weights", ()))
    return LayerCost(name=layer.name, kind=type(layer).__name__, weights=weights, **parts)


def _both(name, call, **numbers):
    """A linear kernel and its adjoint, the same work in both directions."""
    steps = [Step(name, FORWARD, **numbers)]
    if call.gradient:
        steps.append(Step(f"{name}, gradient", BACKWARD, **numbers))
    return steps


# Elementwise and shape operations.


def _elementwise(call):
    """One pass over inputs and output, in both directions."""
    x, y = sum(map(math.prod, call.inputs)), sum(map(math.prod, call.outputs))
    return {"steps": tuple(_both(call.layer.name, call, others=y, numbers=x + y, fused=0))}


def _free(call):
    """Only another name for the same numbers, or nothing at all."""
    return {}


def _add(call):
    extra = call.y * (len(call.inputs) - 1)
    # Backward, the gradient is passed on; where a tensor has two users their gradients are added.
    steps = [
        Step("add", FORWARD, others=extra, numbers=2 * extra + call.y, fused=extra),
        Step("add gradients", BACKWARD, others=extra, numbers=3 * extra, fused=2 * extra),
    ]
    return {"steps": tuple(steps)}


def _multiply(call):
    x = sum(map(math.prod, call.inputs))
    steps = [Step("multiply", FORWARD, others=call.y, numbers=x + call.y, fused=call.y)]
    if call.gradient:
        steps.append(
            Step("multiply, gradient", BACKWARD, others=2 * call.y, numbers=2 * x + call.y)
        )
    return {"steps": tuple(steps), "keeps_input": True}


def _copy(call):
    """Concatenation, padding, permutation: moved, not computed."""
    x = sum(map(math.prod, call.inputs))
    y = sum(map(math.prod, call.outputs))
    return {"steps": tuple(_both("copy", call, numbers=x + y))}


def _activation_steps(name, y, within):
    """Steps of an activation; `within` a convolution, whose gradient kernel cannot absorb it."""
    if name in (None, "linear"):
        return []
    cost = 1 if name in ("relu", "relu6") else 4
    return [
        Step(name, FORWARD, others=cost * y, numbers=2 * y, fused=0),
        Step(
            f"{name}, gradient", BACKWARD, others=cost * y, numbers=3 * y, fused=3 * y * within
        ),
    ]  # fmt: skip


def _activation(call):
    name = _activation_name(call.layer)
    steps = _activation_steps(name, call.y, within=False)
    if not call.gradient:
        steps = steps[:1]
    kept = "keeps_output" if name in _BY_OUTPUT else "keeps_input"
    return {"steps": tuple(steps), kept: call.gradient and bool(steps)}


def _activation_name(layer):
    if isinstance(layer, keras.layers.ReLU):
        return "relu"
    activation = getattr(layer, "activation", None)
    return None if activation is None else getattr(activation, "__name__", "other")


def _with_bias_and_activation(call, parts):
    """Adds the bias and the activation of a convolution or a dense layer."""
    layer, y = call.layer, call.y
    steps = list(parts["steps"])
    if layer.use_bias:
        steps.append(Step("bias", FORWARD, others=y, numbers=2 * y, fused=0))
        steps.append(Step("bias gradient", BACKWARD, others=y, numbers=y, fused=0))
    name = _activation_name(layer)
    after = _activation_steps(name, y, within=True)
    parts = {**parts, "steps": (*steps, *after)}
    if after and name in _BY_OUTPUT:
        parts["keeps_output"] = True
    elif after:
        parts["kept"] = parts.get("kept", 0) + y
    return parts


def _dropout(call):
    if not getattr(call.layer, "rate", 0):
        return {}
    y = call.y
    steps = [Step("dropout", FORWARD, others=8 * y, numbers=4 * y, fused=y)]
    steps.append(Step("dropout, gradient", BACKWARD, others=y, numbers=3 * y, fused=y))
    return {"steps": tuple(steps), "kept": y}


# Convolutions in space and dense layers.


def _product(call, flops, weights):
    """A product with a trained matrix or kernel: forward, by the weights, by the input."""
    x, y = call.x, call.y
    work = {"products": flops, "numbers": x + y, "wide": weights}
    steps = [Step("product", FORWARD, **work), Step("weight gradient", BACKWARD, **work)]
    if call.gradient:
        steps.append(Step("input gradient", BACKWARD, **work))
    return {"steps": tuple(steps), "keeps_input": True}


def _convolution_parts(call):
    layer = call.layer
    channels = call.maps()[2] // layer.groups
    taps = math.prod(layer.kernel_size)
    return _product(call, 2 * call.y * taps * channels, taps * channels * layer.filters)


def _convolution(call):
    return _with_bias_and_activation(call, _convolution_parts(call))


def _dense(call):
    units = call.layer.units
    parts = _product(call, 2 * call.x * units, call.inputs[0][-1] * units)
    return _with_bias_and_activation(call, parts)


def _depthwise(call):
    """Every output is a sum over one channel: no matrix product, vector arithmetic."""
    layer = call.layer
    taps = math.prod(layer.kernel_size)
    parts = _product(call, 0, taps * call.maps()[2] * layer.depth_multiplier)
    steps = [dataclasses.replace(step, others=2 * call.y * taps) for step in parts["steps"]]
    return _with_bias_and_activation(call, {**parts, "steps": tuple(steps)})


def _spectral_convolution(call):
    """`Conv2D` after the inverse DFT of the kernel, which runs in float32."""
    layer = call.layer
    kernels = call.maps()[2] // layer.groups * layer.filters
    taps = math.prod(layer.kernel_size)
    parts = sum(spectral_sizes(*layer.kernel_size, layer.parametrization))
    # Two products, a sum, and in mixed precision a cast; the gradient needs no sum.
    flops, moved = 2 * taps * parts * kernels, (parts + 2 * taps) * kernels
    steps = (
        Step("kernel DFT", FORWARD, products=flops, wide=moved),
        Step("sum of the parts", FORWARD, others=taps * kernels, wide=3 * taps * kernels),
        Step("kernel DFT, gradient", BACKWARD, products=flops, wide=moved),
        *_convolution_parts(call)["steps"],
    )
    # The spatial kernel lives until the gradient of the input is done.
    parts = {"steps": steps, "keeps_input": True, "kept_wide": taps * kernels}
    return _with_bias_and_activation(call, parts)


# Convolutions in the frequency domain.


def _shape(call, strides, dilation, padding):
    height, width, channels = call.maps()
    layer = call.layer
    return ConvolutionShape(
        (height, width),
        layer.kernel_size,
        strides,
        dilation,
        padding,
        channels,
        layer.filters,
        layer.groups,
    )


def _fft_convolution(call):
    layer = call.layer
    shape = _shape(call, layer.strides, layer.dilation_rate, layer.padding)
    how = layer.implementation
    if how == "auto":
        how = choose_implementation(shape, call.batch)
    if how == "direct":
        parts = _convolution_parts(call)
        if layer.padding == "circular":
            steps = (*parts["steps"], *_both("pad", call, numbers=2 * call.x))
            parts = {**parts, "steps": steps}
        return _with_bias_and_activation(call, parts)
    if how == "fft":
        axes = [convolution_axis(*numbers, smooth=True) for numbers in shape.axes()]
        parts = _by_fft(call, shape, axes)
    else:
        tilings = choose_tilings(shape, call.batch)[0]
        whole = (convolution_axis(*numbers) for numbers in shape.axes())
        axes = [
            axis if each is None else each.axis for each, axis in zip(tilings, whole, strict=True)
        ]
        tiles = math.prod(1 if each is None else each.count for each in tilings)
        parts = _by_matmul(call, shape, axes, tiles)
    return _with_bias_and_activation(call, parts)


def _fft_convolution_and_pooling(call):
    layer = call.layer
    shape = _shape(call, (1, 1), (1, 1), "circular")
    output = call.maps(call.outputs[0])[:2]
    axes = [
        pooled_axis(*numbers, layer.nyquist, layer.norm)
        for numbers in zip(shape.size, shape.taps, output, strict=True)
    ]
    how = layer.implementation
    if how == "auto":
        how = "fft" if min(output) >= FFT_SIDE else "matmul"
    parts = _by_fft(call, shape, axes) if how == "fft" else _by_matmul(call, shape, axes, 1)
    return _with_bias_and_activation(call, parts)


def _spectra_product(call, work, images, columns_of_kernel, shape, axis_h, wide):
    """Kernel DFT, and the product of the spectra with its two gradients.

    Args:
        images: batch, times the tiles of an image.
        columns_of_kernel: frequencies of the width.
        wide: whether the spectra are float32 in any precision.
    """
    kernels = shape.channels // shape.groups * shape.filters
    kh, kw = shape.taps
    frequencies = work.kernel_numbers // (4 * kernels)
    rows = frequencies // columns_of_kernel
    k = work.kernel_numbers
    z = images * 2 * frequencies * shape.channels
    y = images * 2 * frequencies * shape.filters
    key = "wide" if wide else "numbers"
    kernel = {
        "products": (4 * rows * kh * kw + 16 * columns_of_kernel * kw * rows) * kernels,
        key: 4 * rows * kw * kernels * 2 + k,
    }
    product = {"products": 2 * images * work.products, key: z + k + y}
    steps = [
        Step("kernel DFT", FORWARD, **kernel),
        Step("kernel DFT, gradient", BACKWARD, **kernel),
        Step("product of spectra", FORWARD, **product),
        Step("product, kernel gradient", BACKWARD, **product),
    ]
    if call.gradient:
        steps.append(Step("product, input gradient", BACKWARD, **product))
    return steps, z, y, k


def _by_matmul(call, shape, axes, tiles):
    axis_h, axis_w = axes
    images = call.batch * tiles
    rows, columns = len(axis_h.half), len(axis_w.full)
    work = matmul_work(shape, axis_h, axis_w)
    steps, z, y, k = _spectra_product(call, work, images, columns, shape, axis_h, wide=False)
    entering = images * axis_h.size * axis_w.size * shape.channels
    leaving = images * axis_h.size_out * axis_w.size_out * shape.filters
    first = images * 2 * rows * axis_w.size * shape.channels
    last = images * 2 * rows * axis_w.size_out * shape.filters
    there = (
        images
        * shape.channels
        * (4 * rows * axis_h.size * axis_w.size + 8 * rows * columns * axis_w.size)
    )
    back = 2 * images * work.transforms - there
    steps += _both("DFT", call, products=there, numbers=entering + 2 * first + z)
    steps += _both("transpose", call, numbers=2 * z)
    steps += [
        Step(name, phase, **numbers)
        for phase in (FORWARD, BACKWARD)
        for name, numbers in (
            ("inverse DFT", {"products": back, "numbers": y + 2 * last + leaving}),
            ("transpose back", {"numbers": 2 * y}),
        )
    ]
    if tiles > 1:
        steps += _both("cut into tiles", call, numbers=call.x + entering)
        steps += [Step("join tiles", p, numbers=leaving + call.y) for p in (FORWARD, BACKWARD)]
    return {"steps": tuple(steps), "kept": z + k, "workspace": 2 * max(z, y) + k}


def _fft_flops(height, width):
    """Of the FFT of a real image: half of 5 n log2 n."""
    return 2.5 * height * width * math.log2(max(height * width, 2))


def _by_fft(call, shape, axes):
    axis_h, axis_w = axes
    work = fft_work(shape, axis_h, axis_w)
    images = call.batch
    steps, z, y, k = _spectra_product(
        call, work, images, len(axis_w.half), shape, axis_h, wide=True
    )
    period = axis_h.period, axis_w.period
    back = axis_h.step_period, axis_w.step_period
    entering = images * shape.channels * math.prod(period)
    leaving = images * shape.filters * math.prod(back)
    steps += _both(
        "FFT",
        call,
        transforms=images * shape.channels * _fft_flops(*period),
        wide=2 * call.x + entering + 2 * z,
        numbers=0,
    )
    steps += _both("transpose", call, wide=4 * z)
    for phase in (FORWARD, BACKWARD):
        flops = images * shape.filters * _fft_flops(*back)
        steps.append(Step("transpose back", phase, wide=4 * y))
        steps.append(
            Step("inverse FFT", phase, transforms=flops, wide=2 * y + leaving + 2 * call.y)
        )
    return {"steps": tuple(steps), "kept_wide": z + k, "workspace": 2 * max(z, y) + k}


# Resampling, masks and noise.


def _separable(call, axes, channels):
    """Steps of one real matrix for each axis.

    Args:
        axes: (output size, input size, share) of height and of width: which share of the
            multiplications is done, 0 where the axis is left alone.
    """
    (rows, height, share_h), (columns, width, share_w) = axes
    if channels <= FEW_CHANNELS:
        share_w = math.ceil(share_w)  # channels first, where nothing is left out of that product
    # The cheaper order, as `apply_separable` takes it.
    width_first = height * columns * width, height * columns * rows
    height_first = rows * width * columns, rows * width * height
    shrinks = rows * columns <= height * width
    if (sum(width_first), not shrinks) <= (sum(height_first), shrinks):
        (by_width, by_height), between = width_first, height * columns
    else:
        (by_width, by_height), between = height_first, rows * width
    products = share_w * by_width + share_h * by_height
    numbers = height * width + rows * columns + 2 * between * (share_h > 0) * (share_w > 0)
    if 1 < channels <= FEW_CHANNELS:
        numbers += 2 * (height * width + rows * columns)
    scale = call.batch * channels
    return _both("DFT", call, products=2 * products * scale, numbers=numbers * scale)


def _through_spectrum(call, size, output, channels, images):
    """Steps of an FFT, an inverse FFT of another size, and the transposes of channels last."""
    (height, width), (rows, columns) = size, output
    scale = images * channels
    z_in, z_out = height * (width // 2 + 1) * 2, rows * (columns // 2 + 1) * 2
    flops = _fft_flops(height, width) + _fft_flops(rows, columns)
    # x and y are transposed; the spectrum is read and written by each transform and by the crop.
    numbers = 3 * height * width + 2 * z_in + z_in + z_out + 2 * z_out + 3 * rows * columns
    return _both("FFT", call, transforms=flops * scale, wide=numbers * scale)


def _spectral_pooling(call):
    layer = call.layer
    *size, channels = call.maps()
    *output, _ = call.maps(call.outputs[0])
    images = call.batch
    how = choose_resize_implementation(layer.implementation, tuple(size), tuple(output))
    if how == "fft":
        steps = _through_spectrum(call, size, output, channels, images)
        spectrum = images * channels * size[0] * (size[1] // 2 + 1) * 2
        return {"steps": tuple(steps), "workspace": 2 * spectrum}
    dropping = layer.frequency_dropout not in (None, 1)
    axes = []
    for n_in, n_out in zip(size, output, strict=True):
        share = 1.0 if dropping or n_in != n_out else 0.0
        halving = n_in == 2 * n_out and n_in >= HALVING_SIZE and not dropping
        if halving and (n_out % 2 or nyquist_weight(n_in, n_out, layer.nyquist) == 0.5):
            # Every second column is a multiple of the identity's, and left out of the product.
            share = 0.5
        axes.append((n_out, n_in, share))
    return _resampled(call, axes, channels, dropping)


def _frequency_dropout(call):
    layer = call.layer
    *size, channels = call.maps()
    if layer.min_fraction == 1:
        return {}
    size = tuple(size)
    if choose_resize_implementation(layer.implementation, size, size) == "fft":
        steps = _through_spectrum(call, size, size, channels, call.batch)
        return {"steps": tuple(steps), "workspace": 2 * call.x}
    return _resampled(call, [(n, n, 1.0) for n in size], channels, dropping=True)


def _resampled(call, axes, channels, dropping):
    steps = _separable(call, axes, channels)
    (rows, height, _), (columns, width, _) = axes
    parts = {"workspace": call.batch * channels * min(height * columns, rows * width)}
    if dropping:
        # The matrices themselves are products of two, drawn anew at each step.
        draws = call.batch if call.layer.per_sample else 1
        flops = sum(2 * n_out * n_out * n_in for n_out, n_in, _ in axes)
        numbers = sum(n_out * n_out + 2 * n_out * n_in for n_out, n_in, _ in axes)
        steps.append(Step("draw", FORWARD, products=draws * flops, wide=draws * numbers))
        parts["kept_wide"] = draws * sum(n_out * n_in for n_out, n_in, _ in axes)
    return {**parts, "steps": tuple(steps)}


def _mask(call):
    layer = call.layer
    height, width, channels = call.maps()
    images = call.batch
    how = layer.implementation
    if how == "auto":
        how = choose_mask_implementation(height, width, channels)
    half = width // 2 + 1
    z = images * channels * 2 * height * half
    entries = math.prod(layer.mask.shape)
    if how == "fft":
        flops = images * channels * _fft_flops(height, width)
        # Transposed for the FFT where channels are last; each transform passes its spectrum twice.
        one = {"transforms": flops, "wide": 3 * call.x + 2 * z}
        steps = [
            Step("FFT", FORWARD, **one),
            Step("mask", FORWARD, others=z, wide=2 * z),
            Step("inverse FFT", FORWARD, **one),
            Step("FFT of the gradient", BACKWARD, **one),
            Step("mask gradient", BACKWARD, others=4 * z, wide=3 * z + entries),
        ]
        if call.gradient:
            steps.append(Step("mask", BACKWARD, others=z, wide=2 * z))
            steps.append(Step("inverse FFT", BACKWARD, **one))
        return {"steps": tuple(steps), "kept_wide": z, "workspace": 2 * z}
    scale = images * channels
    one = {
        "products": 4 * scale * (height * half * width + 2 * height * height * half),
        "numbers": call.x + 3 * z,
    }
    steps = [
        Step("DFT", FORWARD, **one),
        Step("mask", FORWARD, others=z, numbers=2 * z),
        Step("inverse DFT", FORWARD, **one),
        Step("inverse DFT, gradient", BACKWARD, **one),
        Step("mask gradient", BACKWARD, others=2 * z, numbers=2 * z, wide=entries),
    ]
    if call.gradient:
        steps.append(Step("mask", BACKWARD, others=z, numbers=2 * z))
        steps.append(Step("DFT, gradient", BACKWARD, **one))
    return {"steps": tuple(steps), "kept": z, "workspace": 2 * z}


def _suppression(call):
    height, width, channels = call.maps()
    z = call.batch * channels * 2 * height * (width // 2 + 1)
    flops = call.batch * channels * _fft_flops(height, width)
    factor = z // (2 * channels)
    one = {"transforms": flops, "wide": 3 * call.x + 2 * z}
    steps = [
        *_both("FFT", call, **one),
        *_both("suppress", call, others=z, wide=2 * z + 3 * factor),
        *_both("inverse FFT", call, **one),
        *_both("choose", call, wide=3 * call.x),
    ]
    return {"steps": tuple(steps), "kept_wide": factor, "workspace": 2 * z}


def _frequency_noise(call):
    """FFT, random numbers, amplitudes and directions, inverse FFT; no gradient but the identity.

    Every function of the magnitudes in `amplitude_noise` is a pass over them.
    """
    height, width, channels = call.maps()
    z = call.batch * channels * 2 * height * (width // 2 + 1)
    flops = call.batch * channels * _fft_flops(height, width)
    one = {"transforms": flops, "wide": 3 * call.x + 2 * z}
    steps = (
        Step("FFT", FORWARD, **one),
        Step("noise", FORWARD, others=20 * z, wide=12 * z),
        Step("inverse FFT", FORWARD, **one),
        Step("add", FORWARD, others=call.x, numbers=3 * call.x, fused=call.x),
    )
    return {"steps": steps, "workspace": 3 * z}


# Pooling, normalisation and gates.


def _max_pooling(call):
    window = math.prod(call.layer.pool_size)
    x, y = call.x, call.y
    steps = [Step("maximum", FORWARD, others=window * y, numbers=x + y)]
    if call.gradient:
        steps.append(Step("maximum, gradient", BACKWARD, others=window * y, numbers=2 * x + 2 * y))
    return {"steps": tuple(steps), "keeps_input": True, "keeps_output": True}


def _adaptive_max_pooling(call):
    x, y = call.x, call.y
    steps = [Step("maximum", FORWARD, others=x, numbers=x + y)]
    if call.gradient:
        steps.append(Step("maximum, gradient", BACKWARD, others=x, numbers=2 * x + 2 * y))
    return {"steps": tuple(steps), "keeps_input": True, "keeps_output": True}


def _average_pooling(call):
    return {"steps": tuple(_both("average", call, others=call.x, numbers=call.x + call.y))}


def _batch_normalization(call):
    """Moments, normalisation; their gradients.

    Fused: one pass for the sums, one that reads and writes; backward the sums over gradient and
    input, then one pass over both.  Kernel by kernel it is the sum of the passes of `tf.nn.moments`
    and `tf.nn.batch_normalization`: 4 + 4, and 16 backward.
    """
    x = call.x
    steps = (
        Step("normalise", FORWARD, others=6 * x, numbers=8 * x, fused=3 * x),
        Step("normalise, gradient", BACKWARD, others=11 * x, numbers=16 * x, fused=5 * x),
    )
    return {"steps": steps, "keeps_input": True}


def _channel_gate(call):
    layer = call.layer
    x = call.x
    channels, hidden = call.maps()[2], layer.hidden
    dense = {
        "products": 4 * call.batch * channels * hidden,
        "wide": 2 * channels * hidden,
    }
    steps = []
    if layer.extended:
        taps = math.prod(layer.convolution.kernel_size)
        work = {"products": 2 * x * taps * channels, "numbers": 2 * x, "wide": taps * channels**2}
        steps += [Step("convolution", p, **work) for p in (FORWARD, BACKWARD)]
        steps += _both("convolution", call, **work)[1:]
        steps += _batch_normalization(call)["steps"]
    steps += [
        Step("mean", FORWARD, others=2 * x, numbers=3 * x, fused=x),
        Step("dense", FORWARD, **dense),
        Step("gate", FORWARD, others=x, numbers=2 * x),
        # By the gate: a product and its sum; by the input: a product, and the mean's own part.
        Step("gate, gradient", BACKWARD, others=5 * x, numbers=12 * x, fused=5 * x),
        Step("dense, gradients", BACKWARD, **{key: 2 * n for key, n in dense.items()}),
    ]
    kept = x * (3 if layer.extended else 1)
    return {"steps": tuple(steps), "keeps_input": True, "kept": kept}


_L = keras.layers
_RULES = {
    _L.InputLayer: _free,
    _L.Identity: _free,
    _L.Flatten: _free,
    _L.Reshape: _free,
    _L.Activation: _activation,
    _L.ReLU: _activation,
    _L.Dropout: _dropout,
    _L.Add: _add,
    _L.Multiply: _multiply,
    _L.Concatenate: _copy,
    _L.ZeroPadding2D: _copy,
    _L.Permute: _copy,
    _L.Conv2D: _convolution,
    _L.DepthwiseConv2D: _depthwise,
    _L.Dense: _dense,
    _L.MaxPooling2D: _max_pooling,
    _L.AdaptiveMaxPooling2D: _adaptive_max_pooling,
    _L.AveragePooling2D: _average_pooling,
    _L.GlobalAveragePooling2D: _average_pooling,
    _L.BatchNormalization: _batch_normalization,
    spectral.SpectralConv2D: _spectral_convolution,
    spectral.FFTConv2D: _fft_convolution,
    spectral.FFTConvPool2D: _fft_convolution_and_pooling,
    spectral.SpectralPool: _spectral_pooling,
    spectral.FrequencyDropout: _frequency_dropout,
    spectral.FourierMask: _mask,
    spectral.PowerSuppression: _suppression,
    spectral.FrequencyNoise: _frequency_noise,
    spectral.ChannelGate: _channel_gate,
}
# Tensors of the same numbers as their input.
ALIASES = (_L.InputLayer, _L.Identity, _L.Flatten, _L.Reshape)
