"""Zero borders and random windows."""

import keras
import numpy as np
import pytest

from spectral_keras.ops.crop import random_crop, zero_pad
from tests.oracles import random_images, to_numpy


def windows(image, height, width):
    """Every [height, width] window of one image [H, W, C]: (row, column) -> window."""
    return {
        (i, j): image[i : i + height, j : j + width]
        for i in range(image.shape[0] - height + 1)
        for j in range(image.shape[1] - width + 1)
    }


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [(5, 4), (7, 6), (7, 2)])
def test_each_image_is_one_of_its_windows(data_format, size):
    x = random_images((40, 7, 6, 2))
    first = data_format == "channels_first"
    given = x.transpose(0, 3, 1, 2) if first else x
    seed = keras.random.SeedGenerator(1)
    y = to_numpy(random_crop(keras.ops.convert_to_tensor(given), *size, seed, data_format))
    y = y.transpose(0, 2, 3, 1) if first else y
    assert y.shape == (40, *size, 2)
    places = set()
    for image, window in zip(x, y, strict=True):
        equal = [place for place, w in windows(image, *size).items() if np.array_equal(w, window)]
        assert len(equal) == 1
        places.update(equal)
    rest = (8 - size[0]) * (7 - size[1])
    # 40 images on at most 15 places: few of them stay empty.
    assert len(places) >= 0.7 * rest


def test_places_are_uniform_and_drawn_at_each_call():
    ramp = np.arange(25, dtype="float32").reshape(1, 5, 5, 1).repeat(200, axis=0)
    seed = keras.random.SeedGenerator(3)
    images = keras.ops.convert_to_tensor(ramp)
    draws = [to_numpy(random_crop(images, 3, 3, seed))[:, 0, 0, 0] for _ in range(2)]
    for corners in draws:
        values, counts = np.unique(corners, return_counts=True)
        assert list(values) == [0, 1, 2, 5, 6, 7, 10, 11, 12]
        # 200 / 9 = 22, standard deviation 4.4.
        assert counts.min() > 5 and counts.max() < 45
    assert not np.array_equal(*draws)


def test_border():
    x = random_images((2, 3, 4, 2))
    y = to_numpy(zero_pad(keras.ops.convert_to_tensor(x), 2, "channels_last"))
    np.testing.assert_array_equal(y[:, 2:-2, 2:-2], x)
    assert y.shape == (2, 7, 8, 2) and np.isclose(y.sum(), x.sum())
    y = to_numpy(zero_pad(keras.ops.convert_to_tensor(x), 1, "channels_first"))
    np.testing.assert_array_equal(y[:, :, 1:-1, 1:-1], x)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_no_images(data_format):
    shape = (0, 7, 6, 2) if data_format == "channels_last" else (0, 2, 7, 6)
    y = random_crop(keras.ops.zeros(shape), 4, 5, keras.random.SeedGenerator(1), data_format)
    expected = (0, 4, 5, 2) if data_format == "channels_last" else (0, 2, 4, 5)
    assert tuple(y.shape) == expected


def test_too_large():
    with pytest.raises(ValueError, match=r"window of 4 x 3 does not fit.*\(1, 3, 3, 1\)"):
        random_crop(keras.ops.zeros((1, 3, 3, 1)), 4, 3, 0, "channels_last")
