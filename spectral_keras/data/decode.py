"""One decoder for every encoded image, whether it is read into memory or streamed."""

import io
from typing import Any

import numpy as np

from spectral_keras.data.errors import DataError

__all__ = ["FORMATS", "MODES", "decode", "describe_error"]

# What is opened, by content, whatever a file is called: Pillow knows many more formats, one of
# which (EPS) starts an external program.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")

# A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as this many times the size wanted
# is left for the filter: Pillow calls the result nearly indistinguishable from the whole's from 3.
REDUCING_GAP = 3

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

# EXIF orientation -> name of Pillow's method that turns the image upright; from 5 on it lies.
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def decode(
    source: bytes, mode: str, size: tuple[int, int] | None = None, upright: bool = False
) -> np.ndarray:
    """Pixels of an encoded image, uint8 of shape [height, width, channels].

    Whatever Pillow raises on damaged data passes through; `describe_error` makes one line of it.

    Args:
        source: the image as one of `FORMATS`.
        mode: Pillow's mode of the result: "L", "LA", "RGB" or "RGBA".
        size: None, or (height, width): the whole image is resized to it with an antialiasing
            triangle filter, whatever its proportions.
        upright: turn or mirror the image as its EXIF orientation says, as viewers do.

    Raises:
        DataError: if the image is of another format, has more than 8 bits a channel, or several
            frames (the second image of a JPEG, which some cameras add, is none).
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image: Any = Image.open(io.BytesIO(source), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise DataError(f"the content of none of {', '.join(FORMATS)}: convert it") from error
    with image:
        if image.mode[0] in "IF":
            raise DataError("more than 8 bits a channel: convert it")
        is_jpeg = image.format in ("JPEG", "MPO")
        if not is_jpeg and getattr(image, "is_animated", False):
            raise DataError(f"{image.n_frames} frames: save the one that is meant by itself")
        turn = None
        if is_jpeg:
            turn = _turn(image) if upright else None
            if size is not None:
                side = (size[1], size[0]) if turn is None or turn < 5 else size
                image.draft(None, tuple(REDUCING_GAP * pixels for pixels in side))
        image.load()
        if upright and not is_jpeg:
            turn = _turn(image)  # reads a PNG to its end: not before its pixels
        if image.mode != mode:
            image = image.convert(mode)
        if turn is not None:
            image = image.transpose(Image.Transpose[_TURNS[turn]])
        if size is not None and image.size != (size[1], size[0]):
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _turn(image):
    """The EXIF orientation if it calls for a turn, else None."""
    from PIL import ExifTags

    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # a damaged description of an image that may be whole
        return None
    return orientation if orientation in _TURNS else None


def describe_error(error: BaseException) -> str:
    """What is wrong with an image, in a few words, from what its decoder raised."""
    kind = type(error).__name__
    text = str(error).split("<", 1)[0].strip().rstrip(".")  # no addresses of objects
    return f"{kind}: {text[:100]}" if text else kind
