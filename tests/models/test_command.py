"""The training command: files, results, resume after SIGKILL, bad input."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

import spectral_keras
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.fit import ResumableFit
from spectral_keras.experiments.folder import read_json
from spectral_keras.experiments.train import command as _train
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.experiments.train.run import RunFolder
from spectral_keras.models import preset, registry
from spectral_keras.models.macs import count_macs
from spectral_keras.training.checkpoint import checkpoint_files
from tests.models.runs import TINY, assert_same_run, history, write_tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN_FILES = {"config.json", "history.csv", "best.keras", "result.json", "curves.png", "checkpoints"}


class TestRun:
    def test_files_and_numbers(self, command, npz, tmp_path):
        folder = tmp_path / "run"
        status, out, err = command(
            *TINY, "--dataset", npz, "--epochs", 12, "--learning-rate", 3e-3, "--output", folder
        )
        assert (status, err) == (0, "")
        assert {path.name for path in folder.iterdir()} >= RUN_FILES
        result = json.loads((folder / "result.json").read_text())
        assert f"test accuracy {result['test_accuracy']:.4f}" in out and str(folder) in out
        assert result["test_accuracy"] > 0.9
        assert result["images"] == {"training": 54, "validation": 6, "test": 30}
        assert result["epochs"] == len(history(folder)) == 12
        model = keras.saving.load_model(folder / "best.keras")
        assert result["parameters"] == model.count_params()
        assert result["multiply_accumulates"] == count_macs(model) > 0
        # The reported accuracy is that of the saved model on the test images.
        with np.load(npz) as data:
            logits = model.predict(data["x_test"].astype("float32") / 255, verbose=0)
            accuracy = np.mean(logits.argmax(1) == data["y_test"])
        assert accuracy == pytest.approx(result["test_accuracy"], abs=1e-6)
        scores = [float(row["val_accuracy"]) for row in history(folder)]
        assert result["best_epoch"] == 1 + int(np.argmax(scores))
        config = json.loads((folder / "config.json").read_text())
        assert config["options"]["epochs"] == 12 and config["options"]["gamma"] == 0.85
        assert config["versions"]["keras"] == keras.__version__
        assert config["versions"]["spectral_keras"] == spectral_keras.__version__
        assert not list(folder.glob(".tmp*")) and not list(folder.rglob("*.tmp"))

    @pytest.mark.parametrize("views", ["mirror", "mirror_translate"])
    def test_mean_of_several_views_in_the_test(self, command, npz, tmp_path, views):
        folder = tmp_path / "run"
        arguments = (*TINY, "--dataset", npz, "--epochs", 2, "--output", folder)
        assert command(*arguments)[0] == 0
        assert "test_accuracy_tta" not in json.loads((folder / "result.json").read_text())
        # How a finished run is tested may be changed.
        status, out, err = command(*arguments, "--tta", views, "--resume")
        assert (status, err) == (0, "")
        result = json.loads((folder / "result.json").read_text())
        model = keras.saving.load_model(folder / "best.keras")
        with np.load(npz) as data:
            x, y = data["x_test"].astype("float32") / 255, data["y_test"]
        around = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
        shifted = [around[:, :-2, :-2], around[:, 2:, 2:]] if views == "mirror_translate" else []

        def logits(images):
            return model.predict(np.ascontiguousarray(images), verbose=0)

        both = [logits(each) + logits(each[:, :, ::-1]) for each in (x, *shifted)]
        assert result["tta"] == views
        for found, mean in (
            ("test_accuracy", logits(x)),
            ("test_accuracy_tta", both[0] + sum(both[1:]) / 2),
        ):
            assert result[found] == pytest.approx(np.mean(mean.argmax(1) == y), abs=1e-6)
        assert f"{result['test_accuracy_tta']:.4f} with mirror" in out

    def test_same_seed_same_run(self, command, npz, tmp_path):
        arguments = (*TINY, "--dataset", npz, "--epochs", 2, "--augment", "crop_flip")
        for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
            command(*arguments, "--seed", seed, "--output", tmp_path / folder)
        assert_same_run(tmp_path / "a", tmp_path / "b")
        assert history(tmp_path / "a") != history(tmp_path / "c")

    @pytest.mark.parametrize("given", ["bfloat16", "float16", "auto"])
    def test_mixed_precision(self, command, npz, tmp_path, given, monkeypatch):
        monkeypatch.setattr("spectral_keras.precision.multiplies_bfloat16", lambda: True)
        folder, precision = tmp_path / "run", "bfloat16" if given == "auto" else given
        status, out, _ = command(
            *TINY, "--dataset", npz, "--epochs", 1, "--precision", given, "--output", folder
        )
        assert status == 0
        assert (f"{precision} (the fastest here)" in out) == (given == "auto")
        result = json.loads((folder / "result.json").read_text())
        assert result["precision"] == precision
        assert f"--precision {given}" in result["command"]
        model = keras.saving.load_model(folder / "best.keras")
        assert model.get_layer("conv1").compute_dtype == precision
        assert model.get_layer("normalize").compute_dtype == "float32"
        assert model.output.dtype == "float32"

    @pytest.mark.parametrize(
        "options",
        [
            ("--optimizer", "sgd", "--schedule", "step", "--weight-decay", "1e-4"),
            ("--optimizer", "adamw", "--schedule", "cosine", "--warmup-epochs", "1"),
            ("--optimizer", "rmsprop", "--validation-fraction", "0", "--schedule", "constant"),
            (
                "--optimizer",
                "sgd",
                "--nesterov",
                "--bias-rate",
                "8",
                "--label-smoothing",
                "0.2",
                "--schedule",
                "triangle",
                "--augment",
                "reflect_crop,alternating_flip",
            ),
            ("--jit", "--conv", "spectral"),
        ],
    )
    def test_options(self, command, npz, tmp_path, options):
        if "--jit" in options and keras.backend.backend() == "torch":
            return  # Keras has no compiler on PyTorch
        folder = tmp_path / "run"
        status, _, err = command(
            *TINY, "--dataset", npz, "--epochs", 2, "--output", folder, *options
        )
        assert (status, err) == (0, "")
        assert np.isfinite(float(history(folder)[-1]["loss"]))

    def test_loss_that_is_not_finite_stops_and_keeps_the_best(self, command, npz, tmp_path):
        folder = tmp_path / "run"
        # Warm-up: a first epoch of sensible rates, then a rate that breaks everything.
        status, out, err = command(
            *TINY, "--dataset", npz, "--epochs", 40, "--learning-rate", 1e12,
            "--schedule", "onecycle", "--optimizer", "sgd", "--output", folder,
        )  # fmt: skip
        assert status == 1
        assert err.count("\n") == 1 and " is " in err and "--learning-rate" in err
        assert "test accuracy" not in out
        assert not (folder / "result.json").exists()
        assert json.loads((folder / "config.json").read_text())["model"] == "spectral_pool_cnn"

    def test_early_stopping_and_finished_resume(self, command, npz, tmp_path):
        folder = tmp_path / "run"
        arguments = (
            *TINY, "--dataset", npz, "--epochs", 30, "--early-stopping", 2, "--learning-rate", 1e-9,
            "--output", folder,
        )  # fmt: skip
        assert command(*arguments)[0] == 0
        result = json.loads((folder / "result.json").read_text())
        assert result["stopped_early"] and result["epochs"] == 3
        # Resuming a finished run evaluates again and trains no further.
        assert command(*arguments, "--resume")[0] == 0
        assert json.loads((folder / "result.json").read_text())["epochs"] == 3

    def test_divergence_without_a_validation_set(self, command, npz, tmp_path):
        """No epoch is worth anything: status 1, and nothing is called a result."""
        folder = tmp_path / "run"
        status, out, err = command(
            *TINY, "--dataset", npz, "--epochs", 1, "--learning-rate", 1e30, "--optimizer", "sgd",
            "--schedule", "constant", "--validation-fraction", 0, "--output", folder,
        )  # fmt: skip
        assert status == 1 and err.count("\n") == 1, err
        assert "in epoch 1" in err and "test accuracy" not in out
        assert not {"result.json", "best.keras"} & {path.name for path in folder.iterdir()}

    @pytest.mark.parametrize("optimizer", ["sgd", "adam"])
    def test_moving_averages_of_the_weights_replace_them_at_each_epochs_end(self, optimizer):
        options = TrainOptions(
            "deep_spectral", ema=0.75, optimizer=optimizer, schedule="constant", learning_rate=0.1
        )
        weights = {}
        for ema in (0.0, 0.75):
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
            model.set_weights([np.arange(6.0).reshape(2, 3) / 8, np.zeros(3)])
            _train.compile_model(model, options.replaced(ema=ema), steps_per_epoch=2)
            steps = weights[ema] = []
            for _ in range(3):
                model.train_on_batch(np.array([[1.0, -2.0]]), np.array([1]))
                steps.append(np.array(model.get_weights()[0]))
        first, second, third = weights[0.0]
        np.testing.assert_allclose(weights[0.75][0], first, rtol=1e-6)
        # Keras' average starts as the weights after the first step.
        average = 0.75 * first + 0.25 * second
        np.testing.assert_allclose(weights[0.75][1], average, rtol=1e-5)
        assert not np.allclose(weights[0.75][2], third)

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="XLA of TensorFlow")
    @pytest.mark.parametrize("more", [("--jit",), ()])
    def test_jit_compiles_with_xla(self, npz, tmp_path, more):
        """In a process of its own: XLA writes down every program that it compiles."""
        folder, programs = tmp_path / "run", tmp_path / "programs"
        arguments = [*TINY, "--dataset", npz, "--epochs", "1", "--output", str(folder), *more]
        subprocess.run(
            [sys.executable, "-m", "models.spectral_pool_cnn", *arguments],
            cwd=ROOT,
            env=os.environ | {"XLA_FLAGS": f"--xla_dump_to={programs}"},
            check=True,
        )
        used = programs.exists() and any(
            "train_function" in p.name or "one_step" in p.name for p in programs.iterdir()
        )
        result = json.loads((folder / "result.json").read_text())
        assert result["jit"] is used is bool(more)

    def test_more_epochs_where_the_schedule_allows_it(self, command, npz, tmp_path):
        common = (*TINY, "--dataset", npz, "--output")
        for schedule in ("constant", "cosine"):
            folder, options = tmp_path / schedule, ("--schedule", schedule, "--epochs")
            assert command(*common, folder, *options, 2)[0] == 0
            status, out, err = command(*common, folder, *options, 3, "--resume")
            if schedule == "cosine":
                assert status == 2 and "was started with --epochs 2, not 3" in err
                assert "own options (python -m models.spectral_pool_cnn " in err
                continue
            assert (status, err) == (0, "") and "started with --epochs 2" in out
            assert command(*common, tmp_path / "whole", *options, 3)[0] == 0
            assert_same_run(folder, tmp_path / "whole")
            assert json.loads((folder / "config.json").read_text())["options"]["epochs"] == 3


class TestResume:
    OPTIONS = (
        *TINY[:-1], "crop_flip", "--epochs", "5", "--schedule", "plateau", "--early-stopping", "4",
        "--learning-rate", "1e-3", "--ema", "0.5",
    )  # fmt: skip
    QUICK = (
        *TINY[:-1], "reflect_crop,alternating_flip", "--epochs", "5", "--schedule", "triangle",
        "--optimizer", "sgd", "--learning-rate", "1e-2", "--nesterov", "--bias-rate", "8",
        "--label-smoothing", "0.2", "--lookahead", "3", "--validation-fraction", "0",
    )  # fmt: skip

    @pytest.mark.parametrize("options", [OPTIONS, QUICK])
    def test_from_every_epoch(self, command, npz, tmp_path, monkeypatch, capsys, options):
        """Also where the newest checkpoint is damaged and best.keras is gone.

        SIGKILL of the command, at any moment: tests/faults.
        """
        whole, stopped = tmp_path / "whole", tmp_path / "stopped"
        arguments = ("--dataset", npz, *options)
        command(*arguments, "--output", whole)

        class Killed(BaseException):
            pass

        saved = ResumableFit._save

        def checkpoint_then_die(fit):
            saved(fit)
            raise Killed

        monkeypatch.setattr(ResumableFit, "_save", checkpoint_then_die)
        for attempt in range(6):
            with pytest.raises(Killed):
                _train.main(
                    "spectral_pool_cnn",
                    [*arguments, "--output", str(stopped)] + ["--resume"] * (attempt > 0),
                )
            assert ("is damaged" in "".join(capsys.readouterr())) == (attempt == 3)
            if attempt == 2:
                newest = checkpoint_files(stopped / "checkpoints")[0]
                newest.write_bytes(newest.read_bytes()[:-7])
                (stopped / "best.keras").unlink(missing_ok=True)
        monkeypatch.setattr(ResumableFit, "_save", saved)
        assert command(*arguments, "--output", stopped, "--resume")[0] == 0
        assert_same_run(whole, stopped)

    def test_other_options_are_refused(self, command, npz, tmp_path):
        folder = tmp_path / "run"
        command(*TINY, "--dataset", npz, "--epochs", 1, "--output", folder)
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        status, _, err = command(
            *TINY, "--dataset", npz, "--epochs", 2, "--output", folder, "--resume"
        )
        assert status == 2 and "--epochs 1, not 2" in err
        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def test_without_a_run_it_begins_one(self, command, npz, tmp_path):
        arguments = (*TINY, "--dataset", npz, "--epochs", 1, "--output", tmp_path / "run")
        assert command(*arguments, "--resume")[0] == 0
        assert (tmp_path / "run" / "result.json").exists()


CONSTANT = (*TINY, "--schedule", "constant")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(arguments, folder) of a run of two epochs."""
    folder = tmp_path_factory.mktemp("finished")
    arguments = [*CONSTANT, "--dataset", write_tiny(folder / "tiny.npz"), "--output"]
    with pytest.raises(SystemExit) as stopped:
        _train.main("spectral_pool_cnn", [*arguments, str(folder / "run"), "--epochs", "2"])
    assert stopped.value.code == 0
    return arguments, folder / "run"


