"""The numbers of `python -m models.explain`."""

import csv
import io
import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from spectral_keras.analysis import (
    angular_energies,
    angular_wedges,
    band_counts,
    complement,
    filtered_images,
    radial_bands,
    radial_energies,
    sparsity,
    zero_share,
)
from spectral_keras.analysis.masks import ImageMasks, SetMasks
from spectral_keras.classifiers import wilson_interval
from spectral_keras.experiments.explain.source import predictions
from spectral_keras.ops.filters import squared_radius

__all__ = [
    "accuracies",
    "band_numbers",
    "energies",
    "energies_csv",
    "filtered",
    "mask_numbers",
    "power_kept",
    "share",
    "single_numbers",
    "thirds",
]

_MOST_BANDS = 64
# Thirds of the radius min(height, width) / 2; "high" reaches to the corners.
BANDS = ("low", "middle", "high")


def share(hits: np.ndarray) -> dict[str, Any] | None:
    """A share of counted images with its 95 % Wilson interval, plain values; None of nothing."""
    count, hit = len(hits), int(np.sum(hits))
    if not count:
        return None
    return {
        "share": hit / count,
        "interval": list(wilson_interval(hit, count)),
        "count": hit,
        "images": count,
    }


def accuracies(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    mask: np.ndarray,
    plain: np.ndarray | None = None,
) -> dict[str, Any] | None:
    """Accuracy on images plain, through the mask and through its complement; None of no images."""
    if not len(x):
        return None
    plain = predictions(model, x) if plain is None else plain
    found = {"plain": share(plain == y)}
    for name, own in (("masked", mask), ("complement", complement(mask))):
        found[name] = share(predictions(model, filtered(x, own)) == y)
    return found


def filtered(x: np.ndarray, masks: np.ndarray) -> np.ndarray:
    return filtered_images(x, masks, data_format="channels_last")


def thirds(height: int, width: int) -> np.ndarray:
    """0, 1 or 2 of each frequency: which third of the radius, unshifted order."""
    square = 36 * squared_radius(height, width)
    smaller = min(height, width) ** 2
    return np.where(square < smaller, 0, np.where(square < 4 * smaller, 1, 2))


def mask_numbers(learned: SetMasks, place: int, x: np.ndarray | None = None) -> dict[str, Any]:
    """What one mask of a `SetMasks` is like, plain values."""
    mask = np.asarray(learned.masks)[place]
    index, total = thirds(*mask.shape), float(np.abs(mask).sum())
    numbers = {
        "sparsity": float(sparsity(mask)),
        "zero_share": float(zero_share(mask)),
        "one_share": float((mask == 1).mean()),
        "epoch": int(learned.epoch[place]),
        "epochs": len(learned.history["sparsity"][place]),
        "converged": bool(learned.converged[place]),
        "bands": {
            name: {
                "frequencies": int((index == i).sum()),
                "mean": float(mask[index == i].mean()) if (index == i).any() else None,
                "kept_share": float((mask[index == i] > 0).mean()) if (index == i).any() else None,
                "share_of_mask": float(mask[index == i].sum()) / total if total else 0.0,
            }
            for i, name in enumerate(BANDS)
        },
    }
    if x is not None:
        numbers["power_kept"] = power_kept(x, mask)
    return numbers


def power_kept(x: np.ndarray, mask: np.ndarray) -> float | None:
    """Share of the images' variance that passes the mask: mean over the images that have any."""
    even = (mask + np.roll(np.flip(mask), (1, 1), (0, 1))).astype("float64") / 2
    parts = []
    for start in range(0, len(x), 100):
        power = np.abs(np.fft.fft2(x[start : start + 100].astype("float64"), axes=(1, 2))) ** 2
        power = power.sum(3)
        power[:, 0, 0] = 0
        before, after = power.sum((1, 2)), (power * even**2).sum((1, 2))
        # What is left of a constant image is rounding.
        varied = before > 1e-9 * x[start : start + 100].astype("float64").var() + 1e-12
        parts.append(after[varied] / before[varied])
    shares = np.concatenate(parts)
    return float(shares.mean()) if len(shares) else None


def single_numbers(
    model: keras.Model, x: np.ndarray, singles: ImageMasks
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(plain values, arrays of the filtered images and predictions) of single images' masks."""
    masks = np.asarray(singles.masks)
    through = {"single_masked": masks, "single_complement": complement(masks)}
    arrays = {name: filtered(x, masks) for name, masks in through.items()}
    found = {name: predictions(model, images) for name, images in arrays.items()}
    numbers = {
        "images": len(x),
        "prediction_kept": share(found["single_masked"] == singles.labels),
        "complement_changes": share(found["single_complement"] != singles.labels),
        "converged": int(np.sum(singles.converged)),
        "mean_sparsity": float(np.mean(sparsity(masks))),
        "mean_zero_share": float(np.mean(zero_share(masks))),
        "median_frequencies": float(np.median((masks > 0).sum((1, 2)))),
        "median_steps": float(np.median(singles.steps)),
    }
    return numbers, arrays | {f"{name}_class": value for name, value in found.items()}


def band_numbers(height: int, width: int) -> tuple[int, int]:
    """(rings about a cycle wide, wedges: a multiple of 8), 64 of each at most."""
    radius = math.hypot(height, width) / 2
    return min(_MOST_BANDS, math.ceil(radius)), min(_MOST_BANDS, 8 * max(1, int(radius) // 8))


def energies(masks: np.ndarray, names: Iterable[str]) -> tuple[dict[str, list], dict[str, list]]:
    """Radial and angular energies of masks [G, H, W], as dicts of columns.

    Returns:
        (radial, angular): each with "low" and "high", edges in cycles per image and degrees,
        "frequencies", "ones", the energies of a mask of ones, and one column for each name.
    """
    height, width = masks.shape[1:]
    rings, wedges = band_numbers(height, width)
    tables = []
    for count, end, index, function in (
        (rings, math.hypot(height, width) / 2, radial_bands(height, width, rings), radial_energies),
        (wedges, 360.0, angular_wedges(height, width, wedges), angular_energies),
    ):
        edges = [end * i / count for i in range(count + 1)]
        counts = band_counts(index)
        counts = np.pad(counts, (0, count - len(counts)))
        table = {"low": edges[:-1], "high": edges[1:], "frequencies": counts.tolist()}
        table["ones"] = function(np.ones((height, width)), count).tolist()
        rows = function(masks, count).tolist()
        tables.append(table | dict(zip(names, rows, strict=True)))
    return tables[0], tables[1]


def energies_csv(radial: dict[str, list], angular: dict[str, list]) -> str:
    """Text of energies.csv: one row for each ring, then one for each wedge."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "unit", "band", *radial])
    for kind, unit, table in (
        ("radial", "cycles per image", radial),
        ("angular", "degrees", angular),
    ):
        for place, row in enumerate(zip(*table.values(), strict=True)):
            writer.writerow([kind, unit, place, *row])
    return text.getvalue()
