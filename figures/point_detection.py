"""Point-detection maps, the frequency-interpretation paper's Figure 5, and what reads them out.

A map is a grey image with a cosine of one frequency in one channel.  Above: maps and their spectra.
Below: a layer of known filters sees all of them, and what is read out of its outputs is set beside
the closed form.  The mean of the output that the paper prints is the same at all frequencies.
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "point_detection")

import math
import textwrap

import numpy as np

from figures._figure import Figure
from figures._style import BLUE, GREEN, ORANGE, PURPLE

_BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
_NARROW = np.pad(np.outer([1, 2, 1], [1, 2, 1]) / 16, 1)
_DELTA = np.pad([[1.0]], 2)


def _stripes():
    """Cosine of 45 degrees and half a cycle a pixel pair, under a bell; sum 0."""
    y, x = np.mgrid[-2:3, -2:3]
    stripes = np.cos(np.pi / 2 * (x + y)) * _BINOMIAL
    return 3 * (stripes - _BINOMIAL * stripes.sum())


FILTERS = {
    "low-pass, sum 1": _BINOMIAL,
    "band-pass, sum 0": 3 * (_NARROW - _BINOMIAL),
    "high-pass, sum 0": _DELTA - _NARROW,
    "d/dx, sum 0": np.pad(np.outer([1, 2, 1], [1, 0, -1]) / 8, 1),
    "stripes, sum 0": _stripes(),
    "sharpening, sum 1": 2 * _DELTA - _BINOMIAL,
}
# (channel, frequency as cycles per image of 32 pixels).
_EXAMPLES = [[0, [0, 1]], [1, [2, 0]], [2, [3, 4]], [0, [-6, 6]], [1, [10, 5]], [2, [16, 16]]]
_FULL = {"size": 32, "strength": 4 * math.sqrt(2), "examples": _EXAMPLES, "filters": [*FILTERS]}
PRESETS = {
    "smoke": {
        "size": 16,
        "strength": 2 * math.sqrt(2),
        "examples": [[0, [0, 1]], [2, [3, -2]], [1, [8, 8]]],
        "filters": ["low-pass, sum 1", "high-pass, sum 0", "sharpening, sum 1"],
    },
    # Seconds on any machine, at the paper's size and strength.
    "cpu": _FULL,
    "paper": _FULL,
}

# Name in the JSON -> (read-out, padding, label, colour of (c)).
READOUTS = {
    "rms": ("rms", "circular", "RMS of\nthe change", BLUE),
    "rectified_mean": ("rectified_mean", "circular", "rectified\nmean", ORANGE),
    "mean": ("mean", "circular", "printed\nmean", GREEN),
    "mean_zero_padding": ("mean", "same", "printed mean,\nzero padding", PURPLE),
}
CHANNELS = ("R", "G", "B")


def run(experiment):
    """Fills `examples`, `filters`, `closed_form`, `readouts` and `summary`."""
    content, settings = experiment.content, experiment.settings
    content["examples"] = [describe(settings, *example) for example in settings["examples"]]
    kernels = np.stack([FILTERS[name] for name in settings["filters"]])
    content["filters"] = [
        {"name": name, "kernel": np.round(kernel, 7).tolist()}
        for name, kernel in zip(settings["filters"], kernels, strict=True)
    ]
    closed = closed_form(kernels, settings)
    content["closed_form"] = np.round(closed, 7).tolist()
    measured = {name: measure(kernels, settings, name) for name in READOUTS}
    content["readouts"] = {name: np.round(maps, 7).tolist() for name, maps in measured.items()}
    content["summary"] = summary = summarise(closed, measured, settings)
    for name, one in summary.items():
        spread = ", ".join(f"{value:.2g}" for value in one["spread"])
        experiment.say(f"{name}: spread over the frequencies, filter by filter: {spread}")
    error = summary["rms"]["largest_difference_from_closed_form"]
    experiment.say(f"rms: largest difference from the closed form {error:.1e}")


def describe(settings, channel, frequency):
    """What one map is, measured on its pixels."""
    image = example_image(settings, channel, frequency)[..., channel].astype("float64")
    magnitude = np.abs(np.fft.fft2(image - 0.5))
    i, j = frequency
    at = float(magnitude[i, j])
    magnitude[i, j] = magnitude[-i, -j] = 0
    return {
        "channel": channel,
        "frequency": frequency,
        "amplitude": round(float(np.abs(image - 0.5).max()), 6),
        "norm": round(float(np.linalg.norm(image - 0.5)), 6),
        "magnitude": round(at, 4),
        "largest_magnitude_elsewhere": float(magnitude.max()),
    }


def example_image(settings, channel, frequency):
    from spectral_keras.analysis import point_detection_maps

    return point_detection_maps(
        settings["size"],
        channel,
        settings["strength"],
        frequencies=[frequency],
        data_format="channels_last",
    )[0]


def closed_form(kernels, settings):
    """strength |DFT of the kernel| / N at `real_frequencies`: float64 [filters, F]."""
    from spectral_keras.analysis import real_frequencies

    size = settings["size"]
    index = real_frequencies(size)
    spectra = np.abs(np.fft.fft2(kernels, s=(size, size)))
    return settings["strength"] * spectra[:, index[:, 0], index[:, 1]] / size


def measure(kernels, settings, name):
    """A read-out of a layer of the kernels, less that of a plain grey: [filters, F]."""
    import keras

    from spectral_keras.analysis import frequency_response, real_frequencies
    from spectral_keras.layers import FFTConv2D

    readout, padding, _, _ = READOUTS[name]
    options = {"use_bias": False, "data_format": "channels_last", "name": "bank"}
    if padding == "circular":
        bank = FFTConv2D(len(kernels), 5, padding="circular", **options)
    else:
        bank = keras.layers.Conv2D(len(kernels), 5, padding=padding, **options)
    size = settings["size"]
    model = keras.Sequential([keras.Input((size, size, 1)), bank])
    bank.set_weights([kernels.transpose(1, 2, 0)[:, :, None].astype("float32")])
    maps = frequency_response(
        model,
        "bank",
        readout=readout,
        strength=settings["strength"],
        subtract_grey=True,
        data_format="channels_last",
    )
    index = real_frequencies(size)
    return maps[:, 0, index[:, 0], index[:, 1]].astype("float64")


def summarise(closed, measured, settings):
    """For each read-out: spread of each filter over the frequencies but the mean, and bands."""
    from spectral_keras.analysis import real_frequencies, response_histogram, vote_shares
    from spectral_keras.analysis.point_detection import spectrum_from_half

    size = settings["size"]
    result = {}
    for name, values in measured.items():
        result[name] = {"spread": np.ptp(values[:, 1:], axis=1).tolist()}
    result["rms"]["largest_difference_from_closed_form"] = float(
        np.abs(measured["rms"] - closed).max()
    )
    maps = spectrum_from_half(measured["rms"], real_frequencies(size), (size, size))
    result["rms"]["bands"] = [
        {band: part["density"] for band, part in vote_shares(response_histogram([one])).items()}
        for one in maps
    ]
    return result


def draw(stored):
    """(a) the examples, (b) the read-outs as maps, (c) the same against the closed form."""
    from matplotlib import pyplot

    content, settings = stored["content"], stored["settings"]
    figure = pyplot.figure(figsize=(15, 23.6), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[5.4, 12.2, 6.0], hspace=0.02)
    draw_examples(top, content["examples"], settings)
    draw_maps(middle, content, settings["size"])
    left, right = bottom.subfigures(1, 2, width_ratios=[8, 7])
    draw_scatter(left.subplots(), content)
    draw_text(right, content, settings)
    return figure


def draw_examples(figure, examples, settings):
    size = settings["size"]
    figure.suptitle(
        f"(a) point-detection maps of {size} x {size}, strength {settings['strength']:.4g}, "
        "and the spectrum of their channel",
        fontsize=17,
        weight="bold",
    )
    axes = figure.subplots(2, len(examples), squeeze=False)
    for column, example in enumerate(examples):
        channel, frequency = example["channel"], example["frequency"]
        image = example_image(settings, channel, frequency)
        _show(axes[0, column], image)
        title = f"{CHANNELS[channel]}, [{frequency[0]}, {frequency[1]}]"
        axes[0, column].set_title(title, fontsize=17)
        spectrum = np.abs(np.fft.fftshift(np.fft.fft2(image[..., channel] - 0.5)))
        _show(axes[1, column], spectrum, cmap="gray")
        y, x = np.nonzero(spectrum > 0.5 * spectrum.max())
        axes[1, column].plot(
            x,
            y,
            "o",
            markersize=15,
            markerfacecolor="none",
            color=ORANGE,
            markeredgewidth=2,
            clip_on=False,
        )
        axes[1, column].set_xlabel(
            f"amplitude {example['amplitude']:.4g}\n|F| = {example['magnitude']:.5g}", fontsize=15
        )
    axes[0, 0].set_ylabel("image", fontsize=16)
    axes[1, 0].set_ylabel("spectrum, centred", fontsize=16)


def draw_maps(figure, content, size):
    from spectral_keras.analysis import real_frequencies
    from spectral_keras.analysis.point_detection import spectrum_from_half

    index = real_frequencies(size)

    def centred(values):
        return np.fft.fftshift(spectrum_from_half(values, index, (size, size)))

    figure.suptitle(
        "(b) response of known filters to all frequencies, less that to plain grey\n"
        "(one colour scale a column, lowest frequency in the centre)",
        fontsize=17,
        weight="bold",
    )
    filters, summary = content["filters"], content["summary"]
    axes = figure.subplots(2 + len(READOUTS), len(filters), squeeze=False)
    for column, one in enumerate(filters):
        kernel, closed = np.array(one["kernel"]), content["closed_form"][column]
        limit = np.abs(kernel).max()
        _show(axes[0, column], kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes[0, column].set_title(one["name"], fontsize=16)
        scale = {"cmap": "magma", "vmin": 0, "vmax": max(closed)}
        _show(axes[1, column], centred(closed), **scale)
        axes[1, column].set_xlabel(f"0 to {max(closed):.3g}", fontsize=14)
        for row, name in enumerate(READOUTS, 2):
            values = content["readouts"][name][column]
            _show(axes[row, column], centred(values), **scale)
            axes[row, column].set_xlabel(f"spread {_short(summary[name]['spread'][column])}",
                                         fontsize=14)  # fmt: skip
    labels = ["filter", "closed form\nt |W| / N", *(label for _, _, label, _ in READOUTS.values())]
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label, fontsize=15)


def _short(value):
    return f"{value:.3f}" if value >= 5e-4 else f"{value:.0e}"


def _show(axis, image, **options):
    axis.imshow(image, interpolation="nearest", **options)
    axis.set(xticks=[], yticks=[])


def draw_scatter(axis, content):
    """(c): each point is one filter at one frequency."""
    closed = np.array(content["closed_form"])[:, 1:]  # without the mean itself
    for (name, (_, _, label, colour)), marker in zip(READOUTS.items(), "o^sv", strict=True):
        values = np.array(content["readouts"][name])[:, 1:]
        axis.plot(
            closed.ravel(),
            values.ravel(),
            marker,
            color=colour,
            markersize=4.5,
            alpha=0.55,
            markeredgewidth=0,
            label=label.replace("\n", " "),
            rasterized=True,
        )
    limit = closed.max()
    axis.plot([0, limit], [0, limit], color="black", linewidth=1, label="closed form")
    slope = math.sqrt(2) / math.pi
    axis.plot(
        [0, limit],
        [0, slope * limit],
        color="black",
        linewidth=1,
        linestyle="--",
        label="\u221a2/\u03c0 of it: a rectified cosine",
    )
    axis.set_xlabel("closed form t |W(i, j)| / N", fontsize=15)
    axis.set_ylabel("read-out less that of grey", fontsize=15)
    axis.set_title("(c) all filters and frequencies but the mean", fontsize=17, weight="bold")
    axis.tick_params(labelsize=13)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=14, loc="upper left", markerscale=2.5)


def draw_text(figure, content, settings):
    summary = content["summary"]
    blind = max(summary["mean"]["spread"])
    error = summary["rms"]["largest_difference_from_closed_form"]
    silent = [
        one["name"].split(",")[0]
        for one, spread in zip(content["filters"], summary["rectified_mean"]["spread"], strict=True)
        if spread < 1e-5
    ]
    paragraphs = [
        "One linear layer without bias, circular padding but for the last row. "
        f"t: strength, N = {settings['size']}, W: DFT of the filter. Spread: largest less smallest "
        "read-out over all frequencies but the mean.",
        "The mean of a channel, as the paper prints it, tells no frequency from another (spread at "
        f"most {_short(blind)}, rounding); zero padding adds what leaks in at the border.",
        "The rectified mean does where the output swings below zero. It is blind to filters that "
        "answer grey with more than their swing: " + (", ".join(silent) or "none here") + ".",
        f"The RMS of the change is the closed form, to {_short(error)}.",
        "Density of the RMS' votes in the bands low / medium / high (even votes: 1):",
    ]
    lines = [textwrap.fill(text, 58, break_on_hyphens=False) for text in paragraphs]
    for one, bands in zip(content["filters"], summary["rms"]["bands"], strict=True):
        numbers = " / ".join("-" if value is None else f"{value:.2f}" for value in bands.values())
        lines.append(f"    {one['name'].split(',')[0]}: {numbers}")
    split = len(paragraphs)
    text = "\n\n".join(lines[:split]) + "\n" + "\n".join(lines[split:])
    figure.text(0.0, 0.97, text, va="top", fontsize=14)


FIGURE = Figure(
    name="point_detection",
    description=(__doc__ or "").strip(),
    presets=PRESETS,
    run=run,
    draw=draw,
)
