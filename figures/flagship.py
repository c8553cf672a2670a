"""Test errors with spectral pooling beside the 8.6 % and 31.6 % of Rippel, Snoek and Adams (2015).

Two questions, kept apart.  Does spectral pooling reach those errors by today's means: `resnet18`
with batch normalisation and augmentation, its halvings done by spectral pooling, beside twins of
equal weights that halve by strides and by maxima?  And does the original's own network,
eq. (5), without batch normalisation and without augmentation, reach them: the only rows that
reproduce the paper?  Errors are those of the weights that are best on 5,000 images held out from
the training set, on the 10,000 test images, once.  `quick_spectral`, made for minutes, trains on
all 50,000 images with a fixed schedule: its last weights count; one view of each image.

Rule, written before the runs (the arms of `quick_spectral`, whose runs `figures.poolings` made,
came to this table after them).  "Under 8.6 %" (31.6 %): confirmed if the whole t interval over the
seeds lies below; contradicted if it lies above; otherwise undecided, as with fewer than two seeds.

Command: python -m figures.flagship --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "flagship")

import numpy as np

from figures._claims import claim, count_verdicts, over_seeds, seed_words
from figures._figure import Figure
from figures._runs import in_rounds, train_once
from figures._style import BLUE, GREEN, GREY, ORANGE, caption, new_figure

# Error in percent of Rippel et al. (2015), section 5.1.
RIPPEL = {"cifar10": 8.6, "cifar100": 31.6}

# Also of `figures.poolings`, which shares the runs.
SGD = {
    "precision": "bfloat16",
    "optimizer": "sgd",
    "learning_rate": 0.2,
    "weight_decay": 5e-4,
    "schedule": "onecycle",
    "batch_size": 128,
    "epochs": 20,
    "augment": "crop_flip",
    "early_stopping": 0,
}
# The original's best point; it names neither the number of pairs nor the weight decay.
_ORIGINAL = {
    "precision": "bfloat16",
    "optimizer": "sgd",
    "learning_rate": 0.0088,
    "momentum": 0.95,
    "weight_decay": 1e-3,
    "schedule": "step",
    "batch_size": 128,
    "epochs": 40,
    "augment": "none",
    "early_stopping": 0,
}
_PLAIN = {"alpha": 1.0, "beta": 1.0}
# All images, its own recipe; larger maps cost as much as more epochs.
_QUICK = {"precision": "bfloat16", "validation_fraction": 0}
_LARGE = {"sizes": [18, 9, 4]}


def _arm(name, model, dataset, network, training, seeds, key=None):
    return {
        "name": name,
        "key": key or name,
        "model": model,
        "dataset": dataset,
        "network": network,
        "training": training,
        "seeds": seeds,
    }


def _resnets(width, dataset, training, seeds):
    return [
        _arm(f"resnet18 {pooling}, width {width:g}", "resnet18", dataset,
             {"pooling": pooling, "width": width}, training, seeds)
        for pooling in ("spectral", "strided", "max")
    ]  # fmt: skip


PRESETS = {
    # The network that compiles in a second.
    "smoke": {
        "arms": [
            _arm(f"eq. (5), {name}", "spectral_pool_cnn", "digits",
                 {"width": 0.05, "num_pairs": 1, **network},
                 {"limit": 64, "epochs": 1, "batch_size": 32, "augment": "none"}, [0])
            for name, network in (("no dropout", _PLAIN), ("max pooling", {"pooling": "max"}))
        ],
    },
    # One seed of every arm first, then more.
    "cpu": {
        "arms": [
            *_resnets(0.25, "cifar10", SGD, [0, 1, 2]),
            *_resnets(0.5, "cifar10", SGD, [0, 1, 2]),
            *_resnets(0.25, "cifar100", SGD, [0, 1, 2]),
            *[
                _arm(f"eq. (5), {name}, width 0.5", "spectral_pool_cnn", "cifar10",
                     {"width": 0.5, **network}, _ORIGINAL, [0])
                for name, network in (("frequency dropout", {}), ("no dropout", _PLAIN))
            ],
            *[
                _arm(f"quick_spectral {name}", "quick_spectral", dataset,
                     {"pooling": pooling} | network, _QUICK | {"epochs": epochs}, [0, 1, 2],
                     key=f"quick {name}")
                for name, dataset, pooling, network, epochs in (
                    ("max_spectral 18, 9, 4", "cifar10", "max_spectral", _LARGE, 11),
                    ("max", "cifar10", "max", {}, 16),
                    ("max_spectral 18, 9, 4", "cifar100", "max_spectral", _LARGE, 11),
                    ("max_spectral 18, 9, 4, width 1.5", "cifar10", "max_spectral",
                     _LARGE | {"width": 1.5}, 14),
                )
            ],
        ],
    },
    "paper": {
        "arms": [
            *_resnets(1.0, "cifar10", SGD, [0, 1, 2]),
            *_resnets(1.0, "cifar100", SGD, [0, 1, 2]),
            *[
                _arm(f"eq. (5), {name}", "spectral_pool_cnn", dataset, network,
                     _ORIGINAL | {"epochs": 150}, [0, 1, 2])
                for dataset in RIPPEL
                for name, network in (("frequency dropout", {}), ("no dropout", _PLAIN))
            ],
        ],
    },
}  # fmt: skip


def runs(settings):
    """The trainings of a preset, the most valuable first: key -> (network, options)."""
    return {
        _key(arm, seed): (arm["model"], _options(arm, seed))
        for arm, seed in in_rounds(settings["arms"])
    }


def _key(arm, seed):
    return f"{arm['dataset']} {arm['key']} seed {seed}".replace(" ", "-").replace(",", "")


def _options(arm, seed):
    return {"dataset": arm["dataset"], "seed": seed} | arm["training"] | arm["network"]


def run(experiment):
    for key, (model, options) in runs(experiment.settings).items():
        record = train_once(experiment, key, model, options)
        experiment.say(f"{key}: test error {record['result']['test_error_percent']:.2f} %")


def derive(stored):
    """Fills `rows` and `claims` from the runs that are there."""
    content, settings = stored["content"], stored["settings"]
    done = content.get("runs", {})
    content["rows"] = []
    for arm in settings["arms"]:
        results = {
            seed: done[_key(arm, seed)]["result"]
            for seed in arm["seeds"]
            if _key(arm, seed) in done
        }
        errors = [result["test_error_percent"] for result in results.values()]
        one = next(iter(results.values()), None)
        content["rows"].append(
            {
                "arm": arm["name"],
                # The network of eq. (5) has no other pooling.
                "spectral": "spectral" in arm["network"].get("pooling", "spectral"),
                "dataset": arm["dataset"],
                "seeds": list(results),
                "errors": errors,
                "mean": float(np.mean(errors)) if errors else None,
                "parameters": one and one["parameters"],
                "seconds": one and sum(result["seconds"] for result in results.values()),
                "images": one and one["images"],
                "epochs": arm["training"]["epochs"],
                "rippel": RIPPEL.get(arm["dataset"]),
            }
        )
    content["claims"] = claims(content["rows"])


def claims(rows):
    """The rule of this module's first lines, for each arm with spectral pooling."""
    found = []
    for row in rows:
        if row["rippel"] is None or not row["spectral"]:
            continue
        own = "eq. (5)" in row["arm"]
        means = "its own network" if own else "batch normalisation and augmentation"
        found.append(
            claim(
                "spectral_representations",
                "Section 5.1",
                f"under {row['rippel']} % error on {row['dataset']} with {means} ({row['arm']})",
                f"{row['arm']}, {row['dataset']}, {row['epochs']} epochs, "
                f"{seed_words(len(row['errors']))}",
                unit="% error",
                printed=row["rippel"],
                bound=row["rippel"],
                above=False,
                added=not own,
                **over_seeds(row["errors"]),
            )
        )
    return found


