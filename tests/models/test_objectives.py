"""Auxiliary tasks and adversarial training by the training command."""

import argparse
import json

import keras
import numpy as np
import pytest

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.fit import ResumableFit
from spectral_keras.experiments.options import fraction
from spectral_keras.experiments.train.objectives import training_model
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.models import registry
from spectral_keras.training import AdversarialModel, AuxiliaryModel
from tests.models.runs import TINY, assert_same_run, history

BOTH = ("--aux", "fourier", "--aux-tap", "pool1", "--adversarial", "pgd", "--adversarial-steps", 2)


def built(*arguments, name="resnet18"):
    options = TrainOptions.of_command(name, [*map(str, arguments), "--width", "0.05"])
    return training_model(registry.build(name, (32, 32, 3), 10, **options.network), options)


class TestOptions:
    @pytest.mark.parametrize(("text", "value"), [("8/255", 8 / 255), ("0.03", 0.03), ("0", 0)])
    def test_fraction(self, text, value):
        assert fraction()(text) == value

    @pytest.mark.parametrize("text", ["-1/255", "8/0", "nan", "inf", "a", "", "1/2/3"])
    def test_bad_fraction(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match="expected .*received"):
            fraction()(text)

    def test_ends_of_a_fraction(self):
        assert fraction(high=1)("1") == 1
        with pytest.raises(argparse.ArgumentTypeError, match="<= 1, received '1.01'"):
            fraction(high=1)("1.01")
        with pytest.raises(argparse.ArgumentTypeError, match="> 0, received '0/255'"):
            fraction(low_open=True)("0/255")

    def test_plain_training_has_no_model_around_the_network(self):
        model = built()
        assert model.name == "resnet18" and not hasattr(model, "classifier")

    def test_auxiliary(self):
        model = built("--aux", "fourier", "--aux-weight", 0.5, "--aux-phase", "cos_sin")
        assert type(model) is AuxiliaryModel and model.attack is None
        assert (model.task, model.weight, model.variant) == ("fourier", 0.5, "consistent")
        assert tuple(model.decoder.output.shape[1:]) == (32, 32, 3)
        assert (model.target.magnitude, model.target.phase) == ("log", "cos_sin")

    def test_adversarial(self):
        arguments = ("--adversarial-eps", "4/255", "--adversarial-share", "0.5")
        model = built("--adversarial", "pgd", *arguments, "--validate-on", "clean")
        assert type(model) is AdversarialModel
        attack = model.attack.attack
        assert (attack.name, attack.eps) == ("pgd", pytest.approx(4 / 255))
        assert (model.attack.share, model.validate_on) == (0.5, "clean")
        assert model.attack.labels == "given" and tuple(attack.clip) == (0, 1)

    def test_mode_of_the_attack(self):
        model = built("--adversarial", "fgsm", "--adversarial-mode", "training")
        assert model.attack.training_mode and tuple(model.attack.attack.clip) == (0, 1)
        with pytest.raises(CommandError, match="--adversarial-mode"):
            built("--adversarial", "pgd", "--adversarial-mode", "training")

    def test_published(self):
        arguments = ("--aux", "fourier", "--aux-variant", "published")
        model = built(*arguments, "--adversarial", "fgsm", "--adversarial-eps", 0.075)
        assert model.target.roll_batch and model.target.magnitude == "raw"
        attack = model.attack
        assert (attack.labels, attack.training_mode) == ("predicted", True)
        assert attack.attack.clip is None
        assert model.decoder.layers[-1].get_config()["activation"] == "relu"


class TestRun:
    def test_files_and_numbers(self, command, npz, tmp_path):
        folder = tmp_path / "run"
        arguments = (*TINY, *BOTH, "--dataset", npz, "--output", folder)
        status, out, err = command(*arguments, "--epochs", 2)
        assert (status, err) == (0, "")
        rows = history(folder)
        for prefix in ("", "val_"):
            for row in rows:
                whole, classification, auxiliary = (
                    float(row[prefix + key])
                    for key in ("loss", "classification_loss", "auxiliary_loss")
                )
                assert whole == pytest.approx(classification + 0.01 * auxiliary, rel=1e-5)
        # The saved model is the plain network, and the reported accuracy its own.
        model = keras.saving.load_model(folder / "best.keras")
        assert model.name == "spectral_pool_cnn"
        assert "decoder" not in {layer.name for layer in model.layers}
        result = json.loads((folder / "result.json").read_text())
        assert result["parameters"] == model.count_params()
        assert f"{result['parameters']:,} parameters, decoder " in out
        with np.load(npz) as data:
            logits = model.predict(data["x_test"].astype("float32") / 255, verbose=0)
            accuracy = np.mean(logits.argmax(1) == data["y_test"])
        assert accuracy == pytest.approx(result["test_accuracy"], abs=1e-6)

    def test_resumed_run_ends_as_the_uninterrupted_one(self, command, npz, tmp_path, monkeypatch):
        """With random starts: the state of the attacks' generators is part of a checkpoint."""
        arguments = (*TINY, *BOTH, "--adversarial-random-start", "true", "--dataset", npz)
        arguments = (*arguments, "--epochs", 3)
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        command(*arguments, "--output", whole)

        class Killed(BaseException):
            pass

        checkpoint = ResumableFit._save

        def then_die(self):
            checkpoint(self)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(ResumableFit, "_save", then_die)
            with pytest.raises(Killed):
                command(*arguments, "--output", killed)
        status, out, _ = command(*arguments, "--output", killed, "--resume")
        assert status == 0 and "continuing after epoch 1 of 3" in out
        assert_same_run(whole, killed)

    def test_published_variant_keeps_the_last_weights(self, command, npz, tmp_path):
        arguments = (*TINY, "--aux", "fourier", "--aux-tap", "pool1", "--aux-variant", "published")
        folder = tmp_path / "run"
        command(*arguments, "--dataset", npz, "--epochs", 3, "--output", folder)
        assert json.loads((folder / "result.json").read_text())["best_epoch"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--aux", "wavelet"), "--aux"),
        (("--aux", "fourier", "--aux-tap", "pol1"), "'pool1'"),
        (("--aux", "fourier", "--aux-weight", "-1"), "--aux-weight"),
        (("--adversarial", "fgsm", "--adversarial-eps", "8/0"), "'8/0'"),
        (("--adversarial", "fgsm", "--adversarial-steps", "3"), "--adversarial-steps"),
        (("--adversarial", "fgsm", "--adversarial-share", "2"), "--adversarial-share"),
        (("--adversarial", "cw"), "--adversarial"),
        (("--adversarial", "fgsm", "--adversarial-eps", "8"), "--adversarial-eps"),
        (("--aux", "fourier", "--aux-tap", "conv1"), "must give maps that are smaller"),
        (
            ("--adversarial", "pgd", "--aux-variant", "published"),
            "--aux-variant published has no --adversarial pgd",
        ),
        (
            ("--aux", "fourier", "--aux-phase", "cos_sin", "--aux-variant", "published"),
            "--aux-variant published has no --aux-phase cos_sin",
        ),
    ],
)
def test_bad_input(command, npz, tmp_path, arguments, message):
    folder = tmp_path / "run"
    status, out, err = command(*TINY, *arguments, "--dataset", npz, "--output", folder)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert message in err
    assert not folder.exists()
