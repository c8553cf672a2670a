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
import shutil
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from spectral_keras.data.checksums import CHECKSUM, json_checksum, without_checksum
from spectral_keras.data.files import open_regular, read_regular, write_file
from spectral_keras.experiments.command import ENDS, STOPPED, CommandError, report_end
from spectral_keras.experiments.options import flag

__all__ = [
    "WorkFolder",
    "changes",
    "check_output",
    "check_utf8",
    "csv_text",
    "dataset_label",
    "default_folder",
    "file_hash",
    "given_or",
    "read_json",
    "words",
    "work_in",
    "write_arrays",
    "write_history",
    "write_json",
    "write_text",
]

_Folder = TypeVar("_Folder", bound="WorkFolder")
LOCK = ".lock"
_LARGEST_JSON = 2**28


def is_temporary(name: str) -> bool:
    """Whether a file of this name was left by a process that was killed while it wrote."""
    return name.startswith(".") and ".tmp" in name


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
    content[CHECKSUM] = json_checksum(content)
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


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
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()


def write_history(path: str | os.PathLike, rows: list[dict[str, Any]]) -> None:
    """history.csv: one row for each epoch."""
    write_text(path, csv_text(list(rows[0]), rows))


def csv_text(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    """The text of a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_arrays(path: str | os.PathLike, arrays: Any) -> None:
    """Write one array as .npy, or a dict of them as a compressed .npz, whole or not at all."""
    import numpy as np

    if isinstance(arrays, dict):
        write_file(path, lambda file: np.savez_compressed(file, **arrays))
    else:
        write_file(path, lambda file: np.save(file, arrays))


def dataset_label(dataset: str) -> str:
    """A data set's name for names of folders and titles: of a file or a folder its stem."""
    looks_like_path = os.sep in dataset or dataset.endswith(".npz")
    return pathlib.Path(dataset).stem if looks_like_path else dataset


def default_folder(name: str, dataset: str, parent: str = "runs") -> pathlib.Path:
    """<parent>/<model>-<dataset>."""
    return pathlib.Path(parent) / f"{name}-{dataset_label(dataset)}"


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


def changes(before: dict[str, Any], now: dict[str, Any], names: Iterable[str]) -> str:
    """What differs between two sets of conditions: "keras 3.15.0, now 3.15.1", "" for nothing.

    Args:
        before: what a file says, with "versions", if it does.
        now: the same of this process.
        names: what is compared besides the versions.
    """
    versions = before.get("versions")
    before = {**before, **(versions if isinstance(versions, dict) else {})}
    after = {**{name: now[name] for name in names}, **now["versions"]}
    return ", ".join(
        f"{name} {before[name]}, now {value}"
        for name, value in after.items()
        if before.get(name) not in (None, value)
    )


def words(value: Any) -> str:
    """The value of an option as a message shows it."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def check_utf8(path: str | os.PathLike, writer: str) -> None:
    """Refuse a folder whose name is not in UTF-8, before TensorFlow fails to write into it.

    Args:
        path: the folder.
        writer: what writes through TensorFlow, for the message.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise CommandError(
            f"{writer} takes names in UTF-8 only, not {path}: name another folder with --output"
        ) from None


class WorkFolder:
    """A folder of results, and its lock: one process at a time works in it.

    A file, the mark, says that the folder holds work of this kind and what it was begun with.
    Subclasses say what else is theirs.

    Attributes:
        mark: name of that file; it is the first to be written and the last to be deleted.
        what: the entry "what" of the mark, None if it has none.
        noun: what the folder holds, with its article, for messages.
        owned: names of files and folders that --overwrite deletes besides the mark; None: all.
        lock: name of the file that is locked.
        shared: whether work of other kinds, with marks and locks of their own, may be there too.
        shown: the folder as messages name it.
    """

    mark = "config.json"
    what: str | None = None
    noun = "a run"
    owned: Iterable[str] | None = None
    lock = LOCK
    shared = False

    def __init__(self, path: str | os.PathLike):
        self.path = self.shown = pathlib.Path(path)
        self._lock: Any = None
        self._made: list[pathlib.Path] = []

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
        if content.get("what") != self.what:
            raise CommandError(
                f"{self.path / self.mark} is not of {self.noun}: name another folder with --output"
            )
        if not isinstance(content.get("options"), dict):
            raise CommandError(f"{self.path / self.mark} holds no options: it is damaged")

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse a folder that this command may not write into, before any work is done."""
        check_output(self.path)
        if not self.begun:
            if (
                not self.shared
                and self.path.is_dir()
                and any(
                    name != self.lock and not is_temporary(name) for name in os.listdir(self.path)
                )
            ):
                kind = self.noun.partition(" ")[2]
                raise CommandError(
                    f"{self.shown} is not empty and holds no {kind}: name another folder with "
                    "--output"
                )
            return
        if not (resume or overwrite):
            raise CommandError(
                f"{self.shown} already holds {self.noun}: continue it with --resume, replace it "
                "with --overwrite, or name another folder with --output"
            )
        try:
            self.manifest()
        except CommandError as error:
            if not overwrite:
                raise
            # It deletes what is there: only of a folder that is ours.
            raise CommandError(
                f"--overwrite deletes nothing in {self.shown}, which may hold something else "
                f"than {self.noun} ({error}): name another folder with --output"
            ) from None

    def check_same(
        self,
        settings: dict[str, Any],
        free: Iterable[str] = (),
        part: str = "options",
        before: dict[str, Any] | None = None,
    ) -> None:
        """Refuse to continue the work with settings that would change it.

        Args:
            settings: JSON-plain dict of the options.
            free: names that may differ.
            part: where the mark has them; all of it if it has no such part.
            before: what versions did that did not have an option yet; whatever it is now if it is
                not named.
        """
        stored = self.manifest()
        stored = stored.get(part, stored)
        before = json.loads(json.dumps(before or {}))
        for name, value in json.loads(json.dumps(settings)).items():
            if name in free or (before | stored).get(name, value) == value:
                continue
            option = flag(name)
            if name not in stored:
                raise CommandError(
                    f"{self.shown} was started by a version without {option}, which is now "
                    f"{words(value)}: add {option} {words(before[name])}"
                )
            raise self.started_with(f"{option} {words(stored[name])}", words(value))

    def started_with(self, before: str, now: str = "") -> CommandError:
        """The error of work that cannot be continued with what is given now."""
        try:
            command = self.manifest().get("command")
        except (CommandError, OSError):  # it is kept elsewhere, as in a finished .npz
            command = None
        own = f" ({' '.join(command.split())})" if isinstance(command, str) else ""
        return CommandError(
            f"{self.shown} was started with {before}{now and f', not {now}'}: resume it with its "
            f"own options{own}, or name another folder with --output"
        )

    def check_conditions(
        self, now: dict[str, Any], before: dict[str, Any] | None = None
    ) -> list[str]:
        """Compare backend, device and versions with those that the work was begun under.

        Args:
            now: the conditions.
            before: those to compare with; None for those of the mark.

        Returns:
            Lines that say what differs and may; to be printed and kept.

        Raises:
            CommandError: for another backend, whose random numbers are others.
        """
        stored = self.manifest() if before is None else before
        if stored.get("backend", now["backend"]) != now["backend"]:
            raise CommandError(
                f"{self.shown} was started on the backend {stored['backend']}, not "
                f"{now['backend']}: set KERAS_BACKEND={stored['backend']}"
            )
        changed = changes(stored, now, ("device",))
        return [f"started with {changed}: the numbers may differ"] if changed else []

    def continue_under(
        self, now: dict[str, Any], more: Iterable[str] = (), options: dict[str, Any] | None = None
    ) -> list[str]:
        """`check_conditions`, and keep in the mark ("continued") what has changed.

        Args:
            now: the conditions.
            more: lines of what else has changed.
            options: those that are others from now on.
        """
        lines = [*self.check_conditions(now), *more]
        stored = self.manifest()
        known = stored.get("continued")
        known = known if isinstance(known, list) else []
        new = [line for line in lines if line not in known]
        own = stored.get("options", {})
        changed = {name: now for name, now in (options or {}).items() if own.get(name) != now}
        if new or changed:
            own.update(changed)
            self.begin(stored | {"continued": [*known, *new]})
        return lines

    def open(self, overwrite: bool = False) -> None:
        """Make the folder, take its lock and, to overwrite, delete what earlier work left."""
        try:
            self._made = [p for p in (self.path, *self.path.parents) if not p.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _try_lock(self.path / self.lock)
        except OSError as error:
            reason = error.strerror or error
            raise CommandError(f"{self.shown} cannot be written: {reason}") from None
        if self._lock is None:
            self._made = []
            raise CommandError(f"{self.shown} is in use by another process")
        for name in os.listdir(self.path):
            if is_temporary(name) and not self.shared:
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
        if overwrite and self.begun:
            self._clear()
        self._check_links()

    def _check_links(self):
        """Refuse folders below that are links out of it: what is written there lands elsewhere."""
        root = self.path.resolve()
        for above, folders, _ in os.walk(self.path):
            for path in (pathlib.Path(above, name) for name in folders):
                if path.is_symlink() and not path.resolve().is_relative_to(root):
                    raise CommandError(
                        f"{path} is a link out of the folder {self.shown}: remove it"
                    )

    def _clear(self):
        """Delete the work, the mark last: until then the folder is known as ours."""
        names = os.listdir(self.path) if self.owned is None else self.owned
        try:
            for name in sorted(set(names) - {self.lock, self.mark}):
                entry = self.path / name
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
            (self.path / self.mark).unlink(missing_ok=True)
        except OSError as error:
            raise CommandError(f"{self.shown} cannot be emptied: {error.strerror}") from None

    def begin(self, content: dict[str, Any]) -> None:
        """Write the mark."""
        write_json(self.path / self.mark, content)

    def close(self) -> None:
        """Give the lock back; a folder that `open` made and that is still empty goes too."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            if self._made and os.listdir(self.path) == [self.lock]:
                (self.path / self.lock).unlink()
                for folder in self._made:
                    folder.rmdir()
        self._lock.close()
        self._lock = None


def given_or(
    folder: _Folder | None, make: Callable[[], _Folder]
) -> contextlib.AbstractContextManager[_Folder]:
    """Context of a folder that its caller closes, or of what `make` gives, closed at the end."""
    return contextlib.nullcontext(folder) if folder else contextlib.closing(make())


def work_in(
    folder: WorkFolder | None,
    prog: str,
    work: Callable[[], Any],
    advice: str = "",
    stopped: Callable[[Any], Any] = lambda found: False,
) -> int:
    """Run the work of a command, in its folder; returns the exit status.

    Args:
        folder: closed at the end; None where the work opens and closes its own.
        prog: the command's name.
        work: the work.
        advice: how it may be continued, once there is something in the folder to continue.
        stopped: function of what the work returns: whether that is less than what was asked for.
    """
    try:
        return STOPPED if stopped(work()) else 0
    except ENDS as error:
        return report_end(prog, error, advice if folder is not None and folder.begun else "")
    finally:
        if folder is not None:
            folder.close()


def _try_lock(path):
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
