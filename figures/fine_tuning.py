"""What weights by name are worth: from a preset, and from scratch, on few images of other classes.

The network of `quick_spectral_cifar100` on the first 1,000 training images of CIFAR-10, 100 a
class, from its CIFAR-100 weights with a new head, and from its initial weights: the same images,
epochs, batches and augmentation, several learning rates for each start.  All 10,000 test images,
once a run, by the last weights.

Rule, written before the runs.  "The weights help": the t interval over the seeds of the paired
difference of the test accuracies lies above 0, between the worst of the learning rates from the
preset and the best from scratch, by the means.  It holds for these rates only: those of the preset
were known to work from a trial of one seed (75.8 and 76.6 % of the test images, from scratch 59.9 %
at 0.06), and a third rate from scratch, 0.6, was left out for its time before it was ever run.

Command: python -m figures.fine_tuning --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "fine_tuning")

import numpy as np

from figures._claims import over_seeds
from figures._figure import Figure
from figures._runs import train_once
from figures._style import BLUE, ORANGE, caption, new_figure
from spectral_keras.evaluation import judge

PRESETS = {
    "smoke": {
        "model": "deep_spectral",
        "options": {"dataset": "digits", "limit": 30, "epochs": 1, "width": 0.15,
                    "padding": "valid", "batch_size": 15},
        "weights": "deep_spectral_digits",
        "rates": {"preset": [1e-4], "scratch": [1e-3]},
        "seeds": [0],
    },
    "cpu": {
        "model": "quick_spectral",
        "options": {"dataset": "cifar10", "limit": 1000, "validation_fraction": 0, "epochs": 30,
                    "batch_size": 128, "precision": "bfloat16", "sizes": [18, 9, 4],
                    "tta": "none"},
        "weights": "quick_spectral_cifar100",
        "rates": {"preset": [0.02, 0.06], "scratch": [0.06, 0.2]},
        "seeds": [0, 1, 2],
    },
}  # fmt: skip
PRESETS["paper"] = PRESETS["cpu"]  # minutes on a GPU
STARTS = {"preset": "from the preset", "scratch": "from scratch"}


def _key(start, rate, seed):
    return f"{start} {rate:g} seed {seed}".replace(" ", "-")


def runs(settings):
    """The trainings, one seed of every arm first: key -> (network, options)."""
    return {
        _key(start, rate, seed): (
            settings["model"],
            settings["options"]
            | {"learning_rate": rate, "seed": seed}
            | ({"weights": settings["weights"]} if start == "preset" else {}),
        )
        for seed in settings["seeds"]
        for start, rates in settings["rates"].items()
        for rate in rates
    }


def run(experiment):
    for key, (model, options) in runs(experiment.settings).items():
        record = train_once(experiment, key, model, options)
        experiment.say(f"{key}: {100 * record['result']['test_accuracy']:.2f} %")


def derive(stored):
    """Fills `rows`, one for each start and learning rate, and `found`, by the rule."""
    content, settings = stored["content"], stored["settings"]
    done = content.get("runs", {})
    content["rows"] = []
    for start, rates in settings["rates"].items():
        for rate in rates:
            keys = {seed: _key(start, rate, seed) for seed in settings["seeds"]}
            by_seed = {
                str(seed): 100 * done[key]["result"]["test_accuracy"]
                for seed, key in keys.items()
                if key in done
            }
            if by_seed:
                mean = float(np.mean(list(by_seed.values())))
                content["rows"].append(
                    {"start": start, "rate": rate, "accuracy": by_seed, "mean": mean}
                )
    content["found"] = compare(content["rows"])


def compare(rows):
    """The rule of this module's first lines: the two rows, the difference, the verdict."""
    means = {
        start: [(row["mean"], row) for row in rows if row["start"] == start] for start in STARTS
    }
    if not all(means.values()):
        return None
    tuned = min(means["preset"], key=lambda pair: pair[0])[1]
    scratch = max(means["scratch"], key=lambda pair: pair[0])[1]
    gains = [
        value - scratch["accuracy"][seed]
        for seed, value in tuned["accuracy"].items()
        if seed in scratch["accuracy"]
    ]
    measured = over_seeds(gains)
    return {
        "rates": {"preset": tuned["rate"], "scratch": scratch["rate"]},
        "effect": measured["effect"],
        "interval": measured["interval"],
        "verdict": judge(measured["interval"], measured=bool(gains)),
    }


def draw(stored):
    rows = stored["content"]["rows"]
    figure = new_figure(2.4 + 0.6 * len(rows), width=10)
    panel = figure.subplots()
    for place, row in enumerate(reversed(rows)):
        color = BLUE if row["start"] == "preset" else ORANGE
        values = list(row["accuracy"].values())
        panel.plot(values, [place] * len(values), "o", color=color, markersize=9)
        panel.annotate(
            f"{row['mean']:.1f} %", (max(values), place), xytext=(12, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
    panel.set_yticks(
        range(len(rows)), [f"{STARTS[row['start']]}, rate {row['rate']:g}" for row in rows[::-1]]
    )
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.margins(x=0.2)
    panel.grid(axis="x", alpha=0.3)
    panel.set_xlabel("accuracy on the test images, %")
    caption(figure, _text(stored), 13)
    return figure


def _text(stored):
    settings, found = stored["settings"], stored["content"]["found"]
    options = settings["options"]
    text = (
        f"Preset {stored['preset']}: {settings['model']} on {options['limit']:,} images of "
        f"{options['dataset']}, {options['epochs']} epochs in batches of "
        f"{options['batch_size']}, from {settings['weights']} or from its initial weights; dots: "
        "one seed each."
    )
    if found and found["interval"]:
        low, high = found["interval"]
        text += (
            f"  The preset's worst rate less the best from scratch: {found['effect']:.1f} points "
            f"[{low:.1f}, {high:.1f}]."
        )
    return text


FIGURE = Figure(
    "fine_tuning",
    "A preset fine-tuned on few images of other classes, beside training from scratch.",
    PRESETS, run, draw, derive, font_size=14, runs=runs,
)  # fmt: skip
