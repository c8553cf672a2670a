"""Does the spectral parametrisation train faster?  Figure 7 of the report, table of the original.

Rippel, Snoek and Adams (2015), section 5.2, train three networks with 3x3 and 5x5 kernels by Adam,
once with spatial kernels and once with the kernels' DFT as parameters, and report 2.2 to 5.1 times
fewer epochs to the spatial arm's error.  Here every arm of a cell has the same spatial start,
activations, padding, order of images, augmentation and random draws; the report's arms differed in
activation, padding and start, its spectral layers trained the spatial kernel, and two of its four
panels were mislabelled.

The arms:

    spatial       plain kernels
    spectral      the full table of real and imaginary parts of the kernel's unitary DFT
    hermitian     its independent entries only.  Adam divides a gradient by its own size, so a
                  pair that is held once, with twice the gradient, moves as the two equal entries
                  of the full table do: under Adam the two arms are one.
    longer steps  plain kernels at the learning rate times sqrt(2 - 1/k^2).  Adam's first step is
                  the learning rate in every parameter; the k^2 real and k^2 - 1 imaginary parts
                  that move make the spectral arm's step that much longer, and a comparison at one
                  learning rate is one of two step lengths.

A control trains by SGD: with the unitary DFT the full table then takes the spatial arm's steps
exactly, so the two curves agree to rounding; "hermitian" moves paired entries twice as far.  It
computes in float64: a training multiplies differences of rounding some 100 000 times in 300 steps.

The rules are younger than the run.  Changed after an audit: longer steps that are worse than none
are no control, and the intervals of that comparison are corrected for the number of cells.

Command: python -m figures.convergence --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "convergence")

import numpy as np

from figures._claims import claim, over_seeds
from figures._convergence_plot import draw
from figures._figure import Figure
from figures._runs import train_once
from spectral_keras.evaluation import t_interval

# Arm -> parametrisation of the kernels.
ARMS = {
    "spatial": "spatial",
    "spectral": "spectral",
    "longer steps": "spatial",
    "hermitian": "hermitian",
}
CONTROL_ARMS = ("spatial", "spectral", "hermitian")

# Cell -> network, its options, the original's speed-up, the older reproduction's.
CELLS = {
    "deep 3x3": ("deep_spectral", {"kernel_size": 3}, 2.2, 5.41),
    "deep 5x5": ("deep_spectral", {"kernel_size": 5}, 4.8, 1.32),
    "generic 3x3": ("generic_cnn", {"kernel_size": 3}, 2.2, None),
    "generic 5x5": ("generic_cnn", {"kernel_size": 5}, 5.1, None),
    "spectral pooling 3x3": ("spectral_pool_cnn", {"kernel_size": 3}, 2.4, 18.75),
    "spectral pooling 5x5": ("spectral_pool_cnn", {"kernel_size": 5}, 4.8, 16.67),
}

# Training errors of the report's Figure 7 after 50 epochs, spatial and spectral, under the
# networks that the curves are of (its panels 2 and 3 carry each other's titles).
REPORT = {
    "deep 3x3": (0.316, 0.115),
    "deep 5x5": (0.626, 0.015),
    "generic 3x3": (0.345, 0.180),
    "generic 5x5": (0.385, 0.008),
}

# These two also of `figures.convergence_rates`.
COMMON = {
    "dataset": "cifar10",
    "validation_fraction": 0,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "schedule": "constant",
    "precision": "float32",
}
SPECTRAL_POOL = {"gamma": 0.5, "num_pairs": 3}
_CONTROL = {
    "cell": "generic 3x3",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "precision": "float64",
}

PRESETS = {
    "smoke": {
        "training": COMMON
        | {"dataset": "digits", "limit": 96, "epochs": 2, "batch_size": 32, "augment": "translate"},
        "network": {"width": 0.05},
        "spectral_pool": SPECTRAL_POOL,
        "cells": ["generic 3x3"],
        "seeds": {"spatial": [0, 1], "spectral": [0, 1], "longer steps": [0], "hermitian": [0]},
        "control": _CONTROL | {"cell": "spectral pooling 3x3", "epochs": 2},
    },
    # A quarter of the paper's filters, 2000 images and two seeds: an hour and a half on two busy
    # cores without bfloat16 instructions, half of it the deep network with 5x5 kernels.  More
    # seeds may be added: the runs that are there are kept.
    "cpu": {
        "training": COMMON | {"limit": 2000, "epochs": 10, "batch_size": 32, "augment": "report"},
        "network": {"width": 0.25},
        "spectral_pool": SPECTRAL_POOL,
        "cells": list(CELLS),
        "seeds": {name: [0] if name == "hermitian" else [0, 1] for name in ARMS},
        "control": _CONTROL | {"epochs": 5},
    },
    "paper": {
        "training": COMMON | {"epochs": 200, "batch_size": 128, "augment": "report"},
        "network": {},
        "spectral_pool": SPECTRAL_POOL,
        "cells": list(CELLS),
        "seeds": {name: [0, 1, 2, 3, 4] for name in ARMS},
        "control": _CONTROL | {"epochs": 50},
    },
}


def run(experiment):
    settings = experiment.settings
    # Seeds outermost: an interrupted experiment has every cell.
    control = dict(settings["control"])
    cell = control.pop("cell")
    for arm in CONTROL_ARMS:
        _train(experiment, cell, arm, 0, control | {"optimizer": "sgd"}, "sgd ")
    for seed in settings["seeds"]["spatial"]:
        for cell in settings["cells"]:
            for arm in ARMS:
                if seed in settings["seeds"][arm]:
                    _train(experiment, cell, arm, seed, {}, "")
        derive({"content": experiment.content, "settings": settings})
        experiment.save()
    for cell, summary in experiment.content["cells"].items():
        for arm, entry in summary["arms"].items():
            if arm != "spatial":
                experiment.say(f"{cell}, {arm}: {describe(entry)}")


def derive(stored):
    """Fills `control`, `cells` and `claims` from `runs`."""
    content, settings = stored["content"], stored["settings"]
    content["control"] = _control(content, settings)
    content["cells"] = {cell: summarize(content, settings, cell) for cell in settings["cells"]}
    content["claims"] = claims(content, settings)


def _train(experiment, cell, arm, seed, changes, label):
    settings = experiment.settings
    model, network, _, _ = CELLS[cell]
    arguments = settings["training"] | settings["network"] | network
    if model == "spectral_pool_cnn":
        arguments |= settings["spectral_pool"]
    if arm == "longer steps":
        arguments["learning_rate"] *= (2 - network["kernel_size"] ** -2) ** 0.5
    arguments |= {"conv": ARMS[arm], "seed": seed} | changes
    return train_once(experiment, _key(cell, arm, seed, label), model, arguments, evaluate=False)


def _key(cell, arm, seed, label=""):
    return f"{label}{cell} {arm} {seed}".replace(" ", "-")


# --- what is measured


def curves(runs, keys):
    """Training error [epochs + 1] of those of `keys` that are finished, from chance at epoch 0.

    Both the result and `keys` go by seeds.
    """
    return {
        seed: np.array([0.9, *(1 - np.array(runs[key]["history"]["accuracy"]))])
        for seed, key in keys.items()
        if key in runs
    }


def epochs_to(curve, level):
    """Epochs (fractional) until the error first is `level` or less, None if it never is."""
    below = np.flatnonzero(curve <= level)
    if not len(below):
        return None
    after = int(below[0])
    if after == 0:
        return 0.0
    high, low = curve[after - 1], curve[after]
    return float(after - 1 + (high - level) / (high - low))


def speed_up(spatial, other):
    """Epochs that one seed's spatial curve takes to its best error over those of the other curve.

    Returns:
        dict: `level`, the spatial arm's best error; `epochs_spatial`, `epochs`, where it is
        reached; `speed_up`, their ratio, or None if the other curve never gets there.
    """
    level = float(spatial.min())
    reference, epochs = epochs_to(spatial, level), epochs_to(other, level)
    return {
        "level": level,
        "epochs_spatial": reference,
        "epochs": epochs,
        "speed_up": reference / epochs if epochs else None,
    }


def speed_up_curve(spatial, other, points=40):
    """Speed-up at error levels: that of each seed, then averaged; None where one never gets there.

    Args:
        spatial, other: arrays [seeds, epochs + 1]; the levels run from the worst first epoch of
            the spatial arm to the best error that all its seeds reach.
    """
    levels = np.linspace(spatial[:, 1].max(), spatial.min(axis=1).max(), points)
    means = []
    for level in levels:
        ratios = []
        for one, two in zip(spatial, other, strict=True):
            reference, epochs = epochs_to(one, level), epochs_to(two, level)
            ratios.append(reference / epochs if epochs else None)
        means.append(None if None in ratios else float(np.mean(ratios)))
    return {"levels": levels.tolist(), "speed_ups": means}


def summarize(content, settings, cell):
    """Mean curves of a cell's arms and the speed-ups over the spatial arm, seed by seed."""

    def errors(arm):
        keys = {seed: _key(cell, arm, seed) for seed in settings["seeds"][arm]}
        return curves(content["runs"], keys)

    all_spatial = errors("spatial")
    summary = {"arms": {}, "original": CELLS[cell][2], "older_reproduction": CELLS[cell][3]}
    for arm in ARMS:
        by_seed = errors(arm)
        values = np.array(list(by_seed.values()))
        spatial = np.array([all_spatial[seed] for seed in by_seed])
        entry = {
            "seeds": list(by_seed),
            "mean_error": values.mean(axis=0).tolist(),
            "std_error": values.std(axis=0, ddof=min(1, len(values) - 1)).tolist(),
        }
        if arm != "spatial":
            # Arms of one seed share start and order of images.
            found = [speed_up(one, two) for one, two in zip(spatial, values, strict=True)]
            ratios = [one["speed_up"] for one in found]
            entry |= {"by_seed": found, "speed_up": None, "interval": None}
            if None not in ratios:
                mean = over_seeds(ratios)
                entry["speed_up"] = mean["effect"]
                entry["interval"] = mean["interval"] and list(mean["interval"])
            entry["curve"] = speed_up_curve(spatial, values)
            entry["final_error_difference"] = (values[:, -1] - spatial[:, -1]).tolist()
        summary["arms"][arm] = entry
    return summary


