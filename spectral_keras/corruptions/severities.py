"""The groups of the corruptions, and their constants for severities 1 to 5.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), https://arxiv.org/abs/1903.12261, and the authors' generators of CIFAR-10-C
and ImageNet-C.  The two sets differ in every constant: CIFAR-10-C is much milder.
"""

import math
import types
from collections.abc import Mapping
from typing import Any

from spectral_keras.cifar10c import BENCHMARK, EXTRA, SEVERITIES
from spectral_keras.ops.validation import check_choice

__all__ = [
    "BENCHMARK",
    "CIFAR",
    "EXTRA",
    "GROUPS",
    "IMAGENET",
    "SEVERITIES",
    "SIDES",
    "TABLES",
    "names",
    "table_for",
]

GROUPS = {"benchmark": BENCHMARK, "extra": EXTRA, "all": BENCHMARK + EXTRA}

# What the constants mean. Images are in [0, 1], lengths in pixels.
#   gaussian_noise, speckle_noise: standard deviation
#   shot_noise: photons of a white pixel
#   impulse_noise: share of the values
#   defocus_blur: radius of the disk, standard deviation of its smoothing
#   glass_blur: standard deviation, farthest move, rounds of moves
#   motion_blur: radius (the streak has 2 radius + 1 pixels), standard deviation
#   zoom_blur: end (left out) and step of the zoom factors from 1 on
#   snow: mean and standard deviation of the flakes' noise, its zoom, threshold; radius and standard
#       deviation of the motion blur; share of the image that is not whitened
#   frost: weights of image and texture, step from pixel to pixel of the texture
#   fog: amount, decay of the plasma's detail
#   brightness: added to the value of HSV
#   contrast: factor
#   elastic_transform: amplitude and smoothing of the displacement, largest move of a corner of the
#       affine map; for a side of SIDES pixels, and in proportion for others
#   pixelate: share of the side
#   jpeg_compression: quality
#   gaussian_blur: standard deviation
#   spatter: mean and standard deviation of the noise, its smoothing, threshold; water: amount, 0;
#       mud: smoothing of its edge, 1
#   saturate: factor of the saturation of HSV, and what is added to it
CIFAR: Mapping[str, tuple[Any, ...]] = types.MappingProxyType(
    {
        "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
        "shot_noise": (500, 250, 100, 75, 50),
        "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
        "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        "zoom_blur": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        "snow": (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        "frost": ((1, 0.2, 5), (1, 0.3, 5), (0.9, 0.4, 5), (0.85, 0.4, 5), (0.75, 0.45, 5)),
        "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
        "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
        "elastic_transform": (
            (0.0, 0.0, 32 * 0.08),
            (32 * 0.05, 32 * 0.2, 32 * 0.07),
            (32 * 0.08, 32 * 0.06, 32 * 0.06),
            (32 * 0.1, 32 * 0.04, 32 * 0.05),
            (32 * 0.1, 32 * 0.03, 32 * 0.03),
        ),
        "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
        "jpeg_compression": (80, 65, 58, 50, 40),
        "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),
        "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1),
        "spatter": (
            (0.62, 0.1, 0.7, 0.7, 0.5, 0),
            (0.65, 0.1, 0.8, 0.7, 0.5, 0),
            (0.65, 0.3, 1, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1),
            (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ),
        "saturate": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    }
)

IMAGENET: Mapping[str, tuple[Any, ...]] = types.MappingProxyType(
    {
        "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
        "shot_noise": (60, 25, 12, 5, 3),
        "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
        "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        "zoom_blur": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        "snow": (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
        "frost": ((1, 0.4, 1), (0.8, 0.6, 1), (0.7, 0.7, 1), (0.65, 0.7, 1), (0.6, 0.75, 1)),
        "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
        "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
        # The generator multiplies by 244, in place of the side of 224.
        "elastic_transform": (
            (244 * 2, 244 * 0.7, 244 * 0.1),
            (244 * 2, 244 * 0.08, 244 * 0.2),
            (244 * 0.05, 244 * 0.01, 244 * 0.02),
            (244 * 0.07, 244 * 0.01, 244 * 0.02),
            (244 * 0.12, 244 * 0.01, 244 * 0.02),
        ),
        "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
        "jpeg_compression": (25, 18, 15, 10, 7),
        "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),
        "gaussian_blur": (1, 2, 3, 4, 6),
        "spatter": (
            (0.65, 0.3, 4, 0.69, 0.6, 0),
            (0.65, 0.3, 3, 0.68, 0.6, 0),
            (0.65, 0.3, 2, 0.68, 0.5, 0),
            (0.65, 0.3, 1, 0.65, 1.5, 1),
            (0.67, 0.4, 1, 0.65, 1.5, 1),
        ),
        "saturate": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    }
)

TABLES = types.MappingProxyType({"cifar": CIFAR, "imagenet": IMAGENET})
# The side of the images that each table was made for.
SIDES = types.MappingProxyType({"cifar": 32, "imagenet": 224})


def names(group: str = "benchmark") -> tuple[str, ...]:
    """The names of a group of corruptions, in the order of the papers' tables.

    Args:
        group: "benchmark" (the 15 that mean accuracies and mCE are of), "extra" (4 more) or "all".

    Returns:
        Tuple of strings.

    Raises:
        ValueError: for another group.

    Example:

    >>> names("extra")
    ('speckle_noise', 'gaussian_blur', 'spatter', 'saturate')
    """
    return GROUPS[check_choice("group", group, tuple(GROUPS))]


def table_for(height: int, width: int) -> str:
    """The table whose images are nearer in size, as a ratio of the smaller sides.

    The sides of the tables are 32 and 224; their geometric mean is 84.7.

    Args:
        height, width: of the images, pixels.

    Returns:
        "cifar" if the smaller side is at most 84, else "imagenet".

    Example:

    >>> table_for(32, 32), table_for(64, 96), table_for(96, 96)
    ('cifar', 'cifar', 'imagenet')
    """
    side = min(height, width)
    return min(SIDES, key=lambda table: abs(math.log(max(side, 1) / SIDES[table])))
