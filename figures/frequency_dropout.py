"""Frequency dropout: `spectral_pool_cnn` with and without it, and its max-pooling twin.

Rippel, Snoek and Adams (2015), sections 3.3 and 5.1: the low-pass of each spectral pooling is
narrowed at random, to R uniform on {ceil(c_m H_m) .. H_m} with c_m = alpha + (m/M)(beta - alpha),
once a batch.  The report's code never ran it: its flag was always off.  Here the arms share start,
data and schedule; the twin pools the same maps to the same sizes by maxima and has the same
weights.  Errors are those of the weights that are best on the validation split: on the training
images as they are, without augmentation and dropout, and once on the test images.

Rule, written before the runs.  Differences of the arms to the one without dropout, seed by seed,
by t intervals; a network that makes more than 5 % errors on its training images without it has
nothing to regularise, and then nothing is decided.  Where a preset asks for it, the arm without
dropout comes first, and the rest is not run if it is such a network.  (With 60 epochs in place of
100, one seed of three arms made 11.9 % errors without dropout, 22.2 % with frequency dropout, 0.4 %
with max pooling; on test images 32.7, 34.0 and 31.7 %: results/frequency_dropout_60_epochs.json.
That is why the preset is longer now.)

Command: python -m figures.frequency_dropout --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "frequency_dropout")

import itertools

import numpy as np
import scipy.stats

from figures._claims import claim, over_seeds, seed_words, sentence
from figures._figure import Figure
from figures._runs import train_once
from figures._style import AMBER, BLACK, BLUE, GREEN, ORANGE, caption, new_figure, settings_line

# Arm -> options of `spectral_pool_cnn`; alpha = beta = 1 keeps every frequency.
ARMS = {
    "frequency dropout": {"alpha": 0.30, "beta": 0.15},
    "no dropout": {"alpha": 1.0, "beta": 1.0},
    "max pooling": {"pooling": "max"},
}
MORE_ARMS = {
    "weak frequency dropout": {"alpha": 0.70, "beta": 0.55},
    "ordinary dropout": {"alpha": 1.0, "beta": 1.0, "dropout_rate": 0.2},
}

_COMMON = {
    "dataset": "cifar10",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "schedule": "onecycle",
    "precision": "float32",
    "augment": "none",
}

PRESETS = {
    "smoke": {
        "training": _COMMON | {"dataset": "digits", "limit": 160, "epochs": 1, "batch_size": 32},
        "network": {"width": 0.05, "gamma": 0.5, "num_pairs": 2},
        "seeds": [0],
        "grid": [0.15, 0.8],
    },
    # Long enough, on few enough images, that the network without dropout overfits.
    "cpu": {
        "training": _COMMON
        | {
            "limit": 10_000,
            "epochs": 100,
            "batch_size": 128,
            "precision": "bfloat16",
            "early_stopping": 0,
        },
        "pilot": "no dropout",
        "network": {"width": 0.5, "gamma": 0.7, "num_pairs": 4},
        "arms": ARMS | MORE_ARMS,
        "seeds": [0, 1, 2, 3, 4],
        "grid": [],
    },
    # The original's schedule and best point; it gives neither M nor the weight decay.
    "paper": {
        "training": _COMMON
        | {
            "epochs": 150,
            "batch_size": 128,
            "optimizer": "sgd",
            "learning_rate": 0.0088,
            "momentum": 0.95,
            "weight_decay": 1e-3,
            "schedule": "step",
        },
        "network": {"gamma": 0.85, "num_pairs": 6},
        "arms": ARMS | MORE_ARMS,
        "seeds": [0, 1, 2],
        "grid": [0.0, 0.2, 0.4, 0.6, 0.8],
    },
}


def runs(settings):
    """The trainings of a preset, one seed of every arm first: key -> (network, options)."""
    pilot = settings.get("pilot")
    wanted = [
        (arm, network, seed)
        for seed in settings["seeds"]
        for arm, network in sorted(_arms(settings).items(), key=lambda item: item[0] != pilot)
    ]
    wanted += [
        (_point(alpha, beta), {"alpha": alpha, "beta": beta}, 0)
        for alpha, beta in itertools.product(settings["grid"], repeat=2)
    ]
    shared = settings["training"] | settings["network"]
    return {
        _key(arm, seed): ("spectral_pool_cnn", shared | network | {"seed": seed})
        for arm, network, seed in wanted
    }


def _arms(settings):
    return settings.get("arms", ARMS)


def run(experiment):
    settings = experiment.settings
    for key, (model, options) in runs(settings).items():
        record = train_once(experiment, key, model, options, training_error=True)
        if pilot_fails(settings, key, record):
            experiment.say(
                f"{key}: {record['result']['train_error_percent']:.2f} % errors on the training "
                f"images, {OVERFITS} % or more: the other arms are not run"
            )
            break
    stored = {"content": experiment.content, "settings": settings}
    derive(stored)
    for arm, summary in stored["content"]["arms"].items():
        experiment.say(
            f"{arm}: training error {summary['train_error_percent']:.2f} %, "
            f"test error {summary['test_error_percent']:.2f} %"
        )


# A network that makes more mistakes than this on its training images leaves nothing to regularise.
OVERFITS = 5


def pilot_fails(settings, key, record):
    """Whether this is the arm that comes first and leaves nothing to regularise."""
    pilot = settings.get("pilot")
    if pilot is None or key != _key(pilot, settings["seeds"][0]):
        return False
    return record["result"]["train_error_percent"] >= OVERFITS


def derive(stored):
    """Fills `seeds`, `arms`, `grid`, `underfitting` and `claims` from `runs`.

    Of an unfinished run the seeds whose arms are all there, and the points of the grid that are.
    """
    content, settings = stored["content"], stored["settings"]
    runs_ = content["runs"]
    content["seeds"] = [
        seed
        for seed in settings["seeds"]
        if all(_key(arm, seed) in runs_ for arm in _arms(settings))
    ]
    complete = _arms(settings) if content["seeds"] else ()
    content["arms"] = {arm: _summary(content, arm, content["seeds"]) for arm in complete}
    content["grid"] = [
        {"alpha": alpha, "beta": beta} | _summary(content, _point(alpha, beta), [0])
        for alpha, beta in itertools.product(settings["grid"], repeat=2)
        if _key(_point(alpha, beta), 0) in runs_
    ]
    content["underfitting"] = underfitting(content["arms"])
    content["claims"] = claims(content, settings)


def underfitting(arms):
    """By how many points the test error rises with a point of training error.

    By least squares over all arms and seeds.  Between 0 and 1 it says that an arm has a small gap
    (test less training error) where it fits its training images badly, not where it carries over
    well.
    """
    train, test = (
        np.concatenate([[], *(summary[f"{kind}_error_by_seed"] for summary in arms.values())])
        for kind in ("train", "test")
    )
    if len(train) < 3 or np.std(train) == 0:
        return {"slope": None, "interval": None, "trainings": len(train)}
    found = scipy.stats.linregress(train, test)
    half = scipy.stats.t.ppf(0.975, len(train) - 2) * found.stderr
    return {
        "slope": float(found.slope),
        "interval": [float(found.slope - half), float(found.slope + half)],
        "trainings": len(train),
    }


def claims(content, settings):
    """What the paper claims of frequency dropout, and the comparison with max pooling."""
    arms = content["arms"]
    if not arms:
        return _claims_of_the_pilot(content, settings)
    plain = arms["no dropout"]
    able = plain["train_error_percent"] < OVERFITS
    found = content["underfitting"]
    note = "" if able else (
        f"underfitting: without it the training error is {plain['train_error_percent']:.1f} %, "
        f"and a claim about overfitting needs less than {OVERFITS} %"
    )  # fmt: skip
    follows = ""
    if found["slope"] is not None:
        low, high = found["interval"]
        follows = (
            f"over {found['trainings']} trainings of all arms a point of training error comes with "
            f"{found['slope']:.2f} [{low:.2f}, {high:.2f}] points of test error: the gap is small "
            "where the images are fitted badly"
        )
    run_ = _run_words(content, settings)
    where = "Sections 3.3 and 5.1"

    def less(arm, kind, other="no dropout"):
        """Error of an arm less that of another, one value a seed."""
        return [a - b for a, b in zip(kind(arms[arm]), kind(arms[other]), strict=True)]

    def gap(row):
        pairs = zip(row["test_error_by_seed"], row["train_error_by_seed"], strict=True)
        return [test - train for test, train in pairs]

    def test(row):
        return row["test_error_by_seed"]

    return [
        claim("spectral_representations", where, "frequency dropout lowers the test error", run_,
              above=False, able=able, note=note,
              **over_seeds(less("frequency dropout", test))),
        claim("spectral_representations", where,
              "frequency dropout narrows the gap between test and training error", run_,
              above=False, able=able, note=follows if not able else "",
              **over_seeds(less("frequency dropout", gap))),
        *(
            claim("spectral_representations", "a comparison that the paper does not make",
                  f"frequency dropout has a lower test error than {other}", run_, above=False,
                  able=able, note=note, added=True,
                  **over_seeds(less("frequency dropout", test, other)))
            for other in MORE_ARMS if other in arms
        ),
        claim("spectral_representations", "a comparison that the paper does not make",
              "spectral pooling has a lower test error than max pooling", run_, above=False,
              note="same sizes and weights, no dropout in either", added=True,
              **over_seeds(less("no dropout", test, "max pooling"))),
    ]  # fmt: skip


def _claims_of_the_pilot(content, settings):
    """Where no seed is complete: what is claimed, and why it is not known."""
    record = content["runs"].get(_key("no dropout", settings["seeds"][0]))
    note = "no seed of every arm is complete"
    if record:
        error = record["result"]["train_error_percent"]
        note += f"; without dropout the training error is {error:.1f} %"
        if error >= OVERFITS:
            note += f", and a claim about overfitting needs less than {OVERFITS} %"
    run_ = _run_words(content, settings) if record else "spectral_pool_cnn"
    texts = (
        "frequency dropout lowers the test error",
        "frequency dropout narrows the gap between test and training error",
    )
    return [
        claim("spectral_representations", "Sections 3.3 and 5.1", text, run_, note=note)
        for text in texts
    ]


def _run_words(content, settings):
    seeds = content["seeds"]
    first = _key("no dropout", (seeds or settings["seeds"])[0])
    result = content["runs"][first]["result"]
    network = settings["network"]
    return (
        f"spectral_pool_cnn x {network.get('width', 1):g}, M = {network['num_pairs']}, gamma = "
        f"{network['gamma']:g}, {result['images']['training']:,} images, "
        f"{result['epochs']} epochs, {seed_words(len(seeds) or 1)}"
    )


def _point(alpha, beta):
    return f"alpha {alpha:g} beta {beta:g}"


def _key(arm, seed):
    return f"{arm} {seed}".replace(" ", "-")


def _summary(content, arm, seeds):
    """Errors in percent: mean, standard deviation and each seed's."""
    results = [content["runs"][_key(arm, seed)]["result"] for seed in seeds]
    summary = {"parameters": results[0]["parameters"]}
    for kind in ("train", "test"):
        values = [result[f"{kind}_error_percent"] for result in results]
        summary[f"{kind}_error_percent"] = float(np.mean(values))
        summary[f"{kind}_error_std"] = float(np.std(values, ddof=min(1, len(values) - 1)))
        summary[f"{kind}_error_by_seed"] = values
    return summary


