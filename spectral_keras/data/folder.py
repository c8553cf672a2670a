"""Folders of class folders of image files."""

import hashlib
import os

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
TEST_FOLDERS = ("test", "validation", "val")
TEST_SHARE = 0.2


def is_class_folder(path):
    """Whether `path` holds class folders with images, with or without train/ and test/."""
    return os.path.isdir(path) and any(
        _class_names(part) for part in (path, os.path.join(path, "train")) if os.path.isdir(part)
    )


def load_folder(path, limit=None, limit_test=None, image_size=None, grayscale=False):
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
    x_train = _read_all(train_files, path, image_size, grayscale)
    x_test = _read_all(test_files, path, image_size, grayscale, x_train.shape[1:3])
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


def _read_all(files, root, image_size, grayscale, expected_size=None):
    """The images of `files`, resized to `image_size`, or as they are if all of one size."""
    images = None
    for index, file in enumerate(files):
        image = _read(file, image_size, grayscale)
        if images is None:
            expected_size = expected_size or image.shape[:2]
            images = arrays.allocate(len(files), (*expected_size, image.shape[-1]), root)
        if image.shape[:2] != expected_size:
            sizes = ["x".join(map(str, size)) for size in (image.shape[:2], expected_size)]
            raise DataError(
                f"the images of {root} have different sizes ({file} is {sizes[0]}, others are "
                f"{sizes[1]}): give image_size to resize them all"
            )
        images[index] = image
    return images


def _read(file, size, grayscale):
    from PIL import Image

    if os.path.exists(file) and not os.path.isfile(file):  # a pipe would be waited for
        raise DataError(f"the image {file} is not a file: remove it")
    try:
        with Image.open(file) as opened:
            if opened.mode[0] in "IF":
                raise DataError(f"the image {file} has more than 8 bits a channel: convert it")
            image = opened.convert("L" if grayscale else "RGB")
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise many types on damaged files
        raise DataError(
            f"the image {file} cannot be read ({type(error).__name__}): repair or remove it"
        ) from error
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.uint8)
    return pixels[..., np.newaxis] if grayscale else pixels
