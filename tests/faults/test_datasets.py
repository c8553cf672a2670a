"""Data sets that are damaged, before every command that reads one; one batch that is never full.

The training command meets them all in `tests/test_bad_commands.py`; here are the other commands,
and the damages that were not there.
"""

import shutil

import numpy as np
import pytest

from tests.faults.jobs import JOBS, write_inputs
from tests.test_bad_commands import SPOILT, tree

BAD = {
    "rank5": "x_train", "no_images": "empty", "nan": "NaN", "label_negative": "-1",
    "label_high": "7", "label_float": "not integers", "one_class": "only one class",
    "sizes": "(9, 8, 3)", "label_few": "50 labels for 60 images",
}  # fmt: skip
MAINS = {name: JOBS[name] for name in ("training", "search", "masks", "corrupt")}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("bad")
    write_inputs(folder)
    for name in BAD:
        with np.load(folder / "tiny.npz") as stored:
            np.savez(folder / f"{name}.npz", **SPOILT[name](dict(stored)))
    with np.load(folder / "tiny.npz") as stored:
        images = stored["x_test"].astype("float32") / 255
        images[-1, -1, -1, -1] = np.nan
        np.savez(folder / "nan_test.npz", **{**stored, "x_test": images})
    rng = np.random.default_rng(0)
    for number in range(12):
        path = folder / "pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), "uint8")).save(path)
    path.write_bytes(path.read_bytes()[:300])
    return folder


@pytest.mark.parametrize("name", MAINS)
@pytest.mark.parametrize(
    ("data", "words"),
    [*((f"{data}.npz", words) for data, words in BAD.items()), ("nan_test.npz", "x_test"),
     ("pictures", "pictures/b/11.png")],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_damaged_data_set(here, capsys, monkeypatch, record_property, name, data, words):
    import importlib

    job = MAINS[name]
    monkeypatch.chdir(here)
    monkeypatch.setattr("sys.argv", ["test"])
    module, _, function = job.main.partition(":")
    argv = [data if text.endswith(".npz") else text for text in job.argv()]
    argv += ["--split", "train"] if name == "masks" and data != "nan_test.npz" else []
    before = tree(here)
    with pytest.raises(SystemExit) as left:
        getattr(importlib.import_module(module), function)(argv)
    err = capsys.readouterr().err
    assert left.value.code == 2 and err.count("\n") == 1 and words in err, err
    assert tree(here) == before
    record_property("faults: damaged data sets", 1)


def test_fewer_images_than_a_batch(forker, place, record_property):
    """Nothing is wrong with that: one batch, smaller than the others would be."""
    job = JOBS["training"]
    argv = [*job.argv(), "--batch-size", "1000", "--epochs", "1", "--limit", "9"]
    argv += ["--schedule", "constant", "--early-stopping", "0"]
    done = forker.run(job.main, argv, place)
    assert (done.status, done.err) == (0, "") and "8 training" in done.out, done.out
    shutil.rmtree(place / "out")
    record_property("faults: fewer images than a batch", 1)
