"""A clock that jumps back or stands still: the same results, and no impossible number."""

import json
import math
import os

import pytest

from spectral_keras.training.checkpoint import checkpoint_files
from tests.faults.jobs import JOBS, outcome

CLOCKS = {"jumps back": ["set_clock_back", 3600.0, 7], "stands still": ["stop_clock"]}
NAMES = ["training", "search", "masks", "corrupt", "figure"]
SHORT = {("training", "jumps back"), ("corrupt", "jumps back"), ("corrupt", "stands still")}


def numbers(value, path=""):
    """(name, number) of all that JSON holds."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from numbers(part, str(key))
    elif isinstance(value, list):
        for part in value:
            yield from numbers(part, path)
    elif isinstance(value, (int, float)):
        yield path, value


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("name", NAMES)
def test_clock(forker, place, wholes, long, record_property, name, clock):
    if not (long or (name, clock) in SHORT):
        pytest.skip("in the long form")
    job, whole = JOBS[name], wholes(name)
    done = forker.run(job.main, job.argv(), place, eager=job.eager, clock=CLOCKS[clock])
    assert done.status == 0, done.err
    assert outcome(place / job.output) == whole.outcome
    for path in (place / job.output).rglob("*.json"):
        for key, value in numbers(json.loads(path.read_text())):
            assert math.isfinite(value), (path, key)
            assert key not in ("seconds", "images_per_second") or value >= 0, (path, key, value)
    for path in (place / job.output).rglob("history.csv"):
        header, *rows = [line.split(",") for line in path.read_text().splitlines()]
        for row in rows:
            found = dict(zip(header, map(float, row), strict=True))
            assert found["seconds"] >= 0 and 0 <= found["images_per_second"] < math.inf
    record_property(f"faults: clock {clock}", 1)


def test_the_newest_checkpoint_is_that_of_the_highest_epoch(tmp_path):
    for number, when in ((1, 3000), (2, 2000), (10, 1000)):
        path = tmp_path / f"epoch-{number:06d}.ckpt"
        path.touch()
        os.utime(path, (when, when))
    assert [path.stem for path in checkpoint_files(tmp_path)] == [
        "epoch-000010", "epoch-000002", "epoch-000001",
    ]  # fmt: skip
