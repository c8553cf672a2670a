"""The papers' tables and figures, one command each: `python -m figures.NAME --preset cpu`."""

# Holds back TensorFlow's start-up messages before anything imports it.
import models  # noqa: F401
