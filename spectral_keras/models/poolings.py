"""What shrinks maps by a stride: the poolings that networks of the zoo choose from by name.

    average     windows as wide as the stride
    blur        the binomial filter [1 2 1]/4 of each axis before the stride (Zhang 2019, arXiv
                1904.11486); at the end of an axis the mean of what is left
    spectral    `SpectralPool`
    windowed    the same with a Hamming window (Grabinski et al. 2023, ASAP, arXiv 2307.09804)
    learned     the same with the ramp of `DiffStride`, whose place is learned (Riad et al. 2022,
                arXiv 2202.01653), at the stride's own size, so at the same cost; for sides of 2
                and 3, where the limits of that layer leave nothing to learn, "spectral"
    diffstride  `DiffStride` as published, its size that of the first stride: about n/stride + 8
                values, so up to 2.3 times the computation behind each

All of them are linear and the same for each channel; "max", the maximum of windows as wide as the
stride, is not.
"""

from typing import Literal, get_args

from keras import KerasTensor, layers

from spectral_keras.layers import DiffStride, SpectralPool
from spectral_keras.models.blocks import spatial_size

__all__ = ["LINEAR", "Pooling", "pool"]

Linear = Literal["average", "blur", "spectral", "windowed", "learned", "diffstride"]
# "strided": the convolution before has the stride.
Pooling = Literal["strided", "max", Linear]
LINEAR: tuple[str, ...] = get_args(Linear)

# R of the published layer.
SMOOTHNESS = 4.0


def pool(
    x: KerasTensor,
    pooling: str,
    name: str,
    *,
    stride: int = 2,
    padding: str = "same",
    size: tuple[int, int] | None = None,
) -> KerasTensor:
    """Shrink maps.

    Args:
        x: image tensor.
        pooling: "max" or a name of `Linear`.
        name: of the layer that shrinks.
        stride: how far apart the values that remain are.
        padding: "same", sides are divided by the stride and rounded up, or "valid", rounded down.
        size: (height, width) of "spectral", "windowed" and "learned", in place of those.
    """
    if pooling in ("max", "average", "blur"):
        window = stride
        if pooling == "blur":
            # Two means of two neighbours, the second of them strided, are the binomial filter.
            x, window = layers.AveragePooling2D(2, 1, padding="same", name=f"{name}_blur")(x), 2
        kind = layers.MaxPooling2D if pooling == "max" else layers.AveragePooling2D
        return kind(window, stride, padding=padding, name=name)(x)
    sides = spatial_size(x)
    if pooling == "diffstride":
        return DiffStride(stride, output_size="initial", smoothness=SMOOTHNESS, name=name)(x)
    if size is None:
        up = stride - 1 if padding == "same" else 0
        height, width = (max(1, (side + up) // stride) for side in sides)
        size = (height, width)
    if pooling == "learned":
        return _build_learned(sides, size, name)(x)
    return SpectralPool(size, window="hamming" if pooling == "windowed" else None, name=name)(x)


def _build_learned(sides, size, name):
    """`DiffStride` to a given size, whose ramp starts within what is kept.

    The ramp lies over the upper half of the frequencies 0 ... K that are kept, and ends a quarter
    beyond K: beyond the crop, or with its ends on frequencies, its gradient would be zero.
    """
    kept = min(size) // 2
    if kept < 2:
        return SpectralPool(size, name=name)
    smoothness = min(SMOOTHNESS, kept / 2)
    strides = [n / (2 * (m // 2 + 0.25 - smoothness)) for n, m in zip(sides, size, strict=True)]
    return DiffStride(strides, output_size=size, smoothness=smoothness, name=name)
