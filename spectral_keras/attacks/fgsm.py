"""The fast gradient sign method."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.attacks.attack import EPS, Attack
from spectral_keras.attacks.loop import run_attack

__all__ = ["fgsm"]


def fgsm(
    model: keras.Layer,
    x: ArrayLike,
    y: ArrayLike | None = None,
    eps: ArrayLike = EPS,
    *,
    batch_size: int = 128,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> np.ndarray:
    """One gradient step of length `eps`: x' = clip(x + eps * sign(grad_x loss(x, y))).

    Equation of section 4 in Goodfellow, Shlens and Szegedy, "Explaining and harnessing
    adversarial examples" (2015). Every image takes the step, also one that is misclassified
    before. The model is called with `training=False`, and nothing in it changes.

    With `y=None` the labels are the model's own predictions, so that none of the truth
    leaks into the attack; for given labels FGSM may otherwise make an image easier than it was.

    The attack in the paper on the Fourier transform as an auxiliary task has eps = 0.3 in
    normalised units, the model's own labels and no clipping. For a model whose first layer
    normalises by `std`: `fgsm(model, x, None, 0.3 * np.array(std), clip=None)`. (The paper's code
    runs it in training mode, this one does not.)

    Args:
        model: Keras classifier with one input and one output [N, K]: logits, or probabilities.
        x: images of shape [N, ...] as the model takes them, numpy array or tensor of floats in
            `clip`. The attack is on `x` rounded to float32.
        y: integer labels [N] or [N, 1], one-hot labels [N, K], or None for the predictions.
        eps: radius of the ball in the units of `x`; with norm "inf" also an array that broadcasts
            to an image, as one number per channel (last axis).
        batch_size: images at a time.
        progress: None, or a callable `(images done, images in all)` after each batch.
        **options: norm ("inf", or "l2" for a step of length `eps` along the gradient), targeted,
            from_logits, loss, clip: see `Attack`.

    Returns:
        Float32 numpy array of x's shape. |x' - x| <= eps, as a real number and not just up to
        rounding, and x' in `clip`.

    Raises:
        ValueError: for an argument that does not fit.

    Warns:
        RuntimeWarning: if images have no usable gradient (all zeros, or not finite).

    Example:

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(3)])
    >>> x = np.full((2, 8, 8, 1), 0.5, "float32")
    >>> attacked = fgsm(model, x, np.array([0, 2]), 0.25)
    >>> attacked.shape, float(abs(attacked - x).max())
    ((2, 8, 8, 1), 0.25)
    """
    attack = Attack("fgsm", eps, **options)
    return run_attack(model, x, y, attack, batch_size=batch_size, progress=progress)
