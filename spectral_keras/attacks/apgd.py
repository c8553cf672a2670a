"""Auto-PGD."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.attacks.attack import EPS, Attack
from spectral_keras.attacks.loop import run_attack
from spectral_keras.ops.validation import check_bool

__all__ = ["apgd"]


def apgd(
    model: keras.Layer,
    x: ArrayLike,
    y: ArrayLike | None = None,
    eps: ArrayLike = EPS,
    steps: int = 100,
    *,
    early_stop: bool = True,
    batch_size: int = 128,
    index: ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> np.ndarray:
    """Gradient steps with momentum whose length is halved where it does not lead on.

    APGD of Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks" (ICML 2020, arXiv 2003.01690), algorithm 1: the first step has
    the length of 2 eps; at the checkpoints (see `apgd_run.checkpoints`) an image whose loss rose in
    at most 75 % of the steps since the last one, or whose best loss stayed as it was at an
    unchanged length, goes back to its best point and on with half the length.

    `loss="dlr"`, the difference of logits ratio, is the other loss of the paper; it needs three
    classes. Cross-entropy is computed as in `pgd`, as log-odds. The random start is uniform in the
    ball; the authors' code takes one on its border.

    Args:
        model, x, y, eps, batch_size, index, progress: as of `pgd`.
        steps: positive number of steps; the model gives one gradient more for an image and try.
        early_stop: as of `pgd`; with False the point of the highest loss counts, of those that fool
            the model, if any do.
        **options: loss, norm, random_start, restarts, seed, targeted, from_logits, clip: see
            `Attack`.

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
    >>> attacked = apgd(model, x, y, eps=0.5, steps=10)
    >>> (model.predict(attacked, verbose=0).argmax(1) != y).tolist()
    [True, True]
    """
    return run_attack(
        model,
        x,
        y,
        Attack("apgd", eps, steps=steps, **options),
        early_stop=check_bool("early_stop", early_stop),
        batch_size=batch_size,
        index=index,
        progress=progress,
    )
