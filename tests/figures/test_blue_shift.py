"""Distortion by activations: numbers of the smoke preset against closed forms."""

import json

import numpy as np
import pytest

from figures import _blue_shift_drawing, _figure, blue_shift
from tests.figures.running import run_here, smoke_results

SETTINGS = blue_shift.PRESETS["smoke"]
# Folded harmonics of 1/h^2 at 2048 / 3 samples a period, and rounding to float32 elsewhere.
CLOSE = 2e-5


def command(capsys, *arguments):
    """(status, last line of stderr) of the command in this process."""
    return run_here(blue_shift.FIGURE, capsys, *arguments)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with what the smoke preset leaves."""
    return smoke_results(blue_shift.FIGURE, tmp_path_factory)


@pytest.fixture(scope="module")
def content(results):
    return json.loads((results / "blue_shift.json").read_text())["content"]


def rectified(amplitude, count):
    """Fourier series of max(A cos, 0): 1/pi, 1/2, 2/(3 pi), 0, -2/(15 pi), ... times A."""
    series = np.zeros(count)
    series[0], series[1] = 1 / np.pi, 0.5
    for h in range(2, count, 2):
        series[h] = 2 * (-1) ** (h // 2 + 1) / (np.pi * (h**2 - 1))
    return amplitude * series


def clipped(amplitude, count):
    """Fourier series of A cos clipped to [-1, 1]."""
    angle, series = np.arccos(min(1, 1 / amplitude)), np.zeros(count)
    for h in range(1, count, 2):
        flat = np.sin(h * angle) / h
        if h == 1:
            rest = (np.pi / 2 - angle) - np.sin(2 * angle) / 2
        else:
            rest = -np.sin((h - 1) * angle) / (h - 1) - np.sin((h + 1) * angle) / (h + 1)
        series[h] = 4 / np.pi * (flat + amplitude * rest / 2)
    return series


def tanh_series(amplitude, count, terms=500_000):
    """Fourier series of tanh(A cos), by the poles of tanh.

    tanh(z) = sum of 8 z / (d^2 + 4 z^2) over odd multiples d of pi, and with p = d / (2 A),
    q = sqrt(1 + p^2) - p:  cos / (p^2 + cos^2) = 2 / sqrt(1 + p^2) (q cos t - q^3 cos 3t + ...).
    """
    p = (2 * np.arange(1, terms + 1) - 1) * np.pi / (2 * amplitude)
    root = np.sqrt(1 + p**2)
    q = 1 / (root + p)
    series = np.zeros(count)
    series[1] = 4 / amplitude * (q / root).sum()
    # From h = 3 on the terms fall with n^4 and faster.
    q, root = q[:4000], root[:4000]
    for h in range(3, count, 2):
        series[h] = 4 / amplitude * (-1) ** (h // 2) * (q**h / root).sum()
    return series


def softplus_series(amplitude, count):
    """Fourier series of softplus(A cos): A/2, and by parts from tanh(A cos / 2) for even h."""
    inner = tanh_series(amplitude / 2, count + 1)
    series = np.zeros(count)
    series[1] = amplitude / 2
    for h in range(2, count, 2):
        series[h] = amplitude * (inner[h - 1] - inner[h + 1]) / (4 * h)
    return series


SERIES = {
    "softplus": softplus_series,
    "tanh": tanh_series,
    "ReLU": rectified,
    "hardtanh": clipped,
}


class TestOneTone:
    @pytest.mark.parametrize("name", SERIES)
    def test_harmonics_are_the_fourier_series(self, content, name):
        amplitudes = np.array(content["one_tone"][name]["amplitudes"])
        assert len(amplitudes) == SETTINGS["highest"] + 1
        expected = np.abs(SERIES[name](SETTINGS["amplitude"], 14))
        first = 1 if name == "softplus" else 0  # its mean has no short form
        np.testing.assert_allclose(amplitudes[::3][first:], expected[first:], atol=CLOSE)
        others = np.delete(amplitudes, np.arange(0, len(amplitudes), 3))
        assert others.max() < CLOSE

    def test_the_mean_of_softplus(self, content):
        z = 2 * np.cos(2 * np.pi * np.arange(64) / 64)
        expected = np.logaddexp(0, z).mean()
        assert content["one_tone"]["softplus"]["amplitudes"][0] == pytest.approx(expected, abs=1e-6)

    def test_a_rectified_wave_at_amplitude_one(self):
        wave = blue_shift.tones([8], 4096)
        amplitudes = blue_shift.amplitudes(blue_shift.apply("ReLU", wave))[::8]
        expected = [1 / np.pi, 1 / 2, 2 / (3 * np.pi), 0, 2 / (15 * np.pi), 0, 2 / (35 * np.pi)]
        np.testing.assert_allclose(amplitudes[:7], expected, atol=1e-5)

    @pytest.mark.parametrize("name", SERIES)
    def test_distortion_against_amplitude(self, content, name):
        assert SETTINGS["sweep"] == [0.125, 1, 2, 16]
        for amplitude, thd in zip(SETTINGS["sweep"], content["distortion"][name], strict=True):
            series = SERIES[name](amplitude, 400)
            expected = np.sqrt((series[2:] ** 2).sum()) / series[1]
            assert thd == pytest.approx(expected, abs=2e-4)
        at_two = content["one_tone"][name]["thd"]
        assert at_two == content["distortion"][name][2]

    def test_limits_of_the_distortion(self, content):
        rectified_wave = np.sqrt(1 - 8 / np.pi**2)
        for thd in content["distortion"]["ReLU"]:
            assert thd == pytest.approx(rectified_wave, abs=2e-5)
        assert content["distortion"]["hardtanh"][:2] == pytest.approx([0, 0], abs=1e-6)
        square_wave = np.sqrt(np.pi**2 / 8 - 1)
        for name in ("tanh", "hardtanh"):
            assert content["distortion"][name][-1] < square_wave
            wave = blue_shift.tones([3], 2**15, 1e4)
            spectrum = blue_shift.amplitudes(blue_shift.apply(name, wave))
            assert blue_shift.harmonic_distortion(spectrum, 3) == pytest.approx(
                square_wave, abs=1e-3
            )

    def test_power_moves_up(self, content):
        assert content["one_tone"]["input"]["centroid"] == pytest.approx(3, abs=1e-6)
        assert content["one_tone"]["input"]["thd"] == pytest.approx(0, abs=1e-6)
        assert content["one_tone"]["square"]["centroid"] == pytest.approx(6, abs=1e-6)
        assert "thd" not in content["one_tone"]["square"]
        for name in blue_shift.ACTIVATIONS:
            power = SERIES[name](2.0, 600)[1:] ** 2
            expected = 3 * (np.arange(1, 600) * power).sum() / power.sum()
            assert content["one_tone"][name]["centroid"] == pytest.approx(expected, rel=2e-3)
            assert content["one_tone"][name]["centroid"] > 3.1

    def test_signals(self, content):
        t = np.arange(256) / 256
        tone = 2 * np.cos(6 * np.pi * t)
        expected = {"input": tone, "square": tone**2, "tanh": np.tanh(tone)}
        expected |= {"ReLU": tone.clip(0), "hardtanh": tone.clip(-1, 1)}
        expected["softplus"] = np.log1p(np.exp(tone))
        for name, signal in expected.items():
            np.testing.assert_allclose(content["one_tone"][name]["signal"], signal, atol=2e-5)


class TestTwoTones:
    def test_the_square_of_two_cosines(self):
        wave = blue_shift.tones([3, 7], 64)
        spectrum = np.abs(np.fft.rfft(blue_shift.apply("square", wave))) / 64
        expected = np.zeros(33)
        expected[[0, 4, 6, 10, 14]] = 1, 0.5, 0.25, 0.5, 0.25
        np.testing.assert_allclose(spectrum, expected, atol=1e-6)

    def test_the_same_in_the_results_as_amplitudes(self, content):
        expected = np.zeros(41)
        expected[[0, 4, 6, 10, 14]] = 1, 1, 0.5, 1, 0.5
        result = content["two_tones"]["square"]
        np.testing.assert_allclose(result["amplitudes"], expected, atol=1e-6)
        power = result["power"]
        # 1/2 (1 + 1 + 1/4 + 1/4): no tone, two harmonics, two products.
        assert [power[part] for part in ("tones", "harmonics", "intermodulation")] == pytest.approx(
            [0, 0.2, 0.8], abs=1e-6
        )
        assert power["order_2"] == pytest.approx(1, abs=1e-6)

    def test_shares_of_a_rectifier(self, content):
        """ReLU(z) = z/2 + |cos u| |cos v|, u and v half the sum and difference of the phases."""
        power = content["two_tones"]["ReLU"]["power"]
        whole = 1 / 2 - 16 / np.pi**4
        c = [4 / np.pi / (4 * m**2 - 1) for m in range(1, 200)]
        harmonics = sum(x**4 for x in c) / 4
        assert power["tones"] == pytest.approx(0.25 / whole, abs=1e-4)
        assert power["harmonics"] == pytest.approx(harmonics / whole, abs=1e-4)
        rest = whole - 0.25 - harmonics
        assert power["intermodulation"] == pytest.approx(rest / whole, abs=1e-4)
        # f2 - f1 and f1 + f2 of amplitude 8/(3 pi^2), 2 f1 and 2 f2 of 8/(9 pi^2).
        second = (8 / (3 * np.pi**2)) ** 2 + (8 / (9 * np.pi**2)) ** 2
        assert power["order_2"] == pytest.approx(second / whole, abs=1e-4)

    def test_products_of_a_rectifier_one_by_one(self):
        # Tones so far apart from a common factor that no product up to order 20 hides another.
        wave = blue_shift.tones([101, 130], 2**15)
        spectrum = blue_shift.amplitudes(blue_shift.apply("ReLU", wave))
        expected = {101: 1 / 2, 130: 1 / 2, 0: 4 / np.pi**2}
        expected |= {29: 8 / (3 * np.pi**2), 231: 8 / (3 * np.pi**2)}
        expected |= {202: 8 / (9 * np.pi**2), 260: 8 / (9 * np.pi**2)}
        for frequency, amplitude in expected.items():
            assert spectrum[frequency] == pytest.approx(amplitude, abs=2e-4)

    @pytest.mark.parametrize("name", ["softplus", "ReLU"])
    def test_even_functions_give_even_orders(self, content, name):
        power = content["two_tones"][name]["power"]
        assert power["order_3"] < 1e-7 and power["order_5"] < 1e-7
        assert power["order_2"] > power["order_4"] > 0
        amplitudes = content["two_tones"][name]["amplitudes"]
        # 2 f1 - f2, 3 f1, 2 f2 - f1, 2 f1 + f2: not there.
        assert max(amplitudes[k] for k in (1, 9, 11, 13)) < CLOSE

    @pytest.mark.parametrize("name", ["tanh", "hardtanh"])
    def test_odd_functions_give_odd_orders(self, content, name):
        power = content["two_tones"][name]["power"]
        assert power["order_2"] < 1e-7 and power["order_4"] < 1e-7
        assert power["order_3"] > power["order_5"] > 0
        amplitudes = content["two_tones"][name]["amplitudes"]
        # f2 - f1, 2 f1, f1 + f2, 2 f2, and no mean.
        assert max(amplitudes[k] for k in (0, 4, 6, 10, 14)) < CLOSE
        assert min(amplitudes[k] for k in (1, 11, 13, 17)) > 0.05

    def test_shares_make_a_whole(self, content):
        for result in content["two_tones"].values():
            power = result["power"]
            parts = [power[part] for part in ("tones", "harmonics", "intermodulation")]
            assert sum(parts) == pytest.approx(1, abs=1e-6)
        assert content["two_tones"]["input"]["power"]["tones"] == pytest.approx(1, abs=1e-6)

    def test_small_tones_by_the_taylor_series(self):
        """tanh(z) = z - z^3/3: orders (2, 1) of amplitude a^3/4, (3, 0) of a^3/12."""
        a = 0.02
        power = blue_shift.product_powers("tanh", 64, a)
        assert power["harmonics"] == pytest.approx((a**2 / 12) ** 2, rel=0.01)
        assert power["intermodulation"] == pytest.approx(2 * (a**2 / 4) ** 2, rel=0.01)


class TestTranslation:
    @pytest.mark.parametrize("index", range(2))
    def test_the_mean_over_shifts_is_the_closed_form(self, content, index):
        translation = content["translation"]
        count = 2 * translation["reaches"][index] + 1
        factor = translation["factors"][index]
        k = np.arange(1, 33)
        expected = np.sin(count * np.pi * k / 64) / (count * np.sin(np.pi * k / 64))
        assert factor["measured"][0] == factor["dirichlet"][0] == factor["sinc"][0] == 1
        np.testing.assert_allclose(factor["measured"][1:], expected, atol=1e-8)
        np.testing.assert_allclose(factor["dirichlet"][1:], expected, atol=1e-8)
        assert factor["measured_imaginary"] < 1e-10
        angle = count * np.pi * k / 64
        np.testing.assert_allclose(factor["sinc"][1:], np.sin(angle) / angle, atol=1e-8)

    def test_five_either_way_in_numbers(self, content):
        assert content["translation"]["reaches"][1] == 5
        measured = content["translation"]["factors"][1]["measured"]
        np.testing.assert_allclose(measured[:5], [1, 0.95249, 0.81797, 0.61882, 0.38745], atol=5e-6)

    def test_all_shifts_leave_the_mean(self, content):
        assert content["translation"]["all_shifts"] < 1e-12


class TestDrawing:
    @pytest.mark.parametrize(
        ("frequency", "kind", "text"),
        [
            (0, "mean", "0"),
            (3, "tone", "$f_1$"),
            (7, "tone", "$f_2$"),
            (4, "intermodulation", "$f_2$\u2212$f_1$"),
            (10, "intermodulation", "$f_1$+$f_2$"),
            (6, "harmonic", "2$f_1$"),
            (21, "harmonic", "3$f_2$"),
            (1, "intermodulation", "$f_2$\u22122$f_1$"),
            (11, "intermodulation", "2$f_2$\u2212$f_1$"),
            (17, "intermodulation", "2$f_2$+$f_1$"),
        ],
    )
    def test_names_of_the_products(self, frequency, kind, text):
        known = _blue_shift_drawing.products(SETTINGS, "two_tones")
        assert known[frequency] == (kind, text)

    def test_one_tone_has_harmonics_only(self):
        known = _blue_shift_drawing.products(SETTINGS, "one_tone")
        assert known[3] == ("tone", "$f$") and known[12] == ("harmonic", "4$f$")
        assert all(k % 3 == 0 for k in known)

    def test_each_picture_speaks_of_what_it_shows(self, results):
        from matplotlib import pyplot

        pictures = _blue_shift_drawing.draw(json.loads((results / "blue_shift.json").read_text()))
        words = {suffix: picture.get_supxlabel() for suffix, picture in pictures.items()}
        legends = {
            suffix: [text.get_text() for text in picture.axes[1].get_legend().get_texts()]
            for suffix, picture in pictures.items()
        }
        for picture in pictures.values():
            pyplot.close(picture)
        for text, shown in (
            ("Translations", {""}),
            ("THD", {"", "_one_tone"}),
            ("Centre", {"_one_tone", "_two_tones"}),
            ("Shares of the power", {"_two_tones"}),
        ):
            assert {suffix for suffix, line in words.items() if text in line} == shown
        found = {s for s, legend in legends.items() if "intermodulation" in " ".join(legend)}
        assert found == {"_two_tones"}

    def test_the_picture_is_drawn_from_the_json_alone(self, results, capsys, monkeypatch):
        picture = results / "blue_shift.png"
        assert not picture.exists()
        monkeypatch.setattr(blue_shift, "apply", None)
        assert command(capsys, "--results", str(results)) == (0, "")
        assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 50_000

    def test_a_finished_preset_is_not_run_again(self, results, capsys, monkeypatch):
        monkeypatch.setattr(blue_shift, "apply", None)
        monkeypatch.setattr(_figure, "_draw", lambda *_: None)
        assert command(capsys, "--preset", "smoke", "--results", str(results)) == (0, "")

    def test_an_unfinished_json_is_one_line(self, tmp_path, capsys):
        text = '{"figure": "blue_shift", "preset": "smoke", "settings": {}, "content": {}}'
        (tmp_path / "blue_shift.json").write_text(text)
        status, line = command(capsys, "--results", str(tmp_path))
        assert status == 2 and "--preset smoke continues it" in line
