"""Linear filters of batches [N, H, W, C]; nothing is mixed between images or channels."""

import functools

import numpy as np

from spectral_keras.corruptions.levels import sums_to_levels

__all__ = [
    "correlate",
    "correlate_by_cosines",
    "disk",
    "gaussian",
    "motion",
    "streak",
    "zoom",
    "zoom_taps",
]


def gaussian(
    images: np.ndarray, sigma: float, mode: str = "nearest", truncate: float = 4.0
) -> np.ndarray:
    """Gaussian blur of height and width; a kernel ends at `truncate` standard deviations.

    Args:
        images: floats [N, H, W, C].
        sigma: standard deviation in pixels; 0 for none.
        mode: the border, as in `scipy.ndimage`; the defaults are those of scikit-image.
        truncate: see above.
    """
    from scipy import ndimage

    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode=mode, truncate=truncate)


def correlate(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Correlation with a kernel [h, w] of odd sizes; the border is mirrored without repetition."""
    from scipy import ndimage

    return ndimage.correlate(images, kernel[np.newaxis, :, :, np.newaxis], mode="mirror")


def correlate_by_cosines(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """`correlate` with a kernel that is even in both axes, for large ones.

    Such a border and such a kernel make the cosines of the DCT-I the eigenvectors: four products
    with matrices of the image's side take the place of one pass for each pixel of the kernel.

    Args:
        images: float64 [N, H, W, C].
        kernel: [h, w] of odd sizes, the same upside down and mirrored.
    """
    height, width = images.shape[1:3]
    (down, up), (along, back) = _cosines(height), _cosines(width)
    response = _frequencies(height, kernel.shape[0]) @ kernel
    response = response @ _frequencies(width, kernel.shape[1]).T
    planes = np.moveaxis(images, -1, 1)
    planes = down @ planes @ along.T
    planes *= response
    return np.moveaxis(up @ planes @ back.T, 1, -1)


def _frequencies(size, taps):
    """[size, taps]: the cosines of the DCT-I of `size` pixels at the places of a kernel's taps."""
    return np.cos(np.pi / max(size - 1, 1) * np.outer(np.arange(size), np.arange(taps) - taps // 2))


@functools.lru_cache(maxsize=8)
def _cosines(size):
    """The matrix of the DCT-I, up to its norm, and its inverse."""
    inverse = _frequencies(size, 2 * size - 1)[:, size - 1 :]
    return np.linalg.inv(inverse), inverse


def disk(radius: float, smoothing: float) -> np.ndarray:
    """The published kernel of a lens out of focus: a disk, smoothed by a small Gaussian.

    Args:
        radius: pixels whose centre is at most this far from the middle count.
        smoothing: standard deviation of the Gaussian, cut to 3 x 3 pixels (5 x 5 for a radius
            above 8).

    Returns:
        Float64 [n, n], n odd, without zero rows and columns at its border: OpenCV's float32 values,
        as means of few grey levels are often whole levels, up or down by the rounding of the
        kernel. It sums to one or up to 5e-8 more, except where the disk touches the border of the
        published grid: 1.013 at a radius of 8 and 1.011 at 10 (smoothing 0.5), so that the two
        highest severities of ImageNet-C brighten a little.
    """
    from scipy import ndimage

    reach, taps = (8, 1) if radius <= 8 else (int(radius), 2)
    line = np.arange(-reach, reach + 1)
    kernel = (line[:, np.newaxis] ** 2 + line**2 <= radius**2).astype(np.float32)
    kernel /= kernel.sum()
    weights = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * smoothing**2))
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        kernel = ndimage.correlate1d(kernel, weights, axis=axis, mode="mirror")
    margin = min(np.flatnonzero(kernel.any(axis=1))[0], np.flatnonzero(kernel.any(axis=0))[0])
    kernel = kernel[margin : kernel.shape[0] - margin, margin : kernel.shape[1] - margin]
    kernel = kernel.astype(np.float64)
    # OpenCV's sums may be below one by 3e-8, which takes a level from flat images.
    return kernel / min(kernel.sum(), 1)


def streak(
    radius: float, sigma: float, angles: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The taps of ImageMagick's motion blur.

    Half a Gaussian: tap k = 0 ... 2 radius has the weight exp(-k^2 / (2 sigma^2)), normalised, and
    lies k pixels from the middle in the direction of the angle, at the nearest whole pixel.

    Args:
        radius: pixels.
        sigma: standard deviation, pixels.
        angles: degrees [N]; 0 points along a row, 90 downwards.

    Returns:
        (weights [K], rows [N, K] and columns [N, K], integers).
    """
    taps = np.arange(2 * int(np.ceil(radius)) + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    angles = np.deg2rad(angles)[:, np.newaxis]
    # Halves are rounded down.
    rows, columns = (
        np.ceil(taps * part - 0.5).astype(int) for part in (np.sin(angles), np.cos(angles))
    )
    return weights / weights.sum(), rows, columns


def motion(images: np.ndarray, radius: float, sigma: float, angles: np.ndarray) -> np.ndarray:
    """ImageMagick's motion blur, each image along its own angle; the border is repeated.

    Args:
        images: uint8 [N, H, W, C].
        radius, sigma, angles: see `streak`.

    Returns:
        uint8 [N, H, W, C], cut off: ImageMagick rounds to 16 bits, and its PNG leaves out what is
        no whole level.
    """
    count, height, width, channels = images.shape
    weights, rows, columns = streak(radius, sigma, angles)
    reach = len(weights) - 1
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    windows = np.moveaxis(windows, 3, -1)  # [N, row, column, H, W, C]
    result = np.zeros(images.shape, np.float32)
    every = np.arange(count)
    for tap, weight in enumerate(weights):
        moved = windows[every, reach + rows[:, tap], reach + columns[:, tap]]
        result += moved * np.float32(weight)
    return sums_to_levels(result, 0.5 / 257)


def zoom(planes: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge linearly about the middle and cut to the old size; where all is equal it stays so.

    Args:
        planes: floats [..., H, W].
        factor: at least 1.
    """
    for axis in (-2, -1):
        size = planes.shape[axis]
        first, weights = zoom_taps(size, factor)
        weights = weights.astype(planes.dtype).reshape(size, *[1] * (-1 - axis))
        before, after = planes.take(first, axis), planes.take(np.minimum(first + 1, size - 1), axis)
        planes = before + weights * (after - before)
    return planes


@functools.lru_cache(maxsize=256)
def zoom_taps(size: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """What `zoom` makes one axis of: `scipy.ndimage.zoom` of order 1 between two crops.

    Returns:
        (first [size], weights [size]): pixel k of the result is
        (1 - weights[k]) x[first[k]] + weights[k] x[first[k] + 1].
    """
    from scipy import ndimage

    kept = int(np.ceil(size / factor))
    before = (size - kept) // 2
    # Each row holds the weights of at most two neighbours.
    matrix = ndimage.zoom(np.eye(kept), (factor, 1), order=1)
    trimmed = (len(matrix) - size) // 2
    matrix = np.pad(matrix[trimmed : trimmed + size], ((0, 0), (0, 1)))
    first = np.argmax(matrix != 0, axis=1)
    return first + before, matrix[np.arange(size), first + 1]
