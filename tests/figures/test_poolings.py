"""The comparison of poolings: its plan, its rule, and a run of seconds."""

import json

import keras
import pytest

from figures import flagship, poolings

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)


def test_runs_that_the_flagship_shares_are_the_same():
    ours = poolings.runs(poolings.PRESETS["cpu"])
    theirs = flagship.runs(flagship.PRESETS["cpu"])
    shared = set(ours) & set(theirs)
    # Three poolings of resnet18 on two data sets and two of quick_spectral, three seeds.
    assert len(shared) == 24
    assert all(ours[key] == theirs[key] for key in shared)


def test_one_seed_of_every_arm_comes_first():
    planned = list(poolings.runs(poolings.PRESETS["cpu"]))
    groups = poolings.PRESETS["cpu"]["groups"].values()
    arms = sum(len(group["poolings"]) for group in groups)
    assert all(key.endswith("seed-0") for key in planned[:arms])
    every = sum(len(group["poolings"]) * len(group["seeds"]) for group in groups)
    assert len(planned) == len(set(planned)) == every > 2 * arms


def row(values, paper=None, **more):
    return {
        "seeds": list(range(len(values))), "accuracy": values, "epochs": 20, "images": 45_000,
        "paper": paper, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([2.0], "undecided"),
        ([2.0, 2.1, 2.2], "confirmed"),
        ([2.0, -1.0, 0.5], "undecided"),
        ([-2.0, -2.1, -2.2], "contradicted"),
    ],
)
def test_the_rule(gains, verdict):
    rows = {
        "strided": row([90.0] * 3, 91.06),
        "spectral": row([90.0 + gain for gain in gains], 93.49),
    }
    work = {"spectral": 3e15, "strided": 2e15}
    found = poolings.claims(
        {"resnet18 cifar10": rows},
        {"resnet18 cifar10": poolings._POOLINGS},
        lambda _, arm: work[arm],
    )
    found, *others = [one for one in found if "corruptions" not in one["claim"]]
    assert {one["verdict"] for one in others} == {"not run"}
    assert found["verdict"] == verdict and found["printed"] == 2.43
    assert found["effect"] == pytest.approx(sum(gains) / len(gains))
    assert found["where"] == "DiffStride, Table 1" and not found["added"]
    assert found["note"] == "at 1.50 times the operations of the other arm"


def test_what_was_trained_on_fgsm_is_judged_under_attack():
    rows = {
        "strided": row([80.0, 80.0], attack=[0.0, 1.0]),
        "spectral": row([70.0, 70.0], attack=[30.0, 31.0]),
    }
    name = "resnet18 cifar10, FGSM"
    (found,) = poolings.claims({name: rows}, {name: ["strided", "spectral"]}, lambda *_: None)
    assert found["effect"] == 30 and found["where"] == "FLC"


def test_a_run_of_seconds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        poolings_main(["--preset", "smoke", "--results", "results"])
    assert stopped.value.code == 0
    stored = json.loads((tmp_path / "results" / "poolings.json").read_text())
    assert stored["finished"] and (tmp_path / "results" / "poolings.png").exists()
    assert (tmp_path / "results" / "poolings_work.png").exists()
    assert (tmp_path / "results" / "poolings_minutes.png").exists()
    speeds = stored["content"]["speeds"]
    assert all(0 < speed < 1e6 for group in speeds.values() for speed in group.values())
    table = stored["content"]["table"]
    assert list(table) == ["quick_spectral digits", "quick_spectral digits, FGSM"]
    for name, rows in table.items():
        part = "attack" if "FGSM" in name else "corruption"
        assert all(0 <= one[part][0] <= 100 for one in rows.values())
        assert list(speeds[name]) == list(rows)
    assert {one["verdict"] for one in stored["content"]["claims"]} == {"undecided"}


def poolings_main(arguments):
    from figures._figure import main

    main(poolings.FIGURE, arguments)
