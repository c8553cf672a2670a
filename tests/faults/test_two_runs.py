"""Two commands in one folder: the second is refused in one line; a killed one's lock is free."""

import pathlib
import signal
import time

import pytest

from tests.faults.conftest import own_lines
from tests.faults.jobs import JOBS, outcome

NAMES = ["training", "search", "masks", "corrupt"]
SHORT = {"corrupt"}


def stopped_at(forker, job, place, operation):
    """The job, standing still at a file operation; it holds its lock."""
    inject = {"root": str(place), "kind": "signal", "number": int(signal.SIGSTOP), "at": operation}
    started = forker.start(job.main, job.argv(), place, eager=job.eager, inject=inject)
    status = pathlib.Path(f"/proc/{started.pid}/stat")
    deadline = time.monotonic() + 300
    while status.read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return started


def assert_refused(done, *words):
    lines = own_lines(done)
    assert done.status == 2 and len(lines) == 1, done.err
    assert any(word in lines[0] for word in words), done.err


@pytest.mark.parametrize("name", NAMES)
def test_second_is_refused(forker, place, wholes, long, record_property, name):
    if not (long or name in SHORT):
        pytest.skip("in the long form")
    job, whole = JOBS[name], wholes(name)
    first = stopped_at(forker, job, place, len(whole.operations) // 2)
    second = forker.run(job.main, job.argv(resume=True), place, eager=job.eager)
    assert_refused(second, "is in use by another process")
    if long or name == "corrupt":
        again = forker.run(job.main, job.argv(), place, eager=job.eager)
        assert_refused(again, "already holds", "in use by another process")
    first.send(signal.SIGCONT)
    done = first.wait()
    assert done.status == 0, done.err
    assert outcome(place / job.output) == whole.outcome
    record_property("faults: second of two runs", 1)


@pytest.mark.parametrize("name", NAMES)
def test_both_before_there_is_a_folder(forker, place, wholes, long, record_property, name):
    """The first has looked at the empty folder; the second finishes; the first replaces nothing."""
    if not (long or name == "corrupt"):
        pytest.skip("in the long form")
    job, whole = JOBS[name], wholes(name)
    first = stopped_at(forker, job, place, 1)
    second = forker.run(job.main, job.argv(), place, eager=job.eager)
    assert second.status == 0, second.err
    first.send(signal.SIGCONT)
    done = first.wait()
    if done.status:
        assert_refused(done, "already holds", "File exists")
    assert outcome(place / job.output) == whole.outcome
    record_property("faults: two runs that begin at once", 1)


def test_lock_of_a_killed_run(forker, place, wholes, record_property):
    job, whole = JOBS["corrupt"], wholes("corrupt")
    first = stopped_at(forker, job, place, len(whole.operations) // 2)
    first.send(signal.SIGKILL)
    assert first.wait().status == -signal.SIGKILL
    assert (place / job.output / ".lock").exists()
    done = forker.run(job.main, job.argv(resume=True), place, eager=job.eager)
    assert done.status == 0 and outcome(place / job.output) == whole.outcome
    record_property("faults: lock of a killed run", 1)
