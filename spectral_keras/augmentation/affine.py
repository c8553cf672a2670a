"""Random scalings, translations, rotations and resized crops on batches of images.

They are torchvision's `RandomAffine` and `RandomResizedCrop`, as they were used to see what a
network's Fourier mask makes of the symmetries that it was trained with (Karantzas et al., Frontiers
in Artificial Intelligence 5:890016, 2022, section 2.1).  As there, `RandomAffine` takes the nearest
pixel, its default, and paints black what was not in the image; `RandomResizedCrop` interpolates
linearly.

Every function takes images `[N, height, width, channels]`, uint8 in [0, 255] or floats in [0, 1],
and a `numpy.random.Generator`, draws independently for each image, and returns float32 images of
the same shape in [0, 1]: new ones, or as in NumPy `out`, a contiguous float32 array, which may be
the images themselves.  `part` is that of `spectral_keras.augmentation.image`.  They run on NumPy
alone; nothing loops over the images of a batch.

Example:

>>> import numpy as np
>>> from spectral_keras.augmentation.affine import rotation, transform
>>> images = np.arange(8, dtype="float32").reshape(1, 2, 4, 1) / 8
>>> rotation(images, np.random.default_rng(0), degrees=30).shape
(1, 2, 4, 1)
>>> (8 * transform(images, translation=(1, 0)))[0, :, :, 0]
array([[0., 0., 1., 2.],
       [0., 4., 5., 6.]], dtype=float32)
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.augmentation._images import Part, as_result, sample
from spectral_keras.ops.validation import check_number

__all__ = [
    "AREA",
    "ATTEMPTS",
    "DEGREES",
    "RATIO",
    "SCALE",
    "TRANSLATION",
    "resize_boxes",
    "resized_crop",
    "rotation",
    "scale",
    "transform",
    "translation",
]

# The paper's magnitudes.
SCALE = (0.5, 1.5)
TRANSLATION = 0.4  # share of the height and of the width
DEGREES = 180.0
# Torchvision's defaults.
AREA = (0.08, 1.0)  # share of the image's area
RATIO = (3 / 4, 4 / 3)  # width over height
# Boxes that are sampled before one of the largest is taken.
ATTEMPTS = 10

# Pixels worked on at a time: the coordinates stay in the cache.
_CHUNK = 1 << 14


def scale(
    images: ArrayLike,
    rng: np.random.Generator,
    low: float = SCALE[0],
    high: float = SCALE[1],
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Enlarge or shrink about the centre by a factor sampled from [low, high].

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        low, high: ends of the uniform distribution, above 0.
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    low = check_number("low", low, low=0, low_open=True)
    high = check_number("high", high, low=low)
    factors = sample(lambda n: rng.uniform(low, high, n), images, part)
    return transform(images, scale=factors, out=out)


def translation(
    images: ArrayLike,
    rng: np.random.Generator,
    fraction: float = TRANSLATION,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Move by whole pixels, at most `fraction` of the size on each axis; black comes into view.

    The shift is a number sampled from [-fraction * size, fraction * size], rounded.  `translate` of
    `spectral_keras.augmentation.image` moves by less and shows reflections.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        fraction: number in [0, 1].
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    fraction = check_number("fraction", fraction, low=0, high=1)
    result = as_result(images, out)
    _, height, width, _ = result.shape
    farthest = fraction * np.array([width, height])[:, np.newaxis]
    shift = np.round(sample(lambda n: rng.uniform(-farthest, farthest, (2, n)), result, part))
    return transform(result, translation=shift, out=result)


def rotation(
    images: ArrayLike,
    rng: np.random.Generator,
    degrees: float = DEGREES,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Turn about the centre by an angle sampled from [-degrees, degrees].

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        degrees: largest angle, in [0, 180].
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    degrees = check_number("degrees", degrees, low=0, high=180)
    angles = sample(lambda n: rng.uniform(-degrees, degrees, n), images, part)
    return transform(images, angle=angles, out=out)


def resized_crop(
    images: ArrayLike,
    rng: np.random.Generator,
    area: tuple[float, float] = AREA,
    ratio: tuple[float, float] = RATIO,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Cut out a random box and enlarge it to the size of the image.

    The share of the area is uniform, the ratio of width to height log-uniform; sides are rounded.
    A box that does not fit is sampled again, at most ten times, and is then the largest centred box
    of an allowed ratio.  Every box that fits is placed uniformly.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        area: (low, high), share of the image's area, in (0, 1].
        ratio: (low, high), width over height of the box, above 0.
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    area = _interval("area", area, most=1)
    ratio = _interval("ratio", ratio)
    result = as_result(images, out)
    _, height, width, _ = result.shape
    boxes = sample(lambda n: _boxes(rng, n, height, width, area, ratio), result, part)
    top, left, box_height, box_width = boxes
    return resize_boxes(result, top, left, box_height, box_width, out=result)


def _boxes(rng, count, height, width, area, ratio):
    """Integers [4, count]: top, left, height and width of the boxes of `resized_crop`."""
    areas = height * width * rng.uniform(*area, (ATTEMPTS, count))
    ratios = np.exp(rng.uniform(*np.log(ratio), (ATTEMPTS, count)))
    widths = np.round(np.sqrt(areas * ratios)).astype(int)
    heights = np.round(np.sqrt(areas / ratios)).astype(int)
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    chosen = np.argmax(fits, axis=0), np.arange(count)
    # The largest box of an allowed ratio.
    full = min(max(width / height, ratio[0]), ratio[1])
    full_height = min(height, max(1, round(width / full)))
    full_width = min(width, max(1, round(height * full)))
    found = fits[chosen]
    box_heights = np.where(found, heights[chosen], full_height)
    box_widths = np.where(found, widths[chosen], full_width)
    tops = rng.integers(0, height - box_heights + 1)
    lefts = rng.integers(0, width - box_widths + 1)
    tops = np.where(found, tops, (height - full_height) // 2)
    lefts = np.where(found, lefts, (width - full_width) // 2)
    return np.stack([tops, lefts, box_heights, box_widths])


def transform(
    images: ArrayLike,
    angle: ArrayLike = 0.0,
    translation: Any = (0.0, 0.0),
    scale: ArrayLike = 1.0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Turn and scale about the centre, then move; the nearest pixel, black outside.

    The point x, y (to the right and down, from the centre) goes to

        t + s [[cos a, -sin a], [sin a, cos a]] (x, y)

    and each pixel of the result shows the pixel in which its centre's origin lies.

    Args:
        images: images (see above).
        angle: a in degrees, clockwise; a number or an array [N].
        translation: t in pixels, (to the right, down), of numbers or arrays [N].
        scale: s > 0, a number or an array [N].
        out: where to write the result (see above).
    """
    result = as_result(images, out)
    count, height, width, channels = result.shape
    right, down = translation
    angle, right, down, scale = (
        np.broadcast_to(np.asarray(each, np.float64), (count,))[:, np.newaxis, np.newaxis]
        for each in (angle, right, down, scale)
    )
    for name, values in {"angle": angle, "translation": right + down, "scale": scale}.items():
        if not np.all(np.isfinite(values)) or (name == "scale" and np.any(values <= 0)):
            expected = "finite numbers > 0" if name == "scale" else "finite numbers"
            raise ValueError(f"`{name}` must be {expected}. Received: {values.ravel().tolist()}")
    cosine, sine = np.cos(np.radians(angle)) / scale, np.sin(np.radians(angle)) / scale
    # Centres of the result's pixels, from the centre of the image: [N, 1, width], [N, height, 1].
    x = np.arange(width) + 0.5 - width / 2 - right
    y = np.arange(height)[:, np.newaxis] + 0.5 - height / 2 - down
    for part in _chunks(result):
        columns = np.floor(cosine[part] * x[part] + (sine[part] * y[part] + width / 2))
        rows = np.floor(cosine[part] * y[part] + height / 2 - sine[part] * x[part])
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        index = (rows * width + columns) * inside + _first_pixels(result[part])
        pixels = result[part].reshape(-1, channels).take(index.astype(np.intp), axis=0)
        np.multiply(pixels, inside[..., np.newaxis], out=result[part])
    return result


