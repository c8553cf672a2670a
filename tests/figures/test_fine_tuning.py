"""A preset on few images: the rule, the smoke preset, the table of the guide."""

import json
import pathlib

import keras
import pytest

from figures import fine_tuning
from figures._figure import RESULTS
from tests.figures.running import run_figure

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)
GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guides" / "presets.md"


def row(start, rate, *accuracies):
    values = {str(seed): value for seed, value in enumerate(accuracies)}
    return {
        "start": start,
        "rate": rate,
        "accuracy": values,
        "mean": sum(values.values()) / len(values),
    }


def test_the_worst_rate_of_the_preset_meets_the_best_from_scratch():
    rows = [
        row("preset", 0.1, 70.0, 71.0, 72.0), row("preset", 0.2, 80.0, 80.0, 80.0),
        row("scratch", 0.1, 40.0, 40.0, 40.0), row("scratch", 0.2, 60.0, 60.5, 61.0),
    ]  # fmt: skip
    found = fine_tuning.compare(rows)
    assert found["rates"] == {"preset": 0.1, "scratch": 0.2}
    assert found["effect"] == pytest.approx(10.5)
    # t of two degrees of freedom: 4.302653; deviation 0.5, three seeds.
    half = 4.302653 * 0.5 / 3**0.5
    assert found["interval"] == pytest.approx([10.5 - half, 10.5 + half], rel=1e-5)
    assert found["verdict"] == "confirmed"


@pytest.mark.parametrize(
    ("preset", "scratch", "verdict"),
    [
        ((70.0,), (60.0,), "undecided"),
        ((50.0, 50.1), (60.0, 60.2), "contradicted"),
        ((60.0, 70.0), (61.0, 60.0), "undecided"),
    ],
)
def test_the_rule(preset, scratch, verdict):
    found = fine_tuning.compare([row("preset", 1, *preset), row("scratch", 1, *scratch)])
    assert found["verdict"] == verdict


def test_one_start_alone_compares_nothing():
    assert fine_tuning.compare([row("preset", 1, 70.0)]) is None


def test_smoke(tmp_path):
    done = run_figure("fine_tuning", tmp_path, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "fine_tuning.json").read_text())
    runs = stored["content"]["runs"]
    commands = {key: run["command"] for key, run in runs.items()}
    assert "--weights deep_spectral_digits" in commands["preset-0.0001-seed-0"]
    assert "--weights" not in commands["scratch-0.001-seed-0"]
    for one in stored["content"]["rows"]:
        key = f"{one['start']}-{one['rate']:g}-seed-0"
        assert one["mean"] == 100 * runs[key]["result"]["test_accuracy"]
    assert stored["content"]["found"]["verdict"] == "undecided"
    assert (tmp_path / "fine_tuning.png").stat().st_size > 10_000


def test_the_guide_has_the_numbers_of_the_runs():
    stored = json.loads((RESULTS / "fine_tuning.json").read_text())
    lines = [line for line in GUIDE.read_text().splitlines() if line.startswith("| from ")]
    assert lines == [
        f"| {fine_tuning.STARTS[row['start']]} | {row['rate']:g} | "
        + ", ".join(f"{value:.2f}" for value in row["accuracy"].values())
        + f" | {row['mean']:.1f} |"
        for row in stored["content"]["rows"]
    ]
    low, high = (f"{end:.1f}" for end in stored["content"]["found"]["interval"])
    assert f"{stored['content']['found']['effect']:.1f} points [{low}, {high}]" in GUIDE.read_text()
