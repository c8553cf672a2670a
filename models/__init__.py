"""The user's commands: `python -m models.NAME` trains a network, `python -m models` lists them."""


def command(module, *arguments):
    """Run `main(*arguments)` of a module as the command of this process, and exit.

    Importing a command's file for what is in it changes nothing in the process: what a command
    does at its start (messages, signals) happens here.
    """
    import sys

    sys.argv[0] = "spectral-keras"  # see the end of spectral_keras/__init__.py
    from spectral_keras.experiments.command import launch

    spec = sys.modules["__main__"].__spec__  # None for a file that was not started by its name
    name = spec.name.removesuffix(".__main__") if spec else None
    launch(module, *arguments, name=name)
