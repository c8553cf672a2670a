"""Files from anywhere: an error, never code that they bring, and no path outside their folder."""

import ast
import base64
import hashlib
import io
import json
import os
import pathlib
import pickle  # only to make what must not be read
import shutil
import zipfile

import keras
import numpy as np
import pytest

from spectral_keras.data import DataError, load, load_corrupted
from spectral_keras.data.errors import DataWarning
from spectral_keras.experiments import saved_models as _files
from spectral_keras.experiments.command import CommandError, NotFiniteError, report_end
from spectral_keras.experiments.corrupt import command as corrupt
from spectral_keras.experiments.evaluate import command as evaluate
from spectral_keras.experiments.explain import command as explain
from spectral_keras.experiments.train import command as _train
from spectral_keras.experiments.train import run as _run
from spectral_keras.training import checkpoint as _checkpoint
from spectral_keras.training.checkpoint import (
    CheckpointError,
    newest_checkpoint,
    read_checkpoint,
    restore_checkpoint,
    save_checkpoint,
)
from tests.models.runs import by_hand, write_tiny

ROOT = pathlib.Path(__file__).resolve().parents[1]
DEEP = "[" * 100_000
MANIFESTS = [DEEP, "{", "[]", "NaN", '{"severities": [[1]]}', '{"severities": [1e999]}']
ATTACK = ("--attack", "fgsm", "--eps", "0.1")
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


class Payload:
    """Unpickling it makes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self.marker),)


@pytest.fixture
def marker(tmp_path):
    """A file that code in a crafted file would make; it must not be there in the end."""
    path = tmp_path / "marker"
    yield path
    assert not path.exists()


def objects(marker):
    return np.array([Payload(marker), 1], object)


def saved(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_the_payload_works(tmp_path):
    """A `marker` that is not there would prove nothing otherwise."""
    path = tmp_path / "made"
    np.load(io.BytesIO(saved(x=objects(path))), allow_pickle=True)["x"]
    assert path.exists()


class TestArrays:
    @pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test", "class_names"])
    def test_npz(self, tmp_path, marker, name):
        path = tmp_path / "data.npz"
        write_tiny(path)
        with np.load(path) as stored:
            path.write_bytes(saved(**dict(stored) | {name: objects(marker)}))
        with pytest.raises(DataError, match="holds pickled objects.*not read for safety"):
            load(str(path))

    def test_a_bare_pickle(self, tmp_path, marker):
        path = tmp_path / "data.npz"
        path.write_bytes(pickle.dumps(Payload(marker)))
        with pytest.raises(DataError, match="holds pickled objects"):
            load(str(path))

    @pytest.mark.parametrize("name", ["fog", "labels"])
    @pytest.mark.parametrize("as_archive", [False, True])
    def test_corrupted_images(self, tmp_path, marker, name, as_archive):
        arrays = {"fog": np.zeros((10, 4, 4, 3), np.uint8), "labels": np.zeros(10, int)}
        arrays[name] = objects(marker)
        source = tmp_path / ("copy.npz" if as_archive else "copy")
        if as_archive:
            source.write_bytes(saved(**arrays))
        else:
            source.mkdir()
            for key, value in arrays.items():
                np.save(source / f"{key}.npy", value)
        with pytest.raises(DataError):
            load_corrupted(source)

    @pytest.mark.parametrize("manifest", MANIFESTS, ids=range(len(MANIFESTS)))
    def test_manifest_of_a_copy(self, tmp_path, manifest):
        np.save(tmp_path / "fog.npy", np.zeros((10, 4, 4, 3), np.uint8))
        np.save(tmp_path / "labels.npy", np.zeros(10, int))
        (tmp_path / "corruptions.json").write_text(manifest)
        with pytest.raises(DataError, match="corruptions.json"):
            load_corrupted(tmp_path)

    @pytest.mark.parametrize("shape", ["(999999999999, 9, 9, 3)", "(-1, 4, 4, 3)", "(1e9,)"])
    def test_header_that_lies(self, tmp_path, shape):
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
            for name in ("x_train", "y_train", "x_test", "y_test"):
                archive.writestr(f"{name}.npy", content)
        with pytest.raises(DataError):
            load(str(tmp_path / "data.npz"))

    def test_members_outside_are_not_written(self, tmp_path):
        path = tmp_path / "deep" / "data.npz"
        path.parent.mkdir()
        write_tiny(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("../evil.npy", b"x")
        with pytest.warns(DataWarning, match=r"arrays of other names: 1 \(../evil\)"):
            assert len(load(str(path)).y_test) == 30
        assert {entry.name for entry in tmp_path.rglob("*")} == {"deep", "data.npz"}

    def test_a_folder_with_links(self, tmp_path):
        """A link to a picture is read as one; what is no picture gives an error, not its text."""
        from PIL import Image

        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret.txt").write_text("secret words")
        Image.new("RGB", (8, 8), "red").save(outside / "red.png")
        for name in "ab":
            (tmp_path / "set" / name).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8)).save(tmp_path / "set" / name / f"{number}.png")
        (tmp_path / "set" / "b" / "3.png").symlink_to(outside / "red.png")
        data = load(str(tmp_path / "set"), validation_fraction=0)
        assert len(data.y_train) + len(data.y_test) == 7
        (tmp_path / "set" / "b" / "4.png").symlink_to(outside / "secret.txt")
        with pytest.raises(DataError, match="4.png has the content of none") as caught:
            load(str(tmp_path / "set"), validation_fraction=0)
        assert "secret words" not in str(caught.value)
        (tmp_path / "set" / "b" / "4.png").unlink()
        (tmp_path / "set" / "c").symlink_to(tmp_path / "set" / "c")
        with pytest.warns(DataWarning, match=r"left out of .*\(c\)"):
            load(str(tmp_path / "set"))


# --- .keras files


def network():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(3)(x), name="net")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "best.keras"
    network().save(path)
    return path


def rewritten(source, target, change, *extra):
    """A `.keras` file whose members went through `change`, and further members."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members = change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in [*members.items(), *extra]:
            archive.writestr(name, content)
    return target


