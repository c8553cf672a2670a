"""Draw the pictures of docs/conventions.md: `python -m docs.pictures.conventions`."""

import pathlib

import numpy as np

from spectral_keras.ops import signed_frequencies

BLUE, ORANGE, PALE = "#0072B2", "#D55E00", "#E8EEF2"
FOLDER = pathlib.Path(__file__).parent


def _cells(axis, y, frequencies, title, mark=()):
    """A row of boxes with a frequency in each."""
    for x, k in enumerate(frequencies):
        color = ORANGE if k in mark else BLUE if k == 0 else PALE
        ink = "white" if k in mark or k == 0 else "black"
        axis.add_patch(_box(x, y, color))
        axis.text(
            x + 0.5,
            y + 0.5,
            f"{k:d}".replace("-", "\u2212"),
            ha="center",
            va="center",
            color=ink,
            fontsize=14,
        )
    axis.text(-0.3, y + 0.5, title, ha="right", va="center", fontsize=13)


def _box(x, y, color):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 1, 1, facecolor=color, edgecolor="white", linewidth=2)


def frequencies():
    """Both orders of 7 and of 8 frequencies."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 2.2), layout="constrained")
    for axis, n in zip(axes, (7, 8), strict=True):
        order = signed_frequencies(n)
        nyquist = (-n // 2,) if n % 2 == 0 else ()
        _cells(axis, 1.3, order, "unshifted", nyquist)
        _cells(axis, 0, np.fft.fftshift(order), "centred", nyquist)
        kind = "odd: no Nyquist frequency" if n % 2 else "even: \u22124 stands for \u00b14"
        axis.set_title(f"n = {n}, {kind}", fontsize=14)
        axis.set(xlim=(-2.7, 8.1), ylim=(-0.1, 2.4), aspect="equal")
        axis.set_axis_off()
    return figure


def crop():
    """Where the frequencies of 8 samples go among those of 4, in centred order."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    large = range(-4, 5)
    _cells(axis, 2.2, list(large)[:-1], "8 values", (-2, 2))
    _cells(axis, 0, (-2, -1, 0, 1), "4 values", (-2,))
    arrow = {"arrowstyle": "->", "color": "0.35", "linewidth": 1.6}
    for k, place in ((-1, 1), (0, 2), (1, 3)):
        axis.annotate("", (place + 0.5, 1.05), (k + 4.5, 2.15), arrowprops=arrow)
    for k in (-2, 2):
        axis.annotate("", (0.5, 1.05), (k + 4.5, 2.15), arrowprops=arrow | {"color": ORANGE})
    axis.text(5.3, 1.25, "w ( F[\u22122] + F[2] )", color=ORANGE, fontsize=14)
    axis.set(xlim=(-2.2, 9), ylim=(-0.1, 3.3), aspect="equal")
    axis.set_axis_off()
    return figure


def bands():
    """A plane of 32 x 32 frequencies: circles of radial bands, and the square of a low-pass."""
    import matplotlib.pyplot as plt

    side = 32
    k = np.fft.fftshift(signed_frequencies(side))
    radius = np.hypot(k[:, None], k[None, :])
    edges = -side / 2 - 0.5, side / 2 - 0.5
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 4.2), layout="constrained", sharey=True)
    axes[0].imshow(
        np.digitize(radius, (4, 8, 12, 16)),
        cmap="Blues",
        vmin=-1,
        extent=(*edges, *edges),
        origin="lower",
    )
    axes[0].set_title("rings of radii from 0 to 4, 8, 12, 16,\nand the corners")
    square = (abs(k[:, None]) < 8) & (abs(k[None, :]) < 8)
    axes[1].imshow(square, cmap="Blues", vmax=1.6, extent=(*edges, *edges), origin="lower")
    axes[1].set_title("a square low-pass: |k| < 8 and |l| < 8")
    for axis in axes:
        axis.set(xlabel="l, periods an image")
    axes[0].set_ylabel("k, periods an image")
    return figure


def architecture():
    """The parts of the library: each may import what lies lower in the picture."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    rows = [
        (["models/   tuning/   figures/   benchmarks/"], "commands, recipes", PALE),
        (["experiments"], "parses, prints, draws, writes", "#CFE0EC"),
        (["training", "evaluation"], "put together", "#CFE0EC"),
        (["attacks", "analysis"], "of any classifier", "#CFE0EC"),
        (["models", "classifiers"], "the zoo; predictions", "#CFE0EC"),
        (["layers", "augmentation", "corruptions", "data"], "thin over ops", "#CFE0EC"),
        (["ops"], "pure functions: all mathematics", "#9CC3DE"),
    ]
    figure, axis = plt.subplots(figsize=(9, 6), layout="constrained")
    for row, (names, note, color) in enumerate(rows):
        y, width = len(rows) - row, 7 / len(names)
        for column, name in enumerate(names):
            style = {"boxstyle": "round,pad=0,rounding_size=0.08", "edgecolor": "white"}
            axis.add_patch(
                FancyBboxPatch(
                    (column * width + 0.06, y), width - 0.12, 0.72, facecolor=color, **style
                )
            )
            axis.text(
                (column + 0.5) * width,
                y + 0.36,
                name,
                ha="center",
                va="center",
                fontsize=14 if len(names) < 4 else 11.5,
                family="monospace",
            )
        axis.text(7.15, y + 0.36, note, va="center", fontsize=12, color="0.3")
    axis.annotate(
        "",
        (-0.25, 1.1),
        (-0.25, 7.6),
        arrowprops={"arrowstyle": "->", "linewidth": 2, "color": "0.35"},
    )
    axis.text(
        -0.45, 4.4, "imports", rotation=90, va="center", ha="center", fontsize=13, color="0.3"
    )
    axis.set(xlim=(-0.7, 9.9), ylim=(0.9, 7.9))
    axis.set_axis_off()
    return figure


if __name__ == "__main__":
    for draw in (frequencies, crop, bands, architecture):
        draw().savefig(FOLDER / f"{draw.__name__}.png", dpi=110, facecolor="white")
