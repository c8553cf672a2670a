"""The user's commands: `python -m models.NAME` trains a network, `python -m models` lists them."""


def command(module, *arguments):
    """Run `main(*arguments)` of a module as the command of this process, and exit.

    Importing a command's file for what is in it changes nothing in the process: what a command
    does at its start (messages, signals) happens here.
    """
    import sys

    sys.argv[0] = "spectral-keras"  # see the end of spectral_keras/__init__.py
    from spectral_keras.experiments.command import launch

    launch(module, *arguments)
