"""The one error that loading a data set can raise."""


class DataError(ValueError):
    """A data set that cannot be used.  The message is one line that says what to do."""

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))


def shown(value, length=60):
    """`repr(value)` for a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}...{text[0]}"
