"""Tables 1 to 4 of the frequency-interpretation paper: what suppression, noise and attention give.

Each arm (see `figures._suppression_runs`) is trained with every seed and tested on clean images and
under the 15 corruptions at five severities.  "Rob." is the mean accuracy over these 75 cells; mCE
divides the errors of each corruption by those of the natural network of the same architecture, as
in the paper, here of the same seed.  Gains are differences to the natural network of the same
seed.  Clean accuracy is that of the whole test set.

Rule, written before the runs.  A pilot of one seed trains the natural network and "both"; where
the natural one has less than 88 % of the clean images right the rest is not run.  Gains by t
intervals over the seeds against 0.  Tables of networks that had 40 to 51 % right, an eighth of the
filters and 10 epochs, were taken out when the pilot came; with them every gain was undecided, as
corruptions cost less than ten points.

Command: python -m figures.corruption_tables --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "corruption_tables")

import numpy as np

from figures._claims import claim, count_verdicts, over_seeds, run_words
from figures._corrupted import corrupted_images, measure_corruptions
from figures._figure import Figure
from figures._style import BLUE, GREY, ORANGE, caption, handle, hide_unused, new_figure, paper_mark
from figures._suppression_runs import (
    CONFIGURATIONS,
    PRESETS,
    arms,
    run_key,
    runs,
    train_arm,
    trainings,
)
from spectral_keras.evaluation import mean_corruption_error
from spectral_keras.experiments.command import CommandError

# Natural accuracy and Rob. in percent and mCE, of the other arms the gains in points and mCE.
PAPER = {
    "vgg16": {
        "natural": (90.41, 72.80, 100),
        "suppression": (0.23, 5.68, 79),
        "attention": (0.00, 0.10, 100),
        "suppression+attention": (-0.04, 4.97, 82),
        "LMH=111": (-0.90, 7.57, 74),
        "LMH=011": (-0.72, 4.60, 83),
        "LMH=101": (-0.70, 5.45, 80),
        "LMH=110": (-0.85, 4.72, 83),
        "LMH=001": (-0.55, 4.37, 84),
        "LMH=010": (-0.94, 3.30, 88),
        "LMH=100": (-1.17, 5.37, 81),
        "LMH=000": (-0.89, 4.10, 85),
    },
    "vgg16_bn": {
        "natural": (91.62, 72.07, 100),
        "suppression": (0.32, 5.12, 80),
        "attention": (0.04, 0.38, 98),
        "suppression+attention": (0.09, 4.29, 83),
        "LMH=111": (0.05, 5.08, 81),
        "LMH=011": (-0.79, 4.83, 83),
        "LMH=101": (-0.66, 5.19, 81),
        "LMH=110": (-1.11, 6.31, 79),
        "LMH=001": (-0.68, 5.25, 81),
        "LMH=010": (-0.91, 4.46, 84),
        "LMH=100": (-1.19, 6.56, 78),
        "LMH=000": (-0.88, 5.79, 80),
    },
    "resnet18": {
        "natural": (94.58, 72.62, 100),
        "suppression": (-0.15, 4.73, 78),
        "noise": (-0.29, 6.60, 80),
        "both": (-0.18, 10.16, 63),
        "both+attention": (-0.25, 10.33, 63),
        "both+000 lambda=100": (-0.61, 11.20, 64),
        "both+000 lambda=50": (-0.61, 11.13, 64),
        "both+000 lambda=10": (-0.41, 10.32, 63),
        "both+000 lambda=2": (-0.40, 10.34, 63),
        "both+learnable lambda=100": (-0.31, 10.78, 63),
        "both+learnable lambda=50": (-0.22, 10.97, 62),
        "both+learnable lambda=10": (-0.24, 10.35, 62),
        "both+learnable lambda=2": (-0.27, 10.26, 63),
    },
}


def run(experiment):
    settings = experiment.settings
    with corrupted_images(experiment) as images_of:
        for network, arm, seed in trainings(settings):
            key, record = train_arm(experiment, network, arm, seed)
            measure_corruptions(experiment, key, record, images_of)
            pilot = settings.get("pilot", {"arms": []})
            if (network, arm, seed) == (pilot.get("network"), "natural", 0):
                _check_pilot(experiment, pilot, key)


def derive(stored):
    """Fills `tables` and `claims` from `runs`."""
    content, settings = stored["content"], stored["settings"]
    tables = {
        f"{table}-{network}": make_table(content["runs"], table, network, settings)
        for table, network in _tables(settings)
    }
    # With the natural network alone there is nothing to compare.
    content["tables"] = {name: table for name, table in tables.items() if len(table["rows"]) > 1}
    content["claims"] = claims(content, settings)


def _tables(settings):
    return [(table, network) for network, names in settings["networks"].items() for table in names]


def _check_pilot(experiment, pilot, key):
    accuracy = experiment.content["runs"][key]["result"]["test_accuracy"]
    if accuracy < pilot["least"]:
        raise CommandError(
            f"{key} has {100 * accuracy:.2f} % of the clean test images right, the pilot asks for "
            f"{100 * pilot['least']:g} %: the tables are not run"
        )


def make_table(runs, table, network, settings):
    """Arm -> accuracy and Rob. (percent, by seed), their gains, mCE; and the spread over arms.

    Of an unfinished run the arms and seeds that are there, the natural one of the seed included.
    """

    def measured(arm, seed):
        return "corruption" in runs.get(run_key(network, arm, seed), {})

    def found(arm, seed):
        return runs[run_key(network, arm, seed)]["corruption"]

    def accuracy(arm, seed):
        return 100 * runs[run_key(network, arm, seed)]["result"]["test_accuracy"]

    def errors(arm, seed):
        rows = found(arm, seed)["corruptions"]
        return {name: [100 * (1 - value) for value in row] for name, row in rows.items()}

    rows = {}
    for arm in arms(table, settings["lambdas"]):
        seeds = [
            seed
            for seed in settings["seeds"][table]
            if measured("natural", seed) and measured(arm, seed)
        ]
        if not seeds:
            continue
        row = {
            "seeds": seeds,
            "accuracy": [accuracy(arm, seed) for seed in seeds],
            "robustness": [100 * found(arm, seed)["mean_accuracy"] for seed in seeds],
            # What corruptions take is less than this: clean, on the same images.
            "same_images": [100 * found(arm, seed)["clean"] for seed in seeds],
            "mce": [
                mean_corruption_error(errors(arm, seed), errors("natural", seed))["mce"]
                for seed in seeds
            ],
        }
        for quantity in ("accuracy", "robustness"):
            first = rows.get("natural", row)
            natural = dict(zip(first["seeds"], first[quantity], strict=True))
            pairs = zip(row[quantity], seeds, strict=True)
            gains = [value - natural[seed] for value, seed in pairs]
            found_ = over_seeds(gains)
            row[f"{quantity}_gain"] = {
                "mean": found_["effect"],
                "interval": found_["interval"] and list(found_["interval"]),
                "by_seed": gains,
            }
        row["mce_mean"] = float(np.mean(row["mce"]))
        rows[arm] = row
    content = {"rows": rows}
    gains = [rows[arm] for arm in (f"LMH={name}" for name in CONFIGURATIONS) if arm in rows]
    if len(gains) == len(CONFIGURATIONS):
        # The paper's "variance" is that of the eight configurations, not of a sample.
        content["variance"] = {
            quantity: float(np.var([row[f"{quantity}_gain"]["mean"] for row in gains]))
            for quantity in ("accuracy", "robustness")
        }
    return content


# Corruptions must cost the natural network half of the paper's 20 points: else nothing can be won.
DROP = 10
# A clean accuracy that is lower by less is "negligible natural accuracy degradation".
NEGLIGIBLE = 1


def claims(content, settings):
    """The paper's claims about each arm: a gain under corruptions, at next to no price."""
    found = []
    for number_, network in _tables(settings):
        rows = content["tables"].get(f"{number_}-{network}", {"rows": {}})["rows"]
        where = f"Table {number_.removeprefix('table')}"
        for arm in arms(number_, settings["lambdas"]):
            if arm == "natural":
                continue
            printed = PAPER.get(network, {}).get(arm, (None, None))
            run_, able, note, gains = _conditions(content, settings, network, rows, arm)
            found.append(
                claim("frequency_interpretation", where,
                      f"{network}, {arm}: better under corruptions",
                      run_, printed=printed[1], able=able, note=note, **gains["robustness"])
            )  # fmt: skip
            found.append(
                claim("frequency_interpretation", where,
                      f"{network}, {arm}: clean accuracy falls by less than {NEGLIGIBLE} point",
                      run_, printed=printed[0], bound=-NEGLIGIBLE, **gains["accuracy"])
            )  # fmt: skip
    return found


