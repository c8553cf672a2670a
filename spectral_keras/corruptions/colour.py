"""Brightness, saturation and contrast."""

import numpy as np

from spectral_keras.corruptions.levels import to_levels, to_unit

__all__ = ["brightness", "contrast", "hsv_to_rgb", "rgb_to_hsv", "saturate"]


def brightness(images: np.ndarray, added: float, rngs: object = None) -> np.ndarray:
    """Add to the value of HSV; to a grey image itself.

    In floats, as the generator has it: where the sum is a whole level it may become the one below
    (18 of 256 levels at 0.2).

    Args:
        images: uint8 [N, H, W, C].
        added: intensity in [0, 1].
        rngs: not used.
    """
    images = to_unit(images)
    if images.shape[-1] == 1:
        return to_levels(images + added)
    hue, saturation, value = rgb_to_hsv(images)
    return to_levels(hsv_to_rgb(hue, saturation, np.clip(value + added, 0, 1)))


def saturate(images: np.ndarray, constants: tuple[float, float], rngs: object = None) -> np.ndarray:
    """Multiply the saturation of HSV and add to it. Images of one channel stay as they are.

    As the generator has it, a grey pixel of an RGB image has the hue 0 and turns red where
    something is added.

    Args:
        images: uint8 [N, H, W, C].
        constants: factor, and what is added.
        rngs: not used.
    """
    factor, added = constants
    if images.shape[-1] == 1:
        return images.copy()
    hue, saturation, value = rgb_to_hsv(to_unit(images))
    return to_levels(hsv_to_rgb(hue, np.clip(saturation * factor + added, 0, 1), value))


def contrast(images: np.ndarray, factor: float, rngs: object = None) -> np.ndarray:
    """Shrink the distance from the mean of each channel of each image.

    Args:
        images: uint8 [N, H, W, C].
        factor: in [0, 1].
        rngs: not used.
    """
    # Whole numbers: the mean does not depend on the order of a sum.
    total = images.sum(axis=(1, 2), dtype=np.int64, keepdims=True)
    mean = total / (255 * images.shape[1] * images.shape[2])
    return to_levels((to_unit(images) - mean) * factor + mean)


def rgb_to_hsv(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hue, saturation and value in [0, 1] of RGB [..., 3] in [0, 1].

    The hexagonal model, with the hue of `skimage.color`: 0 for greys; the last of several largest
    channels decides.

    Example:

    >>> [float(part) for part in rgb_to_hsv(np.array([0.0, 0.5, 0.25]))]
    [0.4166666666666667, 1.0, 0.5]
    """
    red, green, blue = np.moveaxis(images, -1, 0)
    value = images.max(axis=-1)
    chroma = value - images.min(axis=-1)
    grey = chroma == 0
    divisor = np.where(grey, 1, chroma)
    hue = np.where(green == value, 2 + (blue - red) / divisor, (green - blue) / divisor)
    hue = np.where(blue == value, 4 + (red - green) / divisor, hue)
    hue = np.where(grey, 0, hue / 6 % 1)
    return hue, np.where(grey, 0, chroma / np.where(value == 0, 1, value)), value


def hsv_to_rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """RGB [..., 3] of arrays in [0, 1]; the inverse of `rgb_to_hsv`.

    Example:

    >>> hsv_to_rgb(np.array(0.5), np.array(1.0), np.array(0.5)).tolist()
    [0.0, 0.5, 0.5]
    """
    sextant = np.floor(hue * 6)
    part = hue * 6 - sextant
    sextant = sextant.astype(int) % 6
    low = value * (1 - saturation)
    falling = value * (1 - part * saturation)
    rising = value * (1 - (1 - part) * saturation)
    red = np.choose(sextant, (value, falling, low, low, rising, value))
    green = np.choose(sextant, (rising, value, value, falling, low, low))
    blue = np.choose(sextant, (low, low, rising, value, value, falling))
    return np.stack((red, green, blue), axis=-1)
