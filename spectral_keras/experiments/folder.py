"""The run folder: its files, written whole or not at all."""

import csv
import hashlib
import io
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import zipfile
from importlib import metadata

from spectral_keras.data.checksums import CHECKSUM, json_checksum, without_checksum
from spectral_keras.experiments.command import CommandError

# What may differ between a run and its continuation: none of it changes the weights (another number
# of devices: by rounding, and by batch normalisation).
FREE_OPTIONS = (
    "resume", "overwrite", "export", "workers", "stream", "tensorboard", "data_dir", "output",
    "distribute",
)  # fmt: skip


def write_text(path, text):
    """Write a text file under a temporary name and move it into place."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def write_json(path, content):
    """A JSON object in a file, with the SHA-256 of the rest as its last entry."""
    write_text(path, json.dumps(with_checksum(content), indent=1) + "\n")


def with_checksum(content):
    """A JSON-plain dict with its checksum, which `read_json` looks at."""
    return content | {CHECKSUM: json_checksum(content)}


def read_json(path):
    """The content of a JSON file, without its checksum.

    Raises:
        CommandError: if it is damaged, does not fit its checksum or is not an object.
    """
    try:
        return without_checksum(json.loads(pathlib.Path(path).read_text()))
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def file_hash(path):
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_history(path, rows):
    """history.csv: one row for each epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def save_model(model, path):
    """Save a Keras model under a temporary name and move it into place."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".tmp-{path.name}")
    model.save(temporary)
    os.replace(temporary, path)


def load_model(path):
    """`load_any_model`, of one input and one output.

    Raises:
        CommandError: as `load_any_model`, or if it has more of them or none.
    """
    import keras

    model = load_any_model(path)
    ends = [len(getattr(model, name, None) or ()) for name in ("inputs", "outputs")]
    if not isinstance(model, keras.Model) or ends != [1, 1]:
        raise CommandError(f"{path} cannot be loaded: it is no model of one input and one output")
    return model


def load_any_model(path):
    """What a `.keras` file holds, which may come from anywhere; nothing in it is executed.

    Raises:
        CommandError: if it is damaged, holds code (a `Lambda` layer), needs classes of others or
            names a path outside itself.
    """
    import keras

    import spectral_keras  # noqa: F401 (registers its layers)

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            damaged = archive.testzip()
        for name in names:
            if ".." in pathlib.PurePosixPath(name).parts or name.startswith(("/", "\\")):
                raise CommandError(f"{path} cannot be loaded: its member {name!r} is elsewhere")
        if damaged is not None:
            raise CommandError(f"{path} cannot be loaded: its member {damaged!r} is damaged")
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (CommandError, MemoryError):
        raise
    except Exception as error:  # whatever the first bad byte leads to
        reason = " ".join(f"{error or type(error).__name__}".split())
        custom = re.search(r"Could not locate \w+ '([^']+)'|Unknown layer: '?([\w.>]+)", reason)
        if custom:
            reason = (
                f"it needs the custom object {custom[1] or custom[2]!r}, which is neither Keras' "
                "nor this library's: save the model with registered layers only"
            )
        if "safe_mode" in reason or "unsafe" in reason:
            reason = (
                "it holds Python code (a Lambda layer), which Keras' safe mode does not run: "
                f"save the model without it ({reason})"
            )
        raise CommandError(f"{path} cannot be loaded: {reason[:300]}") from error


def versions():
    """Versions of what a result depends on, and the commit of the checkout if there is one."""
    found = {"python": platform.python_version()}
    for package in ("spectral_keras", "keras", "tensorflow", "jax", "torch", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit():
    """The commit of the checkout that holds this file, "+changes" if files differ; else None."""
    root = pathlib.Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*arguments):
        command = ["git", "-C", str(root), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    return (head + ("+changes" if changed else "")) or None


def default_folder(name, dataset):
    """runs/<model>-<dataset>, with a file's or folder's stem for the data set."""
    looks_like_path = os.sep in dataset or dataset.endswith(".npz")
    label = pathlib.Path(dataset).stem if looks_like_path else dataset
    return pathlib.Path("runs") / f"{name}-{label}"


def check_output(path, option="--output"):
    """Refuse an --output (or another option) that is no folder and cannot become one."""
    path = pathlib.Path(path)
    try:
        if path.exists() and not path.is_dir():
            raise CommandError(f"{option} {path} is not a folder")
        above = next(part for part in (path, *path.absolute().parents) if part.exists())
    except OSError as error:  # a name that is too long
        raise CommandError(f"{option} {path}: {error.strerror}") from None
    if not above.is_dir():
        raise CommandError(f"{option} {path}: {above} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise CommandError(f"{option} {path}: the folder {above} cannot be written")


# What is there before config.json, which a process that was killed may leave.
_BEGINNING = {".lock", ".config.json.tmp"}


class RunFolder:
    """A run folder and its lock: one process at a time works in it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._lock = None

    def __truediv__(self, name):
        return self.path / name

    @property
    def holds_run(self):
        # False where pathlib would raise: a name that is too long, a folder that may not be read.
        return os.path.exists(self.path / "config.json")

    def check(self, resume, overwrite):
        """Refuse a folder that this command may not write into, before any work is done."""
        check_output(self.path)
        if self.holds_run and overwrite:
            # It deletes the folder's content: only of a folder that is ours.
            try:
                self.stored_options()
            except CommandError as error:
                raise CommandError(
                    f"--overwrite deletes nothing in {self.path}, which may hold something else "
                    f"than a run ({error}): name another folder with --output"
                ) from None
        if self.holds_run and not (resume or overwrite):
            raise CommandError(
                f"{self.path} already holds a run: go on with --resume, replace it with "
                "--overwrite, or name another folder with --output"
            )
        if not self.holds_run and self.path.is_dir() and set(os.listdir(self.path)) - _BEGINNING:
            raise CommandError(
                f"{self.path} is not empty and holds no run: name another folder with --output"
            )

    def stored_options(self):
        """Options of the run that is here."""
        options = read_json(self.path / "config.json").get("options")
        if not isinstance(options, dict):
            raise CommandError(f"{self.path / 'config.json'} holds no options: it is damaged")
        return options

    def check_same(self, options):
        """Refuse to continue a run with options that would change it."""
        stored = self.stored_options()
        for name, value in json.loads(json.dumps(options)).items():
            if name in FREE_OPTIONS or name not in stored or stored[name] == value:
                continue
            raise CommandError(
                f"{self.path} was started with --{name.replace('_', '-')} {stored[name]}, not "
                f"{value}: resume it with its own options, or name another folder with --output"
            )

    def open(self, overwrite):
        """Make the folder, take its lock and, to overwrite, delete what an earlier run left."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / ".lock", "w")  # noqa: SIM115 (held until the end)
        except OSError as error:
            raise CommandError(f"{self.path} cannot be written: {error.strerror}") from None
        try:
            import fcntl

            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # not on Windows
            pass
        except OSError:
            raise CommandError(f"{self.path} is in use by another process") from None
        if overwrite and self.holds_run:
            # Under the lock, and without its file: another process may still write into the folder.
            # config.json comes last: until then the folder is known as a run.
            try:
                for entry in sorted(self.path.iterdir(), key=lambda e: e.name == "config.json"):
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.rmtree(entry)
                    elif entry.name != ".lock":
                        entry.unlink()
            except OSError as error:
                raise CommandError(f"{self.path} cannot be emptied: {error.strerror}") from None

    def close(self):
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def draw_curves(path, rows, title, best_epoch=None):
    """curves.png: loss and accuracy against the epoch."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in rows]
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        marker = "o" if len(rows) < 3 else None
        axis.plot(epochs, [row[quantity] for row in rows], label="training", marker=marker)
        if f"val_{quantity}" in rows[0]:
            values = [row[f"val_{quantity}"] for row in rows]
            axis.plot(epochs, values, label="validation", marker=marker)
        if best_epoch is not None:
            axis.axvline(best_epoch, color="0.6", linestyle=":", label="best epoch")
        axis.set_xlabel("epoch")
        axis.set_ylabel(quantity)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(title)
    temporary = pathlib.Path(path).with_name(".tmp-curves.png")
    figure.savefig(temporary, dpi=120)
    pyplot.close(figure)
    os.replace(temporary, path)
