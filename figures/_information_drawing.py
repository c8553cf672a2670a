"""The pictures of `figures.information_preservation`."""

import numpy as np

from figures._claims import summary
from figures._pooling_loss import pool_and_enlarge
from figures._style import (
    AMBER,
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    caption,
    new_figure,
    show_pixels,
)
from spectral_keras.plots import log_spectrum, plot_pooling

PICTURE_METHODS = ("max", "average", "spectral_average")

STYLES = {
    "spectral_average": ("spectral pooling, rule average", BLUE, "o"),
    "spectral_isometric": ("spectral pooling, rule isometric", SKY, "o"),
    "average": ("average pooling", AMBER, "s"),
    "average_bicubic": ("average pooling, bicubic", PURPLE, "P"),
    # Like the others a mark with a face: (b) leaves it empty against one of the rules.
    "cosine": ("crop of the cosine transform", BLACK, "v"),
    "max": ("max pooling", ORANGE, "^"),
    "strided": ("every p-th pixel", GREEN, "D"),
}
ROW_NAMES = {"max": "max", "average": "average", "spectral_average": "spectral"}
PICTURES = (
    "Enlarged back by repeating pixels (max, average) or by zero-padding the spectrum (spectral); "
    "shown clipped to [0, 1], losses (the numbers on them) are taken before clipping.  Frames in "
    "the spectra: the frequencies that spectral pooling keeps; log magnitude, mean over the "
    "channels.  Spectral pooling: nyquist = 'average', norm = 'mean'."
)
DATA = (
    "Losses: {images} images of {name} ({part}), not ImageNet as in the original.  Enlarged by "
    "repeating pixels, by bicubic interpolation where it says so, by zero-padding the spectrum or "
    "the cosine coefficients.  (b) bars: t intervals of 95 % over the images, paired.  Average and "
    "max pooling at sizes that do not divide {size}: adaptive windows."
)
CONFOUNDS = (
    "What differs from the report's Figure 6: its metric takes the norms over the "
    "1000 images for each pixel and then the mean over the pixels, not a loss for each image; its "
    "spectral images passed through an absolute value and a min-max normalisation over batch and "
    "rows; its crop rule, 32 \u2212 2\u2308(32 \u2212 32/p)/2\u2309, gives one size for several "
    "reductions p, hence the plateaus, plotted at 1/p\u00b2.  Crosses: all three done again here."
)
PARTS = {"validation": "set aside from the training set", "train": "training set"}


def draw(content, panels):
    """Matplotlib figures: "" the losses, and the pictures two by two.

    Args:
        content: what `information_preservation.run` filled.
        panels: list of (panel, pixels [size, size, channels] in [0, 1]).
    """
    figure = new_figure(22)
    above, below = figure.subplots(2, 1, height_ratios=[10, 8])
    draw_losses(above, content)
    draw_comparisons(below, content["comparisons"])
    report = new_figure(14)
    draw_report(report.subplots(), content)
    caption(report, CONFOUNDS)
    data = content["data"]
    where = DATA.format(
        images=data["images"], name=data["name"], part=PARTS[data["part"]], size=data["shape"][0]
    )
    caption(figure, f"{summary(content['claims'])}.\n{where}")
    figures = {"": figure, "_report": report}
    for start in range(0, len(panels), 2):
        pair = panels[start : start + 2]
        picture = new_figure(9.4 * len(pair) + 1.6)
        parts = np.atleast_1d(picture.subfigures(len(pair), 1, hspace=0.02))
        for part, (panel, pixels) in zip(parts, pair, strict=True):
            draw_panel(part, panel, pixels)
        caption(picture, PICTURES)
        figures[f"_pictures{start // 2 + 1}"] = picture
    return figures


def draw_panel(figure, panel, pixels):
    """One picture: original, the three poolings at each side, and what the spectrum keeps."""
    sides, size = panel["sides"], panel["size"]
    channels = "RGB" if pixels.shape[-1] == 3 else "grey"
    figure.suptitle(f"{panel['name']}, {channels}, {size} x {size}", weight="bold")
    grid = figure.add_gridspec(4, 2 + len(sides))
    original = figure.add_subplot(grid[0:2, 0:2])
    show_pixels(original, pixels)
    original.set_xlabel("original")
    spectrum = log_spectrum(pixels)
    whole = figure.add_subplot(grid[2:4, 0:2])
    plot_pooling(spectrum, list(sides), whole, ticks=False)
    whole.set_xlabel("its spectrum")
    for column, (side, factor) in enumerate(zip(sides, panel["factors"], strict=True)):
        for row, method in enumerate(PICTURE_METHODS):
            axis = figure.add_subplot(grid[row, 2 + column])
            show_pixels(axis, pool_and_enlarge(method, pixels[None], side)[0])
            write_loss(axis, panel["loss"][method][column])
            if row == 0:
                axis.set_title(f"1/{factor}\n{side} x {side}")
            if column == 0:
                axis.set_ylabel(ROW_NAMES[method])
        axis = figure.add_subplot(grid[3, 2 + column])
        plot_pooling(spectrum, side, axis, dim=True, ticks=False)
        if column == 0:
            axis.set_ylabel("kept")


def write_loss(axis, loss):
    axis.text(
        0.04,
        0.04,
        f"{loss:.3f}",
        transform=axis.transAxes,
        fontsize=18,
        va="bottom",
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
    )