def with_config(source, target, config):
    text = config if isinstance(config, (str, bytes)) else json.dumps(config)
    return rewritten(source, target, lambda members: members | {"config.json": text})


def named(module, name, config, **others):
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": None,
    } | others


CONFIGS = [
    "{", "[]", "3", "null", DEEP, b"\xff\xfe", "{}", '{"class_name": 3, "config": {}}',
    named("os", "function", "system"),
    named("os", "system", {"command": "touch marker"}),
    named("subprocess", "Popen", {"args": ["touch", "marker"]}),
    named("builtins", "eval", {"source": "open('marker', 'w')"}),
    named("builtins", "function", "exec"),
    named("posixpath.os", "function", "system"),
    named("keras.src.saving.saving_lib", "function", "load_model"),
    named("keras.utils", "get_file", {"origin": "file:///etc/passwd"}),
    named("keras.utils", "function", "get_file"),
    named("keras.config", "function", "enable_unsafe_deserialization"),
    named("tests.test_untrusted_files", "Payload", {"marker": "marker"}),
    named(None, "__lambda__", {"value": base64.b64encode(b"x").decode()}),
    named("keras.layers", "Dense", {"units": 3}),
    named("keras.layers", "Dense", {"units": "x"}),
    named("keras", "Sequential", {"layers": []}),
    named("keras", "Functional", {"layers": 3}),
]  # fmt: skip


