"""What TensorFlow says on stderr beside the lines of a command."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Six compiled functions of one network after the other, as figures train them.
PROGRAM = """
import sys

sys.argv[0] = {name!r}
import models
import tensorflow as tf


def traced(number):
    return tf.function(lambda x: x + number)


for number in range(6):
    traced(number)(tf.constant(1.0))
tf.get_logger().warning("another warning")
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("name", ["-m", "-c"])
def test_retracing_is_no_news_of_a_command(name):
    """Its networks differ; elsewhere (a user's own code) TensorFlow says what it says."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(name=name)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "another warning" in done.stderr
    assert ("retracing" in done.stderr) == (name == "-c")