def resize_boxes(
    images: ArrayLike,
    tops: ArrayLike,
    lefts: ArrayLike,
    heights: ArrayLike,
    widths: ArrayLike,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Cut a box out of each image and enlarge it to the image's size, linearly interpolated.

    The corners of the box become those of the image, so that pixel i of n takes its value at
    (i + 1/2) size / n - 1/2 of the box; beyond the centres of the outermost pixels it is theirs.

    Args:
        images: images (see above).
        tops, lefts, heights, widths: integers [N]: the box's first row and column, and its sides;
            it lies within the image.
        out: where to write the result (see above).
    """
    result = as_result(images, out)
    count, height, width, channels = result.shape
    row, next_row, down = _between(tops, heights, height, count)
    column, next_column, right = _between(lefts, widths, width, count)
    down, right = down[:, :, np.newaxis, np.newaxis], right[:, np.newaxis, :, np.newaxis]
    for part in _chunks(result):
        pixels = result[part]
        number = np.arange(len(pixels))[:, np.newaxis]
        tall = _mix(pixels[number, row[part]], pixels[number, next_row[part]], down[part])
        # The first pixel of each row, and from there the two neighbours.
        start = _first_pixels(tall) + width * np.arange(height)[:, np.newaxis]
        tall = tall.reshape(-1, channels)
        pixels[:] = _mix(
            tall.take(start + column[part][:, np.newaxis], axis=0),
            tall.take(start + next_column[part][:, np.newaxis], axis=0),
            right[part],
        )
    return result


def _first_pixels(images):
    """Index of each image's first pixel in the list of all pixels: [n, 1, 1]."""
    count, height, width, _ = images.shape
    return height * width * np.arange(count)[:, np.newaxis, np.newaxis]


def _between(starts, sizes, length, count):
    """The two neighbours of each sampling point of an axis, and the share of the second: [N, n]."""
    starts, sizes = (
        np.broadcast_to(np.asarray(each), (count,))[:, np.newaxis] for each in (starts, sizes)
    )
    if np.any((starts < 0) | (sizes < 1) | (starts + sizes > length)):
        raise ValueError(
            f"Boxes must lie within the images. Received: starts={starts.ravel().tolist()}, "
            f"sizes={sizes.ravel().tolist()} on an axis of {length} pixels"
        )
    places = np.clip((np.arange(length) + 0.5) * sizes / length - 0.5, 0, sizes - 1)
    first = places.astype(np.intp)
    return starts + first, starts + np.minimum(first + 1, sizes - 1), np.float32(places - first)


def _mix(first, second, share):
    """first (1 - share) + second share, in place of the second; exact where both are equal."""
    second -= first
    second *= share
    second += first
    return second


def _chunks(images):
    """Slices of the batch of about _CHUNK pixels each."""
    step = max(1, _CHUNK // max(1, images[:1, :, :, 0].size))
    return [slice(start, start + step) for start in range(0, len(images), step)]


def _interval(name, value, most=None):
    """A pair (low, high) with 0 < low <= high <= most."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"`{name}` must be a pair (low, high). Received: {name}={value!r}")
    low = check_number(name, value[0], low=0, low_open=True)
    return low, check_number(name, value[1], low=low, high=most)
