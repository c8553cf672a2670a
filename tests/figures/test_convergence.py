"""The convergence experiment: its measures on curves with known answers, and its smoke preset."""

import json
import math

import numpy as np
import pytest

from figures import convergence
from figures._convergence_plot import verdict
from spectral_keras.evaluation import t_interval
from tests.figures.running import run_figure
from tests.models.runs import by_hand

# Error 0.9 at epoch 0, then a straight line down by 0.1 an epoch.
LINE = np.array([0.9, 0.8, 0.7, 0.6, 0.5])


class TestMeasures:
    @pytest.mark.parametrize(
        ("level", "expected"), [(0.9, 0.0), (0.8, 1.0), (0.75, 1.5), (0.5, 4.0), (0.49, None)]
    )
    def test_epochs_to_a_level(self, level, expected):
        found = convergence.epochs_to(LINE, level)
        assert found is None if expected is None else math.isclose(found, expected)

    def test_the_first_crossing_counts(self):
        assert convergence.epochs_to(np.array([0.9, 0.5, 0.8, 0.4]), 0.5) == 1.0

    def test_speed_up_of_a_curve_twice_as_fast(self):
        fast = np.array([0.9, 0.7, 0.5, 0.3, 0.1])
        found = convergence.speed_up(LINE, fast)
        assert found["level"] == 0.5 and found["epochs_spatial"] == 4.0
        assert math.isclose(found["speed_up"], 2.0)
        curve = convergence.speed_up_curve(LINE[None], fast[None], points=5)
        np.testing.assert_allclose(curve["speed_ups"], 2.0)
        np.testing.assert_allclose(curve["levels"], [0.8, 0.725, 0.65, 0.575, 0.5])

    def test_a_level_that_is_never_reached_is_no_number(self):
        slow = np.array([0.9, 0.88, 0.86, 0.84, 0.82])
        assert convergence.speed_up(LINE, slow)["speed_up"] is None
        curve = convergence.speed_up_curve(np.stack([LINE, LINE]), np.stack([LINE, slow]), 3)
        # The level 0.8 is reached by one of the two only.
        assert curve["speed_ups"] == [None, None, None]

    def test_the_best_error_is_the_level_not_the_last(self):
        bumpy = np.array([0.9, 0.6, 0.4, 0.7])
        assert convergence.speed_up(bumpy, LINE)["level"] == 0.4


def derived(*arms, epochs=4, spatial=LINE):
    """JSON of "deep 3x3" whose spectral and longer-step arms have these curves, one a seed."""
    runs, seeds = {}, list(range(len(arms)))

    def record(curve):
        return {"history": {"accuracy": (1 - np.asarray(curve)[1:]).tolist()}}

    for seed, (spectral, longer) in enumerate(arms):
        for arm, curve in (("spatial", spatial), ("spectral", spectral), ("longer-steps", longer)):
            runs[f"deep-3x3-{arm}-{seed}"] = record(curve)
    runs["deep-3x3-hermitian-0"] = record(spatial)
    for arm in convergence.CONTROL_ARMS:
        runs[f"sgd-deep-3x3-{arm}-0"] = {"history": {"loss": [2.0, 1.0]}}
    settings = {
        "cells": ["deep 3x3"], "network": {}, "training": {"epochs": epochs, "limit": 2000},
        "seeds": dict.fromkeys(("spatial", "spectral", "longer steps"), seeds) | {"hermitian": [0]},
        "control": {"cell": "deep 3x3", "precision": "float64", "epochs": 2},
    }  # fmt: skip
    stored = {"content": {"runs": runs}, "settings": settings}
    convergence.derive(stored)
    return stored["content"], {one["claim"]: one for one in stored["content"]["claims"]}


def line(slope):
    return 0.9 - slope * np.arange(5)


