"""The console script `spectral-keras`: the commands of an installed library."""

import difflib
import sys

from spectral_keras.experiments.command import (
    CommandError,
    close_streams,
    launch,
    open_streams,
    report_end,
)

__all__ = ["main"]

_HELP = """\
spectral-keras train NAME ...     train a network of the zoo and evaluate it
spectral-keras evaluate RUN ...   its accuracy under attack and corruption
spectral-keras explain MODEL ...  which frequencies a saved classifier needs
spectral-keras corrupt ...        a corrupted copy of a data set
spectral-keras search ...         search the hyper-parameters of a network
spectral-keras retrain FOLDER ... train the best point of a search in full
spectral-keras preset RUN ...     weights by name, with a model card, from a finished run
spectral-keras models             list the zoo and the presets

--help after a command lists its options."""
_MODULES = {
    "evaluate": "evaluate.command",
    "explain": "explain.command",
    "corrupt": "corrupt.command",
    "search": "search.command",
    "retrain": "search.retrain",
    "preset": "preset.command",
    "models": "zoo",
}


def main() -> int | str | None:
    """Run the command that the first argument names."""
    open_streams()
    return close_streams(_main())


def _main():
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(_HELP)
        return 0
    if name == "train" and rest and not rest[0].startswith("-"):
        module = f"{__package__}.train.command"
        launch(module, rest[0], rest[1:], name=f"models.{rest[0]}", installed=True)
    if name == "train":
        asked = rest and rest[0] in ("-h", "--help")
        text = "expected the name of a network: spectral-keras models lists them"
        if not asked:
            return report_end("spectral-keras train", CommandError(text))
        print("spectral-keras train NAME --help lists the options of a network; the networks:")
        print("spectral-keras models")
        return 0
    if name not in _MODULES:
        known = ["train", *_MODULES]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        text = f"expected one of {', '.join(known)}; received {name!r}{hint}"
        return report_end("spectral-keras", CommandError(text))
    launch(f"{__package__}.{_MODULES[name]}", rest, name=name, installed=True)


if __name__ == "__main__":
    sys.exit(main())
