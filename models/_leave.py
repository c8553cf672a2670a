"""How a command leaves: the one line and the status of an error, of Ctrl-C and of SIGTERM."""

import os
import signal
import sys

INTERRUPTED, TERMINATED = 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which a batch system asks for its machine back: treated as Ctrl-C is."""


def told(prog, error, goes_on=""):
    """Print the line of what ended a command; returns its status.

    Args:
        prog: the command's name.
        error: a `CommandError`, an `OSError` (a full disk, say) or a `KeyboardInterrupt`.
        goes_on: how the work may be continued, "" if there is nothing to continue.
    """
    tail = f"; {goes_on}" if goes_on else ""
    if isinstance(error, KeyboardInterrupt):
        print(f"\n{prog}: interrupted{tail}", file=sys.stderr)
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    line = " ".join(str(error).split())
    print(f"{prog}: error: {line}{tail if isinstance(error, OSError) else ''}", file=sys.stderr)
    return 2


def watch_signals():
    """Let `python -m MODULE` leave in one line from its first import on."""
    prog = sys.orig_argv[sys.orig_argv.index("-m") + 1] if "-m" in sys.orig_argv else "python"
    others = sys.excepthook

    def terminate(number, frame):
        signal.signal(number, signal.SIG_DFL)  # the second one ends it at once
        raise Terminated

    def hook(kind, error, trace):
        if not issubclass(kind, KeyboardInterrupt):
            others(kind, error, trace)
            return
        status = told(prog, error)
        sys.stderr.flush()
        os._exit(status)

    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)
    sys.excepthook = hook
