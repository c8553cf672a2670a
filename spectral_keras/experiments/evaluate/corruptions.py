"""Accuracy of a run under the common corruptions: what is known, what is missing, the baseline."""

import pathlib
import sys
from collections.abc import Callable
from typing import Any

from spectral_keras.corruptions import names as corruption_names
from spectral_keras.corruptions import table_for
from spectral_keras.evaluation import mean_accuracy, mean_corruption_error
from spectral_keras.experiments.command import CommandError, command_line
from spectral_keras.experiments.evaluate.attacks import add_call, made_by
from spectral_keras.experiments.evaluate.corruption_sources import (
    Generated,
    ReadyMade,
    clean_note,
    source_text,
)
from spectral_keras.experiments.evaluate.options import EvaluateOptions
from spectral_keras.experiments.folder import file_hash, read_json
from spectral_keras.experiments.progress import Progress
from spectral_keras.experiments.provenance import data_hash

__all__ = ["print_table", "run_corruptions"]


def run_corruptions(
    options: EvaluateOptions,
    source: Generated | ReadyMade,
    path: pathlib.Path,
    stored: Any,
    load: Callable[[], tuple],
    save: Callable[..., None],
    command: str,
) -> dict[str, Any]:
    """Evaluate where accuracies are missing; returns the entry of these settings.

    Entries are the list "corruptions" of result.json, one for each source of the corrupted images,
    limit and seed.

    Args:
        options: the `EvaluateOptions`.
        source: of `source_of`.
        path: the .keras file.
        stored: content of result.json, {} if there is none.
        load: called without arguments if anything is missing; returns (model, images uint8,
            classes).
        save: called with the list of entries after each corruption.
        command: the command line for the files.

    Raises:
        CommandError: if the baseline cannot be compared with.
    """
    settings = source.settings(str(options.dataset))
    entries, entry = _entries(path, stored, settings)
    wanted = options.corruption_names
    source.check_names(wanted)
    _drop_changed(source, entry)
    baseline = _baseline(options.baseline, source, settings, {*wanted, *entry["corruptions"]})
    missing = [name for name in wanted if name not in entry["corruptions"]]
    if not missing:
        print("every one of these corruptions is known; nothing to compute", flush=True)
    else:
        source.open()
        model, images, y = load()
        source.check_run(model, images, y)
        _drop_changed(source, entry)
        missing = [name for name in wanted if name not in entry["corruptions"]]
        data = data_hash(images, y)
        if entry["data_sha256"] not in (None, data):
            print("the test images are others than before: run again", file=sys.stderr)
            entry |= _empty(settings, entry["model_sha256"])
            missing = wanted
        entry |= {"data_sha256": data, "images": len(y), "table": table_for(*images.shape[1:3])}
        add_call(entry, made_by(command) | {"corruptions": []})
        for name in missing:
            _run_one(name, entry, source, model, images, y)
            _summarise(entry, None, None)
            save(entries)
    if baseline is not None and baseline.get("data_sha256") != entry["data_sha256"]:
        raise CommandError(
            f"--baseline {options.baseline} was evaluated on other test images: they cannot be "
            "compared"
        )
    if baseline is not None and not _same_images(baseline, entry):
        raise CommandError(
            f"--baseline {options.baseline} was evaluated on other corrupted images "
            f"({source_text(baseline)}, not {source_text(entry)}): they cannot be compared"
        )
    _summarise(entry, baseline, options.baseline)
    save(entries)
    return entry


def _empty(settings, digest):
    return {
        "settings": settings,
        "model_sha256": digest,
        "data_sha256": None,
        "clean": None,
        "corruptions": {},
        "calls": [],
    }


def _entries(path, stored, settings):
    """The entries of result.json that are of the weights of now, and the one of these settings."""
    digest = file_hash(path)
    stored = _check(stored)
    entries = [entry for entry in stored if entry["model_sha256"] == digest]
    if len(entries) < len(stored):
        print("accuracies under corruption of other weights are dropped", file=sys.stderr)
    for entry in entries:
        if entry["settings"] == settings:
            return entries, entry
    entries.append(_empty(settings, digest))
    return entries, entries[-1]


def _check(content, where="result.json"):
    """The "corruptions" of a result.json, which anybody may have written."""
    stored = content.get("corruptions", [])
    keys = set(_empty(None, None))
    if not isinstance(stored, list) or not all(
        isinstance(entry, dict) and keys <= set(entry) and _is_entry(entry) for entry in stored
    ):
        raise CommandError(f'{where} is damaged: delete its "corruptions", and they are run again')
    return stored


def _is_entry(entry):
    """Whether an entry that may have been written by anybody can be shown and added to."""
    dicts = [entry["settings"], entry["corruptions"], entry.get("source", {})]
    if not all(isinstance(part, dict) for part in dicts) or not isinstance(entry["calls"], list):
        return False
    points = [entry["clean"]] if entry["clean"] is not None or entry["corruptions"] else []
    try:
        for name, severities in entry["corruptions"].items():
            if name not in corruption_names("all") or not [p["severity"] + 0 for p in severities]:
                return False
            points += severities
        return all(0 <= point["accuracy"] <= 1 for point in points) and all(
            isinstance(call, dict) and isinstance(call.get("versions", {}), dict)
            for call in entry["calls"]
        )
    except (KeyError, TypeError):
        return False


def _drop_changed(source, entry):
    """Forget the accuracies of ready-made images that are others now."""
    changed = source.changed(entry)
    if changed:
        print(
            f"the images of {', '.join(changed)} are others than before: run again", file=sys.stderr
        )
    for name in changed:
        del entry["corruptions"][name]


