"""Brightness, saturation and contrast, against scikit-image and by hand."""

import numpy as np
import pytest
from skimage import color

from spectral_keras.corruptions import TABLES, corrupt
from spectral_keras.corruptions.colour import hsv_to_rgb, rgb_to_hsv
from tests.corruptions.pictures import flat, photographs


def colours():
    """All of 0, 17, 34 ... 255 in each channel, and photographs."""
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, 64, 64, 3)
    return np.concatenate([cube, photographs(64, 64)[:2]])


def test_hsv_is_skimages():
    images = colours() / 255
    expected = color.rgb2hsv(images)
    result = np.stack(rgb_to_hsv(images), axis=-1)
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(
        hsv_to_rgb(*np.moveaxis(expected, -1, 0)), color.hsv2rgb(expected)
    )


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", range(1, 6))
class TestHsv:
    def test_brightness_adds_to_the_value(self, table, severity):
        images, added = colours(), TABLES[table]["brightness"][severity - 1]
        hsv = color.rgb2hsv(images / 255)
        hsv[..., 2] = np.clip(hsv[..., 2] + added, 0, 1)
        expected = (np.clip(color.hsv2rgb(hsv), 0, 1) * 255).astype(np.uint8)
        result = corrupt(images, "brightness", severity, table=table)
        np.testing.assert_array_equal(result, expected)
        value = result.max(axis=-1)
        brighter = np.minimum(images.max(axis=-1) + 255 * added, 255)
        np.testing.assert_allclose(value, brighter, atol=1)

    def test_saturate_scales_the_saturation(self, table, severity):
        images, (factor, added) = colours(), TABLES[table]["saturate"][severity - 1]
        hsv = color.rgb2hsv(images / 255)
        hsv[..., 1] = np.clip(hsv[..., 1] * factor + added, 0, 1)
        expected = (np.clip(color.hsv2rgb(hsv), 0, 1) * 255).astype(np.uint8)
        result = corrupt(images, "saturate", severity, table=table)
        np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(result.max(axis=-1), images.max(axis=-1))

    def test_contrast_shrinks_about_the_mean_of_each_channel(self, table, severity):
        images, factor = photographs(20, 31), TABLES[table]["contrast"][severity - 1]
        result = corrupt(images, "contrast", severity, table=table)
        mean = images.mean(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(result + 0.5, mean + factor * (images - mean), atol=0.5001)


def test_grey_images():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(corrupt(images, "saturate", 5), images)
    for severity in range(1, 6):
        added = 255 * TABLES["cifar"]["brightness"][severity - 1]
        result = corrupt(images, "brightness", severity)
        np.testing.assert_allclose(result + 0.5, np.minimum(images + added, 255), atol=0.5001)
    # In RGB a grey pixel has the hue 0: saturation that is added turns it red.
    red, green, blue = np.moveaxis(corrupt(flat(200), "saturate", 5), -1, 0)
    assert np.all(red == 200) and np.all(green == 160) and np.all(blue == 160)
