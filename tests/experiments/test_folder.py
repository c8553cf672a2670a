"""A folder of results: its lock, its mark, whole files, no links out of it."""

import json
import os

import pytest

from spectral_keras.data.files import temporary_name
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import (
    WorkFolder,
    check_output,
    is_temporary,
    read_json,
    write_json,
    write_text,
)


class Notes(WorkFolder):
    """A kind of work."""

    noun = "a set of notes"
    owned = ("notes.txt", "pictures")


@pytest.fixture
def begun(tmp_path):
    folder = Notes(tmp_path / "notes")
    folder.open()
    folder.begin({"options": {"ink": "blue", "pages": 3, "desk": 1}, "backend": "jax"})
    write_text(folder / "notes.txt", "one")
    folder.close()
    return folder


class TestCheck:
    def test_resume_and_overwrite(self, begun):
        with pytest.raises(CommandError, match="already holds a set of notes: continue it with"):
            begun.check(False, False)
        begun.check(True, False)
        begun.check(False, True)

    def test_a_folder_of_something_else(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("text")
        for arguments in ((False, False), (True, False), (False, True)):
            with pytest.raises(CommandError, match="is not empty and holds no set of notes"):
                Notes(tmp_path).check(*arguments)

    def test_a_mark_of_something_else(self, tmp_path):
        (tmp_path / "config.json").write_text('{"editor": "vim"}')
        with pytest.raises(CommandError, match="holds no options"):
            Notes(tmp_path).check(True, False)
        with pytest.raises(CommandError, match="--overwrite deletes nothing"):
            Notes(tmp_path).check(False, True)

    def test_the_same_settings(self, begun):
        begun.check_same({"ink": "blue", "pages": 3, "new": 1})
        begun.check_same({"ink": "blue", "desk": 2}, free=("desk",))
        with pytest.raises(CommandError, match="was started with --ink blue, not red"):
            begun.check_same({"ink": "red"})
        begun.check_same({"ink": "blue", "new": 0}, before={"ink": "red", "new": 0})
        with pytest.raises(CommandError, match="a version without --new, .* now 1: add --new 0"):
            begun.check_same({"ink": "blue", "new": 1}, before={"new": 0})

    def test_conditions(self, begun):
        now = {"backend": "tensorflow", "device": "CPU A", "versions": {"keras": "3.15.1"}}
        with pytest.raises(CommandError, match="started on the backend jax, not tensorflow"):
            begun.check_conditions(now)
        stored = begun.manifest()
        begun.begin(stored | {"device": "CPU B", "versions": {"keras": "3.15.0"}})
        lines = begun.check_conditions(now | {"backend": "jax"})
        assert lines == [
            "started with device CPU B, now CPU A, keras 3.15.0, now 3.15.1: the numbers may differ"
        ]


class TestOpen:
    def test_one_process_at_a_time(self, begun):
        begun.open()
        with pytest.raises(CommandError, match="is in use by another process"):
            Notes(begun.path).open()
        begun.close()
        again = Notes(begun.path)
        again.open()
        again.close()

    def test_overwrite_deletes_what_is_owned(self, begun):
        (begun.path / "pictures").mkdir()
        (begun.path / "pictures" / "1.png").write_text("")
        (begun.path / "letter.txt").write_text("of somebody else")
        begun.open(overwrite=True)
        begun.close()
        assert sorted(os.listdir(begun.path)) == [".lock", "letter.txt"]

    def test_what_a_killed_process_left_is_removed(self, begun):
        left = temporary_name(begun / "notes.txt")
        left.write_text("half")
        begun.check(True, False)
        begun.open()
        begun.close()
        assert not left.exists() and (begun / "notes.txt").read_text() == "one"

    def test_a_lock_that_is_a_link_leaves_its_target_alone(self, begun, tmp_path):
        (tmp_path / "letter.txt").write_text("dear")
        (begun / ".lock").unlink()
        (begun / ".lock").symlink_to(tmp_path / "letter.txt")
        with pytest.raises(CommandError, match="cannot be written: .*is a link out of the folder"):
            begun.open()
        assert (tmp_path / "letter.txt").read_text() == "dear"

    def test_a_folder_that_is_a_link_is_not_written_into(self, begun, tmp_path):
        (tmp_path / "outside").mkdir()
        (begun / "parts" / "inside").mkdir(parents=True)
        (begun / "same").symlink_to("parts")
        begun.open()
        begun.close()
        (begun / "parts" / "out").symlink_to(tmp_path / "outside")
        with pytest.raises(CommandError, match="parts/out is a link out of the folder"):
            begun.open()
        begun.close()
        (begun / "parts" / "out").unlink()
        (begun / "pictures").symlink_to(tmp_path / "outside")
        (tmp_path / "outside" / "1.png").write_text("")
        begun.open(overwrite=True)
        begun.close()
        assert os.listdir(tmp_path / "outside") == ["1.png"]
        assert not os.path.lexists(begun / "pictures")

    @pytest.mark.parametrize("name", [".lock", "config.json"])
    def test_a_pipe_is_not_waited_for(self, begun, name):
        (begun / name).unlink()
        os.mkfifo(begun / name)
        with pytest.raises(CommandError, match="a pipe, a device or a socket"):
            begun.check(True, False)
            begun.open()


class TestFiles:
    def test_json_is_strict_and_has_a_checksum(self, tmp_path):
        path = tmp_path / "a.json"
        write_json(path, {"a": (1, 2.5), "b": None})
        assert read_json(path) == {"a": [1, 2.5], "b": None}
        path.write_text(path.read_text().replace("2.5", "2.6"))
        with pytest.raises(CommandError, match="checksum does not match"):
            read_json(path)
        for bad in (float("nan"), float("inf")):
            with pytest.raises(CommandError, match="a number in it is not finite"):
                write_json(path, {"a": bad})
        assert json.loads(path.read_text())["a"] == [1, 2.6]

    def test_a_link_is_replaced_not_followed(self, tmp_path):
        (tmp_path / "target").write_text("old")
        (tmp_path / "link").symlink_to(tmp_path / "target")
        write_text(tmp_path / "link", "new")
        assert (tmp_path / "target").read_text() == "old"
        assert (tmp_path / "link").read_text() == "new" and not (tmp_path / "link").is_symlink()
        assert not [name for name in os.listdir(tmp_path) if is_temporary(name)]

    @pytest.mark.parametrize(
        ("output", "reason"),
        [
            ("file", "file is not a folder"),
            ("file/x", "file is not a folder"),
            ("nope/../x", "there is no folder .*nope"),
            ("a" * 300, "File name too long"),
        ],
    )
    def test_outputs_that_cannot_be(self, tmp_path, monkeypatch, output, reason):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(CommandError, match=reason):
            check_output(output)
        check_output("new/folder")
        assert os.listdir(tmp_path) == ["file"]
