"""The commands as functions of a program."""

import importlib
import importlib.util

import keras
import pytest

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.explain import ExplainOptions, explain
from spectral_keras.experiments.preset import check_preset
from spectral_keras.experiments.train import TrainOptions, train

PRESET = "deep_spectral_digits"


def _train(folder, none):
    train(TrainOptions("deep_spectral", dataset=none, precision="bfloat16", output=f"{folder}/run"))


def _explain(folder, none):
    explain(ExplainOptions(PRESET, dataset=none, output=f"{folder}/explained"))


def _check_preset(folder, none):
    check_preset(PRESET, data_dir=none)


def _search(folder, none):
    if importlib.util.find_spec("keras_tuner") is None:
        pytest.skip("a search needs Keras Tuner")
    from spectral_keras.experiments.search.command import search
    from spectral_keras.experiments.search.options import SearchOptions

    training = {"dataset": none, "precision": "bfloat16"}
    search(SearchOptions("generic_cnn", training=training, output=f"{folder}/search"))


@pytest.mark.parametrize("call", [_train, _explain, _check_preset, _search])
def test_the_precision_of_the_program_is_left(call, tmp_path, monkeypatch):
    def load(*_, **__):
        changed.append(keras.config.dtype_policy().name)
        raise ValueError("no data")

    changed = []
    # What they all import when they get there.
    monkeypatch.setattr(importlib.import_module("spectral_keras.data"), "load", load)
    keras.config.set_dtype_policy("float64")
    with pytest.raises(CommandError, match="no data"):
        call(tmp_path, str(tmp_path / "none.npz"))
    assert keras.config.dtype_policy().name == "float64" != changed[0]


def test_a_run_of_a_version_with_fewer_options():
    """It did without what a recipe has since; what it says of itself stays."""
    now = TrainOptions("quick_spectral")
    config = {"model": now.model, "options": {"epochs": 7, "label_smoothing": 0.1}}
    before = TrainOptions.of_config(config)
    assert (before.epochs, before.label_smoothing) == (7, 0.1)
    assert before.lookahead == before.ema == 0 != now.lookahead
