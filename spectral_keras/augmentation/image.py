"""Random crops, flips, translations, colour changes and cutout on batches of images.

Every function takes images `[N, height, width, channels]`, uint8 in [0, 255] or floats in
[0, 1], and a `numpy.random.Generator`, draws independently for each image, and returns new
float32 images of the same shape in [0, 1].  They run in the input pipeline, on NumPy alone,
whatever the Keras backend; nothing loops over the images of a batch.
"""

import numpy as np

from spectral_keras.ops.validation import check_number, check_positive_int

# The report (Section IV) names translation, horizontal reflection and HSV perturbation, but
# gives no magnitudes.  These are mild: the object stays in view and keeps its colour's name.
TRANSLATION = 0.1  # share of the height and of the width
HUE = 0.05  # of a full turn: 18 degrees either way
SATURATION = 0.2  # factors in [0.8, 1.2]
VALUE = 0.2  # factors in [0.8, 1.2]
# Pad 4, crop, flip: He et al. 2016, "Deep residual learning", Section 4.2.
PADDING = 4
# 8 of 32 pixels: DeVries and Taylor 2017, "Cutout", for CIFAR-100.
CUTOUT = 0.25

# Images converted at a time by `adjust_hsv`: its temporaries then stay in the cache.
_HSV_PIXELS = 1 << 16


def as_float(images):
    """Images as float32 in [0, 1]: uint8 is divided by 255, floats are only cast."""
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"`images` must have shape [N, height, width, channels]. "
            f"Received: images of shape {images.shape}"
        )
    if images.dtype == np.uint8:
        return np.multiply(images, np.float32(1 / 255), dtype=np.float32)
    if images.dtype.kind != "f":
        raise ValueError(
            f"`images` must be uint8 in [0, 255] or floats in [0, 1]. "
            f"Received: images of type {images.dtype}"
        )
    return images.astype(np.float32, copy=False)


def crop(images, rng, padding=PADDING):
    """Pad with zeros (black) on all sides and cut out a window of the original size.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        padding: pixels on each side; the content moves by -padding to +padding on each axis.
    """
    padding = check_positive_int("padding", padding, minimum=0)
    images = as_float(images)
    count, height, width, channels = images.shape
    offsets = rng.integers(0, 2 * padding + 1, (2, count))
    padded = np.zeros((count, height + 2 * padding, width + 2 * padding, channels), np.float32)
    padded[:, padding : padding + height, padding : padding + width] = images
    return _windows(padded, offsets, height, width)


def translate(images, rng, fraction=TRANSLATION):
    """Move by whole pixels, at most `fraction` of the size on each axis.

    What comes into view is the reflection of the image at its border, so that no edge that
    was not in the image appears.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        fraction: number in [0, 1); the largest shift is floor(fraction * size).
    """
    fraction = check_number("fraction", fraction, low=0, high=1, high_open=True)
    images = as_float(images)
    count, height, width, _ = images.shape
    # The tolerance keeps 0.1 * 30 = 2.9999999999999996 from becoming 2.
    limit_h, limit_w = (int(fraction * size + 1e-9) for size in (height, width))
    limit_h, limit_w = min(limit_h, height - 1), min(limit_w, width - 1)
    offsets = np.stack([rng.integers(0, 2 * limit + 1, count) for limit in (limit_h, limit_w)])
    padding = ((0, 0), (limit_h, limit_h), (limit_w, limit_w), (0, 0))
    return _windows(np.pad(images, padding, mode="reflect"), offsets, height, width)


def flip(images, rng, probability=0.5):
    """Mirror left and right with the given probability.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        probability: number in [0, 1].
    """
    probability = check_number("probability", probability, low=0, high=1)
    floats = as_float(images)
    chosen = np.flatnonzero(rng.random(len(floats)) < probability)
    result = floats.copy() if floats is images else floats
    result[chosen] = floats[chosen, :, ::-1]
    return result


