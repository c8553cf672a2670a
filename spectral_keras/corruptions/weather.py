"""Snow, frost and fog."""

import numpy as np

from spectral_keras.corruptions import filters
from spectral_keras.corruptions.frost_texture import frost_texture
from spectral_keras.corruptions.levels import luma, to_levels, to_unit
from spectral_keras.corruptions.plasma import plasma
from spectral_keras.corruptions.streams import draw, normal


def snow(images, constants, rngs):
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
    flakes = to_unit(filters.motion(to_levels(flakes), radius, sigma, angles))
    images = to_unit(images, np.float32)
    white = np.maximum(images, luma(images) * np.float32(1.5) + np.float32(0.5))
    whitened = np.float32(share) * images + np.float32(1 - share) * white
    return to_levels(whitened + flakes + flakes[:, ::-1, ::-1])


def frost(images, constants, rngs):
    """Weighted sum of the image and of a texture of ice.

    CIFAR-10-C and ImageNet-C use five photographs; here a procedural texture stands in their
    place, see `frost_texture`. The weights are the published ones, the pictures are not: accuracies
    on this corruption can only be compared among themselves.

    Args:
        images: uint8 [N, H, W, C].
        constants: weights of the image and of the texture; their sum may be above 1.
        rngs: N generators.
    """
    ours, theirs = constants
    texture = to_levels(frost_texture(*images.shape[1:], rngs))
    return np.clip(ours * images.astype(np.float64) + theirs * texture, 0, 255).astype(np.uint8)


def fog(images, constants, rngs):
    """Add a cloud, then scale so that the brightest value stays what it was.

    Args:
        images: uint8 [N, H, W, C].
        constants: amount of the cloud, decay of its detail (see `plasma`).
        rngs: N generators.
    """
    amount, decay = constants
    clouds = plasma(*images.shape[1:3], decay, rngs)[..., np.newaxis]
    images = to_unit(images)
    highest = images.max(axis=(1, 2, 3), keepdims=True)
    return to_levels((images + amount * clouds) * highest / (highest + amount))
