"""Folders of class folders of image files."""

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.decode import MODES, decode, describe_error
from spectral_keras.data.errors import DataError
from spectral_keras.data.files import UnsafeFileError, read_regular
from spectral_keras.data.left_out import LeftOut
from spectral_keras.data.streamed import StreamedImages, check_sizes, streams

__all__ = ["is_class_folder", "load_folder"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
TEST_FOLDERS = ("test", "validation", "val")
TEST_SHARE = 0.2
# Bytes of an encoded image.
LARGEST_FILE = 1 << 28

# What systems leave in folders; hidden files and folders are none of the data either.
_LITTER = ("thumbs.db", "desktop.ini", "__macosx")


def is_class_folder(path: str | os.PathLike) -> bool:
    """Whether `path` holds class folders with images, with or without train/ and test/."""
    parts = (path, os.path.join(path, "train"))
    return any(
        any(map(_is_image, _files_below(folder)))
        for part in parts
        if os.path.isdir(part)
        for folder in _entries(part)[0]
    )


def load_folder(
    path: str | os.PathLike,
    limit: int | None = None,
    limit_test: int | None = None,
    image_size: tuple[int, int] | None = None,
    grayscale: bool = False,
    stream: bool | str = False,
    stream_above: int | None = None,
) -> dict[str, Any]:
    """Read every image below `path` as RGB (or grey), upright; class names are the folder names.

    Images in sub-folders of a class are images of that class. With train/ and test/ (or
    validation/, val/) these are the two sets; without, the fifth of every class whose relative
    path hashes lowest is the test set, so that the split does not depend on the machine, and
    adding a file moves few others. Symbolic links are followed. What is left out (files of other
    kinds, files beside the class folders), one `DataWarning` names; a class without any image that
    is read is an error, since all labels after it would be others.
    """
    path = os.path.expanduser(path)
    left_out = _LeftOutFiles(path)
    class_names, (train_files, y_train), (test_files, y_test), test_name = _parts(path, left_out)
    train_files, y_train = _limit(train_files, y_train, limit)
    test_files, y_test = _limit(test_files, y_test, limit_test)
    files = train_files + test_files
    stored = _Files(files, path, image_size, grayscale)
    shape = stored.decode(0).shape
    images = StreamedImages(stored, shape, np.arange(len(files)))
    streamed, how = streams(stream, stream_above, len(files), shape)
    if streamed and image_size is None:
        check_sizes(stored, len(files), shape)
    parts = [slice(len(train_files)), slice(len(train_files), None)]
    x_train, x_test = (
        images.subset(part) if streamed else np.asarray(images.subset(part)) for part in parts
    )
    source = {
        "kind": "folder",
        "path": os.path.abspath(path),  # as a relative one it says nothing elsewhere
        "test": test_name,
        "stream": how | {"format": "image", "shards": len(files)},
        **left_out.report(4),
    }
    return arrays.parts((x_train, y_train), (x_test, y_test), class_names, source)


def _parts(path, left_out):
    """(class names, (files, labels) for training, the same for the test, where that is from)."""
    train_path = os.path.join(path, "train")
    candidates = [os.path.join(path, part) for part in TEST_FOLDERS]
    test_path = next(filter(os.path.isdir, candidates), candidates[0])
    if os.path.isdir(train_path) or os.path.isdir(test_path):
        for part in (train_path, test_path):
            if not os.path.isdir(part):
                raise DataError(f"{part} does not exist: give both train/ and test/, or neither")
        folders, files = _entries(path)
        left_out.add("folders", (each for each in folders if each not in (train_path, test_path)))
        left_out.add("files outside the class folders", files)
        class_names, train_files, y_train = _classes(train_path, left_out)
        _check_number(train_path, class_names)
        test_names, test_files, y_test = _classes(test_path, left_out)
        unknown = sorted(set(test_names) - set(class_names))
        if unknown:
            raise DataError(f"{test_path} has the class {unknown[0]!r}, which {train_path} has not")
        if not test_files:
            raise DataError(f"{test_path} holds no images ({', '.join(SUFFIXES)})")
        y_test = np.array([class_names.index(name) for name in test_names], np.int32)[y_test]
        test_name = f"{os.path.basename(test_path)}/"
    else:
        class_names, files, labels = _classes(path, left_out)
        _check_number(path, class_names)
        train, test = _split_by_hash(files, labels, path)
        if len(test) == 0:
            raise DataError(
                f"{path} has too few images to split off a test set: give at least 3 of a class"
            )
        train_files, y_train = [files[i] for i in train], labels[train]
        test_files, y_test = [files[i] for i in test], labels[test]
        test_name = "a fifth of every class, by a hash of the path"
    return class_names, (train_files, y_train), (test_files, y_test), test_name


def _entries(path):
    """(folders, files) of a folder, sorted paths, without what is hidden."""
    folders, files = [], []
    for name in sorted(os.listdir(path)):
        if not name.startswith(".") and name.lower() not in _LITTER:
            entry = os.path.join(path, name)
            (folders if os.path.isdir(entry) else files).append(entry)
    return folders, files


def _files_below(folder: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """The files in a folder and its sub-folders; a link back up is not followed."""
    place = os.path.realpath(folder)
    if place in above:
        return
    folders, files = _entries(folder)
    yield from files
    for each in folders:
        yield from _files_below(each, (*above, place))


def _is_image(path):
    return path.lower().endswith(SUFFIXES)


def _classes(path, left_out):
    """(names of the class folders, image files, labels), in the order of the names."""
    names, files, labels, empty = [], [], [], []
    folders, beside = _entries(path)
    for folder in folders:
        found = sorted(_files_below(folder), key=lambda file: file.split(os.sep))
        images = list(filter(_is_image, found))
        others = [file for file in found if not _is_image(file)]
        if not images:
            empty.append((folder, others))
            continue
        left_out.add("files of kinds that are not read", others)
        labels += [len(names)] * len(images)
        names.append(os.path.basename(folder))
        files += images
    if names and empty:
        folder, others = empty[0]
        kinds = sorted({os.path.splitext(file)[1].lower() or "no suffix" for file in others})
        held = f"only files of other kinds ({', '.join(kinds)[:60]})" if others else "no files"
        raise DataError(
            f"the class folder {folder} holds {held}: expected images ({', '.join(SUFFIXES)}); "
            f"convert them, or remove the folder if it is no class"
        )
    left_out.add("files outside the class folders", beside)
    return names, files, np.asarray(labels, np.int32)


def _check_number(path, class_names):
    if len(class_names) < 2:
        raise DataError(
            f"{path} has {len(class_names)} class folder(s) with images: expected at least two, "
            f"one folder of {', '.join(SUFFIXES)} files for each class"
        )


class _LeftOutFiles(LeftOut):
    """Paths below a folder."""

    def add(self, reason, names):
        super().add(reason, (os.path.relpath(path, self._root) for path in names))


def _split_by_hash(files, labels, root):
    is_test = np.zeros(len(files), bool)
    keys = [_hash(os.path.relpath(file, root)) for file in files]
    for label in np.unique(labels):
        members = sorted(np.flatnonzero(labels == label), key=lambda index: keys[index])
        is_test[members[: int(TEST_SHARE * len(members) + 0.5)]] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _hash(relative_path):
    portable = relative_path.replace(os.sep, "/")
    return hashlib.sha256(portable.encode("utf-8", "surrogateescape")).digest()


def _limit(files, labels, limit):
    chosen = arrays.balanced_prefix(labels, limit)
    return [files[index] for index in chosen], labels[chosen]


class _Files:
    """What `StreamedImages` reads: image `index` is the file of that number."""

    shards: np.ndarray | None = None  # each image is a file of its own

    def __init__(self, files, root, size, grayscale):
        self.files = files
        self.name = root
        self._size = size
        self.resizes = size is not None
        self._mode = MODES[1 if grayscale else 3]

    def describe(self, index):
        return self.files[index]

    def decode(self, index):
        file = self.files[index]
        try:
            content = read_regular(file, limit=LARGEST_FILE)
            return decode(content, self._mode, self._size, upright=True)
        except DataError as error:
            raise DataError(f"the image {file} has {error}") from error
        except UnsafeFileError as error:
            raise DataError(f"the image {error}") from error
        except Exception as error:  # Pillow's decoders raise many types on damaged files
            raise DataError(
                f"the image {file} cannot be read ({describe_error(error)}): repair or remove it"
            ) from error
