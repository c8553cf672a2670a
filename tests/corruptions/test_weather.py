"""Snow, frost and fog on images of one level, and the maps that they are made of."""

import itertools

import numpy as np
import pytest

from spectral_keras.corruptions import TABLES, corrupt, frost_texture
from spectral_keras.corruptions.frost_texture import frost_textures
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


def radial_rms(crops, edges):
    """Rms of |F| of the crops' grey values in [0, 1], for radii from each edge to the next."""
    side = crops.shape[1]
    power = np.mean(np.abs(np.fft.fft2(crops.mean(axis=-1) / 255)) ** 2, axis=0)
    cycles = np.fft.fftfreq(side) * side
    radius = np.hypot(cycles[:, np.newaxis], cycles)
    rings = [(radius >= low) & (radius < high) for low, high in itertools.pairwise(edges)]
    return np.sqrt([power[ring].mean() for ring in rings])


class TestFrost:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("severity", range(1, 6))
    def test_a_weighted_sum(self, severity, channels):
        ours, theirs, step = TABLES["cifar"]["frost"][severity - 1]
        images = photographs(32, 32, channels)
        result = corrupt(images, "frost", severity, 4)
        crops = generators(4, "frost", severity, range(8))
        textures = frost_textures((32, 32, channels), step, crops)
        expected = np.clip(ours * images + theirs * textures, 0, 255).astype(np.uint8)
        np.testing.assert_array_equal(result, expected)

    def test_small_textures_have_the_published_statistics(self):
        """32 x 32 crops of the photographs, reduced to a fifth."""
        crops = frost_textures((32, 32, 3), 5, rngs(800))
        unit, grey = crops / 255, crops.mean(axis=-1) / 255
        np.testing.assert_allclose(unit.mean(axis=(0, 1, 2)), [0.563, 0.647, 0.693], atol=0.015)
        assert grey.mean(axis=(1, 2)).std() == pytest.approx(0.152, abs=0.008)
        assert grey.std(axis=(1, 2)).mean() == pytest.approx(0.087, abs=0.006)
        quantiles = np.quantile(unit, [0.05, 0.25, 0.5, 0.75, 0.95])
        np.testing.assert_allclose(quantiles, [0.26, 0.51, 0.66, 0.80, 0.89], atol=0.015)
        rms = radial_rms(crops, [1, 2, 4, 8, 12, 99])
        np.testing.assert_allclose(rms, [12.3, 5.6, 3.4, 2.7, 2.3], rtol=0.12)

    def test_pictures_differ_as_the_published_ones(self):
        """Means from 113 to 205 grey levels, as of the darkest and the lightest photograph."""
        means = frost_texture._pictures().mean(axis=(1, 2, 3))
        assert means.min() == pytest.approx(114, abs=4) and means.max() == pytest.approx(205, abs=4)
        assert means.mean() == pytest.approx(162, abs=2)
        assert not np.array_equal(*frost_texture._pictures()[1:3])

    def test_large_textures_have_the_published_spectrum(self):
        """224 x 224 crops of the photographs as they are."""
        pictures = frost_texture._pictures()
        corners = itertools.product((0, 176), (0, 188, 376))
        parts = [pictures[:, top : top + 224, left : left + 224] for top, left in corners]
        crops = np.concatenate(parts)
        rms = radial_rms(crops, [1, 2, 4, 8, 16, 32, 64, 112])
        np.testing.assert_allclose(rms, [689, 249, 127, 69.7, 37.3, 20.6, 10.8], rtol=0.15)
        inside = (crops.mean(axis=-1) / 255).std(axis=(1, 2)).mean()
        assert inside == pytest.approx(0.0895, abs=0.008)

    @pytest.mark.parametrize(("height", "width", "step"), [(32, 32, 5), (450, 33, 1), (3, 700, 1)])
    def test_crops_go_across_the_borders(self, height, width, step):
        picture, top, left = rngs(1)[0].integers((5, 400, 600))
        whole = np.tile(frost_texture._pictures()[picture], (3, 3, 1))
        rows = slice(top, top + step * height, step)
        expected = whole[rows, left : left + step * width : step]
        result = frost_textures((height, width, 3), step, rngs(1))
        np.testing.assert_array_equal(result[0], expected)
        grey = frost_textures((height, width, 1), step, rngs(1))
        np.testing.assert_allclose(grey, luma(result), atol=1e-9)


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
