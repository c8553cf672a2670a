"""The worst of several attacks."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.attacks.attack import EPS, Attack
from spectral_keras.attacks.loop import run_attack

__all__ = ["strong"]


def strong(
    model: keras.Layer,
    x: ArrayLike,
    y: ArrayLike | None = None,
    eps: ArrayLike = EPS,
    steps: int = 100,
    *,
    batch_size: int = 128,
    index: ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> np.ndarray:
    """Attack with APGD on two losses, the square attack and PGD; an image falls to any of them.

    In the manner of AutoAttack (Croce and Hein 2020): APGD on cross-entropy, APGD on the difference
    of logits ratio (the margin for two classes), the square attack with 50 calls for each step, and
    PGD; each on the images that the ones before have left. It is not AutoAttack, which has targeted
    APGD and FAB in their place: an accuracy under it is an upper bound like any other. What no
    member fools is returned with the highest cross-entropy that the first one met.

    Args:
        model, x, y, eps, batch_size, index, progress: as of `pgd`.
        steps: positive number of steps of APGD and PGD.
        **options: norm, seed, from_logits, clip: see `Attack`.

    Returns:
        Float32 numpy array of x's shape, in the ball and in `clip` as real numbers.

    Raises:
        ValueError: for an argument that does not fit.
        FloatingPointError: if, with `early_stop`, an output for `x` is not a number.

    Warns:
        RuntimeWarning: if images have no usable gradient (all zeros, or not finite).

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(3)])
    >>> x = np.random.default_rng(0).random((2, 8, 8, 1))
    >>> y = model.predict(x, verbose=0).argmax(1)
    >>> attacked = strong(model, x, y, eps=0.5, steps=5)
    >>> (model.predict(attacked, verbose=0).argmax(1) != y).tolist()
    [True, True]
    """
    return run_attack(
        model,
        x,
        y,
        Attack("strong", eps, steps=steps, **options),
        batch_size=batch_size,
        index=index,
        progress=progress,
    )
