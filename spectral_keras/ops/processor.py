"""What the processor can do."""

import pathlib

__all__ = ["processor_has"]

# Linux says it here.
_PROCESSORS = pathlib.Path("/proc/cpuinfo")


def processor_has(*instructions: str) -> bool:
    """Whether every core has one of the instructions, by Linux' names; elsewhere False.

    >>> from spectral_keras.ops.processor import processor_has
    >>> processor_has("no such instruction")
    False
    """
    try:
        lines = _PROCESSORS.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    flags = [line.partition(":")[2].split() for line in lines if line.startswith("flags")]
    return bool(flags) and all(set(instructions) & set(words) for words in flags)
