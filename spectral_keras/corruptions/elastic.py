"""Elastic transform: a random affine map, then a smooth random displacement."""

from collections.abc import Sequence

import numpy as np

from spectral_keras.corruptions import filters
from spectral_keras.corruptions.levels import to_levels, to_unit
from spectral_keras.corruptions.streams import uniform

__all__ = ["elastic_transform"]


def elastic_transform(
    images: np.ndarray,
    constants: tuple[float, float, float],
    rngs: Sequence[np.random.Generator],
) -> np.ndarray:
    """Move three corners of a square in the middle, then every pixel by smoothed noise.

    OpenCV 4, which made the published files, takes the affine map's coordinates to 1/32 of a pixel;
    here, as in OpenCV 5, they are exact: the results differ by up to 4 grey levels.

    Args:
        images: uint8 [N, H, W, C].
        constants: amplitude and standard deviation of the smoothing of the displacement; the
            largest move of a corner, on each axis; all in pixels.
        rngs: N generators.
    """
    amplitude, sigma, largest = constants
    height, width = images.shape[1:3]
    moves = uniform(rngs, (3, 2), -largest, largest)
    noise = uniform(rngs, (height, width, 2), -1, 1)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    affine, start = _affine(height, width, moves)
    where = affine @ np.stack((rows.ravel(), columns.ravel())) + start[:, :, np.newaxis]
    where = where.reshape(len(images), 2, height, width)
    # Planes of one channel, [C, N, H, W]: NumPy is fast along long last axes.
    planes = to_unit(np.ascontiguousarray(np.moveaxis(images, -1, 0)), np.float32)
    planes = _sample(planes, where[:, 0], where[:, 1], _mirror)
    shift = filters.gaussian(noise, sigma, mode="reflect", truncate=3) * amplitude
    planes = _sample(planes, rows + shift[..., 0], columns + shift[..., 1], _reflect)
    return np.moveaxis(to_levels(planes), 0, -1)


def _affine(height, width, moves):
    """The maps (matrix [N, 2, 2], vector [N, 2]) that take the moved corners to the corners.

    Args:
        height, width: of the image.
        moves: [N, 3, 2], (row, column) of three corners of the square in the middle.
    """
    center, reach = np.array([height // 2, width // 2], float), min(height, width) // 3
    corners = center + reach * np.array([[1, 1], [-1, 1], [-1, -1]])
    moved = corners + moves
    ours = np.stack((corners[0] - corners[2], corners[1] - corners[2]), axis=-1)
    theirs = np.stack((moved[:, 0] - moved[:, 2], moved[:, 1] - moved[:, 2]), axis=-1)
    (a, b), (c, d) = np.moveaxis(theirs, (1, 2), (0, 1))
    determinant = a * d - b * c
    # Three corners on one line have no inverse: like OpenCV's, the map is then constant.
    flat = determinant == 0
    adjugate = np.stack((np.stack((d, -b), axis=-1), np.stack((-c, a), axis=-1)), axis=1)
    inverse = np.where(flat, 0, 1 / np.where(flat, 1, determinant))[:, None, None] * adjugate
    matrix = ours @ inverse
    start = corners[2] - (matrix @ moved[:, 2, :, np.newaxis])[..., 0]
    return matrix, start


def _sample(planes, rows, columns, fold):
    """Planes [C, N, H, W] at the places [N, H, W], linear between pixels.

    `fold(index, size)` says which pixel continues the image beyond its border.
    """
    count, height, width = planes.shape[1:]
    first = np.arange(count, dtype=np.int64)[:, np.newaxis, np.newaxis] * (height * width)
    top, left = np.floor(rows), np.floor(columns)
    down, right = rows - top, columns - left
    top, left = top.astype(np.int32), left.astype(np.int32)
    lines = [fold(top + below, height) * np.int64(width) + first for below in (0, 1)]
    besides = [fold(left + beside, width) for beside in (0, 1)]
    result = np.zeros(planes.shape, np.float64)
    for line, vertical in zip(lines, (1 - down, down), strict=True):
        for beside, horizontal in zip(besides, (1 - right, right), strict=True):
            place, weight = line + beside, vertical * horizontal
            for plane, total in zip(planes, result, strict=True):
                total += weight * plane.take(place)
    return result.astype(np.float32)


def _mirror(index, size):
    """... 2 1 | 0 1 2 ...: the border pixel is not repeated (OpenCV's BORDER_REFLECT_101)."""
    period = max(2 * size - 2, 1)
    index = _modulo(index, period)
    return np.minimum(index, period - index) if size > 1 else index


def _reflect(index, size):
    """... 1 0 | 0 1 ...: the border pixel is repeated (SciPy's "reflect")."""
    index = _modulo(index, 2 * size)
    return np.minimum(index, 2 * size - 1 - index)


def _modulo(index, period):
    # NumPy divides many integers by one several times as fast as it takes remainders.
    return index - index // period * period
