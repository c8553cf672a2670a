"""Random crops, flips, translations, colour changes and cutout on batches of images.

Every function takes images `[N, height, width, channels]`, uint8 in [0, 255] or floats in
[0, 1], and a `numpy.random.Generator`, draws independently for each image, and returns float32
images of the same shape in [0, 1]: new ones, or as in NumPy `out`, a contiguous float32 array,
which may be the images themselves.  With `part=(count, rows)` the images are the images `rows`
(indices or a slice) of a batch of `count` and get what they would get there: processes that share
a batch augment only what is theirs.  They run in the input pipeline, on NumPy alone, whatever
the Keras backend; nothing loops over the images of a batch.
"""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.augmentation._images import Part, as_result, sample
from spectral_keras.augmentation.affine import resized_crop, rotation, scale, translation
from spectral_keras.augmentation.spectral import apr_pairs, apr_views, fourier_noise
from spectral_keras.ops.validation import check_number, check_positive_int, describe

__all__ = [
    "ATOMS",
    "Augmentation",
    "CUTOUT",
    "HUE",
    "PADDING",
    "PRESETS",
    "SATURATION",
    "TRANSLATION",
    "REFLECTION",
    "VALUE",
    "WHOLE_BATCH",
    "WholeBatchAugmentation",
    "adjust_hsv",
    "alternating_flip",
    "build_augmentation",
    "crop",
    "cutout",
    "flip",
    "hsv",
    "mirror_crop",
    "reflect_crop",
    "translate",
]

# The report (Section IV) names translation, horizontal reflection and HSV perturbation, but
# gives no magnitudes.  These are mild: the object stays in view and keeps its colour's name.
TRANSLATION = 0.1  # share of the height and of the width
HUE = 0.05  # of a full turn: 18 degrees either way
SATURATION = 0.2  # factors in [0.8, 1.2]
VALUE = 0.2  # factors in [0.8, 1.2]
# Pad 4, crop, flip: He et al. 2016, "Deep residual learning", Section 4.2.
PADDING = 4
# Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU".
REFLECTION = 2
# 8 of 32 pixels: DeVries and Taylor 2017, "Cutout", for CIFAR-100.
CUTOUT = 0.25

# Values worked on at a time: the temporaries stay in the cache, and so small that freeing them
# does not give memory back to the system (page faults of a whole batch cost more than the work).
_CHUNK = 1 << 16


