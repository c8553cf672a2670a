"""The pieces of a corrupted copy on disk: one corruption at one severity, whole or not there."""

import hashlib
import itertools
import os
import re
import shutil

import numpy as np

_READ = 1 << 20


class ArrayPieces:
    """<corruption>.npy with a block for each severity; unfinished, under a temporary name."""

    def __init__(self, folder, labels, severities, image_shape, class_names):
        self.folder, self.severities = folder, severities
        self.labels = np.tile(labels.astype(np.uint8 if len(class_names) <= 256 else np.int32),
                              len(severities))  # fmt: skip
        self.block = len(labels) * int(np.prod(image_shape))
        shape = (len(severities) * len(labels), *image_shape)
        self.header = _npy_header(shape)

    @staticmethod
    def own(names):
        """Names in the folder that are of a copy, finished or not."""
        files = [f"{name}.npy" for name in (*names, "labels")]
        return {*files, *map(_temporary, files)}

    def begin(self):
        """Write what belongs to all pieces."""
        path = self.folder / _temporary("labels.npy")
        with open(path, "wb") as file:
            np.save(file, self.labels)
        os.replace(path, self.folder / "labels.npy")

    def good(self, name, digests):
        """How many of the finished pieces are there as they were, from the first on."""
        path, temporary = self._paths(name)
        if path.exists():
            if path.stat().st_size == len(self.header) + len(self.severities) * self.block:
                count = self._matching(path, digests)
                if count == len(self.severities):
                    return count
            os.replace(path, temporary)  # damaged
        return self._matching(temporary, digests) if temporary.exists() else 0

    def write(self, name, place, blocks):
        """Write the piece at `place` of the severities; returns the SHA-256 of its pixels."""
        _, temporary = self._paths(name)
        digest = hashlib.sha256()
        with open(temporary, "r+b" if place else "wb") as file:
            if place:
                file.truncate(len(self.header) + place * self.block)
                file.seek(0, os.SEEK_END)
            else:
                file.write(self.header)
            for block in blocks:
                data = np.ascontiguousarray(block).data
                file.write(data)
                digest.update(data)
        return digest.hexdigest()

    def finish(self, name):
        """Give a corruption with all its pieces its final name."""
        path, temporary = self._paths(name)
        if not path.exists():
            os.truncate(temporary, len(self.header) + len(self.severities) * self.block)
            os.replace(temporary, path)

    def _paths(self, name):
        return self.folder / f"{name}.npy", self.folder / _temporary(f"{name}.npy")

    def _matching(self, path, digests):
        with open(path, "rb") as file:
            if file.read(len(self.header)) != self.header:
                return 0
            for count, wanted in enumerate(digests):
                if _digest(file, self.block) != wanted:
                    return count
        return len(digests)


class PicturePieces:
    """<corruption>/<severity>/<class>/<number>.png; an unfinished folder has a temporary name."""

    def __init__(self, folder, labels, severities, image_shape, class_names):
        self.folder, self.severities, self.image_shape = folder, severities, image_shape
        names = [re.sub(r"[^\w.-]", "_", name).strip(".") for name in class_names]
        if len(set(names)) < len(names) or "" in names:
            names = [f"{place:05d}" for place in range(len(names))]
        width = max(5, len(str(len(labels) - 1)))
        self.files = [
            os.path.join(names[label], f"{number:0{width}d}.png")
            for number, label in enumerate(labels)
        ]

    @staticmethod
    def own(names):
        return set(names)

    def begin(self):
        pass

    def good(self, name, digests):
        for count, (severity, wanted) in enumerate(zip(self.severities, digests, strict=False)):
            if self._read(self.folder / name / str(severity)) != wanted:
                return count
        return len(digests)

    def write(self, name, place, blocks):
        from PIL import Image

        path = self.folder / name / str(self.severities[place])
        temporary = path.with_name(_temporary(path.name))
        for old in (temporary, path):
            if old.exists():
                shutil.rmtree(old)
        for folder in {os.path.dirname(file) for file in self.files}:
            (temporary / folder).mkdir(parents=True)
        digest = hashlib.sha256()
        images = itertools.chain.from_iterable(blocks)
        for image, file in zip(images, self.files, strict=True):
            digest.update(np.ascontiguousarray(image).data)
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(temporary / file)
        os.replace(temporary, path)
        return digest.hexdigest()

    def finish(self, name):
        pass

    def _read(self, path):
        """SHA-256 of the pixels of a piece; None if something is missing or damaged."""
        from PIL import Image

        digest = hashlib.sha256()
        for file in self.files:
            try:
                with Image.open(path / file, formats=["PNG"]) as image:
                    pixels = np.asarray(image)
            except (OSError, SyntaxError, ValueError):
                return None
            digest.update(np.ascontiguousarray(pixels).data)
        return digest.hexdigest()


def _temporary(name):
    return f".{name}.tmp"


def _npy_header(shape):
    """The first bytes of what numpy.save writes of uint8 images of this shape."""
    import io

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
