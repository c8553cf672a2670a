"""Canny's edges of a batch, and the distance from them."""

import numpy as np

__all__ = ["canny", "chamfer_distance"]

_TAN_22_5 = np.tan(np.pi / 8)
# Lengths of a step along a row or column, of a diagonal one and of a knight's move, as OpenCV has
# them in 16 bits after the point.
_STEPS = {(0, 1): 1.0, (1, 1): round(1.4 * 65536) / 65536, (1, 2): round(2.1969 * 65536) / 65536}


def canny(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Thin lines of large gradient.

    Canny, "A computational approach to edge detection" (1986), with Sobel's 3 x 3 gradients, their
    L1 norm, and no smoothing, as in OpenCV.

    Args:
        images: uint8 [N, H, W].
        low, high: the norm must be above `high` somewhere on a line and above `low` everywhere.

    Returns:
        bool [N, H, W].
    """
    from scipy import ndimage

    levels = images.astype(np.int64)
    down, right = (
        ndimage.correlate1d(
            ndimage.correlate1d(levels, (-1, 0, 1), axis=axis, mode="nearest"),
            (1, 2, 1),
            axis=3 - axis,
            mode="nearest",
        )
        for axis in (1, 2)
    )
    size = np.abs(down) + np.abs(right)
    line = (size > low) & _is_ridge(size, down, right)
    # Lines joined by corners too, but never from one image to the next.
    joined = np.zeros((3, 3, 3), bool)
    joined[1] = True
    labels, number = ndimage.label(line, joined)
    strong = np.zeros(number + 1, bool)
    strong[labels[line & (size > high)]] = True
    return strong[labels] & line


def _is_ridge(size, down, right):
    """Where the gradient is not smaller than at the two neighbours that it points to and from."""
    padded = np.pad(size, ((0, 0), (1, 1), (1, 1)))

    def neighbour(row, column):
        height, width = size.shape[1:]
        return padded[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    steep, flat = np.abs(down), np.abs(right)
    # The later one of two equal neighbours on a row or column counts; on a diagonal neither.
    row = (size > neighbour(0, -1)) & (size >= neighbour(0, 1))
    column = (size > neighbour(-1, 0)) & (size >= neighbour(1, 0))
    falling = (size > neighbour(-1, -1)) & (size > neighbour(1, 1))
    rising = (size > neighbour(-1, 1)) & (size > neighbour(1, -1))
    diagonal = np.where((down < 0) != (right < 0), rising, falling)
    return np.where(
        steep < _TAN_22_5 * flat, row, np.where(flat < _TAN_22_5 * steep, column, diagonal)
    )


def chamfer_distance(edges: np.ndarray, farthest: float) -> np.ndarray:
    """The length of the shortest way to an edge, in steps to the pixels around and knight's moves.

    Borgefors, "Distance transformations in digital images" (1986), with OpenCV's lengths 1, 1.4 and
    2.1969: within some two per cent of the Euclidean distance.

    Args:
        edges: bool [N, H, W].
        farthest: larger distances, and those of an image without edges, become this one.

    Returns:
        Float64 [N, H, W].

    Example:

    >>> chamfer_distance(np.array([[[True, False, False, False]]]), 2).tolist()
    [[[0.0, 1.0, 2.0, 2.0]]]
    """
    height, width = edges.shape[1:]
    distance = np.where(edges, 0.0, float(farthest))
    moves = [
        (row, column, length)
        for (first, second), length in _STEPS.items()
        for near, far in {(first, second), (second, first)}
        for row in {near, -near}
        for column in {far, -far}
    ]
    while True:
        padded = np.pad(distance, ((0, 0), (2, 2), (2, 2)), constant_values=farthest)
        nearer = distance.copy()
        for row, column, length in moves:
            around = padded[:, 2 + row : 2 + row + height, 2 + column : 2 + column + width]
            np.minimum(nearer, around + length, out=nearer)
        if np.array_equal(nearer, distance):
            return distance
        distance = nearer
