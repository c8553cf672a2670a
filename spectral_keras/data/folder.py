"""Folders of class folders of image files."""

import hashlib
import os

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.decode import MODES, decode, described
from spectral_keras.data.errors import DataError
from spectral_keras.data.streamed import StreamedImages, different_sizes, streams

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
TEST_FOLDERS = ("test", "validation", "val")
TEST_SHARE = 0.2


def is_class_folder(path):
    """Whether `path` holds class folders with images, with or without train/ and test/."""
    return os.path.isdir(path) and any(
        _class_names(part) for part in (path, os.path.join(path, "train")) if os.path.isdir(part)
    )


def load_folder(
    path,
    limit=None,
    limit_test=None,
    image_size=None,
    grayscale=False,
    stream=False,
    stream_above=None,
):
    """Read every image below `path` as RGB (or grey); class names are the folder names.

    With train/ and test/ (or validation/, val/) these are the two sets; without, the fifth
    of every class whose relative path hashes lowest is the test set, so that the split does
    not depend on the machine, and adding a file moves few others.
    """
    path = os.path.expanduser(path)
    train_path = os.path.join(path, "train")
    candidates = [os.path.join(path, part) for part in TEST_FOLDERS]
    test_path = next(filter(os.path.isdir, candidates), candidates[0])
    if os.path.isdir(train_path) or os.path.isdir(test_path):
        for part in (train_path, test_path):
            if not os.path.isdir(part):
                raise DataError(f"{part} does not exist: give both train/ and test/, or neither")
        class_names = _class_names(train_path)
        _check_classes(train_path, class_names)
        unknown = sorted(set(_class_names(test_path)) - set(class_names))
        if unknown:
            raise DataError(f"{test_path} has the class {unknown[0]!r}, which {train_path} has not")
        train_files, y_train = _files(train_path, class_names)
        test_files, y_test = _files(test_path, class_names)
        if not test_files:
            raise DataError(f"{test_path} holds no images ({', '.join(SUFFIXES)})")
        test_name = f"{os.path.basename(test_path)}/"
    else:
        class_names = _class_names(path)
        _check_classes(path, class_names)
        files, labels = _files(path, class_names)
        train, test = _split_by_hash(files, labels, path)
        if len(test) == 0:
            raise DataError(
                f"{path} has too few images to split off a test set: give at least 3 of a class"
            )
        train_files, y_train = [files[i] for i in train], labels[train]
        test_files, y_test = [files[i] for i in test], labels[test]
        test_name = "a fifth of every class, by a hash of the path"
    train_files, y_train = _limited(train_files, y_train, limit)
    test_files, y_test = _limited(test_files, y_test, limit_test)
    files = train_files + test_files
    source = _Files(files, path, image_size, grayscale)
    shape = source.decode(0).shape
    images = StreamedImages(source, shape, np.arange(len(files)))
    streamed, how = streams(stream, stream_above, len(files), shape)
    if streamed and image_size is None:
        source.check_some(shape)
    x_train, x_test = (
        images.subset(slice(len(train_files))),
        images.subset(slice(len(train_files), None)),
    )
    if not streamed:
        x_train, x_test = np.asarray(x_train), np.asarray(x_test)
    return {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
        "class_names": class_names,
        "source": {
            "kind": "folder",
            "path": path,
            "test": test_name,
            "stream": how | {"format": "image", "shards": len(files)},
        },
    }


def _class_names(path):
    """Sub-folders that hold at least one image."""
    names = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir() and not entry.name.startswith("."):
                names.extend([entry.name] * any(map(_is_image, os.listdir(entry.path))))
    return sorted(names)


def _is_image(name):
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _check_classes(path, class_names):
    if len(class_names) < 2:
        raise DataError(
            f"{path} has {len(class_names)} class folder(s) with images: expected at least two, "
            f"one folder of {', '.join(SUFFIXES)} files for each class"
        )


def _files(path, class_names):
    files, labels = [], []
    for label, class_name in enumerate(class_names):
        folder = os.path.join(path, class_name)
        if not os.path.isdir(folder):
            continue
        names = sorted(name for name in os.listdir(folder) if _is_image(name))
        files.extend(os.path.join(folder, name) for name in names)
        labels.extend([label] * len(names))
    return files, np.asarray(labels, np.int32)


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


def _limited(files, labels, limit):
    if limit is None or limit >= len(files):
        return files, labels
    chosen = arrays.balanced_prefix(labels, limit)
    return [files[index] for index in chosen], labels[chosen]


class _Files:
    """What `StreamedImages` reads: image `index` is the file of that number."""

    shards = None  # each image is a file of its own

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
        if os.path.exists(file) and not os.path.isfile(file):  # a pipe would be waited for
            raise DataError(f"the image {file} is not a file: remove it")
        try:
            return decode(file, self._mode, self._size)
        except DataError as error:
            raise DataError(f"the image {file} has {error}") from error
        except Exception as error:  # Pillow's decoders raise many types on damaged files
            raise DataError(
                f"the image {file} cannot be read ({described(error)}): repair or remove it"
            ) from error

    def check_some(self, shape, count=32):
        """Refuse different sizes before a training, as far as some of the images show them."""
        for index in np.unique(np.linspace(0, len(self.files) - 1, count).astype(int)):
            found = self.decode(index).shape
            if found != shape:
                raise different_sizes(self, index, found, shape)
