"""Epochs to fixed training errors: the rates, the ratios, the plan, and the smoke preset."""

import json

import keras
import numpy as np
import pytest

from figures import _figure
from figures.convergence_rates import FIGURE, PRESETS, best_rate, derive, key_of, runs, speed_ups
from spectral_keras.experiments.command import command_line
from spectral_keras.experiments.train.options import TrainOptions

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)
CPU = PRESETS["cpu"]
CELL = "generic 3x3"


def record(*errors):
    return {"history": {"accuracy": [1 - error for error in errors]}}


def test_the_plan():
    planned = runs(CPU)
    assert len(planned) == 3 * 3 * 3 * 2 + 3 * 3 * 2
    model, options = planned[key_of("deep 3x3", "orthogonal", 3e-4, 1)]
    assert (model, options["conv"], options["learning_rate"]) == (
        "deep_spectral",
        "orthogonal",
        3e-4,
    )
    assert options["seed"] == 1 and options["kernel_size"] == 3


def test_speed_ups_are_those_of_each_seed():
    # 0.9 at the start; from 0.4 to 0.2 in the second epoch: 0.3 after 1.5.
    slow, fast = np.array([0.9, 0.4, 0.2, 0.1]), np.array([0.9, 0.3, 0.05, 0.01])
    never = np.array([0.9, 0.8, 0.8, 0.8])
    found = speed_ups({0: slow, 1: slow}, {0: fast, 1: never}, 0.3)
    assert found == {"ratios": [1.5, 0.5], "not_reached": 1}
    assert speed_ups({0: never}, {0: never}, 0.3) == {"ratios": [], "not_reached": 0}


def made(spatial, spectral):
    """Runs of two seeds; at the middle rate the curves of the arguments, worse at the others."""
    found = {}
    for arm, errors in (("spatial", spatial), ("spectral", spectral), ("orthogonal", spatial)):
        for rate in CPU["rates"]:
            for seed in CPU["seeds"]:
                curve = errors if rate == 1e-3 else [0.6] * len(errors)
                found[key_of(CELL, arm, rate, seed)] = record(*curve)
    return found


def test_claims():
    done = made([0.5, 0.4, 0.25, 0.15], [0.25, 0.15, 0.08, 0.04])
    stored = {"content": {"runs": done}, "settings": CPU}
    derive(stored)
    assert best_rate(done, CPU, CELL, "spectral") == 1e-3
    claims = {one["claim"]: one for one in stored["content"]["claims"]}
    one = claims[f"{CELL}: fewer epochs with spectral than with spatial kernels"]
    # 5 % is reached by the spectral arm alone, after 3.75 epochs; the other counts with its 4.
    assert one["verdict"] == "confirmed" and one["effect"] == pytest.approx(4 / 3.75)
    assert "to 5 %" in one["note"] and "2 of 4 curves" in one["note"]
    same = claims[f"{CELL}: fewer epochs with orthogonal than with spatial kernels"]
    assert same["effect"] == pytest.approx(1) and same["verdict"] == "undecided"
    assert claims["deep 3x3: fewer epochs with spectral than with spatial kernels"]["verdict"] == (
        "not run"
    )
    last = stored["content"]["cells"][CELL]["last"]["spectral"]
    np.testing.assert_allclose(last["0.001"], [4, 4])
    np.testing.assert_allclose(last["0.003"], [60, 60])


def test_a_seed_without_all_of_its_rates_does_not_count():
    """Its best rate may be the one that is missing."""
    done = made([0.5, 0.4, 0.25, 0.15], [0.25, 0.15, 0.08, 0.04])
    for seed, counted in ((1, [0]), (0, [])):
        del done[key_of(CELL, "orthogonal", 3e-3, seed)]
        stored = {"content": {"runs": done}, "settings": CPU}
        derive(stored)
        assert stored["content"]["cells"][CELL]["seeds"] == counted
        (one, *_) = (one for one in stored["content"]["claims"] if one["claim"].startswith(CELL))
        assert one["verdict"] == ("undecided" if counted else "not run")
        assert f"{len(counted)} seed" in one["run"]


def test_smoke(tmp_path):
    """Two rates of three arms, and the large kernels at the better one."""
    settings = PRESETS["smoke"]
    with pytest.raises(SystemExit) as stopped:
        _figure.main(
            FIGURE,
            ["--preset", "smoke", "--results", str(tmp_path), "--runs", str(tmp_path / "runs")],
        )
    assert stopped.value.code == 0
    stored = json.loads((tmp_path / "convergence_rates.json").read_text())
    done = stored["content"]["runs"]
    assert set(done) == set(runs(settings))
    rate = best_rate(done, settings, "spectral pooling 3x3", "orthogonal")
    command = done[key_of("spectral pooling 5x5", "orthogonal", "best", 0)]["command"]
    assert f"--learning-rate {rate}" in command or rate == 1e-3
    assert (tmp_path / "convergence_rates.png").exists()


def test_changed_settings_keep_the_trainings_at_rates_that_were_chosen(tmp_path):
    """Their planned options lack the rate, which others decided."""
    settings = PRESETS["cpu"]
    done = {}
    for key, (model, options, *chosen) in runs(settings).items():
        options = options | dict.fromkeys(chosen, 0.003)
        options = TrainOptions.of_values(model, options)
        done[key] = {"command": command_line(f"models.{model}", options.arguments())}
    other = next(key for key, plan in runs(settings).items() if len(plan) == 3)
    for command in (None, "python -m models.resnet18"):
        done[other] = {"command": command}
        stored = {"content": {"runs": dict(done)}, "settings": {}, "preset": "cpu"}
        folder = _figure.ResultsFolder(tmp_path, "convergence_rates")
        experiment = _figure.Experiment(FIGURE, "cpu", folder, tmp_path, None)
        experiment.take_up(stored)
        assert set(experiment.content["runs"]) == set(done) - {other}
