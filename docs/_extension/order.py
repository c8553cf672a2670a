"""The order of the examples on their page."""

ORDER = (
    "plot_pooling",
    "plot_change_of_coordinates",
    "plot_frequency_dropout",
    "plot_backbone",
    "plot_litert",
    "plot_preset_frequencies",
    "plot_planted_mask",
    "plot_fooling",
    "plot_corruptions",
    "plot_custom_figure",
    "plot_moving",
    # It makes TensorFlow's operations deterministic for the rest of the process, and slower.
    "plot_search",
)


class ReadingOrder:
    """Sort key of sphinx-gallery; an example that is not listed is an error."""

    def __init__(self, source):
        self.source = source

    def __call__(self, name):
        return ORDER.index(name.removesuffix(".py"))
