"""Drawing of `figures.convergence`."""

import numpy as np

from figures._style import BLACK, BLUE, GREEN, GREY, ORANGE, caption, settings_line

STYLES = {
    "spatial": {"color": BLACK, "linestyle": "-", "marker": "o"},
    "spectral": {"color": ORANGE, "linestyle": "-", "marker": "s"},
    "longer steps": {"color": BLUE, "linestyle": "--", "marker": "^"},
    "hermitian": {"color": GREEN, "linestyle": ":", "marker": "x"},
}
LABELS = {
    "spatial": "spatial",
    "spectral": "spectral (full table)",
    "longer steps": "spatial, longer steps",
    "hermitian": "hermitian",
}


def draw(stored):
    from matplotlib import pyplot

    content = stored["content"]
    cells = content["cells"]
    columns = min(3, len(cells))
    rows = -(-len(cells) // columns)
    figure = pyplot.figure(figsize=(5 * columns, 3.9 * rows + 5.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[3.9 * rows, 4.2])
    panels = np.atleast_1d(upper.subplots(rows, columns)).ravel()
    for panel, (name, cell) in zip(panels, cells.items(), strict=False):
        _errors(panel, name, cell)
    for panel in panels[len(cells) :]:
        panel.set_axis_off()
    panels[0].legend(fontsize=9)
    ratios, table, control = lower.subplots(1, 3, width_ratios=[1, 1.2, 0.9])
    _speed_up_curves(ratios, cells)
    _speed_ups(table, cells)
    _control(control, content["control"])
    seeds = max(len(arm["seeds"]) for cell in cells.values() for arm in cell["arms"].values())
    figure.suptitle("Spectral against spatial parametrisation of the kernels: training error")
    caption(figure, _text(stored, seeds))
    return figure


def _errors(panel, name, cell):
    for arm, entry in cell["arms"].items():
        if not entry["seeds"]:
            continue
        mean, spread = np.array(entry["mean_error"]), np.array(entry["std_error"])
        epochs = np.arange(len(mean))
        every = max(1, len(mean) // 8)
        style = STYLES[arm] | {"markevery": every, "markersize": 4, "linewidth": 1.6}
        panel.plot(epochs, mean, label=LABELS[arm], **style)
        panel.fill_between(epochs, mean - spread, mean + spread, color=style["color"], alpha=0.15)
    panel.set_title(name)
    panel.set_xlabel("epoch")
    panel.set_ylabel("training error")
    panel.grid(alpha=0.3)


def _speed_up_curves(panel, cells):
    markers = "osD^vP"
    shades = [ORANGE, BLUE, GREEN, BLACK, GREY, "#CC79A7"]
    for (name, cell), marker, color in zip(cells.items(), markers, shades, strict=False):
        curve = cell["arms"]["spectral"]["curve"]
        values = [np.nan if value is None else value for value in curve["speed_ups"]]
        panel.plot(
            curve["levels"],
            values,
            color=color,
            marker=marker,
            markevery=8,
            markersize=4,
            label=name,
        )
    panel.axhline(1, color="0.5", linewidth=1)
    panel.invert_xaxis()
    panel.set_xlabel("training error reached (falls to the right)")
    panel.set_ylabel("spatial epochs / spectral epochs")
    panel.set_title("speed-up over all error levels")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)


def _speed_ups(panel, cells):
    names = list(cells)
    rows = np.arange(len(names))[::-1]
    shown = [("spectral", ORANGE, "s", 0.12), ("longer steps", BLUE, "^", -0.12)]
    for arm, color, marker, offset in shown:
        values = [cells[name]["arms"][arm].get("speed_up") for name in names]
        known = [value is not None for value in values]
        panel.plot(
            [value for value in values if value is not None],
            rows[known] + offset,
            color=color,
            marker=marker,
            linestyle="none",
            label=f"here: {LABELS[arm]}",
        )
        for row in rows[np.invert(known)]:
            panel.text(0.56, row + offset, "< 1: not reached", color=color, fontsize=8, va="center")
    originals = [cells[name]["original"] for name in names]
    panel.plot(originals, rows, "D", markerfacecolor="none", color=BLACK, label="Rippel et al.")
    older = [
        (cells[name]["older_reproduction"], row) for name, row in zip(names, rows, strict=True)
    ]
    panel.plot(
        [value for value, _ in older if value],
        [row for value, row in older if value],
        "x",
        color=GREY,
        label="older reproduction",
    )
    panel.axvline(1, color="0.5", linewidth=1)
    panel.set_xscale("log")
    panel.set_xlim(0.5, 25)
    panel.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    panel.minorticks_off()
    panel.set_yticks(rows, names)
    panel.set_ylim(-0.6, len(names) + 1.2)  # room for the legend
    panel.set_xlabel("epochs to the spatial arm's best error: spatial / other")
    panel.set_title("speed-up beside the papers' numbers")
    panel.grid(alpha=0.3, axis="x")
    panel.legend(fontsize=8, loc="upper right")


def _control(panel, control):
    for arm, losses in control["loss"].items():
        style = STYLES[arm] | ({"linestyle": "none"} if arm == "spectral" else {})
        panel.plot(np.arange(1, len(losses) + 1), losses, label=LABELS[arm], **style)
    difference = control["largest_relative_difference"]["spectral"]
    # The recorded loss is a float32 mean.
    shown = f"by {difference:.0e}" if difference > 1e-7 else "by less than 1e-7"
    panel.set_title(f"SGD, {control['cell']}, {control['precision']}")
    panel.text(
        0.97, 0.97, f"spectral differs from\nspatial {shown}", ha="right", va="top",
        transform=panel.transAxes, fontsize=9,
    )  # fmt: skip
    panel.set_xticks(
        np.arange(1, len(control["loss"]["spatial"]) + 1, 1 + len(control["loss"]["spatial"]) // 8)
    )
    panel.set_xlabel("epoch")
    panel.set_ylabel("training loss")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, loc="lower left")


def verdict(cells):
    """One sentence: whether the paper's speed-ups appear."""
    found = {name: cell["arms"]["spectral"]["speed_up"] for name, cell in cells.items()}
    reached = [value for value in found.values() if value is not None]
    inside = [value for value in reached if 2.2 <= value <= 5.1]
    span = f"{min(reached):.2f} to {max(reached):.2f}" if reached else "below 1"
    missing = len(found) - len(reached)
    also = f", and {missing} of {len(found)} never reach the spatial arm's best" if missing else ""
    appears = "appears" if len(inside) == len(found) else "does not appear"
    if 0 < len(inside) < len(found):
        appears = f"appears in {len(inside)} of {len(found)} cells only"
    return f"The paper's 2.2 to 5.1 {appears} here: the speed-ups are {span}{also}."


def _text(stored, seeds):
    unfinished = "" if stored["finished"] else "  NOT FINISHED: some seeds are missing."
    return (
        f"{verdict(stored['content']['cells'])}\n"
        f"{settings_line(stored)}  Lines: mean of up to {seeds} seeds, "
        f"bands: standard deviation.  Error: running training error of the epoch, augmentation on; "
        f"0.9 at epoch 0.{unfinished}\n"
        "Arms of a cell share spatial start, ReLU, padding, order of images, augmentation and "
        "random draws.  The report's arms did not: its spatial networks had no activation, other "
        "padding and other input scaling, its spectral layers trained the spatial kernel (FFT and "
        "inverse cancel), and panels 2 and 3 of its Figure 7 carry each other's titles; the older "
        "reproduction started its spectral kernels k times larger and had a ReLU on the logits.  "
        "'Longer steps' is the spatial arm at the learning rate that makes its first Adam step as "
        "long as the spectral arm's: sqrt(2 - 1/k^2) times."
    )