def crop(
    images: ArrayLike,
    rng: np.random.Generator,
    padding: int = PADDING,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Pad with zeros (black) on all sides and cut out a window of the original size.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        padding: pixels on each side; the content moves by -padding to +padding on each axis.
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    return _crop(images, rng, padding, "constant", out, part)


def mirror_crop(
    images: ArrayLike,
    rng: np.random.Generator,
    padding: int = PADDING,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """As `crop`, with the image mirrored at its border in place of black.

    The border pixels are repeated (NumPy's "symmetric"): ..., 1, 0, 0, 1, ..., as in the published
    code of the auxiliary Fourier task.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        padding: pixels on each side; the content moves by -padding to +padding on each axis.
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    return _crop(images, rng, padding, "symmetric", out, part)


def reflect_crop(
    images: ArrayLike,
    rng: np.random.Generator,
    padding: int = REFLECTION,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """As `crop`, with the image reflected at its border pixels: ..., 2, 1, 0, 1, 2, ...

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        padding: pixels on each side, of a smaller image one less than its side.
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    return _crop(images, rng, padding, "reflect", out, part)


def _crop(images, rng, padding, mode, out, part):
    padding = check_positive_int("padding", padding, minimum=0)
    result = as_result(images, out)
    _, height, width, _ = result.shape
    if mode == "reflect":
        padding = min(padding, height - 1, width - 1)
    offsets = sample(lambda n: rng.integers(0, 2 * padding + 1, (2, n)), result, part)
    sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    parts = _chunks(result)
    if mode == "constant":  # one border for all parts
        zeros = np.pad(np.zeros_like(result[parts[0]]) if parts else result, sides)
    for each in parts:
        images = result[each]
        if mode == "constant":
            padded = zeros[: len(images)]
            padded[:, padding : padding + height, padding : padding + width] = images
        else:
            padded = np.pad(images, sides, mode)
        images[:] = _windows(padded, offsets[:, each], height, width)
    return result


def translate(
    images: ArrayLike,
    rng: np.random.Generator,
    fraction: float = TRANSLATION,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Move by whole pixels, at most `fraction` of the size on each axis.

    What comes into view is the reflection of the image at its border, so that no edge that
    was not in the image appears.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        fraction: number in [0, 1); the largest shift is floor(fraction * size).
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    fraction = check_number("fraction", fraction, low=0, high=1, high_open=True)
    result = as_result(images, out)
    _, height, width, channels = result.shape
    # The tolerance keeps a product such as 2.9999999999999996 from becoming 2.
    top, left = (min(int(fraction * size + 1e-9), size - 1) for size in (height, width))
    limits = (top, left)
    offsets = sample(
        lambda n: np.stack([rng.integers(0, 2 * limit + 1, n) for limit in limits]), result, part
    )
    for part in _chunks(result):
        shown = result[part]
        padded = np.empty((len(shown), height + 2 * top, width + 2 * left, channels), np.float32)
        rows = padded[:, :, left : left + width]
        rows[:, top : top + height] = shown
        for i in range(1, top + 1):
            rows[:, top - i] = shown[:, i]
            rows[:, top + height - 1 + i] = shown[:, height - 1 - i]
        for i in range(1, left + 1):
            padded[:, :, left - i] = padded[:, :, left + i]
            padded[:, :, left + width - 1 + i] = padded[:, :, left + width - 1 - i]
        shown[:] = _windows(padded, offsets[:, part], height, width)
    return result


def flip(
    images: ArrayLike,
    rng: np.random.Generator,
    probability: float = 0.5,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Mirror left and right with the given probability.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        probability: number in [0, 1].
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    probability = check_number("probability", probability, low=0, high=1)
    result = as_result(images, out)
    chosen = sample(rng.random, result, part) < probability
    # A pixel is one item: NumPy moves those twice as fast as it moves channels.
    pixels = result.view(np.dtype((np.void, 4 * result.shape[-1])))[..., 0]
    for each in _chunks(result):
        shown, mirrored = pixels[each], np.flatnonzero(chosen[each])
        shown[mirrored] = shown[mirrored, :, ::-1]
    return result


def alternating_flip(
    images: ArrayLike,
    rng: np.random.Generator,
    out: np.ndarray | None = None,
    part: Part | None = None,
    which: tuple[int, int, ArrayLike] | None = None,
) -> np.ndarray:
    """Mirror each image in every other epoch, half of them in the even ones.

    Every image is seen both ways in any two epochs in succession, where random flips would show a
    quarter of them the same way three times (Jordan 2024, arXiv 2404.00498, section 3.6).

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`, used where `which` is not given: a plain random flip.
        out, part: where to write, and the batch that the images are a part of (see above).
        which: (seed, epoch, numbers): the images are `numbers` of the training set, whose first
            flips are of the seed.
    """
    if which is None:
        return flip(images, rng, out=out, part=part)
    seed, epoch, numbers = which
    result = as_result(images, out)
    chosen = _coins(seed, np.asarray(numbers)) ^ bool(epoch % 2)
    result[chosen] = result[chosen, :, ::-1]
    return result


def _coins(seed, numbers):
    """A fair coin for each number, the same whenever it is tossed: bits of SplitMix64."""
    with np.errstate(over="ignore"):
        start = np.random.SeedSequence([seed, 2]).generate_state(1, np.uint64)[0]
        x = start + (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(63)).astype(bool)


def hsv(
    images: ArrayLike,
    rng: np.random.Generator,
    hue: float = HUE,
    saturation: float = SATURATION,
    value: float = VALUE,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Turn the hue and scale saturation and value, by one random draw an image.

    Args:
        images: images (see above). With three channels they are RGB; with any other number
            only the value is scaled.
        rng: `numpy.random.Generator`.
        hue: largest turn, as a share of the full circle, in [0, 0.5].
        saturation: the factor is sampled from [1 - saturation, 1 + saturation]; in [0, 1].
        value: the same for the value.
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    hue = check_number("hue", hue, low=0, high=0.5)
    saturation = check_number("saturation", saturation, low=0, high=1)
    value = check_number("value", value, low=0, high=1)
    draws = sample(lambda n: rng.uniform(-1, 1, (3, n)), images, part).astype(np.float32)
    return adjust_hsv(
        images, hue * draws[0], 1 + saturation * draws[1], 1 + value * draws[2], out=out
    )


def cutout(
    images: ArrayLike,
    rng: np.random.Generator,
    fraction: float = CUTOUT,
    out: np.ndarray | None = None,
    part: Part | None = None,
) -> np.ndarray:
    """Paint a grey (0.5) square at a random place; it may reach over the border.

    DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552: the centre is uniform over the
    pixels, so that squares near the border are cut.

    Args:
        images: images (see above).
        rng: `numpy.random.Generator`.
        fraction: side of the square as a share of the smaller side of the image, in [0, 1].
        out, part: where to write, and the batch that the images are a part of (see above).
    """
    fraction = check_number("fraction", fraction, low=0, high=1)
    result = as_result(images, out)
    _, height, width, _ = result.shape
    side = round(fraction * min(height, width))
    inside = []
    for size in (height, width):
        centres = sample(functools.partial(rng.integers, 0, size), result, part)
        start = centres[:, np.newaxis] - side // 2
        pixels = np.arange(size)
        inside.append((pixels >= start) & (pixels < start + side))
    result[inside[0][:, :, np.newaxis] & inside[1][:, np.newaxis, :]] = 0.5
    return result


def adjust_hsv(
    images: ArrayLike,
    hue: ArrayLike,
    saturation: ArrayLike,
    value: ArrayLike,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Turn the hue by `hue` and multiply saturation and value, clipped to [0, 1].

    The hexagonal HSV model (`colorsys`). Only the quantities that the result needs are
    computed: with V = max(r, g, b), C = V - min(r, g, b) and the hue h in [0, 6), the new
    image is V' - C' + C' P(h'), where V' = min(1, value V), C' = V' min(1, saturation C / V)
    and P is the pure colour of a hue.

    Args:
        images: images (see above).
        hue, saturation, value: one number for all images or an array of shape `[N]`. `hue`
            is a share of the full circle, the others are factors of at least 0.
        out: where to write the result (see above).
    """
    result = as_result(images, out)
    count, height, width, channels = result.shape
    hue, saturation, value = (
        np.broadcast_to(np.asarray(each, np.float32), (count,))[:, np.newaxis]
        for each in (hue, saturation, value)
    )
    pixels = result.reshape(count, height * width, channels)
    if channels != 3:
        pixels *= value[:, :, np.newaxis]
        return np.clip(result, 0, 1, out=result)
    for part in _chunks(pixels):
        _adjust_hsv(pixels[part], hue[part], saturation[part], value[part])
    return result


def _adjust_hsv(images, hue, saturation, value):
    """`adjust_hsv` of [n, pixels, 3], in place."""
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
        np.add(pure, low, out=images[..., channel])


def _chunks(images):
    """Slices of the batch of about _CHUNK values each."""
    step = max(1, _CHUNK // max(1, images[:1].size))
    return [slice(start, start + step) for start in range(0, len(images), step)]


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


ATOMS = {
    "crop": crop,
    "mirror_crop": mirror_crop,
    "reflect_crop": reflect_crop,
    "translate": translate,
    "flip": flip,
    "alternating_flip": alternating_flip,
    "hsv": hsv,
    "cutout": cutout,
    "resized_crop": resized_crop,
    "scale": scale,
    "translation": translation,
    "rotation": rotation,
    "apr_pairs": apr_pairs,
    "apr_views": apr_views,
    "fourier_noise": fourier_noise,
}
# Those whose images are not changed one by one.
WHOLE_BATCH = ("apr_pairs",)
PRESETS = {
    "none": (),
    "crop_flip": ("crop", "flip"),
    "mirror_crop_flip": ("mirror_crop", "flip"),
    "resized_crop_flip": ("resized_crop", "flip"),
    "report": ("translate", "flip", "hsv"),
}


class Augmentation:
    """The named steps, one after the other: `augmentation(images, rng) -> images`.

    `out` and `part` are those of the steps (see above), `which` that of `alternating_flip`.
    """

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)

    def __call__(self, images, rng, out=None, part=None, which=None):
        return self._run(images, rng, out, which, part=part)

    def _run(self, images, rng, out, which, **part):
        result = as_result(images, out)
        for name in self.names:
            more = {"which": which} if name == "alternating_flip" else {}
            ATOMS[name](result, rng, out=result, **more, **part)
        return result

    def __repr__(self):
        return f"Augmentation({', '.join(self.names)})"


class WholeBatchAugmentation(Augmentation):
    """An `Augmentation` of which a part of a batch cannot be computed alone: without `part`."""

    def __call__(self, images, rng, out=None, which=None):
        return self._run(images, rng, out, which)


def build_augmentation(name: str) -> Augmentation | None:
    """The augmentation of a name, or None for "none".

    Args:
        name: `"none"`; `"crop_flip"` (pad 4, random crop, horizontal flip);
            `"mirror_crop_flip"` (the same with mirrored borders); `"resized_crop_flip"` (random
            box, enlarged, and horizontal flip); `"report"` (translation by up to 10 %, horizontal
            flip, HSV perturbation); or steps separated by commas or in a list, in the order of
            their use, out of `"crop"`, `"mirror_crop"`, `"reflect_crop"`, `"translate"`, `"flip"`,
            `"alternating_flip"`, `"hsv"`, `"cutout"`, `"resized_crop"`, `"scale"`, `"translation"`,
            `"rotation"`, `"apr_pairs"`, `"apr_views"` and `"fourier_noise"`. Presets may stand
            among the steps.

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
        raise ValueError(
            f"`name` must be one or more of {choices}. Received: name={describe(name)}"
        )
    steps: list[str] = []
    for part in (part.strip() for part in parts):
        if part in PRESETS:
            steps.extend(PRESETS[part])
        elif part in ATOMS:
            steps.append(part)
        else:
            raise ValueError(
                f"`name` must be one or more of {choices}, separated by commas. "
                f"Received: name={describe(name)}"
            )
    if any(step in WHOLE_BATCH for step in steps):
        return WholeBatchAugmentation(steps)
    return Augmentation(steps) if steps else None
