"""Open files that someone else may have made: regular, of bounded size, and where they should be.

A folder of results or of images may come from anywhere.  A named pipe in it would be waited for
without end, a device may never stop giving bytes, and a symbolic link leads a program to read, or
to overwrite, a file somewhere else.  Whatever is read or written in such a folder is opened here.
"""

import contextlib
import os
import pathlib
import secrets
import stat
import zipfile
from collections.abc import Callable
from typing import IO, Any

__all__ = [
    "UnsafeFileError",
    "open_regular",
    "read_arrays",
    "read_part",
    "read_regular",
    "temporary_name",
    "write_file",
]

_FLAGS = {
    "rb": os.O_RDONLY,
    "a+b": os.O_RDWR | os.O_APPEND | os.O_CREAT,
    "xb": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
}
# A pipe or a terminal does not keep `open` waiting; Windows has neither flag, and needs the last.
_ALWAYS = (
    getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
)  # fmt: skip


class UnsafeFileError(OSError):
    """A file that is not opened: no regular file, too large, or a link out of its folder.

    The message is one line that names the file and says which of these it is.
    """


def open_regular(
    path: str | os.PathLike,
    mode: str = "rb",
    *,
    inside: str | os.PathLike | None = None,
    limit: int | None = None,
) -> IO[bytes]:
    """Open a regular file, and nothing else, without ever waiting for it.

    Args:
        path: the file.
        mode: "rb" reads it; "xb" makes a new one and fails where there is something of that name,
            be it a dangling link; "a+b" opens one as it is, for a lock or to add to it, and makes
            it where there is none.
        inside: None follows symbolic links anywhere. A folder follows only those that stay in it
            (the folder itself may be reached by a link).
        limit: largest size in bytes; None for any.

    Returns:
        A binary file object, buffered.

    Raises:
        UnsafeFileError: for a folder, pipe, device or socket, a file above the limit, or a link
            that leads out of the folder.
        OSError: as `open` does.

    Example:

    >>> from spectral_keras.data.files import open_regular
    >>> with open_regular("notes.txt", "xb") as file:
    ...     file.write(b"hello")
    5
    >>> with open_regular("notes.txt", inside=".", limit=100) as file:
    ...     file.read()
    b'hello'
    """
    if mode not in _FLAGS:
        raise ValueError(f"`mode` must be one of {sorted(_FLAGS)}. Received: mode={mode!r}")
    flags, name = _FLAGS[mode] | _ALWAYS, os.fspath(path)
    if inside is not None:
        flags |= getattr(os, "O_NOFOLLOW", 0)
        path = _resolve(name, inside, new=mode == "xb")
    if mode != "xb":
        # Looked at before it is opened too: opening a device may already do something.
        with contextlib.suppress(FileNotFoundError):
            _check(os.stat(path), name, limit)
    descriptor = os.open(path, flags, 0o666)
    try:
        _check(os.fstat(descriptor), name, limit)
        return os.fdopen(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(
    path: str | os.PathLike, *, inside: str | os.PathLike | None = None, limit: int
) -> bytes:
    """The content of a regular file of at most `limit` bytes, see `open_regular`.

    Example:

    >>> import pathlib
    >>> from spectral_keras.data.files import read_regular
    >>> pathlib.Path("notes.txt").write_text("hello")
    5
    >>> read_regular("notes.txt", limit=5)
    b'hello'
    """
    with open_regular(path, inside=inside, limit=limit) as file:
        content = file.read(os.fstat(file.fileno()).st_size)
        # It may be growing, or one of /proc, which have no size.
        while len(content) <= limit and (more := file.read(1 << 16)):
            content += more
    if len(content) > limit:
        raise _too_large(os.fspath(path), limit)
    return content


def read_arrays(file: IO[bytes]) -> dict[str, Any]:
    """The arrays of an `.npz` as `numpy.savez` writes it, no larger than the file.

    Raises:
        ValueError: if one is compressed (a few bytes may unpack to any size) or holds objects.

    Example:

    >>> import io, numpy as np
    >>> from spectral_keras.data.files import read_arrays
    >>> np.savez(file := io.BytesIO(), x=np.arange(3))
    >>> read_arrays(file)
    {'x': array([0, 1, 2])}
    """
    import numpy as np

    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        if any(info.compress_type != zipfile.ZIP_STORED for info in stored.zip.infolist()):
            raise ValueError("its arrays are compressed")
        return {name: stored[name] for name in stored.files}


def read_part(path: str | os.PathLike, offset: int, length: int) -> bytes:
    """`length` bytes of a regular file from `offset` on; fewer where it ends."""
    # Once for each image of an epoch: without the buffer of a file object.
    descriptor = os.open(path, os.O_RDONLY | _ALWAYS)
    try:
        _check(os.fstat(descriptor), path, None)
        if hasattr(os, "pread"):
            return os.pread(descriptor, length, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)  # Windows
        return os.read(descriptor, length)
    finally:
        os.close(descriptor)


def temporary_name(path: str | os.PathLike) -> pathlib.Path:
    """A name beside `path` that nobody can know before, with the same suffix."""
    path = pathlib.Path(path)
    return path.with_name(f".{path.stem}-{secrets.token_hex(4)}.tmp{path.suffix}")


def write_file(
    path: str | os.PathLike, write: Callable[[IO[bytes]], Any], *, durable: bool = False
) -> None:
    """Let `write` fill a new binary file, and move it into place when it is whole.

    Args:
        path: the file; one of that name is replaced.
        write: function of the file object.
        durable: whether the content is on the disk before it gets its name.

    Example:

    >>> from spectral_keras.data.files import read_regular, write_file
    >>> write_file("notes.txt", lambda file: file.write(b"hello"))
    >>> read_regular("notes.txt", limit=5)
    b'hello'
    """
    temporary = temporary_name(path)
    try:
        with open_regular(temporary, "xb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _check(status, name, limit):
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a device or a socket"
        raise UnsafeFileError(f"{name} is {kind}: expected a regular file")
    if limit is not None and status.st_size > limit:
        raise _too_large(name, limit)


def _too_large(name, limit):
    return UnsafeFileError(f"{name} is larger than {limit:,} bytes, which is the most that is read")


def _resolve(name, inside, new):
    """The path without links; of a new file that of its folder, as its own name must be free."""
    folder = os.path.realpath(inside)
    if new:
        head, tail = os.path.split(name)
        path = os.path.join(os.path.realpath(head or "."), tail)
    else:
        path = os.path.realpath(name)
    if os.path.commonpath([folder, os.path.dirname(path)]) != folder:
        raise UnsafeFileError(f"{name} is a link out of the folder {os.fspath(inside)}: remove it")
    return path
