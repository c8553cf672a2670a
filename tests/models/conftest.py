"""Fixtures of the tests that run the training command."""

import pytest

from spectral_keras.experiments.train import command as _train
from tests.models.runs import write_tiny


@pytest.fixture
def npz(tmp_path):
    """Images whose class is their brightness: a network learns them at once."""
    return write_tiny(tmp_path / "tiny.npz")


@pytest.fixture
def command(capsys):
    """Runs a training command in this process; returns (status, stdout, stderr)."""

    def run(*arguments, name="spectral_pool_cnn"):
        with pytest.raises(SystemExit) as stopped:
            _train.main(name, [str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return run