class TestCells:
    def test_the_ratio_is_of_each_seed_then_averaged(self):
        # Straight lines 2 and 1.25 times as steep: the mean curve would be 1.625 times.
        content, found = derived((line(0.2), LINE), (line(0.125), LINE))
        entry = content["cells"]["deep 3x3"]["arms"]["spectral"]
        ratios = [one["speed_up"] for one in entry["by_seed"]]
        assert ratios == pytest.approx([2, 1.25])
        assert entry["speed_up"] == pytest.approx(1.625)
        assert entry["interval"] == pytest.approx(list(t_interval(ratios)))
        one = found["deep 3x3: 2.2 times fewer epochs"]
        assert one["printed"] == 2.2 and one["parts"][0]["bound"] == 2.2
        # It stops at an error of 50 %.
        assert one["verdict"] == "undecided"
        assert one["note"] == "the spatial arm stops at a training error of 50 %"
        longer = found[
            "deep 3x3: lower training error than plain kernels with as long a first step"
        ]
        assert longer["effect"] == pytest.approx(-25) and longer["verdict"] == "undecided"

    @pytest.mark.parametrize(
        ("ratios", "faster", "printed"),
        [
            ((3, 3.05), "confirmed", "confirmed"), ((1.5, 1.51), "confirmed", "contradicted"),
            ((0.8, 0.81), "contradicted", "contradicted"), ((1.1, 3), "undecided", "undecided"),
        ],
    )  # fmt: skip
    def test_verdicts_against_one_and_against_the_own_printed_number(self, ratios, faster, printed):
        # The spatial arm: down to an error of 0.25 in 10 epochs, straight.
        epochs = np.arange(11)
        spatial = 0.9 - 0.065 * epochs
        # As straight, and to the same error in 10 / ratio of the epochs.
        curves = [np.maximum(0.0, 0.9 - 0.065 * ratio * epochs) for ratio in ratios]
        if faster == "contradicted":  # continues until it gets there
            epochs = np.arange(14)
            spatial = np.concatenate([spatial, [0.25] * 3])
            curves = [0.9 - 0.065 * ratio * epochs for ratio in ratios]
        _, found = derived(*((curve, spatial) for curve in curves), spatial=spatial)
        one = found["deep 3x3: fewer epochs than the spatial arm"]
        assert one["effect"] == pytest.approx(np.mean(ratios), rel=1e-6)
        assert one["verdict"] == faster
        assert found["deep 3x3: 2.2 times fewer epochs"]["verdict"] == printed

    def test_a_seed_that_never_gets_there_leaves_no_mean(self):
        content, found = derived((line(0.2), LINE), (line(0.01), LINE))
        entry = content["cells"]["deep 3x3"]["arms"]["spectral"]
        assert entry["speed_up"] is None and entry["interval"] is None
        text = convergence.describe(entry)
        assert text.startswith("no mean: 1 of 2 seeds never get") and "2.00, below 1" in text
        one = found["deep 3x3: fewer epochs than the spatial arm"]
        assert one["verdict"] == "undecided" and text in one["note"]
        assert "1 with a seed that never gets" in verdict(content)

    def test_sgd(self):
        _, found = derived((LINE, LINE))
        one = found["under SGD with the unitary DFT both parametrisations are one"]
        assert one["verdict"] == "confirmed" and one["effect"] == 0


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convergence")
    done = run_figure("convergence", folder, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    return folder, done


class TestSmoke:
    def test_numbers(self, smoke):
        folder, _ = smoke
        stored = json.loads((folder / "convergence.json").read_text())
        assert stored["finished"] and stored["preset"] == "smoke"
        runs, content = stored["content"]["runs"], stored["content"]
        # Under SGD with the unitary DFT the two parametrisations are one; frequency
        # dropout is on in this network, so its draws are shared too.
        difference = content["control"]["largest_relative_difference"]
        assert difference["spectral"] < 1e-9 < difference["hermitian"]
        # Under Adam they differ, and the independent entries move as the full table does.
        loss = {
            arm: np.array(runs[f"generic-3x3-{arm}-0"]["history"]["loss"])
            for arm in ("spatial", "spectral", "hermitian", "longer-steps")
        }
        assert abs(loss["spectral"] / loss["spatial"] - 1).max() > 1e-4
        np.testing.assert_allclose(loss["hermitian"], loss["spectral"], rtol=1e-3)
        assert "--learning-rate 0.00137436" in runs["generic-3x3-longer-steps-0"]["command"]
        arms = content["cells"]["generic 3x3"]["arms"]
        assert arms["spectral"]["seeds"] == [0, 1] and arms["hermitian"]["seeds"] == [0]
        errors = [
            1 - np.array(runs[f"generic-3x3-spatial-{seed}"]["history"]["accuracy"])
            for seed in (0, 1)
        ]
        assert not np.array_equal(*errors)
        expected = [0.9, *np.mean(errors, axis=0)]
        np.testing.assert_allclose(arms["spatial"]["mean_error"], expected, atol=1e-12)
        assert content["cells"]["generic 3x3"]["original"] == 2.2

    def test_continues_with_what_is_missing_only(self, smoke):
        folder, _ = smoke
        path = folder / "convergence.json"
        stored = json.loads(path.read_text())
        lost = stored["content"]["runs"].pop("generic-3x3-spectral-1")
        stored["finished"] = False
        path.write_text(by_hand(stored))
        done = run_figure("convergence", folder, "--preset", "smoke")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("python -m models.") == 1
        again = json.loads(path.read_text())
        assert again["finished"]
        found = again["content"]["runs"]["generic-3x3-spectral-1"]
        assert found["command"] == lost["command"]
        # The same seed: the same numbers again.
        assert found["history"]["loss"] == lost["history"]["loss"]

    def test_a_run_of_other_settings_is_made_again(self, smoke):
        folder, _ = smoke
        path = folder / "convergence.json"
        stored = json.loads(path.read_text())
        del stored["content"]["runs"]["generic-3x3-spatial-0"]
        path.write_text(by_hand(stored))
        config = folder / "runs/smoke/generic-3x3-spatial-0/config.json"
        other = json.loads(config.read_text())
        other["command"] = other["command"].replace("--epochs 2", "--epochs 3")
        other["options"]["epochs"] = 3
        config.write_text(by_hand(other))
        done = run_figure("convergence", folder, "--preset", "smoke")
        assert done.returncode == 0, done.stderr
        runs = json.loads(path.read_text())["content"]["runs"]
        assert "--epochs 2" in runs["generic-3x3-spatial-0"]["command"]

    def test_draws(self, smoke):
        folder, _ = smoke
        (folder / "convergence.png").unlink()
        assert run_figure("convergence", folder).returncode == 0
        assert (folder / "convergence.png").stat().st_size > 20_000
