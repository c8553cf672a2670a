"""Models in `.keras` files, which may come from anywhere; nothing in them is run as code.

Where a command takes such a file it takes a preset too: by its name, or its folder.
"""

import contextlib
import difflib
import io
import os
import pathlib
import re
import warnings
import zipfile

import keras
import numpy as np

from spectral_keras.data.files import open_regular, temporary_name
from spectral_keras.data.streamed import available_memory
from spectral_keras.experiments.command import CommandError, NotFiniteError
from spectral_keras.experiments.folder import read_json
from spectral_keras.models.preset import Preset
from spectral_keras.models.weight_limit import fits_memory

__all__ = ["find_preset", "load_any_model", "load_model", "no_model", "of_weights", "save_model"]

_LARGEST = 2**34
# Weights, in a network of anybody.
_MOST_ARRAYS = 2**20


def save_model(model: keras.Model, path: str | os.PathLike, *, keep: bool = False) -> None:
    """Save a Keras model under a temporary name and move it into place.

    Args:
        model: the model.
        path: the file.
        keep: leave a whole file of the same weights as it is: what was found out about them has
            its SHA-256, and a new file, which holds the time, has another.
    """
    path = pathlib.Path(path)
    temporary = temporary_name(path)
    try:
        model.save(temporary)
        if not (keep and _same_weights(temporary, path)):
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _same_weights(path, other):
    """Whether two `.keras` files, the second of anybody, are whole and hold the same arrays."""
    try:
        with contextlib.ExitStack() as stack:
            first, second = (_arrays(name, stack) for name in (path, other))
            return first.keys() == second.keys() and all(
                (array.shape, array.dtype) == (second[name].shape, second[name].dtype)
                and np.array_equal(array[()], second[name][()])
                for name, array in first.items()
            )
    except Exception:  # whatever the first bad byte leads to
        return False


def _arrays(path, stack):
    """The weights in a file, by name; they are open as long as the stack."""
    import h5py

    archive = zipfile.ZipFile(stack.enter_context(open_regular(path, limit=_LARGEST)))
    _check_unpacked(path, archive)
    if archive.testzip() is not None:
        raise ValueError("damaged")
    found = {}
    file = stack.enter_context(h5py.File(io.BytesIO(archive.read("model.weights.h5"))))
    file.visititems(lambda name, item: found.update({name: item}))
    arrays = {name: item for name, item in found.items() if isinstance(item, h5py.Dataset)}
    if any(array.external or array.is_virtual for array in arrays.values()):
        raise ValueError("arrays in other files")
    return arrays


def find_preset(name_or_folder: str | os.PathLike) -> Preset | None:
    """The `Preset` that a text names; None where it means something else: a file, a run's folder.

    Raises:
        CommandError: if it is a preset, but damaged.
    """
    from spectral_keras.models import preset, presets

    name, folder = os.fspath(name_or_folder), pathlib.Path(name_or_folder)
    if name not in presets():
        try:
            if read_json(folder / preset.CONFIG).get("what") != preset.WHAT:
                return None
        except CommandError:  # there is none, or it cannot be read: who wants a run says so
            return None
    try:
        return preset.Preset(name_or_folder)
    except ValueError as error:
        raise CommandError(str(error)) from error


def of_weights(error: Exception, text: str = "") -> CommandError:
    """The error of a command for what `spectral_keras.models.weights` says of weights."""
    from spectral_keras.models import weights

    kind = NotFiniteError if isinstance(error, weights.NotFiniteError) else CommandError
    return kind(f"{text}{error}")


def no_model(path: str | os.PathLike) -> CommandError:
    """The error of a path that is nothing; where it may have been meant as a preset, with names."""
    from spectral_keras.models import presets

    text = f"there is no model {path}"
    if os.path.basename(path) == str(path) and not str(path).endswith(".keras"):
        known = list(presets())
        near = difflib.get_close_matches(str(path), known, n=3, cutoff=0.4)
        text += f", neither a file, a folder nor a preset ({', '.join(near or known)})"
    return CommandError(text)


def load_model(path: str | os.PathLike) -> keras.Model:
    """`load_any_model`, of one input and one output.

    Raises:
        CommandError: as `load_any_model`, or if it has more of them or none.
    """

    model = load_any_model(path)
    ends = [len(getattr(model, name, None) or ()) for name in ("inputs", "outputs")]
    if not isinstance(model, keras.Model) or ends != [1, 1]:
        raise CommandError(f"{path} cannot be loaded: it is no model of one input and one output")
    return model


def load_any_model(path: str | os.PathLike) -> keras.Model:
    """What a `.keras` file holds.

    Raises:
        CommandError: if it is no file, damaged, holds code (a `Lambda` layer), needs classes of
            others, names a path outside itself, or has weights that are not finite.
    """

    # Their classes are registered with Keras.
    from spectral_keras import constraints, initializers, layers, training  # noqa: F401

    try:
        with open_regular(path, limit=_LARGEST) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            _check_unpacked(path, archive)
            damaged = archive.testzip()
        for name in names:
            if ".." in pathlib.PurePosixPath(name).parts or name.startswith(("/", "\\")):
                raise CommandError(f"{path} cannot be loaded: its member {name!r} is elsewhere")
        if damaged is not None:
            raise CommandError(f"{path} cannot be loaded: its member {damaged!r} is damaged")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with fits_memory(1, arrays=_MOST_ARRAYS):
                model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if any("freshly-initialized" in str(warning.message) for warning in caught):
            raise CommandError(f"{path} cannot be loaded: weights of it are missing")
    except CommandError:
        raise
    except Exception as error:  # whatever the first bad byte leads to
        raise CommandError(f"{path} cannot be loaded: {_reason(error)}") from error
    for weight in getattr(model, "weights", ()):
        values = keras.ops.convert_to_numpy(weight.value)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise NotFiniteError(
                f"{path} cannot be used: its weight {weight.path} is not finite (training diverged)"
            )
    return _without_names(model)


def _without_names(model):
    """A model of one input and one output, which may have names, as one from tensor to tensor."""
    ends = [getattr(model, name, None) for name in ("input", "output")]
    if not any(isinstance(end, (dict, list, tuple)) for end in ends):
        return model
    if (len(model.inputs), len(model.outputs)) != (1, 1):
        return model
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def _check_unpacked(path, archive):
    """A few bytes may unpack to more than there is memory."""
    unpacked, memory = sum(info.file_size for info in archive.infolist()), available_memory()
    if memory is not None and unpacked > memory:
        raise CommandError(
            f"{path} cannot be loaded: it unpacks to {unpacked / 2**30:,.1f} GiB, "
            f"{memory / 2**30:,.1f} GiB of memory are free"
        )


def _reason(error):
    """Why a file cannot be loaded, in a line."""
    reason = " ".join(f"{error or type(error).__name__}".split())
    custom = re.search(r"Could not locate \w+ '([^']+)'|Unknown layer: '?([\w.>]+)", reason)
    if custom:
        reason = (
            f"it needs the custom object {custom[1] or custom[2]!r}, which is neither Keras' "
            "nor this library's: save the model with registered layers only"
        )
    if "vocabulary" in reason and "outside" in reason:
        reason = (
            "it names a file of a vocabulary outside itself, which Keras' safe mode does not read"
        )
    elif "lambda" in reason.lower() and "safe" in reason:
        reason = (
            "it holds Python code (a Lambda layer), which Keras' safe mode does not run: save the "
            f"model without it ({reason})"
        )
    elif "safe_mode" in reason or "unsafe" in reason:
        reason = f"Keras' safe mode does not load it: {reason}"
    return reason[:300]
