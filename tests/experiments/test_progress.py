"""The progress of a command, in a file and on a terminal."""

import re

import pytest

from spectral_keras.experiments.progress import Progress, verbosity


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


@pytest.mark.parametrize(("terminal", "expected"), [(None, 0), (True, 1), (False, 2)])
def test_verbosity_of_keras(monkeypatch, terminal, expected):
    if terminal is None:
        monkeypatch.setattr("sys.stdout", None)
    else:
        monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert verbosity() == expected


def test_without_a_standard_output_it_shows_nothing(monkeypatch, capfd):
    monkeypatch.setattr("sys.stdout", None)
    work("3 of 3")
    assert capfd.readouterr() == ("", "")
