"""One decoder for every encoded image, whether it is read into memory or streamed."""

import io

import numpy as np

from spectral_keras.data.errors import DataError

# A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as this many times the size wanted
# is left for the filter: Pillow calls the result nearly indistinguishable from the whole's from 3.
REDUCING_GAP = 3

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def decode(source, mode, size=None):
    """Pixels of an encoded image, uint8 of shape [height, width, channels].

    Whatever Pillow raises on damaged data passes through; `described` makes one line of it.

    Args:
        source: path or bytes of the image; JPEG, PNG or what else Pillow reads.
        mode: Pillow's mode of the result: "L", "LA", "RGB" or "RGBA".
        size: None, or (height, width): the whole image is resized to it with an antialiasing
            triangle filter, whatever its proportions.

    Raises:
        DataError: if the image has more than 8 bits a channel.
    """
    from PIL import Image

    if not isinstance(source, bytes):
        with open(source, "rb", buffering=0) as file:  # at once: Pillow would take it in bits
            source = file.read()
    with Image.open(io.BytesIO(source)) as image:
        if image.mode[0] in "IF":
            raise DataError("more than 8 bits a channel: convert it")
        if size is not None:
            image.draft(None, (REDUCING_GAP * size[1], REDUCING_GAP * size[0]))
        image.load()
        if image.mode != mode:
            image = image.convert(mode)
        if size is not None and image.size != (size[1], size[0]):
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def described(error):
    """What is wrong with an image, in a few words, from what its decoder raised."""
    kind = type(error).__name__
    text = str(error).split("<", 1)[0].strip().rstrip(".")  # no addresses of objects
    return f"{kind}: {text[:100]}" if text else kind
