"""A corrupted copy in the making: its folder, its manifest, what may be continued or replaced."""

import json
import os
import pathlib
import shutil
import zipfile
from collections.abc import Iterable
from typing import Any

from spectral_keras.corruptions import names as corruption_names
from spectral_keras.data.checksums import without_checksum
from spectral_keras.data.cifar10c import MANIFEST
from spectral_keras.data.files import open_regular, write_file
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.corrupt.options import CorruptOptions
from spectral_keras.experiments.corrupt.pieces import Pieces
from spectral_keras.experiments.folder import WorkFolder, check_output, words, write_json
from spectral_keras.experiments.options import flag

__all__ = ["Copy"]

# Members of an .npz carry a date: always this one.
_DATE = (1980, 1, 1, 0, 0, 0)
_LARGEST_MANIFEST = 2**24
# What a manifest must have, besides what is checked by its values.
_NEEDED = {
    "images", "image_shape", "class_names", "data_sha256", "seed", "table", "versions", "dataset",
    "format", "split",
}  # fmt: skip


class Copy(WorkFolder):
    """The copy at `output`: a folder, or an .npz whose parts are in a folder until it is done.

    Attributes:
        content: the manifest, once `begin_or_continue` was called.
    """

    mark, noun = MANIFEST, "a corrupted copy"
    owned = Pieces.own(corruption_names("all"))

    def __init__(self, output: str | os.PathLike, form: str):
        self.output, self.form = pathlib.Path(output), form
        path = self.output
        if form == "npz":
            path = self.output.with_name(f".{self.output.name}.parts")
        super().__init__(path)
        self.shown = self.output
        self.content: dict[str, Any] = {}

    def check_manifest(self, content: dict[str, Any]) -> None:
        _check(content, self.path / MANIFEST)

    def check(self, resume: bool, overwrite: bool) -> None:
        if self.form == "npz" and os.path.lexists(self.output):
            if self._finished_archive() is None:
                raise CommandError(
                    f"{self.output} exists and is no corrupted copy: name another file with "
                    "--output"
                )
            if not (resume or overwrite):
                raise CommandError(
                    f"{self.output} already holds a corrupted copy: replace it with --overwrite, "
                    "or name another file with --output"
                )
            if not self.begun:
                check_output(self.path)  # it may hold parts that were being deleted
                return
        super().check(resume, overwrite)

    def begin_or_continue(self, manifest: dict[str, Any], overwrite: bool) -> bool:
        """Take the lock and begin, or continue; returns False if all is there already."""
        if self.form == "npz" and not self.begun and not overwrite:
            finished = self._finished_archive() if self.output.exists() else None
            if finished is not None:
                self._check_same_images(finished, manifest)
                if lacking := set(manifest["corruptions"]) - set(finished["corruptions"]):
                    raise CommandError(
                        f"{self.output} is finished, without {', '.join(sorted(lacking))}: "
                        "--overwrite makes it anew"
                    )
                self._remove_parts()
                self.content = finished
                return False
        self.open(overwrite)
        if self.begun:
            stored = self.manifest()
            self._check_same_images(stored, manifest)
            asked = {*manifest["corruptions"], *stored["corruptions"]}
            stored["corruptions"] = [name for name in corruption_names("all") if name in asked]
            manifest = stored
        self.content = manifest
        self.save()
        return True

    def digests(self, name: str) -> list[str]:
        """SHA-256 of the finished pieces of a corruption, from the first severity on."""
        return list(self.content["pieces"].get(name, {}).values())

    def set_digests(self, name: str, digests: Iterable[str]) -> None:
        severities = map(str, self.content["severities"])
        self.content["pieces"][name] = dict(zip(severities, digests, strict=False))

    def save(self) -> None:
        """Write the manifest; its order does not depend on that of the work."""
        pieces = self.content["pieces"]
        order = [name for name in self.content["corruptions"] if pieces.get(name)]
        self.content["pieces"] = {name: pieces[name] for name in order}
        write_json(self.path / MANIFEST, self.content)

    def finish(self) -> None:
        """Zip the parts of an .npz, without holding them in memory."""
        if self.form != "npz":
            return
        whole = self.path / "whole.npz"
        write_file(whole, self._zip)
        os.replace(whole, self.output)
        self._remove_parts()

    def _zip(self, target):
        names = [f"{name}.npy" for name in self.content["corruptions"]]
        with zipfile.ZipFile(target, "w") as archive:
            for name in (*names, "labels.npy", MANIFEST):
                info = zipfile.ZipInfo(name, _DATE)
                info.external_attr = 0o644 << 16
                with (
                    open_regular(self.path / name, inside=self.path) as source,
                    archive.open(info, "w", force_zip64=True) as member,
                ):
                    shutil.copyfileobj(source, member, 1 << 20)

    def _remove_parts(self):
        # Without the manifest the rest is nobody's, should the process be killed now.
        (self.path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def _finished_archive(self):
        """The manifest within a finished .npz; None if it is something else."""
        try:
            with open_regular(self.output) as file, zipfile.ZipFile(file) as archive:
                if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
                    return None
                content = without_checksum(json.loads(archive.read(MANIFEST)))
            _check(content, self.output)
            return content
        # RuntimeError: encrypted, of an unknown compression, or nested too deeply.
        except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, CommandError):
            return None

    def _check_same_images(self, stored, manifest):
        """Refuse to add to a copy whose pixels were made in another way."""
        for name in CorruptOptions.specs().keys() - CorruptOptions.free():
            before, now = (words(content.get(name)) for content in (stored, manifest))
            if before != now:
                raise self.started_with(f"{flag(name)} {before}", now)
        if stored.get("frost") != manifest["frost"]:
            raise self.started_with(f"frost: {stored.get('frost')}", manifest["frost"])
        for name in ("data_sha256", "image_shape", "class_names"):
            if stored[name] != manifest[name]:
                raise self.started_with(f"other images ({stored['dataset']})")
        before, now = stored["versions"], manifest["versions"]
        if before != now:
            names = [name for name in now if before.get(name) != now[name]]
            raise self.started_with(
                *(
                    ", ".join(f"{name} {found.get(name)}" for name in names)
                    for found in (before, now)
                )
            )


def _check(content, path):
    """A `CommandError` unless a manifest has all that is needed of it."""
    known = set(corruption_names("all"))
    try:
        lists = [list(content[key]) for key in ("corruptions", "severities")]
        good = (
            set(content) >= _NEEDED
            and set(lists[0]) <= known
            and isinstance(content["versions"], dict)
            and all(
                list(pieces) == [str(severity) for severity in lists[1]][: len(pieces)]
                for pieces in content["pieces"].values()
            )
        )
    except (KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise CommandError(f"{path} is damaged")
