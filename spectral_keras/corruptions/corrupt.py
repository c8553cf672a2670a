"""The one door to all corruptions."""

from collections.abc import Callable, Sequence

import numpy as np

from spectral_keras.corruptions import (
    blur,
    colour,
    digital,
    elastic,
    noise,
    severities,
    spatter,
    streams,
    weather,
)
from spectral_keras.ops.validation import check_choice, check_positive_int

__all__ = ["FUNCTIONS", "check_images", "corrupt"]

FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": colour.brightness,
    "contrast": colour.contrast,
    "elastic_transform": elastic.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "spatter": spatter.spatter,
    "saturate": colour.saturate,
}

# Values worked on at a time: the temporaries, float64, stay in a processor's cache.
_CHUNK = 1 << 17


def corrupt(
    images: np.ndarray,
    name: str,
    severity: int,
    seed: int = 0,
    *,
    indices: Sequence[int] | np.ndarray | None = None,
    table: str | None = None,
) -> np.ndarray:
    """Images as in CIFAR-10-C or ImageNet-C: one corruption at one severity.

    Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations" (2019), https://arxiv.org/abs/1903.12261, with the constants of the published
    generators. The images are not those of the published files bit for bit:

    - the generators used NumPy's global random stream, without a seed;
    - "frost" uses procedural textures, with the statistics of the authors' photographs but not
      their shapes (docs/corruptions.md);
    - ImageMagick ("motion_blur", "snow"), OpenCV ("defocus_blur", "elastic_transform", "spatter")
      and scikit-image are rebuilt in NumPy and SciPy; "elastic_transform" differs from OpenCV 4 by
      up to 4 grey levels, "spatter" where its generator overflows;
    - a blurred image of one level keeps it, where the generators' sums of floats may lose one;
    - "jpeg_compression" and "pixelate" depend on the version of Pillow and of its JPEG library;
    - the files of ImageNet-C went through JPEG of quality 85 in the end, the results here do not.

    An image's random numbers depend on `seed`, the corruption, the severity and the image's number
    alone, neither on the other images nor on their order.

    Args:
        images: uint8 [N, H, W, C], C 1 or 3 (RGB).
        name: one of `names("all")`.
        severity: 1 (mild) to 5.
        seed: integer of at least 0.
        indices: the images' numbers, N integers of at least 0; None for 0 to N - 1. Some of a
            data set's images with their numbers in it give the same as the whole data set.
        table: the constants: "cifar" (made for 32 x 32 pixels), "imagenet" (224 x 224), or None
            for "cifar" if the smaller side is at most 84, the nearer of the two as a ratio. Lengths
            are pixels, as published, whatever the size; "elastic_transform" and "pixelate" go with
            the side.

    Returns:
        uint8 [N, H, W, C], a new array.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import numpy as np
    >>> images = np.full((4, 32, 32, 3), 128, np.uint8)
    >>> noisy = corrupt(images, "gaussian_noise", 3)
    >>> noisy.shape, noisy.dtype.name, round(float(noisy.std()) / 255, 2)
    ((4, 32, 32, 3), 'uint8', 0.08)
    >>> last = corrupt(images[3:], "gaussian_noise", 3, indices=[3])
    >>> np.array_equal(last[0], noisy[3])
    True
    """
    images = check_images(images)
    check_choice("name", name, severities.names("all"))
    severity = _check_severity(severity)
    seed = check_positive_int("seed", seed, minimum=0)
    indices = _check_indices(indices, len(images))
    height, width = images.shape[1:3]
    if table is None:
        table = severities.table_for(height, width)
    check_choice("table", table, tuple(severities.TABLES))
    constants = severities.TABLES[table][name][severity - 1]
    if name == "elastic_transform":
        scale = min(height, width) / severities.SIDES[table]
        constants = tuple(length * scale for length in constants)
    result = np.empty_like(images)
    step = max(1, _CHUNK // max(1, images[:1].size))
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        rngs = streams.generators(seed, name, severity, indices[part])
        result[part] = FUNCTIONS[name](images[part], constants, rngs)
    return result


def check_images(images: np.ndarray) -> np.ndarray:
    """`images` as a contiguous uint8 array [N, H, W, C] with C 1 or 3."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape[1:3]:
        raise ValueError(
            f"`images` must have shape [N, height, width, 1 or 3]. Received: images of shape "
            f"{images.shape}"
        )
    if images.dtype != np.uint8:
        raise ValueError(
            f"`images` must be uint8 in [0, 255]. Received: images of type {images.dtype}"
        )
    return np.ascontiguousarray(images)


def _check_severity(severity):
    """`severity` as int if it is 1 to 5."""
    severity = check_positive_int("severity", severity)
    return check_choice("severity", severity, severities.SEVERITIES)


def _check_indices(indices, count):
    if indices is None:
        return range(count)
    array = np.asarray(indices)
    if array.shape != (count,) or (count and (array.dtype.kind not in "iu" or array.min() < 0)):
        raise ValueError(
            f"`indices` must be None or {count} integers of at least 0. Received: indices of shape "
            f"{array.shape} and type {array.dtype}"
        )
    return array
