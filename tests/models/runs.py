"""What the tests of the training command share."""

import csv
import json

import keras
import numpy as np

from spectral_keras.training.checkpoint import checkpoint_files, read_checkpoint

TINY = ("--num-pairs", "1", "--batch-size", "16", "--augment", "none")


def write_tiny(path, seed=0):
    """An .npz of images whose class is their brightness: a network learns them at once."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", 60), ("test", 30)):
        labels = np.arange(count) % 3
        images = 40 + 80 * labels[:, None, None, None] + rng.integers(0, 30, (count, 8, 8, 3))
        arrays |= {f"x_{split}": images.astype("uint8"), f"y_{split}": labels}
    np.savez(path, **arrays)
    return str(path)


def by_hand(content):
    """The text of a JSON file that somebody has changed: without the checksum of what was there."""
    return json.dumps({name: value for name, value in content.items() if name != "sha256"})


def history(folder):
    with open(folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows
    ]


def assert_same_run(first, second):
    """The same weights, optimizer, counters, best score and history, bit for bit."""
    assert history(first) == history(second)
    newest = [read_checkpoint(checkpoint_files(run / "checkpoints")[0]) for run in (first, second)]
    (state, content), (other_state, other_content) = newest
    assert content.keys() == other_content.keys()
    for key, value in content.items():
        np.testing.assert_array_equal(value, other_content[key], err_msg=key)
    assert state["best"] == other_state["best"]
    assert state["counters"] == other_state["counters"]
    weights = [keras.saving.load_model(run / "best.keras").get_weights() for run in (first, second)]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
