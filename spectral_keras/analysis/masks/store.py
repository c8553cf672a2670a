"""`.npz` files that appear whole or not at all and hold no pickled objects."""

import hashlib
import io
import json
import os
import pathlib

import keras
import numpy as np

_KIND = "kind"
_STATE = "state"


def write(path, kind, arrays, state):
    """Write arrays and a JSON-plain dict under a temporary name, then move it."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    text = {_KIND: kind, _STATE: json.dumps(state)}
    packed = {name: np.frombuffer(value.encode(), np.uint8) for name, value in text.items()}
    with open(temporary, "wb") as file:
        np.savez(file, **packed, **{f"a_{name}": value for name, value in arrays.items()})
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read(path, kind):
    """(arrays, dict) of a file that `write` made.

    Raises:
        ValueError: if the file is damaged or is of another kind.
    """
    try:
        data = io.BytesIO(pathlib.Path(path).read_bytes())
        with np.load(data, allow_pickle=False) as stored:
            content = {name: stored[name] for name in stored.files}
        found = content.pop(_KIND).tobytes().decode()
        state = json.loads(content.pop(_STATE).tobytes().decode())
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file raises whatever its first bad byte leads to
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{path} cannot be read as {kind} ({reason}): delete it") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} cannot be read as {kind}: its state is no JSON object")
    if found != kind:
        raise ValueError(f"{path} holds {found}, not {kind}")
    return {name.removeprefix("a_"): value for name, value in content.items()}, state


def check_path(name, path, suffix=".npz"):
    """`path` as a `pathlib.Path`, or None."""
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)) or pathlib.Path(path).suffix != suffix:
        raise ValueError(f"`{name}` must be a path that ends in {suffix}. Received: {path!r}")
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(f"`{name}` must be a file. Received: the folder {path}")
    return path


def fingerprint(model, arrays, settings):
    """SHA-256 of a model's weights, of arrays and of a JSON-plain dict, as text."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    values = [keras.ops.convert_to_numpy(variable.value) for variable in model.variables]
    for array in [*values, *arrays]:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def pack(traces):
    """Rows of different length as (all in one array, their lengths)."""
    lengths = np.array([len(trace) for trace in traces], np.int64)
    return np.concatenate(traces) if len(traces) else np.zeros(0, "float32"), lengths


def unpack(values, lengths):
    """The rows of `pack`."""
    return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []
