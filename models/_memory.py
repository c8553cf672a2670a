"""Keep freed memory in the process: the setting of the C allocator that a training run wants."""

import ctypes
import platform

# Numbers of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_LARGEST = 2**31 - 1


def keep_freed_memory():
    """Make glibc's allocator reuse large blocks instead of giving them back at once.

    A training step on a CPU allocates and frees the same activations again and again.  By default
    glibc maps each large one anew and unmaps it when freed, so the kernel zeroes its pages at
    every step: `benchmarks.layers` has steps that take twice their time that way.  The price is
    that the process keeps its peak of memory until it ends.

    Returns:
        True where it was done; False on systems without glibc, where nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(set_option(_MMAP_MAX, 0) and set_option(_TRIM_THRESHOLD, _LARGEST))
