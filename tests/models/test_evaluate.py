"""The evaluation command: numbers, merging, resume after SIGKILL, bad input."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from spectral_keras.attacks import RADII, fgsm, pgd
from spectral_keras.classifiers import predict_classes
from spectral_keras.corruptions import corrupt
from spectral_keras.corruptions import names as corruption_names
from spectral_keras.corruptions.frost_texture import DESCRIPTION
from spectral_keras.data import DataWarning, cifar10c, load
from spectral_keras.evaluation import attack_outcomes, wilson_interval
from spectral_keras.experiments import subject as _subject
from spectral_keras.experiments.corrupt import command as corrupt_command
from spectral_keras.experiments.evaluate import attacks as _evaluate_attacks
from spectral_keras.experiments.evaluate import command as evaluate
from spectral_keras.experiments.evaluate.attacks import add_call, made_by
from spectral_keras.experiments.evaluate.options import EvaluateOptions
from spectral_keras.experiments.evaluate.plot import draw_robustness, eps_text, label
from spectral_keras.experiments.folder import read_json
from spectral_keras.experiments.preset import PresetOptions, make_preset
from spectral_keras.experiments.train import command as _train
from spectral_keras.experiments.train import run as _run
from spectral_keras.experiments.train.run import RunFolder
from tests.models.runs import by_hand, write_tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
FEW = ("--images", "21")
FAST = (*FEW, "--steps", "2")


def train(name, folder, *arguments):
    """Run a training command in this process."""
    with pytest.raises(SystemExit) as stopped:
        _train.main(name, [*arguments, "--augment", "none", "--output", str(folder)])
    assert stopped.value.code == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder: a small network and images whose class is their brightness."""
    folder = tmp_path_factory.mktemp("runs")
    train(
        "spectral_pool_cnn", folder / "run", "--dataset", write_tiny(folder / "tiny.npz"),
        "--num-pairs", "1", "--batch-size", "16", "--epochs", "12", "--learning-rate", "3e-3",
    )  # fmt: skip
    shutil.rmtree(folder / "run" / "checkpoints")
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def command(capsys):
    """Runs the command in this process; returns (status, stdout, stderr)."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            evaluate.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return call


def options(*arguments):
    return EvaluateOptions.of_command(["run", *arguments])


def stored(folder):
    return read_json(folder / "result.json")


def stored_config(folder):
    return read_json(folder / "config.json")


def numbers(folder):
    """The "attacks" of result.json without what depends on clock, file and command line."""
    entries = stored(folder)["attacks"]
    for entry in entries:
        entry.pop("calls")
        assert len(entry.pop("model_sha256")) == 64
        for point in entry["points"]:
            point.pop("seconds")
    return entries


def snapshot(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_numbers_and_files(run, command):
    before = stored(run)
    status, out, err = command(
        run, "--attack", "fgsm", "pgd", "--eps", "0,8/255", "0.3", "--seed", "3", *FAST
    )
    assert (status, err) == (0, "")
    after = stored(run)
    entries = after.pop("attacks")
    assert after == before
    assert [entry["attack"] for entry in entries] == ["fgsm", "pgd"]

    config = json.loads((run / "config.json").read_text())
    data = load(config["options"]["dataset"], limit_test=21)
    x, y = data.x_test.astype("float32") / 255, data.y_test
    model = keras.saving.load_model(run / "best.keras")
    clean = np.mean(predict_classes(model, x) == y)
    assert clean > 0.9  # it has learned something
    attacked = {
        "fgsm": fgsm(model, x, y, 8 / 255),
        "pgd": pgd(model, x, y, 8 / 255, steps=2, seed=3),
    }
    for entry in entries:
        assert entry["images"] == entry["limit"] == 21
        assert entry["clean"]["accuracy"] == clean
        points = {point["eps"]: point for point in entry["points"]}
        assert list(points) == [0, 8 / 255, 0.3]
        assert points[0]["accuracy"] == clean
        right = int(np.sum(predict_classes(model, attacked[entry["attack"]]) == y))
        assert points[8 / 255]["correct"] == right
        assert points[8 / 255]["accuracy"] == right / 21
        assert points[8 / 255]["interval"] == list(wilson_interval(right, 21))
        assert points[0.3]["accuracy"] < clean
        assert f"eps   8/255  {100 * right / 21:6.2f} %" in out
        (call,) = entry["calls"]
        assert call["backend"] == keras.backend.backend() and call["eps"] == [0, 8 / 255, 0.3]
    assert entries[0].keys() == entries[1].keys() - {"steps", "step_size", "restarts", "seed"}
    assert (run / "robustness.png").read_bytes()[:4] == b"\x89PNG"
    assert not [path for path in run.iterdir() if "tmp" in path.name]


def test_digits_and_the_accuracy_of_the_training_command(tmp_path, command):
    train(
        "spectral_pool_cnn", tmp_path / "run", "--dataset", "digits", "--limit", "60",
        "--epochs", "1", "--num-pairs", "1", "--width", "0.25",
    )  # fmt: skip
    assert command(tmp_path / "run", "--attack", "fgsm", "--eps", "0", "4/255")[0] == 0
    result = stored(tmp_path / "run")
    (entry,) = result["attacks"]
    assert entry["images"] == result["images"]["test"] and entry["limit"] is None
    assert entry["clean"]["accuracy"] == pytest.approx(result["test_accuracy"], abs=1e-6)


def test_calls_add_up(run, trained, tmp_path, command):
    """Other eps join their entry, other settings make another, and nothing is computed twice."""
    arguments = ("--attack", "fgsm", "pgd", *FAST)
    assert command(run, *arguments, "--eps", "0.1")[0] == 0
    status, out, _ = command(run, *arguments, "--eps", "0.05", "0.1", "0.2")
    assert status == 0
    computed = [line for line in out.splitlines() if line.endswith(" s")]
    assert len(computed) == 4 and not any("eps 0.1:" in line for line in computed)

    whole = tmp_path / "whole"
    shutil.copytree(trained, whole)
    assert command(whole, *arguments, "--eps", "0.05", "0.1", "0.2")[0] == 0
    assert numbers(run) == numbers(whole)
    accuracies = [point["accuracy"] for point in numbers(run)[1]["points"]]
    assert accuracies == sorted(accuracies, reverse=True)

    before = numbers(run)
    assert "nothing to compute" in command(run, *arguments, "--eps", "0.1")[1]
    assert numbers(run) == before
    for more in (("--restarts", "2"), ("--labels", "predicted"), ("--norm", "l2")):
        assert command(run, "--attack", "pgd", *FAST, "--eps", "0.1", *more)[0] == 0
    assert numbers(run)[:2] == before
    assert [label(entry) for entry in numbers(run)] == [
        "FGSM", "PGD-2", "PGD-2, 2 starts", "PGD-2, predicted labels", "PGD-2",
    ]  # fmt: skip
    # The training command writes result.json anew: what is known comes back.
    content = stored(run)
    del content["attacks"]
    (run / "result.json").write_text(by_hand(content))
    command(run, "--attack", "pgd", *FAST, "--eps", "0.1")
    assert len(numbers(run)) == 5


def test_numbers_of_other_conditions_are_said(capsys):
    entry, call = {"calls": []}, made_by("a command")
    add_call(entry, call)
    add_call(entry, call)
    assert capsys.readouterr().err == ""
    backend, version = call["backend"], call["versions"]["keras"]
    add_call(entry, call | {"backend": "numpy", "versions": call["versions"] | {"keras": "9"}})
    line = f"the numbers before are of backend {backend}, now numpy, keras {version}, now 9\n"
    assert capsys.readouterr().err == line and len(entry["calls"]) == 3


def test_other_weights_are_attacked_again(run, command):
    assert command(run, "--attack", "fgsm", *FEW, "--eps", "0.1")[0] == 0
    first = numbers(run)
    model = keras.saving.load_model(run / "best.keras")
    model.set_weights([-weight for weight in model.get_weights()])
    model.save(run / "best.keras")
    status, _, err = command(run, "--attack", "fgsm", *FEW, "--eps", "0.05")
    assert status == 0 and "of other weights" in err
    (entry,) = numbers(run)
    assert [point["eps"] for point in entry["points"]] == [0.05]
    assert entry["clean"] != first[0]["clean"]


def test_after_sigkill_it_goes_on(run, command, monkeypatch):
    arguments = (
        "--attack",
        "pgd",
        "--steps",
        "3",
        "--restarts",
        "2",
        "--eps",
        "0.01,0.02,0.03,0.04",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "models.evaluate", str(run), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not (run / "attacks.json").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    done = [
        o["eps"] for o in json.loads((run / "attacks.json").read_text())["entries"][0]["outcomes"]
    ]
    assert 0.01 in done
    computed = []

    def watched(*args, **options):
        for outcome in attack_outcomes(*args, **options):
            computed.append(outcome.eps)
            yield outcome

    monkeypatch.setattr(_evaluate_attacks, "attack_outcomes", watched)
    assert command(run, *arguments)[0] == 0
    assert sorted(done + computed) == [0.01, 0.02, 0.03, 0.04]
    assert [point["eps"] for point in numbers(run)[0]["points"]] == [0.01, 0.02, 0.03, 0.04]


def test_interrupted(run, command, monkeypatch):
    def interrupted(*args, **options):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(_evaluate_attacks, "attack_outcomes", interrupted)
    before = snapshot(run)
    status, _, err = command(run, "--attack", "pgd", *FAST)
    assert status == 130 and "the same command continues" in err
    assert snapshot(run) == before


def test_hidden_gradients_are_reported_in_one_line(run, command):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(keras.ops.sign(inputs) * 0.0)
    keras.Model(inputs, keras.layers.Dense(3)(x)).save(run / "best.keras")
    status, _, err = command(run, "--attack", "fgsm", *FEW, "--eps", "0.1")
    assert status == 0
    assert err.count("\n") == 1 and "models.evaluate: warning: The gradient was zero" in err


def _remove(*names):
    return lambda run: [(run / name).unlink() for name in names]


def _write(name, text):
    return lambda run: (run / name).write_text(text)


def _change(**changes):
    """Options of the run, changed in its config.json."""

    def change(run):
        config = json.loads((run / "config.json").read_text())
        config["options"] |= changes
        (run / "config.json").write_text(by_hand(config))

    return change


BAD_FOLDERS = [
    (_remove("config.json"), "nor the folder of a training run (no config.json)"),
    (_remove("best.keras"), "has no best.keras"),
    (_remove("result.json"), "has no result.json"),
    (_write("config.json", "{"), "config.json cannot be read"),
    (_write("config.json", "{}"), "config.json holds no options"),
    (_write("config.json", '{"options": {}}'), "config.json is of something else than a run"),
    (_write("config.json", '{"model": "x", "options": {}}'), "has no option 'dataset'"),
    (_write("result.json", "[]"), "result.json cannot be read"),
    (_write("best.keras", "text"), "best.keras is not a .keras file"),
    (_write("attacks.json", "{"), "attacks.json cannot be read"),
    (_change(dataset="missing.npz"), "missing.npz"),
    (_change(image_size=16), "takes images of shape (8, 8, 3)"),
]


class TestBadInput:
    @pytest.mark.parametrize(("spoil", "message"), BAD_FOLDERS)
    def test_folder(self, run, command, spoil, message):
        spoil(run)
        before = snapshot(run)
        status, out, err = command(run, "--attack", "fgsm", *FEW)
        assert (status, out) == (2, "")
        assert message in err and err.count("\n") == 1
        assert snapshot(run) == before

    def test_damaged_outcomes(self, run, command):
        assert command(run, "--attack", "fgsm", *FEW, "--eps", "0.1")[0] == 0
        content = json.loads((run / "attacks.json").read_text())
        content["entries"][0]["outcomes"][0]["correct"] = "f0"
        (run / "attacks.json").write_text(by_hand(content))
        before = snapshot(run)
        status, _, err = command(run, "--attack", "fgsm", *FEW, "--eps", "0.1")
        assert status == 2 and "attacks.json is damaged: delete it" in err
        assert snapshot(run) == before

    def test_no_folder(self, command, tmp_path):
        status, _, err = command(tmp_path / "none", "--attack", "fgsm")
        assert status == 2 and "there is no model" in err and err.count("\n") == 1
        assert not (tmp_path / "none").exists()

    def test_folder_in_use(self, run, command):
        other = RunFolder(run)
        other.open(overwrite=False)
        status, _, err = command(run, "--attack", "fgsm", *FEW)
        other.close()
        assert status == 2 and "in use by another process" in err


def test_numbers_of_other_test_images_are_not_mixed(run, command, tmp_path):
    config = json.loads((run / "config.json").read_text())
    config["options"]["dataset"] = write_tiny(tmp_path / "data.npz")
    (run / "config.json").write_text(by_hand(config))
    for more in (("--attack", "fgsm", "--eps", "0.1"), ("--corruptions", "fog")):
        assert command(run, *more)[0] == 0
    write_tiny(tmp_path / "data.npz", seed=1)
    status, _, err = command(run, "--attack", "fgsm", "--eps", "0.2")
    assert status == 0 and "fgsm: the test images are others than before: run again" in err
    (entry,) = stored(run)["attacks"]
    assert [point["eps"] for point in entry["points"]] == [0.2]
    status, _, err = command(run, "--corruptions", "fog", "spatter")
    assert status == 0 and "the test images are others than before: run again" in err
    (entry,) = stored(run)["corruptions"]
    # Both of the new images, in one call.
    assert [call["corruptions"] for call in entry["calls"]] == [["fog", "spatter"]]


@pytest.mark.parametrize(
    "other", [("--dataset", "digits"), ("--pixel-range", "0", "255"), ("--grayscale",)]
)
def test_results_on_other_data_stay_out_of_the_run(run, command, tmp_path, other):
    asked = ("--attack", "fgsm", "--eps", "0", "0.1", *FEW)
    assert command(run, *asked, "--corruptions", "fog")[0] == 0
    before = snapshot(run)
    for more in (asked, ("--corruptions", "fog", *FEW)):
        status, _, err = command(run, *more, *other)
        assert status == 2 and err.count("\n") == 1
        assert "holds what is known about its own data" in err and "--output" in err
    assert snapshot(run) == before
    # What a run has anyway may be said.
    own = ("--pixel-range", "0", "1", "--dataset", stored_config(run)["options"]["dataset"])
    assert "nothing to compute" in command(run, *asked, *own)[1]
    if other[0] == "--pixel-range":
        status, out, _ = command(run, *asked, *other, "--output", tmp_path / "elsewhere")
        assert status == 0 and numbers(tmp_path / "elsewhere") != numbers(run)


def test_data_that_were_moved(run, command, tmp_path):
    dataset = pathlib.Path(stored_config(run)["options"]["dataset"])
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(dataset, moved)
    try:
        status, _, err = command(run, "--attack", "fgsm", *FEW)
        assert status == 2 and err.count("\n") == 1 and "--data-dir" in err
        with pytest.warns(DataWarning, match=r"tiny\.npz is taken"):
            assert command(run, "--attack", "fgsm", *FEW, "--data-dir", moved)[0] == 0
    finally:
        shutil.move(moved / dataset.name, dataset)


class TestCorruptions:
    TWO = ("--images", "21", "--corruptions", "fog", "impulse_noise")

    def test_numbers_and_files(self, run, command):
        before = stored(run)
        status, out, err = command(run, *self.TWO, "--seed", "3")
        assert (status, err) == (0, "")
        after = stored(run)
        (found,) = after.pop("corruptions")
        assert after == before
        config = json.loads((run / "config.json").read_text())
        data = load(config["options"]["dataset"], limit_test=21)
        model = keras.saving.load_model(run / "best.keras")
        for name in ("fog", "impulse_noise"):
            for point in found["corruptions"][name]:
                images = corrupt(data.x_test, name, point["severity"], seed=3)
                classes = predict_classes(model, images.astype("float32") / 255)
                assert point["accuracy"] == np.mean(classes == data.y_test)
        assert found["images"] == 21 and found["clean"]["accuracy"] > 0.9
        assert found["mean_accuracy"] is None  # not the whole benchmark
        assert "fog" in out and (run / "corruptions.png").stat().st_size > 10_000

    def test_goes_on_after_a_kill(self, run, command):
        command(run, *self.TWO)
        whole = stored(run)["corruptions"][0]["corruptions"]
        result = stored(run)
        del result["corruptions"][0]["corruptions"]["impulse_noise"]
        (run / "result.json").write_text(by_hand(result))
        status, out, _ = command(run, *self.TWO)
        assert status == 0 and "impulse_noise: accuracy" in out and "fog: accuracy" not in out
        assert stored(run)["corruptions"][0]["corruptions"] == whole
        calls = stored(run)["corruptions"][0]["calls"]
        assert [call["corruptions"] for call in calls] == [
            ["fog", "impulse_noise"],
            ["impulse_noise"],
        ]
        assert "nothing to compute" in command(run, *self.TWO)[1]

    def test_of_other_weights_is_not_taken_up(self, run, command):
        command(run, *self.TWO)
        model = keras.saving.load_model(run / "best.keras")
        model.set_weights([0 * weight for weight in model.get_weights()])
        model.save(run / "best.keras")
        status, out, err = command(run, *self.TWO)
        assert status == 0 and "fog: accuracy" in out and "of other weights are dropped" in err
        # Logits that are all equal: class 0 everywhere.
        (found,) = stored(run)["corruptions"]
        assert found["clean"]["accuracy"] == pytest.approx(1 / 3, abs=0.02)

    def test_other_settings_have_an_entry_of_their_own(self, run, command):
        command(run, *self.TWO)
        first = stored(run)["corruptions"]
        assert command(run, "--corruptions", "fog", "--images", "6")[0] == 0
        assert stored(run)["corruptions"][:1] == first
        assert [entry["images"] for entry in stored(run)["corruptions"]] == [21, 6]

    def test_resume_of_the_training_keeps_the_evaluations(self, run, command, capsys):
        command(run, *self.TWO)
        command(run, "--attack", "fgsm", *FEW, "--eps", "0.1")
        before = stored(run)
        parts = {key: before[key] for key in ("attacks", "corruptions")}
        assert _run.known_evaluations(RunFolder(run), "run") == parts
        # After more epochs, with the same best weights.
        with open(run / "history.csv", "a") as file:
            file.write("more\n")
        assert _run.known_evaluations(RunFolder(run), "run") == parts
        assert capsys.readouterr().err == ""
        # In 0.2.0 only attacks.json says which weights were attacked.
        del before["attacks"][0]["model_sha256"]
        (run / "result.json").write_text(by_hand(before))
        kept = _run.known_evaluations(RunFolder(run), "run")
        assert kept == {key: before[key] for key in ("attacks", "corruptions")}
        (run / "attacks.json").unlink()
        assert _run.known_evaluations(RunFolder(run), "run") == {
            "corruptions": parts["corruptions"]
        }
        assert "attack or corruption of the weights before are dropped" in capsys.readouterr().err
        # With others.
        shutil.copy(run / "result.json", run / "best.keras")
        assert _run.known_evaluations(RunFolder(run), "run") == {}
        # A damaged or missing file is written anew.
        (run / "result.json").write_text("{")
        assert _run.known_evaluations(RunFolder(run), "run") == {}
        assert "result.json cannot be read" in capsys.readouterr().err
        (run / "result.json").unlink()
        assert _run.known_evaluations(RunFolder(run), "run") == {}

    def test_a_run_that_trains_on_is_refused(self, run, command):
        _change(epochs=13)(run)
        before = snapshot(run)
        status, out, err = command(run, *self.TWO)
        assert (status, out) == (2, "") and err.count("\n") == 1
        assert "was trained for 12 of 13 epochs: finish the training first (--resume" in err
        assert snapshot(run) == before

    def test_baseline(self, run, command, tmp_path):
        other = tmp_path / "other"
        shutil.copytree(run, other)
        status, _, err = command(run, *self.TWO, "--baseline", other)
        assert status == 2 and "has no accuracies under corruption yet" in err
        assert "corruptions" not in stored(run)
        model = keras.saving.load_model(other / "best.keras")
        model.set_weights([0 * weight for weight in model.get_weights()])
        model.save(other / "best.keras")
        command(other, *self.TWO)
        status, _, err = command(run, *self.TWO, "frost", "--baseline", other)
        assert status == 2 and "has no accuracies under frost yet" in err
        assert "corruptions" not in stored(run)
        status, out, err = command(run, *self.TWO, "--baseline", other)
        assert (status, err) == (0, "")
        (found,) = stored(run)["corruptions"]
        tables = (found["corruptions"], stored(other)["corruptions"][0]["corruptions"])
        ratios = []
        for name in tables[0]:
            ours, theirs = (sum(1 - p["accuracy"] for p in table[name]) for table in tables)
            ratios.append(100 * ours / theirs)
        assert found["mean_corruption_error"]["mce"] == pytest.approx(np.mean(ratios))
        assert found["relative_mean_corruption_error"] is None  # nothing costs the baseline any
        assert f"mCE over 2 corruptions against {other}" in out
        status, _, err = command(run, *self.TWO, "--seed", "1", "--baseline", other)
        assert status == 2 and "was not evaluated with dataset " in err
        # Without the baseline its errors are not shown beside other corruptions.
        command(run, *self.TWO, "brightness")
        assert "mean_corruption_error" not in stored(run)["corruptions"][0]

    def test_groups(self):
        assert len(options("--corruptions").corruption_names) == 15
        names = options("--corruptions", "extra", "fog", "spatter").corruption_names
        assert names == [*corruption_names("extra"), "fog"]


class TestCorruptionSource:
    """Images that were corrupted before: the same numbers, and always which ones they are of."""

    NAMES = ("impulse_noise", "fog")
    ALL = ("--corruptions", *NAMES)

    @pytest.fixture
    def copy(self, run, tmp_path):
        """Writes a corrupted copy of the run's test images."""
        dataset = json.loads((run / "config.json").read_text())["options"]["dataset"]

        def write(name="copy", *options):
            arguments = ["--dataset", dataset, *self.ALL, "--output", tmp_path / name, *options]
            with pytest.raises(SystemExit) as stopped:
                corrupt_command.main([str(argument) for argument in arguments])
            assert stopped.value.code == 0
            return tmp_path / name

        return write

    @staticmethod
    def published(folder):
        """Without what says who made it, as the files of CIFAR-10-C are."""
        (folder / "corruptions.json").unlink()
        return folder

    @pytest.mark.parametrize("name", ["copy", "copy.npz"])
    def test_a_copy_gives_the_numbers_of_generating(self, run, command, copy, name):
        path = copy(name, "--images", 21, "--seed", 3)
        common = (run, *self.ALL, "--images", 21)
        assert command(*common, "--seed", 3)[0] == 0
        status, out, err = command(*common, "--corruption-source", path)
        assert (status, err) == (0, "")
        generated, found = stored(run)["corruptions"]
        assert found["corruptions"] == generated["corruptions"]
        assert found["clean"] == generated["clean"] and found["images"] == 21
        assert generated["source"] == {"kind": "generated", "seed": 3, "frost": DESCRIPTION}
        source = found["source"]
        assert source["kind"] == ("npz" if name.endswith("npz") else "folder")
        assert source["files"] == 2 and source["made"]["seed"] == 3
        assert source["of_these_images"] is True and source["in_their_order"] is True
        assert f"corrupted images: {path}, 2 files, made by spectral_keras" in out
        assert f"seed 3; frost: {DESCRIPTION}" in out and "note:" not in out
        assert "nothing to compute" in command(*common, "--corruption-source", path)[1]
        assert len(stored(run)["corruptions"]) == 2

    def test_published_files(self, run, command, copy):
        folder = self.published(copy())
        status, out, _ = command(run, *self.ALL, "--corruption-source", folder)
        assert status == 0 and f"corrupted images: {folder}, 2 files\n" in out
        (found,) = stored(run)["corruptions"]
        assert "made" not in found["source"] and found["source"]["of_these_images"] is None
        # Some of them, chosen by the same rule as the run's images.
        more = (run, "--corruptions", "fog", "--images", 21, "--corruption-source", folder)
        assert command(*more)[0] == 0
        found = stored(run)["corruptions"][1]
        data = load(json.loads((run / "config.json").read_text())["options"]["dataset"])
        some = load(data.name, limit_test=21)
        numbers = [
            next(n for n in range(30) if np.array_equal(image, data.x_test[n]))
            for image in some.x_test
        ]
        model = keras.saving.load_model(run / "best.keras")
        for point in found["corruptions"]["fog"]:
            images = corrupt(data.x_test, "fog", point["severity"])[numbers]
            classes = predict_classes(model, images.astype("float32") / 255)
            assert point["accuracy"] == np.mean(classes == some.y_test)

    def test_some_severities(self, run, command, copy):
        path = copy("copy", "--severities", 2, 5)
        status, out, _ = command(run, *self.ALL, "--corruption-source", path)
        assert status == 0 and "at severities 2 5" in out
        (found,) = stored(run)["corruptions"]
        assert [point["severity"] for point in found["corruptions"]["fog"]] == [2, 5]

    def test_goes_on_and_adds(self, run, command, copy):
        path = copy()
        for name in self.NAMES:
            common = (run, "--corruptions", name, "--corruption-source")
            assert f"{name}: accuracy" in command(*common, path)[1]
            # The place by another name.
            again = command(*common, path.parent / "." / path.name)[1]
            assert "nothing to compute" in again
        (found,) = stored(run)["corruptions"]
        assert list(found["source"]["identities"]) == list(self.NAMES)
        clean = found["clean"]
        assert clean["accuracy"] > 0.9

    def test_other_images_at_the_same_place(self, run, command, copy):
        path = self.published(copy())
        common = (run, *self.ALL, "--corruption-source", path)
        assert command(*common)[0] == 0
        (first,) = stored(run)["corruptions"]
        np.save(path / "fog.npy", 255 - np.load(path / "fog.npy"))
        status, out, err = command(*common)
        assert status == 0 and "the images of fog are others than before: run again" in err
        assert "fog: accuracy" in out and "impulse_noise: accuracy" not in out
        (second,) = stored(run)["corruptions"]
        assert second["corruptions"]["fog"] != first["corruptions"]["fog"]
        assert second["corruptions"]["impulse_noise"] == first["corruptions"]["impulse_noise"]

    def test_baseline_of_the_same_images_only(self, run, command, copy, tmp_path):
        other = tmp_path / "other"
        shutil.copytree(run, other)
        model = keras.saving.load_model(other / "best.keras")
        model.set_weights([0 * weight for weight in model.get_weights()])
        model.save(other / "best.keras")
        path, seeded = copy(), copy("seeded", "--seed", 1)
        assert command(other, *self.ALL)[0] == 0
        common = (run, *self.ALL, "--corruption-source", path, "--baseline", other)
        status, _, err = command(*common)
        assert status == 2 and "has only accuracies on corrupted images of another source" in err
        assert "generated by spectral_keras" in err and "corruptions" not in stored(run)
        assert command(other, *self.ALL, "--corruption-source", seeded)[0] == 0
        status, _, err = command(*common)
        assert status == 2 and "was evaluated on other corrupted images" in err
        assert "seed 1" in err and "seed 0" in err and err.count("\n") == 1
        # The same files at another place.
        shutil.copytree(path, tmp_path / "moved")
        assert command(other, *self.ALL, "--corruption-source", tmp_path / "moved")[0] == 0
        status, out, err = command(*common)
        assert (status, err) == (0, "")
        assert f"mCE over 2 corruptions against {other}" in out
        found = stored(run)["corruptions"][0]
        errors = [
            100 * np.mean([1 - point["accuracy"] for point in found["corruptions"][name]]) / (2 / 3)
            for name in self.NAMES  # the baseline knows class 0 alone, a third of the images
        ]
        assert found["mean_corruption_error"]["mce"] == pytest.approx(np.mean(errors))
        # And a generated run against one that is of files only.
        del (content := stored(other))["corruptions"][0]
        (other / "result.json").write_text(by_hand(content))
        status, _, err = command(run, *self.ALL, "--baseline", other)
        assert status == 2 and "of another source" in err

    def test_entries_of_earlier_versions(self, run, command):
        """They had no "source" beside their settings."""
        assert command(run, "--corruptions", "fog", "--seed", 2)[0] == 0
        content = stored(run)
        assert content["corruptions"][0]["settings"]["source"].startswith("generated by")
        del content["corruptions"][0]["source"]
        (run / "result.json").write_text(by_hand(content))
        status, out, _ = command(run, "--corruptions", "fog", "--seed", 2)
        assert status == 0 and "nothing to compute" in out
        assert "corrupted images: generated by spectral_keras" in out and "seed 2; frost" in out
        assert len(stored(run)["corruptions"]) == 1

    def test_labels_in_another_order(self, run, command, copy):
        path = self.published(copy())
        order = np.random.default_rng(0).permutation(30)
        for name in (*self.NAMES, "labels"):
            array = np.load(path / f"{name}.npy")
            np.save(
                path / f"{name}.npy",
                array.reshape(5, 30, *array.shape[1:])[:, order].reshape(array.shape),
            )
        assert command(run, *self.ALL)[0] == 0
        status, out, _ = command(run, *self.ALL, "--corruption-source", path)
        assert status == 0 and "note:" not in out
        generated, found = stored(run)["corruptions"]
        assert found["corruptions"] == generated["corruptions"]  # the order does not matter
        assert found["source"]["in_their_order"] is False
        status, out, _ = command(run, *self.ALL, "--images", 10, "--corruption-source", path)
        assert status == 0 and "note: the corrupted images are in another order" in out

    def _labels(self, change):
        def spoil(path):
            labels = np.load(path / "labels.npy")
            np.save(path / "labels.npy", change(labels.astype(int)))

        return spoil

    @staticmethod
    def _images(change):
        def spoil(path):
            for name in TestCorruptionSource.NAMES:
                file = path / f"{name}.npy"
                np.save(file, np.ascontiguousarray(change(np.load(file))))

        return spoil

    @pytest.mark.parametrize(
        ("kind", "change", "message"),
        [
            ("images", lambda x: x[:, :, :6], "has images of shape (8, 6, 3), but the run takes"),
            ("images", lambda x: x[..., :1], "has images of shape (8, 8, 1), but the run takes"),
            ("labels", lambda y: y + 1, "has the class 3, but the run knows 0 to 2"),
            ("labels", lambda y: np.zeros_like(y), "has other classes than the run's test images"),
            ("labels", lambda y: y[:-1], "has 149 labels for 150 images"),
        ],
    )
    def test_images_of_another_set(self, run, command, copy, kind, change, message):
        path = self.published(copy())
        (self._images(change) if kind == "images" else self._labels(change))(path)
        before = snapshot(run)
        status, _, err = command(run, *self.ALL, "--corruption-source", path)
        assert status == 2 and message in err and err.count("\n") == 1
        assert snapshot(run) == before

    def test_numbers_of_images_and_missing_files(self, run, command, copy):
        path = copy("copy", "--images", 12)
        before = snapshot(run)
        for more, message in (
            (self.ALL, "has 12 images at each severity, but the run has 30 test images: give "
             "--images 12"),
            ((*self.ALL, "--images", 15), "but the run has 15 test images"),
            (("--corruptions", "snow", "fog"), "has no snow: give --corruptions impulse_noise fog"),
        ):  # fmt: skip
            status, _, err = command(run, *more, "--corruption-source", path)
            assert status == 2 and message in err and err.count("\n") == 1
        assert snapshot(run) == before

    @pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="TFDS reads with TensorFlow"
    )
    def test_tfds(self, tmp_path, command, monkeypatch):
        """The builder of TFDS itself, over files of this size that it finds where it downloads."""
        tfds = pytest.importorskip("tensorflow_datasets")
        rng = np.random.default_rng(0)
        labels = np.arange(24) % 3
        clean = np.clip(
            60 * labels[:, None, None, None] + rng.integers(0, 100, (24, 32, 32, 3)), 0, 255
        ).astype(np.uint8)
        np.savez(tmp_path / "clean.npz", x_train=clean, y_train=labels, x_test=clean, y_test=labels)
        run = tmp_path / "run"
        train(
            "spectral_pool_cnn", run, "--dataset", str(tmp_path / "clean.npz"), "--num-pairs", "1",
            "--batch-size", "8", "--epochs", "2", "--width", "0.1",
        )  # fmt: skip
        published = tmp_path / "CIFAR-10-C"
        published.mkdir()
        blocks = {
            name: [corrupt(clean, name, severity) for severity in range(1, 6)]
            for name in ("glass_blur", "fog")
        }
        for name, parts in blocks.items():
            np.save(published / f"{name}.npy", np.concatenate(parts))
        np.save(published / "gaussian_noise.npy", np.concatenate([clean] * 5))
        np.save(published / "labels.npy", np.tile(labels, 5))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                tfds.download.DownloadManager,
                "download_and_extract",
                lambda self, url: str(tmp_path),
            )
            tfds.disable_progress_bar()
            configs = [f"{cifar10c.TFDS_NAMES[n]}_{s}" for n in blocks for s in range(1, 6)]
            for config in ("gaussian_noise_1", *configs):
                tfds.builder(
                    f"cifar10_corrupted/{config}", data_dir=tmp_path / "tfds"
                ).download_and_prepare()
        common = (run, "--corruptions", "fog", "glass_blur")
        source = ("--corruption-source", "tfds", "--data-dir", tmp_path / "tfds")
        status, out, err = command(*common, *source)
        assert (status, err) == (0, "")
        assert "corrupted images: TFDS cifar10_corrupted 1.0.0" in out
        assert "nothing to compute" in command(*common, *source)[1]
        assert command(*common, "--corruption-source", published)[0] == 0
        from_tfds, from_files = stored(run)["corruptions"]
        assert from_tfds["corruptions"] == from_files["corruptions"]
        assert from_tfds["source"]["identities"]["glass_blur"].startswith(
            "cifar10_corrupted/frosted_glass_blur:1.0.0"
        )
        model = keras.saving.load_model(run / "best.keras")
        for name, parts in blocks.items():
            for point, images in zip(from_tfds["corruptions"][name], parts, strict=True):
                right = predict_classes(model, images.astype("float32") / 255) == labels
                assert point["correct"] == right.sum()
        # Not prepared there, and no way to download it.

        def fail(self, url):
            raise OSError("no connection")

        monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", fail)
        empty = ("--data-dir", tmp_path / "empty")
        status, _, err = command(run, "--corruptions", "snow", *source[:2], *empty)
        assert status == 2 and "cifar10_corrupted/gaussian_noise_1" in err.splitlines()[-1]

    def test_files_of_another_size(self, run, command, tmp_path):
        """The run's images have 8 x 8 pixels."""
        files = tmp_path / "CIFAR-10-C"
        files.mkdir()
        np.save(files / "fog.npy", np.zeros((150, 32, 32, 3), np.uint8))
        np.save(files / "labels.npy", np.tile(np.arange(30) % 3, 5))
        status, _, err = command(run, "--corruptions", "fog", "--corruption-source", files)
        assert status == 2
        assert "has images of shape (32, 32, 3), but the run takes (8, 8, 3)" in err


