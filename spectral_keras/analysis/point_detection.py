"""Images with a single frequency in one channel: point-detection maps."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.ops.frequencies import signed_frequencies
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_number,
    check_positive_int,
    check_size_pair,
)

__all__ = [
    "PointWaves",
    "check_channel",
    "check_frequencies",
    "point_detection_maps",
    "point_perturbation",
    "real_frequencies",
    "spectrum_from_half",
]

STRENGTH = 4 * math.sqrt(2)
RANGE_RULES = ("error", "clip", "allow")

# In float64 an amplitude of exactly .5 may come out a few units in the last place larger.
_ROUNDING = 1e-9


def real_frequencies(size: int | tuple[int, int]) -> np.ndarray:
    """One index [i, j] of each pair [i, j], [-i, -j]: all that a real image can hold.

    Args:
        size: image size, an integer or (height, width).

    Returns:
        Integer numpy array [F, 2] of unshifted indices, ascending by i, then j.  Of a pair it has
        the member that comes first.  F is (H W + s) / 2 with s bins that are their own partner
        (1, 2 or 4 of them, for zero, one or two even sides): 514 for 32 x 32.

    Example:

    >>> from spectral_keras.analysis import real_frequencies
    >>> real_frequencies(3).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]]
    >>> len(real_frequencies(32))
    514
    """
    height, width = check_size_pair("size", size)
    index = np.arange(height * width)
    partner = (-(index // width) % height) * width + -(index % width) % width
    first = index[index <= partner]
    return np.stack([first // width, first % width], axis=1)


def point_perturbation(
    size: int | tuple[int, int],
    frequencies: ArrayLike | float | None = None,
    strength: float = STRENGTH,
    phase: float = 0.0,
) -> np.ndarray:
    """Cosines of L2 norm `strength` whose spectrum is zero but at ±[i, j].

        p(y, x) = A cos(2 pi (i y / H + j x / W) + phase),   A = strength sqrt(2 / (H W))

    A bin that is its own partner (the mean and the Nyquist frequencies) holds one real number:
    A = strength / sqrt(H W) there, and of the phase only the sign of its cosine counts, + for 0.

    Args:
        size: image size, an integer or (height, width).
        frequencies: integers [F, 2], unshifted indices or signed frequencies, each in -n < k < n;
            a number for those of `real_frequencies(size)` with sqrt(i^2 + j^2), in cycles per
            image, up to it; None for all of these.
        strength: L2 norm of a cosine over the pixels.
        phase: in radians, at pixel (0, 0).

    Returns:
        Float64 numpy array [F, H, W].

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis import point_perturbation
    >>> waves = point_perturbation(8, [[0, 1], [2, 3]], strength=0.5)
    >>> waves.shape, np.linalg.norm(waves, axis=(1, 2)).round(6).tolist()
    ((2, 8, 8), [0.5, 0.5])
    """
    height, width = size = check_size_pair("size", size)
    strength = check_number("strength", strength, low=0)
    phase = check_number("phase", phase)
    index = check_frequencies(frequencies, size)
    # The turns i y / H + j x / W are multiples of 1 / (H W): exact as integers, for any size.
    count = height * width
    rows = np.outer(index[:, 0], np.arange(height)) % height * width
    columns = np.outer(index[:, 1], np.arange(width)) % width * height
    turns = (rows[:, :, None] + columns[:, None, :]) % count
    own_partner = ((2 * index) % size == 0).all(axis=1)
    cosines = np.cos(2 * np.pi / count * np.arange(count) + phase)
    perturbation = (strength * math.sqrt(2 / count)) * cosines[turns]
    if own_partner.any():
        # There every angle is 0 or half a turn.
        sign = 1.0 if math.cos(phase) >= 0 else -1.0
        signs = np.where(turns[own_partner] == 0, sign, -sign)
        perturbation[own_partner] = strength / math.sqrt(count) * signs
    return perturbation


@dataclasses.dataclass(frozen=True)
class PointWaves:
    """Single frequencies as they are added to a grey image of .5.

    Args:
        strength: L2 norm of a wave over the pixels; None for 4 sqrt 2, or less where that leaves
            [0, 1] (images smaller than 16 x 16).
        phase: see `point_perturbation`.
        out_of_range: what to do where the strength takes a pixel out of [0, 1]: "error"; "clip",
            which adds other frequencies; "allow", for networks that take any value.

    Raises:
        ValueError: for a value that does not fit.

    Example:

    >>> from spectral_keras.analysis import PointWaves
    >>> waves = PointWaves(strength=1.0, phase=0.5).on(8, [[0, 1], [2, 3]])
    >>> waves.shape, (waves**2).sum((1, 2)).round(6).tolist()
    ((2, 8, 8), [1.0, 1.0])
    """

    strength: float | None = None
    _: dataclasses.KW_ONLY
    phase: float = 0.0
    out_of_range: str = "error"

    def __post_init__(self):
        if self.strength is not None:
            check_number("strength", self.strength, low=0)
        check_number("phase", self.phase)
        check_choice("out_of_range", self.out_of_range, RANGE_RULES)

    def on(
        self, size: int | tuple[int, int], frequencies: ArrayLike | float | None = None
    ) -> np.ndarray:
        """What is added to the grey image for each frequency.

        Args:
            size: image size, an integer or (height, width).
            frequencies: see `point_perturbation`.

        Returns:
            Float64 numpy array [F, H, W].

        Raises:
            ValueError: for a strength that leaves [0, 1], with "error".
        """
        height, width = check_size_pair("size", size)
        strength = self.strength
        if strength is None:
            strength = min(STRENGTH, 0.5 * math.sqrt(height * width / 2))
        waves = point_perturbation(size, frequencies, strength, self.phase)
        largest = float(np.abs(waves).max(initial=0.0))
        if self.out_of_range == "error" and largest > 0.5 + _ROUNDING:
            raise ValueError(
                "`strength` must keep .5 + perturbation in [0, 1]: at most "
                f"{0.5 * strength / largest:.6g} for this size, or out_of_range 'clip' or 'allow'. "
                f"Received: strength={strength!r}"
            )
        return waves if self.out_of_range == "allow" else np.clip(waves, -0.5, 0.5)


def point_detection_maps(
    size: int | tuple[int, int],
    channel: int = 0,
    strength: float | None = None,
    *,
    channels: int = 3,
    phase: float = 0.0,
    frequencies: ArrayLike | float | None = None,
    out_of_range: str = "error",
    data_format: str | None = None,
) -> np.ndarray:
    """Channel point-detection maps: grey images with one frequency in one channel.

    Every pixel is .5, and `point_perturbation` is added to one channel: at the default strength of
    4 sqrt 2, a cosine of amplitude .25 in images of 32 x 32, .17678 at the bins that are
    their own partner.  Without leaving [0, 1] a strength of sqrt(H W) / (2 sqrt 2) is possible,
    11.31 for 32 x 32.

    Source: Jia, Bao and Ma, "Exploring Frequency Domain Interpretation of Convolutional Neural
    Networks" (arXiv 1911.12044), section 3.4 and figure 5.  The phase is not stated there.

    Args:
        size: image size, an integer or (height, width).
        channel: the channel that is perturbed.
        strength, phase, out_of_range: see `PointWaves`.
        channels: number of channels.
        frequencies: see `point_perturbation`; None gives all distinct frequencies.
        data_format: "channels_last" or "channels_first"; None: Keras' global setting.

    Returns:
        Float32 numpy array [F, H, W, channels], or [F, channels, H, W].

    Raises:
        ValueError: for an argument that does not fit, and for a strength that leaves [0, 1].

    Example:

    >>> from spectral_keras.analysis import point_detection_maps
    >>> maps = point_detection_maps(32, channel=2, data_format="channels_last")
    >>> maps.shape, float(maps.min()), float(maps.max())
    ((514, 32, 32, 3), 0.25, 0.75)
    """
    data_format = check_data_format(data_format)
    channels = check_positive_int("channels", channels)
    channel = check_channel("channel", channel, channels)
    waves = PointWaves(strength, phase=phase, out_of_range=out_of_range)
    perturbation = waves.on(size, frequencies)
    shape = (*perturbation.shape, channels)
    images = np.full(shape, 0.5, np.float32)
    images[..., channel] += perturbation.astype(np.float32)
    return images if data_format == "channels_last" else np.moveaxis(images, -1, 1).copy()


def check_channel(name: str, value: Any, channels: int) -> int:
    """`value` as int if it is an index of one of the channels."""
    value = check_positive_int(name, value, minimum=0)
    if value >= channels:
        raise ValueError(
            f"`{name}` must be less than the number of channels, {channels}. Received: "
            f"{name}={value}"
        )
    return value


def check_frequencies(frequencies: Any, size: tuple[int, int]) -> np.ndarray:
    """Unshifted indices as integer array [F, 2], signed frequencies wrapped around."""
    if frequencies is None:
        return real_frequencies(size)
    if np.ndim(frequencies) == 0:
        return _within(check_number("frequencies", frequencies, low=0), size)
    index = np.asarray(frequencies)
    if index.ndim != 2 or index.shape[1] != 2 or index.dtype.kind not in "iu" or not len(index):
        raise ValueError(
            "`frequencies` must be None, a radius or integers of shape [F, 2], at least one pair. "
            f"Received: frequencies of shape {index.shape} and type {index.dtype}"
        )
    index = index.astype(np.int64)
    if (np.abs(index) >= size).any():
        raise ValueError(
            f"`frequencies` must be in -n < k < n along each axis of the size {tuple(size)}. "
            f"Received: {index[(np.abs(index) >= size).any(axis=1)][0].tolist()}"
        )
    return index % size


def _within(radius, size):
    """Those of `real_frequencies` up to a radius in cycles per image: at least the constant."""
    index = real_frequencies(size)
    i, j = (signed_frequencies(n)[k] for n, k in zip(size, index.T, strict=True))
    return index[i**2 + j**2 <= radius**2 * (1 + 1e-12)]


def spectrum_from_half(values: ArrayLike, index: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """Maps [..., H, W] in unshifted order from values [..., F] at `index` and its partners.

    Frequencies that are not in `index` [F, 2] are NaN.
    """
    values = np.asarray(values)
    maps = np.full((*values.shape[:-1], *size), np.nan, values.dtype)
    i, j = np.asarray(index).T
    maps[..., -i % size[0], -j % size[1]] = values
    maps[..., i, j] = values
    return maps
