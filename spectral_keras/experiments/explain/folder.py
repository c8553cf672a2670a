"""The output of `python -m models.explain`: its folder, and what may be continued or replaced."""

import contextlib
import pathlib
import shutil
from typing import Any

from spectral_keras.data.files import open_regular
from spectral_keras.experiments.folder import WorkFolder

__all__ = ["REPORT", "Folder"]

SETTINGS, REPORT = "settings.json", "explanation.json"
_PARTS = "checkpoints"
_LARGEST = 2**33  # bytes of a file of masks
_OWN = (
    REPORT, "explanation.png", "energies.csv", "examples.npz", "masks.npz", "class_masks.npz",
    "single_masks.npz", "heat_map.npy", _PARTS,
)  # fmt: skip


class Folder(WorkFolder):
    """The folder, which settings.json marks."""

    mark, noun, owned = SETTINGS, "an explanation", _OWN
    what = "explanation of a model, by python -m models.explain"

    @property
    def finished(self) -> bool:
        return (self.path / REPORT).exists()

    def start(
        self, settings: dict[str, Any], conditions: dict[str, Any], overwrite: bool
    ) -> list[str]:
        """Take the lock and begin, or continue with the same settings.

        Args:
            settings: JSON-plain dict: "options", and what the model and the images are.
            conditions: of `provenance.conditions`.
            overwrite: whether to delete what is there.

        Returns:
            Lines that say under which other conditions it was begun.
        """
        self.open(overwrite)
        if not self.begun:
            self.begin({"what": self.what, **settings, **conditions})
            return []
        self.check_same(settings["options"])
        stored = self.manifest()
        for name, what in (("model_sha256", "another model"), ("data_sha256", "other images")):
            if stored.get(name) != settings[name]:
                raise self.started_with(what)
        return self.continue_under(conditions)

    def checkpoint(self, name: str) -> pathlib.Path:
        """The file where masks are kept that are being learned."""
        path = self.path / _PARTS / name
        with contextlib.suppress(FileNotFoundError):
            # No pipe, no link out of the folder.
            open_regular(path, inside=self.path, limit=_LARGEST).close()
        return path

    def stored(self, kind: Any, name: str) -> Any:
        """The masks of a finished file; None if there are none or they are damaged."""
        try:
            open_regular(self.path / name, inside=self.path, limit=_LARGEST).close()
            return kind.load(self.path / name)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove_checkpoints(self) -> None:
        shutil.rmtree(self.path / _PARTS, ignore_errors=True)
