"""Snow, frost and fog on images of one level, and the maps that they are made of."""

import numpy as np
import pytest

from spectral_keras.corruptions import TABLES, corrupt
from spectral_keras.corruptions.frost_texture import COLOUR, frost_texture
from spectral_keras.corruptions.levels import luma
from spectral_keras.corruptions.plasma import plasma
from spectral_keras.corruptions.streams import generators
from tests.corruptions.pictures import flat, photographs


def rngs(count):
    return generators(3, "fog", 1, range(count))


class TestSnow:
    @pytest.mark.parametrize("size", [(32, 32), (24, 37)])
    @pytest.mark.parametrize("severity", [1, 3, 5])
    def test_flakes_are_added_to_a_whitened_image(self, size, severity):
        share = TABLES["cifar"]["snow"][severity - 1][-1]
        level = 100
        result = corrupt(flat(level, 6, *size), "snow", severity)
        white = share * level + (1 - share) * max(level, 1.5 * level + 127.5)
        assert result.min() == pytest.approx(white - 0.5, abs=0.5001)
        # Each flake comes twice, turned by half a circle.
        np.testing.assert_array_equal(result, result[:, ::-1, ::-1])
        assert np.all(result.reshape(6, -1).max(axis=1) > result.min())

    def test_flakes_fall_within_45_degrees_of_a_column(self):
        result = corrupt(flat(0, 60, 64, 64), "snow", 1, table="cifar").astype(float)
        along = np.mean(np.abs(np.diff(result, axis=1)))
        across = np.mean(np.abs(np.diff(result, axis=2)))
        assert along < 0.8 * across

    def test_colours_whiten_by_their_luma(self):
        images = flat(0, 1)
        images[..., 0] = 255  # red
        result = corrupt(images, "snow", 1)
        assert result[..., 0].min() == 255
        expected = 0.05 * 255 * (1.5 * 0.299 + 0.5)
        assert result[..., 1].min() == pytest.approx(expected - 0.5, abs=0.5001)


class TestFrost:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("severity", range(1, 6))
    def test_a_weighted_sum(self, severity, channels):
        ours, theirs = TABLES["cifar"]["frost"][severity - 1]
        black = corrupt(flat(0, 2, channels=channels), "frost", severity)
        grey = corrupt(flat(100, 2, channels=channels), "frost", severity)
        np.testing.assert_allclose(grey, np.minimum(black + 100 * ours, 255), atol=1)
        assert black.min() >= 0 and black.max() <= 255 * theirs
        texture = (black + 0.5) / theirs
        assert 0.3 < texture.mean() / 255 < 0.65
        assert texture.std() / 255 > 0.08

    @pytest.mark.parametrize("size", [(32, 32), (33, 40), (224, 180)])
    def test_the_texture_differs_and_is_a_cold_white(self, size):
        textures = frost_texture(*size, 3, rngs(4))
        assert textures.shape == (4, *size, 3)
        assert textures.min() >= 0 and textures.max() <= 1
        ice = textures[..., 2:] / COLOUR[2]
        np.testing.assert_allclose(textures, ice * np.array(COLOUR), atol=1e-12)
        assert np.all(np.abs(np.corrcoef(textures.reshape(4, -1)) - np.eye(4)) < 0.5)
        grey = frost_texture(*size, 1, rngs(4))
        np.testing.assert_allclose(grey, luma(textures), atol=1e-12)
        # The level is that of the table: neither dark nor white, whatever the size.
        assert 0.3 < textures.mean() < 0.65

    def test_large_patches_and_fine_grain(self):
        texture = frost_texture(128, 128, 1, rngs(1))[0, ..., 0]
        power = np.abs(np.fft.rfft2(texture - texture.mean())) ** 2
        distance = np.hypot(np.fft.fftfreq(128)[:, np.newaxis], np.fft.rfftfreq(128))
        bands = [
            power[(distance >= low) & (distance < high)].mean()
            for low, high in [(0.005, 0.05), (0.05, 0.15), (0.15, 0.5)]
        ]
        assert bands[0] > 2 * bands[1] > 4 * bands[2] > 0


class TestFog:
    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("severity", [1, 4])
    def test_white_stays_the_brightest_and_black_stays(self, table, severity):
        amount = TABLES[table]["fog"][severity - 1][0]
        result = corrupt(flat(255, 3), "fog", severity, table=table)
        # (1 + amount p) / (1 + amount) with p from 0 to 1.
        np.testing.assert_array_equal(result.reshape(3, -1).max(axis=1), 255)
        np.testing.assert_allclose(
            result.reshape(3, -1).min(axis=1), np.floor(255 / (1 + amount)), atol=1
        )
        np.testing.assert_array_equal(result[..., 0], result[..., 2])
        assert not corrupt(flat(0), "fog", severity, table=table).any()

    def test_the_brightest_value_is_the_images_own(self):
        images = photographs(32, 32) // 2
        result = corrupt(images, "fog", 3)
        highest = images.reshape(8, -1).max(axis=1)
        assert np.all(result.reshape(8, -1).max(axis=1) <= highest)

    @pytest.mark.parametrize(("side", "decay"), [(2, 3), (8, 2), (16, 1.5)])
    def test_plasma_against_a_loop(self, side, decay):
        (result,) = plasma(side, side, decay, rngs(1))
        numbers = iter(rngs(1)[0].uniform(-1, 1, side * side - 1))
        heights = np.zeros((side, side))
        step, spread = side, 100.0
        while step >= 2:
            half = step // 2
            diagonal = [(-half, -half), (-half, half), (half, -half), (half, half)]
            straight = [(-half, 0), (half, 0), (0, -half), (0, half)]
            for top, left, around in [
                (half, half, diagonal),
                (0, half, straight),
                (half, 0, straight),
            ]:
                for row in range(top, side, step):
                    for column in range(left, side, step):
                        near = [heights[(row + y) % side, (column + x) % side] for y, x in around]
                        heights[row, column] = np.mean(near) + spread**2 * next(numbers)
            step, spread = half, spread / decay
        assert next(numbers, None) is None
        expected = (heights - heights.min()) / np.ptp(heights)
        np.testing.assert_allclose(result, expected, atol=1e-12)

    @pytest.mark.parametrize(("height", "width", "side"), [(1, 1, 2), (20, 33, 64), (32, 32, 32)])
    def test_plasma_is_cut_out_of_a_power_of_two(self, height, width, side):
        whole = plasma(side, side, 2, rngs(2))
        assert whole.min() == 0 and whole.max() == 1
        np.testing.assert_array_equal(plasma(height, width, 2, rngs(2)), whole[:, :height, :width])
