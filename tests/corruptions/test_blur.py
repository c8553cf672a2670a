"""Blurs against slow loops, SciPy and their kernels."""

import numpy as np
import pytest
from scipy import ndimage

from spectral_keras.corruptions import TABLES, blur, corrupt, filters
from spectral_keras.corruptions.streams import generators
from tests.corruptions.pictures import flat, photographs

SIZES = [(32, 32), (21, 34)]


def impulse(height=33, width=33):
    images = flat(0, 1, height, width)
    images[0, height // 2, width // 2] = 255
    return images


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_gaussian_blur_is_scipys(size, severity):
    images = photographs(*size)[:2]
    sigma = TABLES["cifar"]["gaussian_blur"][severity - 1]
    result = corrupt(images, "gaussian_blur", severity)
    for image, blurred in zip(images, result, strict=True):
        for channel in range(3):
            expected = ndimage.gaussian_filter(image[..., channel] / 255, sigma, mode="nearest")
            np.testing.assert_array_equal(blurred[..., channel], np.floor(expected * 255 + 1e-9))


class TestDefocus:
    @pytest.mark.parametrize("severity", range(1, 6))
    def test_the_kernel_sums_to_one(self, severity):
        kernel = filters.disk(*TABLES["cifar"]["defocus_blur"][severity - 1])
        assert kernel.shape[0] == kernel.shape[1] and kernel.shape[0] % 2 == 1
        assert -1e-15 < kernel.sum() - 1 < 1e-7  # of OpenCV's float32 values
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-15)
        np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-15)

    @pytest.mark.parametrize(("severity", "total"), [(3, 1), (4, 1.0129755), (5, 1.0107858)])
    def test_published_kernels_of_large_images_brighten(self, severity, total):
        """What OpenCV gives for the disks that touch the border of their grid."""
        kernel = filters.disk(*TABLES["imagenet"]["defocus_blur"][severity - 1])
        assert kernel.sum() == pytest.approx(total, abs=1e-6)

    @pytest.mark.parametrize(("radius", "pixels"), [(1, 5), (1.5, 9), (3, 29), (4, 49), (6, 113)])
    def test_unsmoothed_it_is_a_disk(self, radius, pixels):
        kernel = filters.disk(radius, 0.05)
        assert np.count_nonzero(kernel > 1e-9) == pixels
        np.testing.assert_allclose(kernel[kernel > 1e-9], 1 / pixels, rtol=1e-6)

    def test_the_smallest_disk_is_the_gaussian_alone(self):
        weights = np.exp([-1 / (2 * 0.4**2), 0, -1 / (2 * 0.4**2)])
        weights /= weights.sum()
        np.testing.assert_allclose(filters.disk(0.3, 0.4), np.outer(weights, weights), rtol=1e-6)

    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("severity", [1, 4, 5])
    def test_an_impulse_shows_the_kernel(self, table, severity):
        kernel = filters.disk(*TABLES[table]["defocus_blur"][severity - 1])
        result = corrupt(impulse(), "defocus_blur", severity, table=table)[0]
        expected = np.zeros((33, 33))
        reach = kernel.shape[0] // 2
        expected[16 - reach : 17 + reach, 16 - reach : 17 + reach] = kernel
        for channel in range(3):
            np.testing.assert_allclose(result[..., channel], np.floor(255 * expected), atol=1)

    def test_the_kernel_is_opencvs(self):
        """cv2.GaussianBlur of float32 disks: what is just above and below 1 / 5 and 0."""
        kernel = filters.disk(1, 0.2)
        expected = [7.453195394e-07, 0.1999977678061, 0.2000000029802, 0.1999977678061]
        np.testing.assert_allclose(kernel[2, :4], expected, rtol=3e-9)

    @pytest.mark.parametrize("severity", range(1, 6))
    @pytest.mark.parametrize("size", [(20, 24), (33, 6)])
    def test_the_border_is_mirrored_without_repetition(self, size, severity):
        images = photographs(*size)[:1]
        kernel = filters.disk(*TABLES["imagenet"]["defocus_blur"][severity - 1])
        reach = kernel.shape[0] // 2
        sides = ((reach, reach), (reach, reach), (0, 0))
        padded = np.pad(images[0] / 255, sides, "reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape, axis=(0, 1))
        expected = np.einsum("hwcij,ij->hwc", windows, kernel)
        result = corrupt(images, "defocus_blur", severity, table="imagenet")[0]
        expected = np.minimum(255 * expected, 255.4)
        np.testing.assert_allclose(result + 0.5, expected, atol=0.5001)


class TestGlass:
    @pytest.mark.parametrize("size", [(12, 17), (9, 6), (4, 4)])
    @pytest.mark.parametrize("farthest", [1, 2, 3])
    def test_moves_are_those_of_a_loop(self, size, farthest):
        images = np.random.default_rng(0).integers(0, 256, (3, *size, 3), dtype=np.uint8)
        rngs, again = (generators(5, "glass_blur", 1, range(3)) for _ in range(2))
        result = blur._move_pixels(images, farthest, rngs)
        rows, columns = (max(0, side - 2 * farthest) for side in size)
        for image, rng, moved in zip(images.copy(), again, result, strict=True):
            if rows and columns:
                moves = rng.integers(-farthest, farthest, (2, rows, columns))
            for row in range(size[0] - farthest, farthest, -1):
                for column in range(size[1] - farthest, farthest, -1):
                    down, right = moves[:, row - farthest - 1, column - farthest - 1]
                    image[row, column] = image[row + down, column + right]
            np.testing.assert_array_equal(moved, image)

    def test_a_move_copies_and_does_not_swap(self):
        """Without blur, levels that were there once may be there twice, or no more."""
        images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
        result = corrupt(images, "glass_blur", 1)  # its blur is of 0.05 pixels
        assert len(np.unique(result)) < 200
        np.testing.assert_array_equal(result[0, :2], images[0, :2])
        np.testing.assert_array_equal(result[0, :, :2], images[0, :, :2])


class TestMotion:
    @pytest.mark.parametrize(
        ("radius", "sigma", "angle"),
        [(6, 1, 0), (6, 2, 30), (9, 2.5, -45), (3, 2, 45), (8, 3, -90), (10, 4, -135)],
    )
    def test_against_a_loop(self, radius, sigma, angle):
        images = photographs(15, 19)[:1]
        taps = range(2 * radius + 1)
        weights = [np.exp(-(k**2) / (2 * sigma**2)) for k in taps]
        expected = np.zeros(images.shape[1:])
        for row in range(15):
            for column in range(19):
                for k in taps:
                    down = int(np.ceil(k * np.sin(np.deg2rad(angle)) - 0.5))
                    right = int(np.ceil(k * np.cos(np.deg2rad(angle)) - 0.5))
                    y, x = min(max(row + down, 0), 14), min(max(column + right, 0), 18)
                    expected[row, column] += weights[k] / sum(weights) * images[0, y, x]
        result = filters.motion(images, radius, sigma, np.array([angle]))
        np.testing.assert_array_equal(result[0], np.floor(expected + 0.5 / 257))

    @pytest.mark.parametrize(
        ("angle", "expected"),
        [
            (0, "43 85 113 97 124 157 51 69 116 145 121 125 146 99 93 103 114 197 "
                "154 137 201 189 170 117"),
            (30, "35 103 117 90 117 150 53 56 100 161 137 141 173 123 130 84 94 177 "
                 "153 138 201 189 170 117"),
            (-45, "28 96 108 84 124 157 50 89 72 127 139 143 107 84 134 126 74 157 "
                  "149 73 163 88 212 158"),
        ],
    )  # fmt: skip
    def test_imagemagicks_own_levels(self, angle, expected):
        """convert image.png -motion-blur 6x1.5+ANGLE, of ImageMagick 6.9.11 (Q16)."""
        image = np.arange(24).reshape(1, 4, 6, 1) ** 2 * 37 % 256
        result = filters.motion(image.astype(np.uint8), 6, 1.5, np.array([angle]))
        np.testing.assert_array_equal(result.ravel(), np.array(expected.split(), int))

    def test_the_streak_is_one_sided(self):
        weights, rows, columns = filters.streak(6, 1.5, np.array([0.0, 90.0]))
        assert len(weights) == 13 and weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(weights[1] / weights[0], np.exp(-1 / (2 * 1.5**2)))
        np.testing.assert_array_equal(columns[0], range(13))
        np.testing.assert_array_equal(rows[1], range(13))
        assert not rows[0].any() and not columns[1].any()
        # An impulse is spread against the direction, as each pixel looks along it.
        result = filters.motion(impulse(), 6, 1.5, np.array([0.0]))[0, 16, :, 0]
        assert not result[17:].any()
        np.testing.assert_array_equal(result[16:3:-1], np.floor(255 * weights + 0.5 / 257))

    def test_angles_are_within_45_degrees_of_a_row(self):
        images = np.repeat(impulse(), 200, axis=0)
        lit = corrupt(images, "motion_blur", 5)[..., 0] > 0
        rows, columns = lit.any(axis=2), lit.any(axis=1)
        assert not columns[:, 17:].any()
        above, below = rows[:, :16].any(axis=1), rows[:, 17:].any(axis=1)
        assert 60 < above.sum() < 140 and 60 < below.sum() < 140
        for tilted in lit:
            y, x = np.nonzero(tilted)
            assert np.all(np.abs(y - 16) <= np.abs(x - 16))


class TestZoom:
    @pytest.mark.parametrize(
        ("table", "counts"),
        [("cifar", [7, 12, 16, 21, 26]), ("imagenet", [12, 16, 11, 13, 11])],
    )
    def test_number_of_factors(self, table, counts):
        factors = [blur.zoom_factors(*constants) for constants in TABLES[table]["zoom_blur"]]
        assert [len(each) for each in factors] == counts
        assert all(each[0] == 1 for each in factors)
        assert factors[0][-1] == pytest.approx(1.06 if table == "cifar" else 1.11)
        assert factors[4][-1] == pytest.approx(1.25 if table == "cifar" else 1.30)

    @pytest.mark.parametrize("size", [(32, 32), (17, 24), (5, 1)])
    @pytest.mark.parametrize("factor", [1, 1.05, 1.25, 1.75, 2.25, 4.5])
    def test_zoom_is_scipys(self, size, factor):
        image = np.random.default_rng(0).random(size)
        kept = [int(np.ceil(side / factor)) for side in size]
        rows, columns = (
            slice((side - part) // 2, (side - part) // 2 + part)
            for side, part in zip(size, kept, strict=True)
        )
        enlarged = ndimage.zoom(image[rows, columns], factor, order=1)
        top, left = ((have - want) // 2 for have, want in zip(enlarged.shape, size, strict=True))
        expected = enlarged[top : top + size[0], left : left + size[1]]
        np.testing.assert_allclose(filters.zoom(image[np.newaxis], factor)[0], expected, atol=1e-12)

    def test_the_image_counts_twice(self):
        """Itself and the factor 1, of 8 images in all: a pixel in the corner keeps a quarter."""
        images = flat(0, 1)
        images[0, 0, 0] = 200
        corner = corrupt(images, "zoom_blur", 1)[0, 0, 0, 0]
        enlarged = [
            filters.zoom(images[:1, :, :, 0] / 255, factor)[0, 0, 0]
            for factor in blur.zoom_factors(1.06, 0.01)[1:]
        ]
        assert corner == pytest.approx((2 * 200 + 255 * sum(enlarged)) / 8, abs=1)
