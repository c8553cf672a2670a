"""Memory of a training process on a CPU: reuse large blocks instead of mapping them anew."""

import ctypes
import platform

__all__ = ["clear_session", "is_out_of_memory", "keep_freed_memory"]


def __dir__():
    return __all__


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

    The commands that train and the benchmarks call it; no function of the library does.  It holds
    for the whole process and for what is allocated afterwards.

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


def clear_session(free_memory: bool = True) -> None:
    """`keras.backend.clear_session`, after which the program's settings are what they were.

    Keras' own forgets, besides names and graphs, the dtype policy, the distribution, and whether it
    prints and filters tracebacks.

    Args:
        free_memory: whether to collect garbage, which takes long.

    Example:

    >>> import keras
    >>> from spectral_keras.memory import clear_session
    >>> keras.config.set_dtype_policy("float64")
    >>> clear_session()
    >>> keras.config.dtype_policy().name
    'float64'
    >>> keras.config.set_dtype_policy("float32")
    """
    import keras

    config = keras.config
    policy, distribution = config.dtype_policy(), keras.distribution.distribution()
    prints = config.is_interactive_logging_enabled()
    filters = config.is_traceback_filtering_enabled()
    keras.backend.clear_session(free_memory=free_memory)
    config.set_dtype_policy(policy)
    keras.distribution.set_distribution(distribution)
    (config.enable_interactive_logging if prints else config.disable_interactive_logging)()
    (config.enable_traceback_filtering if filters else config.disable_traceback_filtering)()


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
