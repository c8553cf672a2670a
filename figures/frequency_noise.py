"""Noise on an image's spectrum, band by band: Figure 4 of Jia, Bao and Ma (arXiv 1911.12044).

An image with noise in each of five bands and in random ones, the curves of the bands with the share
of information that they cover, and over many images the size of the noise and how many coefficients
it turns by half a turn.
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "frequency_noise")

import math

import keras
import numpy as np

from figures._claims import claim, exact, percent
from figures._figure import Figure
from figures._style import (
    AMBER,
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    caption,
    new_figure,
    show_pixels,
)
from figures._test_images import batches, data_line, decode, encode, read_test_images
from spectral_keras.augmentation.information import coverage_degree
from spectral_keras.evaluation import t_interval
from spectral_keras.layers import FrequencyNoise
from spectral_keras.ops.mask_curves import NOISE_BANDS, noise_curve, noise_masks
from spectral_keras.ops.spectral_noise import draw_control

NUM_BANDS = len(NOISE_BANDS)
# A border of zeros, as for the random crop: 32 x 32 become the paper's 40 x 40.
BORDER = 4
# The next call samples the same numbers again.
SEED = 0

_PAPER = {"dataset": "cifar10", "picture": 14, "sigmas": [3.0, 1.0], "random": 5}
PRESETS = {
    "smoke": {**_PAPER, "dataset": "digits", "images": 48, "picture": 0},
    "cpu": {**_PAPER, "images": 500},
    "paper": {**_PAPER, "images": None},
}

# Coverage degrees by NumPy with exact integer radii; the paper says "around 1/5".
REFERENCE = {"coverage": [0.1831, 0.1798, 0.2297, 0.2102, 0.1973], "turned": 0.16}

COLOURS = (BLUE, SKY, GREEN, AMBER, ORANGE)
LIGHT = "0.8"
CAPTION = (
    "y = F\u207b\u00b9(F(x) + R Dir F(x)), R of variance \u03c3 (1 \u2212 M) on the DFT without a "
    "factor of images in [0, 1], the same at k and \u2212k, of its own in each colour. M is the "
    "share that is protected: noise in band i alone is M = 1 \u2212 M_i."
)
ROWS = (
    "Read to the letter the paper's caption has M = M_i, noise in all bands but i (fourth row), "
    "which does not go from low to high frequencies as it says. Pictures are shown clipped to "
    "[0, 1]."
)
BARS = (
    "Coverage: equation (18) on a DFT of {size} points. Standard deviation: of the noise on a "
    "pixel at \u03c3 = 1; closed form \u221a(\u03c3 \u03a3 M_i) / (height \u00d7 width). A "
    "coefficient turns by half a turn where |F| + R < 0, so the phase is not "
    "\u201cunaltered\u201d; expected: mean of \u03a6(\u2212|F|/\u221a\u03c3). keep_phase=True "
    "stops at 0 instead."
)


def pad(images):
    return np.pad(images, ((0, 0), (BORDER, BORDER), (BORDER, BORDER), (0, 0)))


def exposed(bands):
    """alpha_r that lets noise into these bands only."""
    return [0.0 if band in bands else 1.0 for band in range(NUM_BANDS)]


def noisy(images, sigma, alpha_r, *, seed=SEED, **options):
    """The images after `FrequencyNoise`; the same random numbers for the same seed."""
    layer = FrequencyNoise(
        sigma, alpha_r=alpha_r, seed=seed, data_format="channels_last", dtype="float64", **options
    )
    return keras.ops.convert_to_numpy(layer(images.astype("float64"), training=True))


def random_controls(count):
    """`count` draws of alpha_r, rounded to what the figure writes under the pictures."""
    sampled = keras.ops.convert_to_numpy(draw_control(count, keras.random.SeedGenerator(SEED)))
    return sampled.astype("float64").round(2).tolist()


def deviation(images, sigma, alpha_r, **options):
    """Standard deviation of the noise on a pixel, over all images."""
    total = 0.0
    for seed, batch in enumerate(batches(images)):
        total += ((noisy(batch, sigma, alpha_r, seed=seed, **options) - batch) ** 2).sum()
    return math.sqrt(total / images.size)


def closed_form(height, width, sigma, bands):
    """The same, expected: sqrt(sigma sum M) / (height width)."""
    power = noise_masks(height, width)[list(bands)].sum()
    return math.sqrt(sigma * power) / (height * width)


def measure_turns(images, sigma, keep_phase):
    """Shares of the coefficients that turn by half a turn, and that vanish."""
    turns = vanishes = count = 0
    alpha_r = exposed(range(NUM_BANDS))
    for seed, batch in enumerate(batches(images)):
        before = np.fft.fft2(batch.astype("float64"), axes=(1, 2))
        after = noisy(batch, sigma, alpha_r, seed=seed, keep_phase=keep_phase)
        after = np.fft.fft2(after, axes=(1, 2))
        magnitude = np.abs(before)
        there = magnitude > 1e-9
        # |F| + R, on the direction that the coefficient had.
        along = (after * before.conj()).real[there] / magnitude[there]
        turns += (along < -1e-9).sum()
        vanishes += (np.abs(along) <= 1e-9).sum()
        count += there.sum()
    return float(turns / count), float(vanishes / count)


def below(magnitude):
    """Phi(-m), the chance that a standard normal number is below -m."""
    return (1 - keras.ops.convert_to_numpy(keras.ops.erf(magnitude / math.sqrt(2)))) / 2


def expected_turned(images, sigma):
    """P(R < -|F|) = Phi(-|F| / sqrt(sigma)): mean over the coefficients, t interval over images.

    Coefficients of 0 have no direction to turn.
    """
    totals, counts = [], []
    for batch in batches(images):
        magnitude = np.abs(np.fft.fft2(batch.astype("float64"), axes=(1, 2)))
        there = magnitude > 1e-9
        totals += np.where(there, below(magnitude / math.sqrt(sigma)), 0).sum((1, 2, 3)).tolist()
        counts += there.sum((1, 2, 3)).tolist()
    shares = np.divide(totals, np.maximum(counts, 1))
    return sum(totals) / sum(counts), list(t_interval(shares.tolist()))


def expected_clipped(images, sigma):
    """Standard deviation of the noise that stops at |F| + R = 0, on all bands.

    With R = sqrt(sigma) n and f = |F| / sqrt(sigma):  E max(n, -f)^2 = Phi(f) - f phi(f) + f^2
    Phi(-f).
    """
    total = 0.0
    for batch in batches(images):
        f = np.abs(np.fft.fft2(batch.astype("float64"), axes=(1, 2))) / math.sqrt(sigma)
        density = np.exp(-(f**2) / 2) / math.sqrt(2 * math.pi)
        tail = below(f)
        total += (1 - tail - f * density + f**2 * tail).sum()
    # The mean over the coefficients, as a variance of pixels.
    return math.sqrt(sigma * total / images.size / math.prod(images.shape[1:3]))


def band_table(images):
    """Coverage, share of the coefficients and share of the power of each band."""
    height, width = images.shape[1:3]
    masks = noise_masks(height, width)
    power = np.zeros((height, width))
    for batch in batches(images):
        spectrum = np.fft.fft2(batch.astype("float64"), axes=(1, 2))
        power += (np.abs(spectrum) ** 2).sum((0, 3))
    whole = power.sum()
    power[0, 0] = 0

    def coverage(size):
        return [
            round(coverage_degree(lambda s, b=band: noise_curve(s, b), size, size), 6)
            for band in range(NUM_BANDS)
        ]

    return {
        "bands": [list(band) for band in NOISE_BANDS],
        "coverage": coverage(height),
        "coverage_41": coverage(41),
        "coverage_32": coverage(32),
        "coefficients": [round(float(mask.mean()), 6) for mask in masks],
        "power": [round(float((mask * power).sum() / power.sum()), 6) for mask in masks],
        "power_with_mean": [
            round(float(((mask * power).sum() + (whole - power.sum()) * mask[0, 0]) / whole), 6)
            for mask in masks
        ],
    }


def run(experiment):
    """Fills `data`, `bands`, `deviation`, `turned`, `reference` and `pictures`."""
    content, settings = experiment.content, experiment.settings
    if "pictures" in content:
        experiment.say("all results are there")
        return
    bare, content["data"] = read_test_images(settings, experiment.data_dir)
    images = pad(bare)
    height, width = images.shape[1:3]
    content["data"]["padded"] = [height, width]
    experiment.say(f"{len(images)} test images of {settings['dataset']}")
    content["bands"] = band_table(images)
    content["deviation"] = noise_table(images)
    experiment.say(
        "all bands, sigma 1: standard deviation {measured:.5f}, closed form "
        "{closed_form:.5f}".format(**content["deviation"]["all"])
    )
    experiment.save()
    content["turned"] = [
        {"size": list(some.shape[1:3]), "sigma": sigma, **turn_table(some, sigma)}
        for some in (bare, images)
        for sigma in settings["sigmas"]
    ]
    for row in content["turned"]:
        experiment.say(
            "{size[0]} x {size[1]}, sigma {sigma:g}: {turned:.4f} of the coefficients turn, "
            "expected {expected:.4f}; with keep_phase {turned_keep_phase:.4f}".format(**row)
        )
    content["reference"] = REFERENCE if settings["dataset"] == "cifar10" else {}
    content["pictures"] = pictures(images[settings["picture"]], settings)


def noise_table(images):
    """Standard deviations at sigma = 1: measured, and in closed form."""
    size = images.shape[1:3]
    everything = tuple(range(NUM_BANDS))
    table = {}
    for name, bands in {**{str(band): (band,) for band in everything}, "all": everything}.items():
        table[name] = {
            "measured": round(deviation(images, 1.0, exposed(bands)), 7),
            "closed_form": round(closed_form(*size, 1.0, bands), 7),
        }
    # R independent at k and -k, and the real part of the result.
    table["all, independent R"] = {
        "measured": round(deviation(images, 1.0, exposed(everything), variant="printed"), 7),
        "closed_form": round(
            math.sqrt((1 + self_paired(*size)) / 2) * table["all"]["closed_form"], 7
        ),
    }
    table["all, keep_phase"] = {
        "measured": round(deviation(images, 1.0, exposed(everything), keep_phase=True), 7),
        "closed_form": round(expected_clipped(images, 1.0), 7),
    }
    return table


def self_paired(height, width):
    """Share of the frequencies with -k = k."""
    return (2 - height % 2) * (2 - width % 2) / (height * width)


def turn_table(images, sigma):
    turns, _ = measure_turns(images, sigma, keep_phase=False)
    still, vanishes = measure_turns(images, sigma, keep_phase=True)
    expected, ends = expected_turned(images, sigma)
    return {
        "turned": round(turns, 6),
        "expected": round(expected, 6),
        "expected_interval": [round(end, 6) for end in ends],
        "turned_keep_phase": round(still, 6),
        "vanished_keep_phase": round(vanishes, 6),
    }


def pictures(image, settings):
    """The image with noise: a list of rows of five."""
    image = image[None]
    strong, weak = settings["sigmas"]
    bands = [exposed([band]) for band in range(NUM_BANDS)]
    others = [[1 - a for a in alpha_r] for alpha_r in bands]
    random = random_controls(settings["random"])

    def alone(noised):
        """Grey, and the noise ten times as large."""
        return 0.5 + 10 * (noised - image)

    def row(name, sigma, controls, shown=lambda noised: noised):
        noised = [encode(shown(noisy(image, sigma, alpha_r))[0]) for alpha_r in controls]
        return {"name": name, "sigma": sigma, "alpha_r": controls, "images": noised}

    return {
        "original": encode(image[0]),
        "rows": [
            row("noise alone", strong, bands, alone),
            row("in one band", strong, bands),
            row("in one band", weak, bands),
            row("in all but one", strong, others),
            row("random", strong, random),
        ],
    }


def draw(stored):
    """ "" the curves and measurements, "_pictures" the image with noise."""
    content = stored["content"]
    pictures = new_figure(17)
    draw_pictures(pictures, content["pictures"])
    caption(pictures, f"{CAPTION} {ROWS}\n{data_line(stored)} {border(content)}")
    figure = new_figure(26)
    above, below = figure.subfigures(2, 1, height_ratios=[11.5, 9])
    curves, shares = above.subplots(2, 1)
    draw_curves(curves, content)
    draw_shares(shares, content)
    sizes, turns = below.subplots(1, 2)
    draw_sizes(sizes, content["deviation"])
    draw_turns(turns, content)
    figure.suptitle("Noise in the frequency domain: five bands of an image's spectrum")
    size = content["data"]["padded"][0]
    data = f"{data_line(stored, picture=False)} {border(content)}"
    text = f"{CAPTION} {BARS.format(size=size)}\n{data}"
    if content["reference"]:
        text += " Reference: computed independently, the 16 % on another sample of 500."
    caption(figure, text)
    return {"": figure, "_pictures": pictures}


def border(content):
    height, width = content["data"]["padded"]
    return f"Padded with zeros to {height} x {width}, as the paper's, if not said otherwise."


def draw_pictures(figure, stored):
    rows = stored["rows"]
    grid = figure.add_gridspec(len(rows), 1 + NUM_BANDS)
    original = figure.add_subplot(grid[0, 0])
    show_pixels(original, decode(stored["original"]))
    original.set_title("original")
    for index, row in enumerate(rows):
        for column, picture in enumerate(row["images"]):
            axis = figure.add_subplot(grid[index, 1 + column])
            show_pixels(axis, decode(picture))
            random = row["name"] == "random"
            if index == 0:
                low, high = NOISE_BANDS[column]
                axis.set_title(f"$m_{column}$: {low}\u2013{high}")
            if random:
                control = " ".join(f"{value:g}" for value in row["alpha_r"][column])
                axis.set_xlabel(control)
            for spine in axis.spines.values():
                spine.set(color=GREY if random else COLOURS[column], linewidth=2.5)
            if column == 0:
                axis.set_ylabel(row_label(row))


def row_label(row):
    sigma = f"\u03c3 = {row['sigma']:g}"
    return {
        "noise alone": f"the noise, x 10\n{sigma}",
        "in one band": f"in band i\n{sigma}",
        "in all but one": f"in all but band i\n{sigma}",
        "random": f"random bands,\n$\\alpha_r$ below, {sigma}",
    }[row["name"]]


def draw_curves(axis, content):
    radius = np.linspace(0, NOISE_BANDS[-1][1], 300)
    for band in range(NUM_BANDS):
        values = noise_curve(radius, band)
        axis.plot(radius, values, color=COLOURS[band], linewidth=2.2)
        axis.fill_between(radius, values, color=COLOURS[band], alpha=0.15, linewidth=0)
        axis.text(
            np.mean(NOISE_BANDS[band]), 1.06, f"$m_{band}$", ha="center", color=COLOURS[band],
        )  # fmt: skip
    axis.axvline(content["data"]["padded"][0] / 2, color=GREY, linestyle=":")
    axis.text(content["data"]["padded"][0] / 2 + 0.15, 0.03, "Nyquist", color="0.3")
    axis.set(xlabel="radius of the frequency, cycles per image", ylabel="mask", ylim=(0, 1.25))
    axis.set(xlim=(0, NOISE_BANDS[-1][1]))
    axis.set_title("the five mask curves; they add up to 1")


def draw_shares(axis, content):
    bands = content["bands"]
    kinds = {"coverage": ("information $C_v$", SKY), "coefficients": ("coefficients", LIGHT)}
    for offset, (kind, (label, colour)) in enumerate(kinds.items()):
        place = np.arange(NUM_BANDS) + 0.38 * (offset - 0.5)
        axis.bar(place, bands[kind], 0.36, color=colour, label=f"share of the {label}")
        for x, value in zip(place, bands[kind], strict=True):
            axis.text(x, 0.012, f"{value:.3f}", ha="center")
    if content["reference"]:
        expected = content["reference"]["coverage"]
        label = "$C_v$, reference"
        axis.plot(np.arange(NUM_BANDS) - 0.19, expected, "D", color=BLACK, ms=5, label=label)
    axis.axhline(0.2, color=GREY, linestyle="--", linewidth=1, zorder=0)
    ticks = [
        f"$m_{band}$\n{'power ' if band == 0 else ''}{power:.1%}"
        for band, power in enumerate(bands["power"])
    ]
    axis.set_xticks(range(NUM_BANDS), ticks)
    axis.set(ylim=(0, 0.34))
    axis.set_title("what a band holds (power: without the mean's; dashed: 1/5)")
    axis.legend(ncols=3, loc="upper center")


def draw_sizes(axis, table):
    bars = {str(band): (f"$m_{band}$", COLOURS[band]) for band in range(NUM_BANDS)}
    bars |= {
        "all": ("all", GREY),
        "all, independent R": ("all, R[\u2212k]\nindependent", GREY),
        "all, keep_phase": ("all,\nkeep_phase", PURPLE),
    }
    for place, (name, (_, colour)) in enumerate(bars.items()):
        value = table[name]["measured"]
        axis.barh(place, value, 0.7, color=colour)
        axis.text(value + 0.0008, place, f"{value:.4f}", va="center")
        label = "closed form" if place == 0 else None
        axis.plot(table[name]["closed_form"], place, "D", color=BLACK, ms=5, label=label)
    axis.set_yticks(range(len(bars)), [label for label, _ in bars.values()])
    axis.set(xlim=(0, 1.3 * table["all"]["closed_form"]))
    axis.invert_yaxis()
    axis.set_title("noise on a pixel at \u03c3 = 1,\nstandard deviation")
    axis.legend(loc="upper right")


def draw_turns(axis, content):
    rows, reference = content["turned"], content["reference"].get("turned")
    for place, row in enumerate(rows):
        first = place == 0
        label = "measured" if first else None
        axis.barh(place - 0.18, row["turned"], 0.4, color=ORANGE, label=label)
        label = "expected" if first else None
        axis.plot(row["expected"], place - 0.18, "D", color=BLACK, ms=5, label=label)
        axis.text(row["turned"] + 0.012, place - 0.18, f"{row['turned']:.1%}", va="center")
        still = f"keep_phase: {row['turned_keep_phase']:.0%}"
        axis.barh(place + 0.22, row["turned_keep_phase"], 0.4, color=PURPLE)
        axis.text(row["turned_keep_phase"] + 0.004, place + 0.22, still, va="center", color=PURPLE)
    if reference:
        where = next(i for i, row in enumerate(rows) if row["size"][0] == 32 and row["sigma"] == 1)
        label = f"reference: {reference:.0%}"
        axis.plot(reference, where - 0.18, "s", color=BLACK, mfc="none", ms=9, label=label)
    ticks = ["{size[0]} x {size[1]}\n\u03c3 = {sigma:g}".format(**row) for row in rows]
    axis.set_yticks(range(len(rows)), ticks)
    axis.set(xlim=(0, 1.3 * max(row["turned"] for row in rows)), ylim=(len(rows) + 0.25, -0.55))
    axis.set_title("coefficients that turn by\nhalf a turn, noise in all bands")
    axis.legend(loc="lower right", ncols=2)


def derive(stored):
    """Fills `claims`."""
    content = stored["content"]
    data = content["data"]
    run_ = f"{data['images']:,} images of {data['name']}; nothing is trained"
    far = max(abs(value - 0.2) for value in content["bands"]["coverage"])
    (row,) = (
        one for one in content["turned"] if one["size"] == data["padded"] and one["sigma"] == 1
    )
    ends = row.get("expected_interval")  # not of runs before 0.2.0
    content["claims"] = [
        claim("frequency_interpretation", "Equation (18), Figure 4",
              "each of the five bands holds a fifth of the information, to 0.05",
              f"{data['padded'][0]} x {data['padded'][1]} coefficients", unit="share", bound=0.05,
              above=False, printed="1/5", note="the largest distance from 1/5", **exact(far)),
        claim("frequency_interpretation", "Section 3.2, Figure 4",
              "the noise leaves the phase as it is", run_, unit="% of the coefficients", bound=0.1,
              above=False, effect=100 * row["expected"],
              interval=ends and percent(ends), over=f"{data['images']:,} images",
              note="turned by half a turn with noise of variance 1 in all bands, in closed form; "
              f"of one draw of noise {100 * row['turned']:.2f} %; keep_phase clips instead"),
    ]  # fmt: skip


FIGURE = Figure("frequency_noise", __doc__, PRESETS, run, draw, derive, uses=("data_dir",))
