"""Training that starts from weights: new heads, frozen layers, resuming."""

import json
import pathlib
import re
import shutil

import keras
import numpy as np
import pytest

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.train import TrainOptions
from spectral_keras.models.preset import PRESETS, Preset
from spectral_keras.models.weights import named_weights

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)
DIGITS = "deep_spectral_digits"
# The network of the preset, on images of another size and of three classes.
SAME = (
    "--width", "0.15", "--padding", "valid", "--grayscale", "--image-size", "24",
    "--batch-size", "16", "--augment", "none",
)  # fmt: skip
RUN = {"name": "deep_spectral"}


def weights_of(run):
    return named_weights(keras.saving.load_model(run / "best.keras"))


def test_a_new_head_on_a_frozen_body(command, npz, tmp_path):
    folder = tmp_path / "run"
    status, out, err = command(
        *SAME, "--dataset", npz, "--epochs", 1, "--weights", DIGITS, "--freeze", "conv5",
        "--output", folder, **RUN,
    )  # fmt: skip
    assert (status, err) == (0, "") and f"weights of {DIGITS}" in out
    preset, found = Preset(DIGITS), weights_of(folder)
    for name, before in preset.weights().items():
        layer = name.split("/")[0]
        if layer in ("conv1", "conv2", "conv3", "conv4", "conv5"):
            np.testing.assert_array_equal(found[name], before.astype("float32"), err_msg=name)
        elif layer == "conv6" and not name.endswith("imag"):  # a 1x1 kernel has no imaginary part
            assert (found[name] != before).any()
            assert np.abs(found[name] - before).max() < 0.1  # from there, not from new weights
        elif layer == "logits_maps":
            assert found[name].shape[-1] == 3
    config = json.loads((folder / "config.json").read_text())
    assert config["options"]["weights"] == DIGITS and config["options"]["freeze"] == "conv5"
    assert config["weights"]["sha256"] == preset.sha256
    assert {name.split("/")[0] for name in config["weights"]["new_head"]} == {"logits_maps"}


def test_from_a_run_or_a_file_with_the_same_classes(command, npz, tmp_path):
    """At a rate of nothing the weights are what they were, the head's too."""
    common = (*SAME, "--dataset", npz, "--epochs", 1)
    assert command(*common, "--output", tmp_path / "first", **RUN)[0] == 0
    for number, place in enumerate(("first", "first/best.keras")):
        folder = tmp_path / f"again{number}"
        status, _, err = command(
            *common, "--learning-rate", 1e-12, "--seed", 5, "--weights", tmp_path / place,
            "--output", folder, **RUN,
        )  # fmt: skip
        assert (status, err) == (0, "")
        found = weights_of(folder)
        for name, before in weights_of(tmp_path / "first").items():
            np.testing.assert_allclose(found[name], before, atol=1e-6, err_msg=name)
        assert json.loads((folder / "config.json").read_text())["weights"]["new_head"] == []


def test_resume_compares_the_weights(command, npz, tmp_path):
    preset = pathlib.Path(shutil.copytree(PRESETS / DIGITS, tmp_path / "mine"))
    arguments = (
        *SAME, "--dataset", npz, "--schedule", "constant", "--weights", preset,
        "--output", tmp_path / "run",
    )  # fmt: skip
    assert command(*arguments, "--epochs", 1, **RUN)[0] == 0
    status, _, err = command(*arguments, "--epochs", 2, "--resume", **RUN)
    assert (status, err) == (0, "")
    status, _, err = command(*arguments, "--epochs", 2, "--resume", "--freeze", "conv1", **RUN)
    assert status == 2 and "was started with --freeze None, not conv1" in err
    content = (preset / "model.weights.npz").read_bytes()
    (preset / "model.weights.npz").write_bytes(content + b" ")
    status, _, err = command(*arguments, "--epochs", 3, "--resume", **RUN)
    assert status == 2 and "was started with --weights" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (("--weights", "deep_spectral_digit"), f"there is no model .*{DIGITS}"),
        (("--weights", "nothing.keras"), "there is no model nothing.keras"),
        (("--weights", DIGITS, "--freeze", "conv9"), "no such layer; it has conv"),
        (("--weights", DIGITS, "--freeze", "logits"), "nothing is left to train"),
        (
            ("--weights", DIGITS, "--width", "0.2"),
            "--padding valid --width 0.15, images of 32x32x1",
        ),
        (("--weights", DIGITS, "--conv", "spatial"), "of another one"),
    ],
)
def test_what_does_not_fit_is_one_line(command, npz, tmp_path, monkeypatch, more, match):
    monkeypatch.chdir(tmp_path)
    status, _, err = command(*SAME, "--dataset", npz, "--epochs", 1, *more, **RUN)
    assert status == 2 and err.count("\n") == 1
    assert re.search(match, err), err
    assert not (tmp_path / "runs").exists()


def test_freezing_needs_weights():
    with pytest.raises(CommandError, match="argument --freeze: it is for --weights"):
        TrainOptions("deep_spectral", freeze="conv1")
