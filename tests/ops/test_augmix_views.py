"""AugMix's operations against Pillow's."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from spectral_keras.ops.augmix_views import OPERATIONS, augmix_view
from tests.oracles import compiled, to_numpy


def pillow(image, name, level, sign):
    """The published operation on a uint8 image (height, width, 3)."""
    picture, (height, width) = Image.fromarray(image), image.shape[:2]
    whole = {
        "posterize": int(level * 0.4),
        "solarize": int(level * 25.6),
        "rotate": sign * int(level * 3),
        "translate_x": sign * int(level * width / 30),
        "translate_y": sign * int(level * height / 30),
    }.get(name)
    if name in ("autocontrast", "equalize"):
        result = getattr(ImageOps, name)(picture)
    elif name == "posterize":
        result = ImageOps.posterize(picture, 4 - whole)
    elif name == "solarize":
        result = ImageOps.solarize(picture, 256 - whole)
    elif name == "rotate":
        result = picture.rotate(whole, resample=Image.Resampling.BILINEAR)
    else:
        shear = sign * level * 0.03
        matrix = {
            "shear_x": (1, shear, 0, 0, 1, 0),
            "shear_y": (1, 0, 0, shear, 1, 0),
            "translate_x": (1, 0, whole or 0, 0, 1, 0),
            "translate_y": (1, 0, 0, 0, 1, whole or 0),
        }[name]
        result = picture.transform(
            (width, height), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
        )
    return np.asarray(result)


@pytest.mark.parametrize("size", [(32, 32), (17, 24)])
def test_pillow_does_the_same(size):
    rng = np.random.default_rng(0)
    small = rng.integers(20, 200, (4, 5, 6, 3)).astype(np.uint8)
    pictures = [
        Image.fromarray(each).resize(size[::-1], Image.Resampling.BICUBIC) for each in small
    ]
    one_each = np.stack([np.asarray(picture) for picture in pictures])
    draws = [
        (image, place, level, sign)
        for image, level, sign in zip(range(4), (0.4, 2.99, 2.6, 1.7), (1, 1, -1, -1), strict=True)
        for place in range(len(OPERATIONS))
    ]
    index, places, levels, signs = (np.array(each) for each in zip(*draws, strict=True))
    images = one_each[index].astype("float32") / 255
    view = compiled(augmix_view)(
        images, places.astype("int32"), levels.astype("float32"), signs.astype("float32")
    )
    view = 255 * to_numpy(view)
    for result, image, place, level, sign in zip(view, index, places, levels, signs, strict=True):
        expected = pillow(one_each[image], OPERATIONS[place], level, sign)
        # Pillow works on whole grey levels, and rounds or cuts off its results to them.
        tolerance = 1e-3 if OPERATIONS[place] in ("equalize", "posterize", "solarize") else 1.01
        far = np.abs(result - expected) > tolerance
        assert far.mean() <= 0.002, (OPERATIONS[place], level, np.abs(result - expected).max())


def test_images_of_one_level_stay():
    images = np.full((4, 5, 6, 2), 0.4, "float32")
    places = np.array([OPERATIONS.index(name) for name in ("autocontrast", "equalize")] * 2)
    view = augmix_view(images, places, np.ones(4, "float32"), np.ones(4, "float32"))
    np.testing.assert_array_equal(to_numpy(view), images)
