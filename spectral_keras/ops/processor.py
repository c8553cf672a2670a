"""What the processor can do."""

import functools
import os
import pathlib

import keras

__all__ = ["multiplies_bfloat16", "processor_has"]

# Linux says it here.
_PROCESSORS = pathlib.Path("/proc/cpuinfo")


def processor_has(*instructions: str) -> bool:
    """Whether every core has one of the instructions, by Linux' names; elsewhere False.

    >>> from spectral_keras.ops.processor import processor_has
    >>> processor_has("no such instruction")
    False
    """
    flags = [words.split() for words in _fields(_PROCESSORS, "flags")]
    return bool(flags) and all(set(instructions) & set(words) for words in flags)


def multiplies_bfloat16() -> bool | None:
    """Whether the backend's products of bfloat16 are faster than those of float32 here.

    On a processor they are, with oneDNN (TensorFlow and PyTorch), by AMX units, which have an order
    of magnitude more of them, and by AVX512_BF16 on AMD's cores, which has twice as many.
    Elsewhere they are slower: converted one by one, and on Intel's cores AVX512_BF16 alone, as
    where a virtual machine hides the AMX units, has half as many as float32 (0.16 and 0.27
    TFLOP/s on two cores of Emerald Rapids).

    Returns:
        True or False, on x86 processors under Linux; None elsewhere.

    Example:

    >>> from spectral_keras.ops.processor import multiplies_bfloat16
    >>> multiplies_bfloat16() in (True, False, None)
    True
    """
    if not _fields(_PROCESSORS, "flags"):
        return None
    backend = keras.backend.backend()
    disabled = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") in ("0", "false")
    if backend not in ("tensorflow", "torch") or (backend == "tensorflow" and disabled):
        return False
    amd = set(_fields(_PROCESSORS, "vendor_id")) == {"AuthenticAMD"}
    return processor_has("amx_bf16", *(["avx512_bf16"] if amd else []))


@functools.cache
def _fields(path, name):
    """The values of a field, one of each core; none where the system has no such file."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    pairs = (line.partition(":") for line in lines)
    return tuple(value.strip() for key, _, value in pairs if key.strip() == name)