def _run_one(name, entry, source, model, images, y):
    with Progress(name) as bar:
        found = source.accuracies(
            model, images, y, name, entry, lambda _, severity, done, total: bar(done, total)
        )
        entry["clean"] = found["clean"]
        entry["source"] = source.described(entry, name)
        entry["corruptions"] |= found["corruptions"]
        entry["calls"][-1]["corruptions"].append(name)
        points = found["corruptions"][name]
        accuracies = " ".join(f"{point['accuracy']:.4f}" for point in points)
        bar.result = f"accuracy {accuracies} at severities {_severities(points)}"


def _severities(points):
    numbers = [point["severity"] for point in points]
    if numbers == list(range(1, len(numbers) + 1)):
        return f"1 to {len(numbers)}"
    return " ".join(map(str, numbers))


def _baseline(path, source, settings, names):
    """The entry of the run to compare with, None without one; found out before any work."""
    if path is None:
        return None
    path = pathlib.Path(path)
    if not (path / "result.json").is_file():
        raise CommandError(f"--baseline {path} holds no result.json of a finished run")
    stored = _check(read_json(path / "result.json"), path / "result.json")
    if not stored:
        raise CommandError(
            f"--baseline {path} has no accuracies under corruption yet: "
            f"{command_line('models.evaluate', [str(path), '--corruptions'])} makes them"
        )
    entries = [entry for entry in stored if _comparable(entry["settings"], settings)]
    if not entries:
        alike = [e for e in stored if e["settings"].get("source") == settings["source"]]
        if not alike:
            raise CommandError(
                f"--baseline {path} has only accuracies on corrupted images of another source "
                f"({source_text(stored[-1])}): they cannot be compared"
            )
        shown = ", ".join(
            f"{key} {settings[key]}" for key in ("dataset", "limit", "seed") if key in settings
        )
        raise CommandError(
            f"--baseline {path} was not evaluated with {shown}, as this run is: they cannot be "
            "compared"
        )
    # The entry of the files that this run is evaluated on, where there are several.
    entry = max(entries, key=lambda entry: _count_agreeing(source, entry, names))
    lacking = sorted(names - set(entry["corruptions"]))
    if lacking:
        raise CommandError(
            f"--baseline {path} has no accuracies under {', '.join(lacking)} yet: "
            f"{command_line('models.evaluate', [str(path), '--corruptions'])} makes them"
        )
    return entry


def _comparable(one, other):
    """Whether settings are the same, but for the place of the files."""
    return all(one.get(key) == other.get(key) for key in (one.keys() | other.keys()) - {"path"})


def _count_agreeing(source, entry, names):
    """The number of corruptions whose ready-made images an entry shares with the source."""
    known = entry.get("source", {}).get("identities", {})
    if getattr(source, "corrupted", None) is None:
        return 0
    return sum(name in known and known[name] == source.identity(name) for name in names)


def _same_images(baseline, entry):
    """Whether both were evaluated on the same ready-made images, if on such at all."""
    known = [part.get("source", {}).get("identities", {}) for part in (baseline, entry)]
    return all(
        known[0].get(name) == known[1].get(name)
        for name in set(known[0]) | set(known[1])
        if name in entry["corruptions"]
    )


def _summarise(entry, baseline, path):
    """Means over what is there, and the errors relative to the baseline's."""
    for key in ("baseline", "mean_corruption_error", "relative_mean_corruption_error"):
        entry.pop(key, None)  # of fewer corruptions, perhaps
    names = [name for name in corruption_names("benchmark") if name in entry["corruptions"]]
    whole = len(names) == len(corruption_names("benchmark"))
    entry["mean_accuracy"] = mean_accuracy(entry) if whole else None
    if baseline is None:
        return
    names = names if whole else list(entry["corruptions"])
    try:
        errors = mean_corruption_error(entry, baseline, names=names)
    except ValueError as error:
        raise CommandError(f"--baseline {path}: {error}") from error
    try:
        relative = mean_corruption_error(entry, baseline, names=names, relative=True)
    except ValueError:  # a corruption costs the baseline nothing: nothing to divide by
        relative = None
    entry |= {
        "baseline": str(path),
        "mean_corruption_error": errors,
        "relative_mean_corruption_error": relative,
    }


def print_table(content: dict[str, Any]) -> None:
    table = content["corruptions"]
    errors = content.get("mean_corruption_error", {}).get("corruption_errors", {})
    print(f"{content['images']:,} test images, clean {100 * content['clean']['accuracy']:.2f} %")
    print(f"corrupted images: {source_text(content)}")
    if note := clean_note(content):
        print(f"note: {note}")
    for name, points in table.items():
        accuracies = [100 * point["accuracy"] for point in points]
        row = " ".join(f"{accuracy:6.2f}" for accuracy in accuracies)
        ratio = f"  error {errors[name]:.1f} % of the baseline's" if name in errors else ""
        print(f"  {name:18} {row}  mean {sum(accuracies) / len(accuracies):6.2f} %{ratio}")
    if content["mean_accuracy"] is not None:
        print(f"mean accuracy of the benchmark's 15: {100 * content['mean_accuracy']:.2f} %")
    if "mean_corruption_error" in content:
        relative = content["relative_mean_corruption_error"]
        shown = "" if relative is None else f", relative {relative['mce']:.1f}"
        over = "" if content["mean_accuracy"] is not None else f" over {len(errors)} corruptions"
        print(
            f"mCE{over} against {content['baseline']}: "
            f"{content['mean_corruption_error']['mce']:.1f}{shown}"
        )
