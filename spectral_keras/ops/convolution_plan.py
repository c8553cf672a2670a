"""How to carry out a convolution: sizes of the transforms, tiles, and the cheapest way.

The cost model counts multiplications and numbers that pass through memory.  Its constants were
fitted to the times of forward passes on two CPU cores (AVX-512, TensorFlow 2.21, float32; maps of
8 to 224, 3 to 192 channels, kernels 3 to 31, batches 1 to 128; within 30 % of each, and within
15 % near the crossover), and only their ratios matter here.  In training the frequency domain
gains more: where the two ways are as fast forward, a training step was 1.2 to 1.4 times faster,
and from kernel 15 on, where TensorFlow takes a slower kernel gradient, many times.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

from spectral_keras.ops.convolution_spectra import FourierAxis
from spectral_keras.ops.resize import nyquist_weight

__all__ = [
    "ConvolutionShape",
    "SpectralWork",
    "Tiling",
    "choose_implementation",
    "choose_tilings",
    "convolution_axis",
    "convolution_size",
    "fast_fft_size",
    "fft_work",
    "matmul_work",
    "pooled_axis",
    "plan_tiling",
]

# Nanoseconds.
_DIRECT_PRODUCT = 0.0082  # a multiplication of the ordinary convolution
_DIRECT_NUMBER = 0.38  # a number of its input or output
_PRODUCT = 0.0102  # a multiplication of a DFT or of the product of spectra
_SPECTRUM_NUMBER = 0.83  # a real number of the images' spectra: copies and transposes
_KERNEL_NUMBER = 0.44  # a real number of the kernel's spectrum, made once for a batch
_FFT_NUMBER = 3.0  # a real number of a spectrum that an FFT makes or takes, copies included
_TILE_NUMBER = 1.0  # a number of a tile, input or output: padding, cutting, putting together

# A spectral way may cost this many times the direct one forward: it is faster in training then.
_TOLERATED = 1.05

# Keras' default batch size, taken where the batch is not known.
_BATCH = 32

# Sides of tiles to consider.
_TILES = (24, 32, 48, 64, 96, 128)


@dataclasses.dataclass(frozen=True)
class ConvolutionShape:
    """A convolution in numbers; pairs are (height, width).

    Attributes:
        size: of the input.
        taps, strides, dilation: kernel size, strides, distance of taps.
        padding: "valid", "same" or "circular".
        channels, filters, groups: as in Conv2D.
    """

    size: tuple
    taps: tuple
    strides: tuple
    dilation: tuple
    padding: str
    channels: int
    filters: int
    groups: int = 1

    def axes(self) -> Iterator[tuple[int, int, int, Any, int]]:
        """(size, taps, stride, padding, dilation) of height and of width."""
        padding = (self.padding, self.padding)
        return zip(self.size, self.taps, self.strides, padding, self.dilation, strict=True)

    def output_size(self) -> tuple[int, ...]:
        return tuple(convolution_size(*numbers)[0] for numbers in self.axes())


def convolution_size(
    size: int, taps: int, stride: int, padding: Any, dilation: int
) -> tuple[int, int]:
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


def fast_fft_size(minimum: int) -> int:
    """The smallest size of at least `minimum` without a prime factor above 5.

    On a CPU an FFT of such a size takes about the same time for each pixel; a prime one takes
    three to five times as long.

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


def convolution_axis(
    size: int, taps: int, stride: int, padding: Any, dilation: int, smooth: bool = False
) -> FourierAxis:
    """`FourierAxis` of one axis of a convolution.

    Args:
        size, taps, stride, padding, dilation: as in `convolution_size`.
        smooth: round the length of the transform up to one that is fast for an FFT.
    """
    size_out, before = convolution_size(size, taps, stride, padding, dilation)
    period = size
    if padding == "same":
        # Wrapping around does no harm where it adds zeros, or to samples that nobody asks for.
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


def pooled_axis(size: int, taps: int, size_out: int, nyquist: str, norm: str) -> FourierAxis:
    """`FourierAxis` of one axis of a circular convolution that is cropped to size_out."""
    edge_weight = None
    if size_out % 2 == 0 and size_out < size:
        edge_weight = nyquist_weight(size, size_out, nyquist)
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
        edge_weight=edge_weight,
        scale=1 / size if norm == "mean" else 1 / math.sqrt(size * size_out),
    )


@dataclasses.dataclass(frozen=True)
class Tiling:
    """One axis cut into tiles that overlap by the kernel's reach (overlap-save).

    Attributes:
        count: number of tiles.
        advance: input samples from one tile to the next.
        overlap: input samples of a tile that belong to the next one too.
        axis: `FourierAxis` of one tile.
    """

    count: int
    advance: int
    overlap: int
    axis: FourierAxis


