"""Versions that are written in several files are the same everywhere."""

import configparser
import pathlib
import re

import pytest

import spectral_keras

ROOT = pathlib.Path(__file__).resolve().parent.parent


def _extra(name):
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["options.extras_require"][name]


def test_all_files_know_the_version():
    citation = (ROOT / "CITATION.cff").read_text()
    changes = (ROOT / "CHANGELOG.md").read_text()
    version, released = re.search(
        r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE
    ).groups()
    assert version == spectral_keras.__version__
    assert f"version: {version}\n" in citation
    assert f"date-released: {released}\n" in citation
    readme = (ROOT / "README.md").read_text()
    assert f"version = {{{version}}},\n  year = {{{released[:4]}}}," in readme
    assert re.findall(r"^## .*", changes, re.MULTILINE)[0] == "## Unreleased"
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["metadata"]["version"] == "attr: spectral_keras.__version__"


@pytest.mark.parametrize("tool", ["ruff", "mypy"])
def test_hooks_and_test_extra_pin_the_same_version(tool):
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    (hook,) = re.findall(rf"{tool}[\w-]*\n\s+rev: v([\d.]+)", hooks)
    assert f"{tool}=={hook}\n" in _extra("test") + "\n"
