"""Build wheel and sdist, check them, and try the wheel in fresh environments.

    make release-check

For every Python from 3.11 to 3.13 that is found on the path the wheel is installed twice, with the
newest dependencies that pip finds and with the oldest that setup.cfg allows, and a small program
runs in each.  A combination for which there are no packages is an error, unless
`--only 3.12,newest` names another.
"""

import argparse
import configparser
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
ENDS = ("newest", "oldest")

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
assert np.allclose(again(images[:, :16, :16]), own(images[:, :16, :16]), atol=1e-6)
print("works with keras", keras.__version__, "numpy", np.__version__)
"""


def requirements(extra="tensorflow"):
    """What setup.cfg asks for: the core, and one extra."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"] + "\n"
    lines += config["options.extras_require"][extra]
    return [line.strip() for line in lines.splitlines() if re.match(r"\s*\w", line)]


# What has no wheels for a Python in the oldest version: the first one that has.
FIRST = {
    "3.13": {
        "numpy": "2.1",
        "scipy": "1.15",
        "scikit-learn": "1.6",
        "pillow": "11",
        "matplotlib": "3.10",
    }
}


def oldest(lines, python):
    """Pins of the lower bounds, to any of their patches; what has no bound is left to pip."""
    pins = []
    for line in lines:
        name, _, version = line.partition(">=")
        version = FIRST.get(python, {}).get(name, version)
        if version:
            pins.append(f"{name}=={version}" if version.count(".") == 2 else f"{name}=={version}.*")
    return pins


def run(*command, **options):
    """Run a command; what it printed is shown when it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
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


def try_wheel(wheel, version, end, folder):
    """Install the wheel into a fresh environment and run the program there."""
    run(interpreter(version), "-m", "venv", folder)
    inside = folder / "bin" / "python"
    wanted = [f"{wheel}[tensorflow]", *(oldest(requirements(), version) if end == "oldest" else ())]
    run(inside, "-m", "pip", "install", "--quiet", *wanted)
    run(inside, "-m", "pip", "check")
    lines = run(inside, "-c", PROGRAM, cwd=folder).splitlines()
    return lines[-1]


def main():
    """Every combination, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="PYTHON,END", help="such as 3.11,oldest")
    chosen = parser.parse_args().only or [f"{p},{end}" for p in PYTHONS for end in ENDS]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        wheel = build(scratch)
        tried = 0
        for combination in chosen:
            version, end = combination.split(",")
            if interpreter(version) is None:
                print(f"{combination}: no python{version} here")
                continue
            folder = scratch / combination.replace(",", "-")
            print(f"{combination}: {try_wheel(wheel, version, end, folder)}", flush=True)
            shutil.rmtree(folder)
            tried += 1
    if not tried:
        raise SystemExit(f"none of Python {', '.join(PYTHONS)} was found")


if __name__ == "__main__":
    main()
