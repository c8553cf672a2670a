"""The images that `python -m models.explain` learns from, and what it does with the model."""

import math
from typing import Any

import keras
import numpy as np

from spectral_keras.classifiers.batches import batch_sizes, run_in_batches
from spectral_keras.classifiers.predictions import check_numbers
from spectral_keras.data.arrays import as_floats, balanced_prefix
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.train.fit_options import FEW

__all__ = ["Images", "batch_size", "peak_rate", "predictions"]

# Default batch: at most so many images, and with few images so many steps in an epoch.
_BATCH, _STEPS = 20, 50
_PREDICTED_AT_ONCE = 250


class Images:
    """The chosen images of a data set.

    Attributes:
        x, y: pixels as the model takes them, float32 [N, H, W, C], and classes: to learn from.
        order: their indices, the first of each class before the second of any.
        held_x, held_y: up to as many others of the same split; may be empty.
        class_names: list of names.
        source: JSON-plain dict, where they come from.
    """

    def __init__(self, subject: Any):
        options = subject.options
        split, wanted = options.split, options.images
        of_training = split != "test"
        data = subject.load_data(
            # For the test images a few training images show which classes there are.
            limit=options.limit if of_training or options.limit else FEW,
            limit_test=1 if of_training else 2 * wanted,
            validation_fraction=options.validation_fraction if of_training else 0,
            seed=options.split_seed,
        )
        pixels, labels = (getattr(data, f"{part}_{split}") for part in "xy")
        chosen = balanced_prefix(labels, wanted)
        others = np.setdiff1d(np.arange(len(labels)), chosen)
        if len(others) > wanted:
            others = others[balanced_prefix(labels[others], wanted)]
        low, high = options.pixel_range

        def scaled(part):
            unit = as_floats(part)
            if (low, high) == (0, 1):
                return unit
            return (np.float32(high - low) * unit + np.float32(low)).astype(np.float32)

        self.x, self.y = scaled(pixels[chosen]), labels[chosen]
        self.held_x, self.held_y = scaled(pixels[others]), labels[others]
        ranks = np.zeros(len(self.y), int)
        for label in np.unique(self.y):
            members = self.y == label
            ranks[members] = np.arange(members.sum())
        self.order = np.lexsort((self.y, ranks))
        self.class_names, self.source = data.class_names, data.source


def batch_size(model: keras.Model, wanted: int | None, count: int) -> int:
    """Images of a step: as wanted, or at most 20, so that there are 50 steps in an epoch.

    Less than that where the model is built for one batch size.
    """
    fixed = model.inputs[0].shape[0]
    if wanted is not None:
        if fixed is not None and fixed % wanted:
            raise CommandError(
                f"--batch-size {wanted} does not divide {fixed}, the batch size that the model is "
                "built for"
            )
        return wanted
    largest = max(1, min(_BATCH, count // _STEPS))
    if fixed is None:
        return largest
    return max(size for size in range(1, min(fixed, largest) + 1) if fixed % size == 0)


def peak_rate(count: int, size: int, epochs: int) -> float:
    """A peak of the one-cycle schedule that takes an entry 15 times the way from 1 to 0.

    Where the gradient of the penalty is small against the noise of the network's, Adam's steps are
    as much smaller than the rate.
    """
    return min(0.1, 30 / (epochs * math.ceil(count / size)))


def predictions(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The class that the model gives each image, int [N].

    Raises:
        FloatingPointError: if an output is not a number.
    """
    sizes = batch_sizes(model, _PREDICTED_AT_ONCE, len(x))
    values = run_in_batches(model.predict_on_batch, x, sizes)
    check_numbers(values)
    return values.argmax(axis=1)
