"""Running a figure's command as a user does."""

import os
import subprocess
import sys

import pytest

from figures import _figure


def run_figure(name, folder, *arguments):
    """`python -m figures.NAME`, results in `folder`, runs in `folder`/runs."""
    command = [sys.executable, "-m", f"figures.{name}", "--results", str(folder)]
    command += ["--runs", str(folder / "runs"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)


def run_here(figure, capsys, *arguments):
    """(status, last line of stderr) of a figure's command in this process."""
    with pytest.raises(SystemExit) as left:
        _figure.main(figure, arguments)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 1, lines
    return left.value.code, lines[0] if lines else ""


def smoke_results(figure, tmp_path_factory):
    """Folder with what the smoke preset leaves, without the picture."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setattr(_figure, "_draw", lambda *_: None)
        _figure.main(figure, ["--preset", "smoke", "--results", str(folder)])
    assert left.value.code == 0
    return folder
