"""Memory of a training process on a CPU: reuse large blocks instead of mapping them anew."""

import ctypes
import platform

__all__ = ["is_out_of_memory", "keep_freed_memory"]

# Numbers of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_LARGEST = 2**31 - 1

# What a machine without enough memory raises: NumPy and Keras, TensorFlow, PyTorch.
_OUT_OF_MEMORY = {"MemoryError", "_ArrayMemoryError", "ResourceExhaustedError", "OutOfMemoryError"}


def keep_freed_memory() -> bool:
    """Make glibc's allocator reuse large blocks instead of giving them back at once.

    A training step allocates and frees the same activations again and again.  By default glibc
    maps each large one from the kernel and unmaps it when freed, and the kernel zeroes its pages
    at every step.  A layer that does little arithmetic, such as a pooling, takes twice its time
    that way.  The price is that the process keeps its peak of memory until it ends.

    The training command and the benchmarks call it.  It holds for the whole process and for what
    is allocated afterwards.

    Returns:
        True where it was done; False on systems without glibc, where nothing changes.

    Example:

    >>> from spectral_keras.memory import keep_freed_memory
    >>> done = keep_freed_memory()  # first thing in a training script
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(set_option(_MMAP_MAX, 0) and set_option(_TRIM_THRESHOLD, _LARGEST))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the memory of the machine or of an accelerator is used up.

    Example:

    >>> from spectral_keras.memory import is_out_of_memory
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("units"))
    (True, False)
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    # JAX has one class of errors for everything.
    return bool(names & _OUT_OF_MEMORY) or "RESOURCE_EXHAUSTED" in str(error)
