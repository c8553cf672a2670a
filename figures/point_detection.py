"""Point-detection maps, the frequency-interpretation paper's Figure 5, and what reads them out.

A map is a grey image with a cosine of one frequency in one channel.  Above: maps and their spectra.
Below: a layer of known filters sees all of them, and what is read out of its outputs is set beside
the closed form.  The mean of the output that the paper prints is the same at all frequencies.
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "point_detection")

import math

import keras
import numpy as np

from figures._claims import claim, exact
from figures._figure import Figure
from figures._style import BLUE, GREEN, ORANGE, PURPLE, caption, hide_unused, new_figure, show
from spectral_keras.analysis import (
    frequency_response,
    point_detection_maps,
    real_frequencies,
    response_histogram,
    vote_shares,
)
from spectral_keras.analysis.point_detection import spectrum_from_half
from spectral_keras.layers import FFTConv2D

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
    return point_detection_maps(
        settings["size"],
        channel,
        settings["strength"],
        frequencies=[frequency],
        data_format="channels_last",
    )[0]


def closed_form(kernels, settings):
    """strength |DFT of the kernel| / N at `real_frequencies`: float64 [filters, F]."""
    size = settings["size"]
    index = real_frequencies(size)
    spectra = np.abs(np.fft.fft2(kernels, s=(size, size)))
    return settings["strength"] * spectra[:, index[:, 0], index[:, 1]] / size


def measure(kernels, settings, name):
    """A read-out of a layer of the kernels, less that of a plain grey: [filters, F]."""
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
    content, settings = stored["content"], stored["settings"]
    figure = new_figure(32)
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[5.6, 11.6, 7.4], hspace=0.02)
    draw_examples(top, content["examples"], settings)
    draw_maps(middle, content, settings["size"])
    draw_scatter(bottom.subplots(), content)
    caption(figure, words(content, settings))
    return figure


def draw_examples(figure, examples, settings):
    size = settings["size"]
    figure.suptitle(
        f"(a) point-detection maps of {size} x {size}, and where their frequencies are",
        weight="bold",
    )
    left, right = figure.subfigures(1, 2, width_ratios=[2.4, 1])
    columns = min(3, len(examples))
    axes = left.subplots(-(-len(examples) // columns), columns, squeeze=False)
    spectrum = right.subplots()
    for axis, example in zip(hide_unused(axes, len(examples)), examples, strict=False):
        channel, (i, j) = example["channel"], example["frequency"]
        show(axis, example_image(settings, channel, (i, j)))
        axis.set_title(f"{CHANNELS[channel]}, [{i}, {j}]")
        axis.set_xlabel(f"amplitude {example['amplitude']:.3g}, |F| {example['magnitude']:.4g}")
        half = size // 2
        points = {(i, j), (-i, -j)} if max(abs(i), abs(j)) < half else {(-half, -half)}
        spectrum.plot(
            [x for _, x in points], [y for y, _ in points], "os^"[channel],
            color=(ORANGE, GREEN, BLUE)[channel], markersize=11,
        )  # fmt: skip
    spectrum.set(xlim=(-half - 2, half + 1), ylim=(half + 1, -half - 2), aspect="equal")
    spectrum.set(xlabel="j, cycles", ylabel="i, cycles")
    spectrum.grid(alpha=0.3)


def draw_maps(figure, content, size):
    """The filters and what is read out of them; the printed mean is 0 and has no row."""
    index = real_frequencies(size)

    def centre(values):
        return np.fft.fftshift(spectrum_from_half(values, index, (size, size)))

    figure.suptitle("(b) response of known filters to all frequencies", weight="bold")
    filters, summary = content["filters"], content["summary"]
    shown = ("rms", "rectified_mean")
    axes = figure.subplots(2 + len(shown), len(filters), squeeze=False)
    for column, one in enumerate(filters):
        kernel, closed = np.array(one["kernel"]), content["closed_form"][column]
        limit = np.abs(kernel).max()
        show(axes[0, column], kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes[0, column].set_title(one["name"].replace(", ", ",\n"))
        scale = {"cmap": "magma", "vmin": 0, "vmax": max(closed)}
        show(axes[1, column], centre(closed), **scale)
        axes[1, column].set_xlabel(f"0 to {max(closed):.3g}")
        for row, name in enumerate(shown, 2):
            show(axes[row, column], centre(content["readouts"][name][column]), **scale)
            spread = _short(summary[name]["spread"][column])
            axes[row, column].set_xlabel(f"spread {spread}")
    labels = ["filter", "closed form\nt |W| / N", *(READOUTS[name][2] for name in shown)]
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label)


def _short(value):
    return f"{value:.3f}" if value >= 5e-4 else f"{value:.0e}"


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
            markersize=7,
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
    axis.set_xlabel("closed form t |W(i, j)| / N")
    axis.set_ylabel("read-out less that of grey")
    axis.set_title("(c) all filters and frequencies but the mean", weight="bold")
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", markerscale=2.5)


def words(content, settings):
    summary = content["summary"]
    blind = max(summary["mean"]["spread"])
    error = summary["rms"]["largest_difference_from_closed_form"]
    silent = [
        one["name"].split(",")[0]
        for one, spread in zip(content["filters"], summary["rectified_mean"]["spread"], strict=True)
        if spread < 1e-5
    ]
    densities = []
    for one, bands in zip(content["filters"], summary["rms"]["bands"], strict=True):
        numbers = " / ".join("-" if value is None else f"{value:.2f}" for value in bands.values())
        densities.append(f"{one['name'].split(',')[0]} {numbers}")
    return (
        f"One linear layer without bias, circular padding; t = {settings['strength']:.4g}: "
        f"strength, N = {settings['size']}, W: DFT of the filter.  (b): less the response to plain "
        "grey, one colour scale a column, lowest frequency in the centre; spread: largest less "
        "smallest read-out over all frequencies but the mean.\n"
        "The mean of a channel, as the paper prints it, tells no frequency from another (spread at "
        f"most {_short(blind)}, rounding; its maps would be black); zero padding adds what leaks "
        "in at the border.  The rectified mean does where the output swings below zero; it is "
        "blind to filters that answer grey with more than their swing: "
        + (", ".join(silent) or "none here")
        + f".  The RMS of the change is the closed form, to {_short(error)}.\n"
        "Density of the RMS' votes in the bands low / medium / high (even votes: 1): "
        + "; ".join(densities)
        + "."
    )


def derive(stored):
    """Fills `claims`."""
    content = stored["content"]
    run_ = f"one layer of {len(content['filters'])} known filters; nothing is trained"
    summary = content["summary"]
    content["claims"] = [
        claim("frequency_interpretation", "Section 3.4, Figure 5",
              "the mean of a linear layer's channel tells frequencies apart", run_, unit="spread",
              bound=1e-4, note="largest over the filters, rounding; circular padding",
              **exact(max(summary["mean"]["spread"]))),
        claim("frequency_interpretation", "Section 3.4, Figure 5",
              "the root mean square of the change is t |W| / N", run_, unit="largest difference",
              bound=1e-4, above=False, added=True,
              **exact(summary["rms"]["largest_difference_from_closed_form"])),
    ]  # fmt: skip


FIGURE = Figure("point_detection", __doc__, PRESETS, run, draw, derive, uses=())
