"""Accuracy of a run under attack: what is known, what is missing, the attacks."""

import pathlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from spectral_keras.attacks import NAMES, NORMS, STEPS, Attack
from spectral_keras.classifiers import predict_classes
from spectral_keras.evaluation import Outcome, accuracy_point, accuracy_points, attack_outcomes
from spectral_keras.experiments.command import CommandError, program
from spectral_keras.experiments.evaluate.options import OWN, EvaluateOptions
from spectral_keras.experiments.evaluate.plot import eps_text
from spectral_keras.experiments.folder import changes, file_hash, read_json, write_json
from spectral_keras.experiments.progress import Progress
from spectral_keras.experiments.provenance import commit, data_hash, versions

__all__ = ["OUTCOMES", "Entries", "add_call", "made_by", "run_attacks", "settings_of"]

OUTCOMES = "attacks.json"


class Entries:
    """attacks.json: what became of each image, for each attack with its settings.

    Only what was found with the model's weights of now is taken up.
    """

    def __init__(self, folder: pathlib.Path, model: pathlib.Path):
        self.path = folder / OUTCOMES
        self.model = file_hash(model)
        self.entries, self.outdated = [], False
        if not self.path.exists():
            return
        stored = read_json(self.path)
        if stored.get("model_sha256") != self.model:
            self.outdated = True
            return
        try:
            self.entries = [_decode(entry) for entry in stored["entries"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CommandError(
                f"{self.path} is damaged: delete it, and the attacks are run again"
            ) from None

    def entry(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The entry with these settings, a new one if there is none."""
        for entry in self.entries:
            if entry["settings"] == settings:
                return entry
        self.entries.append(_empty(settings))
        return self.entries[-1]

    def save(self) -> None:
        content = {
            "what": "one bit an image, in the order of the test images, as hexadecimal digits",
            "model_sha256": self.model,
            "entries": [_encode(entry) for entry in self.entries if entry["clean"] is not None],
        }
        write_json(self.path, content)

    def summary(self) -> list[dict[str, Any]]:
        """The "attacks" of result.json: a list of plain dicts."""
        return [
            {
                **entry["settings"],
                "images": len(entry["clean"]),
                "clean": accuracy_point(entry["clean"]),
                "points": [
                    {**point, "seconds": entry["seconds"][point["eps"]]}
                    for point in accuracy_points(
                        entry["settings"]["attack"], entry["outcomes"].values()
                    )
                ],
                "model_sha256": self.model,
                "data_sha256": entry["data"],
                "calls": entry["calls"],
            }
            for entry in self.entries
            if entry["outcomes"]
        ]


def _empty(settings):
    return {
        "settings": settings,
        "data": None,
        "clean": None,
        "outcomes": {},
        "seconds": {},
        "calls": [],
    }


def settings_of(attack: str, options: EvaluateOptions) -> dict[str, Any]:
    """What an attack's numbers depend on, besides eps; FGSM has no steps and draws nothing."""
    # By the names that the files have always had.
    settings = {"norm": options.norm, "labels": options.labels, "limit": options.images}
    return {"attack": attack} | settings | _own_settings(attack, options)


def _own_settings(attack, options):
    return {
        name: STEPS[attack] if name == "steps" and options.steps is None else getattr(options, name)
        for name in OWN[attack]
    }


def run_attacks(
    options: EvaluateOptions,
    entries: Entries,
    load: Callable[[], tuple],
    save: Callable[[], None],
    command: str,
) -> None:
    """Attack where outcomes are missing.

    Args:
        options: the `EvaluateOptions`.
        entries: the `Entries`.
        load: called without arguments if anything is missing; returns (model, images, classes).
        save: called after each eps.
        command: the command line for the files.
    """
    wanted = [(name, entries.entry(settings_of(name, options))) for name in options.attacks]
    if all(eps in entry["outcomes"] for _, entry in wanted for eps in options.radii):
        print("every eps of these attacks is known; nothing to compute", flush=True)
        return
    model, x, y = load()

    clean = predict_classes(model, x, batch_size=options.batch_size)
    data = data_hash(x, y)
    for name, entry in wanted:
        if entry["data"] not in (None, data):
            print(f"{name}: the test images are others than before: run again", file=sys.stderr)
            entry |= _empty(entry["settings"])
        missing = [eps for eps in options.radii if eps not in entry["outcomes"]]
        if not missing:
            continue
        entry |= {"clean": clean == y, "data": data}
        add_call(entry, made_by(command) | {"eps": []})
        _run_attack(name, entry, missing, options, model, x, y, clean, save)


def _run_attack(name, entry, missing, options, model, x, y, clean, save):
    bars = []
    outcomes = attack_outcomes(
        model,
        x,
        y,
        Attack(name, norm=options.norm, **_own_settings(name, options)),
        options.radii,
        labels=options.labels,
        batch_size=options.batch_size,
        clean=clean,
        known=list(entry["outcomes"].values()),
        progress=lambda eps, done, total: bars[-1](done, total),
    )
    for eps in missing:
        with Progress(f"{name}, eps {eps_text(eps, options.norm)}") as bar:
            bars.append(bar)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", RuntimeWarning)
                outcome = next(outcomes)
            entry["outcomes"][eps] = outcome
            entry["seconds"][eps] = round(bar.seconds, 1)
            entry["calls"][-1]["eps"].append(eps)
            save()
            point = accuracy_point(outcome.correct)
            low, high = point["interval"]
            bar.result = f"accuracy {point['accuracy']:.4f} ({low:.4f} to {high:.4f})"
        for warning in caught:
            print(f"{program('models.evaluate')}: warning: {warning.message}", file=sys.stderr)


def made_by(command: str) -> dict[str, Any]:
    """What a number comes from: command, backend, versions, commit."""
    import keras

    return {
        "command": command,
        "backend": keras.backend.backend(),
        "versions": versions(),
        "commit": commit(),
    }


def add_call(entry: dict[str, Any], call: dict[str, Any]) -> None:
    """Keep what the next numbers of an entry come from; say how that differs from the last ones."""
    before = entry["calls"][-1] if entry["calls"] else {}
    changed = changes(before if isinstance(before, dict) else {}, call, ("backend",))
    if changed:
        print(f"the numbers before are of {changed}", file=sys.stderr)
    entry["calls"].append(call)


def _encode(entry):
    return {
        "settings": entry["settings"],
        "calls": entry["calls"],
        "data_sha256": entry["data"],
        "images": len(entry["clean"]),
        "clean": _hex(entry["clean"]),
        "outcomes": [
            {
                "eps": outcome.eps,
                "seconds": entry["seconds"][outcome.eps],
                "correct": _hex(outcome.correct),
                "fooled": _hex(outcome.fooled),
            }
            for outcome in entry["outcomes"].values()
        ],
    }


def _decode(entry):
    count, stored = entry["images"], entry["outcomes"]
    if not {"attack", "norm", "labels", "limit"} <= set(entry["settings"]) or count < 1:
        raise ValueError("no settings of an attack, or no images")
    if entry["settings"]["attack"] not in NAMES or entry["settings"]["norm"] not in NORMS:
        raise ValueError("no such attack")
    return {
        "settings": dict(entry["settings"]),
        "calls": list(entry["calls"]),
        "data": entry["data_sha256"],
        "clean": _bits(entry["clean"], count),
        "seconds": {item["eps"]: item["seconds"] for item in stored},
        "outcomes": {
            item["eps"]: Outcome(
                float(item["eps"]), _bits(item["correct"], count), _bits(item["fooled"], count)
            )
            for item in stored
        },
    }


def _hex(mask):
    return np.packbits(mask).tobytes().hex()


def _bits(text, count):
    packed = np.frombuffer(bytes.fromhex(text), np.uint8)
    if len(packed) != -(-count // 8):
        raise ValueError(f"expected {count} bits")
    return np.unpackbits(packed, count=count).astype(bool)
