"""Power suppression of an image: Figure 3 of Jia, Bao and Ma (arXiv 1911.12044).

An image with all but its low, medium or high frequencies damped, the mask curves that do it, and
over many images how much of the power they keep and how far the image is from the original.
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "power_suppression")

import numpy as np

from figures._claims import claim, exact
from figures._figure import Figure
from figures._style import AMBER, BLACK, BLUE, GREEN, GREY, ORANGE, caption, new_figure, show_pixels
from figures._test_images import batches, data_line, decode, encode, read_test_images
from spectral_keras.ops.mask_curves import (
    high_curve,
    low_curve,
    medium_curve,
    suppression_masks,
)
from spectral_keras.ops.suppression import suppress_power

# Name -> (index of `BANDS`, variant of the high-pass).
MASKS = {
    "low": (0, "consistent"),
    "medium": (1, "consistent"),
    "high": (2, "consistent"),
    "high as printed": (2, "printed"),
}
ALPHAS = (0.0, 0.25, 0.5, 0.75)

_CIFAR10 = {"dataset": "cifar10", "picture": 14}
PRESETS = {
    "smoke": {"dataset": "digits", "images": 24, "picture": 0},
    "cpu": {**_CIFAR10, "images": 500},
    "paper": {**_CIFAR10, "images": None},
}

# Full suppression, by NumPy on another sample of 500 test images of CIFAR-10.
REFERENCE = {
    "low": {"power": 0.956, "change": 0.070},
    "medium": {"power": 0.559, "change": 0.199},
    "high": {"power": 0.507, "change": 0.222},
}

LABELS = {
    "low": "$M_L$, low-pass",
    "medium": "$M_M$, band-pass",
    "high": "$M_H$, high-pass",
    "high as printed": "$M_H$ as printed\nin equation (4)",
}
STYLES = {
    "low": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "medium": {"color": GREEN, "linestyle": "-", "marker": "s"},
    "high": {"color": ORANGE, "linestyle": "-", "marker": "^"},
    "high as printed": {"color": GREY, "linestyle": "--", "marker": "x"},
}
# Where curves coincide all of them show.
WIDTHS = {"low": 5, "medium": 3.2, "high": 1.5, "high as printed": 2}
CAPTION = (
    "\u03b1 is the share of the amplitude that stays outside of the band, y = F\u207b\u00b9(F(x) "
    "(\u03b1 + (1 \u2212 \u03b1) M)): 0 suppresses all of it, 1 nothing. Equation (5) to the "
    "letter makes it the share that goes, but then the column \u03b1 = 0 would be the original, "
    "which the paper shows beside it. $m_H$ as printed is a low-pass that doubles the mean. "
    "Pictures are shown clipped to [0, 1], numbers are taken before. Power: of all coefficients "
    "but the mean's. "
    "Points: mean over the images, bars: their standard deviation. The paper gives no numbers here."
)


def suppress(images, mask, alpha):
    """The images with all but the band of `mask` (a key of `MASKS`) damped to the share alpha."""
    band, variant = MASKS[mask]
    count = len(images)
    damped = suppress_power(
        images,
        np.full(count, band),
        np.full(count, alpha, "float32"),
        variant=variant,
        data_format="channels_last",
    )
    return np.asarray(damped)


def measure(images, mask, alpha):
    """Share of the power that is kept, and relative change, of each image.

    By Parseval's theorem the power without the mean's is the variance of the pixels; an image of
    one colour has none, and keeps all of it.
    """
    power, change = [], []
    for before in batches(images):
        after = suppress(before, mask, alpha)
        before, after = before.astype("float64"), after.astype("float64")
        powers = [x.var((1, 2)).sum(-1) for x in (before, after)]
        flat = powers[0] < 1e-12
        power.append(np.where(flat, 1, powers[1] / np.where(flat, 1, powers[0])))
        difference = np.sqrt(((after - before) ** 2).sum((1, 2, 3)))
        norm = np.sqrt((before**2).sum((1, 2, 3)))
        change.append(difference / np.where(norm > 0, norm, 1))
    return np.concatenate(power), np.concatenate(change)


def curves(height, width):
    """The mask curves on radii from 0 to the corner, and the masks' mean weights."""
    # Piecewise linear between whole radii.
    corner = np.hypot(height // 2, width // 2)
    radius = np.append(np.arange(np.ceil(corner)), corner)
    functions = {
        "low": low_curve(radius),
        "medium": medium_curve(radius),
        "high": high_curve(radius),
        "high as printed": high_curve(radius, "printed"),
    }
    weights = {}
    for name, (band, variant) in MASKS.items():
        weights[name] = suppression_masks(height, width, variant=variant)[band].mean().item()
    return {
        "radius": radius.round(4).tolist(),
        "mask": {name: values.round(5).tolist() for name, values in functions.items()},
        "mean_weight": weights,
    }


def run(experiment):
    """Fills `data`, `curves`, `measured`, `reference` and `pictures`."""
    content, settings = experiment.content, experiment.settings
    if "pictures" in content:
        experiment.say("all results are there")
        return
    images, content["data"] = read_test_images(settings, experiment.data_dir)
    experiment.say(f"{len(images)} test images of {settings['dataset']}")
    content["curves"] = curves(*images.shape[1:3])
    measured = content.setdefault("measured", {})
    for mask in MASKS:
        if mask in measured:
            continue
        rows = [measure(images, mask, alpha) for alpha in (*ALPHAS, 1.0)]
        measured[mask] = {"alpha": [*ALPHAS, 1.0]}
        for name, values in zip(("power", "change"), zip(*rows, strict=True), strict=True):
            measured[mask][name] = [round(float(v.mean()), 6) for v in values]
            measured[mask][f"{name}_std"] = [round(float(v.std()), 6) for v in values]
        power, change = (measured[mask][name][0] for name in ("power", "change"))
        experiment.say(f"{mask}: {power:.3f} of the power kept, relative change {change:.3f}")
        experiment.save()
    content["reference"] = REFERENCE if settings["dataset"] == "cifar10" else {}
    picture = images[settings["picture"]][None]
    content["pictures"] = {
        "original": encode(picture[0]),
        **{mask: [encode(suppress(picture, mask, alpha)[0]) for alpha in ALPHAS] for mask in MASKS},
    }


def draw(stored):
    """Pictures above, curves and measurements below."""
    content = stored["content"]
    figure = new_figure(33)
    pictures, middle, below = figure.subfigures(3, 1, height_ratios=[12.5, 6.6, 8])
    draw_pictures(pictures, content["pictures"])
    draw_curves(middle.subplots(), content)
    power, change = below.subplots(1, 2)
    draw_measured(power, content, "power", "power kept, share")
    draw_measured(change, content, "change", "change ||y \u2212 x|| / ||x||")
    power.legend(loc="lower right", title="at \u03b1 = 0")
    change.legend(loc="upper right", title="at \u03b1 = 0")
    figure.suptitle("Power suppression: what is left of an image by each mask")
    caption(figure, f"{CAPTION}\n{data_line(stored)}{reference_note(content)}")
    return figure


def reference_note(content):
    if not content["reference"]:
        return ""
    return " Black, hollow, and in brackets: by NumPy's FFT on another sample of 500 test images."


def draw_pictures(figure, pictures):
    grid = figure.add_gridspec(len(MASKS), 1 + len(ALPHAS))
    original = figure.add_subplot(grid[0, 0])
    show_pixels(original, decode(pictures["original"]))
    original.set_title("original")
    for row, mask in enumerate(MASKS):
        for column, picture in enumerate(pictures[mask]):
            axis = figure.add_subplot(grid[row, 1 + column])
            show_pixels(axis, decode(picture))
            for spine in axis.spines.values():
                spine.set(color=STYLES[mask]["color"], linewidth=2.5)
                spine.set_linestyle(STYLES[mask]["linestyle"])
            if row == 0:
                axis.set_title(f"\u03b1 = {('0', '1/4', '1/2', '3/4')[column]}")
            if column == 0:
                axis.set_ylabel(LABELS[mask])


def draw_curves(axis, content):
    values = content["curves"]
    for mask, curve in values["mask"].items():
        style = {**STYLES[mask], "marker": None, "linewidth": WIDTHS[mask]}
        label = f"{LABELS[mask]}: mean weight {values['mean_weight'][mask]:.3f}".replace("\n", " ")
        axis.plot(values["radius"], curve, label=label, **style)
    height, width = content["data"]["shape"][:2]
    axis.axvline(min(height, width) / 2, color=AMBER, linestyle=":", linewidth=1.5)
    axis.text(min(height, width) / 2 - 0.2, 2.02, "Nyquist", ha="right")
    axis.set(xlabel="radius of the frequency, cycles per image", ylabel="mask")
    axis.set(xlim=(0, values["radius"][-1]), ylim=(-0.04, 2.15))
    axis.set_title("mask curves m(s)")
    axis.grid(alpha=0.3)
    axis.legend(loc="upper right", bbox_to_anchor=(1, 0.93))


def draw_measured(axis, content, quantity, title):
    for mask in ("low", "medium", "high"):
        values, style = content["measured"][mask], STYLES[mask]
        label = f"{LABELS[mask].split(',')[0]}: {values[quantity][0]:.3f}"
        if mask in content["reference"]:
            expected = content["reference"][mask][quantity]
            label += f" ({expected:.3f})"
            axis.plot(-0.07, expected, style["marker"], color=BLACK, markerfacecolor="none")
        axis.errorbar(
            values["alpha"],
            values[quantity],
            yerr=values[f"{quantity}_std"],
            capsize=2,
            elinewidth=0.8,
            linewidth=1.8,
            markersize=5,
            label=label,
            **style,
        )
    axis.set(xlabel="\u03b1, share of the amplitude kept", ylim=(0, None))
    axis.set_title(title)
    axis.grid(alpha=0.3)


def derive(stored):
    """Fills `claims`."""
    content = stored["content"]
    images = f"{content['data']['images']:,} images of {content['data']['name']}"
    radius = np.array(content["curves"]["radius"])
    run_ = f"{images}; nothing is trained"

    def rise(mask):
        """Mean of a mask curve above half of the largest radius less that below."""
        values, above = np.array(content["curves"]["mask"][mask]), radius > radius[-1] / 2
        return values[above].mean() - values[~above].mean()

    content["claims"] = [
        claim("frequency_interpretation", "Equation (4), Figure 3",
              "m_H as printed passes high frequencies more than low ones", run_, unit="gain",
              note="corrected: 1 - m_step(s - 13)", **exact(rise("high as printed"))),
        claim("frequency_interpretation", "Equation (4), Figure 3",
              "m_H as corrected passes high frequencies more than low ones", run_, unit="gain",
              added=True,
              **exact(rise("high"))),
    ]  # fmt: skip


FIGURE = Figure("power_suppression", __doc__, PRESETS, run, draw, derive, uses=("data_dir",))
