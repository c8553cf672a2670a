"""CIFAR-10-C, and copies in its layout: from .npy files, an .npz or TensorFlow Datasets."""

import contextlib
import hashlib
import json
import logging
import math
import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from spectral_keras.cifar10c import BENCHMARK, EXTRA, SEVERITIES
from spectral_keras.data import arrays
from spectral_keras.data.checksums import without_checksum
from spectral_keras.data.errors import DataError, in_a_line
from spectral_keras.data.files import open_regular, read_regular
from spectral_keras.data.left_out import LeftOut
from spectral_keras.data.tfds import find_builder, import_tfds, open_builder
from spectral_keras.data.tfds_reader import Reader
from spectral_keras.logs import quiet
from spectral_keras.ops.validation import describe

__all__ = ["MANIFEST", "NAMES", "CorruptedImages", "load_corrupted"]

# Names of the published files: the 15 of the benchmark, then the 4 extra ones.
NAMES = BENCHMARK + EXTRA
BUILDER = "cifar10_corrupted"
# TFDS has its own names for two of them.
TFDS_NAMES = {name: name for name in NAMES} | {
    "glass_blur": "frosted_glass_blur",
    "elastic_transform": "elastic",
}
# What `python -m models.corrupt` writes beside its files; the published set has none.
MANIFEST = "corruptions.json"
_FROM_MANIFEST = (
    "dataset", "split", "limit", "seed", "table", "frost", "versions", "data_sha256",
)  # fmt: skip
# Bytes of a manifest: a large one has a hundred digests.
_LARGEST_MANIFEST = 1 << 24


class CorruptedImages:
    """A test set under corruptions that was made before; `load_corrupted` gives one.

    Nothing but the file headers and the labels is read at first; `read` then gives one corruption
    at one severity.

    Attributes:
        names: corruptions that are there, in the order of the papers' tables.
        severities: ascending tuple of integers.
        labels: int32 [N], the classes, the same at each corruption and severity.
        image_shape: (height, width, channels).
        source: dict that says where the images come from (JSON plain): "kind" is "folder", "npz"
            or "tfds"; files have "path", the number of "files" and, of a copy that
            `python -m models.corrupt` wrote, "made" with its data set, seed and versions; TFDS has
            "builder" and "version".
    """

    def __init__(
        self,
        store: Any,
        names: Sequence[str],
        severities: Sequence[int],
        labels: np.ndarray,
        chosen: np.ndarray | None,
        image_shape: Sequence[int],
        source: dict[str, Any],
    ):
        self.names = tuple(names)
        self.severities = tuple(severities)
        self.labels = labels
        self.image_shape = tuple(image_shape)
        self.source = source
        self._store = store
        self._chosen = chosen  # indices within a severity; None for all

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, name: str, severity: int) -> np.ndarray:
        """The images of one corruption at one severity.

        Args:
            name: one of `names`.
            severity: one of `severities`.

        Returns:
            uint8 [N, height, width, channels]; of a folder without a limit a read-only memory map.

        Raises:
            DataError: if it is not there or cannot be read.
        """
        self._check(name)
        if np.ndim(severity) or severity not in self.severities:
            raise DataError(
                f"{self._store.where} has severities {', '.join(map(str, self.severities))}. "
                f"Received: severity={describe(severity)}"
            )
        images, labels = self._store.piece(name, severity, self._chosen)
        if labels is not None and not np.array_equal(labels, self.labels):
            raise DataError(
                f"{self._store.where}: {name} at severity {severity} has labels in another order "
                "than the others: prepare it again"
            )
        return images

    def identity(self, name: str) -> str:
        """A text that distinguishes the images of a corruption from others.

        The SHA-256 of its .npy file, whether in a folder or an .npz; for TFDS builder and version.
        """
        self._check(name)
        return self._store.identity(name)

    def _check(self, name):
        if not isinstance(name, str) or name not in self.names:
            raise DataError(
                f"{self._store.where} has no {describe(name)}: it has {', '.join(self.names)}"
            )


