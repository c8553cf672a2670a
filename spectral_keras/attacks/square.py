"""The square attack, which needs no gradient."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.attacks.attack import EPS, Attack
from spectral_keras.attacks.loop import run_attack
from spectral_keras.ops.validation import check_bool

__all__ = ["square"]


def square(
    model: keras.Layer,
    x: ArrayLike,
    y: ArrayLike | None = None,
    eps: ArrayLike = EPS,
    steps: int = 5000,
    *,
    early_stop: bool = True,
    batch_size: int = 128,
    index: ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> np.ndarray:
    """Random squares on the image, each kept if it leads the model further away from the label.

    Andriushchenko et al., "Square attack: a query-efficient black-box adversarial attack via random
    search" (ECCV 2020, arXiv 1912.00049): algorithms 2 (L-inf: vertical stripes, then squares of
    -eps or eps in each channel) and 3 (L2: bumps, for which the change elsewhere gives way).  As in
    AutoAttack, squares have 80 % of the pixels at first and half as many after 10, 50, 200, 500,
    1000, 2000, 4000, 6000 and 8000 of 10,000 calls, a schedule that is stretched to `steps`.  The
    paper's has no 500, and other shares for other data.
    What is hidden from gradients is not hidden from it.

    Images have rank 4; which axis is that of the channels is Keras' global setting.

    Args:
        model, x, y, eps, batch_size, index, progress: as of `pgd`.
        steps: positive number of calls of the model for an image and try.
        early_stop: as of `pgd`; with False the point of the highest loss counts, of those that fool
            the model, if any do.
        **options: loss ("margin" by default), norm, restarts, seed, targeted, from_logits, clip:
            see `Attack`.

    Returns:
        Float32 numpy array of x's shape, in the ball and in `clip` as real numbers.

    Raises:
        ValueError: for an argument that does not fit.
        FloatingPointError: if, with `early_stop`, an output for `x` is not a number.

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(3)])
    >>> x = np.random.default_rng(0).random((2, 8, 8, 1))
    >>> y = model.predict(x, verbose=0).argmax(1)
    >>> attacked = square(model, x, y, eps=0.5, steps=50)
    >>> (model.predict(attacked, verbose=0).argmax(1) != y).tolist()
    [True, True]
    """
    return run_attack(
        model,
        x,
        y,
        Attack("square", eps, steps=steps, **options),
        early_stop=check_bool("early_stop", early_stop),
        batch_size=batch_size,
        index=index,
        progress=progress,
    )
