"""Faults inside a process: what happens at its n-th file operation below a folder.

A file operation is an open for writing, a write, a rename, a removal or a new folder.  They are
seen by an audit hook and by a file class in place of the interpreter's own, so that nothing of the
program under test knows of it.  `numpy.save` into an open file writes from C and is not seen.
"""

import builtins
import errno
import io
import os
import signal
import sys
import time

_RENAME, _REMOVE, _MKDIR = ("os.rename",), ("os.remove", "os.rmdir", "os.truncate"), ("os.mkdir",)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Injection:
    """Counts file operations below `root` and acts at one of them.

    Args:
        root: folder; operations elsewhere do not count.
        kind: "count" only counts; "kill" sends SIGKILL before operation `at`, in the middle of it
            if it is a write; "full" lets every write and every new file fail from there on with
            ENOSPC, "read_only" every change with EROFS; "signal" sends itself `number` there.
        at: 1 for the first operation.
        number: of the signal.
        log: file that gets the operations, one a line.
    """

    def __init__(self, root, kind="count", at=0, number=0, log=None):
        self.root = os.path.realpath(root) + os.sep
        self.kind, self.at, self.number = kind, at, number
        self.done = 0
        self.log = None if log is None else os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        self.open = io.open

    def start(self):
        builtins.open = io.open = self._open
        sys.addaudithook(self._audit)

    def below(self, path, folder=-1):
        """The absolute path of something below the root, or None."""
        if isinstance(path, int):
            return None
        path = os.fsdecode(path)
        if not os.path.isabs(path):
            start = os.getcwd() if folder in (-1, None) else os.readlink(f"/proc/self/fd/{folder}")
            path = os.path.join(start, path)
        path = os.path.realpath(os.path.dirname(path)) + os.sep + os.path.basename(path)
        return path if path.startswith(self.root) else None

    def _audit(self, event, args):
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITING and not isinstance(path, int):
                self.happens("open", self.below(path))
        elif event in _RENAME:
            self.happens("rename", self.below(args[1], args[3]) or self.below(args[0], args[2]))
        elif event in _REMOVE:
            folder = args[1] if event != "os.truncate" else -1
            self.happens("remove", self.below(args[0], folder))
        elif event in _MKDIR:
            self.happens("mkdir", self.below(args[0], args[2]))

    def happens(self, what, path, partly=None):
        """One operation; `partly` does the half of a write."""
        if path is None:
            return
        self.done += 1
        if self.log is not None:
            os.write(self.log, f"{what} {path.removeprefix(self.root)}\n".encode())
        if self.kind == "kill" and self.done == self.at:
            if partly is not None:
                partly()
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.kind == "signal" and self.done == self.at:
            os.kill(os.getpid(), self.number)
        elif self.kind == "full" and self.done >= self.at and what in ("open", "write", "mkdir"):
            if partly is not None:
                partly()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        elif self.kind == "read_only" and self.done >= self.at:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    def _open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None,
              closefd=True, opener=None):  # fmt: skip
        writing = isinstance(file, (str, bytes, os.PathLike)) and set(mode) & set("wax+")
        path = self.below(file) if writing else None
        if path is None:
            return self.open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _File(file, "".join(set(mode) - set("bt")), closefd, opener)
        raw.injection, raw.place = self, path
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline)


class _File(io.FileIO):
    """A file whose writes count."""

    def write(self, data):
        half = memoryview(data).cast("B")[: memoryview(data).nbytes // 2]
        self.injection.happens("write", self.place, lambda: io.FileIO.write(self, half))
        return super().write(data)


def set_clock_back(seconds, every):
    """Each `every`-th look at a clock finds it `seconds` earlier than the one before."""

    def broken(clock):
        state = [0, 0.0]

        def read():
            state[0] += 1
            if state[0] % every == 0:
                state[1] += seconds
            return clock() - state[1]

        return read

    for name in ("time", "perf_counter", "monotonic"):
        setattr(time, name, broken(getattr(time, name)))


def stop_clock():
    """All clocks stand still."""
    for name in ("time", "perf_counter", "monotonic"):
        value = getattr(time, name)()
        setattr(time, name, lambda value=value: value)
