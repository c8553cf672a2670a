"""The progress of a command: Keras' bar on a terminal, and one line when it is done."""

import sys
import time
from typing import Any, Self

__all__ = ["Progress", "on_terminal", "verbosity"]


def on_terminal() -> bool:
    """Whether the standard output is a terminal; a program may have none at all."""
    return sys.stdout is not None and sys.stdout.isatty()


def verbosity() -> int:
    """Keras' `verbose`: bars on a terminal, lines elsewhere, nothing without a standard output."""
    if sys.stdout is None:
        return 0
    return 1 if on_terminal() else 2


class Progress:
    """Shows how far a piece of work is; used as `with Progress(...) as bar`.

    On a terminal, Keras' progress bar under the text; there and in a file, when the work is done,
    "TEXT: RESULT, 1.2 s".

    Args:
        text: what is done.
        unit: what is counted.

    Attributes:
        result: what the last line says of it, "" for nothing.
    """

    def __init__(self, text: str, unit: str = "image"):
        self.text, self.unit, self.result = text, unit, ""
        self._bar: Any = None
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since it was made; never below 0, should the clock be set back."""
        return max(0.0, time.perf_counter() - self._begin)

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` units are done."""
        if not on_terminal():
            return
        if self._bar is None:
            import keras

            print(self.text)
            self._bar = keras.utils.Progbar(total, unit_name=self.unit)
        self._bar.update(done)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        if self._bar is not None and self._bar._seen_so_far < self._bar.target:
            print()  # done before the last unit
        result = f"{self.result}, " if self.result else ""
        print(f"{self.text}: {result}{self.seconds:.1f} s", flush=True)
