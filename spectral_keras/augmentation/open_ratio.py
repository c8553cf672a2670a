"""How many channels a gate should open for an image after power suppression: the labels beta.

After Jia, Bao and Ma (arXiv 1911.12044, section 3.2, "constraint configurations").  alpha is the
kept share of the suppressed frequencies' amplitude (1: nothing is suppressed, all channels may be
open), which is the sense that equations (6) and (8) need; for a `PowerSuppression` with
`alpha_is="suppressed"` say so here too, or leave it out for the paper's formulas as printed.

An image that was not suppressed (band -1) has no label: leave it out of the auxiliary loss.
"""

import math
from typing import Any

import numpy as np
from keras import ops

from spectral_keras.ops.validation import check_choice

__all__ = [
    "CONFIGURATIONS",
    "basic_open_ratios",
    "full_open_ratio",
    "learnable_open_ratio",
    "open_ratio_labels",
    "suppressed_open_ratio",
]

# b(M) of equation (9) adds up to 1.1 over the three bands.
_TOTAL = 1.1
CONFIGURATIONS = (*(f"{i:03b}" for i in range(8)), "learnable")


def suppressed_open_ratio(alpha: Any) -> Any:
    """beta_0 of equation (6): sigmoid(7 alpha - 3) + 1 - sigmoid(4).

    Args:
        alpha: float tensor, kept share in [0, 1].

    Returns:
        Tensor of the same shape: .0654 at 0, exactly 1 at 1.

    >>> from spectral_keras.augmentation.open_ratio import suppressed_open_ratio
    >>> [round(float(suppressed_open_ratio(alpha)), 4) for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]
    [0.0654, 0.2407, 0.6404, 0.9226, 1.0]
    """
    alpha = ops.convert_to_tensor(alpha)
    # 1 - sigmoid(4) is sigmoid(-4).
    return ops.sigmoid(7 * alpha - 3) + 1 / (1 + math.exp(4))


def full_open_ratio(alpha: Any) -> Any:
    """beta_1 of equation (7): 1, whatever alpha is."""
    return ops.ones_like(ops.convert_to_tensor(alpha))


def basic_open_ratios(theta: float) -> Any:
    """b of equation (9): 1.1 sigmoid(theta) / sum sigmoid(theta).

    Args:
        theta: float tensor of shape (3,), one parameter a band, to be learned.

    Returns:
        Tensor of shape (3,): .3667 each for equal parameters.  One of them may exceed 1, which no
        gate can reach (the paper sets no bound).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.augmentation import basic_open_ratios
    >>> np.round(basic_open_ratios(np.zeros(3)), 4).tolist()
    [0.3667, 0.3667, 0.3667]
    """
    share = ops.sigmoid(ops.convert_to_tensor(theta))
    return _TOTAL * share / ops.sum(share)


def learnable_open_ratio(alpha: Any, b: Any) -> Any:
    """beta_L of equation (8): (1 - alpha) b + alpha.

    Args:
        alpha: float tensor, kept share in [0, 1].
        b: basic open ratio of each image's band, of the same shape.
    """
    alpha, b = ops.convert_to_tensor(alpha), ops.convert_to_tensor(b)
    return (1 - alpha) * b + alpha


def open_ratio_labels(
    band: Any,
    alpha: Any,
    configuration: str = "000",
    *,
    theta: float | None = None,
    alpha_is: str = "kept",
) -> Any:
    """The label beta of each image, from what `PowerSuppression(return_labels=True)` drew.

    Args:
        band: integer tensor of shape (batch,): 0 low, 1 medium, 2 high, -1 none.
        alpha: float tensor of shape (batch,).
        configuration: the paper's "LMH": three digits for images that keep the low, the medium and
            the high band, 0 for `suppressed_open_ratio` and 1 for `full_open_ratio`; or "learnable"
            for `learnable_open_ratio`.
        theta: for "learnable", see `basic_open_ratios`.
        alpha_is: the sense of alpha, "kept" or "suppressed".

    Returns:
        Tensor of alpha's dtype and shape (batch,); 1 where the band is -1.

    Example:

    >>> from spectral_keras.augmentation.open_ratio import open_ratio_labels
    >>> labels = open_ratio_labels([0, 1, 2, -1], [0.25, 0.25, 0.25, 1.0], "011")
    >>> [round(float(beta), 4) for beta in labels]
    [0.2407, 1.0, 1.0, 1.0]
    """
    check_choice("configuration", configuration, CONFIGURATIONS)
    check_choice("alpha_is", alpha_is, ("kept", "suppressed"))
    band = ops.cast(band, "int32")
    alpha = ops.convert_to_tensor(alpha)
    if alpha_is == "suppressed":
        alpha = 1 - alpha
    # Index -1 is none: the fourth entry.
    index = ops.where(band < 0, 3, band)
    if configuration == "learnable":
        if theta is None:
            raise ValueError('`theta` is needed for configuration="learnable". Received: None')
        b = ops.cast(ops.take(ops.pad(basic_open_ratios(theta), (0, 1)), index), alpha.dtype)
        beta = learnable_open_ratio(alpha, b)
    else:
        is_open = np.array([digit == "1" for digit in configuration] + [True])
        is_open = ops.take(ops.convert_to_tensor(is_open), index)
        beta = ops.where(is_open, full_open_ratio(alpha), suppressed_open_ratio(alpha))
    return ops.where(band < 0, ops.ones_like(beta), beta)
