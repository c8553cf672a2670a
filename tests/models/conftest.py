"""Fixtures of the tests that run the training command."""

import keras
import numpy as np
import pytest

from models import _train


@pytest.fixture
def npz(tmp_path):
    """Images whose class is their brightness: a network learns them at once."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 60), ("test", 30)):
        labels = np.arange(count) % 3
        images = 40 + 80 * labels[:, None, None, None] + rng.integers(0, 30, (count, 8, 8, 3))
        arrays |= {f"x_{split}": images.astype("uint8"), f"y_{split}": labels}
    np.savez(tmp_path / "tiny.npz", **arrays)
    return str(tmp_path / "tiny.npz")


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs a training command in this process; returns (status, stdout, stderr)."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # It cannot be switched off again, and other tests draw without a global seed.
        monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)

    def run(*arguments, name="spectral_pool_cnn"):
        with pytest.raises(SystemExit) as stopped:
            _train.main(name, [str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return run
