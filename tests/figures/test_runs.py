"""The trainings of a figure: what of their folders is used again."""

import types

import keras
import pytest

from figures._runs import train_once
from spectral_keras.experiments.fit import ResumableFit
from tests.models.runs import write_tiny

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)
MODEL = "spectral_pool_cnn"


@pytest.fixture
def once(tmp_path):
    """Function (how it is trained) of the record of one training, for a figure without any."""
    options = {"dataset": write_tiny(tmp_path / "tiny.npz"), "num_pairs": 1, "batch_size": 16}
    options |= {"augment": "none", "epochs": 2}

    def call(overwrite=False, **how):
        experiment = types.SimpleNamespace(
            content={}, used_runs=set(), folder=tmp_path, data_dir=None, overwrite=overwrite,
            say=print, save=lambda: None,
        )  # fmt: skip
        return train_once(experiment, "one", MODEL, options, **how)

    return call


def no_training(monkeypatch):
    monkeypatch.setattr(ResumableFit, "fit", lambda *_, **__: pytest.fail("it trains"))


@pytest.mark.parametrize("how", [{}, {"training_error": True}, {"evaluate": False}])
def test_a_finished_run_is_not_trained_again(once, tmp_path, monkeypatch, how):
    """Its checkpoints are gone; the figure does not know it."""
    first = once(**how)
    before = {path: path.read_bytes() for path in (tmp_path / "one").glob("*.*")}
    assert not (tmp_path / "one" / "checkpoints").exists()
    no_training(monkeypatch)
    assert once(**how) == first
    assert before == {path: path.read_bytes() for path in (tmp_path / "one").glob("*.*")}
    if "evaluate" in how:  # for a figure that wants to know more
        record = once(training_error=True)
        assert record["history"] == first["history"]
        assert {"test_accuracy", "train_error_percent"} <= record["result"].keys()
    else:
        (tmp_path / "one" / "result.json").write_text("{")
        again = once(**how)["result"]
        assert again["test_accuracy"] == first["result"]["test_accuracy"]


def test_what_is_damaged_or_to_be_replaced_is_trained_again(once, tmp_path, capsys):
    folder = tmp_path / "one"
    first = once(evaluate=False)["history"]
    weights = (folder / "best.keras").read_bytes()
    for spoil, how in (
        (lambda: (folder / "history.csv").write_text("epoch\n"), {}),
        (lambda: (folder / "history.csv").write_text("epoch,loss\n1,1e\r05\n"), {}),
        (lambda: (folder / "history.csv").unlink(), {}),
        (lambda: (folder / "best.keras").unlink(), {}),
        (lambda: None, {"overwrite": True}),
    ):
        spoil()
        assert once(evaluate=False, **how)["history"]["loss"] == first["loss"]
        assert (folder / "best.keras").read_bytes() != weights
        weights = (folder / "best.keras").read_bytes()
    assert "history.csv cannot be read" in capsys.readouterr().out
