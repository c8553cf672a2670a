"""robustness.png, accuracy against eps, and corruptions.png, accuracy of each corruption."""

import os
import textwrap
from typing import Any

from spectral_keras.experiments.pictures import make_drawable, write_picture

__all__ = ["COLOURS", "draw_corruptions", "draw_robustness", "eps_text", "label", "points_of"]

# Okabe and Ito's palette, which colour-blind readers can distinguish.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
UNITS = {"inf": "eps of the L-inf ball, in 1/255", "l2": "eps of the L2 ball, images in [0, 1]"}


def eps_text(eps: float, norm: str) -> str:
    """An eps for a reader: "8/255" where that is what it is."""
    levels = eps * 255
    if norm == "inf" and eps and abs(levels - round(levels)) < 1e-6:
        return f"{round(levels)}/255"
    return f"{eps:.4g}"


def label(entry: dict[str, Any]) -> str:
    """An attack and those of its settings that are not the usual ones."""
    text = entry["attack"].upper()
    if "steps" in entry:
        text += f"-{entry['steps']}"
        if entry.get("restarts", 1) > 1:
            text += f", {entry['restarts']} starts"
        if entry.get("step_size") is not None:
            text += f", steps of {eps_text(entry['step_size'], entry['norm'])}"
        if entry["seed"]:
            text += f", seed {entry['seed']}"
    if entry["labels"] == "predicted":
        text += ", predicted labels"
    return text


def points_of(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The points of an attack, from that of eps 0 on: without a change any attack is the same."""
    attacked = [point for point in entry["points"] if point["eps"] > 0]
    return [{"eps": 0.0, **entry["clean"]}, *attacked]


def draw_robustness(path: str | os.PathLike, entries: list[dict[str, Any]], title: str) -> None:
    """A panel for each norm, a line with its 95 % band for each attack.

    Args:
        path: the PNG file.
        entries: "attacks" of result.json.
        title: first words of the title.
    """
    from matplotlib import pyplot

    norms = [norm for norm in UNITS if any(entry["norm"] == norm for entry in entries)]
    figure, panels = pyplot.subplots(
        1, len(norms), figsize=(1.5 + 6 * len(norms), 5), layout="constrained", squeeze=False
    )
    for axis, norm in zip(panels[0], norms, strict=True):
        shown = [entry for entry in entries if entry["norm"] == norm]
        several = len({entry["images"] for entry in shown}) > 1
        for place, entry in enumerate(shown):
            images = f", {entry['images']:,} images" if several else ""
            _draw_line(axis, entry, place, label(entry) + images)
        axis.set_xlabel(UNITS[norm], fontsize=15)
        axis.set_ylabel("accuracy, %", fontsize=15)
        axis.set_ylim(-2, 102)
        axis.set_xlim(left=0)
        axis.margins(x=0.03)
        axis.tick_params(labelsize=14)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=14)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    counts = sorted({entry["images"] for entry in entries})
    images = " or ".join(f"{count:,}" for count in counts)
    words = f"{make_drawable(title)}: accuracy under attack, {images} test images"
    figure.suptitle(words, fontsize=15, wrap=True)
    write_picture(path, figure)


def _draw_line(axis, entry, place, text):
    unit = 255 if entry["norm"] == "inf" else 1
    points = points_of(entry)
    eps = [unit * point["eps"] for point in points]
    low, high = zip(*(point["interval"] for point in points), strict=True)
    colour = COLOURS[place % len(COLOURS)]
    axis.fill_between(
        eps,
        [100 * share for share in low],
        [100 * share for share in high],
        color=colour,
        alpha=0.2,
        linewidth=0,
    )
    axis.plot(
        eps,
        [100 * point["accuracy"] for point in points],
        color=colour,
        marker=MARKERS[place % len(MARKERS)],
        markersize=8,
        linewidth=2.5,
        label=text,
        clip_on=False,
    )


def draw_corruptions(
    path: str | os.PathLike, content: dict[str, Any], title: str, source: str
) -> None:
    """A row for each corruption, a dot for each severity, a bar at their mean.

    Args:
        path: the PNG file.
        content: an entry of "corruptions" of result.json.
        title: first words of the title.
        source: where the corrupted images came from.
    """
    from matplotlib import pyplot

    table = content["corruptions"]
    names = sorted(table, key=lambda name: sum(point["accuracy"] for point in table[name]))
    # The legend and a title of several lines have room beside a single row, too.
    height = 2.6 + 0.5 * max(len(names), 4)
    figure, axis = pyplot.subplots(figsize=(11, height), layout="constrained")
    colours = pyplot.get_cmap("viridis_r")
    for place, name in enumerate(names):
        accuracies = [100 * point["accuracy"] for point in table[name]]
        # One above the other: dots of the same accuracy would hide each other.
        heights = [place + 0.2 * (3 - point["severity"]) for point in table[name]]
        axis.plot(accuracies, heights, color="0.75", zorder=1)
        for point, height in zip(table[name], heights, strict=True):
            severity = point["severity"]
            axis.plot(
                100 * point["accuracy"], height, "o", markersize=6, markeredgewidth=0,
                color=colours(severity / 5), zorder=2,
                label=f"severity {severity}" if place == 0 else None,
            )  # fmt: skip
        mean = sum(accuracies) / len(accuracies)
        axis.plot([mean, mean], [place - 0.4, place + 0.4], color="black", linewidth=2, zorder=3)
        if place % 2:
            axis.axhspan(place - 0.5, place + 0.5, color="0.95", zorder=0)
    clean = 100 * content["clean"]["accuracy"]
    axis.axvline(clean, color="0.3", linestyle="--", label=f"clean, {clean:.1f} %")
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axis.tick_params(labelsize=15)
    axis.set_xlabel("accuracy, % (black: mean of the severities)", fontsize=15)
    axis.set_xlim(-1, 101)
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.grid(axis="x", alpha=0.3)
    axis.legend(fontsize=14, loc="center left", bbox_to_anchor=(1.03, 0.5))
    mean = content["mean_accuracy"]
    over = "" if mean is None else f", mean accuracy {100 * mean:.1f} %"
    words = f"{make_drawable(title)}: {content['images']:,} test images{over}"
    figure.suptitle(words, fontsize=16, wrap=True)
    axis.set_title(textwrap.fill(make_drawable(source), 80), fontsize=12, color="0.3")
    write_picture(path, figure)
