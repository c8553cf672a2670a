"""Folders of results: one process at a time, the same settings to continue, whole files only.

A folder may come from anywhere: only regular files of bounded size are read, and no link leads a
command to write outside of it.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import pathlib
import secrets
import shutil
import sys
import types
from collections.abc import Callable, Iterable
from typing import IO, Any

from spectral_keras.data.checksums import CHECKSUM, json_checksum, without_checksum
from spectral_keras.data.files import open_regular, read_regular
from spectral_keras.experiments.command import CommandError

__all__ = [
    "WorkFolder",
    "check_output",
    "default_folder",
    "file_hash",
    "read_json",
    "temporary_name",
    "with_checksum",
    "write_file",
    "write_history",
    "write_json",
    "write_text",
]

LOCK = ".lock"
_LARGEST_JSON = 2**28


def temporary_name(path: str | os.PathLike) -> pathlib.Path:
    """A name beside `path` that nobody can know before, with the same suffix."""
    path = pathlib.Path(path)
    return path.with_name(f".{path.stem}-{secrets.token_hex(4)}.tmp{path.suffix}")


def is_temporary(name: str) -> bool:
    """Whether a file of this name was left by a process that was killed while it wrote."""
    return name.startswith(".") and ".tmp" in name


def write_file(path: str | os.PathLike, write: Callable[[IO[bytes]], Any]) -> None:
    """Let `write` fill a new binary file, and move it into place when it is whole."""
    temporary = temporary_name(path)
    try:
        with open_regular(temporary, "xb") as file:
            write(file)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file, whole or not at all."""
    write_file(path, lambda file: file.write(text.encode("utf-8", "surrogateescape")))


def write_json(path: str | os.PathLike, content: dict[str, Any]) -> None:
    """A JSON object in a file, with the SHA-256 of the rest as its last entry.

    Raises:
        CommandError: if a number in it is not finite, which JSON does not have.
    """
    try:
        # As it will be read: tuples are lists, keys are texts.
        content = json.loads(json.dumps(content, allow_nan=False))
    except ValueError:
        raise CommandError(f"{path} is not written: a number in it is not finite") from None
    write_text(path, json.dumps(with_checksum(content), indent=1, allow_nan=False) + "\n")


def with_checksum(content: dict[str, Any]) -> dict[str, Any]:
    """A JSON-plain dict with its checksum, which `read_json` looks at."""
    return content | {CHECKSUM: json_checksum(content)}


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """The content of a JSON file, without its checksum.

    Raises:
        CommandError: if it is damaged, does not fit its checksum or is not an object.
    """
    try:
        return without_checksum(json.loads(read_regular(path, limit=_LARGEST_JSON).decode()))
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def file_hash(path: str | os.PathLike) -> str:
    """SHA-256 of a file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_history(path: str | os.PathLike, rows: list[dict[str, Any]]) -> None:
    """history.csv: one row for each epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def default_folder(name: str, dataset: str, parent: str = "runs") -> pathlib.Path:
    """<parent>/<model>-<dataset>, with a file's or folder's stem for the data set."""
    looks_like_path = os.sep in dataset or dataset.endswith(".npz")
    label = pathlib.Path(dataset).stem if looks_like_path else dataset
    return pathlib.Path(parent) / f"{name}-{label}"


