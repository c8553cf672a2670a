"""How a command starts and ends: its output streams, start-up messages, exit statuses."""

import os
import pathlib
import signal
import subprocess
import sys

import keras
import pytest

from spectral_keras.experiments import __main__ as console
from spectral_keras.experiments.command import CommandError, Stopped, Terminated, report_end
from spectral_keras.experiments.train import command as train

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Prints, works after that, and ends as `launch` does.
PROGRAM = """
import os, sys

sys.argv[0] = "spectral-keras"  # as commands do it: Keras is not imported yet
from spectral_keras.experiments.command import close_streams, open_streams

open_streams()
print("first line")
for line in range(int(sys.argv[2])):
    print(line, os.fsdecode(b"\\xff"), "\\u00e9\\u4e2d")
print("a warning", file=sys.stderr)
sys.stdout.isatty()
with open(sys.argv[1], "w") as file:  # gets a number of its own
    os.write(1, b"of native code\\n")
    file.write("result")
sys.exit(close_streams(0))
"""
FULL = "standard output: No space left on device: the rest of it is lost\n"
STREAMS = [
    ("", 3, 0, "a warning\n"),
    (">&-", 3, 0, "a warning\n"),
    ("2>&-", 3, 0, ""),
    (">&- 2>&- <&-", 3, 0, ""),
    (">/dev/full", 3, 1, "a warning\n" + FULL),
    ("2>/dev/full", 3, 0, ""),
    (">/dev/full 2>/dev/full", 3, 1, ""),
    # More than a buffer holds: the reader is gone long before the end.
    ("| head -1", 100_000, 0, "a warning\n"),
]


# Gets a signal where Python drops what is raised, and then works for longer than it should.
COLLECTING = """
import os, signal, sys, time, weakref

sys.argv[0] = "spectral-keras"
from spectral_keras.experiments.command import Terminated, answer_termination

class Map: pass

answer_termination()
asked = Map()
note = weakref.ref(asked, lambda note: (os.kill(os.getpid(), int(sys.argv[1])), time.sleep(1)))
try:
    del asked
    for _ in range(1000):
        time.sleep(0.01)
except KeyboardInterrupt as error:
    # The second one would end it at once.
    print(type(error).__name__, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("name", "printed"), [("SIGINT", "KeyboardInterrupt False"), ("SIGTERM", "Terminated True")]
)
def test_a_signal_while_garbage_is_collected_is_not_lost(name, printed):
    done = subprocess.run(
        [sys.executable, "-c", COLLECTING, str(int(getattr(signal, name)))],
        cwd=ROOT, capture_output=True, text=True, check=False,
        # In a shell's background SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, printed, "")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(("streams", "lines", "status", "err"), STREAMS)
def test_no_result_is_lost_with_the_output(tmp_path, encoding, streams, lines, status, err):
    result = tmp_path / "result"
    command = f'"{sys.executable}" -c "$PROGRAM" "{result}" {lines} {streams}'
    settings = {"PROGRAM": PROGRAM, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        env=os.environ | settings,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (status, err)
    assert result.read_text() == "result"
    if streams == "":
        letters = "\u00e9\u4e2d" if encoding == "utf-8" else r"\xe9\u4e2d"
        assert f"0 \\udcff {letters}\n" in done.stdout.decode()
    elif "head" in streams:
        assert done.stdout == b"first line\n"


def test_every_command_starts_alike():
    """What holds of `launch` holds of all commands."""
    guard, found = 'if __name__ == "__main__":\n', 0
    for folder in ("models", "tuning", "figures", "benchmarks"):
        for path in (ROOT / folder).rglob("[!_]*.py"):  # not what a benchmark starts for itself
            _, start, rest = path.read_text().partition(guard)
            if start:
                found += 1
                assert rest.startswith("    from models import command\n\n    command("), path
    assert found > 40


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CommandError("no\nsuch thing"), 2, "prog: error: no such thing\n"),
        (OSError(28, "No space left"), 2, "prog: error: [Errno 28] No space left; go\n"),
        (Stopped("out of memory"), 1, "prog: stopped: out of memory\n"),
        (KeyboardInterrupt(), 130, "\nprog: interrupted; go\n"),
        (Terminated(), 143, "\nprog: interrupted; go\n"),
    ],
)
def test_the_line_and_the_status_of_an_end(capsys, error, status, line):
    assert report_end("prog", error, "go") == status
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("name", "hint"),
    [("deepspectral", "did you mean deep_spectral"), ("x", "spectral-keras models lists them")],
)
def test_a_network_that_is_misspelt(name, hint):
    with pytest.raises(CommandError, match=f"there is no network '{name}': {hint}"):
        train.main(name, [])


def test_a_command_that_is_misspelt(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["spectral-keras", "trian", "resnet18"])
    assert console._main() == 2
    assert capsys.readouterr().err.endswith("received 'trian'; did you mean train?\n")


def test_names_of_the_installed_commands(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["spectral-keras", "train", "--help"])
    assert console._main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("lists the options of a network; the networks:")
    assert lines[1] == "spectral-keras models"
    program = """
import sys
sys.argv = ["spectral-keras", "evaluate", "x"]
from spectral_keras.experiments.__main__ import main
sys.exit(main())
"""
    command = [sys.executable, "-c", program]
    environment = os.environ | {"KERAS_BACKEND": "nope"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode and done.stderr.startswith("spectral-keras evaluate: error: ")


# Six compiled functions of one network after the other, as figures train them.
FUNCTIONS = """
import sys

from spectral_keras.experiments import command


def main(*arguments):
    import tensorflow as tf

    def traced(number):
        return tf.function(lambda x: x + number)

    for number in range(6):
        traced(number)(tf.constant(1.0))
    tf.get_logger().warning("another warning")
    return 0


if sys.argv[1] == "command":
    command.launch("__main__")
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("kind", ["command", "program"])
def test_retracing_is_no_news_of_a_command(kind):
    """Its networks differ; elsewhere (a user's own code) TensorFlow says what it says."""
    done = subprocess.run(
        [sys.executable, "-c", FUNCTIONS, kind],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "another warning" in done.stderr
    assert ("retracing" in done.stderr) == (kind == "program")


INTERRUPTED = """
import threading
import time

from spectral_keras.experiments import command


def main():
    threading.Thread(target=time.sleep, args=(600,)).start()
    return command.report_end("program", KeyboardInterrupt())


command.launch("__main__")
"""


@pytest.mark.slow
def test_an_interrupted_command_waits_for_no_thread():
    """A backend's thread that serves a step that was given up may never end."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "program: interrupted")


@pytest.mark.parametrize("module", ["search.command", "search.retrain"])
def test_a_package_that_is_not_installed(module):
    """As where TensorFlow's extra is not: Keras Tuner."""
    code = (
        "import sys; sys.modules['keras_tuner'] = None; from models import command; "
        f"command('spectral_keras.experiments.{module}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--model", "deep_spectral", "--dataset", "digits"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "needs keras_tuner, which is not installed: pip install keras_tuner" in done.stderr
