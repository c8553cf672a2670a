"""The command that writes corrupted copies: bytes, resume after SIGKILL, bad input."""

import hashlib
import json
import os
import pathlib
import shutil
import zipfile

import numpy as np
import pytest

from spectral_keras import corruptions
from spectral_keras.corruptions.frost_texture import DESCRIPTION
from spectral_keras.data import load, load_corrupted
from spectral_keras.experiments.corrupt import command as corrupt
from spectral_keras.experiments.corrupt import pieces as _corrupt_pieces
from spectral_keras.experiments.corrupt.options import CorruptOptions
from spectral_keras.experiments.train.run import RunFolder
from tests.models.runs import write_tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("impulse_noise", "fog", "saturate")
WANTED = ("--corruptions", *NAMES)


@pytest.fixture
def data(tmp_path):
    return write_tiny(tmp_path / "tiny.npz")


@pytest.fixture
def command(capsys):
    """Runs the command in this process; returns (status, stdout, stderr)."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            corrupt.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return call


def contents(path):
    """Bytes of every file of a copy, but for the lock."""
    if path.is_file():
        return path.read_bytes()
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != ".lock"
    }


def expected(images, name, severity, **options):
    return corruptions.corrupt(images, name, severity, **options)


class TestCorrectness:
    def test_folder(self, data, tmp_path, command):
        out = tmp_path / "copy"
        status, text, err = command(
            "--dataset", data, *WANTED, "--seed", 4, "--images", 21, "--output", out
        )
        assert (status, err) == (0, "") and "fog: " in text and "15 of 15 pieces" in text
        test = load(data, limit_test=21)
        manifest = json.loads((out / "corruptions.json").read_text())
        for name in NAMES:
            stored = np.load(out / f"{name}.npy", allow_pickle=False)
            assert stored.shape == (5 * 21, 8, 8, 3) and stored.dtype == np.uint8
            for severity in range(1, 6):
                block = stored[(severity - 1) * 21 : severity * 21]
                np.testing.assert_array_equal(block, expected(test.x_test, name, severity, seed=4))
                digest = hashlib.sha256(block.tobytes()).hexdigest()
                assert manifest["pieces"][name][str(severity)] == digest
        np.testing.assert_array_equal(np.load(out / "labels.npy"), np.tile(test.y_test, 5))
        assert {*os.listdir(out)} == {
            ".lock", "corruptions.json", "labels.npy", *(f"{name}.npy" for name in NAMES),
        }  # fmt: skip
        assert manifest["corruptions"] == ["impulse_noise", "fog", "saturate"]
        assert (manifest["seed"], manifest["table"], manifest["limit"]) == (4, "cifar", 21)
        assert manifest["frost"] == DESCRIPTION
        assert set(manifest["versions"]) == {"spectral_keras", "numpy", "scipy", "pillow"}
        # The bytes are those of numpy.save.
        np.save(tmp_path / "fog.npy", np.load(out / "fog.npy"))
        assert (tmp_path / "fog.npy").read_bytes() == (out / "fog.npy").read_bytes()

    def test_npz_has_the_files_of_the_folder(self, data, tmp_path, command):
        assert command("--dataset", data, *WANTED, "--output", tmp_path / "copy")[0] == 0
        assert command("--dataset", data, *WANTED, "--output", tmp_path / "copy.npz")[0] == 0
        with zipfile.ZipFile(tmp_path / "copy.npz") as archive:
            assert archive.testzip() is None
            members = {name: archive.read(name) for name in archive.namelist()}
        folder = contents(tmp_path / "copy")
        for found in (members, folder):
            manifest = json.loads(found["corruptions.json"])
            found["corruptions.json"] = manifest | {"format": None, "sha256": None}
        assert members == folder
        with np.load(tmp_path / "copy.npz") as arrays:
            x, y = arrays["fog"][30:60], arrays["labels"][30:60]
        test = load(data)
        np.testing.assert_array_equal(x, expected(test.x_test, "fog", 2))
        np.testing.assert_array_equal(y, test.y_test)
        assert sorted(os.listdir(tmp_path)) == ["copy", "copy.npz", "tiny.npz"]

    @pytest.mark.parametrize("suffix", ["", ".npz"])
    def test_the_library_reads_it(self, data, tmp_path, command, suffix):
        out = tmp_path / f"copy{suffix}"
        options = ("--dataset", data, *WANTED, "--severities", 4, 2, "--split", "train")
        assert command(*options, "--images", 33, "--output", out)[0] == 0
        train = load(data, limit=33, validation_fraction=0)
        found = load_corrupted(out)
        assert found.names == NAMES and found.severities == (2, 4)
        np.testing.assert_array_equal(found.labels, train.y_train)
        for severity in (2, 4):
            images = expected(train.x_train, "fog", severity)
            np.testing.assert_array_equal(found.read("fog", severity), images)
        assert found.source["made"]["split"] == "train"

    def test_size_grey_and_table(self, data, tmp_path, command):
        out = tmp_path / "copy"
        options = ("--image-size", 12, "--grayscale", "--table", "imagenet", "--corruptions", "fog")
        assert command("--dataset", data, *options, "--output", out)[0] == 0
        images = load(data, image_size=12, grayscale=True).x_test
        stored = np.load(out / "fog.npy")
        assert stored.shape == (150, 12, 12, 1)
        np.testing.assert_array_equal(stored[:30], expected(images, "fog", 1, table="imagenet"))

    def test_in_small_blocks_it_is_the_same(self, data, tmp_path, command, monkeypatch):
        assert command("--dataset", data, *WANTED, "--output", tmp_path / "one")[0] == 0
        monkeypatch.setattr(corrupt, "_CHUNK", 7 * 8 * 8 * 3)
        monkeypatch.setattr(_corrupt_pieces, "_READ", 1000)
        assert command("--dataset", data, *WANTED, "--output", tmp_path / "two")[0] == 0
        assert contents(tmp_path / "one") == contents(tmp_path / "two")


class Killed(BaseException):
    """Ends the command as SIGKILL does: nothing is cleaned up on the way."""


class TestResume:
    FOUR = ("--corruptions", "impulse_noise", "fog", "--severities", "1", "5")

    @pytest.mark.parametrize("form", ["npy", "npz"])
    def test_killed_at_any_file_operation(self, data, tmp_path, command, monkeypatch, form):
        """Each time one operation later; what continues is not the copy that was killed before."""
        suffix = ".npz" if form == "npz" else ""
        arguments = ("--dataset", data, "--images", 9, *self.FOUR, "--format", form)
        whole = tmp_path / f"whole{suffix}"
        assert command(*arguments, "--output", whole)[0] == 0
        wanted = contents(whole)
        step, kills = 0, 0
        while True:
            out = tmp_path / f"killed{suffix}"
            counted = {"left": step}

            def stop(function, counted=counted):
                def stopped(*args, **options):
                    if counted["left"] == 0:
                        raise Killed
                    counted["left"] -= 1
                    return function(*args, **options)

                return stopped

            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", stop(os.replace))
                patch.setattr(shutil, "rmtree", stop(shutil.rmtree))
                patch.setattr(corruptions, "corrupt", stop(corruptions.corrupt))
                patch.setattr(pathlib.Path, "unlink", stop(pathlib.Path.unlink))
                try:
                    argv = [*map(str, arguments), "--output", str(out)]
                    corrupt.corrupt(CorruptOptions.of_command(argv))
                    break
                except Killed:
                    kills += 1
            finals = contents(out) if out.exists() and out.is_file() else {}
            if out.is_dir():
                finals = {
                    name: data
                    for name, data in contents(out).items()
                    if name.endswith(".npy") and not name.startswith(".")
                }
                assert all(wanted[name] == data for name, data in finals.items())
            elif out.exists():
                assert finals == wanted
            assert command(*arguments, "--output", out, "--resume")[0] == 0
            assert contents(out) == wanted
            assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
            shutil.rmtree(out) if out.is_dir() else out.unlink()
            step += 1
        assert kills > 10

    def test_only_what_is_missing_is_made(self, data, tmp_path, command, monkeypatch):
        arguments = ("--dataset", data, *self.FOUR, "--output", tmp_path / "copy")
        assert command(*arguments)[0] == 0
        before = contents(tmp_path / "copy")
        made, function = [], corruptions.corrupt

        def watched(images, name, severity, *args, **options):
            made.append((name, severity))
            return function(images, name, severity, *args, **options)

        monkeypatch.setattr(corruptions, "corrupt", watched)
        assert "4 of 4 pieces are there" in command(*arguments, "--resume")[1]
        assert made == [] and contents(tmp_path / "copy") == before
        # A flipped bit in the second severity of a finished file.
        path = tmp_path / "copy" / "fog.npy"
        damaged = bytearray(path.read_bytes())
        damaged[-5] ^= 1
        path.write_bytes(damaged)
        status, _, err = command(*arguments, "--resume")
        assert status == 0 and "fog: what is there is damaged and made anew" in err
        assert made == [("fog", 5)] and contents(tmp_path / "copy") == before
        for spoil in (path.unlink, lambda: path.write_bytes(damaged[:100])):
            made.clear()
            spoil()
            assert command(*arguments, "--resume")[0] == 0
            assert made == [("fog", 1), ("fog", 5)] and contents(tmp_path / "copy") == before
        (tmp_path / "copy" / "labels.npy").unlink()
        assert command(*arguments, "--resume")[0] == 0
        assert contents(tmp_path / "copy") == before

    def test_more_corruptions(self, data, tmp_path, command):
        common = ("--dataset", data, "--severities", 2)
        whole, grown = tmp_path / "whole", tmp_path / "grown"
        assert command(*common, *WANTED, "--output", whole)[0] == 0
        assert command(*common, "--corruptions", "saturate", "--output", grown)[0] == 0
        more = ("--corruptions", "fog", "impulse_noise", "--output", grown, "--resume")
        assert command(*common, *more)[0] == 0
        assert contents(grown) == contents(whole)

    def test_a_finished_npz(self, data, tmp_path, command):
        out = tmp_path / "copy.npz"
        arguments = ("--dataset", data, *self.FOUR, "--output", out)
        assert command(*arguments)[0] == 0
        before = contents(out)
        status, text, _ = command(*arguments, "--resume")
        assert status == 0 and "is finished; nothing to do" in text
        more = ("--corruptions", "fog", "frost", "--severities", 1, 5, "--resume")
        status, _, err = command("--dataset", data, *more, "--output", out)
        assert status == 2 and "is finished, without frost: --overwrite makes it anew" in err
        assert contents(out) == before

    def test_interrupted(self, data, tmp_path, command, monkeypatch):
        def interrupted(*args, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(corruptions, "corrupt", interrupted)
        status, _, err = command("--dataset", data, *WANTED, "--output", tmp_path / "copy")
        assert status == 130 and "interrupted; --resume continues it" in err


class TestBadInput:
    @pytest.mark.parametrize("more", [(), ("--overwrite",), ("--resume",)])
    def test_something_else_is_there(self, data, tmp_path, command, more):
        folder = tmp_path / "photos"
        folder.mkdir()
        (folder / "fog.npy").write_text("mine")
        (tmp_path / "file").write_text("mine")
        for output, message in (
            (folder, "is not empty and holds no corrupted copy"),
            (tmp_path / "file", "is not a folder"),
            (data, "exists and is no corrupted copy"),
        ):
            before = contents(tmp_path)
            status, _, err = command("--dataset", data, *WANTED, "--output", output, *more)
            assert status == 2 and message in err and err.count("\n") == 1
            assert contents(tmp_path) == before

    @pytest.mark.parametrize("name", ["copy", "copy.npz"])
    def test_a_copy_is_there(self, data, tmp_path, command, name):
        out = tmp_path / name
        common = ("--dataset", data, "--corruptions", "fog", "--output", out)
        assert command(*common)[0] == 0
        before = contents(out)
        other = write_tiny(tmp_path / "other.npz", seed=1)
        for more, message in (
            ((), "already holds a corrupted copy"),
            (("--resume", "--seed", 1), "was started with --seed 0, not 1"),
            (("--resume", "--images", 9), "was started with --images 30, not 9"),
            (("--resume", "--severities", 1), "was started with --severities 1 2 3 4 5, not"),
            (("--resume", "--table", "imagenet"), "was started with --table cifar, not"),
            (("--resume", "--dataset", other), "was started with other images"),
        ):
            status, _, err = command(*common, *more)
            assert status == 2 and message in err and err.count("\n") == 1
            assert contents(out) == before
        assert command(*common, "--overwrite", "--seed", 1)[0] == 0
        images = expected(load(data).x_test, "fog", 1, seed=1)
        np.testing.assert_array_equal(load_corrupted(out).read("fog", 1), images)

    def test_overwrite_keeps_what_is_not_of_the_copy(self, data, tmp_path, command):
        out = tmp_path / "copy"
        common = ("--dataset", data, "--output", out)
        assert command(*common, "--corruptions", "fog", "frost")[0] == 0
        (out / "notes.txt").write_text("mine")
        assert command(*common, "--corruptions", "snow", "--overwrite")[0] == 0
        assert {*os.listdir(out)} == {
            ".lock", "corruptions.json", "labels.npy", "notes.txt", "snow.npy",
        }  # fmt: skip

    def test_other_versions(self, data, tmp_path, command, monkeypatch):
        common = ("--dataset", data, "--corruptions", "fog", "--output", tmp_path / "copy")
        assert command(*common)[0] == 0
        versions = corrupt._versions() | {"pillow": "1.0"}
        with monkeypatch.context() as patch:
            patch.setattr(corrupt, "_versions", lambda: versions)
            status, _, err = command(*common, "--resume")
        assert status == 2 and "not pillow 1.0: resume it with its own" in err
        monkeypatch.setattr(corrupt, "DESCRIPTION", "photographs")
        status, _, err = command(*common, "--resume")
        assert status == 2 and "not photographs: resume it with its own" in err

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"pieces": 3, "corruptions": []}'])
    def test_damaged_manifest(self, data, tmp_path, command, text):
        common = ("--dataset", data, "--corruptions", "fog", "--output", tmp_path / "copy")
        assert command(*common)[0] == 0
        (tmp_path / "copy" / "corruptions.json").write_text(text)
        before = contents(tmp_path)
        status, _, err = command(*common, "--resume")
        assert status == 2 and err.count("\n") == 1
        assert "cannot be read" in err or "corruptions.json is damaged" in err
        status, _, err = command(*common, "--overwrite")
        assert status == 2 and "--overwrite deletes nothing in" in err
        assert contents(tmp_path) == before

    def test_in_use(self, data, tmp_path, command):
        other = RunFolder(tmp_path / "copy")
        other.open(overwrite=False)
        status, _, err = command("--dataset", data, *WANTED, "--output", tmp_path / "copy")
        other.close()
        assert status == 2 and "in use by another process" in err


def test_a_full_disk_is_one_line(data, tmp_path, command, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_corrupt_pieces.Pieces, "write", full)
    status, _, err = command("--dataset", data, *WANTED, "--output", tmp_path / "copy")
    assert status == 2 and "No space left on device" in err and err.count("\n") == 1


class TestOptions:
    def test_defaults(self):
        options = CorruptOptions.of_command(["--output", "c"])
        assert options == CorruptOptions("c")
        assert options.corruption_names == list(corruptions.names())
        assert options.severities == [1, 2, 3, 4, 5] and options.format == "npy"
        assert CorruptOptions("c.NPZ").format == "npz"
        assert options.arguments() == ["--output", "c", "--format", "npy"]

    def test_groups(self):
        for group, names in (("extra", "extra"), ("cifar10c-extra", "extra"), ("all", "all")):
            options = CorruptOptions.of_command(["--output", "c", "--corruptions", group])
            assert options.corruption_names == list(corruptions.names(names))
        for words in (["saturate", "fog", "saturate"], ["saturate,fog"]):
            options = CorruptOptions.of_command(["--output", "c", "--corruptions", *words])
            assert options.corruption_names == ["fog", "saturate"]
