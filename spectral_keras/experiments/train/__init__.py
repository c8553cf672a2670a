"""The training command: options, devices, a run and its files."""