class TestKerasFiles:
    @pytest.mark.parametrize("number", range(len(CONFIGS)))
    def test_config(self, tmp_path, marker, monkeypatch, good, number):
        monkeypatch.chdir(tmp_path)
        path = with_config(good, tmp_path / "best.keras", CONFIGS[number])
        with pytest.raises(CommandError, match="best.keras cannot be loaded") as caught:
            _files.load_model(path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
        assert not keras.src.saving.serialization_lib.in_safe_mode()  # nothing was switched

    def test_a_function_of_python_inside_a_layer(self, tmp_path, marker, monkeypatch, good):
        monkeypatch.chdir(tmp_path)
        with zipfile.ZipFile(good) as archive:
            config = json.loads(archive.read("config.json"))
        dense = config["config"]["layers"][-1]["config"]
        dense["activation"] = named("os", "function", "system", registered_name="system")
        path = with_config(good, tmp_path / "best.keras", config)
        with pytest.raises(CommandError, match="cannot be loaded"):
            _files.load_model(path)

    def test_lambda(self, tmp_path, marker):
        # The bytes of the function would run at the first call.
        source = f"lambda x: (__import__('pathlib').Path({str(marker)!r}).touch(), x)[1]"
        layer = eval(source)
        inputs = keras.Input((4,))
        keras.Model(inputs, keras.layers.Lambda(layer, output_shape=(4,))(inputs)).save(
            tmp_path / "best.keras"
        )
        marker.unlink(missing_ok=True)  # made by the call while it was built
        with pytest.raises(CommandError, match="Lambda.*arbitrary code"):
            _files.load_model(tmp_path / "best.keras")

    @pytest.mark.parametrize(
        "member", ["../../evil.txt", "assets/../../evil.txt", "/tmp/evil.txt", "\\evil.txt"]
    )
    def test_path_outside(self, tmp_path, good, member):
        (tmp_path / "deep" / "er").mkdir(parents=True)
        path = rewritten(good, tmp_path / "deep/er/best.keras", dict, (member, b"evil"))
        with pytest.raises(CommandError, match="cannot be loaded: its member .*evil"):
            _files.load_model(path)
        assert [entry.name for entry in tmp_path.rglob("*.*")] == ["best.keras"]

    @pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
    def test_lacking_and_damaged_members(self, tmp_path, good, member):
        path = tmp_path / "best.keras"
        rewritten(good, path, lambda m: {name: m[name] for name in m if name != member})
        with pytest.raises(CommandError, match="best.keras cannot be loaded"):
            _files.load_model(path)
        rewritten(good, path, lambda m: m | {member: b"garbage"})
        with pytest.raises(CommandError, match="best.keras cannot be loaded"):
            _files.load_model(path)

    def test_a_small_file_that_unpacks_beyond_the_memory(self, tmp_path, good, monkeypatch):
        with zipfile.ZipFile(good) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["config.json"] += b" " * 2**24
        path = tmp_path / "best.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        assert path.stat().st_size < 2**20
        _files.load_model(path)
        monkeypatch.setattr(_files, "available_memory", lambda: 2**23)
        with pytest.raises(
            CommandError, match="best.keras cannot be loaded: it unpacks to 0.0 GiB"
        ):
            _files.load_model(path)

    def test_a_network_that_does_not_fit_into_memory(self, tmp_path, good, monkeypatch):
        """A config of a few bytes may ask for any number of weights."""
        with zipfile.ZipFile(good) as archive:
            config = json.loads(archive.read("config.json"))
        config["config"]["layers"][-1]["config"]["units"] = 10**12
        path = with_config(good, tmp_path / "best.keras", config)
        with pytest.raises(CommandError, match=r"best.keras cannot be loaded: [\d,]+ weights") as e:
            _files.load_model(path)
        assert "\n" not in str(e.value)

    def test_pickled_weights(self, tmp_path, marker, good):
        def change(members):
            del members["model.weights.h5"]
            return members | {"model.weights.npz": saved(__root__=objects(marker))}

        path = rewritten(good, tmp_path / "best.keras", change)
        with pytest.raises(CommandError, match="best.keras cannot be loaded"):
            _files.load_model(path)

    def test_a_vocabulary_outside(self, tmp_path):
        """Keras' safe mode refuses it, and it is no Lambda layer."""
        words = keras.Input((1,), dtype="string")
        lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
        keras.Model(words, lookup(words)).save(tmp_path / "words.keras")
        with zipfile.ZipFile(tmp_path / "words.keras") as archive:
            config = json.loads(archive.read("config.json"))
        config["config"]["layers"][-1]["config"]["vocabulary"] = "/etc/hostname"
        path = with_config(tmp_path / "words.keras", tmp_path / "best.keras", config)
        with pytest.raises(CommandError, match="names a file of a vocabulary outside") as caught:
            _files.load_any_model(path)
        assert "Lambda" not in str(caught.value)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_weights_that_are_not_finite(self, tmp_path, value):
        model = network()
        kernel, bias = model.get_weights()
        kernel[3, 1] = value
        model.set_weights([kernel, bias])
        model.save(tmp_path / "best.keras")
        with pytest.raises(NotFiniteError, match=r"its weight dense.*/kernel is not finite") as e:
            _files.load_model(tmp_path / "best.keras")
        assert report_end("models.evaluate", e.value) == 1

    @pytest.mark.parametrize("lost", ["layers/dense", "layers/dense/vars/1"])
    def test_missing_weights(self, tmp_path, good, lost):
        import h5py

        def change(members):
            weights = io.BytesIO(members["model.weights.h5"])
            with h5py.File(weights, "r+") as file:
                del file[lost]
            return members | {"model.weights.h5": weights.getvalue()}

        # No warning beside it: the tests turn one into an error.
        path = rewritten(good, tmp_path / "best.keras", change)
        with pytest.raises(CommandError, match="best.keras cannot be loaded") as caught:
            _files.load_model(path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(40)])
    def test_no_archive(self, tmp_path, marker, content):
        path = tmp_path / "best.keras"
        path.write_bytes(content)
        with pytest.raises(CommandError, match="best.keras cannot be loaded"):
            _files.load_model(path)
        path.write_bytes(pickle.dumps(Payload(marker)))
        with pytest.raises(CommandError, match="best.keras cannot be loaded"):
            _files.load_model(path)

    def test_a_good_one(self, good):
        x = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
        loaded = keras.saving.load_model(good)
        np.testing.assert_array_equal(_files.load_model(good)(x), loaded(x))


