"""Folders of class folders of image files."""

import hashlib
import os

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
TEST_SHARE = 0.2


def is_class_folder(path):
    """Whether `path` holds class folders with images, with or without train/ and test/."""
    return os.path.isdir(path) and any(
        _class_names(part) for part in (path, os.path.join(path, "train")) if os.path.isdir(part)
    )


def load_folder(path, limit=None, limit_test=None, image_size=None, grayscale=False):
    """Read every image below `path` as RGB (or grey); class names are the folder names.

    With train/ and test/ these are the two sets; without, the fifth of every class
    whose relative path hashes lowest is the test set, so that the split does not depend
    on the machine, and adding a file moves few others.
    """
    path = os.path.expanduser(path)
    train_path, test_path = os.path.join(path, "train"), os.path.join(path, "test")
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
        test_name = "test/"
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
    shape = None if image_size is None else tuple(image_size)
    x_train, shape = _read_all(train_files, shape, grayscale, path)
    x_test, _ = _read_all(test_files, shape, grayscale, path, resize=image_size is not None)
    return {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
        "class_names": class_names,
        "source": {"kind": "folder", "path": path, "test": test_name},
    }


def _class_names(path):
    """Sub-folders that hold at least one image."""
    names = []
    for entry in os.scandir(path):
        if entry.is_dir() and not entry.name.startswith("."):
            if any(_is_image(name) for name in os.listdir(entry.path)):
                names.append(entry.name)
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
    return hashlib.sha256(relative_path.replace(os.sep, "/").encode("utf-8", "surrogateescape")).digest()


def _limited(files, labels, limit):
    if limit is None or limit >= len(files):
        return files, labels
    chosen = arrays.balanced_prefix(labels, limit)
    return [files[index] for index in chosen], labels[chosen]


def _read_all(files, size, grayscale, root, resize=True):
    """(images, (height, width)): resized to `size`, or all of one size."""
    images = None
    for index, file in enumerate(files):
        image = _read(file, size if resize else None, grayscale)
        if images is None:
            size = size or image.shape[:2]
            images = arrays.allocate(len(files), (*size, image.shape[-1]), root)
        if image.shape[:2] != tuple(size):
            raise DataError(
                f"the images of {root} have different sizes ({file} is {image.shape[0]}x"
                f"{image.shape[1]}, others are {size[0]}x{size[1]}): give image_size to resize them"
            )
        images[index] = image
    return images, size


def _read(file, size, grayscale):
    from PIL import Image

    try:
        with Image.open(file) as opened:
            image = opened.convert("L" if grayscale else "RGB")
    except Exception as error:  # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error, ...
        raise DataError(
            f"the image {file} cannot be read ({type(error).__name__}): repair or remove it"
        ) from error
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.uint8)
    return pixels[..., np.newaxis] if grayscale else pixels
