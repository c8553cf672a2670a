"""What is known of a run's weights: the run itself, and evaluations under attack and corruption."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from spectral_keras.data.checksums import json_checksum
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.evaluate.attacks import OUTCOMES
from spectral_keras.experiments.evaluate.corruption_sources import source_text
from spectral_keras.experiments.evaluate.plot import eps_text
from spectral_keras.experiments.folder import file_hash, read_json
from spectral_keras.experiments.train.options import PGD_STEPS, TrainOptions, recipe_values
from spectral_keras.experiments.train.run import RunFolder
from spectral_keras.models import registry

__all__ = ["Evaluations", "FinishedRun"]

# Options of the training that say which images it trained on and was tested on.
_DATA = ("dataset", "image_size", "grayscale", "limit", "validation_fraction", "seed")


class FinishedRun:
    """The folder of a training that came to its end.

    Attributes:
        folder, config, result: the `RunFolder`, the contents of config.json and result.json.
        options: the `TrainOptions`.

    Raises:
        CommandError: if it is none, or holds a network that is not of the zoo.
    """

    def __init__(self, path: str | os.PathLike):
        self.folder = RunFolder(path)
        if not self.folder.begun:
            raise CommandError(f"{path} is not the folder of a training run (no config.json)")
        self.config = self.folder.manifest()
        self.folder.check_finished("best.keras", "history.csv", "result.json")
        self.result = read_json(self.folder / "result.json")
        name = self.config.get("model")
        if name not in registry.names():
            raise CommandError(f"{path} is of {name!r}, which is no network of the zoo")
        self.options = TrainOptions.of_config(self.config)
        if self.options.gate != "none":
            raise CommandError(f"{path} has a channel gate, which no network of the zoo has")
        try:
            history, _ = self.result["history_sha256"], self.result["stopped_early"]
            self.result["test_accuracy"] + self.result["epochs"]
        except (KeyError, TypeError) as error:
            raise CommandError(f"{path}/result.json is damaged: {error}") from None
        if history != file_hash(self.folder / "history.csv"):
            raise CommandError(f"{path}/result.json is of another history.csv: evaluate it again")

    def data(self) -> dict[str, Any]:
        """What metadata.json says of the data."""
        values = {name: getattr(self.options, name) for name in _DATA}
        source = self.config.get("data") or {}
        return {
            "dataset": self.options.dataset,
            "version": source.get("version"),
            "images": self.result["images"],
            "options": values,
        }

    def training(self) -> dict[str, Any]:
        """What metadata.json says of the training."""
        recipe = registry.recipe(self.options.model)
        values = {name: getattr(self.options, name) for name in recipe_values(self.options.model)}
        names = (
            "best_epoch", "epochs", "stopped_early", "seconds", "images_per_second", "precision",
            "validation_accuracy", "validation_images", "test_accuracy", "backend", "versions",
            "commit", "command",
        )  # fmt: skip
        return {
            "recipe": ", ".join(
                [str(dataclasses.replace(recipe, **values)), *_objective(self.options)]
            ),
            "seeds": [self.options.seed],
            **{name: self.result.get(name) for name in names},
            "device": self.result.get("device", self.config.get("device")),
            "started_from": self.config.get("weights"),
            "result_sha256": json_checksum(self.result),
        }


def _objective(options: TrainOptions) -> Iterator[str]:
    """What else than clean images and labels a network was trained on, in words."""
    if options.aux != "none":
        yield f"auxiliary task: {options.aux}, weight {options.aux_weight:g}"
    if options.adversarial != "none":
        name, steps = options.adversarial.upper(), options.adversarial_steps
        if options.adversarial == "pgd":
            name += f"-{PGD_STEPS if steps is None else steps}"
        share = (
            ""
            if options.adversarial_share == 1
            else f", {options.adversarial_share:.4g} of a batch"
        )
        yield f"adversarial training: {name}, eps {eps_text(options.adversarial_eps, 'inf')}{share}"
    if options.suppression:
        yield f"power suppression of {options.suppression:.4g} of the images"
    if options.noise:
        yield f"noise of variance {options.noise:g} on the amplitudes of the spectrum"


class Evaluations:
    """Accuracies under attack and corruption that were measured with certain weights.

    Args:
        known: SHA-256 of a file of weights -> what it is, for the card.

    Attributes:
        attacks: list of dicts, one for each attack and eps.
        corruptions: a dict, None if there are none.
    """

    def __init__(self, known: dict[str, str]):
        self._known = known
        self.attacks: list[dict[str, Any]] = []
        self.corruptions: dict[str, Any] | None = None

    def add(self, folder: pathlib.Path, required: bool = False) -> None:
        """Take what result.json of a folder has.

        Raises:
            CommandError: if it is of other weights, or has nothing although `required`.
        """
        folder = pathlib.Path(folder)
        result = read_json(folder / "result.json")
        attacks, corruptions = result.get("attacks") or [], result.get("corruptions") or []
        if required and not (attacks or corruptions):
            raise CommandError(f"{folder} has no accuracies under attack or corruption")
        try:
            if attacks:
                digest = read_json(folder / OUTCOMES).get("model_sha256")
                self.attacks += self._attacks(attacks, self._weights(folder, digest))
            for entry in corruptions:
                weights = self._weights(folder, entry["model_sha256"])
                found = _corruptions(entry, weights)
                if self.corruptions is None or _rank(found) > _rank(self.corruptions):
                    self.corruptions = found
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise CommandError(f"{folder / 'result.json'} is damaged: {error!r}") from None

    def _weights(self, folder, digest):
        if digest not in self._known:
            raise CommandError(
                f"{folder} is an evaluation of other weights than this preset's: run it again"
            )
        return self._known[digest]

    @staticmethod
    def _attacks(entries, weights):
        names = ("attack", "norm", "steps", "step_size", "restarts", "seed", "labels")
        return [
            {
                **{name: entry[name] for name in names if name in entry},
                "eps": point["eps"],
                "images": entry["images"],
                "accuracy": point["accuracy"],
                "interval": point["interval"],
                "weights": weights,
            }
            for entry in entries
            for point in entry["points"]
            if point["eps"] > 0
        ]


def _corruptions(entry, weights):
    """One entry of "corruptions" in short: the mean over severities of each."""
    means = {
        name: sum(point["accuracy"] for point in points) / len(points)
        for name, points in entry["corruptions"].items()
    }
    counts = [point["severity"] for points in entry["corruptions"].values() for point in points]
    return {
        "mean_accuracy": sum(means.values()) / len(means),
        "accuracies": means,
        "severities": sorted(set(counts)),
        "benchmark": entry["mean_accuracy"] is not None,
        "images": entry["images"],
        "clean_accuracy": entry["clean"]["accuracy"],
        "source": source_text(entry, short=True),
        "weights": weights,
    }


def _rank(corruptions):
    """The card has the entry of the whole benchmark first, then that of more images."""
    return corruptions["benchmark"], corruptions["images"]
