"""Presets: networks of the zoo with their weights, by name or from a folder."""

import contextlib
import difflib
import functools
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from spectral_keras.data.checksums import without_checksum
from spectral_keras.data.files import read_regular
from spectral_keras.models import registry
from spectral_keras.models.weight_limit import weights_within
from spectral_keras.models.weights import NotFiniteError, assign_weights, read_weights
from spectral_keras.ops.validation import describe

__all__ = ["PRESETS", "Preset", "from_preset", "presets"]

CONFIG, METADATA, CARD, WEIGHTS = "config.json", "metadata.json", "README.md", "model.weights.npz"
WHAT = "preset of spectral_keras"
# The presets that this library brings: one folder each.
PRESETS = pathlib.Path(__file__).parent / "presets"
_LARGEST_JSON = 2**24
# What images may have, as `--image-size`: matrices of spectral poolings grow with its square.
_LARGEST_SIDE = 4096


class Preset:
    """A network of the zoo with weights, in a folder of its own.

    The folder holds `config.json` (what `models.build` takes, class names, the SHA-256 of the
    weights), `model.weights.npz` (float16, see `spectral_keras.models.weights`), `metadata.json`
    (where it comes from and what it was measured to be worth) and `README.md`, the model card.

    Args:
        name_or_folder: a name of `presets()`, or a folder.

    Attributes:
        folder: where it lies.
        name: of the preset, which for a folder is the folder's.
        network, options: name and options of the network, as `models.build` takes them.
        input_shape, num_classes, class_names: of the images and the classes.
        weights_path, sha256: the file of the weights, and what its SHA-256 has to be.

    Raises:
        ValueError: if there is none of that name or in that folder, or it is damaged.

    Example:

    >>> from spectral_keras.models.preset import Preset
    >>> preset = Preset("deep_spectral_digits")
    >>> preset.network, preset.input_shape, preset.num_classes
    ('deep_spectral', (32, 32, 1), 10)
    """

    def __init__(self, name_or_folder: str | os.PathLike):
        self.folder = _folder(name_or_folder)
        self.name = self.folder.resolve().name
        config = self._json(CONFIG)
        try:
            if config["what"] != WHAT:
                raise ValueError(f"{self.folder / CONFIG} is not of a preset")
            self.network: str = config["network"]
            self.options: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in config["options"].items()
            }
            height, width, channels = config["input_shape"]
            self.input_shape: tuple[int, int, int] = (height, width, channels)
            self.class_names: list[str] = [str(name) for name in config["class_names"]]
            self.sha256 = str(config["weights"]["sha256"])
            file = str(config["weights"]["file"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.folder / CONFIG} is not of a preset: {error!r}") from None
        self.weights_path = self.folder / file
        self.num_classes = len(self.class_names)
        self._check()

    def __repr__(self) -> str:
        return f"Preset({str(self.folder)!r})"

    def _check(self):
        """The config may be anybody's, and ask for anything."""
        where = f"{self.folder / CONFIG} is of"
        if self.network not in registry.names():
            raise ValueError(f"{where} an unknown network {describe(self.network)}")
        for option in self.options.keys() - registry.options(self.network).keys():
            raise ValueError(f"{where} an unknown option {describe(option)} of {self.network}")
        if not all(type(n) is int and 0 < n <= _LARGEST_SIDE for n in self.input_shape):
            raise ValueError(f"{where} images of the shape {describe(self.input_shape)}")
        if self.num_classes < 2:
            raise ValueError(f"{where} {self.num_classes} classes: a classifier has two at least")

    def _json(self, name):
        path = self.folder / name
        try:
            text = read_regular(path, inside=self.folder, limit=_LARGEST_JSON).decode()
            return without_checksum(json.loads(text))
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from None

    @functools.cached_property
    def metadata(self) -> dict[str, Any]:
        """The content of metadata.json: data, recipe, accuracies, size; read when asked for."""
        return self._json(METADATA)

    def weights(self) -> dict[str, np.ndarray]:
        """The weights by name, in float16; their SHA-256 is checked first.

        Raises:
            ValueError: if the file is missing, damaged or another one.
        """
        try:
            return read_weights(self.weights_path, self.sha256, inside=self.folder)
        except OSError as error:
            raise ValueError(f"{self.weights_path} cannot be read: {error}") from None

    def build(
        self,
        num_classes: int | None = None,
        load_weights: bool = True,
        *,
        input_shape: Sequence[int] | None = None,
    ) -> keras.Model:
        """The network, see `from_preset`."""
        classes = self.num_classes if num_classes is None else num_classes
        shape = self.input_shape if input_shape is None else input_shape
        try:
            if not load_weights:
                return registry.build(self.network, shape, classes, **self.options)
            arrays = self.weights()
            with self._within(arrays, classes):
                model = registry.build(self.network, shape, classes, **self.options)
            assign_weights(model, arrays, (self.num_classes, classes))
            return model
        except MemoryError:
            raise
        except Exception as error:  # whatever an option of the wrong kind leads to
            text = " ".join(str(error).split())
            kind = NotFiniteError if isinstance(error, NotFiniteError) else ValueError
            raise kind(f"preset {self.name}: {text}") from error

    def _within(self, arrays, classes):
        """Stops the building of a network that has more weights than there are."""
        count = sum(array.size for array in arrays.values())
        # All of them may be the head's.  What is a little too much is named by `assign_weights`.
        limit = 2 * count * max(classes, self.num_classes) // self.num_classes + 2**22

        def error(_):
            return ValueError(
                f"the network has more weights than the {count:,} of the file: they are of "
                "another one"
            )

        return weights_within(limit, error)


class _Presets(Mapping[str, dict[str, Any]]):
    """The presets of the library: name -> metadata, read when it is looked up."""

    def __getitem__(self, name: str) -> dict[str, Any]:
        if name not in self:
            raise KeyError(name)
        return Preset(name).metadata

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(path.parent.name for path in PRESETS.glob(f"*/{CONFIG}")))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"presets({', '.join(self)})"


