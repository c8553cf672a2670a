"""robustness.png: accuracy against eps."""

import os
import pathlib

# Okabe and Ito's palette, told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
UNITS = {"inf": "eps of the L-inf ball, in 1/255", "l2": "eps of the L2 ball, images in [0, 1]"}


def eps_text(eps, norm):
    """An eps for a reader: "8/255" where that is what it is."""
    levels = eps * 255
    if norm == "inf" and eps and abs(levels - round(levels)) < 1e-6:
        return f"{round(levels)}/255"
    return f"{eps:.4g}"


def label(entry):
    """An attack and those of its settings that are not the usual ones."""
    text = entry["attack"].upper()
    if entry["attack"] == "pgd":
        text += f"-{entry['steps']}"
        if entry["restarts"] > 1:
            text += f", {entry['restarts']} starts"
        if entry["step_size"] is not None:
            text += f", steps of {eps_text(entry['step_size'], entry['norm'])}"
        if entry["seed"]:
            text += f", seed {entry['seed']}"
    if entry["labels"] == "predicted":
        text += ", predicted labels"
    return text


def draw_robustness(path, entries, title):
    """A panel for each norm, a line with its 95 % band for each attack.

    Args:
        path: the PNG file.
        entries: "attacks" of result.json.
        title: first words of the title.
    """
    import matplotlib

    matplotlib.use("Agg")
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
    figure.suptitle(f"{title}: accuracy under attack, {images} test images", fontsize=15)
    temporary = pathlib.Path(path).with_name(".tmp-robustness.png")
    figure.savefig(temporary, dpi=110)
    pyplot.close(figure)
    os.replace(temporary, path)


def _draw_line(axis, entry, place, text):
    unit = 255 if entry["norm"] == "inf" else 1
    points = [point for point in entry["points"] if point["eps"] > 0]
    points = [{"eps": 0.0, **entry["clean"]}, *points]  # without a change any attack is the same
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