# --- checkpoints


def compiled():
    model = network()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    return model


def sealed(payload):
    """A checkpoint file with a good checksum: anybody can make one."""
    digest = hashlib.sha256(payload).hexdigest().encode()
    return b"spectral_keras checkpoint 1 " + digest + b"\n" + payload


def state(text):
    return {"state.json": np.frombuffer(text.encode(), np.uint8)}


class TestCheckpoints:
    def crafted(self, marker):
        return {
            "pickled array": saved(**state("{}"), x=objects(marker)),
            "pickled state": saved(**{"state.json": objects(marker)}),
            "bare pickle": pickle.dumps(Payload(marker)),
            "no state": saved(x=np.zeros(3)),
            "no archive": b"text",
            "deep": saved(**state(DEEP)),
            "damaged": saved(**state("{")),
            "list": saved(**state("[]")),
            "single": b"\x93NUMPY",
        }

    def test_arrays_that_unpack_to_any_size(self, tmp_path):
        path, packed = tmp_path / "epoch-000001.ckpt", io.BytesIO()
        np.savez_compressed(packed, **state("{}"), x=np.zeros(10**6))
        path.write_bytes(sealed(packed.getvalue()))
        with pytest.raises(CheckpointError, match="ckpt cannot be read .*arrays are compressed"):
            read_checkpoint(path)

    def test_larger_than_the_memory(self, tmp_path, monkeypatch):
        path = tmp_path / "epoch-000001.ckpt"
        path.write_bytes(sealed(saved(**state("{}"))))
        read_checkpoint(path)
        monkeypatch.setattr(_checkpoint, "available_memory", lambda: 100)
        with pytest.raises(CheckpointError, match="ckpt cannot be read: .* is larger than"):
            read_checkpoint(path)

    @pytest.mark.parametrize("kind", list(crafted(None, "x")))
    def test_file(self, tmp_path, marker, kind):
        path = tmp_path / "epoch-000001.ckpt"
        path.write_bytes(sealed(self.crafted(marker)[kind]))
        with pytest.raises(CheckpointError, match="epoch-000001.ckpt cannot be read"):
            read_checkpoint(path)
        # The one before it is used.
        found, content, damaged = newest_checkpoint(tmp_path)
        assert found is None and content is None and len(damaged) == 1

    def test_values_that_are_no_numbers(self, tmp_path):
        model = compiled()
        path = save_checkpoint(tmp_path, 1, model, {})
        _, content = read_checkpoint(path)
        key = next(name for name in content if name.startswith("model/"))
        content[key] = np.full(content[key].shape, "../../x")
        with pytest.raises(CheckpointError, match="not numbers"):
            restore_checkpoint(model, content)

    def test_names_are_no_paths(self, tmp_path):
        model = compiled()
        (tmp_path / "a" / "b").mkdir(parents=True)
        path = save_checkpoint(
            tmp_path / "a" / "b", 1, model, {}, arrays={"../../../evil": np.zeros(2)}
        )
        before = sorted(tmp_path.rglob("*"))
        _, content = read_checkpoint(path)
        assert list(restore_checkpoint(model, content)) == ["../../../evil"]
        assert sorted(tmp_path.rglob("*")) == before


# --- run folders


