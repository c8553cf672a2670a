"""Pixelate, JPEG, elastic transform and spatter."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from spectral_keras.corruptions import TABLES, corrupt
from spectral_keras.corruptions.edges import canny, chamfer_distance
from spectral_keras.corruptions.elastic import _affine, _mirror, _reflect, _sample
from spectral_keras.corruptions.spatter import MUD, WATER, equalize
from spectral_keras.corruptions.streams import generators
from tests.corruptions.pictures import flat, photographs


class TestPixelate:
    @pytest.mark.parametrize(
        ("table", "side", "sizes"),
        [("cifar", 32, [30, 28, 27, 24, 20]), ("imagenet", 224, [134, 112, 89, 67, 56])],
    )
    def test_number_of_pixels(self, table, side, sizes):
        ramp = np.arange(side) * (255 // (side - 1) if side < 256 else 1)
        images = np.broadcast_to(ramp[:, None, None], (1, side, side, 3)[1:]).astype(np.uint8)[None]
        for severity, size in enumerate(sizes, 1):
            result = corrupt(images, "pixelate", severity, table=table)
            assert np.all(result == result[:, :, :1])  # a column of the ramp has one level
            small = Image.fromarray(images[0]).resize((size, size), Image.Resampling.BOX)
            expected = np.asarray(small.resize((side, side), Image.Resampling.BOX))
            np.testing.assert_array_equal(result[0], expected)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_all_at_once_are_pillows_one_by_one(self, channels):
        images = photographs(37, 52, channels)
        for severity in range(1, 6):
            result = corrupt(images, "pixelate", severity)
            share = TABLES["cifar"]["pixelate"][severity - 1]
            small = (int(52 * share), int(37 * share))
            for image, changed in zip(images, result, strict=True):
                picture = Image.fromarray(image[..., 0] if channels == 1 else image)
                picture = picture.resize(small, Image.Resampling.BOX)
                picture = picture.resize((52, 37), Image.Resampling.BOX)
                expected = np.asarray(picture).reshape(image.shape)
                np.testing.assert_array_equal(changed, expected)

    def test_a_half_is_the_mean_of_four_pixels(self):
        images = photographs(30, 44)[:2]
        result = corrupt(images, "pixelate", 2, table="imagenet")
        blocks = images.reshape(2, 15, 2, 22, 2, 3).mean(axis=(2, 4))
        np.testing.assert_allclose(result[:, ::2, 1::2], blocks, atol=1)
        np.testing.assert_array_equal(result[:, ::2], result[:, 1::2])


class TestJpeg:
    @pytest.mark.parametrize(
        ("table", "qualities"), [("cifar", [80, 65, 58, 50, 40]), ("imagenet", [25, 18, 15, 10, 7])]
    )
    def test_qualities(self, table, qualities):
        images = photographs(40, 32)[:2]
        for severity, quality in enumerate(qualities, 1):
            result = corrupt(images, "jpeg_compression", severity, table=table)
            for image, changed in zip(images, result, strict=True):
                file = io.BytesIO()
                Image.fromarray(image).save(file, "JPEG", quality=quality)
                np.testing.assert_array_equal(changed, np.asarray(Image.open(file)))

    def test_grey_is_the_mode_of_one_channel(self):
        images = photographs(32, 40, 1)[:1]
        result = corrupt(images, "jpeg_compression", 3)
        file = io.BytesIO()
        Image.fromarray(images[0, ..., 0]).save(file, "JPEG", quality=58)
        np.testing.assert_array_equal(result[0, ..., 0], np.asarray(Image.open(file)))


class TestElastic:
    @pytest.mark.parametrize("size", [(32, 32), (21, 40)])
    def test_corners_come_from_where_they_were(self, size):
        moves = np.random.default_rng(0).uniform(-3, 3, (5, 3, 2))
        matrix, start = _affine(*size, moves)
        reach = min(size) // 3
        signs = np.array([[1, 1], [-1, 1], [-1, -1]])
        corners = np.array([size[0] // 2, size[1] // 2]) + reach * signs
        for number in range(5):
            back = (corners + moves[number]) @ matrix[number].T + start[number]
            np.testing.assert_allclose(back, corners, atol=1e-9)
        identity, start = _affine(*size, np.zeros((1, 3, 2)))
        np.testing.assert_allclose(identity[0], np.eye(2), atol=1e-12)
        np.testing.assert_allclose(start, 0, atol=1e-12)

    def test_corners_on_a_line_give_no_infinities(self):
        matrix, start = _affine(1, 1, np.zeros((1, 3, 2)))
        assert np.isfinite(matrix).all() and np.isfinite(start).all()

    @pytest.mark.parametrize(("fold", "mode"), [(_mirror, "mirror"), (_reflect, "reflect")])
    @pytest.mark.parametrize("size", [(8, 11), (1, 5), (2, 2)])
    def test_sampling_is_scipys(self, fold, mode, size):
        rng = np.random.default_rng(1)
        images = rng.random((2, 3, *size)).astype(np.float32)  # [C, N, H, W]
        rows, columns = (rng.uniform(-3 * side, 4 * side, (3, *size)) for side in size)
        result = _sample(images, rows, columns, fold)
        for channel in range(2):
            for number in range(3):
                where = [rows[number], columns[number]]
                expected = ndimage.map_coordinates(
                    images[channel, number], where, order=1, mode=mode
                )
                np.testing.assert_allclose(result[channel, number], expected, atol=1e-5)

    @pytest.mark.parametrize("severity", [2, 5])
    def test_each_step_is_scipys(self, severity):
        images = photographs(32, 32, 1)[:2]
        amplitude, sigma, largest = TABLES["cifar"]["elastic_transform"][severity - 1]
        result = corrupt(images, "elastic_transform", severity, 6)
        rngs = generators(6, "elastic_transform", severity, range(2))
        for image, changed, rng in zip(images[..., 0] / 255, result[..., 0], rngs, strict=True):
            matrix, start = _affine(32, 32, rng.uniform(-largest, largest, (1, 3, 2)))
            noise = rng.uniform(-1, 1, (32, 32, 2))
            moved = ndimage.affine_transform(image, matrix[0], start[0], order=1, mode="mirror")
            shifts = [
                amplitude
                * ndimage.gaussian_filter(noise[..., k], sigma, mode="reflect", truncate=3)
                for k in (0, 1)
            ]
            where = np.mgrid[:32, :32] + shifts
            expected = ndimage.map_coordinates(moved, where, order=1, mode="reflect")
            np.testing.assert_allclose(changed + 0.5, 255 * expected, atol=0.51)

    def test_lengths_go_with_the_side(self):
        """Twice the size is the same picture, but for the finer displacement."""
        small, large = photographs(32, 32)[:4], photographs(64, 64)[:4]
        first = corrupt(small, "elastic_transform", 1)
        second = corrupt(large, "elastic_transform", 1)
        halved = second.reshape(4, 32, 2, 32, 2, 3).mean(axis=(2, 4))
        moved = np.abs(first.astype(float) - small).mean()
        assert np.abs(first - halved).mean() < 0.6 * moved


class TestSpatter:
    @pytest.mark.parametrize("severity", [1, 2, 3])
    def test_water_only_adds_its_colour(self, severity):
        added = corrupt(flat(0, 8), "spatter", severity).reshape(8, -1, 3).astype(float)
        amount = TABLES["cifar"]["spatter"][severity - 1][4]
        # The brightest spot of each image has the whole amount of the colour.
        np.testing.assert_allclose(
            added.max(axis=1), np.tile(255 * amount * np.array(WATER), (8, 1)), atol=1
        )
        np.testing.assert_allclose(added[..., 0], added[..., 2] * WATER[0] / WATER[2], atol=1)
        assert np.mean(added == 0) > 0.4

    @pytest.mark.parametrize("severity", [4, 5])
    def test_mud_takes_the_place_of_the_image(self, severity):
        result = corrupt(flat(255, 8), "spatter", severity)
        dirty = (result != 255).any(axis=-1)
        assert 0.005 < dirty.mean() < 0.6
        # m < 0.8 is left out: in the mud at least that share is mud.
        highest = 255 * (0.2 + 0.8 * np.array(MUD))
        assert np.all(result[dirty] <= highest + 1e-6)
        assert np.all(result[dirty] >= np.floor(255 * np.array(MUD)) - 1)

    def test_canny_finds_a_step_once(self):
        images = np.zeros((1, 12, 12), np.uint8)
        images[:, :, 6:] = 200
        edges = canny(images, 50, 150)
        assert edges[0].sum() == 12 and edges[0].any(axis=0).sum() == 1
        np.testing.assert_array_equal(canny(images.swapaxes(1, 2), 50, 150), edges.swapaxes(1, 2))
        assert not canny(np.full_like(images, 9), 50, 150).any()

    def test_canny_keeps_weak_edges_that_join_strong_ones(self):
        images = np.zeros((2, 20, 12), np.uint8)
        images[0, :10, 6:] = 200
        images[0, 10:, 6:] = 25  # a norm of 100, between the thresholds
        images[1, :, 6:] = 25
        edges = canny(images, 50, 150)
        assert edges[0].any(axis=1).all()
        assert not edges[1].any()

    def test_distances_are_the_shortest_ways(self):
        edges = np.zeros((3, 13, 17), bool)
        edges[0, 4, 6] = edges[1, 0, 0] = edges[1, 12, 3] = True
        result = chamfer_distance(edges, 12)
        rows, columns = np.mgrid[:13, :17]

        def way(row, column):
            far = np.maximum(abs(rows - row), abs(columns - column))
            near = np.minimum(abs(rows - row), abs(columns - column))
            # Knight's moves and straight steps, or knight's moves and diagonal ones.
            flat = 2.1969 * near + (far - 2 * near)
            steep = 2.1969 * (far - near) + 1.4 * (2 * near - far)
            return np.minimum(np.where(2 * near <= far, flat, steep), 12)

        np.testing.assert_allclose(result[0], way(4, 6), atol=1e-4)
        np.testing.assert_allclose(result[1], np.minimum(way(0, 0), way(12, 3)), atol=1e-4)
        np.testing.assert_array_equal(result[2], 12)

    def test_equalize_spreads_the_levels(self):
        images = np.array([[[3, 3, 7, 7], [7, 7, 9, 200]], [[5, 5, 5, 5], [5, 5, 5, 5]]], np.uint8)
        result = equalize(images)
        # Above the lowest: 4, 5 and 6 of 6 pixels.
        np.testing.assert_array_equal(result[0], [[0, 0, 170, 170], [170, 170, 212, 255]])
        np.testing.assert_array_equal(result[1], images[1])
