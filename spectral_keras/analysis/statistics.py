"""What learned Fourier masks have in common and where they differ, in numbers.

After Karantzas et al., "Understanding robustness and generalization of artificial neural networks
through Fourier masks" (2022).  Masks are real arrays (..., height, width) in unshifted order (DC
at [0, 0]), results float64 NumPy arrays or plain numbers; no function changes its arguments.
"""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from spectral_keras.analysis.energies import check_masks
from spectral_keras.classifiers.intervals import wilson_interval
from spectral_keras.ops.masking import apply_mask
from spectral_keras.ops.validation import (
    check_choice,
    check_data_format,
    check_number,
    check_positive_int,
)

__all__ = [
    "band_recovery",
    "complement",
    "filtered_images",
    "gain_share",
    "mask_differences",
    "scale_differences",
    "sparsity",
    "zero_share",
]

SCALINGS = ("joint", "symmetric")


def sparsity(masks: ArrayLike) -> np.ndarray:
    """Mean of |M|, the paper's ||M||_1 / ||1||_1: 1 for a mask of ones, 0 for zeros.

    Returns:
        float64 array of the leading shape of `masks`.

    Example:

    >>> from spectral_keras.analysis import sparsity
    >>> float(sparsity([[1.0, 0.0], [0.5, 0.5]]))
    0.5
    """
    return np.abs(check_masks("masks", masks)).mean((-2, -1))


def zero_share(masks: ArrayLike, threshold: float = 0.0) -> np.ndarray:
    """Share of the frequencies with |M| <= threshold.

    Returns:
        float64 array of the leading shape of `masks`.

    Example:

    >>> from spectral_keras.analysis import zero_share
    >>> float(zero_share([[1.0, 0.0], [0.5, 0.5]]))
    0.25
    """
    masks = check_masks("masks", masks)
    threshold = check_number("threshold", threshold, 0)
    return (np.abs(masks) <= threshold).mean((-2, -1))


