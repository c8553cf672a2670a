"""Colours and helpers that the figures share."""

# Okabe and Ito's palette, which colour-blind readers can distinguish.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, BLACK, GREY = "#56B4E9", "#E69F00", "#000000", "#8C8C8C"


def caption(figure, text, size=9):
    """Lines of text under the figure: what was run, and what a reader must know.

    A picture that is to be read at half its size needs a `size` of 18.
    """
    import textwrap

    width = int(13.8 * 9 / size * figure.get_figwidth())  # letters in a line
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, width) or [""]]
    figure.supxlabel("\n".join(lines), fontsize=size, ha="left", x=0.01, color="0.2")


def settings_line(stored):
    """Preset, data and training of a figure in one line."""
    training = stored["settings"]["training"]
    images = f"{training['limit']:,} images" if "limit" in training else "all training images"
    width = stored["settings"].get("network", {}).get("width")
    filters = f"{width:g} x the paper's filters" if width else "the paper's filters"
    return (
        f"Preset {stored['preset']}: {training['dataset']}, {images}, {training['epochs']} epochs, "
        f"batch {training['batch_size']}, {training['optimizer']} at "
        f"{training['learning_rate']:g}, augmentation {training['augment']}, {filters}."
    )
