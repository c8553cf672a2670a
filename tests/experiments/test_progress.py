"""The progress of a command, in a file and on a terminal."""

import re

import pytest

from spectral_keras.experiments.progress import Progress


def work(result="", units=3):
    with Progress("masks", "epoch") as bar:
        for done in range(1, units + 1):
            bar(done, 3)
        bar.result = result


@pytest.mark.parametrize(("result", "line"), [("", "masks: "), ("2 of 3", "masks: 2 of 3, ")])
def test_in_a_file_it_is_one_line(capsys, result, line):
    work(result)
    assert re.fullmatch(rf"{line}\d+\.\d s\n", capsys.readouterr().out)


@pytest.mark.parametrize("units", [3, 2])
def test_on_a_terminal_there_is_a_bar(capsys, monkeypatch, units):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    work(units=units)
    out = capsys.readouterr().out
    assert out.startswith("masks\n") and re.search(r"\d.*/3", out)
    assert re.search(r"\nmasks: \d+\.\d s\n$", out)


def test_what_fails_has_no_last_line(capsys):
    with pytest.raises(OSError), Progress("masks"):
        raise OSError
    assert capsys.readouterr().out == ""
