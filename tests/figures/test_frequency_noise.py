"""Noise in the frequency domain: numbers of the smoke preset, and of CIFAR-10 where it is."""

import json
import math

import numpy as np
import pytest

from figures import _figure, _test_images, frequency_noise
from figures._test_images import decode, read_test_images
from tests.figures.running import run_here, smoke_results
from tests.figures.test_power_suppression import real_images
from tests.models.runs import by_hand

SMOKE = frequency_noise.PRESETS["smoke"]


def command(capsys, *arguments):
    """(status, last line of stderr) of the command in this process."""
    return run_here(frequency_noise.FIGURE, capsys, *arguments)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with what the smoke preset leaves."""
    return smoke_results(frequency_noise.FIGURE, tmp_path_factory)


@pytest.fixture(scope="module")
def content(results):
    return json.loads((results / "frequency_noise.json").read_text())["content"]


@pytest.fixture(scope="module")
def images():
    """Padded, as the preset's."""
    return np.pad(read_test_images(SMOKE)[0], ((0, 0), (4, 4), (4, 4), (0, 0)))


def phi(magnitude):
    """Phi(-m), slowly."""
    return np.vectorize(lambda m: math.erfc(m / math.sqrt(2)) / 2)(magnitude)


def band_masks(size=40):
    """The five masks as tables of their corners, nothing shared with the library."""
    frequency = np.fft.fftfreq(size, 1 / size)
    s = np.hypot(frequency[:, None], frequency)
    ends = [(0, 9), (10, 13), (14, 17), (18, 20), (21, 29)]
    return [np.interp(s, [a - 1, a, b, b + 1], [0, 1, 1, 0]) for a, b in ends]


class TestBands:
    def test_coverage_degrees(self, content):
        bands = content["bands"]
        expected = {
            "coverage": [0.1831, 0.1798, 0.2297, 0.2102, 0.1973],
            "coverage_41": [0.1750, 0.1718, 0.2195, 0.2021, 0.2315],
            "coverage_32": [0.2753, 0.2703, 0.3216, 0.1110, 0.0218],
            "coefficients": [0.177, 0.181, 0.244, 0.213, 0.185],
        }
        for name, values in expected.items():
            assert bands[name] == pytest.approx(
                values, abs=1e-3 if name == "coefficients" else 6e-5
            )
            assert sum(bands[name]) == pytest.approx(1, abs=1e-5)

    def test_shares_of_the_power(self, content, images):
        power = (np.abs(np.fft.fft2(images, axes=(1, 2))) ** 2).sum((0, 3))
        with_mean = [(mask * power).sum() / power.sum() for mask in band_masks()]
        assert content["bands"]["power_with_mean"] == pytest.approx(with_mean, abs=1e-5)
        power[0, 0] = 0
        without = [(mask * power).sum() / power.sum() for mask in band_masks()]
        assert content["bands"]["power"] == pytest.approx(without, abs=1e-5)


class TestDeviation:
    def test_closed_forms(self, content):
        table = content["deviation"]
        for band, mask in enumerate(band_masks()):
            expected = math.sqrt(mask.sum()) / 1600
            assert table[str(band)]["closed_form"] == pytest.approx(expected, abs=1e-7)
        assert table["all"]["closed_form"] == 0.025
        # 1/sqrt(2) of it, but for four frequencies without a partner.
        independent = table["all, independent R"]["closed_form"]
        assert independent == pytest.approx(0.025 / math.sqrt(2), rel=2e-3)
        assert independent == pytest.approx(0.025 * math.sqrt((1600 + 4) / 3200), abs=1e-7)

    def test_measured(self, content, images):
        # n coefficients, half of them free: relative error about 1/sqrt(n) of a deviation.
        table = content["deviation"]
        for name, row in table.items():
            share = content["bands"]["coefficients"][int(name)] if name.isdigit() else 1
            error = 4 / math.sqrt(share * images.size)
            assert row["measured"] == pytest.approx(row["closed_form"], rel=error), name

    def test_clipped_noise_by_a_sum(self, content, images):
        magnitude = np.abs(np.fft.fft2(images[:4].astype("float64"), axes=(1, 2)))
        r = np.linspace(-9, 9, 3601)
        weight = np.exp(-(r**2) / 2) / math.sqrt(2 * math.pi) * (r[1] - r[0])
        squares = np.array([(np.maximum(r, -m) ** 2 * weight).sum() for m in magnitude.ravel()])
        expected = math.sqrt(squares.mean() / 1600)
        assert frequency_noise.expected_clipped(images[:4], 1.0) == pytest.approx(
            expected, rel=1e-4
        )
        table = content["deviation"]
        assert table["all, keep_phase"]["closed_form"] < table["all"]["closed_form"]

    def test_sigma_is_a_variance(self, images):
        alpha_r = frequency_noise.exposed([0, 1, 2, 3, 4])
        one = frequency_noise.deviation(images[:8], 1.0, alpha_r)
        assert frequency_noise.deviation(images[:8], 4.0, alpha_r) == pytest.approx(2 * one)
        assert frequency_noise.deviation(images[:8], 3.0, [1.0] * 5) == 0

    def test_batches_have_noise_of_their_own(self, images, monkeypatch):
        seeds = []

        def noisy(batch, sigma, alpha_r, *, seed):
            seeds.append((seed, len(batch)))
            return batch + 0.5

        monkeypatch.setattr(frequency_noise, "noisy", noisy)
        many = np.concatenate([images] * 11)
        assert frequency_noise.deviation(many, 1.0, [0.0] * 5) == pytest.approx(0.5)
        assert seeds == [(0, 500), (1, 28)]


