"""Epochs to fixed training errors: spectral, spatial and rotated kernels, each at its rate.

Rippel, Snoek and Adams (2015), section 5.2, train by Adam with the kernels' DFT as parameters and
need 2.2 to 5.1 times fewer epochs than with the kernels themselves.  `figures.convergence` compares
at one learning rate; but Adam's step is the learning rate in every parameter, the spectral table
has twice as many, and each arm may have its best rate elsewhere.  So here every arm is trained at
several rates, and a third arm has a random orthogonal basis in place of the Fourier one: is it
Fourier, or any rotation under Adam?  Start, order of images, augmentation and random numbers are
the same in all arms of a seed.

Rules, written before the runs. The rate of an arm in a cell is the one with the lowest training
error after the last epoch, averaged over the seeds; the 5x5 cells are trained at the rates of their
3x3 ones. Speed-ups are those of each seed, to errors of 30, 20, 10 and 5 %; an arm that does not
reach a level counts as reaching it after the last epoch, and the cell says so; where none of the
two does, nothing is claimed. Verdicts by t intervals over the seeds against a ratio of 1. Added
with the first cell trained: a seed counts in a cell once all of its arms and rates are trained.

Command: python -m figures.convergence_rates --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "convergence_rates")

import itertools

import numpy as np

from figures._claims import claim, count_verdicts, over_seeds, seed_words
from figures._figure import Figure
from figures._runs import train_once
from figures._style import BLUE, GREEN, GREY, ORANGE, caption, handle, new_figure, settings_line
from figures.convergence import CELLS, COMMON, SPECTRAL_POOL, curves, epochs_to

ARMS = {"spatial": GREY, "spectral": BLUE, "orthogonal": ORANGE}

_COMMON = COMMON | {"precision": "bfloat16"}
_SMALL, _LARGE = (
    tuple(f"{name} {size}" for name in ("generic", "deep", "spectral pooling"))
    for size in ("3x3", "5x5")
)

PRESETS = {
    "smoke": {
        "training": _COMMON
        | {"dataset": "digits", "limit": 96, "epochs": 2, "batch_size": 32, "augment": "translate",
           "precision": "float32"},
        "network": {"width": 0.05},
        "spectral_pool": SPECTRAL_POOL | {"num_pairs": 1},
        "cells": ["spectral pooling 3x3"],
        "cells_at_best": ["spectral pooling 5x5"],
        "rates": [1e-3, 1e-2],
        "seeds": [0],
        "levels": [0.85, 0.05],
    },
    # One seed of every arm first.
    "cpu": {
        "training": _COMMON
        | {"limit": 10_000, "epochs": 40, "batch_size": 128, "augment": "report"},
        "network": {"width": 0.5},
        "spectral_pool": SPECTRAL_POOL,
        "cells": list(_SMALL),
        "cells_at_best": list(_LARGE),
        "rates": [3e-4, 1e-3, 3e-3],
        "seeds": [0, 1],
        "levels": [0.3, 0.2, 0.1, 0.05],
    },
    "paper": {
        "training": _COMMON | {"epochs": 200, "batch_size": 128, "augment": "report"},
        "network": {},
        "spectral_pool": SPECTRAL_POOL,
        "cells": list(_SMALL),
        "cells_at_best": list(_LARGE),
        "rates": [3e-4, 1e-3, 3e-3],
        "seeds": [0, 1, 2],
        "levels": [0.3, 0.2, 0.1, 0.05],
    },
}  # fmt: skip


def key_of(cell, arm, rate, seed):
    return f"{cell} {arm} {rate} {seed}".replace(" ", "-")


def _planned(settings):
    """(cell, arm, rate, seed) of each training, the most valuable first."""
    for cells, rates in (("cells", settings["rates"]), ("cells_at_best", ["best"])):
        for seed, cell, rate in itertools.product(settings["seeds"], settings[cells], rates):
            yield from ((cell, arm, rate, seed) for arm in ARMS)


def runs(settings):
    """The trainings of a preset, the most valuable first; rates of 5x5 cells are known later."""
    return {
        key_of(*one): (*_run(settings, *one), *(["learning_rate"] if one[2] == "best" else []))
        for one in _planned(settings)
    }


def _run(settings, cell, arm, rate, seed):
    model, network, _, _ = CELLS[cell]
    options = settings["training"] | settings["network"] | network | {"conv": arm, "seed": seed}
    if rate != "best":
        options["learning_rate"] = rate
    return model, options | (settings["spectral_pool"] if model == "spectral_pool_cnn" else {})


def run(experiment):
    settings = experiment.settings
    for cell, arm, rate, seed in _planned(settings):
        model, options = _run(settings, cell, arm, rate, seed)
        if rate == "best":
            small, done = cell.replace("5x5", "3x3"), experiment.content["runs"]
            options["learning_rate"] = best_rate(done, settings, small, arm)
        key = key_of(cell, arm, rate, seed)
        record = train_once(experiment, key, model, options, evaluate=False)
        error = 100 * (1 - record["history"]["accuracy"][-1])
        experiment.say(f"{key}: training error {error:.2f} %")


def _curves(done, settings, cell, arm, rate):
    return curves(done, {seed: key_of(cell, arm, rate, seed) for seed in settings["seeds"]})


def best_rate(done, settings, cell, arm):
    """The rate with the lowest last error; "best" where the cell has but one, None if untrained."""
    if cell in settings["cells_at_best"]:
        return "best"
    last = {
        rate: np.mean([curve[-1] for curve in found.values()])
        for rate in settings["rates"]
        if (found := _curves(done, settings, cell, arm, rate))
    }
    return min(last, key=last.get) if last else None


def complete_seeds(done, settings, cell):
    """The seeds of which a cell has every arm at every rate."""
    rates = ["best"] if cell in settings["cells_at_best"] else settings["rates"]
    return [
        seed for seed in settings["seeds"]
        if all(key_of(cell, arm, rate, seed) in done for arm in ARMS for rate in rates)
    ]  # fmt: skip


def speed_ups(first, second, level):
    """Epochs of one arm to a level over those of another, seed by seed, and whether they stop.

    Args:
        first, second: seed -> curve.
        level: training error.

    Returns:
        dict: `ratios`, a list, empty if no seed has an arm that gets there; `not_reached`, how
        many curves never do, which count with their last epoch.
    """
    ratios, missed = [], 0
    for seed in first.keys() & second.keys():
        epochs = [epochs_to(curve[seed], level) for curve in (first, second)]
        if epochs == [None, None]:
            continue
        missed += epochs.count(None)
        one, two = (
            len(curve[seed]) - 1 if reached is None else reached
            for reached, curve in zip(epochs, (first, second), strict=True)
        )
        ratios.append(one / two)
    return {"ratios": ratios, "not_reached": missed}


# (one arm, the arm that it is compared with) -> colour and marker of the ratio of their epochs.
_PAIRS = {
    ("spatial", "spectral"): (BLUE, "o"),
    ("spatial", "orthogonal"): (ORANGE, "s"),
    ("orthogonal", "spectral"): (GREEN, "D"),
}


def derive(stored):
    """Fills `cells` and `claims` from `runs`."""
    content, settings = stored["content"], stored["settings"]
    done = content.get("runs", {})
    content["cells"], content["claims"] = {}, []
    for cell in [*settings["cells"], *settings["cells_at_best"]]:
        counted = settings | {"seeds": complete_seeds(done, settings, cell)}
        rates = {arm: best_rate(done, counted, cell, arm) for arm in ARMS}
        best = {arm: _curves(done, counted, cell, arm, rate) for arm, rate in rates.items()}
        found = {
            f"{one} to {two}": {
                str(level): speed_ups(best[one], best[two], level) for level in settings["levels"]
            }
            for one, two in _PAIRS
        }
        content["cells"][cell] = {
            "rates": rates,
            "seeds": counted["seeds"],
            "last": {arm: _last(done, counted, cell, arm) for arm in ARMS},
            "errors": {arm: {str(s): c.tolist() for s, c in best[arm].items()} for arm in ARMS},
            "speed_ups": found,
        }
        content["claims"] += [_claim(counted, cell, pair, found) for pair in _PAIRS]


def _last(done, settings, cell, arm):
    """Rate -> training error in percent after the last epoch, of each seed."""
    rates = ["best"] if cell in settings["cells_at_best"] else settings["rates"]
    return {
        str(rate): [100 * float(curve[-1]) for curve in found.values()]
        for rate in rates
        if (found := _curves(done, settings, cell, arm, rate))
    }


def _claim(settings, cell, pair, found):
    """The speed-up of a pair of arms at the hardest level that one of them reaches."""
    one, two = pair
    levels = found[f"{one} to {two}"]
    level = min((float(text) for text, value in levels.items() if value["ratios"]), default=None)
    text = f"{cell}: fewer epochs with {two} than with {one} kernels"
    printed = CELLS[cell][2] if pair == ("spatial", "spectral") else None
    training = settings["training"]
    images = f"{training['limit']:,} images" if "limit" in training else "all images"
    words = (
        f"{CELLS[cell][0]} x {settings['network'].get('width', 1):g}, {images}, "
        f"{training['epochs']} epochs, {seed_words(len(settings['seeds']))} at each rate"
    )
    where = "Section 5.2, Figure 7" if printed else "a control that the paper does not have"
    common = {"unit": "times", "printed": printed, "bound": 1.0, "added": printed is None}
    if level is None:
        return claim("spectral_representations", where, text, words, **common)
    value = levels[str(level)]
    missed = value["not_reached"]
    note = f"to {100 * level:g} % training error, each at its rate"
    if missed:
        note += f"; {missed} of {2 * len(value['ratios'])} curves end before and count as there"
    rule = common | over_seeds(value["ratios"])
    return claim("spectral_representations", where, text, words, note=note, **rule)


def draw(stored):
    cells = {
        cell: found for cell, found in stored["content"]["cells"].items()
        if any(found["errors"].values())
    }  # fmt: skip
    figure = new_figure(4.2 + 5.6 * len(cells), width=20)
    panels = figure.subplots(len(cells), 3, squeeze=False, width_ratios=[1.3, 1, 1])
    for (left, middle, right), (cell, found) in zip(panels, cells.items(), strict=True):
        _draw_curves(left, stored["settings"], found)
        _draw_last(middle, found)
        _draw_ratios(right, cell, found)
        left.set_title(cell, loc="left", weight="bold")
    for panel, label in zip(panels[-1], ("epochs", "learning rate", "training error, %"),
                            strict=True):  # fmt: skip
        panel.set_xlabel(label)
    handles = [handle(arm, color=color, linestyle="-") for arm, color in ARMS.items()]
    handles += [
        handle("epochs of {} over those of {}".format(*pair), color=color, marker=marker)
        for pair, (color, marker) in _PAIRS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    caption(figure, f"{settings_line(stored)}  {_text(stored)}", 17)
    return figure


def _text(stored):
    seeds = {len(found["seeds"]) for found in stored["content"]["cells"].values()} - {0}
    return (
        "Left: each arm at the one of its learning rates with the lowest last error, which has a "
        "ring in the middle.  Right: dots are seeds, filled where all curves reach the level.  "
        f"{' to '.join(map(str, sorted(seeds)))} seed(s) a cell.  "
        f"Claims: {count_verdicts(stored['content']['claims'])}."
    )


def _draw_curves(panel, settings, found):
    for arm, color in ARMS.items():
        for curve in found["errors"][arm].values():
            panel.plot(range(len(curve)), 100 * np.array(curve), color=color, linewidth=2.5)
    for level in settings["levels"]:
        panel.axhline(100 * level, color="0.8", linewidth=1, zorder=0)
    _scale(panel)
    panel.set_ylabel("training error, %")


def _draw_last(panel, found):
    """The last error at each rate: how much the choice of the rate matters to an arm."""
    for arm, color in ARMS.items():
        last = {rate: values for rate, values in found["last"][arm].items() if rate != "best"}
        if not last:  # large kernels, trained at one rate
            panel.set_axis_off()
            return
        rates = [float(rate) for rate in last]
        means = [np.mean(values) for values in last.values()]
        panel.plot(rates, means, "o-", color=color, linewidth=2.5, markersize=8)
        best = found["rates"][arm]
        panel.plot(
            best, means[rates.index(best)], "o", color=color, markersize=19, fillstyle="none",
            markeredgewidth=2,
        )  # fmt: skip
    panel.set_xscale("log")
    panel.set_xticks(rates, [f"{rate:g}" for rate in rates])
    panel.set_xticks([], minor=True)
    panel.margins(x=0.2)
    _scale(panel)
    panel.set_title("last epoch", loc="left")


def _scale(panel):
    panel.set_yscale("log")
    panel.set_ylim(2, 100)
    panel.set_yticks([2, 5, 10, 20, 50, 90], ["2", "5", "10", "20", "50", "90"])
    panel.set_yticks([], minor=True)


def _draw_ratios(panel, cell, found):
    for index, (pair, (color, marker)) in enumerate(_PAIRS.items()):
        for place, value in enumerate(found["speed_ups"]["{} to {}".format(*pair)].values()):
            ratios = value["ratios"]
            panel.plot(
                [place + 0.2 * (index - 1)] * len(ratios), ratios, marker, color=color,
                markersize=11, fillstyle="none" if value["not_reached"] else "full",
                markeredgewidth=2,
            )  # fmt: skip
    printed = CELLS[cell][2]
    panel.axhline(printed, color="0.4", linestyle="--")
    panel.annotate(f"paper {printed}", (0.99, printed), xycoords=("axes fraction", "data"),
                   ha="right", va="bottom")  # fmt: skip
    panel.axhline(1, color="0.7", zorder=0)
    levels = list(found["speed_ups"]["spatial to spectral"])
    panel.set_xticks(range(len(levels)), [f"{100 * float(level):g}" for level in levels])
    panel.set_xlim(-0.5, len(levels) - 0.5)
    panel.set_yscale("log")
    panel.set_ylim(0.5, 6)
    panel.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    panel.set_yticks([], minor=True)
    panel.set_title("ratio of epochs", loc="left")


FIGURE = Figure(
    "convergence_rates",
    "Epochs to fixed training errors of spectral, spatial and rotated kernels.",
    PRESETS, run, draw, derive, runs=runs,
)  # fmt: skip