def draw(stored):
    rows = [row for row in stored["content"]["rows"] if row["errors"]]
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    counts = [sum(row["dataset"] == dataset for row in rows) for dataset in datasets]
    figure = new_figure(2.6 + 0.62 * len(rows), width=11)
    panels = figure.subplots(len(datasets), 1, squeeze=False, height_ratios=counts)
    for panel, dataset in zip(panels[:, 0], datasets, strict=True):
        _panel(panel, dataset, [row for row in rows if row["dataset"] == dataset])
    figure.suptitle("Test error with spectral pooling and its twins", fontsize=17)
    caption(figure, _text(stored), 13)
    return figure


def _panel(panel, dataset, rows):
    for place, row in enumerate(reversed(rows)):
        color = BLUE if row["spectral"] else ORANGE if "strided" in row["arm"] else GREEN
        panel.plot(row["errors"], [place] * len(row["errors"]), "o", color=color, markersize=8)
        panel.plot(row["mean"], place, "|", color=color, markersize=24, markeredgewidth=2)
        # On the side away from the line of Rippel et al.
        left = row["mean"] < RIPPEL.get(dataset, 0)
        end = min(row["errors"]) if left else max(row["errors"])
        panel.annotate(
            f"{row['mean']:.2f} %", (end, place), xytext=(-12 if left else 12, 0),
            textcoords="offset points", ha="right" if left else "left", va="center", fontsize=13,
            bbox={"color": "white", "pad": 1},
        )  # fmt: skip
    panel.set_yticks(range(len(rows)), [row["arm"] for row in reversed(rows)], fontsize=13)
    panel.set_ylim(-0.6, len(rows) - 0.2)
    high = max(max(row["errors"]) for row in rows)
    if dataset in RIPPEL:
        panel.axvline(RIPPEL[dataset], color=GREY, linestyle="--", linewidth=2)
        panel.annotate(
            f"Rippel et al. {RIPPEL[dataset]} %", (RIPPEL[dataset], len(rows) - 0.25),
            xytext=(6, -4), textcoords="offset points", fontsize=12, color="0.3", va="top",
        )  # fmt: skip
        panel.set_xlim(0, max(1.18 * high, 1.5 * RIPPEL[dataset]))
    panel.set_xlabel(f"{dataset}: test error, %", fontsize=13)
    panel.tick_params(axis="x", labelsize=12)
    panel.grid(axis="x", alpha=0.3)


def _text(stored):
    rows = [row for row in stored["content"]["rows"] if row["errors"]]
    hours = sum(row["seconds"] or 0 for row in rows) / 3600
    return (
        f"Preset {stored['preset']}: {_images(rows)} training images, dots: one seed each, "
        f"10,000 test images once a run, {hours:.1f} hours.  resnet18 and quick_spectral have "
        "batch normalisation, augmentation and no part in the original paper; only eq. (5) "
        f"reproduces it.  Claims: {count_verdicts(stored['content']['claims']) or 'none'}."
    )


def _images(rows):
    counts = sorted({row["images"]["training"] for row in rows})
    return " or ".join(f"{count:,}" for count in counts)


FIGURE = Figure(
    "flagship", "Test errors with spectral pooling, beside the 8.6 % and 31.6 % of the original.",
    PRESETS, run, draw, derive, font_size=10, runs=runs,
)  # fmt: skip
