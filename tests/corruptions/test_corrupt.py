"""What all corruptions share."""

import importlib

import numpy as np
import pytest

from spectral_keras.corruptions import TABLES, corrupt, names
from tests.corruptions.pictures import flat, photographs

# The function hides the module of its name.
MODULE = importlib.import_module("spectral_keras.corruptions.corrupt")
ALL = names("all")
# No random numbers: the same image gives the same result.
DETERMINISTIC = {
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
}
SHAPES = [(32, 40, 3), (51, 38, 1)]


def mixed(shape):
    """Three photographs and three images of one level, where divisions by zero would show."""
    levels = [flat(level, 1, *shape) for level in (0, 128, 255)]
    return np.concatenate([photographs(*shape)[:3], *levels])


class TestContract:
    @pytest.mark.parametrize("table", ["cifar", "imagenet"])
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("name", ALL)
    def test_new_uint8_images_whatever_their_order(self, name, shape, table, monkeypatch):
        images = mixed(shape)
        kept = images.copy()
        severity = 1 + (ALL.index(name) + shape[0]) % 5
        whole = corrupt(images, name, severity, 7, table=table)
        assert whole.shape == images.shape and whole.dtype == np.uint8
        np.testing.assert_array_equal(images, kept)
        assert not np.shares_memory(whole, images)
        np.testing.assert_array_equal(corrupt(images, name, severity, 7, table=table), whole)
        order = np.array([4, 0, 2, 5, 3, 1])
        shuffled = corrupt(images[order], name, severity, 7, indices=order, table=table)
        np.testing.assert_array_equal(shuffled, whole[order])
        alone = corrupt(images[2:3], name, severity, 7, indices=[2], table=table)
        np.testing.assert_array_equal(alone[0], whole[2])
        monkeypatch.setattr(MODULE, "_CHUNK", 4 * images[0].size)
        np.testing.assert_array_equal(corrupt(images, name, severity, 7, table=table), whole)

    @pytest.mark.parametrize("name", ALL)
    def test_random_numbers_are_those_of_seed_severity_and_number(self, name):
        images = np.repeat(photographs(32, 32)[1:2], 3, axis=0)
        result = corrupt(images, name, 4)
        others = [corrupt(images, name, 4, 1), corrupt(images, name, 4, indices=[3, 4, 5])]
        if name in DETERMINISTIC:
            assert np.array_equal(result[0], result[1])
            assert all(np.array_equal(result, other) for other in others)
        else:
            assert not np.array_equal(result[0], result[1])
            assert not any(np.array_equal(result, other) for other in others)
        assert not np.array_equal(result, corrupt(images, name, 3))

    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize("shape", [(0, 32, 32, 3), (2, 3, 5, 3), (2, 1, 1, 1), (1, 1, 40, 3)])
    def test_no_image_and_very_small_ones(self, name, shape):
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        for table in ("cifar", "imagenet"):
            assert corrupt(images, name, 5, table=table).shape == shape

    def test_numbers_of_noise_differ_between_corruptions_and_severities(self):
        """The same stream would tie one severity's noise to another's."""
        images = flat(128, 1, 64, 64)
        noises = [
            corrupt(images, *key).astype(float).ravel() - 127.5
            for key in [("gaussian_noise", 1), ("gaussian_noise", 2), ("speckle_noise", 1)]
        ]
        assert np.all(np.abs(np.corrcoef(noises) - np.eye(3)) < 0.05)

    def test_a_table_is_chosen_by_the_size(self):
        for side, table in [(32, "cifar"), (84, "cifar"), (85, "imagenet")]:
            images = photographs(side, 100)[:1]
            expected = corrupt(images, "contrast", 2, table=table)
            np.testing.assert_array_equal(corrupt(images, "contrast", 2), expected)


LEVELS = np.arange(256, dtype=np.uint8)


def flat_level(name, constants, level):
    """The closed form of what an image of one level becomes, in exact arithmetic."""
    if name == "defocus_blur":  # the two largest kernels sum to more than one
        level = level * {8: 1.01297545, 10: 1.01078580}.get(constants[0], 1)
    return np.minimum(np.floor(level), 255)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "name",
    ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur", "contrast"]
    + ["elastic_transform", "pixelate"],
)
def test_a_flat_image_stays(name, table):
    """Not a level lost to the rounding of floats: at every severity, of all 256 levels."""
    images = np.broadcast_to(LEVELS[:, None, None, None], (256, 17, 20, 1))
    for severity, constants in enumerate(TABLES[table][name], 1):
        result = corrupt(images, name, severity, table=table)
        expected = np.broadcast_to(
            flat_level(name, constants, LEVELS.astype(float))[:, None, None, None], images.shape
        )
        np.testing.assert_array_equal(result, expected, err_msg=f"severity {severity}")


