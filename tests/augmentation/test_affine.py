"""Scalings, translations, rotations and resized crops of the Fourier-masks paper."""

import math

import numpy as np
import pytest

from spectral_keras.augmentation import affine
from spectral_keras.augmentation.affine import (
    resize_boxes,
    resized_crop,
    rotation,
    scale,
    transform,
    translation,
)
from spectral_keras.augmentation.image import ATOMS, build_augmentation, flip
from tests.augmentation.contract import AugmentationContract

STEPS = [scale, translation, rotation, resized_crop]


def images(count, height=8, width=10, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    # Nowhere black: what is black in a result came from outside.
    return (0.1 + 0.9 * rng.random((count, height, width, channels))).astype(np.float32)


def nearest(image, angle, right, down, factor):
    """One image, pixel by pixel: each shows the pixel that its centre's origin lies in, or black.

    The forward map of torchvision, p -> c + t + s R (p - c), inverted by NumPy.
    """
    height, width = image.shape[:2]
    turn = math.radians(angle)
    forward = np.eye(3)
    forward[:2, :2] = factor * np.array(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    centre, back = np.eye(3), np.eye(3)
    centre[:2, 2] = width / 2 + right, height / 2 + down
    back[:2, 2] = -width / 2, -height / 2
    inverse = np.linalg.inv(centre @ forward @ back)
    result = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            x, y, _ = np.floor(inverse @ (column + 0.5, row + 0.5, 1)).astype(int)
            if 0 <= x < width and 0 <= y < height:
                result[row, column] = image[y, x]
    return result


def linear(image, top, left, height, width):
    """A box of an image enlarged to its size, pixel by pixel: interpolation of the box alone."""
    box = np.asarray(image[top : top + height, left : left + width], np.float64)
    result = np.empty(image.shape)
    for index in np.ndindex(*image.shape[:2]):
        places, shares = [], []
        for i, size, length in zip(index, box.shape[:2], image.shape[:2], strict=True):
            place = (i + 0.5) * size / length - 0.5
            first = math.floor(place)
            places.append([min(max(k, 0), size - 1) for k in (first, first + 1)])
            shares.append((1 - (place - first), place - first))
        result[index] = sum(
            shares[0][i] * shares[1][j] * box[places[0][i], places[1][j]]
            for i in (0, 1)
            for j in (0, 1)
        )
    return result


class TestContract(AugmentationContract):
    images = staticmethod(images)

    @pytest.fixture(params=STEPS)
    def step(self, request):
        return request.param

    def test_working_in_chunks_changes_nothing(self, step, monkeypatch):
        batch = images(11)
        whole = step(batch, np.random.default_rng(3))
        monkeypatch.setattr(affine, "_CHUNK", 3 * 8 * 10)
        np.testing.assert_array_equal(step(batch, np.random.default_rng(3)), whole)

    def test_images_of_a_batch_are_drawn_independently(self, step):
        batch = np.repeat(images(1, 32, 32), 64, axis=0)
        result = step(batch, np.random.default_rng(0)).reshape(64, -1)
        assert len(np.unique(result, axis=0)) > 40  # near factors may do the same

    @pytest.mark.parametrize(
        ("step", "arguments", "name"),
        [
            (scale, {"low": 0}, "low"),
            (scale, {"low": 1.2, "high": 1.1}, "high"),
            (translation, {"fraction": 1.5}, "fraction"),
            (rotation, {"degrees": 181}, "degrees"),
            (rotation, {"degrees": float("nan")}, "degrees"),
            (resized_crop, {"area": (0, 1)}, "area"),
            (resized_crop, {"area": (0.5, 1.1)}, "area"),
            (resized_crop, {"ratio": (2, 1)}, "ratio"),
            (resized_crop, {"ratio": 0.5}, "ratio"),
            (scale, {"out": np.zeros((2, 8, 10, 1), np.float32)}, "out"),
        ],
    )
    def test_bad_arguments_are_named(self, step, arguments, name):
        with pytest.raises(ValueError, match=f"`{name}`.*Received"):
            step(images(2), np.random.default_rng(0), **arguments)

    @pytest.mark.parametrize(
        "arguments", [{"scale": 0}, {"scale": [1, math.inf]}, {"angle": math.nan}]
    )
    def test_bad_transforms_are_named(self, arguments):
        with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be finite.*Received"):
            transform(images(2), **arguments)

    @pytest.mark.parametrize("box", [(-1, 0, 4, 4), (0, 0, 9, 4), (0, 7, 4, 4), (0, 0, 4, 0)])
    def test_boxes_outside_are_refused(self, box):
        with pytest.raises(ValueError, match="within the images. Received"):
            resize_boxes(images(2), *box)

    def test_bad_images_are_named(self, step):
        with pytest.raises(ValueError, match="`images` must"):
            step(np.zeros((2, 4, 4, 3), np.int32), np.random.default_rng(0))


class TestTransform:
    @pytest.mark.parametrize("shape", [(9, 9, 3), (8, 11, 1), (12, 7, 3)])
    def test_equals_one_pixel_at_a_time(self, shape):
        rng = np.random.default_rng(0)
        batch = images(6, *shape)
        angle, factor = rng.uniform(-180, 180, 6), rng.uniform(0.5, 1.5, 6)
        right, down = rng.uniform(-3, 3, (2, 6))
        result = transform(batch, angle, (right, down), factor)
        expected = [nearest(*each) for each in zip(batch, angle, right, down, factor, strict=True)]
        np.testing.assert_array_equal(result, expected)
        for number in range(6):  # and each image alone
            alone = transform(
                batch[number : number + 1], angle[number], (right[number], down[number]),
                factor[number],
            )  # fmt: skip
            np.testing.assert_array_equal(alone[0], result[number])

    @pytest.mark.parametrize("shape", [(9, 9, 3), (8, 11, 1)])
    def test_identity(self, shape):
        batch = images(3, *shape)
        np.testing.assert_array_equal(transform(batch), batch)
        np.testing.assert_array_equal(transform(batch, angle=360), batch)

    @pytest.mark.parametrize("side", [8, 9])
    def test_quarter_turns_are_exact_and_clockwise(self, side):
        batch = images(4, side, side)
        result = transform(batch, angle=[90, 180, -90, -180])
        for number, turns in enumerate((-1, 2, 1, 2)):  # rot90 turns against the clock
            np.testing.assert_array_equal(result[number], np.rot90(batch[number], turns))

    def test_half_turn_of_an_oblong_image(self):
        batch = images(2, 7, 10, 1)
        np.testing.assert_array_equal(transform(batch, angle=180), batch[:, ::-1, ::-1])

    def test_quarter_turn_of_an_oblong_image_cuts_it(self):
        batch = images(1, 4, 8)
        expected = np.zeros_like(batch)
        expected[0, :, 2:6] = np.rot90(batch[0], -1)[2:6]
        np.testing.assert_array_equal(transform(batch, angle=90), expected)

    def test_whole_pixels(self):
        batch = images(3, 6, 5)
        result = transform(batch, translation=([2, -1, 5], [0, 3, 0]))
        expected = np.zeros_like(batch)
        expected[0, :, 2:] = batch[0, :, :-2]
        expected[1, 3:, :-1] = batch[1, :-3, 1:]
        np.testing.assert_array_equal(result, expected)

    def test_half_and_double_size(self):
        batch = images(2, 9, 13)
        # Odd sides: pixel centres meet pixel centres.
        small = np.zeros_like(batch)
        small[:, 2:7, 3:10] = batch[:, ::2, ::2]
        np.testing.assert_array_equal(transform(batch, scale=0.5), small)
        batch = images(2, 8, 12)
        large = batch[:, 2:6, 3:9].repeat(2, axis=1).repeat(2, axis=2)
        np.testing.assert_array_equal(transform(batch, scale=2), large)

    def test_scipy_agrees(self):
        ndimage = pytest.importorskip("scipy.ndimage")
        rng = np.random.default_rng(1)
        batch = images(5, 16, 21, 1)
        angle, factor = rng.uniform(-180, 180, 5), rng.uniform(0.5, 1.5, 5)
        result = transform(batch, angle, (2, -3), factor)
        centre = np.array([7.5, 10])
        for number, (turn, s) in enumerate(zip(np.radians(angle), factor, strict=True)):
            # (row, column) have the transposed matrix of (column, row).
            inverse = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / s
            expected = ndimage.affine_transform(
                np.pad(batch[number, :, :, 0], 1),
                inverse,
                # One pixel of black all around, as SciPy's borders go through pixel centres.
                centre - inverse @ (centre + (-3, 2)) + 1,
                (16, 21),
                order=0,
            )
            np.testing.assert_array_equal(result[number, :, :, 0], expected)

    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_pillow_agrees(self, mode):
        # What torchvision calls; with coefficients in 1/65536, so pixels near an edge may differ.
        image = pytest.importorskip("PIL.Image")
        rng = np.random.default_rng(2)
        batch = rng.integers(1, 256, (8, 32, 40, 1 if mode == "L" else 3), dtype=np.uint8)
        angle, factor = rng.uniform(-180, 180, 8), rng.uniform(0.5, 1.5, 8)
        shift = rng.integers(-9, 10, (2, 8))
        result = np.round(255 * transform(batch, angle, shift, factor)).astype(int)
        different = 0
        for number in range(8):
            # torchvision.transforms.functional._get_inverse_affine_matrix without shear.
            turn = math.radians(angle[number])
            a, b = math.cos(turn) / factor[number], math.sin(turn) / factor[number]
            x, y = -20 - shift[0, number], -16 - shift[1, number]
            matrix = (a, b, a * x + b * y + 20, -b, a, a * y - b * x + 16)
            picture = image.fromarray(batch[number].squeeze(), mode=None)
            moved = picture.transform((40, 32), image.Transform.AFFINE, matrix, fillcolor=0)
            moved = np.asarray(moved, int).reshape(batch.shape[1:])
            different += np.any(moved != result[number], axis=-1).sum()
        assert different < 0.002 * 8 * 32 * 40


class TestResizedBoxes:
    @pytest.mark.parametrize("shape", [(9, 9, 3), (8, 11, 1), (12, 7, 3)])
    def test_equals_one_pixel_at_a_time(self, shape):
        batch = images(5, *shape)
        height, width = shape[:2]
        tops, lefts = np.array([0, 1, 3, 0, 7]), np.array([0, 2, 0, 4, 6])
        heights, widths = np.array([height, 3, 2, 6, 1]), np.array([width, 5, 1, 2, 1])
        result = resize_boxes(batch, tops, lefts, heights, widths)
        for number, box in enumerate(zip(tops, lefts, heights, widths, strict=True)):
            np.testing.assert_allclose(result[number], linear(batch[number], *box), atol=3e-7)

    def test_whole_image_and_one_pixel(self):
        batch = images(2, 8, 11)
        np.testing.assert_array_equal(resize_boxes(batch, 0, 0, 8, 11), batch)
        one = resize_boxes(batch, 5, 3, 1, 1)
        np.testing.assert_array_equal(one, np.broadcast_to(batch[:, 5:6, 3:4], batch.shape))

    def test_pillow_agrees(self):
        # Enlarging, Pillow's resize and torchvision's with or without antialias are the same.
        image = pytest.importorskip("PIL.Image")
        batch = images(1, 16, 20, 1)
        result = resize_boxes(batch, 3, 4, 7, 11)
        box = image.fromarray(batch[0, 3:10, 4:15, 0])
        expected = np.asarray(box.resize((20, 16), image.Resampling.BILINEAR))
        np.testing.assert_allclose(result[0, :, :, 0], expected, atol=1e-6)


class TestDraws:
    """The distributions, read off coordinates: an image of columns and one of rows."""

    def ramps(self, count, height, width):
        x = np.broadcast_to((np.arange(width) + 0.5) / width, (count, height, width))
        y = np.broadcast_to((np.arange(height)[:, None] + 0.5) / height, (count, height, width))
        return np.stack([x, y], axis=-1).astype(np.float32)

    def test_factors_and_angles_are_uniform(self, monkeypatch):
        seen = {}
        monkeypatch.setattr(affine, "transform", lambda images, **others: seen.update(others))
        scale(images(4000, 1, 1), np.random.default_rng(0))
        assert_uniform(seen["scale"], 0.5, 1.5)
        rotation(images(4000, 1, 1), np.random.default_rng(0))
        assert_uniform(seen["angle"], -180, 180)
        rotation(images(4000, 1, 1), np.random.default_rng(0), degrees=30)
        assert_uniform(seen["angle"], -30, 30)

    def test_steps_are_transforms(self):
        batch = images(5, 12, 12)
        draw = np.random.default_rng(7).uniform(0.5, 1.5, 5)
        np.testing.assert_array_equal(
            scale(batch, np.random.default_rng(7)), transform(batch, scale=draw)
        )
        draw = np.random.default_rng(7).uniform(-180, 180, 5)
        np.testing.assert_array_equal(
            rotation(batch, np.random.default_rng(7)), transform(batch, angle=draw)
        )

    def test_translation_is_uniform_over_whole_pixels(self):
        batch = np.zeros((4000, 21, 31, 1), np.float32)
        batch[:, 10, 15] = 1
        moved = translation(batch, np.random.default_rng(0))
        number, rows, columns, _ = np.nonzero(moved)
        assert np.array_equal(number, np.arange(4000))
        # U(-8.4, 8.4) and U(-12.4, 12.4), rounded: the outermost shifts are rarer.
        for shifts, farthest in ((rows - 10, 8.4), (columns - 15, 12.4)):
            values, counts = np.unique(shifts, return_counts=True)
            assert list(values) == list(range(-int(farthest), int(farthest) + 1))
            ends = np.clip([values - 0.5, values + 0.5], -farthest, farthest)
            share = (ends[1] - ends[0]) / (2 * farthest)
            deviation = np.sqrt(4000 * share * (1 - share))
            assert np.all(np.abs(counts - 4000 * share) < 4.5 * deviation)
        assert abs(np.corrcoef(rows, columns)[0, 1]) < 4 / np.sqrt(4000)

    def test_resized_crop_draws_torchvisions_boxes(self):
        count, side = 800, 64
        boxes = self.boxes(resized_crop, self.ramps(count, side, side))
        area = boxes["height"] * boxes["width"] / side**2
        assert 0.07 < area.min() < 0.09 and 0.95 < area.max() <= 1
        ratio = boxes["width"] / boxes["height"]
        # Sides are rounded to pixels: one of a box of 0.08 has about 16.
        assert 0.7 < ratio.min() < 0.78 and 1.28 < ratio.max() < 1.43
        # Boxes of the middle sizes all fit, at any place and any ratio.
        middle = (area > 0.2) & (area < 0.5)
        assert abs(np.log(ratio[middle]).mean()) < 4 * 0.17 / np.sqrt(middle.sum())
        room = side - boxes["width"][middle]
        place = boxes["left"][middle] / room
        assert abs(place.mean() - 0.5) < 4 * 0.3 / np.sqrt(middle.sum())
        assert place.min() == 0 and place.max() == 1
        # Large boxes are rejected more often, so that small ones are more than half.
        share = self.torchvision_share(side, 0.5)
        assert abs((area < 0.5).mean() - share) < 4 * 0.5 / np.sqrt(count)

    def torchvision_share(self, side, below):
        """Share of boxes below an area: as torchvision has it, the first of ten tries that fits."""
        rng = np.random.default_rng(1)
        area = side**2 * rng.uniform(0.08, 1, (20000, 10))
        ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), area.shape))
        width, height = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fits = (width > 0) & (width <= side) & (height > 0) & (height <= side)
        first = np.take_along_axis(width * height, fits.argmax(axis=1)[:, np.newaxis], axis=1)
        return np.mean(np.where(fits.any(axis=1), first[:, 0], side**2) / side**2 < below)

    def boxes(self, step, ramps, **arguments):
        """The integer boxes behind results of coordinates: first and last values show the sides."""
        count, height, width, _ = ramps.shape
        result = np.float64(step(ramps, np.random.default_rng(0), **arguments))
        found = {}
        for axis, (length, start, size) in enumerate(
            ((width, "left", "width"), (height, "top", "height"))
        ):
            values = result[..., axis].max(axis=1 + axis)  # constant along the other axis
            found[start] = np.round(values.min(axis=1) * length - 0.5)
            found[size] = np.round((np.ptp(values, axis=1)) * length) + 1
        return found

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            # Wider than 4:3, narrower than 3:4, and between: the centre of the image.
            ((12, 40), {"top": 0, "left": 12, "height": 12, "width": 16}),
            ((40, 12), {"top": 12, "left": 0, "height": 16, "width": 12}),
            ((12, 14), {"top": 0, "left": 0, "height": 12, "width": 14}),
        ],
    )
    def test_boxes_that_never_fit(self, shape, expected, monkeypatch):
        monkeypatch.setattr(affine, "ATTEMPTS", 1)
        # Ratios of 4:3 at most, in a single draw of the whole area.
        seen = self.boxes(resized_crop, self.ramps(500, *shape), area=(1, 1))
        fallback = np.ones(500, bool)
        for name, value in expected.items():
            fallback &= seen[name] == value
        assert fallback.mean() > 0.4
        if shape != (12, 14):
            assert fallback.all()


def assert_uniform(sample, low, high):
    """Kolmogorov-Smirnov: the largest distance of the two distributions, at 0.1 %."""
    places = (np.sort(sample) - low) / (high - low)
    steps = np.arange(len(sample) + 1) / len(sample)
    distance = max(np.max(steps[1:] - places), np.max(places - steps[:-1]))
    assert places[0] >= 0 and places[-1] <= 1 and distance < 1.95 / np.sqrt(len(sample))


def test_names():
    names = {"scale": scale, "translation": translation, "rotation": rotation}
    assert {name: ATOMS[name] for name in names} == names
    batch = images(6, 12, 12)
    for name, steps in [
        ("resized_crop,flip,scale", [resized_crop, flip, scale]),
        ("resized_crop_flip,rotation", [resized_crop, flip, rotation]),
        ("translation", [translation]),
    ]:
        expected, rng = batch, np.random.default_rng(9)
        for step in steps:
            expected = step(expected, rng)
        result = build_augmentation(name)(batch, np.random.default_rng(9))
        np.testing.assert_array_equal(result, expected)
