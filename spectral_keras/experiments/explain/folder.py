"""The output of `python -m models.explain`: its folder, and what may be continued or replaced."""

import os
import shutil

import numpy as np

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import RunFolder, read_json, write_json

SETTINGS, REPORT = "settings.json", "explanation.json"
_WHAT = "explanation of a model, by python -m models.explain"
_PARTS = "checkpoints"
_OWN = (
    REPORT, "explanation.png", "energies.csv", "examples.npz", "masks.npz", "class_masks.npz",
    "single_masks.npz", "heat_map.npy", _PARTS,
)  # fmt: skip


class Folder(RunFolder):
    """The folder, which settings.json marks."""

    @property
    def holds_run(self):
        return os.path.exists(self.path / SETTINGS)

    @property
    def finished(self):
        return (self.path / REPORT).exists()

    def check(self, resume, overwrite):
        if self.path.exists() and not self.path.is_dir():
            raise CommandError(f"--output {self.path} is not a folder")
        if not self.holds_run:
            if self.path.is_dir() and {*os.listdir(self.path)} - {".lock", f".{SETTINGS}.tmp"}:
                raise CommandError(
                    f"{self.path} is not empty and holds no explanation: name another folder with "
                    "--output"
                )
        elif not (resume or overwrite):
            raise CommandError(
                f"{self.path} already holds an explanation, or a part of one: go on with --resume, "
                "replace it with --overwrite, or name another folder with --output"
            )
        else:
            self._is_own(read_json(self.path / SETTINGS))

    def begin(self, settings, overwrite):
        """Take the lock and begin, or go on with the same settings."""
        self.open(overwrite=False)
        if overwrite:
            self._clear()
        if self.holds_run:
            self._check_same(read_json(self.path / SETTINGS), settings)
        else:
            write_json(self.path / SETTINGS, {"what": _WHAT, **settings})

    def checkpoint(self, name):
        return self.path / _PARTS / name

    def stored(self, kind, name):
        """The masks of a finished file; None if there are none or they are damaged."""
        try:
            return kind.load(self.path / name)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove_checkpoints(self):
        shutil.rmtree(self.path / _PARTS, ignore_errors=True)

    def save_arrays(self, name, arrays):
        """Write an .npz, or for one array an .npy, under a temporary name and move it."""
        temporary = self.path / f".{name}.tmp"
        with open(temporary, "wb") as file:
            if isinstance(arrays, dict):
                np.savez_compressed(file, **arrays)
            else:
                np.save(file, arrays)
        os.replace(temporary, self.path / name)

    def _is_own(self, stored):
        if stored.get("what") != _WHAT:
            raise CommandError(f"{self.path / SETTINGS} is not of an explanation: name another "
                               "folder with --output")  # fmt: skip

    def _clear(self):
        """Delete the explanation, its mark last; other files stay."""
        for name in _OWN:
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (self.path / SETTINGS).unlink(missing_ok=True)

    def _check_same(self, stored, settings):
        advice = "use its own options, replace it with --overwrite, or name another --output"
        for key, value in settings.items():
            if stored.get(key) == value:
                continue
            if key == "model_sha256":
                raise CommandError(f"{self.path} was begun with another model: {advice}")
            if key == "data_sha256":
                raise CommandError(f"{self.path} was begun with other images: {advice}")
            if isinstance(value, dict):
                old = stored.get(key) if isinstance(stored.get(key), dict) else {}
                name = next(n for n in {**value, **old} if value.get(n) != old.get(n))
                shown = old.get(name), value.get(name)
            else:
                name, shown = key, (stored.get(key), value)
            flag = name if key in ("versions", "backend") else f"--{name.replace('_', '-')}"
            raise CommandError(f"{self.path} was begun with {flag} {shown[0]}, not {shown[1]}: "
                               f"{advice}")  # fmt: skip
