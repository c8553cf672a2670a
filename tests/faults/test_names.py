"""Names of files may hold any bytes."""

import os
import sys

import pytest

from tests.faults.conftest import own_lines
from tests.faults.jobs import JOBS

ODD = os.fsdecode(b"caf\xe9\xff")


@pytest.mark.skipif(sys.platform == "darwin", reason="names in UTF-8 only")
@pytest.mark.parametrize(("name", "result"), [("training", "result.json"), ("corrupt", "snow.npy")])
def test_no_result_is_lost_to_a_name(forker, place, name, result):
    job = JOBS[name]
    (place / "tiny.npz").rename(place / f"{ODD}.npz")
    arguments = [f"{ODD}.npz" if word == "tiny.npz" else word for word in job.arguments]
    done = forker.run(job.main, [*arguments, "--output", ODD], place)
    assert done.status == 0 and not own_lines(done), done.err
    assert (place / ODD / result).exists()
