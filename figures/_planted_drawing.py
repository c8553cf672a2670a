"""The picture of `figures.planted_masks`."""

import numpy as np

from figures._style import BLUE, GREEN, GREY, ORANGE, PURPLE, caption

_CLASS_COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
_LINES = {"precision": (BLUE, "o"), "recall": (ORANGE, "s"), "average_precision": (GREEN, "^")}
_CAPTION = (
    "Masks in centred order: 0 (white) to 1 (black); outlines: the planted bands, of class masks "
    "the class' own. Precision and recall of the entries above 1/2 against all bands, without the "
    "constant; average precision needs no threshold. Dotted: the share of planted frequencies, "
    "which guessing has as its precision. Crosses: the untrained network's mask, average "
    "precision. A network can do without the band of one class, which is the class that shows none "
    "of the others, and a mask without parts of all: recall falls with the penalty long before "
    "the accuracy does."
)


def draw(stored):
    """A row for each variant and network: masks of the set, of the classes, and the numbers."""
    from matplotlib import pyplot

    content = stored["content"]
    rows = [
        (variant, name, found)
        for variant, networks in content["found"].items()
        for name, found in networks.items()
    ]
    count = max(len(found["sets"]) for *_, found in rows)
    classes = len(rows[0][2]["classes"])
    figure = pyplot.figure(
        figsize=(1.45 * (count + classes) + 5.2, 2.9 * len(rows) + 1.6), layout="constrained"
    )
    axes = figure.subplots(
        len(rows), count + classes + 1, width_ratios=[1] * (count + classes) + [3], squeeze=False
    )
    for row, (variant, name, found) in zip(axes, rows, strict=True):
        bands = np.array(content["bands"][variant], bool)
        for axis in row[:-1]:
            axis.set(xticks=[], yticks=[])
        for axis, one in zip(row, found["sets"], strict=False):
            _show(axis, one["mask"], bands, range(len(bands)))
            axis.set_title(f"$\\lambda$ = {one['penalty']:g}", fontsize=10)
            axis.set_xlabel(_percent(one), fontsize=8)
        for axis in row[len(found["sets"]) : count]:
            axis.set_visible(False)
        for axis, one in zip(row[count:], found["classes"], strict=False):
            _show(axis, one["mask"], bands, [one["class"]])
            axis.set_title(f"class {one['class']}", fontsize=10)
            axis.set_xlabel(_percent(one), fontsize=8)
        row[0].set_ylabel(
            f"{variant}\n{name}\n{100 * found['test_accuracy']:.1f} %", fontsize=11, weight="bold"
        )
        _curves(row[-1], found)
    axes[0][-1].legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    axes[-1][-1].set_xlabel("$\\lambda$")
    figure.suptitle(
        "Masks of all images, of each class, and how well they find what was planted", fontsize=14
    )
    first = rows[0][2]
    settings = stored["settings"]
    caption(
        figure,
        f"{_CAPTION} Under each mask the accuracy with it, in brackets without.\nPreset "
        f"{stored['preset']}: masks of {settings['mask_images']} test images, "
        f"{first['singles'][0]['images']} single images, class masks at "
        f"$\\lambda$ = {settings['class_penalty']:g}.",
    )
    return figure


def _percent(one):
    return f"{100 * one['accuracy']:.1f} % ({100 * one['unmasked_accuracy']:.1f})"


def _show(axis, mask, bands, shown):
    mask = np.fft.fftshift(np.array(mask))
    axis.imshow(mask, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    for i in shown:
        axis.contour(
            np.fft.fftshift(bands[i]).astype(float),
            [0.5],
            colors=[_CLASS_COLOURS[i]],
            linewidths=0.9,
        )


def _curves(axis, found):
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
    axis.plot(
        penalties,
        [found["untrained"]["average_precision"]] * len(penalties),
        color=GREEN,
        marker="x",
        linestyle="",
        label="untrained network",
    )
    axis.axhline(found["chance"], color=GREY, linestyle=":")
    axis.set(xscale="log", ylim=(0, 1))
    axis.grid(alpha=0.3)
