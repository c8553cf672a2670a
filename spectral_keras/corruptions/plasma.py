"""Clouds by diamonds and squares."""

from collections.abc import Sequence

import numpy as np

from spectral_keras.corruptions.streams import uniform

__all__ = ["plasma"]


def plasma(
    height: int, width: int, decay: float, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Random maps with detail of every size, in [0, 1].

    Fournier, Fussell and Carpenter, "Computer rendering of stochastic models" (1982): on a torus
    whose side is a power of two, a point in the middle of four known ones is their mean plus a
    random number; then the distance between known points is halved and the numbers shrink.

    Args:
        height, width: of the maps, which are cut out of a square of the next power of two.
        decay: what the spread is divided by from one distance to the next. As in the published
            generator the numbers are w U(-w, w), so that their size shrinks by decay^2.
        rngs: a generator for each map.

    Returns:
        Float64 [N, height, width]; a whole square has the minimum 0 and the maximum 1.
    """
    # A square of one point has no spread that could be normalised.
    side = max(2, 1 << (max(height, width) - 1).bit_length())
    # Every point but the first has its number, in the order of their use.
    numbers = uniform(rngs, (side * side - 1,), -1, 1)
    used = 0

    def middle(total, spread):
        nonlocal used
        points = total.shape[1] * total.shape[2]
        noise = numbers[:, used : used + points].reshape(total.shape)
        used += points
        return total / 4 + spread**2 * noise

    maps = np.zeros((len(numbers), side, side))
    step, spread = side, 100.0
    while step >= 2:
        half = step // 2
        corners = maps[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        centers = middle(pairs + np.roll(pairs, -1, axis=2), spread)
        maps[:, half::step, half::step] = centers
        # Points between two corners (left and right) and two centres (above and below), and
        # between two centres (left and right) and two corners (above and below).
        sides = centers + np.roll(centers, 1, axis=1) + corners + np.roll(corners, -1, axis=2)
        maps[:, ::step, half::step] = middle(sides, spread)
        sides = centers + np.roll(centers, 1, axis=2) + corners + np.roll(corners, -1, axis=1)
        maps[:, half::step, ::step] = middle(sides, spread)
        step, spread = half, spread / decay
    maps -= maps.min(axis=(1, 2), keepdims=True)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    return maps[:, :height, :width]