def describe(entry):
    """The speed-up as a reader should take it."""
    ratios = [one["speed_up"] for one in entry["by_seed"]]
    seeds = ", ".join("below 1" if value is None else f"{value:.2f}" for value in ratios)
    if entry["speed_up"] is None:
        missing, last = ratios.count(None), len(entry["mean_error"]) - 1
        return (
            f"no mean: {missing} of {len(ratios)} seeds never get to the spatial arm's best error "
            f"in {last} epochs (each seed: {seeds})"
        )
    return f"{entry['speed_up']:.2f} (each seed: {seeds})"


# A spatial arm that stops at a larger training error has not converged.
CONVERGED = 0.3


def claims(content, settings):
    """Each cell: faster than the spatial arm, as fast as printed, and faster than longer steps."""
    found = [_control_claim(content, settings)]
    for cell, summary in content["cells"].items():
        entry = summary["arms"]["spectral"]
        if not entry["by_seed"]:
            continue
        level = float(np.mean([one["level"] for one in entry["by_seed"]]))
        able = level <= CONVERGED
        notes = (
            [] if able else [f"the spatial arm stops at a training error of {100 * level:.0f} %"]
        )
        if entry["speed_up"] is None:
            notes.append(describe(entry))
        common = {
            "effect": entry["speed_up"], "unit": "times", "interval": entry["interval"],
            "over": f"{len(entry['seeds'])} seeds", "able": able, "measured": True,
            "printed": summary["original"], "note": "; ".join(notes),
        }  # fmt: skip
        where, run_ = "Section 5.2, Figure 7 of the report", _run_words(settings, cell, entry)
        paper = "spectral_representations"
        found.append(claim(paper, where, f"{cell}: fewer epochs than the spatial arm", run_,
                           bound=1, **common))  # fmt: skip
        found.append(claim(paper, where, f"{cell}: {summary['original']:g} times fewer epochs",
                           run_, bound=summary["original"], **common))  # fmt: skip
        found.append(_longer_claim(cell, summary, run_, len(content["cells"])))
    return found