def presets() -> Mapping[str, dict[str, Any]]:
    """The presets that come with the library: a mapping from names to their metadata.

    The metadata say what the weights were trained on and how, and what they were measured to be
    worth; they are read when they are looked up.  The same in words is the model card, README.md in
    the preset's folder.

    Example:

    >>> from spectral_keras import models
    >>> "deep_spectral_digits" in models.presets()
    True
    >>> models.presets()["deep_spectral_digits"]["data"]["dataset"]
    'digits'
    """
    return _Presets()


def from_preset(
    name_or_folder: str | os.PathLike,
    num_classes: int | None = None,
    load_weights: bool = True,
    *,
    input_shape: Sequence[int] | None = None,
) -> keras.Model:
    """Build a network of the zoo as a preset has it, with the preset's weights.

    The networks of the zoo are functions, not classes, so this is a function too: what it returns
    is what `models.build` returns, ready to be compiled, trained and saved.

    Args:
        name_or_folder: a name of `presets()`, or the folder of a preset of your own, as
            `python -m models.preset` writes it.
        num_classes: number of logits.  Another one than the preset's gives a new head, with fresh
            weights, on the preset's body.
        load_weights: False builds the same network with fresh weights.
        input_shape: (height, width, channels) of the images, by default those of the preset;
            networks with global pooling take the weights at other heights and widths too.

    Returns:
        A functional `keras.Model` from images in [0, 1] to logits, in the precision that Keras is
        set to; its weights come from float16, whose cost the model card has.

    Raises:
        ValueError: if there is no such preset (names that are near are listed), its files are
            damaged or the weights do not fit.

    Example:

    >>> import numpy as np
    >>> from spectral_keras import models
    >>> model = models.from_preset("deep_spectral_digits")
    >>> model(np.zeros((2, 32, 32, 1), "float32")).shape
    TensorShape([2, 10])
    >>> models.from_preset("deep_spectral_digits", num_classes=3).output_shape
    (None, 3)
    """
    return Preset(name_or_folder).build(num_classes, load_weights, input_shape=input_shape)


def _folder(name_or_folder):
    """The folder of a preset: names of the library's own come first."""
    if not isinstance(name_or_folder, (str, os.PathLike)):
        raise ValueError(
            "`name_or_folder` must be a name of presets() or the folder of a preset. "
            f"Received: name_or_folder={describe(name_or_folder)}"
        )
    text = os.fspath(name_or_folder)
    if text in presets():
        return PRESETS / text
    folder = pathlib.Path(text)
    with contextlib.suppress(OSError):  # a name that is too long for one
        if (folder / CONFIG).is_file():
            return folder
    known = list(presets())
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise ValueError(
        f"there is no preset {describe(text)}, nor a folder with a {CONFIG} of that name: {hint}"
    )
