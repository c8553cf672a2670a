"""A bound on the weights of a network while it is built: asked before there is one too many."""

import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator

import keras

from spectral_keras.data.streamed import available_memory

__all__ = ["fits_memory", "weights_within"]

_BYTES = 4  # of a weight
# No network of the zoo has a third of it, and each array takes its time.
_MOST_ARRAYS = 2000
_lock = threading.Lock()
_bounds = threading.local()
_users = 0


class _Bound:
    def __init__(self, limit, error, most_arrays):
        self.limit, self.error, self.most_arrays = limit, error, most_arrays
        self.count = self.arrays = 0

    def take(self, count):
        self.count += count
        self.arrays += 1
        if self.count > self.limit:
            raise self.error(self.count)
        if self.arrays > self.most_arrays:
            raise ValueError(f"the network has more than {self.most_arrays:,} arrays of weights")


@contextlib.contextmanager
def weights_within(
    limit: int, error: Callable[[int], Exception], arrays: int = _MOST_ARRAYS
) -> Iterator[None]:
    """Layers that are built here have at most `limit` numbers as their weights, together.

    Args:
        limit: number of weights.
        error: function of the number that would be reached, to the exception that is raised before
            the memory for it is taken.
        arrays: number of weights as Keras counts them, arrays; by default more than any network of
            the zoo has.

    Raises:
        ValueError: for more arrays, however small.

    Example:

    >>> import keras
    >>> from spectral_keras.models.weight_limit import weights_within
    >>> with weights_within(100, lambda count: ValueError(f"{count} weights")):
    ...     keras.layers.Dense(10).build((None, 10**9))
    Traceback (most recent call last):
    ValueError: 10000000000 weights
    """
    global _users
    own = getattr(_bounds, "of_thread", [])
    bound = _Bound(limit, error, arrays)
    with _lock:
        if not _users:
            _count_weights()
        _users += 1
    _bounds.of_thread = [*own, bound]
    try:
        yield
    finally:
        _bounds.of_thread = own
        with _lock:
            _users -= 1
            if not _users:
                keras.layers.Layer.add_weight = keras.layers.Layer.add_weight.__wrapped__


def _count_weights():
    """Keras asks nobody before it makes a weight."""
    add_weight = keras.layers.Layer.add_weight

    @functools.wraps(add_weight)
    def count_weight(layer, shape=None, *args, **kwargs):
        # A shape is an integer or a sequence of them.
        count = math.prod(shape) if isinstance(shape, (list, tuple)) else int(shape or 1)
        for bound in getattr(_bounds, "of_thread", ()):
            bound.take(count)
        return add_weight(layer, shape, *args, **kwargs)

    keras.layers.Layer.add_weight = count_weight


@contextlib.contextmanager
def fits_memory(copies: int, arrays: int = _MOST_ARRAYS) -> Iterator[None]:
    """Layers that are built here have weights of which the free memory holds `copies`.

    Raises:
        MemoryError: in one line, before the memory is taken.
    """
    memory = available_memory()
    if memory is None:
        yield
        return

    def error(count):
        size = f"{_BYTES * copies * count / 2**30:,.1f} GiB"
        return MemoryError(
            f"{count:,} weights and more need {size}, {memory / 2**30:,.1f} GiB are free"
        )

    with weights_within(memory // (_BYTES * copies), error, arrays):
        yield
