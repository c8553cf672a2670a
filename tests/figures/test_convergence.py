"""The convergence experiment: its measures on curves with known answers, and its smoke preset."""

import json
import math

import numpy as np
import pytest

from figures import convergence
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
        curve = convergence.speed_up_curve(LINE, fast, points=5)
        np.testing.assert_allclose(curve["speed_ups"], 2.0)
        np.testing.assert_allclose(curve["levels"], [0.8, 0.725, 0.65, 0.575, 0.5])

    def test_a_level_that_is_never_reached_is_no_number(self):
        slow = np.array([0.9, 0.88, 0.86, 0.84, 0.82])
        assert convergence.speed_up(LINE, slow)["speed_up"] is None
        curve = convergence.speed_up_curve(LINE, slow, points=3)
        assert curve["speed_ups"][-1] is None
        assert "below 1" in convergence.describe(
            {"speed_up": None, "mean_error": slow.tolist(), "by_seed": []}
        )

    def test_the_best_error_is_the_level_not_the_last(self):
        bumpy = np.array([0.9, 0.6, 0.4, 0.7])
        assert convergence.speed_up(bumpy, LINE)["level"] == 0.4


@pytest.mark.parametrize(
    "verdicts",
    [
        ([2.5, 3.0], "2.2 to 5.1 appears here"),
        ([1.0, 1.2], "does not appear here"),
        ([1.0, 2.5], "appears in 1 of 2 cells only"),
        ([1.0, None], "1 of 2 never reach"),
    ],
)
def test_verdict(verdicts):
    from figures._convergence_plot import verdict

    values, expected = verdicts
    cells = {str(i): {"arms": {"spectral": {"speed_up": v}}} for i, v in enumerate(values)}
    assert expected in verdict(cells)


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

    def test_goes_on_with_what_is_missing_only(self, smoke):
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
