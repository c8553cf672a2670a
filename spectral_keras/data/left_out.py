"""What of a data set is not used."""

import warnings
from collections.abc import Iterable

from spectral_keras.data.errors import DataWarning

__all__ = ["LeftOut"]


class LeftOut:
    """What of a data set is not used, by reason.

    Args:
        root: the data set, as the warning names it.
    """

    def __init__(self, root: object):
        self._root = root
        self._reasons: dict[str, list[str]] = {}

    def add(self, reason: str, names: Iterable[str]) -> None:
        """Note parts of the data, and why they are not used."""
        self._reasons.setdefault(reason, []).extend(names)

    def report(self, stacklevel: int) -> dict[str, str]:
        """Warn in one line, and give the entry for `Dataset.source`; {} if nothing is left out.

        Args:
            stacklevel: that of `warnings.warn`, counted from the caller.
        """
        texts = []
        for reason, names in self._reasons.items():
            if names:
                some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
                texts.append(f"{reason}: {len(names)} ({some})")
        if not texts:
            return {}
        line = " ".join("; ".join(texts).split())
        message = f"left out of {self._root}: {line}"
        warnings.warn(message, DataWarning, stacklevel=stacklevel + 1)
        return {"left_out": line}