def plan_tiling(
    side: int, size: int, taps: int, stride: int, padding: Any, dilation: int
) -> Tiling | None:
    """`Tiling` with tiles of at most `side` samples, or None where that makes no sense."""
    size_out, _ = convolution_size(size, taps, stride, padding, dilation)
    overlap = dilation * (taps - 1)
    advance = (side - overlap) // stride * stride
    if advance < max(overlap, 1):
        return None
    count = -(-size_out * stride // advance)
    if count == 1:
        return None
    axis = convolution_axis(advance + overlap, taps, stride, "valid", dilation)
    return Tiling(count, advance, overlap, axis)


def _direct_cost(shape):
    pixels = math.prod(shape.output_size())
    products = pixels * math.prod(shape.taps) * shape.channels // shape.groups * shape.filters
    numbers = math.prod(shape.size) * shape.channels + pixels * shape.filters
    return _DIRECT_PRODUCT * products + _DIRECT_NUMBER * numbers


@dataclasses.dataclass(frozen=True)
class SpectralWork:
    """What a convolution in the frequency domain does for one image.

    Attributes:
        products: multiplications of the product of the spectra.
        transforms: multiplications of the images' DFTs by matrices, there and back.
        numbers: real numbers of the images' spectra, input and output.
        kernel_numbers: real numbers of the kernel's spectrum, which serves the whole batch.
    """

    products: int
    transforms: int
    numbers: int
    kernel_numbers: int


def _spectral_work(shape, frequencies, transforms):
    products = 4 * frequencies * shape.channels // shape.groups * shape.filters
    numbers = 2 * (shape.channels + shape.filters) * frequencies
    return SpectralWork(products, transforms, numbers, kernel_numbers=products)


def matmul_work(shape: ConvolutionShape, axis_h: FourierAxis, axis_w: FourierAxis) -> SpectralWork:
    """`SpectralWork` with DFT matrices, on the axes of an image or of a tile."""
    rows, columns = len(axis_h.half), len(axis_w.full)
    transforms = shape.channels * (
        2 * rows * axis_h.size * axis_w.size + 4 * rows * columns * axis_w.size
    ) + shape.filters * (
        2 * rows * axis_h.size_out * axis_w.size_out + 4 * rows * columns * axis_w.size_out
    )
    return _spectral_work(shape, rows * columns, transforms)


def fft_work(shape: ConvolutionShape, axis_h: FourierAxis, axis_w: FourierAxis) -> SpectralWork:
    """`SpectralWork` with the backend's FFT, whose own operations are not counted."""
    return _spectral_work(shape, len(axis_h.full) * len(axis_w.half), 0)


def _product_cost(work, batch):
    return _PRODUCT * work.products + _KERNEL_NUMBER * work.kernel_numbers / batch


def _matmul_cost(shape, axis_h, axis_w, batch):
    work = matmul_work(shape, axis_h, axis_w)
    cost = _product_cost(work, batch)
    return cost + _PRODUCT * work.transforms + _SPECTRUM_NUMBER * work.numbers


def _tiled_cost(shape, tilings, axes, batch):
    tiles = math.prod(1 if each is None else each.count for each in tilings)
    h, w = (axis if each is None else each.axis for each, axis in zip(tilings, axes, strict=True))
    one = _matmul_cost(shape, h, w, batch * tiles)
    numbers = shape.channels * h.size * w.size + shape.filters * h.size_out * w.size_out
    return tiles * (one + _TILE_NUMBER * numbers)


def _fft_cost(shape, batch):
    work = fft_work(shape, *(convolution_axis(*numbers, smooth=True) for numbers in shape.axes()))
    return _product_cost(work, batch) + _FFT_NUMBER * work.numbers


@functools.lru_cache(maxsize=256)
def choose_tilings(shape: ConvolutionShape, batch: int | None = None) -> tuple[Any, float]:
    """The cheapest way to cut the image for the DFT by matrices.

    Returns:
        (tilings, cost): a pair of `Tiling` or None (axis left whole), nanoseconds an image.
    """
    batch = batch or _BATCH
    axes = [convolution_axis(*numbers) for numbers in shape.axes()]
    best: tuple[Any, float] = (None, None), _matmul_cost(shape, axes[0], axes[1], batch)
    for side in _TILES:
        tilings = tuple(plan_tiling(side, *numbers) for numbers in shape.axes())
        if tilings == (None, None):
            continue
        cost = _tiled_cost(shape, tilings, axes, batch)
        if cost < best[1]:
            best = tilings, cost
    return best


@functools.lru_cache(maxsize=256)
def choose_implementation(shape: ConvolutionShape, batch: int | None = None) -> str:
    """ "direct", "matmul" or "fft", the one with the lowest estimated cost of a forward pass.

    Args:
        shape: `ConvolutionShape`.
        batch: number of images if known; the kernel's spectrum is computed once for all of them.

    >>> def choice(size, kernel, channels):
    ...     pair = lambda n: (n, n)
    ...     return choose_implementation(
    ...         ConvolutionShape(
    ...             pair(size), pair(kernel), pair(1), pair(1), "same", channels, channels
    ...         )
    ...     )
    >>> [choice(64, kernel, 16) for kernel in (3, 5, 9, 31)]
    ['direct', 'direct', 'matmul', 'matmul']
    >>> choice(32, 3, 96), choice(32, 5, 96), choice(224, 31, 4)
    ('direct', 'matmul', 'fft')
    """
    batch = batch or _BATCH
    costs = {
        "direct": _TOLERATED * _direct_cost(shape),
        "matmul": choose_tilings(shape, batch)[1],
        "fft": _fft_cost(shape, batch),
    }
    return min(costs, key=lambda name: costs[name])
