"""The L-inf and L2 balls around images: bounds, steps, projections, random points.

Functions named `*_step` are made of Keras ops and can be traced, the others are NumPy.
"""

from typing import Any

import numpy as np
from keras import ops

__all__ = ["inf_bounds", "inf_step", "l2_project", "l2_step", "random_point", "round_toward"]


def inf_step(images: Any, gradient: Any, step: Any, low: Any, high: Any) -> Any:
    """Up the gradient's sign by `step`, then back between the images `low` and `high`."""
    return ops.clip(images + step * ops.sign(gradient), low, high)


def l2_step(
    images: Any, gradient: Any, step: Any, center: Any, radius: Any, low: Any, high: Any
) -> Any:
    """Up the gradient's direction by `step`, then back into the ball and into [low, high].

    Clipping comes last: as the centre lies in [low, high], it only shortens the way to it.
    """
    axes = tuple(range(1, len(images.shape)))
    # By the largest entry first: the squares of a tiny gradient underflow.
    gradient = gradient / _or_one(ops.max(ops.abs(gradient), axis=axes, keepdims=True))
    length = ops.sqrt(ops.sum(ops.square(gradient), axis=axes, keepdims=True))
    delta = images + step * (gradient / _or_one(length)) - center
    length = ops.sqrt(ops.sum(ops.square(delta), axis=axes, keepdims=True))
    delta = delta * ops.minimum(1.0, radius / _or_one(length))
    return ops.clip(center + delta, low, high)


def _or_one(x):
    """x, and 1 in place of 0, to divide by."""
    return ops.where(ops.equal(x, 0.0), 1.0, x)


def round_toward(center: np.ndarray, target: np.ndarray, distance: Any) -> np.ndarray:
    """float32 numbers near the float64 `target`, none further from `center` than `distance`."""
    rounded = target.astype(np.float32)
    too_far = np.abs(rounded - center.astype(np.float64)) > distance
    return np.where(too_far, np.nextafter(rounded, center), rounded)


def inf_bounds(
    x: np.ndarray, eps: Any, clip: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The float32 images (low, high) between which |x' - x| <= eps and clip hold exactly.

    `x + eps` in float32 may lie one rounding outside of the ball.
    """
    wide = x.astype(np.float64)
    eps = np.asarray(eps, np.float64)
    low, high = round_toward(x, wide - eps, eps), round_toward(x, wide + eps, eps)
    if clip is not None:
        low, high = np.maximum(low, clip[0]), np.minimum(high, clip[1])
    return low, high


def l2_project(
    images: np.ndarray, x: np.ndarray, eps: Any, clip: tuple[float, float] | None
) -> np.ndarray:
    """`images` moved into the L2 ball around `x` and into `clip`, exactly in float64."""
    if clip is not None:
        images = np.clip(images, *clip)
    delta = images.astype(np.float64) - x
    length = np.sqrt(np.sum(np.square(delta.reshape(len(x), -1)), axis=1))
    # A hair less than eps, for the rounding of this sum itself.
    with np.errstate(divide="ignore"):
        factor = np.minimum(1.0, eps * (1 - 1e-12) / length)
    factor[length <= eps] = 1.0
    delta *= factor.reshape(-1, *[1] * (x.ndim - 1))
    return round_toward(x, x + delta, np.abs(delta))


def random_point(x: np.ndarray, eps: Any, norm: str, rng: np.random.Generator) -> np.ndarray:
    """A uniform sample of the ball around the one image x, before clipping."""
    if norm == "inf":
        noise = rng.random(x.shape, np.float32) * np.float32(2) - np.float32(1)
        return x + noise * np.asarray(eps, np.float32)
    noise = rng.standard_normal(x.shape, np.float32)
    # The share of the ball's volume within radius r goes with r^size.
    radius = eps * rng.random() ** (1 / max(x.size, 1))
    return x + noise * np.float32(radius / max(np.sqrt(np.sum(np.square(noise))), 1e-30))
