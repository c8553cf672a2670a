"""explanation.png: one page about a model's masks."""

import os
import textwrap
from typing import Any

import numpy as np

from spectral_keras.experiments.evaluate.plot import COLOURS
from spectral_keras.experiments.pictures import make_drawable, write_picture
from spectral_keras.plots import plain, plot_energies, plot_heat_map, plot_mask

__all__ = ["draw_page"]

_BLUE, _ORANGE, _GREEN, _GREY = *COLOURS[:3], "0.55"
_TEXT, _TITLE = 15, 16
_WIDTH = 12
_MOST_CLASSES = 20
_VERSIONS = (
    ("original", "image X"),
    ("masked", "M(X)"),
    ("complement", "M'(X)"),
    ("single_mask", "own mask m"),
    ("single_masked", "m(X)"),
    ("single_complement", "m'(X)"),
)


def draw_page(path: str | os.PathLike, report: dict[str, Any], found: dict[str, Any]) -> None:
    """Draw the page.

    Args:
        path: the PNG file.
        report: content of explanation.json.
        found: dict: "mask" [H, W]; "classes", "singles" [N, H, W] or None; "heat" [H, W] or None;
            "examples", the arrays of examples.npz; "radial", "angular", the tables of energies;
            "names" of the classes.
    """
    from matplotlib import pyplot

    rows = _example_rows(found)
    classes = [] if found["classes"] is None else found["classes"][:_MOST_CLASSES]
    class_rows = -(-len(classes) // 5)
    heights = [4.2, 3.5, *([2.5] * class_rows), *([2.3] * len(rows))]
    with pyplot.rc_context({"font.size": _TEXT, "axes.titlesize": _TITLE}):
        figure = pyplot.figure(figsize=(_WIDTH, sum(heights) + 1.9), layout="constrained")
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        _draw_top(parts[0], report, found)
        _draw_energies(parts[1], found)
        for row in range(class_rows):
            _draw_classes(parts[2 + row], classes, 5 * row, report, found["names"])
        for part, row in zip(parts[2 + class_rows :], rows, strict=True):
            _draw_examples(part, row, found, report["options"]["pixel_range"], row is rows[0])
        figure.suptitle(make_drawable(textwrap.fill(report["title"], 60)), fontsize=_TITLE + 2)
        figure.supxlabel(_caption(report, rows), fontsize=13, ha="left", x=0.01, color="0.25")
        write_picture(path, figure, dpi=100)


def _draw_top(part, report, found):
    panels = 2 if found["heat"] is None else 3
    axes = part.subplots(1, panels)
    mask = report["mask"]
    plot_mask(found["mask"], axes[0], colorbar="kept amplitude")
    axes[0].set_title(f"mask M, {1 - mask['zero_share']:.0%} kept")
    _draw_accuracies(axes[1], report)
    if found["heat"] is not None:
        plot_heat_map(found["heat"], axes[2]).set(title="Fourier heat map", ylabel="")


def _draw_accuracies(axis, report):
    bars = [("accuracy", "these images", _BLUE)]
    if report["accuracy_held_out"] is not None:
        bars.append(("accuracy_held_out", "other images", COLOURS[5]))
    names, size = ("plain", "masked", "complement"), 0.8 / len(bars)
    for place, (key, label, colour) in enumerate(bars):
        shares = [report[key][name]["share"] for name in names]
        ends = np.transpose([report[key][name]["interval"] for name in names])
        where = np.arange(3) + (place - (len(bars) - 1) / 2) * size
        errors = 100 * np.abs(ends - shares)
        shown = [100 * share for share in shares]
        axis.bar(where, shown, size, color=colour, label=label, yerr=errors, capsize=3)
        for x, value, error in zip(where, shown, errors[1], strict=True):
            axis.annotate(
                f"{value:.0f}", (x, value + error), xytext=(0, 3), textcoords="offset points",
                ha="center", fontsize=_TEXT - 1,
            )  # fmt: skip
    axis.set_xticks(range(3), ["X", "M(X)", "M'(X)"])
    axis.set_ylim(0, 118)
    axis.set_yticks(range(0, 101, 20))
    axis.set_ylabel("accuracy, %")
    axis.set_title("accuracy through the mask")
    if len(bars) > 1:
        axis.set_ylim(0, 145)  # room for the legend
        axis.legend(loc="upper right", fontsize=_TEXT - 2)
    plain(axis)


def _draw_energies(part, found):
    axes = part.subplots(1, 2, sharey=False)
    panels = (
        (found["radial"], "radial energy of M", "frequency, cycles/image"),
        (found["angular"], "angular energy of M", "direction of the frequency, degrees"),
    )
    for axis, (table, title, label) in zip(axes, panels, strict=True):
        edges, names = [*table["low"], table["high"][-1]], ("mask M", "mask of ones")
        plot_energies(table["mask"], axis, edges=edges, reference=table["ones"], labels=names)
        axis.set(title=title, xlabel=label)
    axes[1].set_ylabel("")
    axes[1].set_xticks(range(0, 361, 90))


def _draw_classes(part, masks, start, report, names):
    axes = part.subplots(1, 5)
    for axis, place in zip(axes, range(start, start + 5), strict=True):
        if place >= len(masks):
            axis.axis("off")
            continue
        entry = report["classes"][place]
        plot_mask(masks[place], axis, ticks=False)
        name = textwrap.shorten(str(names[entry["class"]]), 16, placeholder="...")
        axis.set_title(make_drawable(name))
        axis.set_xlabel(_kept(masks[place]), fontsize=_TEXT - 1)


def _kept(mask):
    return f"{int((mask > 0).sum()):,} of {mask.size:,}"


def _example_rows(found):
    """Lists of (example, version) for each row: examples of different classes first."""
    examples = found["examples"]
    right = examples["original_class"] == examples["label"]
    order = np.argsort(~right, kind="stable")
    firsts = [i for n, i in enumerate(order) if examples["label"][i] not in
              examples["label"][order[:n]]]  # fmt: skip
    chosen = [*firsts, *(i for i in order if i not in firsts)]
    chosen = chosen[: 4 if found["singles"] is None else 3]
    versions = [key for key, _ in _VERSIONS if key in examples or key == "single_mask"]
    if found["singles"] is None:
        versions.remove("single_mask")
        pairs = [chosen[i : i + 2] for i in range(0, len(chosen), 2)]
        return [[(i, key) for i in pair for key in versions] for pair in pairs]
    return [[(i, key) for key in versions] for i in chosen]


def _draw_examples(part, row, found, pixel_range, first):
    examples, names, titles = found["examples"], found["names"], dict(_VERSIONS)
    for axis, cell in zip(part.subplots(1, 6), [*row, *[None] * (6 - len(row))], strict=True):
        axis.set_xticks([])
        axis.set_yticks([])
        if cell is None:
            axis.axis("off")
            continue
        i, key = cell
        if first:
            axis.set_title(titles[key])
        if key == "single_mask":
            mask = found["singles"][i]
            plot_mask(mask, axis, ticks=False)
            axis.set_xlabel(_kept(mask), fontsize=_TEXT - 1)
            continue
        axis.imshow(
            _visible(examples[key][i], examples["original"][i], pixel_range),
            cmap="gray",
            vmin=0,
            vmax=1,
        )
        predicted = int(examples[f"{key}_class"][i])
        same = predicted == examples["original_class"][i]
        text = str(names[predicted]) if 0 <= predicted < len(names) else f"class {predicted}"
        text = make_drawable(textwrap.shorten(text, 14, placeholder="..."))
        axis.set_xlabel(text, fontsize=_TEXT - 1, color="black" if same else _ORANGE,
                        weight="normal" if same else "bold")  # fmt: skip


def _visible(image, original, pixel_range):
    """An image for a person, in [0, 1]: with the mean of the original in each channel."""
    low, high = pixel_range
    shown = np.clip((image - image.mean((0, 1)) + original.mean((0, 1)) - low) / (high - low), 0, 1)
    # Less than three channels are no colours: their mean.
    return shown[..., :3] if shown.shape[-1] >= 3 else shown.mean(-1)


def _caption(report, rows):
    settings, mask = report["options"], report["mask"]
    text = (
        f"M: of {report['images']:,} {settings['split']} images, penalty {settings['penalty']:g}, "
        f"after epoch {mask['epoch']} of {mask['epochs']}, batches of {settings['batch_size']}, "
        f"learning rate {settings['learning_rate']:.2g}, seed {settings['seed']}. M' lets through "
        "what M stops altogether. Bars: 95 % Wilson intervals."
    )
    held = report["accuracy_held_out"]
    if held is not None:
        text += f" Other images: {held['plain']['images']:,} that M was not learned on."
    single = report["single_images"]
    if single is not None:
        text += (
            f" m: of the single image, penalty {settings['single_penalty']:g}; of "
            f"{single['images']}, m keeps the prediction of {single['prediction_kept']['count']}, "
            f"m' changes {single['complement_changes']['count']}."
        )
    heat = report["heat_map"]
    if heat is not None:
        text += (
            f" Heat map: {heat['images']} images, norm {heat['norm']:g}, error without "
            f"{heat['error']['share']:.0%}."
        )
    if report["classes"] is not None and len(report["classes"]) > _MOST_CLASSES:
        text += f" Masks of the first {_MOST_CLASSES} of {len(report['classes'])} classes."
    if rows:
        text += (
            " Under an image: the prediction, bold where it is not that of X. Filtered images are "
            "shown at the mean of X."
        )
    return "\n".join(textwrap.wrap(text, 118))
