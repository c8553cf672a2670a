"""A bound on the memory that a batch takes in a network, asked before anything runs."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import keras

from spectral_keras.data.streamed import available_memory
from spectral_keras.precision import has_accelerator

__all__ = ["check_batch", "least_bytes"]

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def least_bytes(model: keras.Model, batch_size: int, *, training: bool = False) -> int:
    """Bytes of maps that are in memory together at some moment, at least.

    A layer with a kernel reads its input while it writes its output.  In training the inputs of all
    such layers stay until the gradients of the kernels are computed.  What normalisations, FFTs
    and gradients take beside them is not counted.

    Args:
        model: a functional or sequential model; of any other only 0 is known.
        batch_size: images.
        training: whether weights are trained.

    Returns:
        The number, an integer; unknown sizes count as 1.

    Example:

    >>> import keras
    >>> from spectral_keras.models.activation_limit import least_bytes
    >>> layer = keras.layers.Conv2D(4, 3, padding="same")
    >>> least_bytes(keras.Sequential([keras.Input((8, 8, 1)), layer]), 10)  # 64 and 256 floats
    12800
    """
    largest = 0
    kept: dict[int, int] = {}
    for operation, inputs, outputs in _calls(model):
        width = _BYTES.get(getattr(operation, "compute_dtype", ""), 4)
        read, written = (
            [width * math.prod(n or 1 for n in tensor.shape[1:]) for tensor in tensors]
            for tensors in (inputs, outputs)
        )
        if any(len(w.shape) > 1 for w in getattr(operation, "weights", ())):
            largest = max(largest, sum(read) + sum(written))
            if getattr(operation, "trainable", False):
                kept |= {id(tensor): size for tensor, size in zip(inputs, read, strict=True)}
        else:  # it may work in place
            largest = max([largest, *read, *written])
    return batch_size * max(largest, sum(kept.values()) if training else 0)


def _calls(model: Any) -> Iterator[tuple[Any, list, list]]:
    """(operation, inputs, outputs) of the graph of a model and of the models in it."""
    graph = getattr(model, "_functional", None) or model
    depths = getattr(graph, "_nodes_by_depth", {})
    for node in itertools.chain.from_iterable(depths.values()):
        if isinstance(node.operation, keras.Model):
            yield from _calls(node.operation)
        else:
            yield node.operation, node.input_tensors, node.output_tensors


def check_batch(model: keras.Model, batch_size: int, *, training: bool = False) -> None:
    """Refuse a batch whose maps the free memory does not hold.

    On a GPU or TPU the backend itself says so; without one the system ends the process.

    Args:
        model, batch_size, training: as of `least_bytes`.

    Raises:
        MemoryError: in one line.
    """
    memory = available_memory()
    if memory is None or has_accelerator():
        return
    needed = least_bytes(model, batch_size, training=training)
    if needed > memory:
        raise MemoryError(
            f"the maps of {batch_size:,} images need {needed / 2**30:,.1f} GiB and more, "
            f"{memory / 2**30:,.1f} GiB are free"
        )
