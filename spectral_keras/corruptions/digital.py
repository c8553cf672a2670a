"""Pixelate and JPEG, by Pillow."""

import io

import numpy as np

__all__ = ["jpeg_compression", "pixelate"]


def pixelate(images: np.ndarray, share: float, rngs: object = None) -> np.ndarray:
    """Shrink to int(share side) pixels by box means, and enlarge again.

    Args:
        images: uint8 [N, H, W, C].
        share: in (0, 1].
        rngs: not used.
    """
    height, width = images.shape[1:3]
    small = (max(1, int(width * share)), max(1, int(height * share)))

    # Pillow resizes rows first, rounds, then columns: each can be done for all images in one
    # picture, rows with the images below each other, columns with the images side by side.
    for columns, rows in (small, (width, height)):
        images = _resize_rows(images, columns)
        images = _resize_rows(images.swapaxes(1, 2), rows).swapaxes(1, 2)
    return images


def _resize_rows(images, width):
    """The rows of [N, H, W, C] to `width` pixels by box means."""
    from PIL import Image

    count, height, old, channels = images.shape
    rows = np.ascontiguousarray(images).reshape(count * height, old, channels)
    picture = Image.fromarray(rows[..., 0] if channels == 1 else rows)
    picture = picture.resize((width, len(rows)), Image.Resampling.BOX)
    return np.asarray(picture).reshape(count, height, width, channels)


def jpeg_compression(images: np.ndarray, quality: int, rngs: object = None) -> np.ndarray:
    """Through Pillow's JPEG with its usual subsampling of colours.

    Args:
        images: uint8 [N, H, W, C].
        quality: 1 to 95.
        rngs: not used.
    """
    from PIL import Image

    result = np.empty_like(images)
    for image, changed in zip(images, result, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        # The decoder alone: to recognise the file and parse its header takes longer.
        mode, size = picture.mode, picture.size
        picture = Image.frombytes(mode, size, file.getvalue(), "jpeg", mode, "")
        changed[...] = np.asarray(picture).reshape(image.shape)
    return result
