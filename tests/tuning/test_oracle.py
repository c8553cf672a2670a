"""The oracle: seeds, no repeated points, exhaustion, failed points."""

import contextlib

import keras_tuner
import pytest

from spectral_keras.experiments.search.asked import Asked
from spectral_keras.experiments.search.oracle import Oracle
from spectral_keras.experiments.search.problem import BuildProblem
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
    assert not (tmp_path / "cut" / "trials" / "oracle.json").exists()  # Keras Tuner's: not needed
    again = make(tmp_path / "cut", line, 7)  # more trials than before
    again.reload()
    after = drive(again, score)
    assert after[0] == running
    assert before + after == whole


def issue(hp):
    return hp.Float("rate", 0.1, 0.9) if hp.Boolean("dropout") else 0.0


def loop(hp):
    for number in range(hp.Int("depth", 1, 3)):
        hp.Float(f"width_{number}", 0.0, 1.0)


def scopes(hp):
    """The example of Keras Tuner's guide, and a scope within a branch."""
    kind = hp.Choice("kind", ["mlp", "cnn"])
    with hp.conditional_scope("kind", ["mlp"]):
        if kind == "mlp":
            hp.Int("units", 8, 64)
    with hp.conditional_scope("kind", ["cnn"]):
        filters = hp.Int("filters", 8, 512)
        if kind == "cnn" and filters > 100 and hp.Boolean("pool"):
            with hp.conditional_scope("pool", [True]):
                hp.Choice("size", [2, 3])


def refusing(hp):
    """Refuses half of its points before it asks for the rest."""
    if hp.Choice("kind", ["good", "bad"]) == "bad":
        raise ValueError("bad")
    hp.Float("x", 0.0, 1.0)


def branch(folder, function, trials, **options):
    problem = BuildProblem(function, options.pop("fix", None), options.pop("ranges", None))
    initial = options.pop("initial", None)
    oracle = Oracle(trials, initial, 0, problem.space.copy(), problem.ask, **options)
    oracle._set_project_dir(str(folder), "trials")
    return oracle, problem


def replayed(function, point):
    """What a function asks for at a point, by a fresh evaluation."""
    hp = Asked(point)
    with contextlib.suppress(ValueError):
        function(hp)
    return hp.values


def mean(values):
    return sum(value for value in values.values() if isinstance(value, float))


@pytest.mark.parametrize(
    ("function", "initial"),
    [(issue, 20), (issue, None), (loop, 20), (scopes, 20), (scopes, 8), (refusing, 20)],
)
def test_points_of_a_function_that_branches(tmp_path, function, initial):
    """Each is all that the function asks for, and no two of them are the same network."""
    oracle, problem = branch(tmp_path, function, 10, initial=initial)
    points = drive(oracle, mean)
    assert len(points) == 10 == len(unique(points))
    assert all(point == replayed(function, point) for point in points)
    assert not oracle.exhausted
    names = {name for point in points for name in point}
    assert names == {axis["name"] for axis in problem.axes(oracle.hyperparameters)}
    if function is issue:
        rates = [point["rate"] for point in points if point["dropout"]]
        assert len(set(rates)) == len(rates) == 9  # without dropout there is one network
        assert 0.1 not in rates and max(rates) - min(rates) > 0.1


def test_a_tree_of_six_points_is_searched_to_its_end(tmp_path):
    def tree(hp):
        if hp.Boolean("a"):
            return hp.Choice("b", [1, 2]) == 2 and hp.Choice("c", ["x", "y", "z"])
        return hp.Boolean("d")

    oracle, _ = branch(tmp_path, tree, 20, initial=20)
    points = drive(oracle, mean)
    assert oracle.exhausted
    assert unique(points) == unique(
        [
            {"a": False, "d": False}, {"a": False, "d": True}, {"a": True, "b": 1},
            *({"a": True, "b": 2, "c": c} for c in "xyz"),
        ]
    )  # fmt: skip


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_reload_of_a_space_that_grew(tmp_path, cut):
    whole = drive(branch(tmp_path / "whole", scopes, 7, initial=6)[0], mean)
    first, _ = branch(tmp_path / "cut", scopes, cut, initial=6)
    before = drive(first, mean, cut - 1)
    running = dict(first.create_trial("tuner0").hyperparameters.values)
    again, _ = branch(tmp_path / "cut", scopes, 7, initial=6)
    again.reload()
    assert [hp.name for hp in again.hyperparameters.space] == [
        hp.name for hp in first.hyperparameters.space
    ]
    after = drive(again, mean)
    assert after[0] == running
    assert before + after == whole


def test_over_the_network(tmp_path):
    """A worker's copy, in the order of the protocol, leaves the chief's trials as they are."""
    oracle, _ = branch(tmp_path, scopes, 8, initial=8)
    for _ in range(8):
        sent = oracle.create_trial("worker0")
        kept = dict(sent.hyperparameters.values)
        order = [hp.name for hp in sent.hyperparameters.space]
        trial = keras_tuner.engine.trial.Trial.from_proto(sent.to_proto())
        hp = Asked(trial.hyperparameters.values)
        scopes(hp)
        assert hp.values == kept
        trial.hyperparameters = hp.copy()
        trial.status = "COMPLETED"
        oracle.update_trial(trial.trial_id, {"val_accuracy": mean(kept)})
        oracle.end_trial(keras_tuner.engine.trial.Trial.from_proto(trial.to_proto()))
        stored = oracle.trials[trial.trial_id].hyperparameters
        assert stored.values == kept and [hp.name for hp in stored.space] == order


@pytest.mark.parametrize(
    ("fix", "ranges", "check"),
    [
        ({"dropout": "true"}, {}, lambda p: p["dropout"] and 0.1 <= p["rate"] <= 0.9),
        ({"rate": "0.5"}, {}, lambda p: p.get("rate", 0.5) == 0.5),
        ({}, {"rate": ["0.2", "0.3"]}, lambda p: 0.2 <= p.get("rate", 0.2) <= 0.3),
        ({"dropout": "true"}, {"rate": ["0.2", "0.3"]}, lambda p: 0.2 <= p["rate"] <= 0.3),
    ],
)
def test_fixed_and_narrowed_in_a_branch(tmp_path, fix, ranges, check):
    oracle, _ = branch(tmp_path, issue, 5, initial=5, fix=fix, ranges=ranges)
    points = drive(oracle, mean)
    assert len(points) == (2 if "rate" in fix else 5)
    assert all(map(check, points))


def test_a_name_with_other_ends_in_other_scopes(tmp_path):
    def sizes(hp):
        hp.Choice("kind", ["small", "large"])
        with hp.conditional_scope("kind", ["small"]):
            hp.Int("units", 1, 4)
        with hp.conditional_scope("kind", ["large"]):
            hp.Int("units", 100, 200)

    oracle, problem = branch(tmp_path, sizes, 8, initial=7)
    for point in drive(oracle, mean):
        low, high = {"small": (1, 4), "large": (100, 200)}[point["kind"]]
        assert low <= point["units"] <= high
    units = problem.axes(oracle.hyperparameters)[1]
    assert (units["low"], units["high"]) == (1, 200)
    oracle, _ = branch(tmp_path / "fixed", sizes, 8, initial=8, fix={"units": "3"})
    assert {point["units"] for point in drive(oracle, mean)} == {3}
