"""A full disk and a folder that cannot be written: one line, status 2, and --resume continues."""

import os
import pathlib
import random
import shutil
import subprocess

import pytest

from tests.faults.conftest import copied, own_lines
from tests.faults.jobs import JOBS, outcome

# Moments of each kind of fault in the short and the long form.
MOMENTS = {"training": (1, 3), "search": (0, 2), "masks": (0, 2), "corrupt": (3, 8),
           "corrupt npz": (2, 8), "figure": (0, 2)}  # fmt: skip
WORDS = {"full": "No space left on device", "read_only": "Read-only file system"}


def assert_one_line(done, words):
    lines = own_lines(done)
    assert done.status == 2, done.err
    assert len(lines) == 1 and words in lines[0] and "Traceback" not in done.err, done.err


def finished_files(folder):
    """Every file under its own name: what a move put into place."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".tmp"
    }


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("name", MOMENTS)
def test_at_a_file_operation(forker, inputs, wholes, long, tmp_path, record_property, name, kind):
    if not MOMENTS[name][long]:
        pytest.skip("in the long form")
    job, whole = JOBS[name], wholes(name)
    draw = random.Random(f"{name} {kind}")
    for number in range(MOMENTS[name][long]):
        folder = copied(inputs, tmp_path / str(number))
        inject = {"root": str(folder), "kind": kind}
        inject["at"] = draw.randint(1, len(whole.operations) - 2)
        argv = job.argv()
        failed = forker.run(job.main, argv, folder, eager=job.eager, inject=inject)
        if failed.status == 0:  # only leftovers could not be removed: all was done before
            assert outcome(folder / job.output) == whole.outcome
            continue
        assert_one_line(failed, WORDS[kind])
        before = finished_files(folder)
        finished = forker.run(job.main, job.argv(resume=True), folder, eager=job.eager)
        assert finished.status == 0, finished.err
        assert outcome(folder / job.output) == whole.outcome
        kept = [path for path in before if path.exists() and path.suffix in (".npy", ".npz")]
        assert all(path.read_bytes() == before[path] for path in kept)
    record_property(f"faults: {kind}, {name}", MOMENTS[name][long])


@pytest.fixture
def small_disk(tmp_path):
    """Function that mounts a disk of so many KiB, where that is permitted."""
    mounted = []

    def mount(kib):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no right to mount a small disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("name", ["training", "search", "masks", "corrupt", "figure"])
def test_small_disk(
    forker, inputs, wholes, long, small_disk, tmp_path, record_property, name, share
):
    """A real one: writes from C and short writes included."""
    if not long:
        pytest.skip("in the long form")
    job, whole = JOBS[name], wholes(name)
    size = sum(path.stat().st_size for path in whole.path.rglob("*") if path.is_file())
    disk = small_disk(max(4, int(share * size / 1024)))
    failed = forker.run(job.main, job.argv(output=str(disk / job.output)), inputs, eager=job.eager)
    assert_one_line(failed, "No space left on device")
    folder = copied(inputs, tmp_path / "freed")
    if (disk / job.output).exists():
        shutil.copytree(disk / job.output, folder / job.output)
    finished = forker.run(job.main, job.argv(resume=True), folder, eager=job.eager)
    assert finished.status == 0, finished.err
    assert outcome(folder / job.output) == whole.outcome
    record_property("faults: small disk", 1)


@pytest.mark.parametrize("name", ["training", "search", "masks", "corrupt", "figure"])
@pytest.mark.parametrize("what", ["a file in the place", "a file above", "locked"])
def test_places_that_are_no_folder(forker, place, long, record_property, name, what):
    if not (long or name == "corrupt"):
        pytest.skip("in the long form")
    job = JOBS[name]
    target = place / job.output
    if what == "a file in the place":
        target.write_text("text")
        argv = job.argv()
    elif what == "a file above":
        (place / "file").write_text("text")
        argv = [f"file/{text}" if text.startswith("out") else text for text in job.argv()]
        target = place / "file"
    else:
        target.mkdir()
        chattr = shutil.which("chattr")
        if chattr is None or subprocess.run([chattr, "+i", target], capture_output=True).returncode:
            pytest.skip("no right to lock a folder")
        argv = job.argv()
    before = sorted(os.walk(place))
    try:
        done = forker.run(job.main, argv, place, eager=job.eager)
    finally:
        if what == "locked":
            subprocess.run([chattr, "-i", target], check=True)
    assert_one_line(done, str(target.relative_to(place)))
    assert sorted(os.walk(place)) == before
    assert not target.is_file() or target.read_text() == "text"
    record_property("faults: places that are no folder", 1)


def test_the_results_of_a_figure_name_their_option(forker, place):
    pathlib.Path(place / "out").write_text("text")
    job = JOBS["figure"]
    done = forker.run(job.main, job.argv(), place)
    assert "--results out is not a folder" in done.err