def hsv(images, rng, hue=HUE, saturation=SATURATION, value=VALUE):
    """Turn the hue and scale saturation and value, by one random draw an image.

    Args:
        images: images (see above). With three channels they are RGB; with any other number
            only the value is scaled.
        rng: `numpy.random.Generator`.
        hue: largest turn, as a share of the full circle, in [0, 0.5].
        saturation: the factor is drawn from [1 - saturation, 1 + saturation]; in [0, 1].
        value: the same for the value.
    """
    hue = check_number("hue", hue, low=0, high=0.5)
    saturation = check_number("saturation", saturation, low=0, high=1)
    value = check_number("value", value, low=0, high=1)
    draws = rng.uniform(-1, 1, (3, len(images))).astype(np.float32)
    return adjust_hsv(images, hue * draws[0], 1 + saturation * draws[1], 1 + value * draws[2])


def cutout(images, rng, fraction=CUTOUT):
    """Paint a grey (0.5) square at a random place; it may reach over the border.

    DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552: the centre is uniform over the
    pixels, so that squares near the border are cut.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        fraction: side of the square as a share of the smaller side of the image, in [0, 1].
    """
    fraction = check_number("fraction", fraction, low=0, high=1)
    floats = as_float(images)
    count, height, width, _ = floats.shape
    side = round(fraction * min(height, width))
    inside = []
    for size in (height, width):
        start = rng.integers(0, size, count)[:, np.newaxis] - side // 2
        pixels = np.arange(size)
        inside.append((pixels >= start) & (pixels < start + side))
    square = inside[0][:, :, np.newaxis] & inside[1][:, np.newaxis, :]
    result = floats.copy() if floats is images else floats
    result[square] = 0.5
    return result