def _conditions(content, settings, network, rows, arm):
    """(what was run, whether corruptions take enough, a note if not, gains) of an arm."""
    width = settings["options"].get(network, {}).get("width", 1)
    if arm not in rows:
        return f"{network} x {width:g}", True, "", {"robustness": {}, "accuracy": {}}
    row, natural = rows[arm], rows["natural"]
    record = content["runs"][run_key(network, arm, row["seeds"][0])]
    taken = float(np.mean(natural["same_images"]) - np.mean(natural["robustness"]))
    able = taken >= DROP
    note = "" if able else (
        f"Corruptions cost natural training {taken:.1f} points on the same images, less than "
        f"{DROP}: there is nothing to win"
    )  # fmt: skip
    gains = {
        quantity: over_seeds(row[f"{quantity}_gain"]["by_seed"])
        for quantity in ("robustness", "accuracy")
    }
    return run_words(network, width, record["result"], len(row["seeds"])), able, note, gains


def verdict(stored):
    """What the tables say about the paper's claims, in sentences with numbers."""
    content = stored["content"]
    lines = []
    for network in sorted(stored["settings"]["networks"]):
        rows = [
            table["rows"]["natural"]
            for name, table in content["tables"].items()
            if name.split("-", 1)[1] == network
        ]
        if not rows:
            lines.append(f"{network}: not run")
            continue
        longest = max(rows, key=lambda row: len(row["accuracy"]))
        own = [one for one in content["claims"] if one["claim"].startswith(f"{network},")]
        lines.append(
            f"{network}: natural {np.mean(longest['accuracy']):.1f} % clean, "
            f"{np.mean(longest['robustness']):.1f} % under corruptions (clean on the same images "
            f"{np.mean(longest['same_images']):.1f} %); claims of the paper: "
            f"{count_verdicts(own)}"
        )
    for name, table in content["tables"].items():
        if "variance" in table:
            lines.append(
                f"{name.split('-', 1)[1]}, eight configurations: variance of the gains "
                f"{table['variance']['accuracy']:.2f} clean and "
                f"{table['variance']['robustness']:.2f} under corruptions"
            )
    return ".  ".join(lines) + "."


