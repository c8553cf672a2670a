"""Which frequencies a saved classifier needs: `python -m models.explain --help`."""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.explain.command")