def check_output(path: str | os.PathLike, option: str = "--output") -> None:
    """Refuse an --output (or another option) that is no folder and cannot become one."""
    path = pathlib.Path(path)
    try:
        if path.exists() and not path.is_dir():
            raise CommandError(f"{option} {path} is not a folder")
        whole = path.absolute()
        above = next(part for part in (whole, *whole.parents) if part.exists())
        # As the system will find it: nope/../x needs a folder nope.
        missing = whole.relative_to(above).parts
    except (OSError, ValueError) as error:  # a name that is too long
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"{option} {path}: {reason}") from None
    if ".." in missing:
        raise CommandError(f"{option} {path}: there is no folder {above / missing[0]}")
    if not above.is_dir():
        raise CommandError(f"{option} {path}: {above} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise CommandError(f"{option} {path}: the folder {above} cannot be written")


class WorkFolder:
    """A folder of results, and its lock: one process at a time works in it.

    A file, the mark, says that the folder holds work of this kind and what it was begun with.
    Subclasses say what else is theirs.

    Attributes:
        mark: name of that file; it is the first to be written and the last to be deleted.
        noun: what the folder holds, with its article, for messages.
        owned: names of files and folders that --overwrite deletes besides the mark; None: all.
    """

    mark = "config.json"
    noun = "a run"
    owned: Iterable[str] | None = None

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self._lock: Any = None

    def __truediv__(self, name: str) -> pathlib.Path:
        return self.path / name

    @property
    def begun(self) -> bool:
        """Whether there is work of this kind, finished or not."""
        # False where pathlib would raise: a name that is too long, a folder that may not be read.
        return os.path.lexists(self.path / self.mark)

    def manifest(self) -> dict[str, Any]:
        """The content of the mark.

        Raises:
            CommandError: if it is damaged, or of something else.
        """
        content = read_json(self.path / self.mark)
        self.check_manifest(content)
        return content

    def check_manifest(self, content: dict[str, Any]) -> None:
        """Refuse a mark that this kind of work did not write."""
        if not isinstance(content.get("options"), dict):
            raise CommandError(f"{self.path / self.mark} holds no options: it is damaged")

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse a folder that this command may not write into, before any work is done."""
        check_output(self.path)
        if not self.begun:
            if self.path.is_dir() and any(
                name != LOCK and not is_temporary(name) for name in os.listdir(self.path)
            ):
                kind = self.noun.partition(" ")[2]
                raise CommandError(
                    f"{self.path} is not empty and holds no {kind}: name another folder with "
                    "--output"
                )
            return
        if not (resume or overwrite):
            raise CommandError(
                f"{self.path} already holds {self.noun}: continue it with --resume, replace it "
                "with --overwrite, or name another folder with --output"
            )
        try:
            self.manifest()
        except CommandError as error:
            if not overwrite:
                raise
            # It deletes what is there: only of a folder that is ours.
            raise CommandError(
                f"--overwrite deletes nothing in {self.path}, which may hold something else "
                f"than {self.noun} ({error}): name another folder with --output"
            ) from None

    def check_same(self, settings: dict[str, Any], free: Iterable[str] = ()) -> None:
        """Refuse to continue the work with settings that would change it.

        Args:
            settings: JSON-plain dict of the options, or of what else the mark has.
            free: names that may differ.
        """
        stored = self.manifest()
        stored = stored.get("options", stored)
        for name, value in json.loads(json.dumps(settings)).items():
            # A version with fewer options began it with what is the default now.
            if name in free or name not in stored or stored[name] == value:
                continue
            raise CommandError(
                f"{self.path} was started with --{name.replace('_', '-')} {stored[name]}, not "
                f"{value}: resume it with its own options, or name another folder with --output"
            )

    def check_conditions(self, now: dict[str, Any]) -> list[str]:
        """Compare backend, device and versions with those that the work was begun under.

        Returns:
            Lines that say what differs and may; to be printed and kept.

        Raises:
            CommandError: for another backend, whose random numbers are others.
        """
        stored = self.manifest()
        if stored.get("backend", now["backend"]) != now["backend"]:
            raise CommandError(
                f"{self.path} was started on the backend {stored['backend']}, not "
                f"{now['backend']}: set KERAS_BACKEND={stored['backend']}"
            )
        before = {"device": stored.get("device"), **(stored.get("versions") or {})}
        after = {"device": now["device"], **now["versions"]}
        changed = [
            f"{name} {before[name]}, now {value}"
            for name, value in after.items()
            if before.get(name) not in (None, value)
        ]
        return [f"started with {', '.join(changed)}: the numbers may differ"] if changed else []

    def open(self, overwrite: bool = False) -> None:
        """Make the folder, take its lock and, to overwrite, delete what earlier work left."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path / LOCK)
        except OSError as error:
            reason = error.strerror or error
            raise CommandError(f"{self.path} cannot be written: {reason}") from None
        if self._lock is None:
            raise CommandError(f"{self.path} is in use by another process")
        for name in os.listdir(self.path):
            if is_temporary(name):
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
        if overwrite and self.begun:
            self._clear()

    def _clear(self):
        """Delete the work, the mark last: until then the folder is known as ours."""
        names = os.listdir(self.path) if self.owned is None else self.owned
        try:
            for name in sorted(set(names) - {LOCK, self.mark}):
                entry = self.path / name
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
            (self.path / self.mark).unlink(missing_ok=True)
        except OSError as error:
            raise CommandError(f"{self.path} cannot be emptied: {error.strerror}") from None

    def begin(self, content: dict[str, Any]) -> None:
        """Write the mark."""
        write_json(self.path / self.mark, content)

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _locked(path):
    """An open file whose lock this process holds until it is closed; None if another has it."""
    if sys.platform == "win32":
        import filelock

        lock = filelock.FileLock(path, blocking=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            return None
        return types.SimpleNamespace(close=lock.release)
    import fcntl

    file = open_regular(path, "a+b", inside=path.parent)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
