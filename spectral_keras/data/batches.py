"""Batches of images for `model.fit`, each a function of (seed, epoch, index) alone."""

import collections
import concurrent.futures
import inspect
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from spectral_keras.data.arrays import as_floats
from spectral_keras.data.shuffling import epoch_order
from spectral_keras.data.streamed import StreamedImages
from spectral_keras.ops.validation import check_bool, check_positive_int

__all__ = ["AHEAD", "Batches"]

# An augmentation; see `Batches`.
Augmentation = Callable[..., np.ndarray]
# The indices of a part of a batch, of its number of images.
Rows = Callable[[int], np.ndarray]

# Batches of a stream that wait for their use.
AHEAD = 2


class Batches(keras.utils.PyDataset):
    """Batches of float32 images in [0, 1] and int32 labels, shuffled and augmented.

    Batch `index` of epoch `epoch` is images `order[index * batch_size :][:batch_size]` with
    `order = numpy.random.default_rng([seed, epoch]).permutation(N)`, augmented with
    `numpy.random.default_rng([seed, epoch, index, 1])`. Nothing else enters, neither earlier
    batches nor the number of threads, so a resumed training sees what the uninterrupted one
    would have seen. With a `shuffle_buffer` the order is that of
    `spectral_keras.data.shuffling.epoch_order`.

    Set `epoch` before each epoch, in `on_epoch_begin` of a callback: `fit` draws its first
    batch of an epoch after the callbacks. Call `fit(..., shuffle=False)`: its default would
    take the batches in an order from Python's global generator.

    Threads of this class compute the next batches while the current one is used. They stand
    in for the queue of `keras.utils.PyDataset` (which is not used, whatever `workers`),
    because that queue hands batches left over from one epoch to the next. Here a
    batch is only ever taken for the epoch that it was computed for.

    Streamed images are decoded by `workers` threads together, a batch at a time: besides the
    batch in use there are at most `AHEAD` = 2 finished ones and 2 in work, so the memory needed
    is 5 batches of float32 and 2 of uint8, however large the set is and however many threads
    there are. Images stored with at most 64 x 64 pixels are decoded by one thread: more would
    only wait for the interpreter's lock.

    Args:
        images: array of shape `[N, height, width, channels]`, uint8 in [0, 255] or floats in
            [0, 1]; or `StreamedImages`, which are uint8.
        labels: integer array of shape `[N]`.
        batch_size: positive integer.
        shuffle: True for a new order at each epoch.
        augment: None, or a callable `(images, rng) -> images` on float32 images in [0, 1],
            such as `spectral_keras.augmentation.image.build_augmentation` returns. It is
            called from several threads, may change its argument, and gets that as `out` too
            if it has such a parameter. With a parameter `part` it is called with the images of
            this process alone (see `batch`), else with the whole batch. A parameter `which`
            gets (seed, epoch, numbers of these images in the set).
        seed: integer of at least 0.
        drop_remainder: True leaves out a last batch smaller than `batch_size`.
        workers: threads that compute ahead; 0 computes each batch when it is asked for.
        shuffle_buffer: None shuffles over the whole set. An integer K shuffles the files of a
            streamed set and within about K neighbouring images, so that files on a slow disk are
            read from front to back. Images that are files of their own (a folder), and arrays,
            are one such file in stored order.

    Attributes:
        epoch: the epoch whose batches are given out, from 0.
        error: the last error of a batch, also of one computed ahead, or None: what `fit` raises
            does not always show it.

    Example:

    >>> import numpy as np
    >>> images = np.zeros((10, 8, 8, 3), np.uint8)
    >>> batches = Batches(images, np.arange(10) % 2, 4, shuffle=True, seed=1)
    >>> len(batches)
    3
    >>> batches.epoch = 5
    >>> x, y = batches[2]
    >>> x.shape, x.dtype, y.shape, y.dtype
    ((2, 8, 8, 3), dtype('float32'), (2,), dtype('int32'))
    """

    def __init__(
        self,
        images: npt.ArrayLike | StreamedImages,
        labels: npt.ArrayLike,
        batch_size: int,
        *,
        shuffle: bool = False,
        augment: Augmentation | None = None,
        seed: int = 0,
        drop_remainder: bool = False,
        workers: int = 1,
        shuffle_buffer: int | None = None,
    ):
        super().__init__(workers=1, use_multiprocessing=False)
        self.streamed = isinstance(images, StreamedImages)
        self.images = images if isinstance(images, StreamedImages) else np.asarray(images)
        self.labels = np.asarray(labels)
        _check_arrays(self.images, self.labels)
        if augment is not None and not callable(augment):
            raise ValueError(f"`augment` must be None or callable. Received: augment={augment!r}")
        self.labels = self.labels.astype(np.int32)
        self.batch_size = check_positive_int("batch_size", batch_size)
        self.shuffle = check_bool("shuffle", shuffle)
        self.augment = augment
        self._augment_takes_out = augment is not None and _has_parameter(augment, "out")
        self._augment_takes_part = augment is None or _has_parameter(augment, "part")
        self._augment_takes_which = augment is not None and _has_parameter(augment, "which")
        self.seed = check_positive_int("seed", seed, minimum=0)
        self.drop_remainder = check_bool("drop_remainder", drop_remainder)
        self.threads = check_positive_int("workers", workers, minimum=0)
        if shuffle_buffer is not None:
            shuffle_buffer = check_positive_int("shuffle_buffer", shuffle_buffer)
        self.shuffle_buffer = shuffle_buffer
        self.epoch = 0
        self.error: Exception | None = None
        if len(self) == 0:
            raise ValueError(
                f"`images` must fill at least one batch of {batch_size}. "
                f"Received: {len(self.images)} images, drop_remainder={drop_remainder}"
            )
        self._order = (None, None)
        self._lock = threading.Lock()
        self._executor: Any = None
        self._decoders: Any = None
        # Arrays: each thread makes a batch.  Streams: the threads share one, and two more put
        # together what they decode, so that one batch is augmented while the next is decoded.
        self._number_ahead = AHEAD if self.streamed else 2 * self.threads
        self._ahead: dict[tuple, concurrent.futures.Future] = {}  # (epoch, index, rows) -> future
        self._last: tuple[int, int] | None = None

    def __len__(self) -> int:
        full, rest = divmod(len(self.images), self.batch_size)
        return full + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index):
        return self.get(index)

    def get(self, index: int, rows: Rows | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`self[index]`: a batch of the current epoch; the next ones are computed ahead.

        Args:
            index: number of the batch.
            rows: as of `batch`, the same function each time.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"batch index {index} out of range for {len(self)} batches")
        epoch = self.epoch
        if self.threads == 0:
            return self.batch(epoch, index, rows)
        with self._lock:
            # Look ahead only where the batches are taken in order: `fit` also peeks at the
            # first two for their shapes, and anyone may look at a single one.
            in_order = index == 0 or self._last == (epoch, index - 1)
            self._last = (epoch, index)
            future = self._ahead.pop((epoch, index, rows), None)
            stop = min(index + 1 + self._number_ahead, len(self)) if in_order else index + 1
            wanted = [(epoch, number, rows) for number in range(index + 1, stop)]
            for key in [key for key in self._ahead if key not in wanted]:
                self._ahead.pop(key).cancel()
            if self._executor is None:
                self._start_threads()
            for key in wanted:
                if key not in self._ahead:
                    self._ahead[key] = self._executor.submit(self.batch, *key)
        return self.batch(epoch, index, rows) if future is None else future.result()

    def endless(
        self, first_epoch: int = 0, rows: Rows | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches of all epochs in order, without end, the next ones computed ahead.

        Args:
            first_epoch: the epoch to begin with; `epoch` is not looked at.
            rows: as of `batch`.
        """
        epochs = itertools.count(first_epoch)
        keys = ((epoch, index, rows) for epoch in epochs for index in range(len(self)))
        if self.threads == 0:
            yield from itertools.starmap(self.batch, keys)  # never ends
        with self._lock:
            if self._executor is None:
                self._start_threads()
        ahead: collections.deque[concurrent.futures.Future] = collections.deque()
        while True:
            while len(ahead) <= self._number_ahead:
                ahead.append(self._executor.submit(self.batch, *next(keys)))
            yield ahead.popleft().result()

    def size(self, index: int) -> int:
        """Number of images of a batch."""
        return min(self.batch_size, len(self.images) - index * self.batch_size)

    def batch(
        self, epoch: int, index: int, rows: Rows | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(images, labels) of a batch of any epoch, or a part of them.

        Args:
            epoch, index: which batch.
            rows: None, or a function of the number of images of the batch that gives an array of
                the indices of those that are wanted, as one of several processes wants them.
                Only these are read, decoded and augmented, to what they are in the whole batch.
        """
        start = index * self.batch_size
        count = self.size(index)
        chosen: Any = slice(start, start + count)
        if self.shuffle:
            chosen = self._epoch_order(epoch)[chosen]
        options: dict[str, Any] = {}
        after: Any = slice(None)
        if rows is not None and self._augment_takes_part:
            wanted = rows(count)
            chosen = chosen[wanted] if self.shuffle else start + wanted
            options["part"] = (count, wanted)
        elif rows is not None:
            after = rows(count)
        try:
            images = self._pixels(chosen)
        except Exception as error:
            self.error = error
            raise
        if images.dtype == np.uint8:
            images = as_floats(images)
        else:
            images = images.astype(np.float32, order="C")  # a copy: it may be written into
        if self.augment is not None:
            rng = np.random.default_rng([self.seed, epoch, index, 1])
            # A second array of the size of a batch would cost more in page faults than the work.
            if self._augment_takes_out:
                options["out"] = images
            if self._augment_takes_which:
                options["which"] = (self.seed, epoch, np.arange(len(self.labels))[chosen])
            images = np.asarray(self.augment(images, rng, **options), np.float32)
        return images[after], self.labels[chosen][after]

    def _pixels(self, chosen):
        if isinstance(self.images, StreamedImages):
            return self.images.read(chosen, self._decoders, self.threads)
        return self.images[chosen]

    def _start_threads(self):
        pool = concurrent.futures.ThreadPoolExecutor
        if not isinstance(self.images, StreamedImages):
            self._executor = pool(self.threads, "Batches")
            return
        threads = self.threads if self.images.worth_threads else 1
        self._executor = pool(min(2, threads), "Batches")
        if threads > 1:
            self._decoders = pool(threads, "decode")

    def _epoch_order(self, epoch):
        known, order = self._order  # one assignment each way: safe between threads
        if known != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            shards = getattr(self.images, "shards", None)
            order = epoch_order(len(self.images), rng, self.shuffle_buffer, shards)
            self._order = (epoch, order)
        return order


def _check_arrays(images, labels):
    if images.ndim != 4 or images.dtype.kind not in "uf":
        raise ValueError(
            f"`images` must have shape [N, height, width, channels] and be uint8 or floats. "
            f"Received: images of shape {images.shape} and type {images.dtype}"
        )
    if images.dtype.kind == "u" and images.dtype != np.uint8:
        raise ValueError(
            f"`images` must be uint8 or floats. Received: images of type {images.dtype}"
        )
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"`labels` must be {len(images)} integers, one for each image. "
            f"Received: labels of shape {labels.shape} and type {labels.dtype}"
        )


def _has_parameter(function, name):
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some callables of C do not say
        return False
