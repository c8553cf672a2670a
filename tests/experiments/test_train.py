"""`train` as a function of a program."""

import keras
import pytest

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.train import TrainOptions, train


def test_the_precision_of_the_program_is_left(tmp_path):
    keras.config.set_dtype_policy("float64")
    options = TrainOptions(
        "deep_spectral", dataset=str(tmp_path / "none.npz"), precision="bfloat16",
        output=str(tmp_path / "run"),
    )  # fmt: skip
    with pytest.raises(CommandError, match=r"none\.npz"):
        train(options)
    assert keras.config.dtype_policy().name == "float64"
