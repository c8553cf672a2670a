"""Pictures of results, as PNG files."""

import os
import warnings
from typing import Any

from spectral_keras.data.files import write_file

__all__ = ["make_drawable", "write_picture"]


def make_drawable(text: str) -> str:
    """A text as Matplotlib can draw it: names of files may hold any bytes, and dollar signs."""
    return text.encode("utf-8", "replace").decode().replace("$", r"\$")


def write_picture(path: str | os.PathLike, figure: Any, dpi: float = 110) -> None:
    """Write a Matplotlib figure as a PNG file, whole or not at all, and close it."""
    from matplotlib import pyplot

    with warnings.catch_warnings():
        # Letters that the font has not are shown as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        write_file(path, lambda file: figure.savefig(file, dpi=dpi, format="png"))
    pyplot.close(figure)
