"""Files that are not files, or not where they seem to be: refused at once, nothing touched."""

import os
import socket
import sys

import pytest

from spectral_keras.data.files import (
    UnsafeFileError,
    open_regular,
    read_part,
    read_regular,
    write_file,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses pipes, devices and /proc")


@pytest.fixture
def folder(tmp_path):
    """A folder with a file of its own, beside one with a secret."""
    inside = tmp_path / "results"
    inside.mkdir()
    (inside / "own.txt").write_bytes(b"own")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return inside


def make(kind, path):
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    else:
        path.symlink_to(kind)
    return path


@pytest.mark.parametrize("mode", ["rb", "a+b"])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "/dev/zero", "/dev/null"])
def test_only_regular_files(folder, kind, inside, mode):
    path = make(kind, folder / "odd")
    with pytest.raises(UnsafeFileError, match="odd is a") as caught:
        open_regular(path, mode, inside=folder if inside else None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["../secret.txt", "../new.txt", "loop"])
@pytest.mark.parametrize("mode", ["rb", "a+b", "xb"])
def test_links_out_of_the_folder(folder, target, mode):
    link = folder / "loop"
    link.symlink_to(target)
    for path in (link, f"{link}"):
        with pytest.raises(OSError):
            open_regular(path, mode, inside=folder)
    assert sorted(os.listdir(folder.parent)) == ["results", "secret.txt"]
    assert (folder.parent / "secret.txt").read_bytes() == b"secret"


@pytest.mark.parametrize("mode", ["rb", "a+b", "xb"])
def test_folders_that_are_links(folder, mode):
    """One that leads out is refused, one that leads to the folder itself is not."""
    (folder / "up").symlink_to("..")
    name = "other.txt" if mode == "xb" else "secret.txt"
    with pytest.raises(UnsafeFileError, match="is a link out of the folder"):
        open_regular(folder / "up" / name, mode, inside=folder)
    alias = folder.with_name("alias")
    alias.symlink_to(folder)
    name = "new.txt" if mode == "xb" else "own.txt"
    open_regular(alias / name, mode, inside=alias).close()
    assert sorted(os.listdir(folder.parent)) == ["alias", "results", "secret.txt"]


def test_links_within_the_folder_and_links_of_users(folder):
    (folder / "again").symlink_to("own.txt")
    (folder / "far").symlink_to("../secret.txt")
    assert read_regular(folder / "again", inside=folder, limit=3) == b"own"
    assert read_regular(folder / "far", limit=6) == b"secret"


def test_a_neighbour_whose_name_begins_alike_is_outside(folder):
    neighbour = folder.with_name("results-2")
    neighbour.mkdir()
    with pytest.raises(UnsafeFileError, match="out of the folder"):
        open_regular(neighbour / "a.txt", "xb", inside=folder)


def test_the_limit_is_that_of_the_content(folder):
    path = folder / "own.txt"
    assert read_regular(path, limit=3) == b"own"
    with pytest.raises(UnsafeFileError, match=r"own\.txt is larger than 2 bytes"):
        read_regular(path, limit=2)
    os.truncate(path, 2**40)  # sparse
    with pytest.raises(UnsafeFileError, match="larger than 1,000 bytes"):
        read_regular(path, limit=1000)
    with pytest.raises(UnsafeFileError, match="larger than 10 bytes"):
        read_regular("/proc/self/status", limit=10)  # says that it is empty


def test_modes(folder):
    path = folder / "own.txt"
    with open_regular(path, "a+b") as file:  # as it is, and added to
        file.write(b"ed")
        file.seek(0)
        assert file.read() == b"owned"
    with open_regular(folder / "lock", "a+b", inside=folder) as file:
        assert file.read() == b""
    with pytest.raises(FileExistsError):
        open_regular(path, "xb")
    with pytest.raises(FileNotFoundError):
        open_regular(folder / "missing")
    with pytest.raises(ValueError, match="`mode` must be one of"):
        open_regular(path, "wb")
    assert [read_part(path, 1, 3), read_part(path, 3, 9)] == [b"wne", b"ed"]


def test_nothing_stays_open(folder):
    os.mkfifo(folder / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        for name, limit in (("pipe", 9), ("own.txt", 1)):
            with pytest.raises(UnsafeFileError):
                read_regular(folder / name, limit=limit)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("durable", [False, True])
def test_whole_files_in_the_place_of_links(folder, durable):
    path = folder / "link.txt"
    path.symlink_to(folder.parent / "secret.txt")

    def stop(file):
        file.write(b"half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_file(path, stop, durable=durable)
    assert path.is_symlink() and sorted(os.listdir(folder)) == ["link.txt", "own.txt"]
    write_file(path, lambda file: file.write(b"whole"), durable=durable)
    assert not path.is_symlink() and path.read_bytes() == b"whole"
    assert (folder.parent / "secret.txt").read_bytes() == b"secret"
