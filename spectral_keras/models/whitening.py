"""Filters of a fixed first convolution: the principal components of small patches."""

import numpy as np
import numpy.typing as npt

from spectral_keras.ops.validation import check_number, check_positive_int

__all__ = ["IMAGES", "whitening_kernel"]

# Images that the components are computed from: the first of the training set.
IMAGES = 5000


def whitening_kernel(
    images: npt.ArrayLike, size: int = 2, epsilon: float = 5e-4, *, scale: float = 4.0
) -> np.ndarray:
    """The kernel that makes patches white: eigenvectors of their covariance, both signs of each.

    With the second moments C = mean(p p^T) of all patches p = scale (x - 1/2) and C = V diag(e)
    V^T, filter i is column i of V / sqrt(e_i + epsilon), by falling eigenvalue, and filter
    n + i its negative, so that a rectifier behind it loses nothing.  The start of Jordan 2024,
    "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv 2404.00498), section 3.1.

    Args:
        images: array [N, height, width, channels], uint8 in [0, 255] or floats in [0, 1].
        size: side of the patches in pixels, at most that of the images.
        epsilon: added to the eigenvalues: noise below it is not blown up.
        scale: of the normalised images, as the zoo has them.

    Returns:
        float32 array [size, size, channels, 2 n] with n = size * size * channels.

    Raises:
        ValueError: for images of fewer pixels than a patch, or an argument out of its range.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.models.whitening import whitening_kernel
    >>> images = np.random.default_rng(0).random((20, 8, 8, 3))
    >>> whitening_kernel(images).shape
    (2, 2, 3, 24)
    """
    size = check_positive_int("size", size)
    epsilon = check_number("epsilon", epsilon, 0, low_open=True)
    images = np.asarray(images)
    if images.ndim != 4 or not len(images) or min(images.shape[1:3]) < size:
        raise ValueError(
            f"`images` must have shape [N, height, width, channels] with sides of at least {size}. "
            f"Received: images of shape {images.shape}"
        )
    factor = scale / 255 if images.dtype == np.uint8 else scale
    x = images.astype("float32") * np.float32(factor) - np.float32(scale / 2)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size * size * images.shape[3])
    moments = patches.T.astype("float64") @ patches.astype("float64") / len(patches)
    values, vectors = np.linalg.eigh(moments)
    filters = (vectors / np.sqrt(np.maximum(values, 0) + epsilon))[:, ::-1]
    # The sign of an eigenvector is the solver's choice: the largest entry is made positive.
    largest = np.abs(filters).argmax(axis=0)
    filters = filters * np.sign(filters[largest, np.arange(filters.shape[1])])
    both = np.concatenate([filters, -filters], axis=1)
    return both.reshape(size, size, images.shape[3], -1).astype("float32")
