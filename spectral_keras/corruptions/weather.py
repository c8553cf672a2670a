"""Snow, frost and fog."""

from collections.abc import Sequence

import numpy as np

from spectral_keras.corruptions import filters
from spectral_keras.corruptions.frost_texture import frost_textures
from spectral_keras.corruptions.levels import luma, sums_to_levels, to_levels, to_unit
from spectral_keras.corruptions.plasma import plasma
from spectral_keras.corruptions.streams import draw, normal

__all__ = ["fog", "frost", "snow"]


def snow(
    images: np.ndarray, constants: tuple[float, ...], rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Whiten the image; add blurred flakes, and the same turned by half a circle.

    Args:
        images: uint8 [N, H, W, C].
        constants: mean and standard deviation of the flakes' noise; its zoom; the threshold below
            which there is no flake; radius and standard deviation of the motion blur, which goes
            upwards within 45 degrees; share of the image that is not whitened.
        rngs: N generators.
    """
    mean, deviation, factor, threshold, radius, sigma, share = constants
    flakes = normal(rngs, images.shape[1:3], mean, deviation)
    angles = draw(rngs, lambda rng: rng.uniform(-135, -45))
    flakes = filters.zoom(flakes, factor)[..., np.newaxis]
    flakes[flakes < threshold] = 0
    flakes = filters.motion(to_levels(flakes), radius, sigma, angles).astype(np.float64)
    images = images.astype(np.float64)
    white = np.maximum(images, luma(images) * 1.5 + 127.5)
    whitened = share * images + (1 - share) * white
    return sums_to_levels(whitened + flakes + flakes[:, ::-1, ::-1])


def frost(
    images: np.ndarray, constants: tuple[float, float, int], rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Weighted sum of the image and of a texture of ice.

    CIFAR-10-C and ImageNet-C cut the texture out of photographs; here five procedural pictures with
    the photographs' colours, quantiles and spectra stand in their place, see `frost_textures`. The
    weights are the published ones, and so is the size of the change; the shapes of the ice are not.

    Args:
        images: uint8 [N, H, W, C].
        constants: weights of the image and of the texture, whose sum may be above 1; every how many
            pixels of a picture are taken.
        rngs: N generators.
    """
    ours, theirs, step = constants
    texture = frost_textures(images.shape[1:], step, rngs)
    return np.clip(ours * images.astype(np.float64) + theirs * texture, 0, 255).astype(np.uint8)


def fog(
    images: np.ndarray, constants: tuple[float, ...], rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Add a cloud, then scale so that the brightest value stays what it was.

    Args:
        images: uint8 [N, H, W, C].
        constants: amount of the cloud, decay of its detail (see `plasma`).
        rngs: N generators.
    """
    amount, decay = constants
    clouds = plasma(images.shape[1], images.shape[2], decay, rngs)[..., np.newaxis]
    images = to_unit(images)
    highest = images.max(axis=(1, 2, 3), keepdims=True)
    return to_levels((images + amount * clouds) * highest / (highest + amount))