def load_corrupted(
    source: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    limit: int | None = None,
) -> CorruptedImages:
    """CIFAR-10-C as published, or a copy of another test set in the same layout.

    A folder holds `<corruption>.npy` for some or all of the 19 corruptions, uint8
    [5 N, height, width, channels]: N images at severity 1, the same N at severity 2, and so on;
    and `labels.npy` with 5 N integers, the classes of the N images five times. An .npz has the same
    arrays as its members. Nothing in them is executed. TFDS keeps one set for each corruption and
    severity, whose images are the published ones in another order.

    Args:
        source: folder; path of an .npz file; or "tfds" for the set `cifar10_corrupted` of
            TensorFlow Datasets, which is downloaded if it is not prepared.
        data_dir: where TensorFlow Datasets keeps its files; its own default if None.
        limit: take only so many images of each severity, with the class shares of all; always the
            same ones.

    Returns:
        A `CorruptedImages`.

    Raises:
        DataError: whatever stands between the source and usable images, in one line.

    Warns:
        DataWarning: a line that names the `.npy` files (or members) of other names, which are not
            used; `source["left_out"]` keeps it.

    Example:

    >>> import numpy as np
    >>> images = np.zeros((10, 4, 4, 3), np.uint8)  # two images, five severities
    >>> np.save("fog.npy", images + np.repeat(np.arange(5, dtype=np.uint8), 2)[:, None, None, None])
    >>> np.save("labels.npy", np.tile([7, 8], 5))
    >>> corrupted = load_corrupted(".")
    >>> corrupted.names, len(corrupted), int(corrupted.read("fog", 3).mean())
    (('fog',), 2, 2)
    """
    limit = arrays.check_limit("limit", limit)
    if not isinstance(source, (str, os.PathLike)) or not os.fspath(source):
        raise DataError(
            f"corrupted images come from 'tfds', a folder or an .npz file. Received: "
            f"source={describe(source)}"
        )
    arrays.check_data_dir(data_dir)
    if source == "tfds":
        return _load_tfds(data_dir, limit)
    path = os.path.expanduser(os.fspath(source))
    if os.path.isdir(path):
        return _load_files(_Folder(path), limit)
    if not os.path.exists(path):
        raise DataError(f"no such folder or file: {path}: give a folder of .npy files, or an .npz")
    return _load_files(_Archive(path), limit)


def _load_files(store, limit):
    """Check what the files say of themselves, and the labels."""
    made = store.manifest()
    severities = SEVERITIES if made is None else made["severities"]
    members = store.members()
    names = [name for name in NAMES if name in members]
    if not names:
        raise DataError(
            f"{store.where} holds no corrupted images: expected files such as fog.npy and "
            f"labels.npy"
        )
    if "labels" not in members:
        raise DataError(f"{store.where} has no labels.npy: expected the classes of its images")
    shapes = {}
    for name in names:
        shape, dtype = store.header(name)
        where = f"{name}.npy of {store.where}"
        if len(shape) != 4 or shape[-1] not in (1, 3) or 0 in shape:
            raise DataError(f"{where} has shape {shape}: expected [images, height, width, 1 or 3]")
        if dtype != np.uint8:
            raise DataError(f"{where} has data type {dtype}: expected uint8")
        shapes[name] = shape
    shape = shapes[names[0]]
    for name in names:
        if shapes[name] != shape:
            raise DataError(
                f"the files of {store.where} have different shapes: {names[0]}.npy {shape}, "
                f"{name}.npy {shapes[name]}"
            )
    if shape[0] % len(severities):
        raise DataError(
            f"{names[0]}.npy of {store.where} has {shape[0]} images: expected {len(severities)} "
            "times the same number, a block for each severity"
        )
    where = f"labels.npy of {store.where}"
    label_shape, label_type = store.header("labels")
    _check_size(math.prod(label_shape), label_type, where)
    labels = arrays.check_labels(store.labels(), shape[0], where)
    blocks = labels.reshape(len(severities), -1)
    if np.any(blocks != blocks[0]):
        raise DataError(
            f"{where} does not repeat the same labels for each of the {len(severities)} "
            "severities: expected one block of images after the other, all in the same order"
        )
    left_out = LeftOut(store.where)
    others = sorted(members - {*NAMES, "labels"})
    left_out.add("arrays of other names", (f"{name}.npy" for name in others))
    labels, chosen = blocks[0], None
    made_of = {} if made is None else made
    _check_sum(labels.astype(np.int64), made_of.get("labels_sha256"), where)
    if limit is not None and limit < len(labels):
        chosen = arrays.balanced_prefix(labels, limit)
        labels = labels[chosen]
    source = {"kind": store.kind, "path": store.where, "files": len(names)}
    source |= left_out.report(3)
    if made is not None:
        source["made"] = {key: made[key] for key in _FROM_MANIFEST if key in made}
    store.severities, store.count = tuple(severities), len(blocks[0])
    store.digests = made_of.get("pieces", {})
    return CorruptedImages(store, names, severities, labels, chosen, shape[1:], source)


