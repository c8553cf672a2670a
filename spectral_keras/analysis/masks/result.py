"""What mask learning returns, in memory and as `.npz` files without pickled objects.

A file appears whole or not at all.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any

import keras
import numpy as np

from spectral_keras.data.files import open_regular, read_arrays, write_file
from spectral_keras.ops.validation import describe

__all__ = ["ImageMasks", "SetMasks", "check_path", "fingerprint", "pack", "read", "unpack", "write"]

_KIND = "kind"
_STATE = "state"
_LARGEST = 2**34


def write(path: str | os.PathLike, kind: str, arrays: dict[str, np.ndarray], state: dict) -> None:
    """Write arrays and a JSON-plain dict under a temporary name, then move it.

    A name that nobody can know before, and no link is followed: the folder may be anybody's.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {_KIND: kind, _STATE: json.dumps(state)}
    packed: Any = {name: np.frombuffer(value.encode(), np.uint8) for name, value in text.items()}
    named: Any = {f"a_{name}": value for name, value in arrays.items()}
    write_file(path, lambda file: np.savez(file, **packed, **named), durable=True)


def read(path: str | os.PathLike, kind: str) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays, dict) of a file that `write` made.

    Raises:
        ValueError: if the file is damaged or is of another kind.
    """
    try:
        with open_regular(path, limit=_LARGEST) as file:
            content = read_arrays(file)
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


def check_path(name: str, path: Any, suffix: str = ".npz") -> pathlib.Path | None:
    """`path` as a `pathlib.Path`, or None."""
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)) or pathlib.Path(path).suffix != suffix:
        raise ValueError(
            f"`{name}` must be a path that ends in {suffix}. Received: {describe(path)}"
        )
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(f"`{name}` must be a file. Received: the folder {path}")
    return path


def fingerprint(model: keras.Layer, arrays: list[np.ndarray], settings: dict) -> str:
    """SHA-256 of a model's weights, of arrays and of a JSON-plain dict, as text."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    values = [keras.ops.convert_to_numpy(variable.value) for variable in model.variables]
    for array in [*values, *arrays]:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def pack(traces: list) -> tuple[np.ndarray, np.ndarray]:
    """Rows of different length as (all in one array, their lengths)."""
    lengths = np.array([len(trace) for trace in traces], np.int64)
    return np.concatenate(traces) if len(traces) else np.zeros(0, "float32"), lengths


def unpack(values: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """The rows of `pack`."""
    return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []


class _Stored:
    """`save` and `load` of a dataclass of arrays, of None, of `history` and of `settings`."""

    _kind = ""

    def save(self, path):
        """Write a `.npz` file, whole or not at all.

        Args:
            path: must end in .npz.
        """
        path = check_path("path", path)
        arrays = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "history":
                for name, rows in value.items():
                    packed, lengths = pack([np.asarray(row) for row in rows])
                    arrays[f"history_{name}"], arrays[f"lengths_{name}"] = packed, lengths
            elif field.name != "settings" and value is not None:
                arrays[field.name] = np.asarray(value)
        write(path, self._kind, arrays, {"settings": self.settings})

    @classmethod
    def load(cls, path):
        """What `save` wrote.

        Raises:
            ValueError: if the file is damaged or is none of these.
        """
        arrays, state = read(check_path("path", path), cls._kind)
        history = {
            name.removeprefix("history_"): unpack(
                value, arrays[f"lengths_{name.removeprefix('history_')}"]
            )
            for name, value in arrays.items()
            if name.startswith("history_")
        }
        names = [field.name for field in dataclasses.fields(cls)]
        found = {name: arrays.get(name) for name in names if name not in ("history", "settings")}
        return cls(**found, history=history, settings=state["settings"])


@dataclasses.dataclass(kw_only=True)
class ImageMasks(_Stored):
    """Masks of N single images, in unshifted order (DC at [0, 0]).

    Attributes:
        masks: amplitude masks, float32 [N, H, W], or [N, H, W, C] where there is one for each
            channel; None with `modulate="phase"`.  As weights of a `FourierMask` layer.
        phase_masks: the same for phases, None with `modulate="amplitude"`.
        labels: int32 [N], the predictions of the unmasked images, which the masks were to preserve.
        steps: [N], how many steps each took.
        converged: bool [N], False for a mask that was stopped by the largest number of steps.
        kept: bool [N], whether the masked image has the label.
        objective, invariance, sparsity: float32 [N], of the masks.
        history: dict of name -> list of N arrays, one number for each step, with the names
            "objective", "invariance" and "sparsity".
        settings: JSON-plain dict of what they were learned with.
    """

    _kind = "Fourier masks of single images"

    masks: np.ndarray | None
    phase_masks: np.ndarray | None
    labels: np.ndarray
    steps: np.ndarray
    converged: np.ndarray
    kept: np.ndarray
    objective: np.ndarray
    invariance: np.ndarray
    sparsity: np.ndarray
    history: dict
    settings: dict


@dataclasses.dataclass(kw_only=True)
class SetMasks(_Stored):
    """Masks of sets of images, one for all or one for each class, in unshifted order.

    Attributes:
        masks: amplitude masks, float32 [G, H, W], or [G, H, W, C] where there is one for each
            channel; None with `modulate="phase"`.  Each is the mask at the end of the last epoch
            whose accuracy was high enough.
        phase_masks: the same for phases, None with `modulate="amplitude"`.
        classes: int [G], the class that each mask is of, or -1 for all.
        epoch: int [G], the epoch that the mask is of; 0 for the mask of ones it started from.
        converged: bool [G], False for a mask that was stopped by the number of epochs.
        accuracy: float [G], of the masked images.
        unmasked_accuracy: float [G], of the images as they are.
        sparsity: float32 [G].
        history: dict of name -> list of G arrays, one number for each epoch: "objective" and
            "invariance", means over the epoch's steps, and at its end "sparsity" and "accuracy".
        settings: JSON-plain dict of what they were learned with.
    """

    _kind = "Fourier masks of sets of images"

    masks: np.ndarray | None
    phase_masks: np.ndarray | None
    classes: np.ndarray
    epoch: np.ndarray
    converged: np.ndarray
    accuracy: np.ndarray
    unmasked_accuracy: np.ndarray
    sparsity: np.ndarray
    history: dict
    settings: dict
