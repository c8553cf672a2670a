"""The zoo: networks that train with one command, `python -m models.NAME`."""

import contextlib
import logging
import os
import sys
import tempfile

from models._leave import watch_signals


def _says_more_than_retracing(record):
    """Not TensorFlow's advice about functions that it traces again: each network has its own."""
    return "tf.function retracing" not in str(record.msg)


# Only of a command, whose argv[0] is that while its package is imported.
if sys.argv[:1] == ["-m"]:
    watch_signals()
    logging.getLogger("tensorflow").addFilter(_says_more_than_retracing)


@contextlib.contextmanager
def _without_native_chatter():
    """Hold back what native libraries write to the standard error stream by themselves."""
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # no standard error stream
        yield
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


# TensorFlow's start-up messages would bury the one line that a command has to say; it writes
# some of them before it reads this variable.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _without_native_chatter():
    import keras  # noqa: F401