@pytest.fixture
def resumed(finished, command, tmp_path):
    """(a copy of that run, a function that resumes in it with more arguments)."""
    arguments, folder = finished
    shutil.copytree(folder, tmp_path / "run")

    def resume(*more, **name):
        return command(*arguments, tmp_path / "run", "--resume", *more, **name)

    return tmp_path / "run", resume


class TestFinished:
    """--resume in the folder of a finished training, which figures leave without checkpoints."""

    @pytest.fixture
    def no_training(self, monkeypatch):
        monkeypatch.setattr(ResumableFit, "fit", lambda *_, **__: pytest.fail("it trains"))

    @pytest.mark.parametrize("left", ["none", "damaged", "without a result"])
    def test_without_checkpoints_it_is_only_evaluated(self, resumed, no_training, left):
        folder, resume = resumed
        before = {path.name: path.read_bytes() for path in folder.glob("*.*")}
        result = read_json(folder / "result.json")
        if left == "damaged":
            for path in checkpoint_files(folder / "checkpoints"):
                path.write_bytes(path.read_bytes()[:-7])
        else:
            shutil.rmtree(folder / "checkpoints")
        if left == "without a result":  # as a figure leaves it that needs none
            (folder / "result.json").unlink()
        status, out, err = resume("--epochs", 2, "--tta", "mirror")
        assert (status, err) == (0, "")
        assert "finished after epoch 2: nothing to train" in out
        for name in ("best.keras", "history.csv", "config.json"):
            assert (folder / name).read_bytes() == before[name]
        again = read_json(folder / "result.json")
        assert again.pop("tta") == "mirror" and again.pop("test_accuracy_tta") >= 0
        assert again.pop("command") != result.pop("command") and again == result

    def test_without_checkpoints_more_epochs_are_refused(self, resumed, no_training):
        folder, resume = resumed
        shutil.rmtree(folder / "checkpoints")
        before = {path: path.read_bytes() for path in folder.glob("*.*")}
        status, _, err = resume("--epochs", 4)
        assert status == 2 and err.count("\n") == 1
        assert "no checkpoint of it is left, and --epochs 4 needs one: --overwrite trains" in err
        history = (folder / "history.csv").read_text()
        for damaged in (history.replace("2", "3", 1), history[: len(history) // 2], ""):
            (folder / "history.csv").write_text(damaged)
            status, _, err = resume("--epochs", 2)
            assert status == 2 and err.count("\n") == 1 and "history.csv " in err
        (folder / "history.csv").write_text(history)
        assert before == {path: path.read_bytes() for path in folder.glob("*.*")}

    def test_an_unfinished_run_without_checkpoints_begins_anew_and_says_so(self, resumed):
        folder, resume = resumed
        shutil.rmtree(folder / "checkpoints")
        (folder / "result.json").unlink()
        lines = (folder / "history.csv").read_text().splitlines(keepends=True)
        (folder / "history.csv").write_text("".join(lines[:2]))
        status, _, err = resume("--epochs", 2)
        assert status == 0 and err == f"{folder} has no checkpoint: training begins anew\n"
        assert (folder / "history.csv").read_text().count("\n") == 3

    def test_another_network_is_refused(self, resumed, command, no_training):
        folder, _ = resumed
        for again in (False, True):
            if again:
                shutil.rmtree(folder / "checkpoints")
            status, _, err = command("--output", folder, "--resume", name="deep_spectral")
            assert status == 2 and err.count("\n") == 1
            assert "was started with spectral_pool_cnn, not deep_spectral" in err

    def test_fewer_epochs_are_refused(self, resumed, no_training):
        folder, resume = resumed
        before = {path: path.read_bytes() for path in folder.glob("*.*")}
        for again in (False, True):
            if again:
                shutil.rmtree(folder / "checkpoints")
            status, _, err = resume("--epochs", 1)
            assert status == 2 and err.count("\n") == 1
            assert "has 2 epochs already: --epochs 1 cannot be fewer" in err
        assert before == {path: path.read_bytes() for path in folder.glob("*.*")}

    def test_best_keras_keeps_its_bytes(self, resumed, no_training):
        """Evaluations, explanations and presets know it by its SHA-256."""
        path, resume = resumed[0] / "best.keras", resumed[1]
        before, weights = path.read_bytes(), keras.saving.load_model(path).get_weights()
        assert resume("--epochs", 2)[0] == 0 and path.read_bytes() == before

        def another():
            model = keras.saving.load_model(path)
            model.set_weights([weight + 1 for weight in model.get_weights()])
            model.save(path)

        for damage in (
            path.unlink, lambda: path.write_bytes(before[:-9]), lambda: path.write_text(""), another
        ):  # fmt: skip
            damage()
            assert resume("--epochs", 2)[0] == 0
            for one, other in zip(
                keras.saving.load_model(path).get_weights(), weights, strict=True
            ):
                np.testing.assert_array_equal(one, other)

    def test_a_run_that_trains_on_is_not_finished(self, resumed, monkeypatch):
        folder, resume = resumed
        run = RunFolder(folder)
        run.check_finished("result.json")

        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(ResumableFit, "fit", interrupted)
        for _ in range(2):
            assert resume("--epochs", 9)[0] == 130
            with pytest.raises(CommandError, match="was trained for 2 of 9 epochs: finish the"):
                run.check_finished("result.json")
            assert resume("--epochs", 2)[0] == 0
            run.check_finished("result.json")

    def test_early_stopping(self, command, npz, tmp_path, monkeypatch):
        arguments = (
            *CONSTANT, "--dataset", npz, "--early-stopping", 1, "--learning-rate", 1e-9,
            "--output", tmp_path / "run",
        )  # fmt: skip
        assert command(*arguments, "--epochs", 9)[0] == 0
        result = read_json(tmp_path / "run" / "result.json")
        assert result["stopped_early"] and result["epochs"] == 2
        monkeypatch.setattr(ResumableFit, "fit", lambda *_, **__: pytest.fail("it trains"))
        for epochs in (9, 12):
            status, out, _ = command(*arguments, "--epochs", epochs, "--resume")
            assert status == 0 and "stopped early after epoch 2: nothing to train" in out
            shutil.rmtree(tmp_path / "run" / "checkpoints", ignore_errors=True)
        again = read_json(tmp_path / "run" / "result.json")
        assert (again["stopped_early"], again["best_epoch"]) == (True, result["best_epoch"])


class TestBadInput:
    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
    @pytest.mark.parametrize("option", [{"export": "onnx"}, {"tensorboard": True}])
    def test_names_that_tensorflow_does_not_take(self, npz, tmp_path, monkeypatch, option):
        """Before the training; without these options it works."""
        installed = types.SimpleNamespace(util=types.SimpleNamespace(find_spec=str))
        monkeypatch.setattr(_train, "importlib", installed)
        output = tmp_path / "\udcff"
        options = TrainOptions("deep_spectral", dataset=str(npz), output=str(output), **option)
        (name,) = option
        with pytest.raises(CommandError, match=f"--{name} takes names in UTF-8 only"):
            _train.train(options)
        assert not output.exists()

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
    def test_an_export_that_cannot_be_is_refused_before_the_training(
        self, npz, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("spectral_keras.export.importlib.util.find_spec", lambda name: None)
        output = tmp_path / "run"
        options = TrainOptions(
            "deep_spectral", dataset=str(npz), output=str(output), export="onnx", tensorboard=False
        )
        with pytest.raises(CommandError, match="--export onnx: ONNX needs .*tf2onnx"):
            _train.train(options)
        assert not output.exists()

    def test_folder_with_a_run_is_not_overwritten(self, command, npz, tmp_path):
        arguments = (*TINY, "--dataset", npz, "--epochs", 1, "--output", tmp_path / "run")
        command(*arguments)
        weights = (tmp_path / "run" / "best.keras").read_bytes()
        status, _, err = command(*arguments)
        assert status == 2
        assert "--resume" in err and "--overwrite" in err and err.count("\n") == 1
        assert (tmp_path / "run" / "best.keras").read_bytes() == weights
        assert command(*arguments, "--overwrite")[0] == 0

    def test_folder_with_other_files_is_left_alone(self, command, npz, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter1.tex").write_text("text")
        for more in ((), ("--overwrite",), ("--resume",)):
            status, _, err = command("--dataset", npz, "--output", tmp_path / "thesis", *more)
            assert status == 2 and "is not empty and holds no run" in err
        assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]

    @pytest.mark.parametrize(
        "mark", [{"model": "x", "search": {}}, {"model": None, "build": "a:b", "search": {}},
                 {"what": preset.WHAT, "model": "x"}, {}],
    )  # fmt: skip
    def test_folder_with_work_of_another_kind_is_left_alone(self, command, npz, tmp_path, mark):
        """A search, a preset, anything else with a config.json that has options."""
        folder = tmp_path / "found"
        (folder / "trials").mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(mark | {"options": {}}))
        for mode in ("--overwrite", "--resume"):
            status, _, err = command("--dataset", npz, "--output", folder, mode)
            assert status == 2 and err.count("\n") == 1
            assert ("--overwrite deletes nothing" in err) == (mode == "--overwrite")
            assert "is not of a run" in err or "of something else than a run" in err
        assert {path.name for path in folder.iterdir()} == {"config.json", "trials"}

    def test_output_that_is_a_file(self, command, npz, tmp_path):
        (tmp_path / "file").write_text("text")
        status, _, err = command("--dataset", npz, "--output", tmp_path / "file")
        assert status == 2 and "is not a folder" in err
        status, _, err = command("--dataset", npz, "--output", tmp_path / "file" / "run", *TINY)
        assert status == 2 and err.count("\n") == 1

    @pytest.mark.parametrize("content", ["{", "[]", '{"options": 3}'])
    def test_damaged_config(self, command, npz, tmp_path, content):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "config.json").write_text(content)
        status, _, err = command("--dataset", npz, "--output", tmp_path / "run", "--resume")
        assert status == 2 and "config.json" in err and err.count("\n") == 1

    def test_the_same_data_by_another_path(self, command, npz, tmp_path, monkeypatch):
        """Relative from there, absolute from elsewhere: the run continues; with others not."""
        monkeypatch.chdir(tmp_path)
        run = ("--output", tmp_path / "run", *TINY)
        assert command("--dataset", "tiny.npz", "--epochs", 1, *run)[0] == 0
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        again = ("--epochs", 1, *run, "--resume")
        assert command("--dataset", npz, *again)[0] == 0
        config = json.loads((tmp_path / "run" / "config.json").read_text())
        assert config["data"]["path"] == npz and config["options"]["dataset"] == "tiny.npz"
        status, _, err = command("--dataset", write_tiny(tmp_path / "other.npz"), *again)
        assert status == 2 and "was started with --dataset tiny.npz" in err

    @pytest.mark.parametrize("mode", ["--resume", "--overwrite"])
    def test_folder_in_use(self, npz, tmp_path, mode):
        other = RunFolder(tmp_path / "run")
        (tmp_path / "run").mkdir()
        other.open(overwrite=False)
        mark = {"model": "spectral_pool_cnn", "options": {}}
        (tmp_path / "run" / "config.json").write_text(json.dumps(mark))
        code = (
            "from spectral_keras.experiments.train.command import main; main('spectral_pool_cnn', "
            f"['--dataset', {npz!r}, '--output', {str(tmp_path / 'run')!r}, {mode!r}])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        other.close()
        assert done.returncode == 2 and "in use by another process" in done.stderr
        assert (tmp_path / "run" / "config.json").exists()


class TestOptions:
    @pytest.mark.parametrize("name", registry.names())
    def test_recipe_and_network_give_the_defaults(self, name):
        options = TrainOptions.of_command(name, [])
        recipe = registry.recipe(name)
        assert options.epochs == recipe.epochs and options.augment == recipe.augment
        for option, (_, default) in registry.options(name).items():
            assert options.network[option] == recipe.options.get(option, default)

    def test_types(self):
        argv = ["--dense-units", "64,32", "--kernel-size", "5"]
        network = TrainOptions.of_command("generic_cnn", argv).network
        assert network["dense_units"] == (64, 32) and network["kernel_size"] == 5

    def test_list_of_the_zoo(self):
        done = subprocess.run(
            [sys.executable, "-m", "models"], cwd=ROOT, capture_output=True, text=True, timeout=300,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for name in registry.names():
            assert name in done.stdout
        assert "13,282,634" not in done.stdout  # spectral kernels count twice
