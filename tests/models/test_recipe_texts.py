"""The text of each models/NAME.py says what the library's recipe and the committed results say."""

import ast
import json
import pathlib
import re

import pytest

from spectral_keras.models import registry

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPECTRAL = "deep_spectral"


def recipe_text(name):
    """The docstring of models/NAME.py, in one line."""
    tree = ast.parse((ROOT / "models" / f"{name}.py").read_text())
    return " ".join(ast.get_docstring(tree).split())


def disagreements(name, text):
    """What of a text is not in the recipe of the network, or not in the result that it names."""
    recipe = registry.recipe(name)
    found = [part for part in (str(recipe), recipe.summary) if part not in text]
    reaches = re.search(r"Reaches: (.*)", text)
    if reaches is None:
        return [*found, "Reaches"]
    folder = re.search(r"\((results/[\w-]+)\)", reaches[1])
    if folder is None:
        return found if re.match(r"not trained", reaches[1]) else [*found, "results/"]
    result = json.loads((ROOT / folder[1] / "result.json").read_text())
    of_result = {
        "network": (name, result["model"]),
        **_numbers(reaches[1], result),
        **{f"option {word}": (True, word in result["command"]) for word in _options(reaches[1])},
    }
    return [*found, *(what for what, (said, is_) in of_result.items() if said != is_)]


def _numbers(text, result):
    """What is said -> (value in the text, value in the result)."""
    match = re.search(r"([\d.]+) % of (\S+) in (\d+) minutes.*?(\d+) epochs", text)
    if match is None:
        return {"numbers": (text, None)}
    percent, dataset, minutes, epochs = match.groups()
    decimals = len(percent.partition(".")[2])
    return {
        "accuracy": (percent, f"{100 * result['test_accuracy']:.{decimals}f}"),
        "data set": (dataset.lower().replace("-", ""), result["dataset"]),
        "minutes": (int(minutes), round(result["seconds"] / 60)),
        "epochs": (int(epochs), result["epochs"]),
    }


def _options(text):
    return re.findall(r"--[\w-]+(?: [^\s(,-][^\s(,]*)?", text)


@pytest.mark.parametrize("name", registry.names())
def test_text_agrees_with_recipe_and_result(name):
    assert disagreements(name, recipe_text(name)) == []


def test_every_network_has_its_command_and_no_other():
    files = {path.stem for path in (ROOT / "models").glob("*.py")}
    assert files - {
        "__init__",
        "__main__",
        "corrupt",
        "evaluate",
        "explain",
        "preset",
        "registry",
    } == set(registry.names())


@pytest.mark.parametrize(
    ("right", "wrong", "what"),
    [
        ("learning rate 0.001", "learning rate 0.002", str(registry.recipe(SPECTRAL))),
        ("C192x3", "C192x4", registry.recipe(SPECTRAL).summary),
        ("82.99 %", "82.98 %", "accuracy"),
        ("CIFAR-10 in", "CIFAR-100 in", "data set"),
        ("51 minutes", "50 minutes", "minutes"),
        ("15 epochs", "16 epochs", "epochs"),
        ("--padding valid", "--padding same", "option --padding same"),
        ("results/deep_spectral-cifar10", "results/deep_spatial-cifar10", "accuracy"),
        ("Reaches: 82.99 %", "Reaches: much", "numbers"),
    ],
)
def test_a_wrong_text_is_noticed(right, wrong, what):
    text = recipe_text(SPECTRAL)
    assert right in text
    assert what in disagreements(SPECTRAL, text.replace(right, wrong))
