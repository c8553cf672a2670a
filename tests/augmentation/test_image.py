import colorsys

import numpy as np
import pytest

from spectral_keras.augmentation import image
from spectral_keras.augmentation.image import (
    adjust_hsv,
    alternating_flip,
    build_augmentation,
    crop,
    cutout,
    flip,
    hsv,
    mirror_crop,
    reflect_crop,
    translate,
)
from tests.augmentation.contract import AugmentationContract

STEPS = [crop, mirror_crop, reflect_crop, translate, flip, alternating_flip, hsv, cutout]


def images(count, height=8, width=10, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((count, height, width, channels)).astype(np.float32)


class TestContract(AugmentationContract):
    images = staticmethod(images)

    @pytest.fixture(params=STEPS)
    def step(self, request):
        return request.param

    @pytest.mark.parametrize(
        "out",
        [
            np.zeros((2, 8, 10, 1), np.float32),
            np.zeros((2, 8, 10, 3)),
            np.zeros((8, 2, 10, 3), np.float32).swapaxes(0, 1),
        ],
    )
    def test_bad_out_is_named(self, out):
        with pytest.raises(ValueError, match="`out` must be .*Received: out"):
            flip(images(2), np.random.default_rng(0), out=out)

    def test_working_in_chunks_changes_nothing(self, step, monkeypatch):
        batch = images(11)
        whole = step(batch, np.random.default_rng(3))
        monkeypatch.setattr(image, "_CHUNK", 3 * batch[0].size)
        np.testing.assert_array_equal(step(batch, np.random.default_rng(3)), whole)

    def test_images_of_a_batch_are_drawn_independently(self, step):
        batch = np.repeat(images(1), 64, axis=0)
        result = step(batch, np.random.default_rng(0))
        assert len(np.unique(result.reshape(64, -1), axis=0)) > 1

    @pytest.mark.parametrize(
        ("step", "arguments"),
        [
            (crop, {"padding": -1}),
            (crop, {"padding": 1.5}),
            (mirror_crop, {"padding": -1}),
            (translate, {"fraction": 1.0}),
            (flip, {"probability": 1.5}),
            (hsv, {"hue": 0.6}),
            (hsv, {"saturation": 1.1}),
            (hsv, {"value": float("nan")}),
            (cutout, {"fraction": -0.1}),
        ],
    )
    def test_bad_arguments_are_named(self, step, arguments):
        with pytest.raises(ValueError, match=f"`{next(iter(arguments))}`.*Received"):
            step(images(2), np.random.default_rng(0), **arguments)

    @pytest.mark.parametrize(
        "bad", [np.zeros((4, 4, 3)), np.zeros((1, 4, 4, 3), np.int32), np.zeros((1, 4, 4, 3), bool)]
    )
    def test_bad_images_are_named(self, bad):
        with pytest.raises(ValueError, match="`images` must"):
            flip(bad, np.random.default_rng(0))


class TestCorrectness:
    def test_crop_cuts_every_window_of_the_padded_image(self):
        batch = images(400, 5, 4)
        padded = np.pad(batch, ((0, 0), (2, 2), (2, 2), (0, 0)))
        seen = set()
        for number, window in enumerate(crop(batch, np.random.default_rng(0), padding=2)):
            found = [
                (row, column)
                for row in range(5)
                for column in range(5)
                if np.array_equal(padded[number, row : row + 5, column : column + 4], window)
            ]
            assert len(found) == 1
            seen.add(found[0])
        assert len(seen) == 25

    @pytest.mark.parametrize(("shape", "padding"), [((5, 6), 2), ((2, 3), 1)])
    def test_reflect_crop_cuts_every_window_of_the_reflected_image(self, shape, padding):
        batch = images(400, *shape)
        padded = np.pad(batch, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)), "reflect")
        offsets = range(2 * padding + 1)
        seen = set()
        for whole, window in zip(
            padded, reflect_crop(batch, np.random.default_rng(0)), strict=True
        ):
            windows = {
                (i, j): whole[i : i + shape[0], j : j + shape[1]] for i in offsets for j in offsets
            }
            seen |= {place for place, each in windows.items() if np.array_equal(each, window)}
        assert seen == set(windows)

    def test_alternating_flip_mirrors_each_image_in_every_other_epoch(self):
        batch, rng = images(1000, 2, 3), np.random.default_rng(0)
        numbers = np.random.default_rng(1).permutation(5000)[:1000]
        mirrored = []
        for epoch in range(4):
            result = alternating_flip(batch, rng, which=(7, epoch, numbers))
            chosen = (result == batch[:, :, ::-1]).all(axis=(1, 2, 3))
            np.testing.assert_array_equal(result[~chosen], batch[~chosen])
            mirrored.append(chosen)
        np.testing.assert_array_equal(mirrored[0], mirrored[2])
        np.testing.assert_array_equal(mirrored[1], ~mirrored[0])
        np.testing.assert_array_equal(mirrored[3], mirrored[1])
        assert 430 < mirrored[0].sum() < 570
        # A matter of the image and the seed, not of its place in a batch.
        part = alternating_flip(batch[10:20], rng, which=(7, 0, numbers[10:20]))
        np.testing.assert_array_equal(
            part, alternating_flip(batch, rng, which=(7, 0, numbers))[10:20]
        )
        assert not np.array_equal(
            alternating_flip(batch, rng, which=(8, 0, numbers))[:50], part[:50]
        )

    def test_translation_reflects_and_stays_within_its_limit(self):
        batch = images(100, 10, 20)
        rows, columns = set(), set()
        for number, moved in enumerate(translate(batch, np.random.default_rng(0), fraction=0.1)):
            found = [
                (row, column)
                for row in range(-2, 3)
                for column in range(-3, 4)
                if np.array_equal(
                    batch[number][_reflected(10, row)][:, _reflected(20, column)], moved
                )
            ]
            assert len(found) == 1
            rows.add(found[0][0])
            columns.add(found[0][1])
        assert rows == {-1, 0, 1}
        assert columns == {-2, -1, 0, 1, 2}

    def test_flip_mirrors_half_of_the_images(self):
        batch = images(1000, 2, 3)
        result = flip(batch, np.random.default_rng(0))
        mirrored = np.array(
            [np.array_equal(a, b[:, ::-1]) for a, b in zip(result, batch, strict=True)]
        )
        same = np.array([np.array_equal(a, b) for a, b in zip(result, batch, strict=True)])
        assert np.all(mirrored ^ same)
        assert 430 < mirrored.sum() < 570  # 4.4 standard deviations

    @pytest.mark.parametrize(
        ("hue", "saturation", "value"),
        [(0, 1, 1), (0.05, 1.2, 1.2), (-0.05, 0.8, 0.8), (0.5, 0, 1), (-0.3, 3, 0.5)],
    )
    def test_hsv_equals_colorsys(self, hue, saturation, value):
        batch = images(1, 20, 25, seed=7)
        batch[0, :8] = np.round(batch[0, :8] * 2) / 2  # ties, greys, black, white, pure colours
        batch[0, 8, :4] = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]]
        hue, saturation, value = (float(np.float32(each)) for each in (hue, saturation, value))
        expected = np.empty(batch.shape, np.float64)
        for index in np.ndindex(batch.shape[:3]):
            h, s, v = colorsys.rgb_to_hsv(*(float(channel) for channel in batch[index]))
            expected[index] = colorsys.hsv_to_rgb(
                (h + hue) % 1, min(1, s * saturation), min(1, v * value)
            )
        np.testing.assert_allclose(
            adjust_hsv(batch, hue, saturation, value), expected, rtol=0, atol=1e-6
        )

    def test_hsv_of_a_batch_equals_one_image_at_a_time(self):
        batch = images(7)
        hue, factor = np.linspace(-0.1, 0.1, 7), np.linspace(0.5, 1.5, 7)
        whole = adjust_hsv(batch, hue, factor, factor[::-1])
        for number in range(7):
            alone = adjust_hsv(
                batch[number : number + 1], hue[number], factor[number], factor[6 - number]
            )
            np.testing.assert_array_equal(whole[number], alone[0])

    def test_hsv_scales_only_the_value_of_grey_images(self):
        batch = images(50, 3, 3, 1) * 0.5 + 0.1
        ratio = hsv(batch, np.random.default_rng(0)) / batch
        factors = ratio[:, 0, 0, 0]
        same = np.broadcast_to(factors[:, None, None, None], ratio.shape)
        np.testing.assert_allclose(ratio, same, rtol=1e-6)
        assert 0.8 <= factors.min() < 0.85 and 1.15 < factors.max() <= 1.2
        rgb = np.repeat(batch, 3, axis=-1)  # grey in RGB stays grey
        colored, grey = (hsv(each, np.random.default_rng(0)) for each in (rgb, batch))
        np.testing.assert_allclose(colored, np.broadcast_to(grey, rgb.shape), atol=1e-6)

    def test_cutout_paints_one_square_and_nothing_else(self):
        batch = images(500, 9, 12)
        result = cutout(batch, np.random.default_rng(0), fraction=1 / 3)
        areas = set()
        for before, after in zip(batch, result, strict=True):
            changed = np.any(before != after, axis=-1)
            rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
            assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            assert np.all(after[changed] == 0.5)
            areas.add((len(rows), len(columns)))
        # The side is 3; a centre on the border leaves 2.
        assert areas == {(3, 3), (2, 3), (3, 2), (2, 2)}

    @pytest.mark.parametrize(("height", "width"), [(9, 12), (3, 2)])
    def test_mirror_crop_repeats_the_border(self, height, width):
        """Each result is a window of the image continued by ..., 1, 0, 0, 1, ..."""
        batch = images(40, height, width)
        rows, columns = np.arange(-4, height + 4), np.arange(-4, width + 4)

        def mirrored(index, size):
            index = index % (2 * size)
            return np.minimum(index, 2 * size - 1 - index)

        whole = batch[:, mirrored(rows, height)][:, :, mirrored(columns, width)]
        result = mirror_crop(batch, np.random.default_rng(0))
        found = set()
        for before, after in zip(whole, result, strict=True):
            for top in range(9):
                for left in range(9):
                    if np.array_equal(before[top : top + height, left : left + width], after):
                        found.add((top, left))
                        break
                else:
                    continue
                break
            else:
                raise AssertionError("no window of the continued image")
        assert len(found) > 10

    def test_presets_are_their_steps(self):
        batch = images(6, 12, 12)
        for name, steps in [
            ("crop_flip", [crop, flip]),
            ("mirror_crop_flip", [mirror_crop, flip]),
            ("report", [translate, flip, hsv]),
            ("crop, cutout", [crop, cutout]),
            (["report", "cutout"], [translate, flip, hsv, cutout]),
        ]:
            expected, rng = batch, np.random.default_rng(9)
            for step in steps:
                expected = step(expected, rng)
            result = build_augmentation(name)(batch, np.random.default_rng(9))
            np.testing.assert_array_equal(result, expected)

    def test_none_is_none(self):
        assert build_augmentation("none") is None
        assert build_augmentation([]) is None

    @pytest.mark.parametrize("bad", ["", "flop", "crop,,flip", "crop;flip", None, 3, [flip]])
    def test_unknown_names_are_refused(self, bad):
        with pytest.raises(ValueError, match="`name` must be one or more of 'none'.*Received"):
            build_augmentation(bad)


def _reflected(size, shift):
    """Indices of a row moved by `shift`, reflected at its first and last pixel."""
    index = np.abs(np.arange(size) + shift)
    return np.minimum(index, 2 * (size - 1) - index)
