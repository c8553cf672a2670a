"""Search the hyper-parameters of a network: `python -m tuning.search --help`."""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.search.command")