def _longer_claim(cell, summary, run_, cells):
    """Training error at the end: spectral less the spatial arm with as long a first step."""
    spectral, longer = (summary["arms"][arm] for arm in ("spectral", "longer steps"))
    own = dict(zip(spectral["seeds"], spectral["final_error_difference"], strict=True))
    other = dict(zip(longer["seeds"], longer["final_error_difference"], strict=True))
    values = [100 * (own[seed] - other[seed]) for seed in own if seed in other]
    found = over_seeds(values)
    if found["interval"]:
        # One of as many cells as there are: Bonferroni's correction.
        found["interval"] = t_interval(values, 1 - 0.05 / cells)
        found["over"] += f", corrected for {cells} cells"
    # Too long a step, and worse than the plain one, is nothing to beat.
    worse = 100 * float(np.mean(list(other.values()))) if other else 0.0
    return claim(
        "spectral_representations", "a control that the paper lacks",
        f"{cell}: lower training error than plain kernels with as long a first step", run_,
        above=False, added=True, able=worse <= 0,
        note="" if worse <= 0 else f"the longer step alone is {worse:.1f} points worse than none: "
        "too long to be a control", **found,
    )  # fmt: skip


def _control_claim(content, settings):
    difference = content["control"]["largest_relative_difference"]["spectral"]
    return claim(
        "spectral_representations", "a control that the paper lacks",
        "under SGD with the unitary DFT both parametrisations are one", content["control"]["cell"]
        + f", {settings['control']['epochs']} epochs, {content['control']['precision']}",
        effect=difference, unit="relative difference of the loss", interval=(difference,) * 2,
        over="every epoch", bound=1e-6, above=False, added=True,
    )  # fmt: skip


def _run_words(settings, cell, entry):
    training, width = settings["training"], settings["network"].get("width", 1)
    images = f"{training['limit']:,} images" if "limit" in training else "all training images"
    return (
        f"{CELLS[cell][0]} x {width:g}, {images}, {training['epochs']} epochs, "
        f"{len(entry['seeds'])} seeds"
    )


def _control(content, settings):
    """Training loss under SGD and its largest relative distance from the spatial arm's."""
    cell = settings["control"]["cell"]
    runs = content["runs"]
    losses = {
        arm: np.array(runs[_key(cell, arm, 0, "sgd ")]["history"]["loss"]) for arm in CONTROL_ARMS
    }
    return {
        "cell": cell,
        "precision": settings["control"]["precision"],
        "loss": {arm: values.tolist() for arm, values in losses.items()},
        "largest_relative_difference": {
            arm: float(np.max(np.abs(losses[arm] / losses["spatial"] - 1)))
            for arm in CONTROL_ARMS[1:]
        },
    }


FIGURE = Figure(
    "convergence", "Spectral against spatial parametrisation: error against epoch, speed-up.",
    PRESETS, run, draw, derive,
)  # fmt: skip
