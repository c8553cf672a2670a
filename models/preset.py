"""Weights by name: a preset from a finished run, `python -m models.preset --help`."""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.preset.command")
