"""SIGKILL at any moment: what is resumed ends as if nothing had happened."""

import random
import signal
import time

import pytest

from tests.faults.conftest import copied
from tests.faults.jobs import JOBS, outcome

# Job -> (kills at random times, kills at random file operations) of the short and the long form.
KILLS = {
    "training": ((0, 1), (30, 10)),
    "search": ((0, 1), (30, 10)),
    "masks": ((0, 1), (30, 10)),
    "corrupt": ((3, 3), (30, 30)),
    "corrupt npz": ((0, 3), (5, 30)),
    "figure": ((0, 1), (30, 10)),
    "frequency_noise": ((0, 0), (5, 0)),
}
# A run is killed so often, each time from where it was, before it is left to its end.
IN_A_ROW = 10
SEED = 20


def cases(name):
    return [pytest.param(name, how, id=f"{name}-{how}") for how in ("times", "operations")]


@pytest.mark.parametrize(("name", "how"), [case for name in JOBS for case in cases(name)])
def test_killed_and_resumed(forker, inputs, wholes, long, tmp_path, record_property, name, how):
    wanted = KILLS[name][long][how == "operations"]
    if not wanted:
        pytest.skip("in the long form")
    job, whole = JOBS[name], wholes(name)
    draw, kills, chain = random.Random(f"{SEED} {name} {how}"), 0, 0
    while kills < wanted:
        folder = copied(inputs, tmp_path / str(chain))
        chain += 1
        killed = 0
        for _ in range(min(IN_A_ROW, wanted - kills)):
            argv = job.argv(resume=(folder / job.output).exists() or killed > 0)
            if how == "times":
                started = forker.start(job.main, argv, folder, eager=job.eager)
                time.sleep(draw.uniform(0, whole.seconds))
                started.send(signal.SIGKILL)
            else:
                inject = {"root": str(folder), "kind": "kill"}
                inject["at"] = draw.randint(1, max(2, len(whole.operations) // (1 + killed)))
                started = forker.start(job.main, argv, folder, eager=job.eager, inject=inject)
            done = started.wait()
            assert done.status in (0, -signal.SIGKILL), done.err
            if done.status == 0:  # it was over before
                break
            killed += 1
        finished = forker.run(job.main, job.argv(resume=True), folder, eager=job.eager)
        assert finished.status == 0, finished.err
        assert outcome(folder / job.output) == whole.outcome
        kills += killed
        assert chain < 4 * wanted + 4, "it ends before it is killed"
    record_property(f"faults: SIGKILL, {name}, {how}", kills)
