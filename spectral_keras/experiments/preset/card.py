"""The model card of a preset, and the table of all presets: both say what metadata.json says."""

import pathlib
from typing import Any

from spectral_keras.attacks import EPS
from spectral_keras.experiments import folder
from spectral_keras.experiments.evaluate.plot import eps_text

__all__ = ["COLUMNS", "NOT_MEASURED", "card", "csv_text", "row"]

NOT_MEASURED = "not measured"
COLUMNS = (
    "name", "data", "clean", "corruptions", "pgd", "parameters", "macs", "images_per_second",
    "images_per_core_second", "seeds",
)  # fmt: skip


def _percent(share):
    return f"{100 * share:.2f} %"


def _describe_point(point):
    low, high = point["interval"]
    return f"{_percent(point['accuracy'])} [{100 * low:.2f}, {100 * high:.2f}]"


def row(name: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """A preset's row of results.csv: accuracies in percent, "" for what was not measured.

    `pgd` is the lowest accuracy under L-inf PGD with eps 8/255, `corruptions` the mean over those
    that the card lists, `images_per_second` the speed of inference on the card's machine, busy or
    not, and `images_per_core_second` that in a second of one core's time.
    """
    corruptions, size = metadata["corruptions"], metadata["size"]
    attacked = [
        attack["accuracy"]
        for attack in metadata["attacks"]
        if attack["attack"] == "pgd" and attack["norm"] == "inf" and abs(attack["eps"] - EPS) < 1e-6
    ]
    values = (
        name,
        pathlib.PurePath(metadata["data"]["dataset"]).name,
        f"{100 * metadata['clean']['accuracy']:.2f}",
        f"{100 * corruptions['mean_accuracy']:.2f}" if corruptions else "",
        f"{100 * min(attacked):.2f}" if attacked else "",
        size["parameters"],
        size["macs"],
        round(size["images_per_second"]),
        round(size["images_per_core_second"]),
        " ".join(map(str, metadata["training"]["seeds"])),
    )
    return dict(zip(COLUMNS, values, strict=True))


def csv_text(presets: Any) -> str:
    """The text of results.csv, a row for each of a mapping from names to metadata."""
    return folder.csv_text(COLUMNS, (row(name, presets[name]) for name in presets))


def card(metadata: dict[str, Any], class_names: list[str]) -> str:
    """README.md of a preset."""
    name, data, licence = metadata["name"], metadata["data"], metadata["licence"]
    parts = [
        f"---\nlibrary_name: keras\nlicense: {licence.lower()}\ntags:\n- image-classification\n"
        f"- spectral_keras\n---\n\n# {name}",
        f"`{metadata['network']}` of spectral_keras ({metadata['summary']}; {metadata['paper']}), "
        f"options {_options(metadata['options'])}. Images {_shape(metadata['input_shape'])} in "
        f"[0, 1] to the logits of {len(class_names)} classes: {', '.join(class_names)}.",
        "```python\nfrom spectral_keras import models\n\n"
        f'model = models.from_preset("{name}")\n```',
        _table("Accuracy on the test images", _accuracies(metadata)),
        _corruption_lines(metadata["corruptions"]),
        _table("Size and speed", _size(metadata["size"], metadata["clean"]["images"])),
        _table("Training", _training(data, metadata["training"])),
        f"## Use\n\n{metadata['intended_use']}\n\nLimits: {metadata['limits']}\n\nLicence of the "
        f"weights: {licence}. The data have a licence of their own.",
        f"This card and `metadata.json` are written by `{metadata['made']['command']}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(title, rows):
    lines = [f"| {name} | {value} |" for name, value in rows]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *lines])


def _options(options):
    shown = [f"{name} {_as_typed(value)}" for name, value in options.items() if value != []]
    return ", ".join(shown) or "none"


def _as_typed(value):
    """As on the command line; a tuple comes back from JSON as a list."""
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else value


def _shape(shape):
    return "x".join(map(str, shape))


