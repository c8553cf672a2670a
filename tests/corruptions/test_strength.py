"""Strengths against the closed forms of images of one level."""

import math

import numpy as np
import pytest

from spectral_keras.corruptions import TABLES, strengths
from spectral_keras.corruptions import strength as module
from tests.corruptions.pictures import flat, photographs


@pytest.mark.parametrize("table", TABLES)
def test_a_constant_change_has_equal_rms_and_brightness(table):
    found = strengths(flat(51, 3), "brightness", table=table)
    assert [strength.severity for strength in found] == [1, 2, 3, 4, 5]
    for strength, added in zip(found, TABLES[table]["brightness"], strict=True):
        assert strength.brightness == pytest.approx(added, abs=1.01 / 255)
        assert strength.rms == pytest.approx(strength.brightness)
        assert strength.psnr == pytest.approx(-20 * math.log10(strength.rms))


def test_psnr_is_the_mean_over_images_and_rms_that_of_all_pixels(monkeypatch):
    """Contrast moves photographs by different amounts; batches do not show."""
    images = photographs(24, 20)
    whole = strengths(images, "contrast")
    alone = [strengths(image[np.newaxis], "contrast") for image in images]
    for number, strength in enumerate(whole):
        each = np.array([one[number] for one in alone])
        assert strength.psnr == pytest.approx(each[:, 1].mean())
        assert strength.rms == pytest.approx(np.sqrt(np.mean(each[:, 2] ** 2)))
        assert strength.brightness == pytest.approx(each[:, 3].mean())
    noisy = strengths(images, "shot_noise", 5)
    monkeypatch.setattr(module, "_BATCH", 3)
    np.testing.assert_allclose(strengths(images, "shot_noise", 5), noisy, rtol=1e-12)


def test_an_image_that_stays_has_an_infinite_psnr():
    assert strengths(flat(9), "contrast")[0] == (1, math.inf, 0, 0)


def test_frost_changes_photographs_as_much_as_the_published_one():
    """PSNR of the authors' textures on CIFAR-10 itself: 18.4, 15.0, 14.1, 14.9, 15.1."""
    images = np.tile(photographs(32, 32), (16, 1, 1, 1))
    psnr = [strength.psnr for strength in strengths(images, "frost")]
    np.testing.assert_allclose(psnr, [18.4, 15.0, 14.1, 14.9, 15.1], atol=0.8)


def test_no_image_is_an_error():
    with pytest.raises(ValueError, match="`images` must not be empty. Received: 0 images"):
        strengths(flat(0, 0), "fog")
