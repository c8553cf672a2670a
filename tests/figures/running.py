"""Running a figure's command as a user does."""

import os
import subprocess
import sys


def run_figure(name, folder, *arguments):
    """`python -m figures.NAME`, results in `folder`, runs in `folder`/runs."""
    command = [sys.executable, "-m", f"figures.{name}", "--results", str(folder)]
    command += ["--runs", str(folder / "runs"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
