"""Ctrl-C and SIGTERM: one line, status 130 or 143, and what is resumed ends the same."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.faults.conftest import copied, own_lines
from tests.faults.jobs import JOBS, outcome

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATUS = {"SIGINT": 130, "SIGTERM": 143}
# Moments at file operations and at random times, in the short and the long form.
MOMENTS = {"training": ((1, 0), (2, 2)), "search": ((0, 0), (1, 1)), "masks": ((0, 0), (1, 1)),
           "corrupt": ((2, 1), (5, 5)), "figure": ((0, 0), (1, 1))}  # fmt: skip


def assert_interrupted(done, name):
    lines = own_lines(done)
    assert done.status == STATUS[name], (done.status, done.err)
    assert len(lines) == 1 and "interrupted" in lines[0], done.err


@pytest.mark.parametrize("signal_name", STATUS)
@pytest.mark.parametrize("name", MOMENTS)
def test_signal(forker, inputs, wholes, long, tmp_path, record_property, name, signal_name):
    at_operations, at_times = MOMENTS[name][long]
    if not at_operations:
        pytest.skip("in the long form")
    job, whole = JOBS[name], wholes(name)
    number, draw = getattr(signal, signal_name), random.Random(f"{name} {signal_name}")
    sent = 0
    for place in range(at_operations + at_times):
        folder = copied(inputs, tmp_path / str(place))
        inject = None
        if place < at_operations:
            inject = {"root": str(folder), "kind": "signal", "number": int(number)}
            inject["at"] = draw.randint(1, len(whole.operations) - 4)
        started = forker.start(job.main, job.argv(), folder, eager=job.eager, inject=inject)
        if inject is None:
            time.sleep(draw.uniform(0.05, 0.9) * whole.seconds)
            started.send(number)
        done = started.wait()
        if inject is None and done.status == 0:
            continue  # it was over before
        sent += 1
        assert_interrupted(done, signal_name)
        if (folder / job.output / "config.json").exists():
            assert "--resume continues" in done.err
        finished = forker.run(job.main, job.argv(resume=True), folder, eager=job.eager)
        assert finished.status == 0, finished.err
        assert outcome(folder / job.output) == whole.outcome
    record_property(f"faults: {signal_name}, {name}", sent)


@pytest.mark.parametrize("module", ["models.deep_spectral", "tuning.search", "figures.convergence"])
@pytest.mark.parametrize("signal_name", STATUS)
def test_while_it_starts(long, tmp_path, record_property, module, signal_name):
    """The seconds of TensorFlow's import: no traceback either."""
    if not long and (module, signal_name) != ("models.deep_spectral", "SIGTERM"):
        pytest.skip("in the long form")
    started = subprocess.Popen(
        [sys.executable, "-m", module, "--dataset", "digits", "--output", str(tmp_path / "out")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        # In a shell's background SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    maps = pathlib.Path(f"/proc/{started.pid}/maps")
    deadline = time.monotonic() + 300
    while "tensorflow" not in maps.read_text():
        assert started.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    started.send_signal(getattr(signal, signal_name))
    _, err = started.communicate(timeout=300)
    assert started.returncode == STATUS[signal_name], (started.returncode, err)
    lines = [line for line in err.splitlines() if line.strip()]
    assert lines == [f"{module}: interrupted"], err
    assert not (tmp_path / "out").exists()
    record_property(f"faults: {signal_name}, imports", 1)
