"""Tiny data, and the search and training commands in this process."""

import pathlib
import sys

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items):
    # TensorFlow says that tf.data has no eager mode; the fixture `command` asks for one.
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(
                pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")
            )


@pytest.fixture
def npz(tmp_path):
    """Images whose class is their brightness, in noise: scores differ between networks."""
    return write_npz(tmp_path / "tiny.npz")


def write_npz(path, test_brightness=1):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 120), ("test", 30)):
        labels = np.arange(count) % 3
        images = 60 + 40 * labels[:, None, None, None] + rng.integers(0, 100, (count, 8, 8, 3))
        if split == "test":
            images = images * test_brightness
        arrays |= {f"x_{split}": images.astype("uint8"), f"y_{split}": labels}
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs `tuning.search` or `tuning.retrain` in this process: (status, stdout, stderr)."""
    import tensorflow as tf

    from spectral_keras.experiments.search import command as search
    from spectral_keras.experiments.search import retrain

    monkeypatch.setattr(sys, "argv", ["test"])
    # Tracing takes most of the time of such small trainings.
    tf.config.run_functions_eagerly(True)

    def run(name, *arguments):
        main = {"search": search.main, "retrain": retrain.main}[name]
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    yield run
    tf.config.run_functions_eagerly(False)
