"""The search command: files, failures, resume after SIGKILL, chief and workers, bad input."""

import json
import logging
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from spectral_keras.data import load
from spectral_keras.experiments.provenance import device_kind
from spectral_keras.experiments.search import tuner as _tuner
from spectral_keras.experiments.search.api import Training, search
from tests.models.runs import by_hand
from tests.tuning.builders import branching, dense, nine
from tests.tuning.conftest import write_npz

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILDERS = "tests.tuning.builders:"
FEW = ("--validation-fraction", "0.3", "--batch-size", "42", "--epochs", "1")
ZOO = ("--model", "spectral_pool_cnn", *FEW, "--augment", "none", "--fix", "max_filters=4")
SHORT = Training(epochs=1, batch_size=42)
KEPT = ("number", "status", "reason", "point", "score", "best_epoch", "val_accuracy")


def results(folder):
    return json.loads((pathlib.Path(folder) / "results.json").read_text())


def outcome(folder):
    return [{key: trial[key] for key in KEPT} for trial in results(folder)["trials"]]


class TestCommand:
    def test_files_and_numbers(self, command, npz, tmp_path):
        """What a search leaves, its points trained in full, and what its folder refuses."""
        folder = tmp_path / "search"
        arguments = (
            *ZOO, "--dataset", npz, "--trials", "2", "--range", "num_pairs=1,2", "--gamma", "0.5",
            "--output", folder,
        )  # fmt: skip
        status, out, err = command("search", *arguments)
        assert (status, err) == (0, "")
        found = results(folder)
        assert [trial["status"] for trial in found["trials"]] == ["completed"] * 2
        for trial in found["trials"]:
            assert trial["point"].keys() == {
                "num_pairs", "alpha", "beta", "learning_rate", "momentum", "weight_decay",
            }  # fmt: skip
            assert trial["point"]["num_pairs"] in (1, 2)
            assert trial["score"] == max(trial["val_accuracy"])
            assert f"trial {trial['number']} epoch 1/1" in out
        best = found["best"]
        assert best["score"] == max(trial["score"] for trial in found["trials"])
        assert found["images"] == {"training": 84, "validation": 36}
        assert found["versions"]["keras-tuner"] and found["seed"] == 0
        assert best["training_command"] in out and best["command"] in out
        assert "--gamma 0.5" in best["training_command"]
        assert "--optimizer sgd" in best["training_command"]
        assert (folder / "search.png").read_bytes().startswith(b"\x89PNG")
        assert not list(folder.glob("trials/*/checkpoints")) and not list(folder.rglob("*tmp*"))

        # The best point in full, by the training command; two epochs instead of one.
        status, out, err = command(
            "retrain", folder, "--epochs", 2, "--schedule", "constant", "--output", tmp_path / "run"
        )
        assert (status, err) == (0, ""), err
        config = json.loads((tmp_path / "run" / "config.json").read_text())
        for option, value in (best["point"] | {"gamma": 0.5, "epochs": 2}).items():
            assert config["options"][option] == value
        assert json.loads((tmp_path / "run" / "result.json").read_text())["test_accuracy"] > 0.2
        assert config["command"].startswith("python -m models.spectral_pool_cnn --")

        # One epoch, as in the trial: the same validation accuracy.
        command("retrain", folder, "--rank", 2, "--output", tmp_path / "second")
        second = sorted(found["trials"], key=lambda trial: (-trial["score"], trial["number"]))[1]
        result = json.loads((tmp_path / "second" / "result.json").read_text())
        assert result["validation_accuracy"] == pytest.approx(second["score"], abs=1e-6)

        status, _, err = command("retrain", folder, "--rank", 3)
        assert status == 2 and "has 2 completed trials" in err and err.count("\n") == 1
        status, _, err = command("retrain", folder, "--no-such", "--output", tmp_path / "third")
        assert status == 2 and "unknown option --no-such" in err and err.count("\n") == 1

        # A folder with a search is neither replaced nor continued with other options.
        before = (folder / "results.json").read_bytes()
        for more, message in (
            ((), "already holds a search"),
            (("--resume", "--seed", "1"), "--seed 0, not 1"),
            (("--resume", "--trials", "1"), "2 finished trials already: --trials 1 cannot be"),
            (("--resume", "--range", "alpha=0,1"), "--range"),
            (("--resume", "--overwrite"), "exclude each other"),
        ):
            status, _, err = command("search", *arguments, *more)
            assert status == 2 and message in err and err.count("\n") == 1, err
        status, _, err = command(
            "search", "--build", BUILDERS + "nine", "--dataset", npz, *FEW, "--output", folder,
            "--resume",
        )  # fmt: skip
        assert status == 2 and "holds a search of spectral_pool_cnn" in err
        assert (folder / "results.json").read_bytes() == before
        status, _, err = command("search", *arguments[:-1], tmp_path / "run", "--overwrite")
        assert status == 2 and "something else than a search" in err
        assert (tmp_path / "run" / "best.keras").exists()
        # A search of a version that did not have an option yet continues.
        config = json.loads((folder / "config.json").read_text())
        del config["options"]["aux"]
        (folder / "config.json").write_text(by_hand(config))
        assert command("search", *arguments, "--resume")[0] == 0
        (folder / "trials" / "trial_1" / "trial.json").write_text("{")
        status, _, err = command("search", *arguments, "--resume")
        assert status == 2 and "trial.json cannot be read" in err and err.count("\n") == 1

    def test_any_function_failures_and_retraining(self, command, npz, tmp_path):
        folder = tmp_path / "search"
        status, out, err = command(
            "search", "--build", BUILDERS + "picky", "--dataset", npz, *FEW, "--trials", 10,
            "--initial-points", 10, "--output", folder,
        )  # fmt: skip
        assert (status, err) == (0, "")
        trials = results(folder)["trials"]
        reasons = {
            "refused": "kind must not be refused. Received: refused",
            "memory": "out of memory: cannot allocate 3 TiB",
            "infinite": "loss is",
        }
        assert {trial["point"]["kind"] for trial in trials} == {*reasons, "good"}
        for trial in trials:
            reason = reasons.get(trial["point"]["kind"])
            assert trial["status"] == ("failed" if reason else "completed")
            assert (trial["score"] is None) == bool(reason)
            if reason:
                assert reason in trial["reason"]
                assert f"trial {trial['number']} failed: {trial['reason']}" in out
        # More failures in a row than Keras Tuner tolerates.
        pattern = "".join(trial["status"][0] for trial in trials)
        assert "fff" in pattern, pattern

        run = tmp_path / "run"
        status, out, err = command("retrain", folder, "--epochs", 3, "--output", run)
        assert (status, err) == (0, "")
        result = json.loads((run / "result.json").read_text())
        assert result["point"]["kind"] == "good" and result["epochs"] == 3
        with np.load(npz) as data:
            model = keras.saving.load_model(run / "best.keras")
            logits = model.predict(data["x_test"].astype("float32") / 255, verbose=0)
            accuracy = np.mean(logits.argmax(1) == data["y_test"])
        assert result["test_accuracy"] == pytest.approx(accuracy, abs=1e-6)
        # Evaluations tell classes by their names, and the data by where it is.
        config = json.loads((run / "config.json").read_text())
        assert config["class_names"] and config["data"]["path"] == str(npz)
        status, _, err = command("retrain", folder, "--output", run)
        assert status == 2 and "already holds a run" in err
        status, _, err = command("retrain", folder, "--learning-rate", "1", "--output", run)
        assert status == 2 and "unknown option --learning-rate" in err

        # Continued under other conditions: said, and kept beside those that it was begun under.
        begun = json.loads((run / "config.json").read_text()) | {"device": "CPU B"}
        (run / "config.json").write_text(by_hand(begun))
        weights = (run / "best.keras").read_bytes()
        line = f"started with device CPU B, now {device_kind()}: the numbers may differ"
        status, out, err = command("retrain", folder, "--epochs", 3, "--output", run, "--resume")
        assert (status, err) == (0, "") and out.splitlines().count(line) == 1
        config = json.loads((run / "config.json").read_text())
        assert config["continued"] == [line] and config["device"] == "CPU B"
        (run / "config.json").write_text(by_hand(begun | {"build": "a:b"}))
        status, _, err = command("retrain", folder, "--epochs", 3, "--output", run, "--resume")
        assert status == 2 and f"started with a:b, not {BUILDERS}picky" in err
        (run / "config.json").write_text(by_hand(begun | {"backend": "numpy"}))
        status, _, err = command("retrain", folder, "--epochs", 3, "--output", run, "--resume")
        assert status == 2 and "started on the backend numpy" in err and err.count("\n") == 1
        (run / "config.json").write_text(by_hand(begun))
        shutil.rmtree(run / "checkpoints")
        status, _, err = command("retrain", folder, "--epochs", 3, "--output", run, "--resume")
        assert status == 2 and "no checkpoint of it is left" in err and err.count("\n") == 1
        assert (run / "best.keras").read_bytes() == weights

    def test_weights_that_do_not_fit_all_points(self, command, npz, tmp_path):
        from spectral_keras.models import build

        start, folder = tmp_path / "start.keras", tmp_path / "search"
        build("spectral_pool_cnn", (8, 8, 3), 3, num_pairs=1, max_filters=4).save(start)
        status, _, err = command(
            "search", *ZOO, "--dataset", npz, "--trials", 6, "--initial-points", 6,
            "--range", "num_pairs=1,2", "--weights", start, "--output", folder,
        )  # fmt: skip
        assert (status, err) == (0, "")
        trials = results(folder)["trials"]
        assert {trial["point"]["num_pairs"] for trial in trials} == {1, 2}
        for trial in trials:
            fits = trial["point"]["num_pairs"] == 1
            assert trial["status"] == ("completed" if fits else "failed")
            assert fits or f"--weights {start}" in trial["reason"]

        # What fits no point, as it cannot be read, ends the search at once.
        (tmp_path / "damaged.keras").write_bytes(b"no zip")
        for wrong in ("missing.keras", "damaged.keras"):
            status, _, err = command(
                "search", *ZOO, "--dataset", npz, "--trials", 2, "--range", "num_pairs=1,2",
                "--weights", tmp_path / wrong, "--output", tmp_path / f"of-{wrong}",
            )  # fmt: skip
            assert status == 2 and err.count("\n") == 1 and wrong in err

    def test_fixed_and_narrowed_hyperparameters_of_a_function(self, command, npz, tmp_path):
        base = ("search", "--build", BUILDERS + "dense", "--dataset", npz, *FEW, "--trials", 3)
        status, _, err = command(
            *base, "--fix", "learning_rate=0.01", "--range", "units=3,4", "--output", tmp_path / "s"
        )
        assert (status, err) == (0, "")
        found = results(tmp_path / "s")
        assert found["space_exhausted"] and len(found["trials"]) == 2
        assert {trial["point"]["units"] for trial in found["trials"]} == {3, 4}
        assert {trial["point"]["learning_rate"] for trial in found["trials"]} == {0.01}
        assert [axis["name"] for axis in found["axes"]] == ["units"]

    def test_programming_errors_end_it_and_leave_the_trial_open(self, npz, tmp_path):
        data = load(npz, validation_fraction=0.3)
        from tests.tuning import builders

        with pytest.raises(AttributeError, match="no_such_attribute"):
            search(builders.wrong, data, folder=tmp_path / "a", training=SHORT)
        assert not (tmp_path / "a").exists()
        for build, message in (
            (builders.uncompiled, "must return a compiled keras.Model"),
            (builders.constant, "asks for no hyper-parameter"),
            (builders.unmeasured, 'metrics=\\["accuracy"\\]'),
        ):
            with pytest.raises(ValueError, match=message):
                search(
                    build, data, folder=tmp_path / build.__name__, training=SHORT,
                    show=lambda line: None,
                )  # fmt: skip
        with pytest.raises(KeyError):
            search(builders.wrong_in_layer, data, folder=tmp_path / "b", training=SHORT, trials=4)
        trials = sorted((tmp_path / "b").glob("trials/trial_*/trial.json"))
        assert json.loads(trials[-1].read_text())["status"] == "RUNNING"

    def test_ctrl_c(self, command, npz, tmp_path, monkeypatch):
        def interrupted(*arguments, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(_tuner, "fit", interrupted)
        status, _, err = command(
            "search", "--build", BUILDERS + "nine", "--dataset", npz, *FEW, "--output",
            tmp_path / "s",
        )  # fmt: skip
        assert status == 130 and "--resume continues in" in err and "Traceback" not in err


class TestApi:
    def test_the_test_images_do_not_matter(self, tmp_path):
        outcomes = []
        for name, brightness in (("a", 1), ("b", 0)):
            path = write_npz(tmp_path / f"{name}.npz", brightness)
            found = search(
                nine, load(path, validation_fraction=0.3), trials=2, training=SHORT,
                folder=tmp_path / name, show=lambda line: None,
            )  # fmt: skip
            stored = results(tmp_path / name)
            assert stored.pop("sha256")
            assert found == stored
            outcomes.append(outcome(tmp_path / name))
        assert outcomes[0] == outcomes[1]

    def test_arrays_seed_and_more_trials(self, npz, tmp_path):
        with np.load(npz) as data:
            x, y = data["x_train"], data["y_train"]
        arrays = ((x[:80] / np.float32(255), y[:80]), (x[80:], y[80:]))
        options = {"training": SHORT, "show": lambda line: None}
        search(nine, arrays, trials=3, folder=tmp_path / "whole", **options)
        search(nine, arrays, trials=1, folder=tmp_path / "more", **options)
        search(nine, arrays, trials=3, folder=tmp_path / "more", existing="resume", **options)
        assert outcome(tmp_path / "whole") == outcome(tmp_path / "more")
        message = 'already holds a search: continue it with existing="resume", .* `folder`$'
        with pytest.raises(ValueError, match=message):
            search(nine, arrays, trials=3, folder=tmp_path / "more", **options)
        search(nine, arrays, trials=1, folder=tmp_path / "more", existing="overwrite", **options)
        assert outcome(tmp_path / "more") == outcome(tmp_path / "whole")[:1]
        with pytest.raises(ValueError, match="must be a spectral_keras.data.Dataset or a pair"):
            search(nine, x, folder=tmp_path / "other", **options)

    def test_the_process_stays_as_it_is(self, npz, tmp_path):
        """In every trial the precision is the program's; no link in the folder is followed."""
        precisions = []

        def build(hp):
            precisions.append(keras.config.dtype_policy().name)
            return nine(hp)

        (tmp_path / "outside").write_text("dear")
        folder = tmp_path / "search"
        data = load(npz, validation_fraction=0.3)
        options = {"training": SHORT, "folder": folder, "show": lambda line: None}
        loggers = [logging.getLogger(name) for name in ("tensorflow", "absl", None)]
        levels = [logger.level for logger in loggers]
        keras.config.set_dtype_policy("mixed_bfloat16")
        search(build, data, trials=1, **options)
        for name in (".tmp-search.png", "trials/trial_1/trial.json.tmp", "search.png"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(tmp_path / "outside")
        search(build, data, trials=2, existing="resume", **options)
        assert len(precisions) > 3 and set(precisions) == {"mixed_bfloat16"}
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert [logger.level for logger in loggers] == levels
        assert (tmp_path / "outside").read_text() == "dear"

    @pytest.mark.timeout(120)
    @pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names")
    @pytest.mark.parametrize("name", ["oracle.json", "tuner0.json"])
    def test_files_of_keras_tuner_are_not_opened(self, npz, tmp_path, capsys, name):
        """In a folder from elsewhere they are neither read nor written, be they links or pipes."""
        data = load(npz, validation_fraction=0.3)
        outside, path = tmp_path / "outside", tmp_path / "search" / "trials" / name
        options = {"training": SHORT, "folder": tmp_path / "search"}
        options["show"] = lambda line: None
        search(nine, data, trials=1, **options)
        assert not list(path.parent.glob("*.json"))
        outside.write_text("dear")
        for trials, make in enumerate((lambda: path.symlink_to(outside), lambda: os.mkfifo(path))):
            path.unlink(missing_ok=True)
            make()
            found = search(nine, data, trials=2 + trials, existing="resume", **options)
            assert len(found["trials"]) == 2 + trials
        assert path.is_fifo() and outside.read_text() == "dear"
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("name", ["trials", "trials/trial_1"])
    def test_folders_that_cannot_be(self, npz, tmp_path, name):
        """One error of the system, none of TensorFlow's; nothing is made behind a link."""
        data, outside = load(npz, validation_fraction=0.3), tmp_path / "outside"
        options = {"training": SHORT, "folder": tmp_path / "search"}
        options["show"] = lambda line: None
        search(nine, data, trials=1, **options)
        path = tmp_path / "search" / name
        for make in (lambda: path.write_text("text"), lambda: path.symlink_to(outside)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            make()
            with pytest.raises(OSError, match=name):
                search(nine, data, trials=2, existing="resume", **options)
        assert not outside.exists()

    def test_a_name_that_tensorflow_does_not_take(self, npz, tmp_path):
        data = load(npz, validation_fraction=0.3)
        with pytest.raises(ValueError, match="Keras Tuner takes names in UTF-8 only"):
            search(nine, data, folder=tmp_path / "\udcff")
        assert not (tmp_path / "\udcff").exists()

    def test_a_space_of_ones_own(self, npz, tmp_path):
        """One dict: a value fixes, a pair is a range, other sequences are choices."""
        data = load(npz, validation_fraction=0.3)
        found = search(
            dense, data, trials=3, training=SHORT, folder=tmp_path / "s", show=lambda line: None,
            space={"learning_rate": 0.01, "units": (3, 4)},
        )  # fmt: skip
        assert {trial["point"]["units"] for trial in found["trials"]} == {3, 4}
        assert {trial["point"]["learning_rate"] for trial in found["trials"]} == {0.01}
        config = json.loads((tmp_path / "s" / "config.json").read_text())
        assert config["search"]["fix"] == {"learning_rate": "0.01"}
        assert config["search"]["range"] == {"units": ["3", "4"]}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"existing": "keep"}, "`existing` must be one of 'refuse', 'resume', 'overwrite'"),
            ({"training": {"epochs": 1}}, "`training` must be None or a Training"),
            ({"space": {"width": 1}}, r"`space` width: nine\(hp\) asks for"),
            ({"space": {"units": 3}}, "`space` units: expected one of"),
        ],
    )
    def test_bad_arguments(self, npz, tmp_path, arguments, message):
        data = load(npz, validation_fraction=0.3)
        with pytest.raises(ValueError, match=message):
            search(nine, data, folder=tmp_path / "s", **arguments)
        assert not (tmp_path / "s").exists()

    @pytest.mark.parametrize("name", ["epochs", "batch_size"])
    def test_bad_training(self, name):
        with pytest.raises(ValueError, match=f"`{name}` must be a positive integer"):
            Training(**{name: 0})

    def test_a_function_that_branches(self, npz, tmp_path):
        options = {"training": SHORT, "initial_points": 6, "show": lambda line: None}
        data = load(npz, validation_fraction=0.3)
        found = search(branching, data, trials=6, folder=tmp_path / "whole", **options)
        points = [trial["point"] for trial in found["trials"]]
        assert [trial["status"] for trial in found["trials"]] == ["completed"] * 6
        for point in points:
            assert list(point) == [
                "dropout", *["rate"] * point["dropout"], "depth",
                *(f"units_{number}" for number in range(point["depth"])),
                "optimizer", *["momentum"] * (point["optimizer"] == "sgd"),
            ]  # fmt: skip
        assert len({json.dumps(point) for point in points}) == 6
        assert len({point.get("rate") for point in points}) > 2
        names = {name for point in points for name in point}
        assert {axis["name"] for axis in found["axes"]} == names
        assert (tmp_path / "whole" / "search.png").exists()
        for trials in (1, 6):
            existing = "resume" if trials > 1 else "refuse"
            search(
                branching, data, trials=trials, folder=tmp_path / "more", existing=existing,
                **options,
            )  # fmt: skip
        assert outcome(tmp_path / "more") == outcome(tmp_path / "whole")


