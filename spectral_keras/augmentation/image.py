"""Random crops and reflections of image batches, vectorised numpy on the host."""

import numpy as np


def random_shift_flip(images, rng, *, shift, flip=True):
    """Shift each image by up to `shift` pixels on both axes (zeros enter), and mirror half of them.

    The standard "pad 4, crop at random, flip" of CIFAR training is shift=4.

    Args:
        images: float32 [N, height, width, channels] in [0, 1].
        rng: numpy Generator.
        shift: largest shift in pixels.
        flip: mirror left and right with probability 1/2.
    """
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    rows = rng.integers(0, 2 * shift + 1, count)[:, None] + np.arange(height)
    columns = rng.integers(0, 2 * shift + 1, count)[:, None] + np.arange(width)
    if flip:
        mirrored = rng.random(count) < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def build_augmentation(names):
    """The augmentation called `names`."""
    if names == "none":
        return None
    if names == "crop_flip":
        return lambda images, rng: random_shift_flip(images, rng, shift=4)
    raise ValueError(f"`augment` must be 'none' or 'crop_flip'. Received: augment={names!r}")
