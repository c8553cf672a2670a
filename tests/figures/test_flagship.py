"""The flagship table, and the queue of all figures."""

import json
import shlex

import keras
import pytest

from figures import flagship, run
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.models import registry
from spectral_keras.models.macs import count_macs

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)


def row(arm, errors, dataset="cifar10"):
    return {
        "arm": arm, "errors": errors, "dataset": dataset, "epochs": 20,
        "rippel": flagship.RIPPEL.get(dataset), "spectral": " max" not in arm,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([], "not run"),
        ([5.0], "undecided"),
        ([7.0, 7.1, 7.2], "confirmed"),
        ([7.0, 7.1, 10.0], "undecided"),
        ([9.9, 10.0, 10.1], "contradicted"),
    ],
)
def test_the_rule(errors, verdict):
    rows = [row(f"resnet18 {name}, width 0.5", errors) for name in ("spectral", "max")]
    (found,) = flagship.claims(rows)
    assert found["verdict"] == verdict and found["printed"] == 8.6


def test_one_seed_of_every_arm_comes_first():
    planned = list(flagship.runs(flagship.PRESETS["cpu"]))
    arms = flagship.PRESETS["cpu"]["arms"]
    assert all(key.endswith("seed-0") for key in planned[: len(arms)])
    assert len(planned) == len(set(planned)) == sum(len(arm["seeds"]) for arm in arms)
    assert planned[0] == "cifar10-resnet18-spectral-width-0.25-seed-0"


def test_the_queue_runs_what_is_missing(tmp_path, monkeypatch, capsys):
    """Smoke: the plan before, the run, the plan after, and nothing to do the second time."""
    monkeypatch.chdir(tmp_path)
    arguments = ["--preset", "smoke", "--only", "flagship", "--results", "results"]
    for more, line in (
        (["--list"], "0 of 2  not known"),
        ([], "0 of 2  not known"),
        ([], "2 of 2  nothing"),
    ):
        with pytest.raises(SystemExit) as stopped:
            run.main([*arguments, *more])
        assert stopped.value.code == 0
        assert line in capsys.readouterr().out
    stored = json.loads((tmp_path / "results" / "flagship.json").read_text())
    assert stored["finished"] and (tmp_path / "results" / "flagship.png").exists()
    assert len(stored["content"]["rows"]) == 2 and stored["content"]["claims"] == []
    for one in stored["content"]["rows"]:
        assert len(one["errors"]) == 1 and 0 <= one["mean"] <= 100
    # The twins have the same weights.
    assert len({one["parameters"] for one in stored["content"]["rows"]}) == 1


def test_the_time_of_the_queue_ends(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        run.main(["--preset", "smoke", "--only", "flagship", "--hours", "1e-6", "--results", "r"])
    assert stopped.value.code == 0
    assert "the time is over; the same command continues" in capsys.readouterr().out


def test_records_of_other_settings_are_not_done(tmp_path):
    """The name of a run is not its command."""
    planned = flagship.runs(json.loads(json.dumps(flagship.PRESETS["smoke"])))
    key, (model, options) = next(iter(planned.items()))
    commands = {
        epochs: TrainOptions.of_values(model, options | {"epochs": epochs}).arguments()
        for epochs in (1, 2)
    }
    wanted = run.RunOptions(preset="smoke", results=str(tmp_path))
    for epochs, count in ((1, 1), (2, 0)):
        command = f"python -m models.{model} {shlex.join(commands[epochs])}"
        runs = {key: {"command": command, "result": {"seconds": 1.0}}}
        stored = {"preset": "smoke", "settings": {}, "content": {"runs": runs}}
        (tmp_path / "flagship.json").write_text(json.dumps(stored))
        assert len(run.state(flagship.FIGURE, wanted)["done"]) == count


def test_operations_of_a_training():
    options = {"width": 0.25, "pooling": "strided", "epochs": 20, "dataset": "cifar10"}
    plain = run.operations(TrainOptions.of_values("resnet18", options))
    macs = count_macs(registry.build("resnet18", width=0.25, pooling="strided"))
    assert plain == 6 * macs * 45_000 * 20
    attack = {"adversarial": "pgd", "adversarial_steps": 3, "adversarial_share": 0.5}
    attacked = run.operations(TrainOptions.of_values("resnet18", options | attack))
    assert attacked == pytest.approx(2.5 * plain)
    assert run.operations(TrainOptions.of_values("resnet18", {"dataset": "digits"})) is None