@pytest.mark.parametrize("table", TABLES)
def test_snow_whitens_a_flat_image_by_the_closed_form(table):
    images = np.broadcast_to(LEVELS[:, None, None, None], (256, 24, 24, 3))
    for severity in (1, 2):  # without flakes in some pixels
        share = TABLES[table]["snow"][severity - 1][-1]
        level = LEVELS.astype(float)
        white = share * level + (1 - share) * np.maximum(level, 1.5 * level + 127.5)
        result = corrupt(images, "snow", severity, table=table).reshape(256, -1).min(axis=1)
        np.testing.assert_array_equal(result, np.floor(np.minimum(white + 1e-9, 255)))


class TestSeverity:
    """A higher severity is farther from the image, but where the constants say otherwise."""

    # The step from this severity to the next one.
    EXCEPTIONS = {
        # More moves but less blur, or the other way round.
        ("cifar", "glass_blur"): {2, 4},
        ("imagenet", "glass_blur"): {1, 3},
        # (6, 2) and (8, 2): a longer tail that weighs nothing.
        ("cifar", "motion_blur"): {3},
        # The same weight of the texture, a smaller one of the image.
        ("cifar", "frost"): {3},
        ("imagenet", "frost"): {3},
        # The same amount, with finer detail.
        ("imagenet", "fog"): {3},
        # The affine part shrinks while the displacement grows.
        ("cifar", "elastic_transform"): {1, 3, 4},
        ("imagenet", "elastic_transform"): {2, 3},
        # 28 and 27 pixels.
        ("cifar", "pixelate"): {2},
        # Water, then mud.
        ("cifar", "spatter"): {3},
        # Less saturation, then more.
        ("cifar", "saturate"): {2},
        ("imagenet", "saturate"): {2},
    }

    @pytest.mark.parametrize(("side", "table"), [(32, "cifar"), (96, "imagenet")])
    @pytest.mark.parametrize("name", ALL)
    def test_distance_rises(self, name, side, table):
        images = photographs(side, side)
        distances = []
        for severity in range(1, 6):
            change = corrupt(images, name, severity, table=table).astype(float) - images
            distances.append(np.sqrt((change**2).sum(axis=(1, 2, 3))).mean())
        falls = {step for step in range(1, 5) if distances[step] <= distances[step - 1]}
        assert falls <= self.EXCEPTIONS.get((table, name), set()), distances
        assert distances[0] > 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((flat(0)[0], "fog", 1), "`images` must have shape .*Received: images of shape"),
        ((flat(0, channels=2), "fog", 1), "`images` must have shape"),
        ((flat(0, height=0), "fog", 1), "`images` must have shape"),
        ((flat(0) / 255, "fog", 1), "`images` must be uint8 .*Received: images of type float64"),
        ((flat(0), "rain", 1), "`name` must be one of 'gaussian_noise', .*Received: name='rain'"),
        ((flat(0), "fog", 0), "`severity` must be a positive integer. Received: severity=0"),
        ((flat(0), "fog", 6), "`severity` must be one of 1, 2, 3, 4, 5. Received: severity=6"),
        ((flat(0), "fog", 1.0), "`severity` must be"),
        ((flat(0), "fog", 1, -1), "`seed` must be an integer of at least 0. Received: seed=-1"),
        ((flat(0), "fog", 1, None), "`seed` must be"),
    ],
)
def test_bad_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        corrupt(*arguments)


@pytest.mark.parametrize("indices", [[0], [0, 1, 2], [0, -1], [0.0, 1.0], 3])
def test_bad_indices_are_named(indices):
    with pytest.raises(ValueError, match="`indices` must be None or 2 integers .*Received"):
        corrupt(flat(0, 2), "fog", 1, indices=indices)


def test_bad_table_is_named():
    with pytest.raises(ValueError, match="`table` must be one of 'cifar', 'imagenet'. Received"):
        corrupt(flat(0), "fog", 1, table="coco")
