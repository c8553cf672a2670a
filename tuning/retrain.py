"""Train the best point of a search in full: `python -m tuning.retrain --help`."""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.search.retrain")
