"""Files of masks: whole or not at all, and no link is followed."""

import os

import numpy as np
import pytest

from spectral_keras.analysis.masks.result import read, write

ARRAYS = {"masks": np.eye(3)}


def test_a_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "outside").write_text("dear")
    folder = tmp_path / "masks"
    folder.mkdir()
    # Also under the name that a temporary file once had.
    for name in ("a.npz", ".a.npz.tmp"):
        (folder / name).symlink_to(tmp_path / "outside")
    write(folder / "a.npz", "a kind", ARRAYS, {"steps": 3})
    assert (tmp_path / "outside").read_text() == "dear"
    arrays, state = read(folder / "a.npz", "a kind")
    np.testing.assert_array_equal(arrays["masks"], ARRAYS["masks"])
    assert state == {"steps": 3} and sorted(os.listdir(folder)) == [".a.npz.tmp", "a.npz"]


def test_what_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    write(tmp_path / "a.npz", "a kind", ARRAYS, {"steps": 3})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a.npz", "a kind", ARRAYS, {"steps": 4})
    assert os.listdir(tmp_path) == ["a.npz"]
    assert read(tmp_path / "a.npz", "a kind")[1] == {"steps": 3}
