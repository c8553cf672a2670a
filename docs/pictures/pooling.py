"""Draw docs/pictures/pooling.png, the picture of the README: `python -m docs.pictures.pooling`.

What three poolings keep of the same picture when each leaves the same number of values.  Needs
scikit-image for the picture (extra `figures`).
"""

import pathlib

import numpy as np

SIDES = (64, 32, 16)
ROWS = {"max": "max pooling", "average": "average pooling", "spectral_average": "SpectralPool"}


def draw():
    """A Matplotlib figure: the picture, its spectrum, and each pooling at each side."""
    import matplotlib.pyplot as plt

    from figures._pooling_loss import pool_and_enlarge
    from figures._style import show_pixels
    from figures.information_preservation import picture
    from spectral_keras.plots import plot_pooling

    pixels = picture("astronaut")
    size = pixels.shape[0]
    plt.rcParams["font.size"] = 15
    figure = plt.figure(figsize=(12.6, 8.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[4, 9.2])
    above, below = left.subplots(2, 1)
    show_pixels(above, pixels)
    above.set_title(f"{size} x {size}")
    plot_pooling(pixels, list(SIDES), below, ticks=False)
    below.set_title("its spectrum, and what\nSpectralPool keeps of it")
    axes = right.subplots(len(ROWS), len(SIDES))
    for column, side in enumerate(SIDES):
        for row, (method, label) in enumerate(ROWS.items()):
            enlarged = pool_and_enlarge(method, pixels[None], side)[0]
            axis = axes[row, column]
            show_pixels(axis, enlarged)
            loss = np.linalg.norm(enlarged - pixels) / np.linalg.norm(pixels)
            axis.set_xlabel(f"error {loss:.2f}")
            if row == 0:
                axis.set_title(f"to {side} x {side}")
            if column == 0:
                axis.set_ylabel(label)
    return figure


if __name__ == "__main__":
    draw().savefig(pathlib.Path(__file__).with_suffix(".png"), dpi=100)
