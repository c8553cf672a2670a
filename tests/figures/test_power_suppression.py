"""Power suppression: numbers of the smoke preset, and of CIFAR-10 where it is."""

import functools
import json
import os

import numpy as np
import pytest

from figures import _figure, _test_images, power_suppression
from figures._test_images import decode, encode, read_test_images
from spectral_keras.data import load
from spectral_keras.experiments.command import CommandError
from tests.figures.running import run_here, smoke_results
from tests.models.runs import by_hand

NAMES = ("low", "medium", "high", "high as printed")


def command(capsys, *arguments):
    """(status, last line of stderr) of the command in this process."""
    return run_here(power_suppression.FIGURE, capsys, *arguments)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with what the smoke preset leaves."""
    return smoke_results(power_suppression.FIGURE, tmp_path_factory)


@pytest.fixture(scope="module")
def content(results):
    return json.loads((results / "power_suppression.json").read_text())["content"]


@pytest.fixture(scope="module")
def images():
    return read_test_images(power_suppression.PRESETS["smoke"])[0]


def tabulated(name, s):
    """The mask curves as tables of their corners, nothing shared with the library."""
    corners = {
        "low": ([0, 9, 12], [1, 1, 0]),
        "medium": ([0, 1, 4, 7, 10, 15, 18], [1, 1, 0, 0, 1, 1, 0]),
        "high": ([0, 1, 4, 13, 16], [1, 1, 0, 0, 1]),
        "high as printed": ([0, 1, 4, 13, 16], [2, 2, 1, 1, 0]),
    }
    return np.interp(s, *corners[name])


def mask(name, size):
    frequency = np.fft.fftfreq(size, 1 / size)
    return tabulated(name, np.hypot(frequency[:, None], frequency))


def wave(row, column, amplitude=0.25, size=32):
    y, x = np.mgrid[:size, :size]
    image = 0.5 + amplitude * np.cos(2 * np.pi * (row * y + column * x) / size)
    return image[None, ..., None].astype("float32")


class TestNumbers:
    def test_what_was_measured(self, content, images):
        assert content["data"]["images"] == len(images) == 24
        assert content["data"]["part"] == "test" and content["reference"] == {}
        original = images[power_suppression.PRESETS["smoke"]["picture"]]
        np.testing.assert_allclose(
            decode(content["pictures"]["original"]), original, atol=0.5 / 255 + 1e-6
        )

    @pytest.mark.parametrize("name", NAMES)
    def test_power_and_change_by_the_spectrum(self, content, images, name):
        spectrum = np.fft.fft2(images.astype("float64"), axes=(1, 2))
        power = np.abs(spectrum) ** 2
        measured = content["measured"][name]
        assert measured["alpha"] == [0, 0.25, 0.5, 0.75, 1]
        for index, alpha in enumerate(measured["alpha"]):
            factor = (alpha + (1 - alpha) * mask(name, 32))[..., None]
            change = np.sqrt((power * (factor - 1) ** 2).sum((1, 2, 3)) / power.sum((1, 2, 3)))
            # Without the mean, which a mask may change as well.
            alternating = power.copy()
            alternating[:, 0, 0] = 0
            kept = (alternating * factor**2).sum((1, 2, 3)) / alternating.sum((1, 2, 3))
            assert measured["change"][index] == pytest.approx(change.mean(), abs=2e-6)
            assert measured["change_std"][index] == pytest.approx(change.std(), abs=2e-6)
            assert measured["power"][index] == pytest.approx(kept.mean(), abs=4e-6)
            assert measured["power_std"][index] == pytest.approx(kept.std(), abs=4e-6)

    @pytest.mark.parametrize("name", NAMES)
    def test_change_is_linear_in_alpha_and_nothing_at_one(self, content, name):
        measured = content["measured"][name]
        expected = [(1 - alpha) * measured["change"][0] for alpha in measured["alpha"]]
        np.testing.assert_allclose(measured["change"], expected, atol=3e-6)
        assert measured["change"][-1] < 2e-6
        assert measured["power"][-1] == pytest.approx(1, abs=2e-6)

    @pytest.mark.parametrize(
        ("row", "column", "weights"),
        [
            (3, 4, (1, 0, 0, 1)),
            (6, 8, (2 / 3, 1, 0, 1)),
            (0, 14, (0, 1, 1 / 3, 2 / 3)),
            (0, 2, (1, 2 / 3, 2 / 3, 5 / 3)),
        ],
    )
    def test_a_wave_keeps_the_square_of_its_weight(self, row, column, weights):
        image = wave(row, column)
        for name, weight in zip(NAMES, weights, strict=True):
            for alpha in (0.0, 0.25):
                factor = alpha + (1 - alpha) * weight
                # The mean .5 is kept, but doubled as printed; the wave's mean square is .25^2 / 2.
                mean = (1 - alpha) * 0.5 if name == "high as printed" else 0
                change = np.sqrt(mean**2 + (factor - 1) ** 2 / 32) / np.sqrt(0.25 + 1 / 32)
                power, relative = power_suppression.measure(image, name, alpha)
                assert power[0] == pytest.approx(factor**2, abs=1e-5)
                assert relative[0] == pytest.approx(change, abs=1e-5)

    @pytest.mark.parametrize("value", [0.0, 0.5])
    def test_an_image_of_one_colour_has_no_nan(self, value):
        image = np.full((1, 32, 32, 3), value, "float32")
        power, change = power_suppression.measure(image, "high", 0.0)
        assert power[0] == 1 and change[0] < 1e-6

    def test_mean_weights(self, content):
        weights = content["curves"]["mean_weight"]
        expected = {"low": 0.340, "medium": 0.611, "high": 0.374}
        for name, weight in expected.items():
            assert weights[name] == pytest.approx(weight, abs=5e-4)
        assert weights["high as printed"] == pytest.approx(mask("high as printed", 32).mean())

    @pytest.mark.parametrize("name", NAMES)
    def test_curves_are_drawn_through_every_corner(self, content, name):
        radius = np.array(content["curves"]["radius"])
        assert set(range(23)) <= set(radius) and radius[-1] == pytest.approx(22.6274, abs=1e-4)
        np.testing.assert_allclose(
            content["curves"]["mask"][name], tabulated(name, radius), atol=1e-5
        )

    @pytest.mark.parametrize("name", NAMES)
    def test_pictures(self, content, images, name):
        spectrum = np.fft.fft2(images[0].astype("float64"), axes=(0, 1))
        pictures = content["pictures"][name]
        assert len(pictures) == 4
        for picture, alpha in zip(pictures, (0, 0.25, 0.5, 0.75), strict=True):
            factor = (alpha + (1 - alpha) * mask(name, 32))[..., None]
            expected = np.fft.ifft2(spectrum * factor, axes=(0, 1)).real.clip(0, 1)
            np.testing.assert_allclose(decode(picture), expected, atol=0.5 / 255 + 1e-5)


class TestCommand:
    def test_the_picture_is_drawn_from_the_json_alone(self, results, capsys, monkeypatch):
        picture = results / "power_suppression.png"
        assert not picture.exists()
        monkeypatch.setattr(_test_images, "load", None)
        assert command(capsys, "--results", str(results)) == (0, "")
        assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 50_000

    def test_a_finished_preset_is_not_run_again(self, results, capsys, monkeypatch):
        monkeypatch.setattr(power_suppression, "measure", None)
        monkeypatch.setattr(power_suppression, "read_test_images", None)
        monkeypatch.setattr(_figure, "_draw", lambda *_: None)
        assert command(capsys, "--preset", "smoke", "--results", str(results)) == (0, "")

    def test_an_interrupted_run_continues(self, results, content, tmp_path, capsys, monkeypatch):
        stored = json.loads((results / "power_suppression.json").read_text())
        target = tmp_path / "power_suppression.json"
        half = {"measured": {"low": content["measured"]["low"]}}
        target.write_text(by_hand({**stored, "finished": False, "content": half}))
        status, line = command(capsys, "--results", str(tmp_path))
        assert status == 2 and "--preset smoke continues it" in line
        measure, asked = power_suppression.measure, set()

        def spy(images, name, alpha):
            asked.add(name)
            return measure(images, name, alpha)

        monkeypatch.setattr(power_suppression, "measure", spy)
        monkeypatch.setattr(_figure, "_draw", lambda *_: None)
        assert command(capsys, "--preset", "smoke", "--results", str(tmp_path)) == (0, "")
        assert asked == {"medium", "high", "high as printed"}
        assert json.loads(target.read_text())["content"] == content

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "cannot be read"),
            ("{}", "holds no results of figures.power_suppression"),
            ('{"figure": "power_suppression", "content": {}}', "unfinished (KeyError('data'))"),
            (
                '{"figure": "power_suppression", "content": {"data": {"images": 1, "name": "x"}, '
                '"curves": {"radius": [0, 1], "mask": {"high": [1, 0], "high as printed": [1, 0]}}'
                ', "pictures": {"original": {"pixels": "AA==", "shape": [2, 2, 1]}}}}',
                "unfinished (ValueError(",
            ),
        ],
    )
    def test_a_wrong_json_is_one_line(self, tmp_path, capsys, text, message):
        (tmp_path / "power_suppression.json").write_text(text)
        status, line = command(capsys, "--results", str(tmp_path))
        assert status == 2 and message in line

    def test_missing_data_are_one_line(self, tmp_path):
        settings = {**power_suppression.PRESETS["cpu"], "dataset": str(tmp_path / "no.npz")}
        with pytest.raises(CommandError, match="no.npz"):
            read_test_images(settings)

    def test_a_picture_beyond_the_images_is_one_line(self):
        settings = {**power_suppression.PRESETS["smoke"], "images": 3, "picture": 3}
        with pytest.raises(CommandError, match="test image 3, digits has 3"):
            read_test_images(settings)


def test_pixels_are_kept_to_half_a_level_and_clipped():
    image = np.linspace(-0.2, 1.2, 24).reshape(2, 4, 3)
    np.testing.assert_allclose(decode(encode(image)), image.clip(0, 1), atol=0.5 / 255 + 1e-6)


@functools.cache
def real_images():
    """500 test images of CIFAR-10; skips where it is not prepared."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = os.environ.get("TFDS_DATA_DIR")
    if not tfds.builder("cifar10", data_dir=folder).is_prepared():
        pytest.skip("cifar10 is not prepared")
    images = load("cifar10", data_dir=folder, limit=100, limit_test=500).x_test
    assert images.shape == (500, 32, 32, 3)
    return images / np.float32(255)


def test_real_cifar10():
    """The expected values are of another sample of 500 test images."""
    for name, expected in power_suppression.REFERENCE.items():
        power, change = power_suppression.measure(real_images(), name, 0.0)
        assert power.mean() == pytest.approx(expected["power"], rel=0.04)
        assert change.mean() == pytest.approx(expected["change"], rel=0.06)