def _accuracies(metadata):
    clean, corruptions = metadata["clean"], metadata["corruptions"]
    yield "clean", f"{_describe_point(clean)} of {clean['images']:,} images"
    float32 = _percent(clean["float32_accuracy"])
    cost = f"{clean['float16_cost_points']:.2f} points"
    changed = f"classified otherwise: {clean['float16_changed_predictions']:,}"
    yield "with the run's float32 weights", f"{float32}; float16 on disk costs {cost}, {changed}"
    run = metadata["training"]
    yield (
        "the run's own result",
        f"{_percent(run['test_accuracy'])}, computed in {run['precision']}",
    )
    text = NOT_MEASURED
    if corruptions:
        text = (
            f"{_percent(corruptions['mean_accuracy'])}, mean over "
            f"{len(corruptions['accuracies'])} corruptions at severities "
            f"{', '.join(map(str, corruptions['severities']))}, {corruptions['images']:,} images "
            f"each (clean, of these images: {_percent(corruptions['clean_accuracy'])}); "
            f"{corruptions['weights']}"
        )
    yield "under corruptions", text
    if not any(attack["attack"] == "pgd" for attack in metadata["attacks"]):
        yield "under PGD", NOT_MEASURED
    for attack in metadata["attacks"]:
        yield f"under {attack['attack'].upper()}", _attack(attack)


def _attack(attack):
    how = [f"L{attack['norm'].removeprefix('l')} eps {eps_text(attack['eps'], attack['norm'])}"]
    if "steps" in attack:
        steps, step = f"{attack['steps']} steps", attack.get("step_size")
        if attack["attack"] == "pgd":
            steps += f" of {'2.5 eps / steps' if step is None else f'{step:g}'}"
        how.append(steps)
    if "restarts" in attack:
        how.append(f"{attack['restarts']} random start(s)")
    if "seed" in attack:
        how.append(f"seed {attack['seed']}")
    if attack.get("labels") == "predicted":
        how.append("predicted labels")
    point = f"{_describe_point(attack)} of {attack['images']:,} images"
    return f"{point}; {', '.join(how)}; {attack['weights']}"


def _corruption_lines(corruptions):
    if not corruptions:
        return ""
    accuracies = ", ".join(
        f"{name.replace('_', ' ')} {100 * value:.1f}"
        for name, value in corruptions["accuracies"].items()
    )
    return (
        f"Accuracy in percent under each corruption, mean over the severities: {accuracies}. "
        f"Corrupted images: {corruptions['source']}."
    )


def _size(size, images):
    yield "parameters", f"{size['parameters']:,}"
    yield (
        "multiply-accumulates for one image",
        f"{size['macs']:,} (convolutions as direct sums, dense layers)",
    )
    yield "file of the weights", f"{size['bytes']:,} bytes, float16"
    how = f"the fastest {min(images, 1000):,}, batches of {size['batch_size']}, {size['precision']}"
    where = f"{size['device']}, {size['cores']} cores with a load of {size['load']}"
    yield (
        "images a second",
        f"{size['images_per_second']:,.0f}: {how}, {size['backend']}, {where}; "
        f"{size['images_per_core_second']:,.0f} in a second of one core",
    )


def _training(data, training):
    images = data["images"]
    version = f" ({data['version']})" if data["version"] else ""
    yield (
        "data",
        f"{data['dataset']}{version}: {images['training']:,} training, {images['validation']:,} "
        f"validation and {images['test']:,} test images",
    )
    if training["started_from"]:
        yield "started from", f"{training['started_from']['given']}"
    yield "recipe", training["recipe"]
    yield "seeds", ", ".join(map(str, training["seeds"]))
    best = f"epoch {training['best_epoch']} of {training['epochs']}"
    how = "chosen by the validation images" if images["validation"] else "the last"
    yield "weights of", f"{best}, {how}"
    backend, device = training["backend"], training["device"] or "device not recorded"
    yield (
        "cost",
        f"{training['seconds'] / 60:,.1f} minutes, {training['precision']}, {backend}, {device}",
    )
    yield "command", f"`{training['command']}`"
    yield "commit", training["commit"] or "not recorded"
    versions = ", ".join(f"{name} {value}" for name, value in (training["versions"] or {}).items())
    yield "versions", versions
