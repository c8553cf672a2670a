"""Pages of the zoo, one a family of networks, from the registry and the model cards."""

import inspect
import pathlib
import re

from docs._extension.files import ROOT, write_folder

TITLES = {
    "generic_cnn": "Generic CNN",
    "deep_spectral": "Deep spectral network",
    "spectral_pool_cnn": "Spectral pooling network",
    "fourier_cnn": "Fourier CNN",
    "quick_spectral": "Quick spectral network",
    "resnet18": "ResNet-18",
    "resnext29": "ResNeXt-29",
    "googlenet": "GoogLeNet",
    "efficientnet_b0": "EfficientNet-B0",
    "mobilenet_v2": "MobileNetV2",
    "vgg": "VGG",
}


def _families():
    """Family, the name of its module -> names of its networks."""
    from spectral_keras.models import factory, names

    families = {}
    for name in names():
        families.setdefault(factory(name).__module__.rpartition(".")[2], []).append(name)
    return families


def family_of_preset(preset):
    """The page of a preset."""
    from spectral_keras.models import presets

    network = presets()[preset]["network"]
    return next(family for family, names in _families().items() if network in names)


def _weights():
    """Network -> trainable weights, from the table of the README, which the tests check."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+) \|$", (ROOT / "README.md").read_text(), re.M)
    return dict(rows)


def _eval_rst(lines):
    return ["```{eval-rst}", *lines, "```", ""]


def _network(name, weights):
    """The part of a family's page about one network."""
    from spectral_keras.models import factory, recipe

    module = factory(name).__module__
    one = recipe(name)
    text = (ROOT / "models" / f"{name}.py").read_text()
    reaches = re.search(r"^Reaches: (.*?)^\"\"\"", text, re.M | re.S)[1]
    lines = [f"## {name}", "", "| | |", "|---|---|"]
    lines += [f"| layers | {one.summary} |", f"| source | {one.paper} |"]
    lines += [f"| trainable weights | {weights[name]} (32x32x3 images, ten classes) |"]
    lines += [f"| recipe | {one} |", f"| reaches | {' '.join(reaches.split())} |", ""]
    lines += ["```python", "from spectral_keras import models", ""]
    lines += [f'network = models.build("{name}", (32, 32, 3), 10)', "```", ""]
    lines += ["```bash", f"python -m models.{name} --dataset cifar10", "```", ""]
    built = factory(name).__name__
    return lines + _eval_rst([f".. autofunction:: {module}.{built}", "   :no-index-entry:"])


def _card(preset):
    """A preset's model card, as a section of a page."""
    text = (ROOT / "spectral_keras/models/presets" / preset / "README.md").read_text()
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    return re.sub(r"^(#+) ", r"#\1 ", text.strip(), flags=re.M)


def _page(family, names, weights):
    import importlib

    from docs._extension.docstrings import to_rest
    from spectral_keras.models import presets

    module = importlib.import_module(f"spectral_keras.models.{family}")
    lines = [f"# {TITLES[family]}", "", *_eval_rst(to_rest(inspect.getdoc(module).splitlines()))]
    for name in names:
        lines += _network(name, weights)
    for preset, metadata in presets().items():
        if metadata["network"] in names:
            lines += [_card(preset), ""]
    return "\n".join(lines)


def _percent(number):
    return "" if number is None else f"{100 * number:.2f} %"


def _index(families, weights):
    from spectral_keras.experiments.zoo import LEGEND
    from spectral_keras.models import presets, recipe

    lines = ["# The zoo", ""]
    lines += [
        "Networks for small images, from images in [0, 1] to logits: `models.build(NAME)` in",
        "Python, `python -m models.NAME` trains one with its recipe. Weights are those of 32x32x3",
        "images and ten classes.",
        "",
        "| network | layers | source | trainable weights |",
        "|---|---|---|---:|",
    ]
    for family, names in families.items():
        for name in names:
            one = recipe(name)
            link = f"[`{name}`]({family}.md)"
            lines += [f"| {link} | {one.summary} | {one.paper} | {weights[name]} |"]
    lines += ["", LEGEND, "", "## Weights by name", ""]
    lines += [
        "`models.from_preset(NAME)` loads them. How each number came about stands on the network's",
        "page; brackets are 95 % intervals over the test images.",
        "",
        "| preset | data | clean | under corruptions | parameters |",
        "|---|---|---|---:|---:|",
    ]
    for preset, metadata in presets().items():
        clean, corrupted = metadata["clean"], metadata.get("corruptions")
        low, high = (f"{100 * end:.2f}" for end in clean["interval"])
        data = pathlib.PurePath(metadata["data"]["dataset"]).name
        lines += [
            f"| [`{preset}`]({family_of_preset(preset)}.md) | {data} "
            f"| {_percent(clean['accuracy'])} [{low}, {high}] "
            f"| {_percent(corrupted and corrupted['mean_accuracy'])} "
            f"| {metadata['size']['parameters']:,} |"
        ]
    lines += ["", "```{toctree}", ":hidden:", "", *families, "```", ""]
    return "\n".join(lines)


def write(source):
    """Write the pages of the zoo into the folder zoo/ of the site's source."""
    families, weights = _families(), _weights()
    pages = {f"{family}.md": _page(family, names, weights) for family, names in families.items()}
    pages["index.md"] = _index(families, weights)
    write_folder(f"{source}/zoo", pages)