_TITLES = {
    "table1": "suppression and a gate",
    "table2": "bands limited (0), open (1)",
    "table3": "suppression and noise",
    "table4": "both, and a gate with its loss",
}


# Half the height of a panel, in points; an interval that leaves it ends in an arrow.
REACH = 16


def draw(stored):
    tables = stored["content"]["tables"]
    order = sorted(tables)
    columns = 2 if len(order) > 1 else 1
    lines = -(-len(order) // columns)
    figure = new_figure(3.4 + 6.2 * lines)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for panel, name in zip(hide_unused(panels, len(order)), order, strict=False):
        number_, network = name.split("-", 1)
        _panel(panel, tables[name]["rows"], network)
        title = f"Table {number_.removeprefix('table')}, {network}: {_TITLES[number_]}"
        panel.set_title(title, loc="left")
    for row in panels:
        row[0].set_ylabel("points gained")
    handles = [
        handle("under corruptions", color=BLUE, marker="o"),
        handle("clean", color=ORANGE, marker="s"),
        handle("each seed", color=GREY, marker="o", markersize=5),
        handle(**paper_mark(markersize=14)),
    ]
    panels[0][0].legend(handles=handles, loc="lower center", ncols=2)
    figure.suptitle("Accuracy gained over natural training", x=0.01, ha="left")
    caption(figure, f"{verdict(stored)}\n{_settings_line(stored)}")
    return figure


def _panel(panel, rows, network):
    names = [arm for arm in rows if arm != "natural"]
    quantities = (("robustness", BLUE, "o", -0.16, 1), ("accuracy", ORANGE, "s", 0.16, 0))
    for place, arm in enumerate(names):
        for quantity, color, marker, offset, column in quantities:
            gain, x = rows[arm][f"{quantity}_gain"], place + offset
            if gain["interval"]:
                _interval(panel, x, gain["interval"], color)
                seeds = gain["by_seed"]
                panel.plot([x + 0.09] * len(seeds), seeds, "o", color=GREY, markersize=5)
            # Hollow without an interval: one seed.
            fill = color if gain["interval"] else "white"
            panel.plot(x, gain["mean"], marker, color=color, markerfacecolor=fill, markersize=9,
                       markeredgewidth=2)  # fmt: skip
            if arm in PAPER.get(network, {}):
                panel.plot(x, PAPER[network][arm][column], **paper_mark(markersize=20))
    panel.axhline(0, color="0.5", linewidth=1)
    labels = [
        arm.replace("LMH=", "").replace("+", "\n+ ").replace(" lambda=", "\nλ = ") for arm in names
    ]
    panel.set_xticks(range(len(names)), labels)
    panel.set_xlim(-0.6, len(names) - 0.4)
    panel.set_ylim(-REACH, REACH)
    panel.grid(axis="y", alpha=0.3)


def _interval(panel, x, interval, color):
    low, high = (min(max(end, -REACH + 0.7), REACH - 0.7) for end in interval)
    panel.plot([x, x], [low, high], color=color, linewidth=2)
    for end, shown, marker in zip(interval, (low, high), "v^", strict=True):
        panel.plot(x, shown, "_" if end == shown else marker, color=color, markersize=9)


def _settings_line(stored):
    settings = stored["settings"]
    training = settings["training"]
    runs = stored["content"]["runs"].values()
    images = next(iter(runs))["result"]["images"]["training"]
    widths = ", ".join(
        f"{network} {settings['options'].get(network, {}).get('width', 1):g}"
        for network in settings["networks"]
    )
    seeds = ", ".join(
        f"{name.split('-', 1)[0].removeprefix('table')}: {len(table['rows']['natural']['seeds'])}"
        for name, table in sorted(stored["content"]["tables"].items())
    )
    epochs = training.get("epochs")
    return (
        f"Preset {stored['preset']}: {training['dataset']}, {images:,} training images, "
        f"{f'{epochs} epochs' if epochs else 'epochs of the recipes'}, times the paper's filters: "
        f"{widths}; seeds of table {seeds}; clean: all test images, corrupted: the first "
        f"{settings['test_images']:,} under 15 corruptions x 5 severities.  Bars: t intervals of "
        "95 % over the seeds, an arrow where one leaves the panel; hollow: one seed, no interval.  "
        "Frost has procedural textures."
    )


FIGURE = Figure(
    "corruption_tables",
    "Power suppression, noise and attention: accuracy clean and under corruptions.",
    PRESETS, run, draw, derive, runs=runs,
)  # fmt: skip
