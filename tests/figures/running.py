"""Running a figure's command."""

import contextlib
import importlib
import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from figures import _figure


def run_figure(name, folder, *arguments):
    """`python -m figures.NAME` in this process, results in `folder`, runs in `folder`/runs.

    Returns:
        `returncode`, `stdout` and `stderr`, as of a process.
    """
    figure = importlib.import_module(f"figures.{name}").FIGURE
    places = ["--results", str(folder)]
    if "--preset" in arguments and "runs" in figure.uses:
        places += ["--runs", str(folder / "runs")]
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        _figure.main(figure, [*places, *arguments])
    return SimpleNamespace(returncode=left.value.code, stdout=out.getvalue(), stderr=err.getvalue())


def start_figure(name, folder):
    """`python -m figures.NAME` in a process of its own, as a user starts it."""
    command = [sys.executable, "-m", f"figures.{name}", "--results", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)


def run_here(figure, capsys, *arguments):
    """(status, last line of stderr) of a figure's command in this process."""
    with pytest.raises(SystemExit) as left:
        _figure.main(figure, arguments)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 1, lines
    return left.value.code, lines[0] if lines else ""


def smoke_results(figure, tmp_path_factory):
    """Folder with what the smoke preset leaves, without the picture; runs in folder/runs."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_figure, "_draw", lambda *_: None)
        done = run_figure(figure.name, folder, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    return folder
