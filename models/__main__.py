"""`python -m models`: list the zoo."""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.zoo")