def verdict(content):
    """What the arms show: how far test lies from training error, and why."""
    gaps = ", ".join(
        f"{summary['test_error_percent'] - summary['train_error_percent']:.1f} ({arm})"
        for arm, summary in content["arms"].items()
    )
    lines = [f"Test minus training error, points: {gaps}"]
    lines += [sentence(one) for one in content["claims"]]
    return ".  ".join(line[0].upper() + line[1:] for line in lines) + "."


def draw(stored):
    content = stored["content"]
    figure = new_figure(14.5)
    bars, curves = figure.subplots(1, 2, width_ratios=[1, 1.1])
    _bars(bars, content["arms"])
    _curves(curves, content, stored["settings"])
    figure.suptitle("Spectral pooling with and without frequency dropout, and max pooling")
    network = stored["settings"]["network"]
    grid = ", ".join(
        f"{point['alpha']:g}/{point['beta']:g} {point['test_error_percent']:.1f} "
        f"({point['train_error_percent']:.1f})"
        for point in content["grid"]
    )
    parameters = next(iter(content["runs"].values()))["result"]["parameters"]
    caption(
        figure,
        f"{verdict(content)}\n"
        f"{settings_line(stored)}  spectral_pool_cnn with M = {network['num_pairs']}, gamma = "
        f"{network['gamma']:g}, {parameters:,} weights in every "
        f"arm; {seed_words(len(content['seeds']))} (dots; bars: mean and t interval of 95 "
        "%).  Errors of the weights best on validation; training error without dropout and "
        "augmentation.  The report gives no such comparison: its code never ran frequency "
        "dropout."
        + (f"\nTest (training) error by floors alpha/beta, one seed: {grid}." if grid else ""),
    )
    return figure