@pytest.fixture
def run(tmp_path, good):
    """A finished run of an untrained network."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(good, folder / "best.keras")
    options = {
        "dataset": write_tiny(tmp_path / "tiny.npz"), "data_dir": None, "limit": None, "seed": 0,
        "validation_fraction": 0.1, "image_size": None, "grayscale": False,
    }  # fmt: skip
    content = {"model": "net", "options": options, "class_names": ["0", "1", "2"]}
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "result.json").write_text("{}")
    return folder


def assert_refused(main, arguments, capsys, folder):
    """The one line of a command that leaves with status 2 and writes nothing."""

    def tree():
        return {
            path: path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")
            if path.name != ".lock"
        }

    before = tree()
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    err = capsys.readouterr().err
    assert stopped.value.code == 2, err
    assert err.count("\n") == 1 and err.endswith("\n"), err
    assert tree() == before
    return err


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


TEXTS = [DEEP, "{", "[]", "NaN", "", "1" * 5000]
OPTIONS = [
    ("dataset", 3), ("dataset", ["a"]), ("dataset", {}), ("dataset", None),
    ("dataset", "../../../../../etc/passwd"), ("limit", "x"), ("limit", -1),
    ("validation_fraction", "x"), ("validation_fraction", float("nan")), ("seed", -1),
    ("seed", float("inf")), ("image_size", "8"), ("image_size", [1, 2, 3]), ("image_size", 10**30),
    ("grayscale", 1), ("data_dir", 5),
]  # fmt: skip
ENTRY = {
    "settings": {"attack": "fgsm", "norm": "inf", "labels": "given", "limit": None},
    "calls": [], "data_sha256": None, "images": 8, "clean": "ff",
    "outcomes": [{"eps": 0.1, "seconds": 1, "correct": "ff", "fooled": "00"}],
}  # fmt: skip
OUTCOMES = [
    3, "x", [3], [{}],
    *([ENTRY | change] for change in (
        {"settings": {}}, {"settings": 3}, {"images": -1}, {"images": 0, "clean": ""},
        {"images": 10**30}, {"images": "8"}, {"calls": 3}, {"outcomes": 3}, {"clean": "zz"},
        {"outcomes": [{"eps": [1], "seconds": 1, "correct": "ff", "fooled": "00"}]},
        {"settings": ENTRY["settings"] | {"attack": "../x"}},
    )),
]  # fmt: skip
UNDER = {
    "settings": {}, "data_sha256": None, "clean": {"accuracy": 0.5}, "calls": [],
    "corruptions": {"fog": [{"severity": 1, "accuracy": 0.5}]},
}  # fmt: skip
CORRUPTIONS = [
    3, [3], [{}],
    *([UNDER | change] for change in (
        {"settings": 3}, {"corruptions": []}, {"corruptions": 3}, {"calls": 3}, {"calls": [3]},
        {"corruptions": {"fog": 3}}, {"corruptions": {"fog": []}}, {"source": 3}, {"clean": 3},
        {"corruptions": {"fog": [{"severity": 1, "accuracy": "x"}]}},
        {"corruptions": {"fog": [{"severity": 1, "accuracy": float("nan")}]}},
        {"corruptions": {"../../x": [{"severity": 1, "accuracy": 0.5}]}},
    )),
]  # fmt: skip


@pytest.mark.skipif(not ON_TENSORFLOW, reason="the commands on TensorFlow")
class TestRunFolders:
    @pytest.mark.parametrize("name", ["config.json", "result.json", "attacks.json"])
    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_json(self, run, capsys, tmp_path, name, text):
        (run / name).write_text(text)
        err = assert_refused(evaluate.main, (run, *ATTACK), capsys, tmp_path)
        assert f"{name} cannot be read" in err

    @pytest.mark.parametrize("make", [pipe, device])
    @pytest.mark.parametrize("name", ["config.json", "result.json", "attacks.json", "best.keras"])
    def test_no_files(self, run, capsys, monkeypatch, name, make):
        """Nothing is waited for, and nothing read without end."""
        make(run / name)
        for main in (evaluate.main, explain.main):
            if main is explain.main and name in ("result.json", "attacks.json"):
                continue
            arguments = (run, *ATTACK) if main is evaluate.main else (run,)
            capsys.readouterr()
            with pytest.raises(SystemExit) as stopped:
                main([str(argument) for argument in arguments])
            err = capsys.readouterr().err
            assert stopped.value.code == 2 and err.count("\n") == 1, err
            assert name in err and "a pipe, a device or a socket" in err

    @pytest.mark.parametrize("make", [pipe, device])
    def test_a_checkpoint_that_is_no_file(self, tmp_path, make):
        make(tmp_path / "epoch-000001.ckpt")
        with pytest.raises(CheckpointError, match="a pipe, a device or a socket"):
            read_checkpoint(tmp_path / "epoch-000001.ckpt")

    @pytest.mark.parametrize("name", [".lock", "attacks.json", "robustness.png", "result.json"])
    def test_links_out_of_the_folder_overwrite_nothing(self, run, capsys, tmp_path, name):
        """A link is replaced by the file that is written, or refused; never followed."""
        outside = tmp_path / "outside"
        if (run / name).exists():
            outside.write_bytes((run / name).read_bytes())
            (run / name).unlink()
        else:
            outside.write_text('{"model_sha256": "of other weights"}')
        before = outside.read_bytes()
        (run / name).symlink_to(outside)
        with pytest.raises(SystemExit) as stopped:
            evaluate.main([str(run), *ATTACK, "--images", "3"])
        err = capsys.readouterr().err
        assert outside.read_bytes() == before
        assert stopped.value.code == (2 if name == ".lock" else 0), err
        assert ("a link out of the folder" in err) == (name == ".lock")

    @pytest.mark.parametrize(("option", "value"), OPTIONS)
    def test_options(self, run, capsys, tmp_path, option, value):
        config = json.loads((run / "config.json").read_text())
        config["options"][option] = value
        (run / "config.json").write_text(json.dumps(config))
        assert_refused(evaluate.main, (run, *ATTACK), capsys, tmp_path)

    @pytest.mark.parametrize("number", range(len(OUTCOMES)))
    def test_outcomes(self, run, capsys, tmp_path, number):
        from spectral_keras.experiments.folder import file_hash

        content = {"model_sha256": file_hash(run / "best.keras"), "entries": OUTCOMES[number]}
        (run / "attacks.json").write_text(json.dumps(content))
        err = assert_refused(evaluate.main, (run, *ATTACK), capsys, tmp_path)
        assert "attacks.json is damaged" in err

    @pytest.mark.parametrize("number", range(len(CORRUPTIONS)))
    def test_accuracies(self, run, capsys, tmp_path, number):
        from spectral_keras.experiments.folder import file_hash

        entries = CORRUPTIONS[number]
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry:
                entry["model_sha256"] = file_hash(run / "best.keras")
        (run / "result.json").write_text(json.dumps({"corruptions": entries}))
        err = assert_refused(evaluate.main, (run, "--corruptions", "fog"), capsys, tmp_path)
        assert "result.json is damaged" in err

    def test_model(self, run, capsys, tmp_path, marker, good):
        with_config(good, run / "best.keras", named("os", "function", "system"))
        err = assert_refused(evaluate.main, (run, *ATTACK), capsys, tmp_path)
        assert "best.keras cannot be loaded" in err

    @pytest.mark.parametrize(
        "change",
        [
            {"history": 3},
            {"history": [3]},
            {"history": [{"epoch": 2}]},
            {"history": [{"epoch": 1, "loss": "x"}]},
            {"best": 3},
            {"best": {"score": "x", "epoch": 1}},
            {"counters": {"__class__": {"x": 1}}},
            {"counters": 3},
        ],
    )
    def test_checkpoint_of_a_training(self, tmp_path, capsys, monkeypatch, change):
        """What --resume would take up: refused, and the folder stays as it is."""
        arguments = ["--dataset", write_tiny(tmp_path / "tiny.npz"), "--num-pairs", "1"]
        arguments += ["--output", str(tmp_path / "run"), "--augment", "none"]

        def save(run, *others):
            run.best.weights = run.model.get_weights()
            run.model.optimizer.build(run.model.trainable_variables)
            kept = {"history": [], "best": {"score": None, "epoch": None}, "counters": {}}
            save_checkpoint(
                run.folder / "checkpoints", 1, run.model, kept | {"stopped_early": False} | change,
                arrays={f"best{i:05d}": weight for i, weight in enumerate(run.best.weights)},
            )  # fmt: skip
            raise SystemExit("begun")

        monkeypatch.setattr(_run.Run, "fit", save)
        with pytest.raises(SystemExit, match="begun"):
            _train.main("spectral_pool_cnn", arguments)

        def main(argv):
            _train.main("spectral_pool_cnn", argv)

        err = assert_refused(main, [*arguments, "--resume"], capsys, tmp_path)
        assert "cannot be continued: its newest checkpoint is damaged" in err


# --- copies, searches


@pytest.mark.parametrize(
    "change",
    [
        {"corruptions": ["../../x"]}, {"corruptions": 3}, {"severities": 3}, {"versions": 3},
        {"pieces": 3}, {"pieces": {"fog": 3}}, {"pieces": {"fog": {"9": "x"}}},
    ],
)  # fmt: skip
def test_manifest_of_a_copy_that_goes_on(tmp_path, capsys, change):
    data, copy = write_tiny(tmp_path / "tiny.npz"), tmp_path / "copy"
    arguments = ["--dataset", data, "--images", "6", "--corruptions", "fog", "--output", str(copy)]
    with pytest.raises(SystemExit):
        corrupt.main(arguments)
    manifest = json.loads((copy / "corruptions.json").read_text()) | change
    (copy / "corruptions.json").write_text(by_hand(manifest))
    err = assert_refused(corrupt.main, [*arguments, "--resume"], capsys, tmp_path)
    assert "corruptions.json is damaged" in err


SCORED = {"number": 1, "status": "completed", "score": 0.5, "point": {"gamma": 0.5}}
SEARCHES = [
    ({}, DEEP), ({}, "{"), ({}, []), ({}, {}), ({}, {"trials": 3}), ({}, {"trials": [3]}),
    ({}, {"trials": [SCORED | {"score": "x"}]}), ({}, {"trials": [SCORED | {"point": 3}]}),
    ({}, {"trials": [SCORED | {"point": {"../../x": 1}}]}),
    ({"model": "os"}, None), ({"model": "../../x"}, None), ({"model": ["x"]}, None),
    ({}, {"trials": [SCORED | {"point": {"output": "../x"}}]}),
    ({}, {"trials": [SCORED | {"point": {"gamma": "x"}}]}),
    ({"options": 3}, None), ({"options": {"seed": "x"}}, None),
]  # fmt: skip


@pytest.mark.skipif(not ON_TENSORFLOW, reason="the commands on TensorFlow")
class TestSearches:
    def folder(self, tmp_path, config=None, results=None):
        folder = tmp_path / "found"
        folder.mkdir()
        content = {"model": "spectral_pool_cnn", "build": None}
        content |= {"options": {"seed": 0}, "search": {}} | (config or {})
        (folder / "config.json").write_text(json.dumps(content))
        results = {"trials": [SCORED]} if results is None else results
        text = results if isinstance(results, str) else json.dumps(results)
        (folder / "results.json").write_text(text)
        return folder

    @pytest.mark.parametrize("number", range(len(SEARCHES)))
    def test_results(self, tmp_path, capsys, number):
        from spectral_keras.experiments.search import retrain

        folder = self.folder(tmp_path, *SEARCHES[number])
        assert_refused(retrain.main, (folder, "--output", tmp_path / "out"), capsys, tmp_path)

    def test_the_folder_of_a_run_is_the_users(self):
        from spectral_keras.experiments.search.results import training_options

        for stored in ({"output": "../x"}, {"overwrite": True}, {"resume": True}):
            config = {"model": "spectral_pool_cnn", "options": {"seed": 1, **stored}}
            options = training_options(config, {"gamma": 0.5}, {"output": "out"})
            assert (options.output, options.resume, options.overwrite) == ("out", False, False)
            assert (options.seed, options.network["gamma"]) == (1, 0.5)

    def trial(self, folder, name="trial_0", **changes):
        path = folder / "trials" / name / "trial.json"
        path.parent.mkdir(parents=True)
        content = {
            "trial_id": "0", "hyperparameters": {"space": [], "values": {}}, "status": "COMPLETED",
            "metrics": {"metrics": {}}, "score": 0.5, "best_step": 0, "message": None,
        }  # fmt: skip
        path.write_text(json.dumps(content | changes))
        return path

    def test_the_names_of_trials_are_no_paths(self, tmp_path):
        from spectral_keras.experiments.search.oracle import load_trial, trial_number

        folder = self.folder(tmp_path)
        assert load_trial(self.trial(folder)).trial_id == "0"
        for number, identity in enumerate(("../../../evil", "1", 0.5, None), 3):
            path = self.trial(folder, f"trial_{number}", trial_id=identity)
            with pytest.raises(CommandError, match="is damaged: it is of trial"):
                load_trial(path)
        with pytest.raises(CommandError, match="trial_ and a number"):
            trial_number(self.trial(folder, "trial_x"))
        path = self.trial(folder, "trial_9")
        for text in (DEEP, "{", "[]", '{"trial_id": "9"}'):
            path.write_text(text)
            with pytest.raises(CommandError, match="cannot be read"):
                load_trial(path)

    @pytest.mark.parametrize("build", ["os:system", "builtins:eval", "code:interact", 3, "x"])
    def test_functions_of_python_are_not_called(self, tmp_path, capsys, marker, build):
        from spectral_keras.experiments.search import retrain

        folder = self.folder(tmp_path, {"model": None, "build": build})
        self.trial(folder)
        assert_refused(retrain.main, (folder, "--output", tmp_path / "out"), capsys, tmp_path)

    @pytest.mark.parametrize("build", ["found.evil:build", "found:build", "found.evil.x:build"])
    def test_modules_of_the_folder_are_not_imported(
        self, tmp_path, capsys, monkeypatch, marker, build
    ):
        from spectral_keras.experiments.search import retrain

        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.chdir(tmp_path)
        folder = self.folder(tmp_path, {"model": None, "build": build})
        self.trial(folder)
        for name in ("evil.py", "__init__.py"):
            (folder / name).write_text(f"import pathlib; pathlib.Path({str(marker)!r}).touch()")
        err = assert_refused(retrain.main, (folder, "--output", tmp_path / "out"), capsys, tmp_path)
        assert "not run for safety" in err


# --- the sources


UNSAFE = ("pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml")


def findings(text):
    """What a source file does that may execute what a file brings."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        found += [f"import {name}" for name in names if name.partition(".")[0] in UNSAFE]
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        if isinstance(function, ast.Name) and name in ("eval", "exec", "compile", "__import__"):
            found.append(f"{name}()")
        if name in ("extractall", "enable_unsafe_deserialization", "func_load", "unpack_archive"):
            found.append(f"{name}()")
        if name in ("system", "popen") and getattr(getattr(function, "value", 0), "id", "") == "os":
            found.append(f"os.{name}()")
        if ast.unparse(function) == "Image.open" and "formats" not in [
            k.arg for k in node.keywords
        ]:
            found.append("Image.open() of any format")  # one of them starts a program
        for keyword in node.keywords:
            value = getattr(keyword.value, "value", None)
            forbidden = {"allow_pickle": True, "safe_mode": False, "shell": True}
            if keyword.arg in forbidden and value is forbidden[keyword.arg]:
                found.append(f"{keyword.arg}={value}")
    return found


