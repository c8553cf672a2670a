"""The long form of the suite, the process that forks the commands, and their undisturbed ends."""

import os
import pathlib
import shutil

import keras
import pytest

from tests.faults.forker import Forker
from tests.faults.jobs import JOBS, outcome, write_inputs

HERE = pathlib.Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption("--faults", action="store_true", help="the long form of tests/faults")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: of the long form of tests/faults only")


def pytest_collection_modifyitems(config, items):
    reasons = []
    if keras.backend.backend() != "tensorflow":
        reasons.append("the commands on TensorFlow")
    if not hasattr(os, "fork") or not os.path.isdir("/proc/self/fd"):
        reasons.append("needs fork and /proc")
    for item in items:
        if HERE not in item.path.parents:
            continue
        for reason in reasons:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    """What was done, added up over the tests: each says it with `record_property`."""
    totals = {}
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name.startswith("faults: "):
                totals[name] = totals.get(name, 0) + value
    for name, value in sorted(totals.items()):
        terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def long(pytestconfig):
    """Whether this is the long form."""
    return pytestconfig.getoption("--faults", default=False)


@pytest.fixture(scope="session")
def forker(tmp_path_factory):
    with Forker(tmp_path_factory.mktemp("outputs")) as started:
        yield started


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


@pytest.fixture
def place(inputs, tmp_path):
    """A folder with the inputs, for one job."""
    return copied(inputs, tmp_path / "place")


def copied(inputs, folder):
    shutil.copytree(inputs, folder)
    return folder


def own_lines(done):
    """What is said on stderr, without what TensorFlow says of jobs that do not compile."""
    noise = ("UserWarning: Even though the `tf.config.experimental_run_functions", "warnings.warn(")
    lines = [line for line in done.err.splitlines() if line.strip()]
    return [line for line in lines if not any(word in line for word in noise)]


@pytest.fixture(scope="session")
def wholes(forker, inputs, tmp_path_factory):
    """Function of a job's name: what it leaves undisturbed, its seconds and its operations."""
    known = {}

    def whole(name):
        if name not in known:
            job, folder = JOBS[name], copied(inputs, tmp_path_factory.mktemp("whole") / "place")
            log = folder.parent / "operations"
            inject = {"root": str(folder), "log": str(log)}
            done = forker.run(job.main, job.argv(), folder, eager=job.eager, inject=inject)
            assert done.status == 0, done.err
            known[name] = Whole(folder, job, done, log.read_text().splitlines())
        return known[name]

    return whole


class Whole:
    """An undisturbed job."""

    def __init__(self, folder, job, done, operations):
        self.folder, self.seconds, self.operations = folder, done.seconds, operations
        self.path = folder / job.output
        self.outcome = outcome(self.path)
