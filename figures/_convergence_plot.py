"""Drawing of `figures.convergence`."""

import numpy as np

from figures._claims import summary
from figures._style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    caption,
    hide_unused,
    new_figure,
    settings_line,
)

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
    content = stored["content"]
    cells = content["cells"]
    seeds = max(len(arm["seeds"]) for cell in cells.values() for arm in cell["arms"].values())
    figure = new_figure(19.5)
    above, below = figure.subfigures(2, 1, height_ratios=[1, 0.9])
    _speed_ups(above.subplots(), cells)
    above.legend(loc="outside upper center", ncols=4, columnspacing=1, borderaxespad=0.1)
    ratios, control = below.subplots(1, 2)
    _speed_up_curves(ratios, cells)
    _control(control, content["control"])
    figure.suptitle("Spectral against spatial parametrisation of the kernels: speed-up")
    caption(figure, _text(stored, seeds))
    return {"": figure, "_curves": _draw_curves(stored, seeds)}


def _draw_curves(stored, seeds):
    """Training error against epoch, a panel for each cell."""
    cells = stored["content"]["cells"]
    columns = min(2, len(cells))
    rows = -(-len(cells) // columns)
    figure = new_figure(5.2 * rows + 2)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    panels = hide_unused(panels, len(cells))
    for panel, (name, cell) in zip(panels, cells.items(), strict=False):
        _errors(panel, name, cell)
    panels[0].legend(loc="lower left")
    figure.suptitle("Spectral against spatial parametrisation of the kernels: training error")
    caption(figure, f"{settings_line(stored)}  {_LINES.format(seeds=seeds)}")
    return figure


_LINES = (
    "Lines: mean of up to {seeds} seeds, bands: standard deviation.  Error: running training "
    "error of the epoch, augmentation on; 0.9 at epoch 0."
)


def _errors(panel, name, cell):
    for arm, entry in cell["arms"].items():
        if not entry["seeds"]:
            continue
        mean, spread = np.array(entry["mean_error"]), np.array(entry["std_error"])
        epochs = np.arange(len(mean))
        every = max(1, len(mean) // 8)
        style = STYLES[arm] | {"markevery": every, "markersize": 7, "linewidth": 2}
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
            curve["levels"], values, color=color, marker=marker, markevery=8, markersize=6,
            linewidth=2, label=name.replace("spectral pooling", "pooling"),
        )  # fmt: skip
    panel.axhline(1, color="0.5", linewidth=1)
    panel.invert_xaxis()
    panel.set_xlabel("training error reached (falls to the right)")
    panel.set_ylabel("spatial / spectral epochs")
    panel.set_title("speed-up over error levels, mean of the seeds")
    panel.grid(alpha=0.3)
    panel.legend()


# Where the data end; beyond it stands which seeds never get there.
_LEFT, _RIGHT, _NEVER = 0.5, 25, 28


def _speed_ups(panel, cells):
    names = list(cells)
    rows = np.arange(len(names))[::-1]
    for arm, color, marker, offset in (
        ("spectral", ORANGE, "s", 0.16),
        ("longer steps", BLUE, "^", -0.16),
    ):
        for number, (name, row) in enumerate(zip(names, rows + offset, strict=True)):
            label = f"here: {LABELS[arm]}" if number == 0 else None
            _one_cell(panel, cells[name]["arms"][arm], row, color, marker, label)
    originals = [cells[name]["original"] for name in names]
    panel.plot(
        originals, rows, "D", markerfacecolor="none", color=BLACK, markersize=11,
        label="Rippel et al.",
    )  # fmt: skip
    older = [
        (cells[name]["older_reproduction"], row) for name, row in zip(names, rows, strict=True)
    ]
    panel.plot(
        [value for value, _ in older if value], [row for value, row in older if value], "x",
        color=GREY, markersize=10, label="older reproduction",
    )  # fmt: skip
    panel.axvline(1, color="0.5", linewidth=1)
    panel.set_xscale("log")
    panel.set_xlim(_LEFT, _RIGHT)
    panel.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    panel.minorticks_off()
    panel.set_yticks(rows, names)
    panel.set_ylim(-0.6, len(names) - 0.4)
    panel.set_xlabel("epochs to the spatial arm's best error: spatial / other, seed by seed")
    panel.set_title("speed-up beside the papers' numbers", loc="left")
    panel.grid(alpha=0.3, axis="x")


def _one_cell(panel, entry, row, color, marker, label):
    ratios = [one["speed_up"] for one in entry["by_seed"]]
    known = [value for value in ratios if value is not None]
    if entry["interval"]:
        low, high = (min(max(end, _LEFT), _RIGHT) for end in entry["interval"])
        panel.plot([low, high], [row, row], color=color, linewidth=2, alpha=0.6)
    panel.plot(known, [row] * len(known), ".", color=color, markersize=9)
    if entry["speed_up"] is not None:
        panel.plot(entry["speed_up"], row, marker, color=color, markersize=11)
    panel.plot([], [], color=color, marker=marker, linestyle="none", markersize=11, label=label)
    if missing := ratios.count(None):
        text = f"never: {missing} of {len(ratios)} seeds"
        panel.text(_NEVER, row, text, color=color, va="center")


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
        transform=panel.transAxes,
    )  # fmt: skip
    panel.set_xticks(
        np.arange(1, len(control["loss"]["spatial"]) + 1, 1 + len(control["loss"]["spatial"]) // 8)
    )
    panel.set_xlabel("epoch")
    panel.set_ylabel("training loss")
    panel.grid(alpha=0.3)
    panel.legend(loc="lower left")


def verdict(content):
    """Whether the printed speed-ups appear, each cell against its own."""
    cells = content["cells"]
    found = {name: cell["arms"]["spectral"] for name, cell in cells.items()}
    reached = [entry["speed_up"] for entry in found.values() if entry["speed_up"] is not None]
    span = f"{min(reached):.2f} to {max(reached):.2f}" if reached else "none"
    as_printed = sum(
        entry["speed_up"] is not None and entry["speed_up"] >= cells[name]["original"]
        for name, entry in found.items()
    )
    missing = len(found) - len(reached)
    also = f", {missing} with a seed that never gets to the spatial arm's best" if missing else ""
    return (
        f"Speed-ups here: {span} in {len(reached)} of {len(found)} cells{also}; {as_printed} of "
        f"{len(found)} reach their own printed number.  {summary(content['claims'])}."
    )


def _text(stored, seeds):
    unfinished = "" if stored["finished"] else "  NOT FINISHED: some seeds are missing."
    return (
        f"{verdict(stored['content'])}\n"
        f"{settings_line(stored)}  {seeds} seeds at most (dots); lines: t intervals of 95 %.  "
        f"Training error: running, augmentation on.{unfinished}\n"
        "Arms of a cell share spatial start, ReLU, padding, order of images, augmentation and "
        "random draws.  The report's arms did not: its spatial networks had no activation, other "
        "padding and other input scaling, its spectral layers trained the spatial kernel (FFT and "
        "inverse cancel), and panels 2 and 3 of its Figure 7 carry each other's titles; the older "
        "reproduction started its spectral kernels k times larger and had a ReLU on the logits.  "
        "'Longer steps' is the spatial arm at the learning rate that makes its first Adam step as "
        "long as the spectral arm's: sqrt(2 - 1/k^2) times."
    )