class _Files:
    """Blocks of .npy files; `_load_files` sets what they hold: severities, count and digests."""

    def __init__(self, path):
        self.where = path

    def piece(self, name, severity, chosen):
        block = self.block(name, self.severities.index(severity) * self.count)
        # What the manifest says of it; the published files have none.
        pieces = self.digests.get(name) if isinstance(self.digests, dict) else None
        if isinstance(pieces, dict):
            where = f"{name}.npy of {self.where}, severity {severity},"
            _check_sum(block, pieces.get(str(severity)), where)
        return (block if chosen is None else block[chosen]), None


class _Folder(_Files):
    """Files of a folder, mapped into memory."""

    kind = "folder"

    def members(self):
        names = os.listdir(self.where)
        return {name[:-4] for name in names if name.endswith(".npy") and name[0] != "."}

    def manifest(self):
        path = os.path.join(self.where, MANIFEST)
        if not os.path.lexists(path):
            return None
        with _readable(path):
            return _check_manifest(read_regular(path, limit=_LARGEST_MANIFEST), path)

    def header(self, name):
        array = self._array(name)
        return array.shape, array.dtype

    def labels(self):
        return np.array(self._array("labels"))

    def block(self, name, start):
        return self._array(name)[start : start + self.count]

    def identity(self, name):
        path = os.path.join(self.where, f"{name}.npy")
        with _readable(path), open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _array(self, name):
        path = os.path.join(self.where, f"{name}.npy")
        with _readable(path):
            open_regular(path).close()  # a pipe would be waited for
            return np.load(path, mmap_mode="r", allow_pickle=False)


