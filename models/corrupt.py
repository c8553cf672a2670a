"""Corrupted copy of a data set, in the layout of CIFAR-10-C: `python -m models.corrupt --help`."""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.corrupt.command")