def mask_differences(masks: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """masks - reference: what training (adversarial, augmented, ...) moved to which frequency.

    Args:
        masks: real array (..., height, width).
        reference: real array (height, width), or of the shape of `masks`.

    Example:

    >>> from spectral_keras.analysis import mask_differences
    >>> mask_differences([[1.0, 0.5]], [[0.5, 0.5]]).tolist()
    [[0.5, 0.0]]
    """
    masks, reference = check_masks("masks", masks), check_masks("reference", reference)
    if reference.shape not in (masks.shape, masks.shape[-2:]):
        raise ValueError(
            f"`reference` must have the shape {masks.shape[-2:]} of one mask or {masks.shape} of "
            f"all. Received: reference of shape {reference.shape}"
        )
    return masks - reference


def scale_differences(differences: ArrayLike, scaling: str = "joint") -> np.ndarray:
    """Differences scaled to [-0.5, 0.5] together, for pictures that share one colour map.

    Args:
        differences: real array (..., height, width): all differences of one picture.
        scaling: "joint", the paper's figure 3: (d - min) / (max - min) - 0.5 with the extremes of
            all differences, where no difference is the middle only if max = -min; "symmetric":
            d / (2 max |d|), where 0 stays 0, the middle, and equal colours mean equal sizes.

    Returns:
        float64 array of the same shape; zeros if the differences are all equal ("joint") or all
        zero ("symmetric").

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis.statistics import scale_differences
    >>> difference = np.array([[-0.2, 0.0, 0.6]])
    >>> scale_differences(difference, "joint").round(3)
    array([[-0.5 , -0.25,  0.5 ]])
    >>> scale_differences(difference, "symmetric").round(3)
    array([[-0.167,  0.   ,  0.5  ]])
    """
    differences = check_masks("differences", differences)
    check_choice("scaling", scaling, SCALINGS)
    if scaling == "symmetric":
        largest = np.abs(differences).max()
        return differences / (2 * largest) if largest > 0 else np.zeros_like(differences)
    low, high = differences.min(), differences.max()
    return (differences - low) / (high - low) - 0.5 if high > low else np.zeros_like(differences)


def complement(masks: ArrayLike, threshold: float = 0.0) -> np.ndarray:
    """The binary complement M': 1 where |M| <= threshold, 0 elsewhere.

    A new array: the paper's code binarises the stored masks on the way, and what it measured with
    them afterwards, it measured with binary masks.

    Args:
        masks: real array (..., height, width).
        threshold: number of at least 0; the paper uses 0, and 1e-8 in one place.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis.statistics import complement
    >>> complement(np.array([[1.0, 0.3], [0.0, 1e-9]]))
    array([[0., 0.],
           [1., 0.]])
    """
    masks = check_masks("masks", masks)
    threshold = check_number("threshold", threshold, 0)
    return (np.abs(masks) <= threshold).astype("float64")


def filtered_images(
    images: ArrayLike, masks: ArrayLike, *, data_format: str | None = None, batch_size: int = 64
) -> np.ndarray:
    """Images filtered by one mask, or each image by its own.

    Args:
        images: real array (images, height, width, channels), or channels first.
        masks: real array (height, width), or (images, height, width) with one for each image.
        data_format: "channels_last", "channels_first" or None for Keras' global setting.
        batch_size: images filtered at a time.

    Returns:
        float32 NumPy array of the shape of `images`; the values are not clipped.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis.statistics import complement, filtered_images
    >>> images = np.random.default_rng(0).random((3, 8, 8, 1), dtype="float32")
    >>> masks = np.random.default_rng(1).integers(0, 2, (3, 8, 8))
    >>> parts = [filtered_images(images, m) for m in (masks, complement(masks))]
    >>> bool(np.allclose(sum(parts), images, atol=1e-5))
    True
    """
    data_format = check_data_format(data_format)
    batch_size = check_positive_int("batch_size", batch_size)
    images = np.asarray(images, "float32")
    masks = check_masks("masks", masks).astype("float32")
    last = data_format == "channels_last"
    if images.ndim != 4:
        raise ValueError(f"`images` must be of rank 4. Received: shape {images.shape}")
    spatial = images.shape[1:3] if last else images.shape[2:]
    if masks.shape not in (spatial, (len(images), *spatial)):
        raise ValueError(
            f"`masks` must have the shape {spatial} or {(len(images), *spatial)}, those of the "
            f"images. Received: masks of shape {masks.shape}"
        )
    result = np.empty(images.shape, "float32")
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        if masks.ndim == 2:
            y = apply_mask(images[part], masks, data_format=data_format)
            result[part] = ops.convert_to_numpy(y)
        else:
            # `apply_mask` takes a mask a channel: images and channels change places.
            axes = (3, 1, 2, 0) if last else (1, 2, 3, 0)
            x = np.ascontiguousarray(np.transpose(images[part], axes))
            own = np.ascontiguousarray(np.moveaxis(masks[part], 0, -1))
            y = apply_mask(x, own, data_format="channels_last")
            result[part] = np.transpose(ops.convert_to_numpy(y), np.argsort(axes))
    return result


def gain_share(
    energies: ArrayLike, reference: ArrayLike, confidence: float = 0.95, tolerance: float = 1e-6
) -> dict[str, Any]:
    """Share of the images whose mask has more energy in a band than its reference (figure 7).

    Args:
        energies: real array (images, bands), such as `radial_energies` of the masks of an
            adversarially trained network.
        reference: real array (images, bands): the same images' masks of the other network.
        confidence: of the Wilson intervals, in (0, 1).
        tolerance: number of at least 0: up to this difference energies count as equal.  Energies
            of masks are shares of 1, and two masks that are zero outside a band have all of theirs
            in it but for rounding.

    Returns:
        dict of plain values: `images`, their number; `gained`, `share`, `low` and `high`, lists
        with one entry a band: how many images gained, their share and the ends of its interval;
        `lost`, how many have less.

    Example:

    >>> from spectral_keras.analysis.statistics import gain_share
    >>> gain_share([[0.9, 0.1], [0.8, 0.2]], [[0.5, 0.5], [0.4, 0.2]])["share"]
    [1.0, 0.0]
    """
    energies, reference = check_masks("energies", energies), check_masks("reference", reference)
    if energies.ndim != 2:
        raise ValueError(
            f"`energies` must have shape (images, bands). Received: shape {energies.shape}"
        )
    if energies.shape != reference.shape:
        raise ValueError(
            f"`reference` must have the shape {energies.shape} of `energies`. "
            f"Received: reference of shape {reference.shape}"
        )
    tolerance = check_number("tolerance", tolerance, 0)
    images, change = len(energies), energies - reference
    gained = [int(count) for count in (change > tolerance).sum(0)]
    ends = [wilson_interval(count, images, confidence) for count in gained]
    return {
        "images": images,
        "gained": gained,
        "share": [count / images for count in gained],
        "low": [low for low, _ in ends],
        "high": [high for _, high in ends],
        "lost": [int(count) for count in (change < -tolerance).sum(0)],
    }


def band_recovery(
    mask: ArrayLike, truth: ArrayLike, *, threshold: float = 0.0, ignore: ArrayLike | None = None
) -> dict[str, Any]:
    """How well a mask finds the frequencies that are known to matter.

    A frequency counts as found where |mask| > threshold.  The average precision needs no
    threshold: it is sum of (R_n - R_(n-1)) P_n over the distinct values of |mask| from the largest
    down, so that frequencies of equal value come in together; a constant mask gets the share of
    true frequencies, which is what guessing gets.

    Args:
        mask: real array (height, width).
        truth: bool array (height, width), such as `spectral_keras.data.planted.planted_bands`
            gives; True at one frequency at least.
        threshold: number of at least 0.
        ignore: None, or a bool array (height, width) of frequencies left out, such as DC.

    Returns:
        dict of plain values: `precision` (0 if nothing is found), `recall`, `f1`,
        `average_precision`, `chance`, the share of true frequencies, and the numbers
        `found`, `true`, `both` and `frequencies`.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis.statistics import band_recovery
    >>> truth = np.array([[True, True], [False, False]])
    >>> result = band_recovery(np.array([[0.9, 0.0], [0.2, 0.0]]), truth)
    >>> result["precision"], result["recall"], result["average_precision"]
    (0.5, 0.5, 0.75)
    """
    size = np.abs(check_masks("mask", mask))
    if size.ndim != 2:
        raise ValueError(f"`mask` must have shape (height, width). Received: shape {size.shape}")
    threshold = check_number("threshold", threshold, 0)
    wanted = _check_frequencies("truth", truth, size.shape)
    if ignore is not None:
        used = ~_check_frequencies("ignore", ignore, size.shape)
        size, wanted = size[used], wanted[used]
    size, wanted = size.ravel(), wanted.ravel()
    true = int(wanted.sum())
    if true == 0:
        raise ValueError("`truth` must be True at one frequency at least. Received: none")
    found = size > threshold
    both = int((found & wanted).sum())
    precision = both / int(found.sum()) if found.any() else 0.0
    recall = both / true
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * both / (int(found.sum()) + true),
        "average_precision": _average_precision(size, wanted),
        "chance": true / len(wanted),
        "found": int(found.sum()),
        "true": true,
        "both": both,
        "frequencies": len(wanted),
    }


def _check_frequencies(name: str, value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    value = np.asarray(value)
    if value.dtype != bool or value.shape != shape:
        raise ValueError(
            f"`{name}` must be a bool array of shape {shape}. "
            f"Received: {value.dtype} of shape {value.shape}"
        )
    return value


def _average_precision(values, truth):
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(truth[order])
    # The last place of each run of equal values.
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    hits, taken = hits[last], last + 1
    return float(np.sum(np.diff(hits, prepend=0) * (hits / taken)) / hits[-1])
