"""Loss of information by pooling: numbers of the smoke preset, and of CIFAR-10 where it is."""

import json
import os
import sys

import numpy as np
import pytest
from scipy import stats

from figures import _figure, _pooling_loss, information_preservation
from spectral_keras.data import load
from spectral_keras.experiments.command import CommandError
from spectral_keras.ops.resize import NYQUIST_RULES
from tests.figures.running import run_here, smoke_results
from tests.models.runs import by_hand

SPECTRAL = [f"spectral_{rule}" for rule in NYQUIST_RULES]


def command(capsys, *arguments):
    """(status, last line of stderr) of the command in this process."""
    return run_here(information_preservation.FIGURE, capsys, *arguments)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with what the smoke preset leaves."""
    return smoke_results(information_preservation.FIGURE, tmp_path_factory)


@pytest.fixture(scope="module")
def content(results):
    return json.loads((results / "information_preservation.json").read_text())["content"]


def mean(content, method, side):
    series = content["loss"][method]
    return series["mean"][series["sides"].index(side)]


class TestNumbers:
    def test_spectral_pooling_loses_nothing_of_a_band_limited_image(self, content):
        # The preset's images have no frequencies of 5 and more: 9 numbers an axis hold them.
        for method in SPECTRAL:
            assert all(mean(content, method, side) < 2e-6 for side in range(9, 32))
            assert mean(content, method, 8) > 0.01

    def test_spectral_loses_less_than_average_and_that_less_than_max(self, content):
        for side in (4, 8, 16):
            losses = [mean(content, name, side) for name in ("spectral_average", "average", "max")]
            assert losses == sorted(losses)

    @pytest.mark.parametrize("method", SPECTRAL)
    def test_more_frequencies_never_lose_more(self, content, method):
        losses = content["loss"][method]["mean"]
        assert len(losses) == 31
        assert (np.diff(losses) <= 1e-6).all()

    def test_one_number_is_the_mean_of_the_image(self, content):
        expected = mean(content, "average", 1)
        for method in (*SPECTRAL, "adaptive_average"):
            assert mean(content, method, 1) == pytest.approx(expected, rel=1e-5)

    def test_rules_of_the_nyquist_frequency(self, content):
        # Odd sizes have none; "drop" leaves it out; enlarging undoes both "sum" and "isometric".
        for side in range(1, 32, 2):
            losses = [mean(content, method, side) for method in SPECTRAL]
            np.testing.assert_allclose(losses, losses[0], rtol=1e-4, atol=1e-6)
        for side in (2, 4, 6, 8):
            least = mean(content, "spectral_sum", side)
            assert mean(content, "spectral_isometric", side) == pytest.approx(least, rel=1e-4)
            assert least < mean(content, "spectral_average", side)
            dropped = mean(content, "spectral_drop", side)
            assert dropped == pytest.approx(mean(content, "spectral_drop", side - 1), rel=1e-4)

    @pytest.mark.parametrize("name", ["max", "average"])
    def test_adaptive_windows_are_the_usual_ones_where_the_side_divides(self, content, name):
        assert content["loss"][name]["sides"] == [1, 2, 4, 8, 16]
        for side in (1, 2, 4, 8, 16):
            assert mean(content, f"adaptive_{name}", side) == pytest.approx(
                mean(content, name, side), rel=1e-5
            )

    def test_spread_surrounds_the_median(self, content):
        for series in content["loss"].values():
            low, middle, high = (series[f"percentile_{q}"] for q in (10, 50, 90))
            assert all(a <= b <= c for a, b, c in zip(low, middle, high, strict=True))
            assert min(series["std"]) >= 0

    def test_best_that_max_pooling_can_do(self, content):
        best = content["best_max_pooling"]
        assert (best["side"], best["fraction"]) == (16, 0.25)
        assert best["loss"] == mean(content, "max", 16)
        side = best["spectral_side"]
        assert mean(content, "spectral_average", side) <= best["loss"]
        assert mean(content, "spectral_average", side - 1) > best["loss"]
        low, high = best["fewer_interval"]
        assert low <= best["fraction"] / best["spectral_fraction"] <= high

    def test_fewer_numbers_by_resampling(self):
        """Two kinds of images, one of which needs a larger side: the side follows the draw."""
        i = np.arange(8)
        waves = [0.5 + 0.4 * np.cos(2 * np.pi * k * i / 8)[:, None] * np.ones(8) for k in (1, 2)]
        images = np.repeat(np.array(waves, "float32")[..., None], 2, axis=0)
        best = {"side": 4, "fraction": 0.25, "spectral_side": 4}
        ends = information_preservation.fewer_interval(images, best, draws=200)
        assert 0.25 * 64 / 49 < ends[0] <= ends[1] <= 0.25 * 64
        # All images alike: no draw differs.
        same = information_preservation.fewer_interval(images[:2], best, draws=50)
        assert same[0] == same[1]

    def test_report_sizes(self, content):
        spectral = content["report"]["spectral"]
        sides = dict(zip(spectral["p"], spectral["sides"], strict=True))
        assert [sides[p] for p in (1.4, 1.8, 2, 3, 4, 5)] == [22, 16, 16, 10, 8, 6]
        assert {sides[p] for p in (6, 7, 8)} == {4} and {sides[p] for p in range(9, 16)} == {2}

    def test_losses_by_a_slow_oracle(self):
        images = np.random.default_rng(0).random((3, 8, 8, 2), "float32")
        pooled = np.zeros_like(images)
        for row in range(8):
            for column in range(8):
                i, j = row // 4 * 4, column // 4 * 4
                pooled[:, row, column] = images[:, i : i + 4, j : j + 4].max((1, 2))
        got = _pooling_loss.pool_and_enlarge("max", images, 2)
        np.testing.assert_array_equal(got, pooled)
        expected = [
            np.linalg.norm(x - y) / np.linalg.norm(x) for x, y in zip(images, pooled, strict=True)
        ]
        series = information_preservation.measure(images, "max")
        assert series["sides"] == [1, 2, 4]
        assert series["mean"][1] == pytest.approx(np.mean(expected), rel=1e-5)
        assert series["std"][1] == pytest.approx(np.std(expected), rel=1e-4)
        by_pixel = np.linalg.norm(images - pooled, axis=0) / np.linalg.norm(images, axis=0)
        assert series["report_metric"][1] == pytest.approx(by_pixel.mean(), rel=1e-5)

    def test_cosine_crop_by_its_definition(self):
        """Projection on cos(pi (2 i + 1) k / (2 n)), k < side, of each axis."""
        images, n, side = np.random.default_rng(1).random((2, 12, 12, 3)), 12, 5
        basis = np.cos(np.pi * (2 * np.arange(n)[:, None] + 1) * np.arange(side) / (2 * n))
        basis /= np.linalg.norm(basis, axis=0)
        project = basis @ basis.T
        expected = np.einsum("ij,njkc,kl->nilc", project, images, project)
        got = _pooling_loss.pool_and_enlarge("cosine", images, side)
        np.testing.assert_allclose(got, expected, atol=2e-6)

    def test_bicubic_enlargement_by_keys_kernel(self):
        """Cubic convolution with a = -1/2; the border has other weights."""
        images = np.random.default_rng(2).random((1, 32, 32, 1), "float32")
        pooled = images.reshape(1, 8, 4, 8, 4, 1).mean((2, 4))[0, :, :, 0]
        place = (np.arange(32) + 0.5) / 4 - 0.5
        distance = np.abs(place[:, None] - np.arange(8))
        near = 1.5 * distance**3 - 2.5 * distance**2 + 1
        far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
        inner = slice(8, 24)
        expected = (weights @ pooled @ weights.T)[inner, inner]
        got = _pooling_loss.pool_and_enlarge("average_bicubic", images, 8)[0, inner, inner, 0]
        np.testing.assert_allclose(got, expected, atol=1e-5)

    def test_comparisons_are_of_each_image(self):
        images = np.random.default_rng(3).random((5, 8, 8, 1), "float32")
        found = information_preservation.compare(images)["spectral_isometric"]["max"]
        assert found["sides"] == [4, 2]

        def loss(method, side):
            enlarged = _pooling_loss.pool_and_enlarge(method, images, side)
            return [
                np.linalg.norm(x - y) / np.linalg.norm(x)
                for x, y in zip(images, enlarged, strict=True)
            ]

        for place, side in enumerate((4, 2)):
            values = np.subtract(loss("max", side), loss("spectral_isometric", side))
            assert found["mean"][place] == pytest.approx(values.mean(), abs=1e-5)
            error = stats.sem(values)
            ends = stats.t.interval(0.95, 4, values.mean(), error)
            assert found["interval"][place] == pytest.approx(ends, abs=1e-5)

    def test_claims(self):
        """One size at which it loses contradicts a claim about every size."""

        def numbers(*intervals):
            return {"sides": [16, 2], "mean": [0.1, 0.1], "interval": list(intervals)}

        better, worse, tie = (0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1)
        comparisons = {
            "spectral_average": {
                "max": numbers(better, better), "average": numbers(better, worse),
                "cosine": numbers(tie, better),
            }
        }  # fmt: skip
        data = {"images": 9, "name": "x", "part": "test", "shape": [32, 32, 3]}
        best = {"fraction": 0.25, "spectral_fraction": 0.05, "spectral_side": 7,
                "spectral_loss": 0.19, "loss": 0.2, "fewer_interval": [4.2, 5.5]}  # fmt: skip
        content = {"comparisons": comparisons, "data": data, "best_max_pooling": best}
        information_preservation.derive({"content": content})
        largest, average, cosine, fewer = content["claims"]
        verdicts = [one["verdict"] for one in (largest, average, cosine)]
        assert verdicts == ["confirmed", "contradicted", "undecided"]
        assert "wins at 16 x 16, loses at 2 x 2" in average["note"]
        assert fewer["verdict"] == "confirmed" and fewer["effect"] == pytest.approx(5)

    def test_a_black_image_has_no_nan(self):
        series = information_preservation.measure(np.zeros((2, 8, 8, 1), "float32"), "average")
        assert series["mean"] == [0, 0, 0] and series["report_metric"] == [0, 0, 0]


class TestCommand:
    def test_the_picture_is_drawn_from_the_json_alone(self, results, capsys, monkeypatch):
        picture = results / "information_preservation.png"
        assert not picture.exists()
        monkeypatch.setattr(information_preservation, "load", None)
        assert command(capsys, "--results", str(results)) == (0, "")
        assert picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 50_000

    def test_a_finished_preset_is_not_run_again(self, results, capsys, monkeypatch):
        monkeypatch.setattr(information_preservation, "measure", None)
        monkeypatch.setattr(_figure, "_draw", lambda *_: None)
        assert command(capsys, "--preset", "smoke", "--results", str(results)) == (0, "")

    def test_an_interrupted_run_continues(self, results, content, tmp_path, capsys, monkeypatch):
        stored = json.loads((results / "information_preservation.json").read_text())
        target = tmp_path / "information_preservation.json"
        half = {"loss": {"max": content["loss"]["max"]}}
        target.write_text(by_hand({**stored, "finished": False, "content": half}))
        status, line = command(capsys, "--results", str(tmp_path))
        assert status == 2 and "--preset smoke continues it" in line
        measured = []

        def measure(images, method):
            measured.append(method)
            return content["loss"][method]

        monkeypatch.setattr(information_preservation, "measure", measure)
        monkeypatch.setattr(_figure, "_draw", lambda *_: None)
        assert command(capsys, "--preset", "smoke", "--results", str(tmp_path)) == (0, "")
        assert "max" not in measured and "average" in measured
        assert json.loads(target.read_text())["content"] == content

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "cannot be read"),
            ("{}", "holds no results of figures.information_preservation"),
            ('{"figure": "information_preservation", "content": {}}', "unfinished"),
            (
                '{"figure": "information_preservation", "content": {"data": {}}}',
                "unfinished (KeyError('best_max_pooling'))",
            ),
        ],
    )
    def test_a_wrong_json_is_one_line(self, tmp_path, capsys, text, message):
        (tmp_path / "information_preservation.json").write_text(text)
        status, line = command(capsys, "--results", str(tmp_path))
        assert status == 2 and message in line

    def test_missing_scikit_image_is_one_line(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skimage", None)
        with pytest.raises(CommandError, match=r"pip install -e '\.\[figures\]'"):
            information_preservation.picture("camera")

    def test_missing_data_are_one_line(self, tmp_path, monkeypatch):
        settings = {**information_preservation.PRESETS["cpu"], "dataset": str(tmp_path / "no.npz")}
        with pytest.raises(CommandError, match="no.npz"):
            information_preservation.read_images(settings)


def test_pictures():
    pytest.importorskip("skimage")
    grey, colour = (information_preservation.picture(name) for name in ("camera", "astronaut"))
    assert grey.shape == (256, 256, 1) and colour.shape == (256, 256, 3)
    for pixels in (grey, colour):
        assert pixels.dtype == "float32" and pixels.min() >= 0 and pixels.max() <= 1
    panel = information_preservation.picture_panel("camera", [4096])
    assert panel["sides"] == [4]
    # Only the order is a property of pooling; the sizes are this picture's.
    loss = {method: values[0] for method, values in panel["loss"].items()}
    assert loss["spectral_average"] < loss["average"] < 0.5 * loss["max"]


def test_real_cifar10():
    """The expected values are of 500 other test images: any sample is within about 10 %."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = os.environ.get("TFDS_DATA_DIR")
    if not tfds.builder("cifar10", data_dir=folder).is_prepared():
        pytest.skip("cifar10 is not prepared")
    dataset = load("cifar10", data_dir=folder, limit=100, limit_test=500)
    images = dataset.x_test.astype("float32") / 255
    assert len(images) == 500

    def check(method, key, expected):
        series = information_preservation.measure(images, method, list(expected))
        np.testing.assert_allclose(series[key], list(expected.values()), rtol=0.1, err_msg=method)

    largest = {16: 0.203, 8: 0.403, 4: 0.616, 2: 0.847, 1: 1.017}
    check("max", "mean", largest)
    check("average", "mean", {16: 0.126, 8: 0.205, 4: 0.277, 2: 0.345, 1: 0.389})
    odd = {27: 0.037, 23: 0.057, 21: 0.068, 19: 0.080, 17: 0.094, 15: 0.109, 13: 0.126, 11: 0.145}
    odd |= {9: 0.169, 7: 0.198, 5: 0.238, 3: 0.294, 1: 0.389}
    check("spectral_average", "mean", odd | {26: 0.040, 16: 0.098, 8: 0.177, 4: 0.255})
    check("max", "report_metric", {16: 0.195, 8: 0.387, 4: 0.588, 2: 0.802, 1: 0.949})
    check("spectral_average", "report_metric", {16: 0.093, 8: 0.170})
    # Even sides were not measured on pooled images but on the image with a masked spectrum, which
    # keeps the imaginary part of the Nyquist lines: more than side^2 numbers, and a lower loss.
    for side, expected in {16: 0.098, 8: 0.177, 4: 0.255, 2: 0.328}.items():
        masked = np.linalg.norm((masked_spectrum(images, side) - images).reshape(500, -1), axis=1)
        loss = (masked / np.linalg.norm(images.reshape(500, -1), axis=1)).mean()
        assert loss == pytest.approx(expected, rel=0.04)
    # The report's own numbers come out of its own processing.
    report = information_preservation.report_numbers(images)["spectral"]
    np.testing.assert_allclose(report["redone"], report["loss"], rtol=0.1)


def masked_spectrum(images, side):
    """Real part of the images with the frequencies -side/2 ... side/2 - 1 only."""
    frequency = np.fft.fftfreq(images.shape[1], 1 / images.shape[1])
    kept = (frequency >= -side / 2) & (frequency < side / 2)
    spectrum = np.fft.fft2(images, axes=(1, 2)) * (kept[:, None] & kept)[..., None]
    return np.fft.ifft2(spectrum, axes=(1, 2)).real
