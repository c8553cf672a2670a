"""Accuracy of a trained network under attack and corruption: `python -m models.evaluate --help`."""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.evaluate.command")