SOURCES = sorted(
    path
    for folder in ("spectral_keras", "models", "tuning", "figures", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_executes_nothing_of_a_file(path):
    assert findings(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("import pickle", 1),
        ("from pickle import loads", 1),
        ("import yaml.loader", 1),
        ("eval('1')", 1),
        ("exec(code)", 1),
        ("model.eval()", 0),
        ("np.load(x, allow_pickle=True)", 1),
        ("np.load(x, allow_pickle=False)", 0),
        ("keras.saving.load_model(x, safe_mode=False)", 1),
        ("archive.extractall()", 1),
        ("subprocess.run('ls', shell=True)", 1),
        ("subprocess.run(['ls'])", 0),
        ("os.system('ls')", 1),
        ("Image.open(file)", 1),
        ("Image.open(file, formats=['PNG'])", 0),
    ],
)
def test_of_sources_finds_them(text, count):
    assert len(findings(text)) == count


class TestMasksAndHistories:
    def test_masks_replace_a_link_and_no_pipe_is_read(self, tmp_path):
        from spectral_keras.analysis.masks import result

        secret, path = tmp_path / "secret", tmp_path / "masks.npz"
        secret.write_bytes(b"secret")
        path.symlink_to(secret)
        result.write(path, "masks", {"a": np.ones(3)}, {"n": 1})
        assert secret.read_bytes() == b"secret" and not path.is_symlink()
        arrays, state = result.read(path, "masks")
        assert arrays["a"].tolist() == [1, 1, 1] and state == {"n": 1}
        for make in (pipe, device):
            make(path)
            with pytest.raises(ValueError, match="expected a regular file"):
                result.read(path, "masks")

    @pytest.mark.parametrize("make", [pipe, device])
    def test_a_history_is_a_regular_file(self, tmp_path, make):
        from figures._runs import read_history

        path = tmp_path / "history.csv"
        path.write_text("epoch,loss\n1,0.5\n2,0.25\n")
        assert read_history(path) == {"epoch": [1, 2], "loss": [0.5, 0.25]}
        make(path)
        with pytest.raises(OSError, match="expected a regular file"):
            read_history(path)
