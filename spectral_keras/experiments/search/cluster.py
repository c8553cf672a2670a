"""Which part a process plays: Keras Tuner's own environment variables."""

import os
import socket
import time

from spectral_keras.experiments.command import CommandError

__all__ = ["address", "role", "wait_for_chief"]

_IP, _PORT, _ID = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"
WAIT_SECONDS = 600


def role() -> str:
    """One of "single", "chief" or "worker".

    Raises:
        CommandError: if the environment variables contradict each other.
    """
    if _IP not in os.environ:
        return "single"
    for variable in (_PORT, _ID):
        if not os.environ.get(variable):
            raise CommandError(f"{_IP} is set, so {variable} must be set too")
    port = os.environ[_PORT]
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise CommandError(f"{_PORT}: expected a port from 1 to 65535, received {port!r}")
    # Keras Tuner's rule, by which "chief2" is a chief as well.
    return "chief" if "chief" in os.environ[_ID] else "worker"


def address() -> str:
    return f"{os.environ[_IP]}:{os.environ[_PORT]}"


def wait_for_chief(seconds: float = WAIT_SECONDS) -> None:
    """Return when the chief answers; Keras Tuner itself would wait an hour, and say nothing.

    Raises:
        CommandError: if it does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((os.environ[_IP], int(os.environ[_PORT])), timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise CommandError(
                    f"no chief answers at {address()} ({error}): start one, or check the "
                    f"variables {_IP} and {_PORT}"
                ) from None
        time.sleep(0.5)
