"""Fixtures of the tests that run the training command."""

import keras
import pytest

from models import _train
from tests.models.runs import write_tiny


@pytest.fixture
def npz(tmp_path):
    """Images whose class is their brightness: a network learns them at once."""
    return write_tiny(tmp_path / "tiny.npz")


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
