"""A corrupted copy in the making: its folder, its manifest, what may be continued or replaced."""

import contextlib
import json
import os
import pathlib
import shutil
import zipfile

from spectral_keras.corruptions import names as corruption_names
from spectral_keras.data.checksums import without_checksum
from spectral_keras.data.cifar10c import MANIFEST
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.corrupt.pieces import ArrayPieces, PicturePieces
from spectral_keras.experiments.folder import WorkFolder, check_output, read_json, write_json

# What makes the pixels; a copy is continued with the same of all of these.
SAME = (
    "format", "split", "images", "image_shape", "class_names", "data_sha256", "seed", "table",
    "frost", "severities", "versions",
)  # fmt: skip
_LOCK = ".lock"
# Members of an .npz carry a date: always this one.
_DATE = (1980, 1, 1, 0, 0, 0)


class Copy:
    """The copy at `output`: a folder, or an .npz whose parts are in a folder until it is done."""

    def __init__(self, output, form):
        self.output, self.form = pathlib.Path(output), form
        self.kind = PicturePieces if form == "png" else ArrayPieces
        path = self.output
        if form == "npz":
            path = self.output.with_name(f".{self.output.name}.parts")
        self.folder = WorkFolder(path)
        self.manifest = None

    @property
    def begun(self):
        return os.path.exists(self.folder / MANIFEST)

    def check(self, resume, overwrite):
        """Refuse what this command may not write to, before any work is done."""
        path = self.folder.path
        check_output(path)
        if self.form == "npz" and self.output.exists():
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
        if self.begun:
            if not (resume or overwrite):
                raise CommandError(
                    f"{self.output} already holds a corrupted copy, or a part of one: go on with "
                    "--resume, replace it with --overwrite, or name another --output"
                )
            if not overwrite:
                self._stored()  # damaged?
        elif (
            self.form != "npz"
            and path.is_dir()
            and {*os.listdir(path)} - {_LOCK, f".{MANIFEST}.tmp"}
        ):
            raise CommandError(
                f"{path} is not empty and holds no corrupted copy: name another folder with "
                "--output"
            )

    def open(self, manifest, overwrite):
        """Take the lock and begin, or go on; returns False if all is there already."""
        if self.form == "npz" and not self.begun and not overwrite:
            finished = self._finished_archive() if self.output.exists() else None
            if finished is not None:
                self._check_same(finished, manifest)
                if lacking := set(manifest["corruptions"]) - set(finished["corruptions"]):
                    raise CommandError(
                        f"{self.output} is finished, without {', '.join(sorted(lacking))}: "
                        "--overwrite makes it anew"
                    )
                self._remove_parts()
                return False
        self.folder.open(overwrite=False)
        if overwrite:
            self._clear()
        if self.begun:
            stored = self._stored()
            self._check_same(stored, manifest)
            asked = {*manifest["corruptions"], *stored["corruptions"]}
            stored["corruptions"] = [name for name in corruption_names("all") if name in asked]
            manifest = stored
        self.manifest = manifest
        self.save()
        return True

    def digests(self, name):
        """SHA-256 of the finished pieces of a corruption, from the first severity on."""
        pieces = self.manifest["pieces"].get(name, {})
        return list(pieces.values())

    def set_digests(self, name, digests):
        severities = map(str, self.manifest["severities"])
        self.manifest["pieces"][name] = dict(zip(severities, digests, strict=False))

    def save(self):
        """Write the manifest; its order does not depend on that of the work."""
        pieces = self.manifest["pieces"]
        order = [name for name in self.manifest["corruptions"] if pieces.get(name)]
        self.manifest["pieces"] = {name: pieces[name] for name in order}
        write_json(self.folder / MANIFEST, self.manifest)

    def finish(self):
        """Zip the parts of an .npz, without holding them in memory."""
        if self.form != "npz":
            return
        temporary = self.output.with_name(f".{self.output.name}.tmp")
        members = [
            *(f"{name}.npy" for name in self.manifest["corruptions"]),
            "labels.npy",
            MANIFEST,
        ]
        with zipfile.ZipFile(temporary, "w") as archive:
            for name in members:
                info = zipfile.ZipInfo(name, _DATE)
                info.external_attr = 0o644 << 16
                with (
                    open(self.folder / name, "rb") as source,
                    archive.open(info, "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target, 1 << 20)
        os.replace(temporary, self.output)
        self._remove_parts()

    def close(self):
        self.folder.close()

    def _remove_parts(self):
        # Without the manifest the rest is rubbish, should the process be killed now.
        (self.folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.folder.path, ignore_errors=True)

    def _clear(self):
        """Delete the copy, the manifest last: until then the folder is known as one."""
        stored = {}
        with contextlib.suppress(CommandError):
            stored = read_json(self.folder / MANIFEST)
        kinds = {ArrayPieces, PicturePieces}
        kind = PicturePieces if stored.get("format") == "png" else ArrayPieces
        kinds = {kind} if stored else kinds
        own = set().union(*(kind.own(corruption_names("all")) for kind in kinds))
        for entry in sorted(self.folder.path.iterdir()):
            if entry.name in own:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        (self.folder / MANIFEST).unlink(missing_ok=True)

    def _stored(self):
        return _checked(read_json(self.folder / MANIFEST), self.folder / MANIFEST)

    def _finished_archive(self):
        """The manifest within a finished .npz; None if it is something else."""
        try:
            with zipfile.ZipFile(self.output) as archive:
                content = without_checksum(json.loads(archive.read(MANIFEST)))
                return _checked(content, self.output)
        # RuntimeError: encrypted, of an unknown compression, or nested too deeply.
        except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, CommandError):
            return None

    def _check_same(self, stored, manifest):
        for key in SAME:
            if stored.get(key) == manifest[key]:
                continue
            if key == "data_sha256":
                raise CommandError(
                    f"{self.output} was begun with other images ({stored['dataset']}): use its own "
                    "options, replace it with --overwrite, or name another --output"
                )
            if key == "versions":
                begun, now = (
                    ", ".join(
                        f"{package} {version}"
                        for package, version in versions.items()
                        if stored[key].get(package) != manifest[key].get(package)
                    )
                    for versions in (stored[key], manifest[key])
                )
            else:
                begun, now = (f"{key} {_shown(content[key])}" for content in (stored, manifest))
            raise CommandError(
                f"{self.output} was begun with {begun}, not {now}: use what it was begun with, "
                "replace it with --overwrite, or name another --output"
            )


def _shown(value):
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _checked(content, path):
    """A manifest with all that is needed of it; a `CommandError` if it is damaged."""
    known = set(corruption_names("all"))
    try:
        lists = [list(content[key]) for key in ("corruptions", "severities")]
        good = (
            {*SAME, "dataset"} <= set(content)
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
        raise CommandError(f"{path} is damaged: --overwrite makes the copy anew")
    return content
