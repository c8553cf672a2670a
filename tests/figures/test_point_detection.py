"""Point-detection maps: numbers of the smoke preset and of the committed results."""

import json
import math

import numpy as np
import pytest

from figures import _figure, point_detection
from spectral_keras.analysis import real_frequencies
from tests.figures.running import run_here, smoke_results


def command(capsys, *arguments):
    """(status, last line of stderr) of the command in this process."""
    return run_here(point_detection.FIGURE, capsys, *arguments)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with what the smoke preset leaves."""
    return smoke_results(point_detection.FIGURE, tmp_path_factory)


@pytest.fixture(scope="module")
def content(results):
    return json.loads((results / "point_detection.json").read_text())["content"]


def committed():
    return json.loads((_figure.RESULTS / "point_detection.json").read_text())


class TestNumbers:
    def test_examples(self, content):
        pair, other, corner = content["examples"]
        for example in (pair, other):
            assert example["amplitude"] == pytest.approx(0.25, abs=1e-6)
            assert example["magnitude"] == pytest.approx(0.25 * 256 / 2, abs=1e-3)
        assert corner["amplitude"] == pytest.approx(0.1767767, abs=1e-6)
        assert corner["magnitude"] == pytest.approx(0.1767767 * 256, abs=1e-3)
        for example in content["examples"]:
            assert example["norm"] == pytest.approx(2 * math.sqrt(2), rel=1e-6)
            assert example["largest_magnitude_elsewhere"] < 1e-4

    def test_rms_is_the_closed_form(self, content):
        y, x = np.mgrid[:5, :5]
        rms = np.array(content["readouts"]["rms"])
        for k, (i, j) in enumerate(real_frequencies(16).tolist()):
            wave = np.exp(-2j * np.pi * (i * y + j * x) / 16)
            for one, got in zip(content["filters"], rms[:, k], strict=True):
                expected = 2 * math.sqrt(2) * abs((np.array(one["kernel"]) * wave).sum()) / 16
                assert got == pytest.approx(expected, abs=3e-6)
        assert content["summary"]["rms"]["largest_difference_from_closed_form"] < 3e-6

    def test_what_is_blind_to_frequency(self, content):
        spread = {name: one["spread"] for name, one in content["summary"].items()}
        low, high, sharpening = spread["rectified_mean"]
        assert max(spread["mean"]) < 1e-5 and max(low, sharpening) < 1e-5
        assert high > 0.05 and min(spread["rms"]) > 0.1
        assert min(spread["mean_zero_padding"]) > 1e-3

    def test_a_rectified_cosine(self, content):
        # Where the samples fill the circle evenly: 1 / pi of the amplitude.
        ratio = np.array(content["readouts"]["rectified_mean"][1][1:])
        ratio = ratio / np.array(content["closed_form"][1][1:])
        assert np.median(ratio) == pytest.approx(math.sqrt(2) / math.pi, rel=0.03)

    def test_bands(self, content):
        low, high, _ = content["summary"]["rms"]["bands"]
        assert max(low, key=low.get) == "low" and low["low"] > 2
        assert high["high"] > high["medium"] > high["low"]

    def test_filters_are_what_their_names_say(self):
        for name, kernel in point_detection.FILTERS.items():
            assert kernel.shape == (5, 5)
            assert kernel.sum() == pytest.approx(float(name[-1]), abs=1e-12)


class TestCommitted:
    def test_the_paper_sizes(self):
        stored = committed()
        assert stored["finished"] and stored["preset"] == "cpu"
        *pairs, corner = stored["content"]["examples"]
        assert all(example["amplitude"] == pytest.approx(0.25, abs=1e-6) for example in pairs)
        assert all(example["magnitude"] == pytest.approx(128, abs=1e-3) for example in pairs)
        assert corner["amplitude"] == pytest.approx(0.176777, abs=1e-6)

    def test_it_is_what_the_preset_gives_now(self):
        stored = committed()
        settings = json.loads(json.dumps(point_detection.PRESETS["cpu"]))
        assert stored["settings"] == settings
        kernels = np.array([one["kernel"] for one in stored["content"]["filters"]])
        closed = point_detection.closed_form(kernels, settings)
        rms = np.array(stored["content"]["readouts"]["rms"])
        np.testing.assert_allclose(rms, closed, atol=3e-6)


class TestCommand:
    def test_the_picture_is_drawn_from_the_json_alone(self, results, capsys, monkeypatch):
        picture = results / "point_detection.png"
        assert not picture.exists()
        monkeypatch.setattr(point_detection, "measure", None)
        assert command(capsys, "--results", str(results)) == (0, "")
        assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 50_000

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "cannot be read"),
            ('{"figure": "point_detection", "content": {}, "settings": {}}', "unfinished"),
        ],
    )
    def test_a_wrong_json_is_one_line(self, tmp_path, capsys, text, message):
        (tmp_path / "point_detection.json").write_text(text)
        status, line = command(capsys, "--results", str(tmp_path))
        assert status == 2 and message in line
