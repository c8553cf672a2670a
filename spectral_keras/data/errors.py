"""The one error that loading a data set can raise."""


class DataError(ValueError):
    """A data set that cannot be used.  The message is one line that says what to do."""

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))