COLORS = {
    "frequency dropout": ORANGE,
    "no dropout": BLUE,
    "max pooling": BLACK,
    "weak frequency dropout": AMBER,
    "ordinary dropout": GREEN,
}


def _bars(panel, arms):
    places = np.arange(len(arms))
    for kind, offset, hatch in (("train", -0.21, "//"), ("test", 0.21, "")):
        for place, (arm, summary) in zip(places, arms.items(), strict=True):
            value, x = summary[f"{kind}_error_percent"], place + offset
            panel.bar(
                x, value, 0.4, color=COLORS[arm], alpha=0.45, hatch=hatch,
                edgecolor=COLORS[arm],
            )  # fmt: skip
            seeds = summary[f"{kind}_error_by_seed"]
            found = over_seeds(seeds)
            top = value
            if found["interval"]:
                top = found["interval"][1]
                panel.errorbar(x, value, top - value, color=BLACK, capsize=6, linewidth=2)
            panel.plot([x + 0.09] * len(seeds), seeds, ".", color=BLACK)
            panel.annotate(
                f"{kind}\n{value:.1f} %", (x, top), xytext=(0, 4),
                textcoords="offset points", ha="center", va="bottom",
            )  # fmt: skip
    panel.set_xticks(places, [arm.replace(" ", "\n") for arm in arms])
    panel.set_ylabel("error, %")
    panel.margins(y=0.15)
    panel.set_title("training and test error")


def _curves(panel, content, settings):
    seeds = content["seeds"] or settings["seeds"][:1]
    for arm in COLORS:
        color = COLORS[arm]
        for seed in (one for one in seeds if _key(arm, one) in content["runs"]):
            history = content["runs"][_key(arm, seed)]["history"]
            first = seed == seeds[0]
            for column, style in (("accuracy", "--"), ("val_accuracy", "-")):
                label = {"accuracy": "training", "val_accuracy": "validation"}[column]
                panel.plot(
                    history["epoch"], 100 * (1 - np.array(history[column])), style, color=color,
                    alpha=0.9, linewidth=1.6, label=f"{arm}, {label}" if first else None,
                )  # fmt: skip
    panel.set_xlabel("epoch")
    panel.set_ylabel("error, % (training: running, dropout on)")
    panel.grid(alpha=0.3)
    panel.legend()
    panel.set_title("error against epoch")


FIGURE = Figure(
    "frequency_dropout",
    "spectral_pool_cnn with and without frequency dropout, and with max pooling.",
    PRESETS, run, draw, derive, runs=runs,
)  # fmt: skip
