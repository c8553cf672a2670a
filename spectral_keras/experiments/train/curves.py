"""curves.png: loss and accuracy against the epoch."""

import os
from typing import Any

from spectral_keras.experiments.pictures import make_drawable, write_picture

__all__ = ["draw_curves"]


def draw_curves(
    path: str | os.PathLike, rows: list[dict[str, Any]], title: str, best_epoch: int | None = None
) -> None:
    """Draw the history of a training.

    Args:
        path: the PNG file.
        rows: the history, a dict for each epoch.
        title: of the picture, on one line.
        best_epoch: the epoch whose weights were kept, or None.
    """
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in rows]
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        marker = "o" if len(rows) < 3 else None
        axis.plot(epochs, [row[quantity] for row in rows], label="training", marker=marker)
        if f"val_{quantity}" in rows[0]:
            values = [row[f"val_{quantity}"] for row in rows]
            axis.plot(epochs, values, label="validation", marker=marker)
        if best_epoch is not None:
            axis.axvline(best_epoch, color="0.6", linestyle=":", label="best epoch")
        axis.set_xlabel("epoch")
        axis.set_ylabel(quantity)
        if len(rows) <= 10:  # the locator puts ticks between few epochs
            axis.set_xticks(epochs)
        else:
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(make_drawable(title))
    write_picture(path, figure, dpi=120)
