"""What the tests of the options' effects share."""

import pytest

from spectral_keras.experiments.command import OneLineParser


class Parsed(Exception):
    """Ends a command whose options are known."""


def options_of(monkeypatch, main):
    """Names of the options of a command, but for --help."""
    found = []

    def look(self, *_):
        found.extend(action.dest for action in self._actions if action.dest != "help")
        raise Parsed

    with monkeypatch.context() as patch, pytest.raises(Parsed):
        patch.setattr(OneLineParser, "parse_args", look)
        main([])
    return set(found)
