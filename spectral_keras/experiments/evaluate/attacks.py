"""Accuracy of a run under attack: what is known, what is missing, the attacks."""

import hashlib
import sys
import time
import warnings

import numpy as np

from spectral_keras.attacks import predict_classes
from spectral_keras.evaluation import (
    ATTACKS,
    EPS,
    Outcome,
    accuracy_point,
    attack_outcomes,
    carry_over,
)
from spectral_keras.experiments.command import CommandError, command_line
from spectral_keras.experiments.evaluate.plot import eps_text
from spectral_keras.experiments.folder import file_hash, read_json, write_json
from spectral_keras.experiments.provenance import commit, versions

OUTCOMES = "attacks.json"


class Entries:
    """attacks.json: what became of each image, for each attack with its settings.

    Only what was found with the best.keras that is there now is taken up.
    """

    def __init__(self, folder):
        self.path = folder / OUTCOMES
        self.model = file_hash(folder / "best.keras")
        self.entries, self.outdated = [], False
        if not self.path.exists():
            return
        stored = read_json(self.path)
        if stored.get("model_sha256") != self.model:
            self.outdated = True
            return
        try:
            self.entries = [_decoded(entry) for entry in stored["entries"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CommandError(
                f"{self.path} is damaged: delete it, and the attacks are run again"
            ) from None

    def entry(self, settings):
        """The entry with these settings, a new one if there is none."""
        for entry in self.entries:
            if entry["settings"] == settings:
                return entry
        self.entries.append(_empty(settings))
        return self.entries[-1]

    def save(self):
        content = {
            "what": "one bit an image, in the order of the test images, as hexadecimal digits",
            "model_sha256": self.model,
            "entries": [_encoded(entry) for entry in self.entries if entry["clean"] is not None],
        }
        write_json(self.path, content)

    def summary(self):
        """The "attacks" of result.json: a list of plain dicts."""
        return [
            {
                **entry["settings"],
                "images": len(entry["clean"]),
                "clean": accuracy_point(entry["clean"]),
                "points": [
                    {
                        "eps": outcome.eps,
                        **accuracy_point(outcome.correct),
                        "seconds": entry["seconds"][outcome.eps],
                    }
                    for outcome in carry_over(
                        entry["settings"]["attack"], entry["outcomes"].values()
                    )
                ],
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


def settings_of(attack, options):
    """What an attack's numbers depend on, besides eps; FGSM has no steps and draws nothing."""
    names = ("norm", "labels", "limit")
    if attack == "pgd":
        names += ("steps", "step_size", "restarts", "seed")
    return {"attack": attack} | {name: options[name] for name in names}


def run_attacks(options, entries, load, save, argv=None):
    """Attack where outcomes are missing.

    Args:
        options: those of the command.
        entries: the `Entries`.
        load: called without arguments if anything is missing; returns (model, images, classes).
        save: called after each eps.
        argv: the command line for the files, None for the process' own.
    """
    wanted = [(name, entries.entry(settings_of(name, options))) for name in options["attack"]]
    missing = [sum(eps not in entry["outcomes"] for eps in options["eps"]) for _, entry in wanted]
    if not sum(missing):
        print("every eps of these attacks is known; nothing to compute", flush=True)
        return
    model, x, y = load()

    clean = predict_classes(model, x, batch_size=options["batch_size"])
    data = data_hash(x, y)
    for name, entry in wanted:
        if entry["data"] not in (None, data):
            print(f"{name}: the test images are others than before: run again", file=sys.stderr)
            entry |= _empty(entry["settings"])
        if all(eps in entry["outcomes"] for eps in options["eps"]):
            continue
        entry |= {"clean": clean == y, "data": data}
        entry["calls"].append(made_by(argv) | {"eps": []})
        _run_attack(name, entry, options, model, x, y, clean, save)


def _run_attack(name, entry, options, model, x, y, clean, save):
    line = _Line()
    outcomes = attack_outcomes(
        model,
        x,
        y,
        name,
        options["eps"],
        **{key: options[key] for key in ("norm", "labels", "steps", "step_size", "restarts")},
        seed=options["seed"],
        batch_size=options["batch_size"],
        clean=clean,
        known=list(entry["outcomes"].values()),
        progress=lambda eps, done, total: line.show(
            f"{name}, eps {eps_text(eps, options['norm'])}: {100 * done // total} %"
        ),
    )
    while True:
        begin = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RuntimeWarning)
            outcome = next(outcomes, None)
        line.clear()
        for warning in caught:
            print(f"models.evaluate: warning: {warning.message}", file=sys.stderr)
        if outcome is None:
            return
        entry["outcomes"][outcome.eps] = outcome
        entry["seconds"][outcome.eps] = round(time.perf_counter() - begin, 1)
        entry["calls"][-1]["eps"].append(outcome.eps)
        save()
        point = accuracy_point(outcome.correct)
        print(
            f"{name}, eps {eps_text(outcome.eps, options['norm'])}: accuracy "
            f"{point['accuracy']:.4f} ({point['interval'][0]:.4f} to {point['interval'][1]:.4f}), "
            f"{entry['seconds'][outcome.eps]:.1f} s",
            flush=True,
        )


class _Line:
    """A line on a terminal that is written over; nothing where the output is a file."""

    def __init__(self):
        self.length = 0

    def show(self, text):
        if sys.stdout.isatty():
            print("\r" + text.ljust(self.length), end="", flush=True)
            self.length = len(text)

    def clear(self):
        if self.length:
            print("\r" + " " * self.length + "\r", end="", flush=True)
            self.length = 0


def data_hash(x, y):
    """Of the test images and their classes."""
    digest = hashlib.sha256(np.ascontiguousarray(x))
    digest.update(np.asarray(y, np.int64))
    return digest.hexdigest()


def made_by(argv):
    """What a number comes from: command, backend, versions, commit."""
    import keras

    return {
        "command": command_line("models.evaluate", argv),
        "backend": keras.backend.backend(),
        "versions": versions(),
        "commit": commit(),
    }


def _encoded(entry):
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


def _decoded(entry):
    count, stored = entry["images"], entry["outcomes"]
    if not {"attack", "norm", "labels", "limit"} <= set(entry["settings"]) or count < 1:
        raise ValueError("no settings of an attack, or no images")
    if entry["settings"]["attack"] not in ATTACKS or entry["settings"]["norm"] not in EPS:
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
