"""The order of the images in an epoch: a random permutation, or one that reads files in a row."""

import numpy as np
import numpy.typing as npt

__all__ = ["epoch_order"]

CYCLE = 16  # files that are read by turns


def epoch_order(
    count: int,
    rng: np.random.Generator,
    buffer: int | None = None,
    shards: npt.ArrayLike | None = None,
) -> np.ndarray:
    """The indices 0 to count - 1 in the order of one epoch, an int64 array.

    Without a buffer this is `rng.permutation(count)`. With one, the files are put into a random
    order, 16 of them are read by turns, each from front to back, and what this gives is shuffled:
    the image at place i gets the key i + u, u uniform in [0, buffer), and the keys are sorted. So
    an image moves by about `buffer / 2` places either way and always by less than `buffer`, as
    in a shuffle buffer; but nothing is held in memory for it, since only indices are shuffled.

    Args:
        count: number of images.
        rng: `numpy.random.Generator`.
        buffer: None, or a positive integer.
        shards: None, or an integer array [count]: the file of each image. Images of a file are
            read in the order of their indices.

    Example:

    >>> import numpy as np
    >>> order = epoch_order(1000, np.random.default_rng(0), buffer=10)
    >>> int(np.abs(order - np.arange(1000)).max()) < 10
    True
    """
    if buffer is None or buffer >= count:
        return rng.permutation(count)
    order = np.arange(count)
    if shards is not None:
        order = _interleave_files(np.asarray(shards), rng)
    return order[np.argsort(np.arange(count) + rng.uniform(0, buffer, count), kind="stable")]


def _interleave_files(shards, rng):
    """Files in random order, the images of 16 files by turns in the proportion of their number."""
    files, which, counts = np.unique(shards, return_inverse=True, return_counts=True)
    rank = rng.permutation(len(files))[which]
    by_file = np.argsort(which, kind="stable")
    place = np.empty(len(which))
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    place[by_file] = (np.arange(len(which)) - starts + 0.5) / np.repeat(counts, counts)
    return np.lexsort((rank, place, rank // CYCLE))
