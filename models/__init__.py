"""The zoo: networks that train with one command, `python -m models.NAME`."""

import os

# TensorFlow's start-up messages would bury the one line that a command has to say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
