"""Which frequencies the filters of a layer answer to: votes of their response maps."""

import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.ops.frequencies import centre_index
from spectral_keras.ops.mask_curves import (
    BANDS,
    hill_curve,
    low_curve,
    scaled_radius,
    step_curve,
)
from spectral_keras.ops.validation import check_bool, check_number

__all__ = ["response_histogram", "vote_shares"]

# A map whose spread is below this part of its values is flat: float32 noise.
_FLAT = 1e-5


def response_histogram(
    responses: ArrayLike,
    *,
    clip_percentile: float = 1.0,
    threshold: float | None = None,
    centered: bool = False,
) -> np.ndarray:
    """Votes of the output channels for the frequencies that they answer to.

    The map of each output channel, over all its input channels, is scaled to [0, 1]:

        v = clip((r - low) / (high - low), 0, 1)

    with low and high its percentiles `clip_percentile` and 100 - `clip_percentile`.  Then

        votes[i, j] = sum over output and input channels of v[i, j]

    or, with a `threshold`, the number of maps with v > threshold at [i, j].  A flat map has no
    preference and does not vote: one with high - low <= 1e-5 max(|low|, |high|).

    Source: Jia, Bao and Ma (arXiv 1911.12044), sections 3.4 and 4.1 ("only a small number of
    extremely large and small pixels are ignored in normalization"); the percentage, the scaling
    over the input channels together and the sum are choices of this library.

    Args:
        responses: array [output channels, input channels, H, W] of `frequency_response`, or
            [maps, H, W].
        clip_percentile: percentage of a map's pixels that is ignored at either end, 0 <= c < 50.
        threshold: None, or a number in 0 <= threshold < 1.
        centered: whether the lowest frequency is at the centre of the result, for people.

    Returns:
        Float64 numpy array [H, W].

    Raises:
        ValueError: for an argument that does not fit, and for responses that are not finite.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis import response_histogram
    >>> ramp = np.arange(4.0).reshape(1, 2, 2)
    >>> response_histogram(ramp, clip_percentile=0, threshold=0.5)
    array([[0., 0.],
           [1., 1.]])
    """
    responses = np.asarray(responses)
    if responses.ndim not in (3, 4) or not responses.size or responses.dtype.kind not in "fiu":
        raise ValueError(
            "`responses` must be an array of numbers of shape [out, in, H, W] or [maps, H, W]. "
            f"Received: responses of shape {responses.shape} and type {responses.dtype}"
        )
    clip = check_number("clip_percentile", clip_percentile, low=0, high=50, high_open=True)
    if threshold is not None:
        threshold = check_number("threshold", threshold, low=0, high=1, high_open=True)
    check_bool("centered", centered)
    maps = responses.astype(np.float64)
    if not np.isfinite(maps).all():
        raise ValueError("`responses` must be finite. Received: NaN or infinite values")
    if maps.ndim == 3:
        maps = maps[:, None]
    axes = (1, 2, 3)
    low, high = np.percentile(maps, [clip, 100 - clip], axis=axes, keepdims=True)
    spread = high - low
    votes_at_all = spread > _FLAT * np.maximum(np.abs(low), np.abs(high))
    scaled = np.clip((maps - low) / np.where(votes_at_all, spread, 1.0), 0, 1) * votes_at_all
    votes = (scaled if threshold is None else scaled > threshold).sum(axis=(0, 1))
    votes = votes.astype(np.float64)
    return np.fft.fftshift(votes) if centered else votes


def vote_shares(
    histogram: ArrayLike, *, centered: bool = False, reference_size: int | None = None
) -> dict[str, dict[str, float | None]]:
    """How the votes of a histogram are spread over low, medium and high frequencies.

    The bands are those of power suppression (`spectral_keras.ops.mask_curves`), of which medium and
    high also let the mean pass: that part, step(s - 1), is left out here.

        low = m_L,   medium = m_M - step(s - 1),   high = m_H - step(s - 1)

    On 32 to 40 pixels low is 1 up to radius 9 and 0 from 12, medium 0 up to 7, 1 on [10, 15] and 0
    from 18, high 0 up to 13 and 1 from 16.  They overlap, so the shares need not add up to 1.

    Args:
        histogram: votes [H, W], at least 0 and not all 0.
        centered: whether the lowest frequency is at the centre of the histogram.
        reference_size: see `spectral_keras.ops.mask_curves.scaled_radius`.

    Returns:
        For each of "low", "medium" and "high" a dict: "share", the part of all votes in the band;
        "area", the band's part of the frequencies, which is the share of even votes; and
        "density", share / area, larger than 1 where the layer prefers the band (None if the image
        is too small for the band).

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis import vote_shares
    >>> shares = vote_shares(np.ones((32, 32)))
    >>> [round(shares[band]["area"], 3) for band in ("low", "medium", "high")]
    [0.34, 0.589, 0.352]
    >>> round(shares["high"]["density"], 6)
    1.0
    """
    votes = np.asarray(histogram)
    check_bool("centered", centered)
    if votes.ndim != 2 or not votes.size or votes.dtype.kind not in "fiu":
        raise ValueError(
            "`histogram` must be an array of numbers of shape [H, W]. Received: histogram of shape "
            f"{votes.shape} and type {votes.dtype}"
        )
    votes = votes.astype(np.float64)
    if not (np.isfinite(votes) & (votes >= 0)).all() or not votes.any():
        raise ValueError(
            "`histogram` must be finite, at least 0 and not all 0. Received: values from "
            f"{votes.min():g} to {votes.max():g}"
        )
    height, width = votes.shape
    if centered:
        votes = np.roll(votes, (-centre_index(height), -centre_index(width)), axis=(0, 1))
    s = scaled_radius(height, width, reference_size)
    curves = low_curve(s), hill_curve(s - 7), 1 - step_curve(s - 13)
    result = {}
    for name, curve in zip(BANDS, curves, strict=True):
        share = float((votes * curve).sum() / votes.sum())
        area = float(curve.mean())
        result[name] = {"share": share, "area": area, "density": share / area if area else None}
    return result
