"""Build wheel and sdist, check them, and try the wheel in fresh environments.

    make release-check

For Python 3.11 to 3.13 the wheel is installed with the newest dependencies that pip finds and with
the oldest that setup.cfg allows, and a small program runs in each environment; for the backends
JAX and PyTorch the oldest dependencies on the oldest Python and the newest on the newest.  All are
tried, and one that fails, or whose Python is not on the path, makes the check fail.  With pyenv:

    PYENV_VERSION=3.11.7:3.12.1:3.13.0 make release-check
"""

import argparse
import configparser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
# Python, end of the dependencies' range, extra.
COMBINATIONS = (
    *(f"{python},{end},tensorflow" for python in PYTHONS for end in ("oldest", "newest")),
    *(f"{place},{extra}" for extra in ("jax", "torch") for place in ("3.11,oldest", "3.13,newest")),
)

# What has to work right after `pip install 'spectral_keras[tensorflow]'`.
PROGRAM = """
import pathlib, tempfile
import keras, numpy as np
import spectral_keras
from spectral_keras import models
from spectral_keras.attacks import fgsm
from spectral_keras.layers import SpectralConv2D, SpectralPool

assert "site-packages" in spectral_keras.__file__, spectral_keras.__file__
model = models.from_preset("deep_spectral_digits")
images, labels = np.full((4, 32, 32, 1), 0.5, "float32"), np.arange(4)
assert model.predict(images, verbose=0).shape == (4, 10)
attacked = fgsm(model, images, labels, eps=0.1)
assert 0 < np.abs(attacked - images).max() <= 0.1
own = keras.Sequential([keras.Input((16, 16, 1)), SpectralConv2D(2, 3), SpectralPool(5)])
own.compile("sgd", "mse")
own.fit(images[:, :16, :16], np.zeros((4, 5, 5, 2)), verbose=0)
path = pathlib.Path(tempfile.mkdtemp()) / "own.keras"
own.save(path)
again = keras.models.load_model(path)
before, after = (one.predict(images[:, :16, :16], verbose=0) for one in (own, again))
assert np.allclose(before, after, atol=1e-6)
print("works with keras", keras.__version__, "numpy", np.__version__, keras.backend.backend())
"""


def requirements(extra):
    """What setup.cfg asks for: the core, and one extra."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"] + "\n"
    lines += config["options.extras_require"][extra]
    return [line.strip() for line in lines.splitlines() if re.match(r"\s*\w", line)]


# What has no wheels for a Python in the oldest version: the first one that has.
FIRST = {
    "3.12": {"pillow": "10.1.0"},
    "3.13": {
        "numpy": "2.1.0",
        "scipy": "1.14.1",
        "scikit-learn": "1.5.2",
        "threadpoolctl": "3.1.0",  # which scikit-learn 1.5 asks for
        "pillow": "11.0.0",
        "matplotlib": "3.9.2",
    },
}


def oldest(lines, python):
    """Pins of the lower bounds; what has no bound is left to pip."""
    bounds = dict(line.split(">=") for line in lines if ">=" in line) | FIRST.get(python, {})
    return [f"{name}=={version}" for name, version in bounds.items()]


class Failed(Exception):
    """A command ended with an error; the message is what it printed."""


def run(*command, **options):
    """What a command prints."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder):
    """The wheel, after both distributions were checked."""
    # A copy: what an earlier build left in the checkout must not come into the new one.
    source = folder / "source"
    kept = run("git", "ls-files", cwd=ROOT).splitlines()
    for name in kept:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", source)
    files = sorted((folder / "dist").iterdir())
    print(run(sys.executable, "-m", "twine", "check", "--strict", *files))
    (wheel,) = (folder / "dist").glob("*.whl")
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"spectral_keras"}, tops
    return wheel


def interpreter(version):
    """A Python of this version that starts, or None: a name on the path may be an empty one."""
    program = shutil.which(f"python{version}")
    if program and not subprocess.run([program, "-c", ""], capture_output=True).returncode:
        return program
    return None


def try_wheel(wheel, combination, folder):
    """Install the wheel into a fresh environment and run the program there; its last line."""
    version, end, extra = combination.split(",")
    python = interpreter(version)
    if python is None:
        raise Failed(f"no python{version} on the path")
    run(python, "-m", "venv", folder)
    inside = folder / "bin" / "python"
    pins = oldest(requirements(extra), version) if end == "oldest" else []
    run(inside, "-m", "pip", "install", "--quiet", f"{wheel}[{extra}]", *pins)
    run(inside, "-m", "pip", "check")
    return run(inside, "-c", PROGRAM, cwd=folder, env=os.environ | {"KERAS_BACKEND": extra})


def main():
    """Every combination, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="P,E,X", help="3.11,oldest,tensorflow")
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        chosen = parser.parse_args().only or COMBINATIONS
        wheel = build(scratch)
        for combination in chosen:
            folder = scratch / combination.replace(",", "-")
            try:
                last = try_wheel(wheel, combination, folder).splitlines()[-1]
            except Failed as error:
                failed.append(combination)
                last = f"FAILED\n{error}"
            print(f"{combination}: {last}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
    if failed:
        raise SystemExit(f"failed: {' '.join(failed)}")
    print(f"{wheel.name}: {len(chosen)} environments, all work")


if __name__ == "__main__":
    main()