def draw_losses(axis, content):
    """(a): loss for each image against the fraction kept, mean and spread."""
    loss, best = content["loss"], content["best_max_pooling"]
    for name, (label, colour, marker) in STYLES.items():
        series = loss[name]
        line = "-" if name in ("spectral_average", "cosine") else "none"
        # The two rules differ at even sizes only.
        if name == "spectral_isometric":
            even = [i for i, side in enumerate(series["sides"]) if side % 2 == 0]
            series = {key: [series[key][i] for i in even] for key in ("fractions", "mean")}
        axis.plot(
            series["fractions"],
            series["mean"],
            marker,
            color=colour,
            linestyle=line,
            markersize=7,
            label=label,
        )
        if name in ("spectral_average", "max"):
            low, high = series["percentile_10"], series["percentile_90"]
            axis.fill_between(
                series["fractions"],
                low,
                high,
                color=colour,
                alpha=0.18,
                linewidth=0,
                label=f"{ROW_NAMES[name]}, 10-90 % of the images",
            )
    for name, of in (("adaptive_average", "average"), ("adaptive_max", "max")):
        axis.plot(
            loss[name]["fractions"],
            loss[name]["mean"],
            color=STYLES[of][1],
            linewidth=1.2,
            label=f"{of}, adaptive windows, every size",
        )
    axis.axhline(best["loss"], color="black", linestyle="--", linewidth=1.2)
    axis.text(
        0.985,
        0.96 * best["loss"],
        "best that max pooling can do (2x2)",
        ha="right",
        va="top",
    )
    side, fewer = best["spectral_side"], best["fraction"] / best["spectral_fraction"]
    axis.annotate(
        f"spectral {side} x {side}: no more loss than\nmax pooling 2x2 with 1/{fewer:.1f} of the "
        "numbers",
        (best["spectral_fraction"], best["spectral_loss"]),
        xytext=(0.03, 0.02),
        arrowprops={"arrowstyle": "->", "shrinkB": 6},
    )
    axis.set_title("(a) loss of an image", loc="left")
    size = content["data"]["shape"][0]
    axis.set_xlabel(f"fraction of parameters kept, h w / ({size} x {size})")
    axis.set_xlim(-0.01, 1)
    _finish(axis, "upper right", columns=2)
    # Room for the legend.
    axis.set_ylim(top=8)


def draw_comparisons(axis, comparisons):
    """(b): loss of the others less that of spectral pooling, where a side divides the size."""
    shown = [("spectral_average", name) for name in ("average", "average_bicubic", "cosine")]
    shown += [("spectral_isometric", name) for name in ("average", "average_bicubic", "cosine")]
    sides = comparisons["spectral_average"]["average"]["sides"]
    width = 0.8 / len(shown)
    for number, (rule, other) in enumerate(shown):
        label, colour, marker = STYLES[other]
        found = comparisons[rule][other]
        places = np.arange(len(sides)) + (number - (len(shown) - 1) / 2) * width
        mean = np.array(found["mean"])
        reach = np.abs(np.array(found["interval"]).T - mean)
        against = rule.removeprefix("spectral_")
        axis.errorbar(
            places, mean, reach, fmt=marker, color=colour, markersize=10, capsize=4, linewidth=2,
            markerfacecolor="none" if against == "isometric" else colour, markeredgewidth=2,
            label=f"{label}, against {against}",
        )  # fmt: skip
    axis.axhline(0, color="0.4", linewidth=1.2)
    axis.set_xticks(range(len(sides)), [f"{side} x {side}" for side in sides])
    axis.set_ylabel("loss less spectral pooling's\n(above 0: spectral is better)")
    axis.set_title("(b) what is left of the lead with another enlargement or basis", loc="left")
    axis.margins(y=0.12)
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.55 * (high - low))
    axis.grid(alpha=0.3, axis="y")
    axis.legend(ncols=2, loc="upper right")


def draw_report(axis, content):
    """The same against the logarithm of the fraction, with the report's metric."""
    loss, report = content["loss"], content["report"]
    for name in PICTURE_METHODS:
        _, colour, marker = STYLES[name]
        of, series = ROW_NAMES[name], loss[name]
        x = series["fractions"]
        axis.plot(x, series["mean"], color=colour, linewidth=2, label=f"{of}: loss of an image")
        if of not in report:
            continue
        numbers = report[of]
        axis.plot(
            x,
            series["report_metric"],
            color=colour,
            linestyle="--",
            linewidth=1.6,
            label=f"{of}: the report's metric",
        )
        if "redone" in numbers:
            axis.plot(
                numbers["fractions"],
                numbers["redone"],
                "x",
                color="black",
                markersize=8,
                label=f"{of}: its metric, processing and crop, done again",
            )
        axis.plot(
            numbers["fractions"],
            numbers["loss"],
            marker,
            color=colour,
            markersize=11,
            markerfacecolor="none",
            linestyle="none",
            markeredgewidth=1.6,
            label=f"{of}: report (CIFAR-10, its metric)",
        )
    axis.set_xscale("log")
    ticks = [1 / 1024, 1 / 256, 1 / 64, 1 / 16, 1 / 4, 1]
    axis.set_xticks(ticks, [f"1/{round(1 / tick)}" if tick < 1 else "1" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("fraction of parameters kept (log; the report's numbers at its 1/p\u00b2)")
    axis.set_title("Figure 6 of the report: its numbers, and what its metric does", loc="left")
    _finish(axis, "lower left")


def _finish(axis, legend, columns=1):
    axis.set_yscale("log")
    ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_yticks([], minor=True)
    # Spectral pooling of an image without high frequencies loses nothing at all.
    axis.set_ylim(bottom=0.01)
    axis.set_ylabel("approximation loss ||x \u2212 x\u0302|| / ||x||")
    axis.grid(alpha=0.3)
    axis.legend(loc=legend, ncols=columns)
