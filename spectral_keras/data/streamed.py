"""Images that stay in their files and are decoded when they are asked for."""

import concurrent.futures
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError

__all__ = ["StreamedImages", "available_memory", "check_sizes", "streams"]

# Where Linux says what a container may take (control groups, version 2).
_CONTAINER = pathlib.Path("/sys/fs/cgroup")
SHARE = 4  # auto streams what would fill more than 1 / SHARE of the memory that is free
# Images a task of the decoding threads, of many: enough to hide the price of a task.
_TASKS_A_THREAD = 4
# Images of up to so many pixels are decoded faster than threads pass on the interpreter's lock: a
# size between 32 x 32, where they lose, and 128 x 128, where they gain (`benchmarks.data`).
_TOO_SMALL_FOR_THREADS = 64 * 64


class Source(Protocol):
    """Where `StreamedImages` come from.

    Attributes:
        name: the data set, for messages.
        shards: None, or an integer array: the file that image `index` lies in.
        resizes: whether stored images have other sizes.
    """

    name: str
    shards: np.ndarray | None
    resizes: bool

    def describe(self, index: int) -> str:
        """Image `index`, for messages."""

    def decode(self, index: int) -> np.ndarray:
        """Image `index` as uint8 [height, width, channels], or a `DataError` that names it."""


