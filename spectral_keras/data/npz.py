"""Data sets in a NumPy archive with x_train, y_train, x_test and y_test."""

import os
from typing import Any

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError
from spectral_keras.data.files import UnsafeFileError, open_regular
from spectral_keras.data.left_out import LeftOut

__all__ = ["load_npz"]

KEYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: str | os.PathLike) -> dict[str, Any]:
    """Read and check `path`; `class_names` in the archive names the classes (optional).

    One `DataWarning` says which arrays, of other names, are left out.
    """
    path = os.path.expanduser(path)
    stored, others = _read(path)
    left_out = LeftOut(path)
    left_out.add("arrays of other names", others)
    x_train = arrays.check_images(stored["x_train"], f"x_train of {path}")
    x_test = arrays.check_images(stored["x_test"], f"x_test of {path}")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataError(
            f"{path}: training images have shape {x_train.shape[1:]} and test images "
            f"{x_test.shape[1:]}: make them equal"
        )
    class_names = stored.get("class_names")
    if class_names is not None:
        if class_names.ndim != 1 or class_names.dtype.kind not in "US":
            raise DataError(f"class_names of {path} must be a one-dimensional array of strings")
        if class_names.dtype.kind == "S":
            class_names = np.char.decode(class_names, "utf-8", "replace")
        class_names = [str(name) for name in class_names]
    num_classes = None if class_names is None else len(class_names)
    y_train = arrays.check_labels(
        stored["y_train"], len(x_train), f"y_train of {path}", num_classes
    )
    y_test = arrays.check_labels(stored["y_test"], len(x_test), f"y_test of {path}", num_classes)
    if class_names is None:
        classes = np.unique(y_train)
        if classes[-1] != len(classes) - 1:
            raise DataError(
                f"y_train of {path} holds {len(classes)} different labels from {classes[0]} to "
                f"{classes[-1]}: number the classes 0 to {len(classes) - 1}, or store class_names"
            )
        y_test = arrays.check_labels(y_test, len(x_test), f"y_test of {path}", len(classes))
        class_names = [str(label) for label in range(len(classes))]
    source = {
        "kind": "npz",
        "path": os.path.abspath(path),
        "bytes": os.path.getsize(path),
        **left_out.report(4),
    }
    return arrays.parts((x_train, y_train), (x_test, y_test), class_names, source)


def _read(path):
    """(the arrays of the archive, the names of those not read); nothing in it is executed."""
    how = "write it with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)"
    try:
        # NumPy leaves a file open that it cannot read: opened and closed here.
        with open_regular(path) as file:
            if file.read(6) == b"\x93NUMPY":
                raise DataError(f"{path} holds a single array and is no .npz archive: {how}")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                found = ", ".join(archive.files) or "nothing"
                raise DataError(f"{path} lacks {', '.join(missing)} (it has {found[:200]}): {how}")
            wanted = [key for key in (*KEYS, "class_names") if key in archive.files]
            # A small file may unpack to any size, but says to which.
            sizes = {
                info.filename.removesuffix(".npy"): info.file_size
                for info in archive.zip.infolist()
            }
            needed = sum(sizes[key] for key in wanted)
            arrays.check_fits(needed, f"the arrays of {path}", "fewer or smaller images")
            others = [key for key in archive.files if key not in wanted]
            return {key: archive[key] for key in wanted}, others
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(
            f"no such file: {path}: give the path of an existing .npz file, or as data_dir "
            "(--data-dir) the folder that it was moved to"
        ) from error
    except UnsafeFileError as error:
        raise DataError(str(error)) from error
    except MemoryError as error:
        raise DataError(
            f"{path} does not fit into memory: store fewer or smaller images"
        ) from error
    except Exception as error:  # a damaged archive raises whatever its first bad byte leads to
        if "pickle" in str(error):
            raise DataError(
                f"{path} holds pickled objects or is no .npz archive, and is not read for safety: "
                f"{how}, arrays of numbers only"
            ) from error
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise DataError(f"{path} cannot be read ({reason}): {how}") from error
