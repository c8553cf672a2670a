"""Checkpoints of a training run: everything that the next step depends on, checksummed.

A checkpoint holds the model's variables (with the state of its random layers), the optimizer's
variables (with its step count and loss scale) and a JSON-plain dict of whatever else the caller
needs: epoch, history, best score, the counters of callbacks.  Restoring it and continuing gives,
bit for bit, what the uninterrupted run gives, provided that the data of a step depend on
(seed, epoch, index) only.

On PyTorch a `Dropout` without a seed draws from PyTorch's own generator, which is no part of the
model: give it a seed.

A file is written under a temporary name and moved, begins with the SHA-256 of its content, and
holds no pickled objects.  The newest `keep` files stay, so that a damaged one costs one epoch.
"""

import hashlib
import io
import json
import os
import pathlib
from typing import Any

import keras
import numpy as np

from spectral_keras.data.errors import in_a_line
from spectral_keras.data.files import open_regular, read_arrays, write_file
from spectral_keras.data.streamed import available_memory

__all__ = [
    "CheckpointError",
    "checkpoint_files",
    "newest_checkpoint",
    "read_checkpoint",
    "restore_checkpoint",
    "save_checkpoint",
]

_MAGIC = b"spectral_keras checkpoint 1 "
_STATE = "state.json"


class CheckpointError(ValueError):
    """A checkpoint file that is damaged or belongs to another model."""


def _variables(model, optimizer):
    """(key, variable) of all that must survive, in a fixed order.

    The keys do without the names of variables, which may differ between two builds of a model.
    """
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    kept = [variable for variable in model.variables if id(variable) not in metrics]
    for index, variable in enumerate(kept):
        yield f"model/{index:05d}", variable
    for index, variable in enumerate(optimizer.variables if optimizer is not None else ()):
        yield f"optimizer/{index:05d}", variable


def save_checkpoint(
    folder: str | os.PathLike,
    step: int,
    model: keras.Layer,
    state: dict,
    *,
    arrays: dict[str, np.ndarray] | None = None,
    keep: int = 2,
) -> pathlib.Path:
    """Write checkpoint number `step` into `folder` and drop the older ones.

    Args:
        folder: directory, created if needed.
        step: non-negative integer that grows (the number of finished epochs).
        model: a compiled, built Keras model.
        state: JSON-plain dict.
        arrays: further arrays, dict of name -> numpy array.
        keep: how many of the newest checkpoints stay.

    Returns:
        The path of the file.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        key: keras.ops.convert_to_numpy(variable)
        for key, variable in _variables(model, model.optimizer)
    }
    content |= {f"array/{name}": np.asarray(value) for name, value in (arrays or {}).items()}
    content[_STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    payload = buffer.getvalue()
    path = folder / f"epoch-{step:06d}.ckpt"
    head = _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    write_file(path, lambda file: file.writelines((head, payload)), durable=True)
    left = folder.glob(".epoch-*.tmp*")  # by processes that were killed here
    for old in (*checkpoint_files(folder)[keep:], *left):
        old.unlink(missing_ok=True)
    return path


def checkpoint_files(folder: str | os.PathLike) -> list[pathlib.Path]:
    """The checkpoint files of a folder, newest first."""
    return sorted(pathlib.Path(folder).glob("epoch-*.ckpt"), reverse=True)


def read_checkpoint(path: str | os.PathLike) -> tuple[dict, dict]:
    """(state, content) of a checkpoint file.

    Raises:
        CheckpointError: if the file is not a checkpoint, is truncated or was changed.
    """
    try:
        with open_regular(path, limit=available_memory()) as file:
            data = file.read()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    head, _, payload = data.partition(b"\n")
    if not head.startswith(_MAGIC):
        raise CheckpointError(f"{path} is not a checkpoint of spectral_keras")
    if hashlib.sha256(payload).hexdigest().encode() != head[len(_MAGIC) :]:
        raise CheckpointError(f"{path} is damaged: its checksum does not match")
    try:
        content = read_arrays(io.BytesIO(payload))
        state = json.loads(content.pop(_STATE).tobytes().decode())
    except Exception as error:  # made by somebody else: the checksum is no signature
        raise CheckpointError(f"{path} cannot be read ({in_a_line(error)})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} cannot be read: its state is no JSON object")
    return state, content


def newest_checkpoint(folder: str | os.PathLike) -> tuple[dict | None, dict | None, list[str]]:
    """The newest checkpoint that can be read.

    Returns:
        (state, content, damaged): state and content are None if there is none; `damaged` lists
        the messages of the newer files that could not be used.
    """
    damaged = []
    for path in checkpoint_files(folder):
        try:
            state, content = read_checkpoint(path)
        except CheckpointError as error:
            damaged.append(str(error))
            continue
        return state, content, damaged
    return None, None, damaged


def restore_checkpoint(model: keras.Model, content: Any) -> dict[str, np.ndarray]:
    """Put the content of `read_checkpoint` back into a compiled, built model.

    Returns:
        The further arrays that were saved, dict of name -> numpy array.

    Raises:
        CheckpointError: if the model or its optimizer has other variables.
    """
    model.optimizer.build(model.trainable_variables)
    variables = dict(_variables(model, model.optimizer))
    stored = {name for name in content if not name.startswith("array/")}
    if stored != variables.keys():
        raise CheckpointError("the checkpoint belongs to another model or optimizer")
    for key, variable in variables.items():
        value, label = content[key], f"{key}/{variable.path}"
        if tuple(value.shape) != tuple(variable.shape):
            raise CheckpointError(
                f"the checkpoint belongs to another model: {label} has shape "
                f"{tuple(variable.shape)}, the checkpoint {tuple(value.shape)}"
            )
        if value.dtype.kind in "USMm":
            raise CheckpointError(f"the checkpoint holds {value.dtype} for {label}: not numbers")
        variable.assign(value)
    return {
        name.removeprefix("array/"): value
        for name, value in content.items()
        if name.startswith("array/")
    }
