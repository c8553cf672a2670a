"""Commands as processes without the seconds of their imports: forked from one that has done them.

`Forker` starts this module as a process, which imports everything, runs nothing of TensorFlow, and
then forks for each command; the fork is killed, disturbed and waited for as any other process.
"""

import contextlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
_IMPORTED = (
    "spectral_keras.experiments.train.command", "spectral_keras.experiments.corrupt.command",
    "spectral_keras.experiments.explain.command", "spectral_keras.experiments.evaluate.command",
    "spectral_keras.experiments.search.command", "spectral_keras.experiments.search.engine",
    "figures._figure", "figures.frequency_noise", "matplotlib.pyplot",
    "sklearn.gaussian_process", "sklearn.datasets", "scipy.ndimage", "PIL.Image", "h5py",
    "tests.faults.jobs",
)  # fmt: skip


class Finished:
    """A command that has ended: its status, the seconds that it took, stdout and stderr."""

    def __init__(self, status, seconds, out, err):
        self.status, self.seconds, self.out, self.err = status, seconds, out, err


class Forker:
    """Starts commands; use it as a context."""

    def __init__(self, folder):
        self.folder, self.number = pathlib.Path(folder), 0

    def __enter__(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "2", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forker"],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._ask({"do": "ready"}) == "ready"
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()

    def _ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, main, argv, cwd, *, eager=False, inject=None, clock=None):
        """The process id of `main` ("module:function") with the arguments `argv` in `cwd`.

        Args:
            eager: whether TensorFlow runs its functions uncompiled.
            inject: arguments of `Injection`, or None.
            clock: name of a function of the injections with its arguments, or None.
        """
        self.number += 1
        files = [str(self.folder / f"{self.number}.{name}") for name in ("out", "err")]
        request = {"do": "start", "main": main, "argv": [str(text) for text in argv]}
        request |= {"cwd": str(cwd), "files": files, "eager": eager}
        pid = self._ask(request | {"inject": inject, "clock": clock})
        return _Started(self, pid, files)

    def run(self, *args, timeout=300, **options):
        """`start`, and wait for its end."""
        return self.start(*args, **options).wait(timeout)


class _Started:
    def __init__(self, forker, pid, files):
        self.forker, self.pid, self.files = forker, pid, files

    def send(self, number):
        """A signal, if the process is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout=300):
        status, seconds = self.forker._ask({"do": "wait", "pid": self.pid, "timeout": timeout})
        # A process that was killed at once has not opened them.
        paths = (pathlib.Path(file) for file in self.files)
        out, err = (p.read_text(errors="replace") if p.exists() else "" for p in paths)
        return Finished(status, seconds, out, err)


def serve():
    """Answer requests, one JSON a line, until there are none."""
    sys.argv[0] = "-m"
    for name in _IMPORTED:
        importlib.import_module(name)
    begun, replies = {}, os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "ready":
            reply = "ready"
        elif request["do"] == "start":
            pid = os.fork()
            if not pid:
                _become(request)
            begun[pid] = time.monotonic()
            reply = pid
        else:
            reply = _wait(request["pid"], begun[request["pid"]], request["timeout"])
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _wait(pid, begin, timeout):
    """[status, seconds]; what takes too long is killed, with the status "timeout"."""
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        seconds = time.monotonic() - begin
        if found:
            return os.waitstatus_to_exitcode(status), seconds
        if seconds > timeout:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "timeout", seconds
        time.sleep(0.002)


def _become(request):
    """Run the command in this process, as `python -m` would, and end with its status."""
    status = 1
    try:
        for number, file in enumerate(request["files"], 1):
            os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
        os.close(0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command = importlib.import_module("spectral_keras.experiments.command")
        command.open_streams()
        command.answer_termination()
        os.chdir(request["cwd"])
        sys.argv = ["-m", *request["argv"]]
        if request["eager"]:
            import tensorflow as tf

            tf.config.run_functions_eagerly(True)
        from tests.faults import injection

        if request["clock"]:
            name, *numbers = request["clock"]
            getattr(injection, name)(*numbers)
        if request["inject"]:
            injection.Injection(**request["inject"]).start()
        module, _, function = request["main"].partition(":")
        getattr(importlib.import_module(module), function)(request["argv"])
        status = 0
    except SystemExit as left:
        status = left.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())  # a command's own, which knows interrupts
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
