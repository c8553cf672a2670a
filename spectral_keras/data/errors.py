"""The one error that loading a data set can raise, its one warning, and texts for them."""

import re

from spectral_keras.ops.validation import describe

__all__ = ["DataError", "DataWarning", "first_line", "in_a_line", "refused", "show"]


class DataError(ValueError):
    """A data set that cannot be used.  The message is one line that says what to do."""

    def __init__(self, message: object):
        super().__init__(" ".join(str(message).split()))


class DataWarning(UserWarning):
    """A part of the data that is not used.  The message is one line that says what and why."""


def refused(argument: str, expected: str, value: object) -> DataError:
    """The error of an argument that is not what was expected."""
    return DataError(f"{argument} must be {expected}. Received: {argument}={describe(value)}")


def show(value: object, length: int = 60) -> str:
    """`repr(value)` for a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}...{text[0]}"


def in_a_line(error: BaseException) -> str:
    """Kind and text of an error, in one line of at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def first_line(error: BaseException) -> str:
    """The first line of what an error says, without its end stop; its type if it says nothing."""
    text = re.sub(r"^Failed to construct dataset .*?}\": ", "", str(error).strip())
    lines = text.splitlines()
    return lines[0][:200].rstrip(". ") if lines else type(error).__name__
