"""Projected gradient descent."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.attacks.attack import EPS, Attack
from spectral_keras.attacks.loop import run_attack
from spectral_keras.ops.validation import check_bool

__all__ = ["pgd"]


def pgd(
    model: keras.Layer,
    x: ArrayLike,
    y: ArrayLike | None = None,
    eps: ArrayLike = EPS,
    step_size: ArrayLike | None = None,
    steps: int = 10,
    *,
    early_stop: bool = True,
    batch_size: int = 128,
    index: ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> np.ndarray:
    """Gradient steps, each followed by the projection into the ball around `x` and into `clip`.

    x_{t+1} = project(x_t + step_size * sign(grad loss(x_t, y))), Madry et al., "Towards deep
    learning models resistant to adversarial attacks" (2018), equation in section 2.1; with norm
    "l2" the gradient divided by its length in place of the sign. `steps` gradients for an
    image and try. The model is called with `training=False`, and nothing in it changes.

    Cross-entropy's direction is computed such that it does not vanish for confident networks (see
    `step.objective`).

    Args:
        model: Keras classifier with one input and one output [N, K]: logits, or probabilities.
        x: images of shape [N, ...] as the model takes them, numpy array or tensor of floats in
            `clip`. The attack is on `x` rounded to float32.
        y: integer labels [N] or [N, 1], one-hot labels [N, K], or None for the predictions.
        eps: radius of the ball in the units of `x`; with norm "inf" also an array that broadcasts
            to an image, as one number per channel (last axis).
        step_size: length of a step, as `eps`; None for 2.5 * eps / steps.
        steps: positive number of steps.
        early_stop: whether an image is left as it is once the model is fooled (with `targeted`:
            gives the class `y`); images that are misclassified as they come return unchanged.
            False takes all steps, for a higher loss; the last point counts, also where one on the
            way fooled the model and it does not.
        batch_size: images at a time. An image that is done leaves its place to the next.
        index: [N] integers of at least 0 that name the images for their random starts, None for 0
            to N - 1: `pgd(model, x[part], y[part], index=part)` gives what the attack on all of `x`
            gives for that part.
        progress: None, or a callable `(images done, images in all)`, called as images get done.
        **options: norm, random_start, restarts, seed, targeted, from_logits, loss, clip: see
            `Attack`. The random start of image i in try r comes from
            `numpy.random.default_rng([seed, r, index[i]])`. Of several tries the first that fools
            the model is kept, or else the one with the highest loss at its end.

    Returns:
        Float32 numpy array of x's shape. |x' - x| <= eps, as a real number and not just up to
        rounding, and x' in `clip`.

    Raises:
        ValueError: for an argument that does not fit.
        FloatingPointError: if, with `early_stop`, an output for `x` is not a number.

    Warns:
        RuntimeWarning: if images have no usable gradient (all zeros, or not finite).

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(3, activation="softmax")])
    >>> x = np.random.default_rng(0).random((2, 8, 8, 1))
    >>> y = model.predict(x, verbose=0).argmax(1)
    >>> attacked = pgd(model, x, y, eps=0.5, steps=5)
    >>> (model.predict(attacked, verbose=0).argmax(1) != y).tolist()
    [True, True]
    """
    return run_attack(
        model,
        x,
        y,
        Attack("pgd", eps, steps=steps, step_size=step_size, **options),
        early_stop=check_bool("early_stop", early_stop),
        batch_size=batch_size,
        index=index,
        progress=progress,
    )
