"""The pieces of a corrupted copy on disk: one corruption at one severity, whole or not there."""

import hashlib
import io
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from spectral_keras.data.files import open_regular
from spectral_keras.experiments.folder import write_arrays

__all__ = ["Pieces"]

_READ = 1 << 20


class Pieces:
    """<corruption>.npy with a block for each severity; unfinished, <corruption>.npy.part.

    Args:
        folder: where they are.
        labels: classes of the images.
        severities: ascending list.
        image_shape: of an image.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        labels: np.ndarray,
        severities: list[int],
        image_shape: tuple[int, ...],
    ):
        self.folder, self.severities, self.labels = folder, severities, labels
        self.block = len(labels) * int(np.prod(image_shape))
        self.header = _npy_header((len(severities) * len(labels), *image_shape))

    @staticmethod
    def own(names: Iterable[str]) -> set[str]:
        """Names in the folder that are of a copy, finished or not."""
        files = [f"{name}.npy" for name in names]
        return {"labels.npy", *files, *(f"{file}.part" for file in files)}

    def begin(self) -> None:
        """Write what belongs to all pieces."""
        kind = np.uint8 if self.labels.max(initial=0) < 256 else np.int32
        labels = np.tile(self.labels.astype(kind), len(self.severities))
        write_arrays(self.folder / "labels.npy", labels)

    def good(self, name: str, digests: Sequence[str]) -> int:
        """How many of the finished pieces are there as they were, from the first on."""
        path, part = self._paths(name)
        if os.path.lexists(path):
            with open_regular(path, inside=self.folder) as file:
                whole = os.fstat(file.fileno()).st_size == self._size()
                count = self._matching(file, digests) if whole else 0
            if count == len(self.severities):
                return count
            os.replace(path, part)  # damaged
        if not os.path.lexists(part):
            return 0
        with open_regular(part, inside=self.folder) as file:
            return self._matching(file, digests)

    def write(self, name: str, place: int, blocks: Iterable[np.ndarray]) -> str:
        """Write the piece at `place` of the severities; returns the SHA-256 of its pixels."""
        digest = hashlib.sha256()
        with self._unfinished(name) as file:
            file.truncate(len(self.header) + place * self.block if place else 0)
            if not place:
                file.write(self.header)
            for block in blocks:
                data = np.ascontiguousarray(block).data
                file.write(data)
                digest.update(data)
        return digest.hexdigest()

    def finish(self, name: str) -> None:
        """Give a corruption with all its pieces its final name."""
        path, part = self._paths(name)
        if not path.exists():
            with self._unfinished(name) as file:
                file.truncate(self._size())
            os.replace(part, path)

    def _unfinished(self, name):
        """The unfinished file, open to add to its end."""
        return open_regular(self._paths(name)[1], "a+b", inside=self.folder)

    def _paths(self, name):
        return self.folder / f"{name}.npy", self.folder / f"{name}.npy.part"

    def _size(self):
        return len(self.header) + len(self.severities) * self.block

    def _matching(self, file, digests):
        if file.read(len(self.header)) != self.header:
            return 0
        for count, wanted in enumerate(digests):
            if _digest(file, self.block) != wanted:
                return count
        return len(digests)


def _npy_header(shape):
    """The first bytes of what numpy.save writes of uint8 images of this shape."""
    file = io.BytesIO()
    content = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, content)
    return file.getvalue()


def _digest(file, size):
    """SHA-256 of the next `size` bytes of a file."""
    digest = hashlib.sha256()
    while size:
        data = file.read(min(size, _READ))
        if not data:
            return None
        digest.update(data)
        size -= len(data)
    return digest.hexdigest()
