"""Colours and helpers that the figures share."""

import textwrap

from spectral_keras.experiments.train.options import TrainOptions

# Okabe and Ito's palette, which colour-blind readers can distinguish.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, BLACK, GREY = "#56B4E9", "#E69F00", "#000000", "#8C8C8C"


# Options of `show` for images from black, 0, to white, 1.
GREY_LEVELS = {"cmap": "gray", "vmin": 0, "vmax": 1}


def new_figure(height, width=16):
    """An empty figure of so many inches, in which no text runs into another."""
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout="constrained")


def caption(figure, text, size=18):
    """Lines of text under the figure: what was run, and what a reader must know."""
    width = int(13.8 * 9 / size * figure.get_figwidth())  # letters in a line
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, width) or [""]]
    figure.supxlabel("\n".join(lines), fontsize=size, ha="left", x=0.01, color="0.2")


def show(axis, image, **options):
    """An image without ticks; `options` are those of `imshow`, whose result is returned."""
    axis.set(xticks=[], yticks=[])
    return axis.imshow(image, interpolation="nearest", **options)


def show_pixels(axis, image):
    """Pixels [height, width, channels] without ticks, clipped to [0, 1]."""
    show(axis, image.clip(0, 1).squeeze(), **GREY_LEVELS)


def hide_unused(panels, count):
    """An array of panels as a list, of which those after the first `count` are left blank."""
    panels = list(panels.ravel())
    for panel in panels[count:]:
        panel.set_axis_off()
    return panels


def paper_mark(**style):
    """Style of the line that marks the number that a paper prints."""
    return {"color": GREEN, "marker": "_", "markeredgewidth": 3, "linestyle": ""} | style


def handle(label="paper (full scale)", **style):
    """Entry of a legend for markers of a style, such as `paper_mark`."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **{"linestyle": ""} | style)


def settings_line(stored):
    """Preset, data and training of a figure in one line."""
    training = stored["settings"]["training"]
    images = f"{training['limit']:,} images" if "limit" in training else "all training images"
    held_out = training.get("validation_fraction", TrainOptions.validation_fraction)
    images += f", {100 * held_out:g} % of them for validation" if held_out else ""
    width = stored["settings"].get("network", {}).get("width")
    filters = f"{width:g} x the paper's filters" if width else "the paper's filters"
    rates = stored["settings"].get("rates", [training["learning_rate"]])
    rates = ", ".join(f"{rate:g}" for rate in rates)
    return (
        f"Preset {stored['preset']}: {training['dataset']}, {images}, {training['epochs']} epochs, "
        f"batch {training['batch_size']}, {training['optimizer']} at "
        f"{rates}, augmentation {training['augment']}, {filters}."
    )