@pytest.mark.parametrize("what", [("--attack", "fgsm", "--eps", "0.1"), ("--corruptions", "fog")])
def test_outputs_that_are_not_numbers(tmp_path, command, what):
    """Finite weights, products that are not: no class, no result."""
    dataset = write_tiny(tmp_path / "tiny.npz")
    layers = [keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    signs = np.where(np.arange(4) % 2, 1, -1)[:, None]
    model.set_weights([np.full((192, 4), 3e38), np.zeros(4), 3e38 * signs * np.ones((4, 3)),
                       np.zeros(3)])  # fmt: skip
    model.save(tmp_path / "broken.keras")
    status, _, error = command(tmp_path / "broken.keras", "--dataset", dataset, *what)
    assert status == 1
    assert error.splitlines()[-1] == (
        "models.evaluate: error: the outputs of the network are not numbers for 30 of 30 images"
    )
    assert not (tmp_path / "broken-evaluated" / "result.json").exists()


def test_a_keras_file(run, tmp_path, command):
    """The numbers of the run that it is of, in a folder beside it; and from Python."""
    dataset = json.loads((run / "config.json").read_text())["options"]["dataset"]
    model, x = keras.saving.load_model(run / "best.keras"), keras.Input((8, 8, 3))
    shutil.copy(run / "best.keras", tmp_path / "mine.keras")
    common = ("--attack", "fgsm", "--eps", "0.1", "--corruptions", "fog", "--images", 21)
    assert command(run, *common)[0] == 0
    wanted, arguments = numbers(run), ("--dataset", dataset, *common)
    out = tmp_path / "mine-evaluated"
    assert command(tmp_path / "mine.keras", *arguments)[0] == 0
    assert numbers(out) == wanted
    assert (
        stored(out)["corruptions"][0]["corruptions"]
        == (stored(run)["corruptions"][0]["corruptions"])
    )
    names = {"result.json", "attacks.json", "robustness.png", "corruptions.png"}
    assert {path.name for path in out.iterdir()} == names | {".lock"}
    assert "nothing to compute" in command(tmp_path / "mine.keras", *arguments)[1]
    # A model of other pixels, and the same function from Python.
    keras.Model(x, model(keras.layers.Rescaling(1 / 255)(x))).save(tmp_path / "bytes.keras")
    dark = (*arguments, "--output", tmp_path / "dark")
    status, _, err = command(tmp_path / "bytes.keras", *dark)
    assert status == 0 and err.count("no better than chance") == 1 and "(--pixel-range)" in err
    assert "chance" not in command(tmp_path / "bytes.keras", *dark)[2]  # nothing new
    few = ("--attack", "fgsm", "--eps", "0.1", "--images", 9, "--output", tmp_path / "few")
    assert "chance" not in command(tmp_path / "bytes.keras", "--dataset", dataset, *few)[2]
    options = EvaluateOptions(
        str(tmp_path / "bytes.keras"), dataset, pixel_range=[0, 255], attack=["fgsm"], eps=[0.1],
        images=21,
    )  # fmt: skip
    (entry,) = evaluate.evaluate(options)["attacks"]
    assert [p["accuracy"] for p in entry["points"]] == [p["accuracy"] for p in wanted[0]["points"]]
    # Other data, another folder's content, no data set: one line, and nothing is written.
    other = write_tiny(tmp_path / "other.npz", seed=1)
    for more, message in (
        (("--dataset", other), "was started with --dataset"),
        (("--dataset", dataset, "--output", tmp_path), "is not empty and holds no evaluation"),
        (("--output", tmp_path / "new"), "takes images of shape (8, 8, 3), but those of digits"),
    ):
        before = snapshot(tmp_path)
        status, _, err = command(tmp_path / "mine.keras", *common, *more)
        assert status == 2 and message in err and err.count("\n") == 1, err
        assert snapshot(tmp_path) == before and not (tmp_path / "new").exists()


def test_inputs_and_outputs_with_names(run, tmp_path, command, recwarn):
    dataset = stored_config(run)["options"]["dataset"]
    plain, image = keras.saving.load_model(run / "best.keras"), keras.Input((8, 8, 3), name="image")
    keras.Model({"image": image}, {"scores": plain(image)}).save(tmp_path / "named.keras")
    asked = ("--attack", "fgsm", "--eps", "0.1", *FEW)
    recwarn.clear()
    status, _, err = command(tmp_path / "named.keras", "--dataset", dataset, *asked)
    assert (status, err) == (0, "") and not [w for w in recwarn if "structure" in str(w.message)]
    assert command(run, *asked)[0] == 0
    assert numbers(tmp_path / "named-evaluated") == numbers(run)


def test_a_run_that_never_ends_is_evaluated_elsewhere(run, tmp_path, command):
    """As one that diverged; its own path may be given in any way."""
    (run / "result.json").unlink()
    asked = ("--attack", "fgsm", "--eps", "0", *FEW)
    status, _, err = command(run, *asked)
    assert status == 2 and err.count("\n") == 1 and "with --output FOLDER" in err
    assert command(run, *asked, "--output", tmp_path / "out")[0] == 0
    assert numbers(tmp_path / "out")[0]["clean"]["accuracy"] > 0.9


def test_the_runs_data_by_another_path(run, tmp_path, command, monkeypatch):
    config = stored_config(run)
    dataset = pathlib.Path(config["options"]["dataset"])
    config["options"]["dataset"] = dataset.name
    (run / "config.json").write_text(by_hand(config))
    monkeypatch.chdir(tmp_path)
    asked = ("--attack", "fgsm", "--eps", "0", *FEW)
    assert command(run, *asked, "--dataset", dataset)[0] == 0
    status, _, err = command(run, *asked, "--dataset", write_tiny(tmp_path / "other.npz"))
    assert status == 2 and "holds what is known about its own data" in err
    # One entry, by whatever path; in a folder of its own, too.
    monkeypatch.chdir(dataset.parent)
    corrupted = ("--corruptions", "fog", *FEW)
    for output in ((), ("--output", tmp_path / "elsewhere")):
        for path in (dataset.name, dataset):
            assert command(run, *corrupted, "--dataset", path, *output)[0] == 0
        (entry,) = stored(pathlib.Path(output[1]) if output else run)["corruptions"]
        assert dataset.name in json.dumps(entry)


@pytest.mark.parametrize(
    ("wanted", "shape", "remedy"),
    [
        ((16, 16, 3), (32, 32, 3), ": give --image-size 16"),
        ((32, 32, 1), (32, 32, 3), ": give --grayscale"),
        ((16, None, 1), (32, 32, 3), ": give --grayscale --image-size 16"),
        ((16, 16, 3), (32, 32, 1), ""),
        ((16, 8, 3), (32, 32, 3), ""),
    ],
)
def test_options_that_make_the_images_fit(wanted, shape, remedy):
    assert _subject._remedy(wanted, shape) == remedy


def test_a_folder_is_of_one_model(run, tmp_path, command, monkeypatch):
    """Another model is refused; the same is known where it was moved, its old weights are not."""
    dataset = ("--dataset", json.loads((run / "config.json").read_text())["options"]["dataset"])
    first, second, out = tmp_path / "first.keras", tmp_path / "second.keras", tmp_path / "out"
    shutil.copy(run / "best.keras", first)
    model = keras.saving.load_model(first)
    model.set_weights([-weight for weight in model.get_weights()])
    model.save(second)
    attack, fog = ("--attack", "fgsm", "--eps", "0.1", *FEW), ("--corruptions", "fog", *FEW)
    monkeypatch.chdir(tmp_path)
    assert command("first.keras", *dataset, *attack, "--output", out)[0] == 0
    before = snapshot(out)
    for more in (attack, fog):
        status, _, err = command(second, *dataset, *more, "--output", out)
        assert status == 2 and err.count("\n") == 1, err
        assert f"was started with the model {first}, not {second}" in err and "--output" in err
    assert snapshot(out) == before
    monkeypatch.chdir(out)
    moved = shutil.move(first, tmp_path / "moved.keras")
    assert "nothing to compute" in command(moved, *dataset, *attack, "--output", out)[1]
    # As earlier versions wrote it: as it was named.
    content = stored(out) | {"model": "moved.keras"}
    (out / "result.json").write_text(by_hand(content))
    monkeypatch.chdir(tmp_path)
    assert "nothing to compute" in command("moved.keras", *dataset, *attack, "--output", out)[1]
    shutil.copy(second, moved)
    status, _, err = command("moved.keras", *dataset, *fog, "--output", out)
    assert status == 0 and "attacks of other weights are dropped" in err
    assert "attacks" not in stored(out) and not (out / "robustness.png").exists()
    assert len(stored(out)["corruptions"]) == 1


class TestClassesByName:
    """Data whose classes have the names of the model's: their numbers are found, in any order."""

    NAMES = ("dark", "mid", "light")
    ASKED = ("--attack", "fgsm", "--eps", "0", "--corruptions", "fog", "--batch-size", 30)

    def write(self, path, names):
        """The test images of these classes, numbered in the order of the names."""
        write_tiny(path)
        with np.load(path) as stored:
            arrays = dict(stored)
        wanted = [self.NAMES.index(name) if name in self.NAMES else 0 for name in names]
        for split in ("train", "test"):
            x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
            labels = [np.flatnonzero(y == label) for label in wanted]
            arrays[f"x_{split}"] = np.concatenate([x[part] for part in labels])
            arrays[f"y_{split}"] = np.repeat(np.arange(len(names)), [len(p) for p in labels])
        np.savez(path, **arrays, class_names=np.array(names))
        return path

    @pytest.fixture(params=["run", "preset"])
    def model(self, run, tmp_path, request):
        """A model that knows its classes by name."""
        if request.param == "preset":
            folder = str(tmp_path / "named")
            make_preset(PresetOptions(str(run), "named", class_names=self.NAMES, output=folder))
            return folder
        config = stored_config(run) | {"class_names": list(self.NAMES)}
        (run / "config.json").write_text(by_hand(config))
        return run

    @pytest.mark.parametrize("names", [("light", "mid"), ("mid", "light", "dark")])
    def test_the_classes_are_the_models(self, model, tmp_path, command, names):
        data, out = self.write(tmp_path / "some.npz", names), tmp_path / "out"
        common = (model, "--dataset", data, "--output", out)
        assert command(*common, *self.ASKED)[0] == 0
        (entry,), (found,) = stored(out)["attacks"], stored(out)["corruptions"]
        assert entry["clean"]["accuracy"] == entry["points"][0]["accuracy"] > 0.9
        assert found["clean"] == entry["clean"]
        # A copy of these images has the numbers of the data set.
        with pytest.raises(SystemExit):
            arguments = ("--dataset", data, "--corruptions", "fog", "--output", tmp_path / "copy")
            corrupt_command.main(list(map(str, arguments)))
        source = ("--corruption-source", tmp_path / "copy")
        assert command(*common, "--corruptions", "fog", *source)[0] == 0
        _, of_copy = stored(out)["corruptions"]
        assert of_copy["corruptions"] == found["corruptions"]
        assert of_copy["source"]["of_these_images"] and of_copy["source"]["in_their_order"]

    def test_classes_that_the_model_does_not_know(self, model, tmp_path, command):
        data = self.write(tmp_path / "some.npz", ("dark", "kiwi"))
        status, _, err = command(model, "--dataset", data, *self.ASKED, "--output", tmp_path / "o")
        assert status == 2 and err.count("\n") == 1 and not (tmp_path / "o").exists()
        assert "does not know (kiwi); it knows dark, mid, light" in err

    def test_numbers_are_no_names(self, run, tmp_path, command):
        """Who knows numbers only is told where the classes may be others."""
        data = self.write(tmp_path / "some.npz", ("mid", "light", "dark"))
        out = ("--output", tmp_path / "out")
        status, _, err = command(run, "--dataset", data, *self.ASKED, *out)
        assert status == 0 and err.count("\n") == 1
        assert "no better than chance: has the data set the classes of the model" in err
        assert "chance" not in command(run, *self.ASKED)[2]


class TestOptions:
    def test_radii(self):
        given = options("--attack", "pgd,fgsm", "--eps", "8/255,0", "0.1", "8/255")
        assert given.radii == [0, 8 / 255, 0.1] and given.attacks == ["pgd", "fgsm"]
        assert given == EvaluateOptions(
            "run", attack=["pgd", "fgsm"], eps=[8 / 255, 0, 0.1, 8 / 255]
        )

    def test_defaults(self):
        pgd = ("--attack", "pgd")
        assert options(*pgd).radii == [k / 255 for k in (0, 1, 2, 4, 8, 16)] == list(RADII["inf"])
        assert options(*pgd, "--norm", "l2").radii == list(RADII["l2"])
        assert options(*pgd, "--norm", "l2", "--eps", "3").radii == [3]
        assert options(*pgd).arguments() == ["run", "--attack", "pgd"]


def test_texts_of_eps():
    assert [eps_text(eps, "inf") for eps in (0.0, 8 / 255, 0.1, 1 / 255)] == [
        "0", "8/255", "0.1", "1/255",
    ]  # fmt: skip
    assert eps_text(8 / 255, "l2") == "0.03137"


def test_a_panel_for_each_norm(tmp_path):
    clean = {"accuracy": 0.9, "interval": [0.85, 0.95]}
    common = {"labels": "given", "clean": clean, "images": 100}
    points = [{"eps": 0.03, "accuracy": 0.2, "interval": [0.1, 0.3]}]
    entries = [
        {"attack": "fgsm", "norm": norm, "points": points, **common} for norm in ("inf", "l2")
    ]
    for count in (1, 2):
        draw_robustness(tmp_path / f"{count}.png", entries[:count], "net, data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "2.png"]
    header = [(tmp_path / f"{count}.png").read_bytes()[16:20] for count in (1, 2)]
    assert int.from_bytes(header[1], "big") > 1.5 * int.from_bytes(header[0], "big")
