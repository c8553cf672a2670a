"""The preset command: from a run to a preset, what it refuses, its check of a card."""

import json
import pathlib
import shutil
import types

import keras
import numpy as np
import pytest

from spectral_keras import models
from spectral_keras.experiments import zoo
from spectral_keras.experiments.evaluate import EvaluateOptions, evaluate
from spectral_keras.experiments.preset import (
    PresetOptions,
    check_preset,
    command,
    make_preset,
)
from spectral_keras.experiments.preset.card import _attack
from spectral_keras.experiments.preset.evidence import Evaluations, _objective
from spectral_keras.experiments.train import TrainOptions, train
from spectral_keras.models.preset import PRESETS, Preset
from tests.models.runs import by_hand, write_tiny

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)
DIGITS = "deep_spectral_digits"
NETWORK = {"num_pairs": 1, "width": 0.1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a data set and a finished run on it."""
    folder = tmp_path_factory.mktemp("finished")
    data = write_tiny(folder / "tiny.npz")
    train(
        TrainOptions(
            "spectral_pool_cnn", NETWORK, dataset=data, epochs=2, batch_size=16, augment="none",
            output=str(folder / "run"),
        )
    )  # fmt: skip
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run that a test may change."""
    return pathlib.Path(shutil.copytree(finished / "run", tmp_path / "run"))


@pytest.fixture
def preset(capsys):
    """Runs the command in this process; returns (status, stdout, stderr)."""

    def start(*arguments):
        with pytest.raises(SystemExit) as stopped:
            command.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return start


def change(path, **values):
    path.write_text(by_hand(json.loads(path.read_text()) | values))


class TestMake:
    def test_a_preset_has_the_runs_network(self, preset, run, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        names = ("dark", "mid", "light")
        texts = ("--licence", "CC0-1.0", "--intended-use", "Tests.", "--limits", "All of them.")
        status, out, err = preset("run", "--name", "bright", *texts, "--class-names", *names)
        assert (status, err) == (0, "") and "float16 costs 0.00 points" in out
        folder = tmp_path / "presets" / "bright"
        made, result = Preset(folder), json.loads((run / "result.json").read_text())
        assert made.class_names == ["dark", "mid", "light"] and made.input_shape == (8, 8, 3)
        assert made.options["width"] == 0.1 and made.options["gamma"] == 0.85
        x = np.random.default_rng(0).random((5, 8, 8, 3), "float32")
        before = keras.saving.load_model(run / "best.keras")(x)
        np.testing.assert_allclose(models.from_preset(folder)(x), before, atol=2e-3)
        metadata = made.metadata
        assert metadata["clean"]["accuracy"] == pytest.approx(result["test_accuracy"], abs=1e-5)
        assert metadata["training"]["command"] == result["command"]
        assert metadata["training"]["seeds"] == [0] and metadata["size"]["images_per_second"] > 0
        assert metadata["size"]["parameters"] == result["parameters"]
        card = (folder / "README.md").read_text()
        assert "license: cc0-1.0" in card and "## Use\n\nTests.\n\nLimits: All of them." in card
        assert f"clean | {100 * result['test_accuracy']:.2f} %" in card
        assert "| under corruptions | not measured |\n| under PGD | not measured |" in card
        # What is there is replaced only if that is asked for.
        status, _, err = preset("run", "--name", "bright")
        assert status == 2 and "already holds a preset" in err
        assert preset("run", "--name", "bright", "--overwrite")[0] == 0
        assert Preset(folder).sha256 == made.sha256 and Preset(folder).class_names[0] == "0"

    def test_evaluations_stand_on_the_card(self, preset, run, tmp_path):
        folder = tmp_path / "bright"
        arguments = (run, "--name", "bright", "--output", folder)
        assert preset(*arguments)[0] == 0
        options = {"attack": ["pgd"], "eps": [8 / 255], "steps": 2, "corruptions": ["fog"]}
        found = evaluate(EvaluateOptions(str(folder), images=15, **options))
        status, _, err = preset(*arguments, "--overwrite", "--evaluations", f"{folder}-evaluated")
        assert (status, err) == (0, "")
        metadata = Preset(folder).metadata
        (attack,) = metadata["attacks"]
        assert attack["accuracy"] == found["attacks"][0]["points"][0]["accuracy"]
        assert (attack["steps"], attack["images"]) == (2, 15)
        severities = found["corruptions"][0]["corruptions"]["fog"]
        mean = sum(point["accuracy"] for point in severities) / 5
        assert metadata["corruptions"]["accuracies"] == {"fog": mean}
        card = (folder / "README.md").read_text()
        assert "Linf eps 8/255, 2 steps of 2.5 eps / steps" in card and "not measured" not in card
        # They say nothing of other weights.
        other = tmp_path / "other-evaluated"
        shutil.copytree(f"{folder}-evaluated", other)
        content = json.loads((other / "attacks.json").read_text())
        change(other / "attacks.json", model_sha256="0" * 64, entries=content["entries"])
        status, _, err = preset(*arguments, "--overwrite", "--evaluations", other)
        assert status == 2 and "other weights" in err and err.count("\n") == 1

    @pytest.mark.parametrize(
        ("spoil", "match"),
        [
            (lambda run: (run / "result.json").unlink(), "has no result.json: finish"),
            (lambda run: (run / "best.keras").unlink(), "has no best.keras: finish"),
            (lambda run: (run / "config.json").unlink(), "not the folder of a training run"),
            (lambda run: change(run / "result.json", epochs=1), "for 1 of 2 epochs"),
            (lambda run: change(run / "result.json", test_accuracy=0.01), "other weights or data"),
            (lambda run: change(run / "result.json", test_accuracy=None), "is damaged"),
            (lambda run: change(run / "config.json", model="mine"), "no network of the zoo"),
            (lambda run: (run / "history.csv").write_text("epoch\n"), "another history.csv"),
        ],
    )
    def test_refuses_what_is_no_finished_run(self, preset, run, tmp_path, spoil, match):
        spoil(run)
        status, out, err = preset(run, "--name", "bright", "--output", tmp_path / "p")
        assert status == 2 and match in err and err.count("\n") == 1
        assert not (tmp_path / "p").exists() and "float16 costs" not in out

    @pytest.mark.parametrize(
        ("value", "match", "expected"), [(np.nan, "not finite", 1), (1e5, "float16", 2)]
    )
    def test_refuses_weights_that_are_not_finite(
        self, preset, run, tmp_path, value, match, expected
    ):
        model = keras.saving.load_model(run / "best.keras")
        weights = model.get_weights()
        weights[0].flat[0] = value
        model.set_weights(weights)
        model.save(run / "best.keras")
        status, _, err = preset(run, "--name", "bright", "--output", tmp_path / "p")
        assert status == expected and match in err and not (tmp_path / "p").exists()

    def test_a_place_that_cannot_be_written_is_found_before_anything_is_measured(
        self, preset, run, tmp_path, monkeypatch
    ):
        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(pathlib.Path, "mkdir", refuse)
        status, out, err = preset(run, "--name", "bright", "--output", tmp_path / "p")
        assert (status, out) == (2, "") and "p cannot be written: Permission denied" in err

    def test_refuses_what_is_too_large_or_loses_too_much(self, preset, run, tmp_path, monkeypatch):
        arguments = (run, "--name", "bright", "--output", tmp_path / "p")
        monkeypatch.setattr(command, "LARGEST", 100)
        status, _, err = preset(*arguments)
        assert status == 2 and "a preset has at most 100" in err
        monkeypatch.undo()
        monkeypatch.setattr(command, "_COST", -1e-9)
        status, _, err = preset(*arguments)
        assert status == 2 and "float16 costs 0.00 points" in err and not (tmp_path / "p").exists()

    @pytest.mark.parametrize(
        ("more", "match"),
        [
            ((), "give the preset a --name"),
            (("--name", "Bad Name"), "small letters"),
            (("--name", "bright", "--class-names", "one"), "has 3 classes, received 1"),
            (("--name", "bright", "--evaluations", "nowhere"), "nowhere"),
        ],
    )
    def test_bad_options(self, preset, run, more, match, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        status, _, err = preset(run, *more)
        assert status == 2 and match in err and err.count("\n") == 1
        assert not (tmp_path / "presets").exists()


class TestCheck:
    def test_the_digits_are_what_their_card_says(self, preset):
        status, out, err = preset(DIGITS, "--check")
        assert (status, err) == (0, "") and "its card says" in out

    def test_a_card_that_is_wrong_is_noticed(self, tmp_path):
        folder = shutil.copytree(PRESETS / DIGITS, tmp_path / "mine")
        clean = Preset(folder).metadata["clean"]
        wrong = clean["accuracy"] - 0.0011
        for values in ({"accuracy": wrong}, {"accuracy": float("nan")}, {"images": 7}):
            change(pathlib.Path(folder) / "metadata.json", clean=clean | values)
            with pytest.raises(command.CommandError, match="its card says"):
                check_preset(folder)
        change(pathlib.Path(folder) / "metadata.json", clean=clean)
        assert check_preset(folder) == clean["accuracy"]

    @pytest.mark.parametrize("clean", [None, [], {}, {"accuracy": "x", "images": 1}])
    def test_a_card_that_says_nothing(self, tmp_path, clean):
        folder = pathlib.Path(shutil.copytree(PRESETS / DIGITS, tmp_path / "mine"))
        change(folder / "metadata.json", clean=clean)
        with pytest.raises(command.CommandError, match="the preset .*mine is damaged"):
            check_preset(folder)

    def test_no_preset(self, preset, run):
        assert "no preset" not in preset(DIGITS, "--check")[2]
        for name in ("deep_spectral_digit", run):
            status, _, err = preset(name, "--check")
            assert status == 2 and "no" in err and err.count("\n") == 1


class TestByName:
    """Commands about a classifier take a preset's name."""

    def test_evaluate(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        found = evaluate(EvaluateOptions(DIGITS, attack=["fgsm"], eps=[0.1], images=20))
        assert found["attacks"][0]["clean"]["accuracy"] > 0.8
        assert (tmp_path / "runs" / f"{DIGITS}-evaluated" / "result.json").exists()

    def test_explain(self, tmp_path, monkeypatch):
        from spectral_keras.experiments.explain import ExplainOptions, explain

        monkeypatch.chdir(tmp_path)
        options = {"images": 10, "epochs": 1, "heat_map": True, "heat_map_images": 2}
        report = explain(ExplainOptions(DIGITS, **options))
        assert report["accuracy"]["plain"]["share"] > 0.7
        assert (tmp_path / "runs" / f"{DIGITS}-explained" / "heat_map.npy").exists()

    @pytest.mark.parametrize("model", ["deep_spectral_digit", "nothing"])
    def test_a_wrong_name_lists_names(self, tmp_path, monkeypatch, model):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(command.CommandError, match=f"there is no model {model}.*{DIGITS}"):
            evaluate(EvaluateOptions(model, attack=["fgsm"]))

    def test_other_data_than_the_presets(self, finished, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(command.CommandError, match="takes images of shape"):
            evaluate(EvaluateOptions(DIGITS, attack=["fgsm"], dataset=str(finished / "tiny.npz")))

    def test_the_list(self, capsys, monkeypatch):
        # The networks, which take their time, are listed elsewhere.
        monkeypatch.setattr(zoo, "registry", types.SimpleNamespace(names=list))
        assert zoo.main([]) == 0
        out = capsys.readouterr().out
        (line,) = [line for line in out.splitlines() if line.startswith(f"{DIGITS} ")]
        clean = models.presets()[DIGITS]["clean"]["accuracy"]
        assert f"{100 * clean:.2f}" in line.split()
        assert max(map(len, out.splitlines())) <= 100
        assert zoo.main(["--csv"]) == 0
        assert capsys.readouterr().out == (PRESETS / "results.csv").read_text()


def test_a_preset_of_a_preset_options_object(run, tmp_path):
    """From Python, with names that the data set has."""
    folder = tmp_path / "p"
    metadata = make_preset(PresetOptions(str(run), name="bright", output=str(folder)))
    assert metadata["clean"]["images"] == 30 and Preset(folder).class_names == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        (
            {"adversarial": "fgsm", "adversarial_eps": 0.03},
            ["adversarial training: FGSM, eps 0.03"],
        ),
        ({"adversarial": "pgd"}, ["adversarial training: PGD-7, eps 8/255"]),
        (
            {"adversarial": "pgd", "adversarial_steps": 5, "adversarial_share": 0.5},
            ["adversarial training: PGD-5, eps 8/255, 0.5 of a batch"],
        ),
        ({"aux": "fourier"}, ["auxiliary task: fourier, weight 0.01"]),
        (
            {"suppression": 1 / 3, "noise": 1.0},
            [
                "power suppression of 0.3333 of the images",
                "noise of variance 1 on the amplitudes of the spectrum",
            ],
        ),
    ],
)
def test_the_card_says_what_else_was_trained_on(options, words):
    assert list(_objective(TrainOptions("resnet18", **options))) == words


def test_the_card_says_what_an_attack_had():
    entry = {
        "attack": "fgsm", "norm": "inf", "labels": "predicted", "images": 4,
        "points": [{"eps": 4 / 255, "accuracy": 0.5, "interval": [0.2, 0.8]}],
    }  # fmt: skip
    (attack,) = Evaluations._attacks([entry], "float32 weights")
    text = _attack(attack)
    assert "None" not in text and "start" not in text and "seed" not in text
    assert text.endswith("Linf eps 4/255, predicted labels; float32 weights")
    (attack,) = Evaluations._attacks(
        [entry | {"attack": "pgd", "steps": 3, "step_size": None, "restarts": 2, "seed": 5,
                  "labels": "given"}],
        "float32 weights",
    )  # fmt: skip
    assert "3 steps of 2.5 eps / steps, 2 random start(s), seed 5; float32" in _attack(attack)