class TestTurns:
    def test_rows(self, content):
        rows = [(row["size"], row["sigma"]) for row in content["turned"]]
        assert rows == [([32, 32], 3), ([32, 32], 1), ([40, 40], 3), ([40, 40], 1)]

    def test_expected_by_the_error_function(self, content, images):
        bare = images[:, 4:-4, 4:-4]
        for row in content["turned"]:
            some = bare if row["size"] == [32, 32] else images
            magnitude = np.abs(np.fft.fft2(some.astype("float64"), axes=(1, 2)))
            there = magnitude > 1e-9
            turned = np.where(there, phi(magnitude / math.sqrt(row["sigma"])), 0)
            assert row["expected"] == pytest.approx(turned.sum() / there.sum(), abs=2e-6)
            shares = turned.sum((1, 2, 3)) / there.sum((1, 2, 3))
            half = 2.011740514 * shares.std(ddof=1) / math.sqrt(48)
            ends = shares.mean() + np.array([-half, half])
            np.testing.assert_allclose(row["expected_interval"], ends, atol=2e-6)

    def test_measured(self, content, images):
        for row in content["turned"]:
            share = row["expected"]
            count = len(images) * math.prod(row["size"]) / 2  # a pair shares its number
            error = 4 * math.sqrt(share * (1 - share) / count)
            assert 0.05 < share < 0.5
            assert row["turned"] == pytest.approx(share, abs=error)

    def test_none_turns_with_the_phase_kept(self, content):
        for row in content["turned"]:
            assert row["turned_keep_phase"] == 0
            # The same numbers are sampled, and what would turn becomes 0.
            assert row["vanished_keep_phase"] == pytest.approx(row["turned"], abs=1e-6)

    def test_a_delta_in_numbers(self):
        """|F| = 1 everywhere: Phi(-1) = 15.87 % turn at sigma = 1."""
        image = np.zeros((64, 8, 8, 1), "float32")
        image[:, 0, 0] = 1
        expected = 0.15865525
        found, ends = frequency_noise.expected_turned(image, 1.0)
        assert found == pytest.approx(expected, abs=1e-6)
        assert ends == pytest.approx([expected] * 2, abs=1e-6)
        turns, vanishes = frequency_noise.measure_turns(image, 1.0, keep_phase=False)
        assert turns == pytest.approx(expected, abs=0.04) and vanishes == 0


class TestPictures:
    def test_rows(self, content):
        rows = content["pictures"]["rows"]
        names = ["noise alone", "in one band", "in one band", "in all but one", "random"]
        assert [row["name"] for row in rows] == names
        assert [row["sigma"] for row in rows] == [3, 3, 1, 3, 3]
        for row in rows:
            assert len(row["images"]) == len(row["alpha_r"]) == 5
        assert rows[1]["alpha_r"][1] == [1, 0, 1, 1, 1] and rows[3]["alpha_r"][1] == [0, 1, 0, 0, 0]

    def test_original_has_a_border_of_zeros(self, content):
        original = decode(content["pictures"]["original"])
        assert original.shape == (40, 40, 1)
        inside = original[4:-4, 4:-4]
        assert original.sum() == pytest.approx(inside.sum()) and inside.sum() > 10

    def test_the_noise_stays_in_its_band(self, content):
        row = content["pictures"]["rows"][0]
        masks = band_masks()
        for band, picture in enumerate(row["images"]):
            noise = decode(picture)[..., 0].astype("float64") - 0.5
            power = np.abs(np.fft.fft2(noise)) ** 2
            # 8 bits and the clipping leak a little.
            assert power[masks[band] > 0].sum() > 0.98 * power.sum()

    def test_random_controls(self, content):
        for control in content["pictures"]["rows"][-1]["alpha_r"]:
            between = [value for value in control if 0 < value < 1]
            assert len(control) == 5 and len(between) <= 1
            assert all(value == round(value, 2) for value in control)


class TestCommand:
    def test_the_picture_is_drawn_from_the_json_alone(self, results, capsys, monkeypatch):
        picture = results / "frequency_noise.png"
        assert not picture.exists()
        monkeypatch.setattr(_test_images, "load", None)
        monkeypatch.setattr(frequency_noise, "noisy", None)
        assert command(capsys, "--results", str(results)) == (0, "")
        assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 50_000

    def test_a_finished_preset_is_not_run_again(self, results, capsys, monkeypatch):
        monkeypatch.setattr(frequency_noise, "noisy", None)
        monkeypatch.setattr(_figure, "_draw", lambda *_: None)
        assert command(capsys, "--preset", "smoke", "--results", str(results)) == (0, "")

    def test_an_unfinished_json_is_one_line(self, results, tmp_path, capsys):
        stored = json.loads((results / "frequency_noise.json").read_text())
        del stored["content"]["pictures"]
        text = by_hand({**stored, "finished": False})
        (tmp_path / "frequency_noise.json").write_text(text)
        status, line = command(capsys, "--results", str(tmp_path))
        assert status == 2 and "--preset smoke continues it" in line


def test_real_cifar10():
    """16 % of the coefficients of other CIFAR-10 images turned at sigma = 1."""
    images = real_images()[:200]
    expected, _ = frequency_noise.expected_turned(images, 1.0)
    assert expected == pytest.approx(frequency_noise.REFERENCE["turned"], abs=0.015)
    turns, _ = frequency_noise.measure_turns(images, 1.0, keep_phase=False)
    assert turns == pytest.approx(expected, abs=0.003)