def arguments(npz, folder, *more):
    return [
        *("--build", BUILDERS + "dense", "--dataset", npz, "--validation-fraction", "0.3"),
        *("--batch-size", "42", "--output", str(folder), *more),
    ]


def start(npz, folder, *more, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tuning.search", *arguments(npz, folder, *more)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


class TestProcesses:
    EPOCHS = ("--epochs", "6", "--trials", "3", "--initial-points", "2")

    def kill_in(self, process, folder, number):
        """SIGKILL in the middle of a trial: after some of its epochs."""
        deadline = time.monotonic() + 200
        trial = folder / "trials" / f"trial_{number}"
        while not (trial / "checkpoints" / "epoch-000002.ckpt").exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert not (trial / "record.json").exists()

    def test_killed_in_the_first_and_in_a_later_trial(self, command, npz, tmp_path):
        status, _, err = command("search", *arguments(npz, tmp_path / "whole", *self.EPOCHS))
        assert (status, err) == (0, "")
        folder = tmp_path / "killed"
        self.kill_in(start(npz, folder, *self.EPOCHS), folder, 0)
        self.kill_in(start(npz, folder, *self.EPOCHS, "--resume"), folder, 1)
        finished = (folder / "trials" / "trial_0" / "record.json").read_bytes()
        status, out, err = command("search", *arguments(npz, folder, *self.EPOCHS, "--resume"))
        assert (status, err) == (0, "")
        assert "continuing: 1 of 3 trials are finished" in out
        assert "trial 2 epoch 2/" not in out and "trial 2 epoch 6/6" in out
        assert (folder / "trials" / "trial_0" / "record.json").read_bytes() == finished
        assert outcome(folder) == outcome(tmp_path / "whole")
        assert len({tuple(trial["val_accuracy"]) for trial in outcome(folder)}) == 3

    @pytest.mark.parametrize("trial", [0, 2])
    def test_a_lost_record_is_made_again(self, command, npz, tmp_path, trial):
        folder = tmp_path / "search"
        assert command("search", *arguments(npz, folder, *self.EPOCHS))[0] == 0
        whole = outcome(folder)
        (folder / "trials" / f"trial_{trial}" / "record.json").unlink()
        status, out, err = command("search", *arguments(npz, folder, *self.EPOCHS, "--resume"))
        assert (status, err) == (0, "")
        assert f"trial {trial + 1} has lost its record.json: it is run again" in out
        assert "continuing: 2 of 3 trials are finished" in out
        assert outcome(folder) == whole

    def test_records_of_other_machines_are_not_lost(self, command, npz, tmp_path):
        """A search with workers that does not share its folder, finished in one process."""
        folder = tmp_path / "search"
        assert command("search", *arguments(npz, folder, *self.EPOCHS))[0] == 0
        scores = [trial["score"] for trial in results(folder)["trials"]]
        for path in folder.glob("trials/trial_*/record.json"):
            path.unlink()
        config = folder / "config.json"
        config.write_text(by_hand(json.loads(config.read_text()) | {"workers": True}))
        for _ in range(2):
            status, out, err = command("search", *arguments(npz, folder, *self.EPOCHS, "--resume"))
            assert (status, err) == (0, "")
            assert "run again" not in out and "3 of 3 trials are finished" in out
        assert [trial["score"] for trial in results(folder)["trials"]] == scores

    def test_a_lost_trial_ends_the_search(self, command, npz, tmp_path):
        """Later points were chosen by its result: it cannot be made again in their place."""
        folder = tmp_path / "search"
        options = ("--epochs", "1", "--trials", "10")  # Keras Tuner writes trial_00 to trial_09
        assert command("search", *arguments(npz, folder, *options))[0] == 0
        (folder / "trials" / "trial_01" / "trial.json").unlink()
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        status, _, err = command("search", *arguments(npz, folder, *options, "--resume"))
        assert status == 2 and err.count("\n") == 1
        assert "trial_01/trial.json is missing" in err
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before

    def test_chief_and_two_workers(self, npz, tmp_path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        folder = tmp_path / "search"
        processes = {
            name: start(
                npz, folder, "--build", BUILDERS + "branching", "--epochs", "2", "--trials", "4",
                KERASTUNER_TUNER_ID=name, KERASTUNER_ORACLE_IP="127.0.0.1",
                KERASTUNER_ORACLE_PORT=port,
            )
            for name in ("chief", "worker0", "worker1")
        }  # fmt: skip
        outputs = {name: process.communicate(timeout=150)[0] for name, process in processes.items()}
        for name, process in processes.items():
            assert process.returncode == 0, f"{name}: {outputs[name]}"
        found = results(folder)
        assert [trial["status"] for trial in found["trials"]] == ["completed"] * 4
        assert {trial["worker"] for trial in found["trials"]} <= {"worker0", "worker1"}
        for trial in found["trials"]:
            line = f"  trial {trial['number']} epoch 1/2"
            assert [line in outputs[n] for n in ("worker0", "worker1")].count(True) == 1
            assert line not in outputs["chief"]
        assert len({json.dumps(trial["point"]) for trial in found["trials"]}) == 4
        assert "best: trial" in outputs["chief"] and "best: trial" not in outputs["worker0"]
        assert (folder / "search.png").exists()
        # A point is what the function asks for, and no line is Keras Tuner's own.
        for trial in found["trials"]:
            point = trial["point"]
            assert ("rate" in point) == point["dropout"]
            assert ("momentum" in point) == (point["optimizer"] == "sgd")
            assert sum(name.startswith("units") for name in point) == point["depth"]
        lines = "\n".join(outputs.values()).splitlines()
        assert not {"True", "False", "sgd", "adam"} & set(lines)


BAD_OPTIONS = [
    ((), "one of the arguments --model --build is required"),
    (("--model", "resnet9000"), "invalid choice: 'resnet9000'"),
    (("--model", "generic_cnn", "--build", "a:b"), "not allowed with argument --model"),
    (("--build", "nothing"), "expected package.module:function"),
    (("--build", "no.such.module:f"), "No module named 'no'"),
    (("--build", "tests.tuning.builders:f"), "has no function f"),
    (("--build", BUILDERS + "nine", "--learning-rate", "1"), "unknown option --learning-rate"),
    (("--build", BUILDERS + "nine", "--fix", "width=1"), "asks for units, activation"),
    (("--build", BUILDERS + "nine", "--fix", "units=3"), "expected one of"),
    (("--build", BUILDERS + "nine", "--fix", "units=x"), "expected a value like 2, received 'x'"),
    (("--build", BUILDERS + "dense", "--range", "units=4"), "expected LOW,HIGH"),
    (("--build", BUILDERS + "constant"), "asks for no hyper-parameter"),
    ((*ZOO, "--trials", "0"), "--trials: expected a value >= 1"),
    ((*ZOO, "--initial-points", "0"), "--initial-points: expected a value >= 1"),
    ((*ZOO, "--fix", "gamma"), "expected NAME=VALUE, received 'gamma'"),
    ((*ZOO, "--fix", "gama=1"), "spectral_pool_cnn has no such option"),
    ((*ZOO, "--fix", "gamma=x"), "--gamma: expected a number, received 'x'"),
    ((*ZOO, "--fix", "gamma=.5", "--fix", "gamma=.6"), "--fix gamma is given more than once"),
    ((*ZOO, "--range", "gamma=0.5"), "expected LOW,HIGH"),
    ((*ZOO, "--range", "gamma=0.9,0.1"), "LOW < HIGH, received 0.9,0.1"),
    ((*ZOO, "--range", "momentum=0.5,2"), "--momentum: expected a value < 1"),
    ((*ZOO, "--range", "epochs=1,2"), "--range epochs: the search space"),
    ((*ZOO, "--epoch", "1"), "did you mean --epochs?"),
    ((*ZOO, "--validation-fraction", "0"), "--validation-fraction must be above 0"),
    ((*ZOO, "--schedule", "plateau"), "--schedule plateau is no schedule for a search"),
    ((*ZOO, "--early-stopping", "3"), "--early-stopping is no option of a search"),
    ((*ZOO, "--augment", "rotate"), "--augment: "),
    ((*ZOO, "--dataset", "missing.npz"), "missing.npz"),
]


class TestBadInput:
    @pytest.mark.parametrize(("arguments", "message"), BAD_OPTIONS)
    def test_option(self, command, npz, tmp_path, arguments, message):
        status, _, err = command(
            "search", "--dataset", npz, *arguments, "--output", tmp_path / "search"
        )
        assert status == 2
        assert message in err
        assert err.count("\n") == 1 and "Traceback" not in err
        assert not (tmp_path / "search").exists()

    def test_folders(self, command, npz, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter1.tex").write_text("text")
        for more in ((), ("--overwrite",), ("--resume",)):
            status, _, err = command(
                "search", *ZOO, "--dataset", npz, "--output", tmp_path / "thesis", *more
            )
            assert status == 2 and "is not empty and holds no search" in err
        for content in ("{", "[]", '{"search": 3}'):
            (tmp_path / "s").mkdir(exist_ok=True)
            (tmp_path / "s" / "config.json").write_text(content)
            status, _, err = command(
                "search", *ZOO, "--dataset", npz, "--output", tmp_path / "s", "--resume"
            )
            assert status == 2 and err.count("\n") == 1
        for folder in ("nowhere", "s", "thesis"):
            status, _, err = command("retrain", tmp_path / folder)
            assert status == 2 and "results" in err and err.count("\n") == 1

    @pytest.mark.parametrize(
        ("variables", "message"),
        [
            ({}, "KERASTUNER_ORACLE_PORT must be set"),
            ({"KERASTUNER_ORACLE_PORT": "8000"}, "KERASTUNER_TUNER_ID must be set"),
            ({"KERASTUNER_ORACLE_PORT": "x", "KERASTUNER_TUNER_ID": "chief"}, "received 'x'"),
            ({"KERASTUNER_ORACLE_PORT": "1", "KERASTUNER_TUNER_ID": "w"}, "no chief answers"),
        ],
    )
    def test_cluster(self, command, npz, tmp_path, monkeypatch, variables, message):
        from spectral_keras.experiments.search import cluster as _cluster

        monkeypatch.setattr(_cluster.wait_for_chief, "__defaults__", (0,))
        for name, value in {"KERASTUNER_ORACLE_IP": "127.0.0.1", **variables}.items():
            monkeypatch.setenv(name, value)
        status, _, err = command(
            "search", "--build", BUILDERS + "nine", "--dataset", npz, "--output", tmp_path / "s"
        )
        assert status == 2 and message in err and err.count("\n") == 1
        assert not (tmp_path / "s").exists()
