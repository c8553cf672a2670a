"""What every command has in common: how it starts, what it answers to an error, how it ends.

Exit statuses: 0, 1 (stopped, with what it has so far), 2 (bad input), 130 (Ctrl-C), 143 (SIGTERM).
Importing this module imports neither Keras nor NumPy: a command decides first what happens to the
start-up messages of the backend.
"""

import _thread
import argparse
import contextlib
import difflib
import functools
import importlib
import logging
import os
import pathlib
import shlex
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

__all__ = [
    "ENDS",
    "STOPPED",
    "CommandError",
    "NotFiniteError",
    "OneLineParser",
    "Stopped",
    "Terminated",
    "answer_termination",
    "close_streams",
    "command_line",
    "launch",
    "note_interruption",
    "open_streams",
    "program",
    "report_end",
    "without_start_up_messages",
]

STOPPED, BAD_INPUT, INTERRUPTED, TERMINATED = 1, 2, 130, 143

# What the console script calls by the same name as a checkout, models.evaluate for example, does.
_INSTALLED_NAMES = ("evaluate", "explain", "corrupt", "preset", "search", "retrain")
_installed = _interrupted = False

# Lines that TensorFlow writes at every start and that call for nothing.  Whatever else it writes, a
# GPU library that cannot be loaded above all, reaches the user.
_START_UP_LINES = (
    "All log messages before absl::InitializeLog() is called are written to STDERR",
    "oneDNN custom operations are on",
    "Unable to register cuFFT factory",
    "Unable to register cuDNN factory",
    "Unable to register cuBLAS factory",
    "computation placer already registered",
)
# Where there is no such device, a driver that is missing for it is no news.
_NO_DRIVER_LINES = ("Could not find cuda drivers on your machine", "failed call to cuInit")


class CommandError(Exception):
    """Something that the user has to change; the command prints it as one line."""


class NotFiniteError(CommandError):
    """Weights that are not numbers: what a training left that diverged, not what was asked for."""


class Stopped(Exception):
    """Work that ended before its end and keeps what it has; the message says why, in one line."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which a batch system asks for its machine back: treated as Ctrl-C is."""


# What ends a command with a line; a FloatingPointError tells of outputs that are not numbers.
ENDS = (CommandError, Stopped, OSError, FloatingPointError, KeyboardInterrupt)


class OneLineParser(argparse.ArgumentParser):
    """An `ArgumentParser` that answers a bad option with one line and status 2."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs, allow_abbrev=False)
        self.renamed: dict[str, str] = {}  # an option's name in earlier versions -> its name now

    def error(self, message: str) -> NoReturn:
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            wrong = (message.removeprefix(prefix).split() or ["''"])[0]
            known = list(self._option_string_actions)
            # Nearer than by default: --num-pairs is no --aux-phase.
            name = wrong.partition("=")[0]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
            near = [self.renamed[name]] if name in self.renamed else near
            hint = f"; did you mean {near[0]}?" if near else "; --help lists the options"
            message = f"unknown option {wrong}{hint}"
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        sys.exit(BAD_INPUT)

    def check_use(self, options: argparse.Namespace, needs: dict[str, tuple[object, str]]) -> None:
        """Refuse options that were given and change nothing beside the others.

        Args:
            options: of `parse_args`.
            needs: option -> (whether the others give it a use, what it needs, as text).
        """
        for name, (useful, what) in needs.items():
            if not useful and getattr(options, name) != self.get_default(name):
                self.error(f"argument --{name.replace('_', '-')}: it needs {what}")


def launch(
    module: str, *arguments: Any, name: str | None = None, installed: bool = False
) -> NoReturn:
    """Run `main(*arguments)` of a module as the command of this process, and exit.

    Args:
        module: name of the module; it and Keras are imported here, with start-up messages filtered
            and signals answered in one line.
        *arguments: of its `main`, which exits by itself or returns the status.
        name: of the command as `python -m NAME` has it, if that is not the module's.
        installed: whether the command was called by the console script.
    """
    global _installed
    _installed = installed
    open_streams()
    answer_termination()
    logging.getLogger("tensorflow").addFilter(_without_retracing_advice)
    # INFO only: warnings and errors are the user's business.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # Pictures go to files; a screen may be there and not be reached.
    os.environ["MPLBACKEND"] = "Agg"
    _warn_in_one_line()
    try:
        with without_start_up_messages():
            # Keras and its backend, once, and the library's classes registered with it.
            _import_keras()
            _look_for_devices()
        status = importlib.import_module(module).main(*arguments)
    except SystemExit as left:
        status = left.code
    except (*ENDS, ModuleNotFoundError) as error:
        if isinstance(error, ModuleNotFoundError) and "KERAS_BACKEND" not in str(error):
            error = _missing_package(error)
        status = report_end(program(name or module), error)
    status = close_streams(status)
    if _interrupted:
        # Threads of a backend that was interrupted, at its start or in a step, may never end.
        os._exit(int(status or 0))
    sys.exit(status)


def _import_keras():
    try:
        importlib.import_module("spectral_keras")._register()
    except ValueError as error:
        if "KERAS_BACKEND" not in str(error):
            raise
        raise CommandError(str(error)) from None
    # As the data sets have it, whatever a keras.json says: the networks would be others.
    sys.modules["keras"].config.set_image_data_format("channels_last")


def _missing_package(error):
    """The CommandError that names a package to install; other modules are a fault of ours."""
    package = (error.name or "").partition(".")[0]
    if not package or (pathlib.Path(__file__).parents[2] / package).exists():
        raise error
    return CommandError(f"it needs {package}, which is not installed: pip install {package}")


def note_interruption() -> None:
    """Let this process end without waiting for threads: what they work for is given up."""
    global _interrupted
    _interrupted = True


class _Stream:
    """A text stream whose end loses nothing but the text.

    Where its reader has gone (`| head -1`) or its disk is full, the rest goes nowhere, and the
    command continues.

    Attributes:
        error: why, None as long as nothing is lost.
    """

    def __init__(self, stream):
        self._stream, self.error = stream, None
        with contextlib.suppress(AttributeError, ValueError, OSError):
            # Names of files may hold any bytes, and a terminal may know ASCII only.
            stream.reconfigure(errors="backslashreplace")

    def write(self, text):
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self):
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error):
        self.error = self.error or error
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
            # What the stream still holds goes there too, and what native code writes.
            os.dup2(nowhere.fileno(), self._stream.fileno())

    def __getattr__(self, name):
        return getattr(self._stream, name)


def open_streams() -> None:
    """Let the standard streams be there and lose no result, whatever they are connected to."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: a file that is opened next would take its number
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115
        if not isinstance(stream, _Stream):
            setattr(sys, name, _Stream(stream))


