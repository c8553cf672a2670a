"""Training that starts from weights: of a preset, a `.keras` file or the folder of a run."""

import difflib
import os
import pathlib
from typing import Any

import keras

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import WorkFolder, file_hash
from spectral_keras.experiments.saved_models import find_preset, load_model, no_model, of_weights
from spectral_keras.experiments.train.options import network_arguments

__all__ = ["StartingWeights", "UnfitError", "freeze"]


class UnfitError(CommandError):
    """Weights to start from, or a layer to freeze, that are of another network."""


class StartingWeights:
    """What `--weights` names.

    Attributes:
        given: the option as it was given.
        path: the file of the weights.
        sha256: of that file.
        head: names of the weights that stayed fresh, for other classes; None before `load_into`.

    Raises:
        CommandError: if there is nothing of that name.
    """

    def __init__(self, given: str | os.PathLike):
        self.given = str(given)
        self.head: list[str] | None = None
        self._preset = find_preset(given)
        self.path = pathlib.Path(given)
        if self._preset is not None:
            self.path = self._preset.weights_path
        elif self.path.is_dir():
            self.path = self.path / "best.keras"
        if not self.path.is_file():
            raise no_model(self.path)
        self.sha256 = file_hash(self.path)

    def load_into(self, classifier: keras.Model) -> None:
        """Give a network these weights; a new head where the number of classes is another.

        Raises:
            UnfitError: if they are of another network.
            CommandError: if they cannot be read.
        """
        from spectral_keras.models.weights import NotFiniteError, assign_weights, named_weights

        place = f"--weights {self.given}{self._network()}: "
        try:
            if self._preset is not None:
                arrays, before = self._preset.weights(), self._preset.num_classes
            else:
                model = load_model(self.path)
                arrays, before = named_weights(model), model.outputs[0].shape[-1]
        except ValueError as error:
            raise of_weights(error, place) from error
        try:
            classes = (before, classifier.outputs[0].shape[-1])
            self.head = assign_weights(classifier, arrays, classes)
        except NotFiniteError as error:
            raise of_weights(error, place) from error
        except ValueError as error:
            raise UnfitError(f"{place}{error}") from error

    def _network(self) -> str:
        """The network that a preset is of, for an error."""
        if self._preset is None:
            return ""
        words = [self._preset.network]
        words += network_arguments(self._preset.network, self._preset.options)
        size = "x".join(map(str, self._preset.input_shape))
        return f" (of {' '.join(words)}, images of {size})"

    def __str__(self):
        """In a line, for people."""
        text = f"weights of {self.given} (SHA-256 {self.sha256[:12]}...)"
        return text if not self.head else f"{text}, new head {', '.join(self.head)}"

    def describe(self) -> dict[str, Any]:
        """What config.json says of them."""
        return {"given": self.given, "sha256": self.sha256, "new_head": self.head}

    def check_resumed(self, folder: WorkFolder) -> None:
        """Refuse to continue a run that was begun with other weights under that name."""
        stored = (folder.manifest().get("weights") or {}).get("sha256", self.sha256)
        if stored != self.sha256:
            raise folder.started_with(
                f"--weights {self.given} of the SHA-256 {str(stored)[:12]}...",
                f"{self.sha256[:12]}...",
            )


def freeze(classifier: keras.Model, name: str) -> None:
    """Keep the weights of a layer and of all layers before it as they are.

    Before it are those that `classifier.layers` lists before it, which `summary()` shows.  Batch
    normalisations among them use their moving statistics in training too.

    Raises:
        UnfitError: if there is no such layer, or nothing is left to train.
    """
    names = [layer.name for layer in classifier.layers]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or names[-3:]
        raise UnfitError(
            f"--freeze {name}: {classifier.name} has no such layer; it has {', '.join(near)}, ..."
        )
    for layer in classifier.layers[: names.index(name) + 1]:
        layer.trainable = False
    if not classifier.trainable_weights:
        raise UnfitError(f"--freeze {name}: nothing is left to train")
