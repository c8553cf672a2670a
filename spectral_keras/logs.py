"""What other packages that this library calls log and print."""

import contextlib
import logging
import threading
from collections.abc import Iterator

__all__ = ["quiet", "redirecting"]

# Who puts something else in the place of `sys.stdout` or of a file descriptor holds it until that
# is undone: two at once would restore each other's.
redirecting = threading.RLock()

_LOCK = threading.Lock()
# Logger -> how many blocks are open, and its level before the first.
_OPEN: dict[logging.Logger, tuple[int, int]] = {}


@contextlib.contextmanager
def quiet(name: str, level: int) -> Iterator[None]:
    """Leave out what a logger says below a level; afterwards it has the level that it had.

    Blocks may be nested, and those of several threads may overlap.

    Args:
        name: of the logger.
        level: the lowest that is still shown, such as `logging.ERROR`.

    Example:

    >>> import logging
    >>> from spectral_keras.logs import quiet
    >>> with quiet("tensorflow", logging.ERROR):
    ...     logging.getLogger("tensorflow").warning("many functions were traced")
    """
    # No filter: the logger of absl asks none.
    logger = logging.getLogger(name)
    with _LOCK:
        count, before = _OPEN.get(logger, (0, logger.level))
        _OPEN[logger] = count + 1, before
        logger.setLevel(max(level, logger.level))
    try:
        yield
    finally:
        with _LOCK:
            count, before = _OPEN.pop(logger)
            if count > 1:
                _OPEN[logger] = count - 1, before
            else:
                logger.setLevel(before)
