"""Weights of a network as a file of named arrays, for presets.

An `.npz` without pickles whose members are stored uncompressed, "layer/weight" each, in float16
where they are floats.  Keras' own `.weights.h5` names its members by the classes of the layers in
their order, so that a file is lost when a layer's class changes, and needs a group of HDF5 for
every layer.  The names here are the same on all backends and in any order of layers.  The same
weights give the same bytes, whatever wrote them: a SHA-256 says which weights they are.
"""

import hashlib
import io
import math
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from spectral_keras.data.files import read_regular

__all__ = ["NotFiniteError", "assign_weights", "named_weights", "pack_weights", "read_weights"]


class NotFiniteError(ValueError):
    """Weights that are not finite; the message is one line that names the first of them."""


# No network that this library builds has a larger file.
_LARGEST = 2**31


def named_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a model by layer and name, such as "conv1/kernel".

    Example:

    >>> from spectral_keras import models
    >>> from spectral_keras.models.weights import named_weights
    >>> arrays = named_weights(models.build("resnet18", width=0.1))
    >>> list(arrays)[:2], arrays["stem_conv/kernel"].shape
    (['stem_conv/kernel', 'stem_bn/gamma'], (3, 3, 3, 6))
    """
    variables = _variables(model)
    return {name: keras.ops.convert_to_numpy(weight.value) for name, weight in variables.items()}


def _variables(model):
    """The variables by their paths below the model, in whatever scope it was built."""
    return {
        weight.path[weight.path.find(f"{layer.name}/") :]: weight
        for layer in model.layers
        for weight in layer.weights
    }


def pack_weights(arrays: Mapping[str, np.ndarray], dtype: str = "float16") -> bytes:
    """The bytes of a file with these arrays, floats of them in `dtype`.

    Raises:
        ValueError: if a weight is not finite, or is too large for `dtype`.
    """
    packed = {}
    for name, array in arrays.items():
        array = np.asarray(array)
        if np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16":
            with np.errstate(over="ignore"):
                values = array.astype("float64").astype(dtype)
            if not np.isfinite(values).all():
                reason = f"is not finite in {dtype}"
                largest = np.abs(array.astype("float64")).max()
                raise ValueError(f"the weight {name} {reason}: its largest value is {largest:g}")
            array = values
        packed[name] = array
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **packed)
    return file.getvalue()


def read_weights(
    path: str | os.PathLike, sha256: str, *, inside: str | os.PathLike | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a file that `pack_weights` made, read only if its SHA-256 is the given one.

    Raises:
        ValueError: if the file is another one, damaged, or holds a number that is not finite.
        OSError: if it cannot be read, or leads out of the folder `inside`.
    """
    content = read_regular(path, inside=inside, limit=_LARGEST)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path} is not the file that its config.json names: its SHA-256 is {found[:12]}..., "
            f"not {str(sha256)[:12]}..."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = {info.filename[:-4]: _array(archive, info) for info in archive.infolist()}
    except Exception as error:  # whatever the first bad byte leads to
        raise ValueError(f"{path} is no file of weights: {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{path} is no file of weights: {name} holds other than numbers")
        if not np.isfinite(array).all():
            raise NotFiniteError(f"{path} cannot be used: its weight {name} is not finite")
    return arrays


def _array(archive, info):
    """An array of an .npz file, no larger than its bytes are, whatever its header says."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed")  # it could unpack to any size
    if not info.filename.endswith(".npy"):
        raise ValueError(f"{info.filename} is no array")
    with archive.open(info) as file:
        np.lib.format.read_magic(file)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        values = file.read()
    if dtype.hasobject or len(values) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{info.filename} has other values than its header says")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if by_columns else "C")


def assign_weights(
    model: keras.Model,
    arrays: Mapping[str, np.ndarray],
    classes: tuple[int, int] | None = None,
) -> list[str]:
    """Give a model the weights of the same names, and leave a head of other classes as it is.

    Args:
        model: built; its weights take the arrays' values in their own dtype.
        arrays: by the names that `named_weights` gives.
        classes: numbers of classes of the arrays and of the model.  Where they differ, a weight
            whose shape differs by just that belongs to the head and keeps its value.

    Returns:
        Names of the weights of the head that kept their values.

    Raises:
        ValueError: naming the first weight that is missing, left over, of another shape or too
            large for its dtype; the model is as before then.
    """
    weights = _variables(model)
    for names, others, text in (
        (weights, arrays, "lack {} of the network"),
        (arrays, weights, "have {}, which the network lacks"),
    ):
        odd = [name for name in names if name not in others]
        if odd:
            more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
            raise ValueError(f"the weights {text.format(odd[0] + more)}: they are of another one")
    fresh, values = [], {}
    for name, weight in weights.items():
        have, want = tuple(arrays[name].shape), tuple(weight.shape)
        if have == want:
            values[name] = _convert(name, arrays[name], weight)
            continue
        if not _of_classes(have, want, classes):
            raise ValueError(
                f"the weight {name} has the shape {have}, but in this network it is {want}: other "
                "options of the network, or another size or number of channels of the images"
            )
        fresh.append(name)
    for name, value in values.items():
        weights[name].assign(value)
    return fresh


def _convert(name: str, array: Any, weight: Any) -> np.ndarray:
    """The array in the dtype of a weight, where NumPy has none of it (bfloat16) in float32."""
    dtype = weight.dtype if weight.dtype != "bfloat16" else "float32"
    with np.errstate(over="ignore"):
        value = np.asarray(array).astype(dtype)
    if not np.isfinite(value).all():
        raise NotFiniteError(f"the weight {name} is not finite in {dtype}")
    return value


def _of_classes(have: tuple, want: tuple, classes: Any) -> bool:
    """Whether two shapes differ in the number of classes alone."""
    if classes is None or len(have) != len(want):
        return False
    return [pair for pair in zip(have, want, strict=True) if pair[0] != pair[1]] == [classes]
