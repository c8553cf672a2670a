"""The oracle: seeds, no repeated points, exhaustion, failed points."""

import keras_tuner
import pytest

from spectral_keras.experiments.search.oracle import Oracle
from spectral_keras.experiments.search.spaces import Space


def drive(oracle, score, trials=None):
    """Run a search without training: `score(values)` gives None for a failed trial."""
    points = []
    while trials is None or len(points) < trials:
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        values = dict(trial.hyperparameters.values)
        points.append(values)
        result = score(values)
        trial.status = "FAILED" if result is None else "COMPLETED"
        if result is not None:
            oracle.update_trial(trial.trial_id, {"val_accuracy": result})
        oracle.end_trial(trial)
    return points


def make(folder, space, trials, initial=3, seed=0, **options):
    hp = keras_tuner.HyperParameters()
    space(hp)
    oracle = Oracle(trials, initial, seed, hp, **options)
    oracle._set_project_dir(str(folder), "trials")
    return oracle


def nine(hp):
    hp.Choice("a", [1, 2, 3])
    hp.Choice("b", ["x", "y", "z"])


def line(hp):
    hp.Float("x", 0.0, 1.0)


def unique(points):
    return {tuple(sorted(point.items())) for point in points}


@pytest.mark.parametrize("initial", [6, 20])
def test_nine_points_are_tried_once_each_and_the_search_stops(tmp_path, initial):
    oracle = make(tmp_path, nine, 14, initial)
    points = drive(oracle, lambda values: float(values["a"]))
    assert len(points) == len(unique(points)) == 9
    assert oracle.exhausted


def test_seed_zero_counts(tmp_path):
    space = Space("spectral_pool_cnn")
    runs = [
        drive(make(tmp_path / name, space, 5, 5, seed), lambda values: values["gamma"])
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert runs[0] == runs[1]
    assert not unique(runs[0]) & unique(runs[2])
    assert make(tmp_path / "d", space, 6, 5, 0).seed == 0


def test_initial_points_are_random_and_the_others_are_not(tmp_path):
    def score(values):
        return 1 - (values["x"] - 0.7) ** 2

    few = drive(make(tmp_path / "few", line, 8, 3), score)
    many = drive(make(tmp_path / "many", line, 8, 8), score)
    assert few[:3] == many[:3] and few[3] != many[3]
    # The model finds the maximum to a hundredth; eight random points do not.
    assert min(abs(point["x"] - 0.7) for point in few) < 0.01
    assert min(abs(point["x"] - 0.7) for point in many) > 0.01


def test_failed_points_are_avoided_and_never_end_the_search(tmp_path):
    def score(values):  # the best would be at 1, and everything above 0.6 fails
        return None if values["x"] > 0.6 else values["x"]

    points = drive(make(tmp_path / "some", line, 12, 4), score)
    assert len(points) == len(unique(points)) == 12
    late = [point["x"] for point in points[4:]]
    assert sum(x <= 0.6 for x in late) >= 3
    assert len(drive(make(tmp_path / "all", line, 12, 2), lambda values: None)) == 12


@pytest.mark.parametrize("cut", [1, 5])
def test_reload_goes_on_as_if_nothing_had_happened(tmp_path, cut):
    def score(values):
        return -((values["x"] - 0.7) ** 2)

    whole = drive(make(tmp_path / "whole", line, 7), score)
    first = make(tmp_path / "cut", line, cut)
    before = drive(first, score, cut - 1)
    running = dict(first.create_trial("tuner0").hyperparameters.values)
    (tmp_path / "cut" / "trials" / "oracle.json").write_text("damaged")  # it is not needed
    again = make(tmp_path / "cut", line, 7)  # more trials than before
    again.reload()
    after = drive(again, score)
    assert after[0] == running
    assert before + after == whole
