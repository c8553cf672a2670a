"""What halves the maps: strides, maxima, means, blur, spectra, windows and learned strides.

The question of Riad et al. (2022, "DiffStride", arXiv 2202.01653, Table 1): is spectral pooling
worth 2.4 points over strided convolution in a residual network, learned strides another .7, and
more with poor strides?  DiffStride leaves about 8 values a side more than the stride asks for, so
its arm computes more; the arm "learned" has the same window at the stride's own size.  And that of
Grabinski et al. (2022, "FLC", arXiv 2204.00491): does pooling without aliasing keep the training on
single-step FGSM examples from failing under a stronger attack?

Rule, written before the runs.  Differences of test accuracy in points, paired by seed, with a t
interval against 0; under attack, of the accuracy under PGD with 10 steps.  With one seed of an arm
a difference is undecided.  Every arm of a group has the recipe of the group and the same number of
epochs; "equal cost" is an arm of its own.

Command: python -m figures.poolings --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "poolings")

import numpy as np

from figures._claims import claim, count_verdicts, over_seeds, seed_words
from figures._corrupted import corrupted_images, measure_corruptions
from figures._figure import Figure
from figures._runs import in_rounds, load_best_and_tests, train_once, training_speeds
from figures._style import BLUE, GREY, ORANGE, caption, handle, hide_unused, new_figure, paper_mark
from figures.flagship import SGD
from figures.run import operations
from spectral_keras.attacks import Attack
from spectral_keras.evaluation import accuracy_under_attack
from spectral_keras.experiments.train.options import TrainOptions

# Accuracy in percent of Riad et al., Table 1 (pre-activation ResNet-18, 400 epochs, three runs).
PAPER = {
    "resnet18 cifar10": {"strided": 91.06, "spectral": 93.49, "diffstride": 94.20},
    "resnet18 cifar10, poor strides": {"strided": 89.21, "spectral": 92.00, "diffstride": 94.19},
    "resnet18 cifar100": {"strided": 65.75, "spectral": 72.86, "diffstride": 76.08},
    "resnet18 cifar100, poor strides": {"strided": 60.82, "spectral": 67.74, "diffstride": 76.09},
}
_POOLINGS = [
    "strided", "spectral", "max", "average", "blur", "windowed", "learned", "diffstride",
]  # fmt: skip
_POOR = {"strides": [1, 3, 2, 3]}
_FGSM = {"adversarial": "fgsm", "adversarial_eps": "8/255", "adversarial_share": 1.0}
_QUICK = {"dataset": "cifar10", "precision": "bfloat16", "validation_fraction": 0, "epochs": 16}
# The recipe of the runs before Lookahead.
_PLAIN = {"activation": "silu", "learning_rate": 0.75, "weight_decay": 0.0089, "lookahead": 0}
# Larger maps cost more: as much as 16 epochs with maps of half the side each time.
_LARGE = ["max_spectral", {"sizes": [18, 9, 4], "epochs": 11}, "max_spectral 18, 9, 4"]


def _resnet18(dataset, name="", width=0.25, **options):
    # Names of the runs are those of `figures.flagship`.
    return {
        "model": "resnet18",
        "key": f"{dataset} resnet18 {{}}, width {width:g}{name}",
        "options": {"dataset": dataset, "width": width} | SGD | options,
        "poolings": _POOLINGS,
        "seeds": [0, 1, 2],
    }


# Group -> network, options, arms, seeds; arms are poolings, or [pooling, further options, name].
PRESETS = {
    "smoke": {
        "groups": {
            f"quick_spectral digits{name}": {
                "model": "quick_spectral",
                "key": f"digits quick_spectral {{}}{name}",
                "options": {"dataset": "digits", "limit": 40, "epochs": 1, "width": 0.02} | more,
                "poolings": ["max_spectral", "max"] if not more else ["strided", "windowed"],
                "seeds": [0],
            }
            for name, more in (("", {}), (", FGSM", _FGSM))
        },
        "test_images": 6,
        "speed_rounds": 1,
    },
    "cpu": {
        "groups": {
            "quick_spectral cifar10": {
                "model": "quick_spectral",
                "key": "cifar10 quick {}",
                "options": _QUICK,
                "poolings": [
                    _LARGE, "max", ["strided", {"epochs": 24}, "strided 24 epochs"], "average",
                    "spectral", "max_spectral", "strided", "max_blur", "max_windowed",
                    "max_learned",
                ],
                "seeds": [0, 1, 2],
            },
            "resnet18 cifar10": _resnet18("cifar10"),
            "quick_spectral cifar10, no Lookahead": {
                "model": "quick_spectral",
                "key": "cifar10 quick_spectral {}",
                "options": _QUICK | _PLAIN,
                "poolings": ["max_spectral", "max"],
                "seeds": [0],
            },
            "resnet18 cifar10, poor strides": _resnet18("cifar10", ", poor strides", **_POOR),
            "resnet18 cifar10, FGSM": _resnet18("cifar10", ", FGSM", **_FGSM)
            | {"poolings": ["strided", "spectral", "windowed", "max"]},
            "resnet18 cifar100": _resnet18("cifar100"),
            "resnet18 cifar100, poor strides": _resnet18("cifar100", ", poor strides", **_POOR),
        },
        "test_images": 1000,
        "speed_rounds": 9,
    },
    "paper": {
        "groups": {
            f"resnet18 {dataset}{name}": _resnet18(dataset, name, 1.0, epochs=200, **more)
            for dataset in ("cifar10", "cifar100")
            for name, more in (("", {}), (", poor strides", _POOR))
        },
        "test_images": 10_000,
        "speed_rounds": 9,
    },
}  # fmt: skip


def _arms(group):
    """Name of an arm -> its options."""
    found = {}
    for arm in group["poolings"]:
        pooling, more, name = arm if isinstance(arm, list) else (arm, {}, arm)
        found[name] = {"pooling": pooling} | more
    return found


def _key(group, arm, seed):
    return f"{group['key'].format(arm)} seed {seed}".replace(" ", "-").replace(",", "")


def runs(settings):
    """The trainings of a preset, one seed of every arm first: key -> (network, options)."""
    return {
        _key(group, arm, seed): (group["model"], group["options"] | options | {"seed": seed})
        for group, seed in in_rounds(settings["groups"].values())
        for arm, options in _arms(group).items()
    }


def run(experiment):
    with corrupted_images(experiment) as images_of:
        for key, (model, options) in runs(experiment.settings).items():
            record = train_once(experiment, key, model, options)
            if "adversarial" in options:
                _measure_attack(experiment, key, record)
            # The corruptions of one data set are at hand.
            elif options["dataset"] != "cifar100":
                measure_corruptions(experiment, key, record, images_of)
    measure_speeds(experiment)


def measure_speeds(experiment):
    """Fills `content["speeds"]`: images a second in training, of each arm that was run.

    In turn, in one process: the runs themselves had other work beside them, at one time or another,
    and their seconds do not compare.
    """
    settings, done = experiment.settings, experiment.content["runs"]
    planned = runs(settings)
    arms = {
        (name, arm): planned[key]
        for name, group in settings["groups"].items()
        for arm in _arms(group)
        if (key := _key(group, arm, group["seeds"][0])) in done
    }
    found = training_speeds(arms, settings["speed_rounds"], experiment.data_dir)
    speeds = experiment.content["speeds"] = {}
    for (name, arm), speed in found.items():
        speeds.setdefault(name, {})[arm] = speed
        experiment.say(f"{name}, {arm}: {speed:,.0f} images/s in training")
    experiment.save()


# Steps of the attack on networks that were trained on FGSM.
STEPS = 10


def _measure_attack(experiment, key, record):
    """Fills `record["attack"]`, unless it is there: clean accuracy, and under PGD."""
    wanted = {"images": experiment.settings["test_images"], "steps": STEPS, "seed": 0}
    if record.get("attack", {}).get("settings") == wanted:
        return
    model, x, y = load_best_and_tests(experiment, key, wanted["images"])
    attack = Attack("pgd", 8 / 255, steps=STEPS, random_start=True)
    found = accuracy_under_attack(model, x, y, attack, 8 / 255)["attacks"]["pgd"]
    record["attack"] = {"settings": wanted, "accuracy": found[-1]["accuracy"]}
    experiment.save()


def derive(stored):
    """Fills `table` and `claims` from the runs that are there."""
    content, settings = stored["content"], stored["settings"]
    done = content.get("runs", {})
    content["table"] = {
        name: {
            arm: row
            for arm in _arms(group)
            if (row := _row(done, group, arm, PAPER.get(name, {}).get(arm)))["seeds"]
        }
        for name, group in settings["groups"].items()
    }
    arms = {name: list(_arms(group)) for name, group in settings["groups"].items()}

    def work(name, arm):
        group = settings["groups"][name]
        options = group["options"] | _arms(group)[arm] | {"seed": 0}
        return operations(TrainOptions.of_values(group["model"], options))

    content["claims"] = claims(content["table"], arms, work)


def _row(done, group, arm, printed):
    keys = {seed: _key(group, arm, seed) for seed in group["seeds"]}
    records = {seed: done[key] for seed, key in keys.items() if key in done}
    one = next(iter(records.values()), {"result": {}})["result"]
    row = {
        "seeds": list(records),
        "accuracy": [100 * record["result"]["test_accuracy"] for record in records.values()],
        "parameters": one.get("parameters"),
        "seconds": sum(record["result"]["seconds"] for record in records.values()),
        "epochs": one.get("epochs"),
        "images": one.get("images", {}).get("training"),
        "paper": printed,
    }
    for part, entry in (("corruption", "mean_accuracy"), ("attack", "accuracy")):
        values = [100 * record[part][entry] for record in records.values() if part in record]
        if values and len(values) == len(records):
            row[part] = values
    return row


# (arm, the arm that it is compared with, what is claimed, quantity)
_COMPARED = (
    ("spectral", "strided", "spectral pooling is better than strides", "accuracy"),
    ("spectral", "max", "spectral pooling is better than max pooling", "accuracy"),
    ("diffstride", "spectral", "learned strides are better than spectral pooling", "accuracy"),
    ("learned", "spectral", "learned windows are better than none, at equal cost", "accuracy"),
    ("max_spectral", "max", "spectral pooling of maxima is better than max pooling", "accuracy"),
    ("max_spectral 18, 9, 4", "max", "spectral pooling of maxima to larger maps is better than max "
     "pooling, at equal cost", "accuracy"),
    ("max_spectral", "strided 24 epochs", "spectral pooling is better than strides at equal cost",
     "accuracy"),
    ("max_spectral 18, 9, 4", "strided 24 epochs", "spectral pooling of maxima to larger maps is "
     "better than strides, at equal cost", "accuracy"),
    ("max_spectral 18, 9, 4", "average", "spectral pooling of maxima to larger maps is better than "
     "average pooling, at equal cost", "accuracy"),
    ("max_spectral", "max", "spectral pooling of maxima is better under corruptions", "corruption"),
    ("spectral", "strided", "spectral pooling is better under corruptions", "corruption"),
    ("spectral", "strided", "trained on FGSM, spectral pooling is better under PGD", "attack"),
    ("windowed", "strided", "trained on FGSM, windowed pooling is better under PGD", "attack"),
)  # fmt: skip


def claims(table, arms, work):
    """The rule of this module's first lines, for each pair of arms of a group.

    Args:
        table: group -> arm -> row of the runs that are there.
        arms: group -> names of all arms.
        work: function of a group and an arm: operations of a training, None where not known.
    """
    found = []
    for name, names in arms.items():
        for arm, other, text, quantity in _COMPARED:
            # Trained on FGSM, what counts is the attack; no corruptions of CIFAR-100 are made.
            wanted = {"attack"} if "FGSM" in name else {"accuracy", "corruption"}
            if quantity not in wanted or (quantity == "corruption" and "cifar100" in name):
                continue
            if not {arm, other} <= set(names):
                continue
            first, second = (
                dict(zip(row["seeds"], row.get(quantity, ()), strict=False))
                for row in (table.get(name, {}).get(one, {"seeds": []}) for one in (arm, other))
            )
            gains = [first[seed] - second[seed] for seed in first if seed in second]
            printed = [PAPER.get(name, {}).get(one) for one in (arm, other)]
            if quantity != "accuracy":
                printed = [None]
            where = _where(name, printed)
            both = [work(name, one) for one in (arm, other)] if gains else [None]
            found.append(
                claim(
                    "poolings",
                    where,
                    f"{name}: {text}",
                    _run_text(name, table.get(name, {}).get(arm), len(gains)),
                    printed=None if None in printed else round(printed[0] - printed[1], 2),
                    added=where == "a control",
                    note=""
                    if None in both
                    else f"at {both[0] / both[1]:.2f} times the operations of the other arm",
                    **over_seeds(gains),
                )
            )
    return found


def _run_text(group, row, seeds):
    if not seeds:
        return f"{group}: no pair of runs"
    return (
        f"{group}: {row['images']:,} training images, {row['epochs']} epochs, {seed_words(seeds)}"
    )


def _where(group, printed):
    if None not in printed:
        return "DiffStride, Table 1"
    return "FLC" if "FGSM" in group else "a control"


_SHOWN = {"accuracy": ("clean", BLUE, "o"), "corruption": ("under corruptions", ORANGE, "s"),
          "attack": ("under PGD", ORANGE, "^")}  # fmt: skip


def draw(stored):
    table = {name: rows for name, rows in stored["content"]["table"].items() if rows}
    columns = min(2, len(table))
    lines = -(-len(table) // columns)
    most = max(len(rows) for rows in table.values())
    figure = new_figure(2.6 + lines * (1.2 + 0.5 * most), width=8 * columns)
    panels = figure.subplots(lines, columns, squeeze=False)
    for panel, (name, rows) in zip(hide_unused(panels, len(table)), table.items(), strict=False):
        _panel(panel, name, rows)
    used = {part for rows in table.values() for row in rows.values() for part in row}
    handles = [
        handle(label, color=color, marker=marker)
        for part, (label, color, marker) in _SHOWN.items()
        if part in used
    ]
    if any(row["paper"] for rows in table.values() for row in rows.values()):
        handles.append(handle(**paper_mark(marker="|", markersize=16)))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    caption(figure, _text(stored, table), 13)
    curves = {"": figure, "_work": _draw_curves(stored, table)}
    if stored["content"].get("speeds"):
        curves["_minutes"] = _draw_curves(stored, table, minutes=True)
    return curves


def _draw_curves(stored, table, minutes=False):
    """Accuracy against the work of the training, or its minutes, first seed of each arm."""
    planned, done = runs(stored["settings"]), stored["content"]["runs"]
    speeds = stored["content"].get("speeds", {})
    figure = new_figure(6.4, width=1.5 + 6.5 * len(table))
    panels = figure.subplots(1, len(table), squeeze=False)
    for panel, (name, rows) in zip(panels[0], table.items(), strict=True):
        for number, (arm, row) in enumerate(rows.items()):
            if minutes and arm not in speeds.get(name, {}):
                continue
            key = _key(stored["settings"]["groups"][name], arm, row["seeds"][0])
            history = done[key]["history"]
            model, options = planned[key]
            epochs = np.arange(1, len(history["seconds"]) + 1)
            if minutes:
                unit, each = "minutes", row["images"] / speeds[name][arm] / 60
            else:
                work = operations(TrainOptions.of_values(model, options | {"epochs": 1}))
                unit, each = ("PFLOP", work / 1e15) if work else ("epochs", 1)
            measured = "val_accuracy" if "val_accuracy" in history else "accuracy"
            panel.plot(
                epochs * each, 100 * np.asarray(history[measured]),
                color=f"C{number}", linewidth=2.2, label=arm,
            )  # fmt: skip
            kind = "validation" if measured == "val_accuracy" else "training"
            panel.set(xlabel=unit, ylabel=f"{kind} accuracy, %")
        panel.set_title(name, loc="left")
        panel.grid(alpha=0.3)
        panel.legend(loc="lower right")
    text = f"Preset {stored['preset']}: first seed of each arm; " + (
        "minutes of training with nothing beside it, at speeds measured in turn."
        if minutes
        else "operations of convolutions and dense layers, three passes a step."
    )
    caption(figure, text, 13)
    return figure


def _panel(panel, name, rows):
    names = list(reversed(rows))
    for place, arm in enumerate(names):
        row = rows[arm]
        for part, (_, color, marker) in _SHOWN.items():
            values = row.get(part, [])
            panel.plot(values, [place] * len(values), marker, color=color, markersize=9)
        # On the left: the paper's mark, of the full scale, is on the right.
        panel.annotate(
            f"{np.mean(row['accuracy']):.2f}", (min(row["accuracy"]), place), xytext=(-12, 0),
            textcoords="offset points", ha="right", va="center", fontsize=13,
        )  # fmt: skip
        if row["paper"]:
            panel.plot(row["paper"], place, **paper_mark(marker="|", markersize=18))
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(-0.6, len(names) - 0.4)
    panel.margins(x=0.2)
    panel.set_xlabel("accuracy, %")
    panel.set_title(name, loc="left")
    panel.grid(axis="x", alpha=0.3, color=GREY)


def _text(stored, table):
    rows = [row for group in table.values() for row in group.values()]
    seconds = sum(row["seconds"] for row in rows)
    return (
        f"Preset {stored['preset']}: markers are seeds, numbers the mean clean accuracy on all "
        f"test images, {stored['settings']['test_images']:,} of them under corruptions or PGD; "
        f"{seconds / 3600:.1f} hours of training.  Claims: "
        f"{count_verdicts(stored['content']['claims']) or 'none'}."
    )


FIGURE = Figure(
    "poolings", "What halves the maps, in two networks, beside DiffStride's table.",
    PRESETS, run, draw, derive, font_size=14, runs_of="flagship", runs=runs,
)  # fmt: skip