class _Archive(_Files):
    """Members of an .npz, of which only the needed blocks are read."""

    kind = "npz"

    def __init__(self, path):
        super().__init__(path)
        with _readable(path), open_regular(path) as file:
            if not zipfile.is_zipfile(file):
                raise DataError(
                    f"{path} is neither a folder nor an .npz file with corrupted images"
                )

    def members(self):
        with self._opened(self.where) as archive:
            return {name[:-4] for name in archive.namelist() if name.endswith(".npy")}

    def manifest(self):
        with self._opened(self.where) as archive:
            if MANIFEST not in archive.namelist():
                return None
            if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
                raise DataError(f"{MANIFEST} of {self.where} is too large: it is damaged")
            return _check_manifest(archive.read(MANIFEST), f"{MANIFEST} of {self.where}")

    def header(self, name):
        with self._member(name) as file:
            shape, fortran, dtype = _header(file)
            if fortran:
                raise DataError(
                    f"{name}.npy of {self.where} is stored column by column: use C order"
                )
            return shape, dtype

    def labels(self):
        with self._member("labels") as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def block(self, name, start):
        with self._member(name) as file:
            shape, _, dtype = _header(file)
            size = math.prod(shape[1:])
            _check_size(self.count * size, dtype, f"{name}.npy of {self.where}")
            file.seek(start * size, os.SEEK_CUR)
            data = file.read(self.count * size)
            return np.frombuffer(data, dtype).reshape(self.count, *shape[1:])

    def identity(self, name):
        with self._member(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextlib.contextmanager
    def _member(self, name):
        where = f"{name}.npy of {self.where}"
        with self._opened(where) as archive, archive.open(f"{name}.npy") as file:
            yield file

    @contextlib.contextmanager
    def _opened(self, where):
        with _readable(where), open_regular(self.where) as file, zipfile.ZipFile(file) as archive:
            yield archive


def _header(file):
    """(shape, whether in Fortran order, data type); `file` then stands at the data."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _check_size(count, dtype, where):
    """Refuse what a header promises if the memory cannot hold it."""
    arrays.check_fits(count * dtype.itemsize, f"the numbers of {where}", "smaller files")


def _check_sum(array, wanted, where):
    if wanted is not None and hashlib.sha256(np.ascontiguousarray(array)).hexdigest() != wanted:
        raise DataError(f"{where} is damaged: its checksum does not match; prepare it again")


def _check_manifest(data, where):
    content = without_checksum(json.loads(data, parse_constant=_refuse))
    severities = content.get("severities")
    if (
        not isinstance(severities, list)
        or not severities
        or any(severity not in SEVERITIES for severity in severities)
        or severities != sorted(set(severities))
    ):
        raise DataError(f"{where} names no severities: it is damaged, or of another program")
    if content.get("format") == "png":
        raise DataError(
            f"{where} says that the images are PNG files: expected .npy files or an .npz"
        )
    return content


def _refuse(constant):
    raise ValueError(f"{constant} is no JSON")


@contextlib.contextmanager
def _readable(where):
    """Every failure to read is a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # a damaged file raises whatever its first bad byte leads to
        if "pickle" in str(error) or "Python objects" in str(error):
            raise DataError(
                f"{where} holds pickled objects or is no .npy file, and is not read for safety"
            ) from error
        raise DataError(f"{where} cannot be read ({in_a_line(error)})") from error


def _load_tfds(data_dir, limit):
    store = _Builders(data_dir, limit)
    reader = store.reader(NAMES[0], SEVERITIES[0])
    with quiet("absl", logging.CRITICAL):
        labels = reader.labels("test")
    labels = labels[arrays.balanced_prefix(labels, limit)]
    info = reader.builder.info
    source = {"kind": "tfds", "builder": BUILDER, "version": str(info.version)}
    shape = info.features["image"].shape
    return CorruptedImages(store, NAMES, SEVERITIES, labels, None, shape, source)


class _Builders:
    """The 95 sets of TFDS, each prepared when it is asked for."""

    where = f"the data set {BUILDER!r}"

    def __init__(self, data_dir, limit):
        self.data_dir, self.limit = data_dir, limit
        self.module = import_tfds()

    def reader(self, name, severity):
        full = f"{BUILDER}/{TFDS_NAMES[name]}_{severity}"
        builder, keys = open_builder(self.module, full, self.data_dir, training=False)
        return Reader(self.module, builder, full, *keys, None)

    def piece(self, name, severity, chosen):
        reader = self.reader(name, severity)
        with quiet("absl", logging.CRITICAL):
            return reader.limited("test", self.limit)  # the limit chooses

    def identity(self, name):
        full = f"{BUILDER}/{TFDS_NAMES[name]}_{SEVERITIES[0]}"
        with quiet("absl", logging.CRITICAL):
            builder = find_builder(self.module, full, self.data_dir)
        return f"{BUILDER}/{TFDS_NAMES[name]}:{builder.info.version}"
