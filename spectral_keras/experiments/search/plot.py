"""search.png: the trials of a search in parallel coordinates."""

import math
import os
from typing import Any

import numpy as np

from spectral_keras.experiments.pictures import write_picture
from spectral_keras.experiments.search.results import rank
from spectral_keras.experiments.search.spaces import position

__all__ = ["draw_search", "ticks"]

_FAILED = "0.62"


def draw_search(path: str | os.PathLike, results: dict[str, Any]) -> None:
    """Draw results.json: an axis for each searched option, a line for each trial.

    Colour and last axis are the validation accuracy; failed trials are dashed and grey, and stop
    before it.

    Args:
        path: the PNG file.
        results: content of results.json.
    """
    from matplotlib import pyplot

    axes, trials = results["axes"], results["trials"]
    completed = rank(trials)
    failed = [trial for trial in trials if trial["status"] == "failed"]
    scores = [trial["score"] for trial in completed]
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    low, high = (low, high) if high > low else (low - 0.01, high + 0.01)
    score_axis = {"kind": "number", "low": low, "high": high, "scale": "linear"}
    width = max(7.5, 1.7 * (len(axes) + 1))
    figure, axis = pyplot.subplots(figsize=(width, 5), layout="constrained")
    colours = pyplot.get_cmap("viridis")
    norm = pyplot.Normalize(low, high)
    for trial in failed:
        x, y = _line(axes, trial)
        axis.plot(x, y, color=_FAILED, linestyle=(0, (4, 3)), linewidth=1.3, zorder=1)
    for trial in reversed(completed):
        best = trial is completed[0]
        x, y = _line(axes, trial)
        x, y = [*x, len(axes)], [*y, position(score_axis, trial["score"])]
        if best:  # a dark rim keeps viridis' light end visible on white
            axis.plot(x, y, color="black", linewidth=6.5, zorder=3)
        axis.plot(
            x, y, color=colours(norm(trial["score"])), linewidth=4 if best else 1.6,
            alpha=1 if best else 0.8, zorder=4 if best else 2,
        )  # fmt: skip
    for place, entry in enumerate([*axes, score_axis]):
        _draw_axis(axis, place, entry)
    names = [entry["name"].replace("_", "\n", 1) for entry in axes] + ["validation\naccuracy"]
    axis.set_xticks(range(len(axes) + 1), names, fontsize=13)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.set_xlim(-0.35, len(axes) + 0.3)
    axis.set_ylim(-0.06, 1.06)
    _draw_legend(figure, completed[:1], failed, lambda trial: colours(norm(trial["score"])))
    bar = figure.colorbar(pyplot.cm.ScalarMappable(norm, colours), ax=axis, pad=0.01, aspect=30)
    bar.set_label("validation accuracy (best epoch)", fontsize=13)
    bar.ax.tick_params(labelsize=12)
    figure.suptitle(
        f"{results['model'] or results['build'] or 'search'}: {len(trials)} trials of "
        f"{results['options']['epochs']} epochs, "
        f"{results['images']['training']:,} training images",
        fontsize=14,
    )
    write_picture(path, figure)


def _draw_legend(figure, best, failed, colour):
    from matplotlib.lines import Line2D

    entries = {}
    for trial in best:
        rim = Line2D([], [], color="black", linewidth=6.5)
        label = f"best: trial {trial['number']}, {100 * trial['score']:.2f} %"
        entries[label] = rim, Line2D([], [], color=colour(trial), linewidth=4)
    if failed:
        entries[f"failed: {len(failed)}"] = Line2D([], [], color=_FAILED, linestyle=(0, (4, 3)))
    if entries:
        figure.legend(
            entries.values(), entries.keys(), fontsize=13, frameon=False,
            loc="outside lower center", ncols=2,
        )  # fmt: skip


def _line(axes, trial):
    """Where a trial's line crosses the axes; it has gaps where an option is not active."""
    # Trials with the same choice would hide each other: spread them by the golden ratio.
    spread = 0.05 * (trial["number"] * 0.618 % 1 - 0.5)
    heights = [
        position(entry, trial["point"][entry["name"]]) + spread * (entry["kind"] == "choice")
        if entry["name"] in trial["point"]
        else math.nan
        for entry in axes
    ]
    return list(range(len(axes))), heights


def _draw_axis(axis, place, entry):
    axis.plot([place, place], [0, 1], color="0.25", linewidth=1.2, zorder=5)
    for value in ticks(entry):
        height = position(entry, value)
        axis.plot([place - 0.03, place], [height, height], color="0.25", linewidth=1.2, zorder=5)
        axis.text(
            place - 0.06, height, _label(value), ha="right", va="center", fontsize=12, zorder=6,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip


def ticks(entry: dict[str, Any]) -> list:
    """Values to mark on an axis: its ends, and round ones that are not too close to others."""
    if entry["kind"] == "choice":
        return entry["values"]
    low, high = entry["low"], entry["high"]
    if entry["scale"] == "log":
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        inner = [10.0**power for power in decades]
    elif entry["scale"] == "log_complement":
        inner = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999]
    else:
        step = _round_step((high - low) / 4)
        inner = list(np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step)
    if entry["kind"] == "integer":
        inner = sorted({round(value) for value in inner})
    chosen = [low, high]
    for value in inner:
        if low < value < high and all(
            abs(position(entry, value) - position(entry, other)) > 0.08 for other in chosen
        ):
            chosen.append(value)
    return sorted(chosen)


def _round_step(step):
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * 0.999)


def _label(value):
    if isinstance(value, float):
        if 0 < abs(value) < 1e-3:
            mantissa, power = f"{value:.2e}".split("e")
            return f"{float(mantissa):g}e{int(power)}"
        return f"{value:.3g}"
    return str(value)
