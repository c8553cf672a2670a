"""Pixelate and JPEG, by Pillow."""

import io

import numpy as np


def pixelate(images, share, rngs=None):
    """Shrink to int(share side) pixels by box means, and enlarge again.

    Args:
        images: uint8 [N, H, W, C].
        share: in (0, 1].
        rngs: not used.
    """
    from PIL import Image

    height, width = images.shape[1:3]
    small = (max(1, int(width * share)), max(1, int(height * share)))

    def work(picture):
        return picture.resize(small, Image.Resampling.BOX).resize(
            (width, height), Image.Resampling.BOX
        )

    return _each_picture(images, work)


def jpeg_compression(images, quality, rngs=None):
    """Through Pillow's JPEG with its usual subsampling of colours.

    Args:
        images: uint8 [N, H, W, C].
        quality: 1 to 95.
        rngs: not used.
    """
    from PIL import Image

    def work(picture):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _each_picture(images, work)


def _each_picture(images, work):
    """`work` of each image as a Pillow image, as one array again."""
    from PIL import Image

    result = np.empty_like(images)
    for image, changed in zip(images, result, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        changed[...] = np.asarray(work(picture)).reshape(image.shape)
    return result