def close_streams(status: int | str | None) -> int | str | None:
    """Write out what the streams hold; returns the exit status.

    A full disk under the standard output is one line, and status 1 at least; a reader that has
    gone has seen what it wanted.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    error = getattr(sys.stdout, "error", None)
    if error is not None and not isinstance(error, BrokenPipeError):
        print(f"standard output: {error.strerror}: the rest of it is lost", file=sys.stderr)
        sys.stderr.flush()
        status = status or STOPPED
    return status


def _warn_in_one_line():
    """A warning of this library is a line as others of a command; Pillow's are nobody's business.

    What Pillow cannot read is an error; of what it can, it warns of sizes and of the description.
    """
    before = warnings.formatwarning

    def format_warning(message, category, *where):
        if category.__module__.startswith("spectral_keras."):
            return f"note: {message}\n"
        return before(message, category, *where)

    warnings.formatwarning = format_warning
    warnings.filterwarnings("ignore", module=r"PIL\.")


def program(module: str) -> str:
    """A command's name as the user typed it: "models.evaluate" or "spectral-keras evaluate"."""
    if not _installed:
        return module
    name = module.rpartition(".")[2]
    if name not in _INSTALLED_NAMES:
        name = module.replace("models.", "train ")
    return f"spectral-keras {name}"


def command_line(module: str, argv: list[str] | None = None) -> str:
    """A command as a user would type it: of this process, or of a module with arguments."""
    name = program(module)
    start = ["python", "-m", name] if name == module else name.split()
    return shlex.join([*start, *(sys.argv[1:] if argv is None else argv)])


def report_end(prog: str, error: BaseException, advice: str = "") -> int:
    """Print the line of what ended a command; returns its exit status.

    Args:
        prog: the command's name.
        error: a `CommandError`, a `Stopped`, an `OSError` (a full disk, say), a
            `FloatingPointError` (outputs that are not numbers) or a `KeyboardInterrupt`.
        advice: how the work may be continued, "" if there is nothing to continue.
    """
    tail = f"; {advice}" if advice else ""
    if isinstance(error, KeyboardInterrupt):
        note_interruption()
        print(f"\n{prog}: interrupted{tail}", file=sys.stderr)
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    line = " ".join(str(error).split())
    if isinstance(error, Stopped):
        print(f"{prog}: stopped: {line}", file=sys.stderr)
        return STOPPED
    print(f"{prog}: error: {line}{tail if isinstance(error, OSError) else ''}", file=sys.stderr)
    return STOPPED if isinstance(error, (NotFiniteError, FloatingPointError)) else BAD_INPUT


@contextlib.contextmanager
def without_start_up_messages() -> Iterator[None]:
    """Hold back `_START_UP_LINES`, which native libraries write to the file of standard error.

    TensorFlow writes them before it reads any setting.  Everything else is written at the end.
    """
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, AttributeError):  # no standard error stream
        yield
        return
    hidden = _START_UP_LINES + (() if _has_nvidia_device() else _NO_DRIVER_LINES)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            for line in sink.read().splitlines(keepends=True):
                if not any(text.encode() in line for text in hidden):
                    os.write(2, line)


def _look_for_devices():
    """Let TensorFlow say now what it has to say about GPUs."""
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].config.list_physical_devices("GPU")


def _has_nvidia_device():
    return any(pathlib.Path(place).exists() for place in ("/dev/nvidia0", "/dev/dxg"))


def _without_retracing_advice(record: logging.LogRecord) -> bool:
    """TensorFlow warns of functions that it traces again; here each network has its own."""
    return "tf.function retracing" not in str(record.msg)


def answer_termination() -> None:
    """Let SIGTERM raise `Terminated` in this process, unless something answers it already.

    Python drops what is raised while it collects garbage, an interrupt as well: it is raised again.
    What else is dropped goes to the hook that was there.
    """
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _raise_terminated)
    if not isinstance(sys.unraisablehook, functools.partial):
        sys.unraisablehook = functools.partial(_raise_again, sys.unraisablehook)


def _raise_terminated(number, frame):
    signal.signal(number, signal.SIG_DFL)  # the second one ends it at once
    raise Terminated


def _raise_again(hook, dropped):
    """The hook for exceptions that Python cannot raise where they are."""
    if not issubclass(dropped.exc_type, KeyboardInterrupt) or sys.is_finalizing():
        hook(dropped)
        return
    number = signal.SIGINT
    if issubclass(dropped.exc_type, Terminated):
        number = signal.SIGTERM
        signal.signal(number, _raise_terminated)
    # Later and from another thread: here it would be dropped once more.
    timer = threading.Timer(0.05, _thread.interrupt_main, [number])
    timer.daemon = True
    timer.start()