def adjust_hsv(images, hue, saturation, value):
    """Turn the hue by `hue` and multiply saturation and value, clipped to [0, 1].

    The hexagonal HSV model (`colorsys`). Only the quantities that the result needs are
    computed: with V = max(r, g, b), C = V - min(r, g, b) and the hue h in [0, 6), the new
    image is V' - C' + C' P(h'), where V' = min(1, value V), C' = V' min(1, saturation C / V)
    and P is the pure colour of a hue.

    Args:
        images: images (see above).
        hue, saturation, value: one number for all images or an array of shape `[N]`. `hue`
            is a share of the full circle, the others are factors of at least 0.
    """
    images = as_float(images)
    count, height, width, channels = images.shape
    hue, saturation, value = (
        np.broadcast_to(np.asarray(each, np.float32), (count,))[:, np.newaxis]
        for each in (hue, saturation, value)
    )
    if channels != 3:
        return np.clip(images * value[..., np.newaxis, np.newaxis], 0, 1)
    result = np.empty(images.shape, np.float32)
    pixels = height * width
    flat_in, flat_out = images.reshape(count, pixels, 3), result.reshape(count, pixels, 3)
    step = max(1, _HSV_PIXELS // max(1, pixels))
    for start in range(0, count, step):
        part = slice(start, start + step)
        _adjust_hsv(flat_in[part], flat_out[part], hue[part], saturation[part], value[part])
    return result


def _adjust_hsv(images, result, hue, saturation, value):
    """`adjust_hsv` of [n, pixels, 3] into `result`."""
    tiny = np.float32(1e-30)  # keeps 0 / 0 of greys and blacks at 0
    red, green, blue = np.ascontiguousarray(np.moveaxis(images, -1, 0))
    first, second, third = np.empty_like(red), np.empty_like(red), np.empty_like(red)

    # Hue in sextants without branches: order green and blue, then red and the larger of them,
    # and keep track of the swaps in `base` (0, -6, -2 or 4): h = |base + difference / chroma|.
    base = np.multiply(green < blue, np.float32(-6))
    np.maximum(green, blue, out=first)
    np.minimum(green, blue, out=second)
    swapped = red < first
    np.multiply(base, -2, out=third)
    third -= 2
    third *= swapped
    base += third
    high = np.maximum(red, first, out=third)
    np.minimum(red, first, out=first)
    chroma = np.minimum(first, second, out=red)
    np.subtract(high, chroma, out=chroma)
    angle = np.subtract(first, second, out=green)
    np.maximum(chroma, tiny, out=first)
    angle /= first
    angle += base
    np.abs(angle, out=angle)
    angle += 6 * hue
    np.multiply(angle, np.float32(1 / 6), out=first)
    np.floor(first, out=first)
    first *= 6
    angle -= first

    # New chroma and value; `low` is the smallest channel of the result.
    np.maximum(high, tiny, out=first)
    chroma /= first
    chroma *= saturation
    np.minimum(chroma, 1, out=chroma)
    high *= value
    np.minimum(high, 1, out=high)
    chroma *= high
    low = np.subtract(high, chroma, out=high)

    # Pure colour of a hue: R = |h - 3| - 1, G = 2 - |h - 2|, B = 2 - |h - 4|, clipped to [0, 1].
    pure = first
    for channel, center in enumerate((3, 2, 4)):
        np.subtract(angle, center, out=pure)
        np.abs(pure, out=pure)
        if channel == 0:
            pure -= 1
        else:
            np.subtract(2, pure, out=pure)
        np.clip(pure, 0, 1, out=pure)
        pure *= chroma
        np.add(pure, low, out=result[..., channel])


def _windows(padded, offsets, height, width):
    """Cut [height, width] at (row, column) = offsets[:, n] out of image n, without a loop."""
    count, padded_height, padded_width, channels = padded.shape
    rows = padded.reshape(count, padded_height, padded_width * channels)
    # A row of the window is one run of memory: a view with all windows, then one gather.
    views = np.lib.stride_tricks.as_strided(
        rows,
        (
            count,
            padded_height - height + 1,
            padded_width - width + 1,
            height,
            width * channels,
        ),
        (rows.strides[0], rows.strides[1], channels * rows.strides[2], *rows.strides[1:]),
        writeable=False,
    )
    gathered = views[np.arange(count), offsets[0], offsets[1]]
    return gathered.reshape(count, height, width, channels)


ATOMS = {"crop": crop, "translate": translate, "flip": flip, "hsv": hsv, "cutout": cutout}
PRESETS = {
    "none": (),
    "crop_flip": ("crop", "flip"),
    "report": ("translate", "flip", "hsv"),
}


class Augmentation:
    """The named steps, one after the other: `augmentation(images, rng) -> images`."""

    def __init__(self, names):
        self.names = tuple(names)

    def __call__(self, images, rng):
        for name in self.names:
            images = ATOMS[name](images, rng)
        return as_float(images)

    def __repr__(self):
        return f"Augmentation({', '.join(self.names)})"


def build_augmentation(name):
    """The augmentation of a name, or None for "none".

    Args:
        name: `"none"`; `"crop_flip"` (pad 4, random crop, horizontal flip); `"report"`
            (translation by up to 10 %, horizontal flip, HSV perturbation); or steps separated
            by commas or in a list, in the order of their use, out of `"crop"`, `"translate"`,
            `"flip"`, `"hsv"` and `"cutout"`. Presets may stand among the steps.

    Returns:
        A callable `(images, rng) -> images`, or None if nothing is to be done.

    Example:

    >>> import numpy as np
    >>> augment = build_augmentation("crop_flip,cutout")
    >>> augment
    Augmentation(crop, flip, cutout)
    >>> images = np.zeros((8, 32, 32, 3), np.float32)
    >>> augment(images, np.random.default_rng(0)).shape
    (8, 32, 32, 3)
    """
    parts = name.split(",") if isinstance(name, str) else name
    choices = ", ".join(map(repr, (*PRESETS, *ATOMS)))
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"`name` must be one or more of {choices}. Received: name={name!r}")
    steps = []
    for part in (part.strip() for part in parts):
        if part in PRESETS:
            steps.extend(PRESETS[part])
        elif part in ATOMS:
            steps.append(part)
        else:
            raise ValueError(
                f"`name` must be one or more of {choices}, separated by commas. "
                f"Received: name={name!r}"
            )
    return Augmentation(steps) if steps else None
