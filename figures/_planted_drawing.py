"""The picture of `figures.planted_masks`."""

import numpy as np

from figures._style import BLUE, GREEN, GREY, ORANGE, PURPLE, caption, hide_unused, new_figure, show

_CLASS_COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
_LINES = {"precision": (BLUE, "o"), "recall": (ORANGE, "s"), "average_precision": (GREEN, "^")}
_CAPTION = (
    "Masks in centred order: 0 (white) to 1 (black); outlines: the planted bands, of class masks "
    "the class' own. Precision and recall of the entries above 1/2 against all bands, without the"
    " constant; average precision needs no threshold. Dotted: the share of planted frequencies, "
    "which guessing has as its precision. Crosses: the untrained network's mask, average "
    "precision, none where it is empty. A network can do without the band of one class, which is "
    "the class that shows none of the others, and a mask without parts of all: recall falls with "
    "the penalty long before the accuracy does."
)


def draw(stored):
    """A row of masks for each variant and network, of the set and of the classes; then numbers."""
    content, settings = stored["content"], stored["settings"]
    rows = [
        (variant, name, found)
        for variant, networks in content["found"].items()
        for name, found in networks.items()
    ]
    count = max(len(found["sets"]) for *_, found in rows)
    classes = len(rows[0][2]["classes"])
    lines = -(-len(rows) // 2)
    figure = new_figure(3.1 * len(rows) + 4.6 * lines + 6.5)
    above, below = figure.subfigures(2, 1, height_ratios=[3.1 * len(rows), 4.6 * lines + 1])
    axes = above.subplots(len(rows), count + classes, squeeze=False)
    for row, (variant, name, found) in zip(axes, rows, strict=True):
        bands = np.array(content["bands"][variant], bool)
        for axis in row:
            axis.set(xticks=[], yticks=[])
        for axis, one in zip(row, found["sets"], strict=False):
            _show(axis, one["mask"], bands, range(len(bands)))
            axis.set_title(f"$\\lambda$ {one['penalty']:g}")
            axis.set_xlabel(_percent(one))
        for axis in row[len(found["sets"]) : count]:
            axis.set_visible(False)
        for axis, one in zip(row[count:], found["classes"], strict=False):
            _show(axis, one["mask"], bands, [one["class"]])
            axis.set_title(f"class {one['class']}")
            axis.set_xlabel(_percent(one))
        row[0].set_ylabel(f"{variant}\n{name}")
    panels = hide_unused(below.subplots(lines, min(2, len(rows)), squeeze=False), len(rows))
    for panel, (variant, name, found) in zip(panels, rows, strict=False):
        _curves(panel, found, settings["class_penalty"])
        panel.set_title(f"{variant}, {name}")
        panel.set_xlabel("$\\lambda$")
    handles, labels = panels[0].get_legend_handles_labels()
    below.legend(handles, labels, loc="outside upper center", ncols=3)
    figure.suptitle("Masks of all images, of each class, and how well they find what was planted")
    caption(
        figure,
        f"{_CAPTION} Under each mask the accuracy with it, in %.\nPreset "
        f"{stored['preset']}: masks of {settings['mask_images']} test images, "
        f"{rows[0][2]['singles'][0]['images']} single images, class masks at "
        f"$\\lambda$ = {settings['class_penalty']:g}.  Without a mask: " + ", ".join(
            f"{variant} {name} {100 * found['test_accuracy']:.1f} %"
            for variant, name, found in rows
        ) + ".",
    )  # fmt: skip
    return figure


def _percent(one):
    return f"{100 * one['accuracy']:.1f}"


def _show(axis, mask, bands, shown):
    mask = np.fft.fftshift(np.array(mask))
    show(axis, mask, cmap="Greys", vmin=0, vmax=1)
    for i in shown:
        axis.contour(
            np.fft.fftshift(bands[i]).astype(float),
            [0.5],
            colors=[_CLASS_COLOURS[i]],
            linewidths=0.9,
        )


def _curves(axis, found, penalty):
    penalties = [one["penalty"] for one in found["sets"]]
    for name, (colour, marker) in _LINES.items():
        values = [one[name] for one in found["sets"]]
        label = name.replace("_", " ")
        axis.plot(penalties, values, color=colour, marker=marker, label=label, clip_on=False)
    singles = found["singles"]
    axis.plot(
        [one["penalty"] for one in singles],
        [one["energy_in_all_bands"] for one in singles],
        color=GREY,
        marker="D",
        linestyle="--",
        label="single images: energy in the bands",
    )
    # Learned at one penalty; an empty mask orders nothing.
    if found["untrained"]["sparsity"]:
        axis.plot(
            penalty,
            found["untrained"]["average_precision"],
            color=GREEN,
            marker="x",
            markersize=9,
            linestyle="",
            label="untrained network",
        )
    axis.axhline(found["chance"], color=GREY, linestyle=":")
    axis.set(xscale="log", ylim=(0, 1))
    axis.grid(alpha=0.3)