class StreamedImages:
    """A read-only sequence of uint8 images `[N, height, width, channels]` that lie in files.

    It stands where an array of images would: it has `shape`, `dtype`, `ndim` and `len`, and an
    index, a slice or an array of indices gives the pixels as an array, the same ones as if the
    whole set had been read into memory. Only what is asked for is read and decoded, each time
    anew; nothing is kept. `np.asarray` reads everything, if the memory can hold it.

    Args:
        source: a `Source`, which decodes one image at a time.
        shape: (height, width, channels) of what `decode` gives.
        indices: integer array: the images of `source` that this sequence consists of.
        grayscale: True turns them into one channel (ITU-R 601 luma).

    Example:

    >>> import numpy as np
    >>> class Source:
    ...     name, shards, resizes = "ramp", None, False
    ...     def decode(self, index):
    ...         return np.full((4, 4, 3), index, np.uint8)
    >>> images = StreamedImages(Source(), (4, 4, 3), np.arange(100))
    >>> images.shape, images[[7, 3]][:, 0, 0, 0]
    ((100, 4, 4, 3), array([7, 3], dtype=uint8))
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self, source: Source, shape: Sequence[int], indices: npt.ArrayLike, grayscale: bool = False
    ):
        self.source = source
        self.indices = np.asarray(indices, np.int64)
        self.grayscale = grayscale
        self._stored = tuple(int(size) for size in shape)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        height, width, channels = self._stored
        return len(self.indices), height, width, 1 if self.grayscale else channels

    @property
    def shards(self) -> np.ndarray | None:
        """Integer array [N]: the file that each image lies in; None where each is a file."""
        return None if self.source.shards is None else self.source.shards[self.indices]

    @property
    def worth_threads(self) -> bool:
        """Whether several threads decode faster than one."""
        height, width, _ = self._stored
        return self.source.resizes or height * width > _TOO_SMALL_FOR_THREADS

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: Any) -> np.ndarray:
        chosen = self.indices[key]
        if chosen.ndim == 0:
            return self._read(chosen[np.newaxis])[0]
        return self._read(chosen)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("streamed images make no array without a copy")
        # Refused here if they do not fit; the pages are not touched yet.
        result = arrays.allocate(len(self), self.shape[1:], self.source.name)
        threads = os.cpu_count() or 1 if self.worth_threads else 1
        with concurrent.futures.ThreadPoolExecutor(threads, "decode") as executor:
            for start in range(0, len(self), 256):
                part = slice(start, start + 256)
                result[part] = self.read(part, executor, threads)
        return result if dtype is None else result.astype(dtype)

    def subset(self, indices: slice | np.ndarray) -> Self:
        """The images of these indices (or of a slice), as another such sequence."""
        return type(self)(self.source, self._stored, self.indices[indices], self.grayscale)

    def as_grayscale(self) -> Self:
        """These images with one channel; themselves if they have no more."""
        if self.shape[-1] == 1:
            return self
        return type(self)(self.source, self._stored, self.indices, True)

    def read(
        self, key: Any, executor: concurrent.futures.Executor | None = None, threads: int = 1
    ) -> np.ndarray:
        """`self[key]`, decoded by the `threads` threads of `executor` where there is one."""
        return self._read(self.indices[key], executor, threads)

    def _read(self, chosen, executor=None, threads=1):
        result = np.empty((len(chosen), *self._stored), np.uint8)
        if executor is None or len(chosen) < 2:
            self._fill(result, chosen)
        else:
            step = max(1, -(-len(chosen) // (_TASKS_A_THREAD * threads)))
            parts = [slice(start, start + step) for start in range(0, len(chosen), step)]
            tasks = [executor.submit(self._fill, result[part], chosen[part]) for part in parts]
            try:
                for task in tasks:
                    task.result()
            finally:
                for task in tasks:  # after an error nobody wants the rest
                    task.cancel()
        return arrays.to_grayscale(result) if self.grayscale else result

    def _fill(self, result, chosen):
        for target, index in zip(result, chosen, strict=True):
            image = self.source.decode(index)
            if image.shape != target.shape:
                raise _different_sizes(self.source, index, image.shape, target.shape)
            target[...] = image


def _different_sizes(
    source: Source, index: int, shape: Sequence[int], others: Sequence[int]
) -> DataError:
    """The DataError of an image that is not as large as the others."""
    sizes = ["x".join(map(str, shape[:2])) for shape in (shape, others)]
    return DataError(
        f"the images of {source.name} have different sizes ({source.describe(index)} is "
        f"{sizes[0]}, others are {sizes[1]}): give image_size to resize them all"
    )


def check_sizes(source: Source, count: int, shape: Sequence[int]) -> None:
    """Refuse different sizes before a training, as far as 32 of the images show them."""
    for index in np.unique(np.linspace(0, count - 1, 32).astype(int)):
        found = source.decode(index).shape
        if found != shape:
            raise _different_sizes(source, index, found, shape)


def streams(
    stream: bool | str, above: int | None, count: int, shape: Sequence[int]
) -> tuple[bool, dict[str, Any]]:
    """Whether to stream `count` images of `shape`, and what `Dataset.source` says about it.

    Args:
        stream: True, False or "auto": where the decoded images would take more than `above` bytes.
        above: None: a quarter of the memory that is available now.
        count, shape: number of images, (height, width, channels).
    """
    decoded = int(count) * math.prod(int(size) for size in shape)
    if isinstance(stream, bool):
        return stream, {"streamed": stream, "decoded_bytes": decoded}
    memory = available_memory()
    bound = above if above is not None else None if memory is None else memory // SHARE
    streamed = bound is not None and decoded > bound
    return streamed, {"streamed": streamed, "decoded_bytes": decoded, "bound_bytes": bound}


def available_memory() -> int | None:
    """Bytes that a process can still take without swapping; None where the system does not say."""
    found = []
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":", 1) for line in file)
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    except (OSError, KeyError, ValueError):
        try:
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        except (AttributeError, OSError, ValueError):
            return None
    try:  # of a container, which may drop the files that it has read
        limit, used = (
            int((_CONTAINER / f"memory.{name}").read_text()) for name in ("max", "current")
        )
        kinds = (_CONTAINER / "memory.stat").read_text().splitlines()
        dropped = int(dict(kind.split() for kind in kinds)["inactive_file"])
        found.append(max(limit - used + dropped, 0))
    except (OSError, ValueError, KeyError):  # none, or "max"
        pass
    return min(found)
