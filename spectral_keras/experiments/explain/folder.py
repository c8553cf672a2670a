"""The output of `python -m models.explain`: its folder, and what may be continued or replaced."""

import shutil

import numpy as np

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import WorkFolder, write_file

SETTINGS, REPORT = "settings.json", "explanation.json"
_WHAT = "explanation of a model, by python -m models.explain"
_PARTS = "checkpoints"
_OWN = (
    REPORT, "explanation.png", "energies.csv", "examples.npz", "masks.npz", "class_masks.npz",
    "single_masks.npz", "heat_map.npy", _PARTS,
)  # fmt: skip


class Folder(WorkFolder):
    """The folder, which settings.json marks."""

    mark, noun, owned = SETTINGS, "an explanation", _OWN

    @property
    def finished(self):
        return (self.path / REPORT).exists()

    def check_manifest(self, content):
        if content.get("what") != _WHAT:
            raise CommandError(
                f"{self.path / SETTINGS} is not of an explanation: name another folder with "
                "--output"
            )

    def start(self, settings, overwrite):
        """Take the lock and begin, or continue with the same settings."""
        self.open(overwrite)
        if self.begun:
            self._check_settings(self.manifest(), settings)
        else:
            self.begin({"what": _WHAT, **settings})

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
        """Write an .npz, or for one array an .npy, whole or not at all."""
        save = np.save
        if isinstance(arrays, dict):

            def save(file, arrays):
                np.savez_compressed(file, **arrays)

        write_file(self.path / name, lambda file: save(file, arrays))

    def _check_settings(self, stored, settings):
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
