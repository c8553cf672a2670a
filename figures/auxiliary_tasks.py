"""Table 1 of the auxiliary Fourier task: five backbones, three tasks, attacks.

Each backbone is trained without an auxiliary task, with the reconstruction of the image and with
its Fourier transform, on clean images and on FGSM examples, and tested on clean images, under FGSM
and under PGD.  The published code trained its Fourier rows against the spectra of other images of
the batch, cut both targets off at zero, tested the last weights, and reported FGSM alone, with the
model's own predictions as labels, on images that left [0, 1].  Here targets are those of the image
(log magnitude and phase), the weights are the best on validation, attacks know the labels and stay
in [0, 1].  eps is the paper's 0.3 in its normalised units, 0.075 of the range of an image (19 grey
levels).

Training against FGSM alone is known to look better than it is (Wong, Rice and Kolter 2020,
"Fast is better than free"; label leaking: Kurakin, Goodfellow and Bengio 2017): PGD tells.

Command: python -m figures.auxiliary_tasks --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "auxiliary_tasks")

import numpy as np

from figures._figure import Figure
from figures._runs import trained
from figures._style import BLACK, BLUE, GREEN, ORANGE, caption
from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import read_json
from spectral_keras.experiments.saved_models import load_model

TASKS = ("none", "reconstruction", "fourier")
TRAININGS = ("clean", "adversarial")
TESTS = ("clean", "fgsm", "pgd")

# Accuracies in percent: clean training (clean, FGSM), adversarial training (clean, FGSM).  The rows
# in the printed order None, Recon, FT; the paper's prose reads as if two rows were swapped.
PAPER = {
    "resnet18": {
        "none": (92.83, 11.95, 84.53, 79.95),
        "reconstruction": (92.83, 10.48, 84.60, 81.52),
        "fourier": (93.10, 12.65, 84.01, 81.35),
    },
    "resnext29": {
        "none": (91.74, 13.05, 82.80, 78.42),
        "reconstruction": (91.58, 12.31, 81.28, 83.63),
        "fourier": (91.87, 10.51, 79.34, 69.79),
    },
    "googlenet": {
        "none": (92.75, 10.79, 81.41, 82.46),
        "reconstruction": (92.62, 12.05, 83.57, 86.79),
        "fourier": (92.58, 11.93, 85.14, 89.05),
    },
    "efficientnet_b0": {
        "none": (91.43, 10.30, 80.06, 78.90),
        "reconstruction": (91.05, 9.03, 79.63, 72.02),
        "fourier": (90.06, 9.51, 72.28, 40.93),
    },
    "mobilenet_v2": {
        "none": (92.19, 14.64, 81.08, 67.84),
        "reconstruction": (92.20, 12.66, 83.09, 62.23),
        "fourier": (92.45, 11.98, 83.35, 71.79),
    },
}

# 0.3 in units of the zoo's normalisation (x - 0.5) / 0.25.
EPS = 0.075

_COMMON = {"dataset": "cifar10", "precision": "float32", "aux_weight": 0.01}

PRESETS = {
    "smoke": {
        "backbones": ["resnet18"],
        "seeds": [0],
        "eps": EPS,
        "training": _COMMON | {"dataset": "digits", "limit": 64, "epochs": 1, "batch_size": 32},
        "widths": {"resnet18": 0.05},
        "test": {"images": 20, "steps": 2, "step_size": EPS / 2},
    },
    # One backbone with an eighth of its filters; any other is one word more.
    "cpu": {
        "backbones": ["resnet18"],
        "widths": {"resnet18": 0.125},
        "seeds": [0],
        "eps": EPS,
        "training": _COMMON
        | {
            "limit": 5000,
            "epochs": 10,
            "batch_size": 32,
            "learning_rate": 0.05,
            "schedule": "onecycle",
            "early_stopping": 0,
        },
        "test": {"images": 2000, "steps": 10, "step_size": EPS / 4},
    },
    # The networks' own recipes are the paper's.  PGD with 40 steps of 0.01 in normalised units is
    # what its code computed and did not report.
    "paper": {
        "backbones": list(PAPER),
        "seeds": [0],
        "eps": EPS,
        "widths": {},
        "training": _COMMON | {"validation_fraction": 0.05, "epochs": 200, "batch_size": 128},
        "test": {"images": 10_000, "steps": 40, "step_size": EPS / 30},
    },
}


def run(experiment):
    settings = experiment.settings
    for seed in settings["seeds"]:
        for backbone in settings["backbones"]:
            for training in TRAININGS:
                for task in TASKS:
                    _run_one(experiment, backbone, training, task, seed)
    experiment.content["table"] = table(experiment.content["runs"], settings)


def _key(backbone, training, task, seed):
    return f"{backbone}-{training}-{task}-{seed}"


def _run_one(experiment, backbone, training, task, seed):
    settings = experiment.settings
    key = _key(backbone, training, task, seed)
    arguments = settings["training"] | {"aux": task, "seed": seed}
    if backbone in settings["widths"]:
        arguments["width"] = settings["widths"][backbone]
    if training == "adversarial":
        arguments |= {"adversarial": "fgsm", "adversarial_eps": settings["eps"]}
    record = trained(experiment, key, backbone, arguments)
    wanted = settings["test"] | {"eps": settings["eps"]}
    if record.get("attacks", {}).get("settings") != wanted:
        record["attacks"] = {"settings": wanted} | _under_attack(experiment, key, wanted)
        experiment.save()
    values = record["attacks"]
    experiment.say(f"{key}: " + ", ".join(f"{test} {100 * values[test]:.2f} %" for test in TESTS))


def _under_attack(experiment, key, settings):
    """Accuracy of best.keras on the first test images: clean, under FGSM, under PGD."""
    from spectral_keras.attacks import fgsm, pgd
    from spectral_keras.experiments.train.command import load_data
    from spectral_keras.experiments.train.options import TrainOptions

    path = experiment.folder / key
    if not (path / "best.keras").exists():
        raise CommandError(f"{path / 'best.keras'} is gone: --overwrite trains again")
    options = TrainOptions.of_config(read_json(path / "config.json"))
    if experiment.data_dir:
        options = options.replaced(data_dir=experiment.data_dir)
    data, _ = load_data(options)
    x = data.x_test[: settings["images"]].astype("float32") / 255
    y = data.y_test[: settings["images"]]
    model = load_model(path / "best.keras")

    def accuracy(images):
        logits = model.predict(images, batch_size=250, verbose=0)
        return float(np.mean(logits.argmax(axis=1) == y))

    attack = {"eps": settings["eps"], "batch_size": 250}
    steps = {"steps": settings["steps"], "step_size": settings["step_size"]}
    return {
        "clean": accuracy(x),
        "fgsm": accuracy(fgsm(model, x, y, **attack)),
        "pgd": accuracy(pgd(model, x, y, **attack, **steps)),
        "images": len(y),
    }


def table(runs, settings):
    """Backbone -> training -> task -> test -> mean, standard error and the accuracies (percent).

    The standard error is the larger of the binomial one of the test images and, with several
    seeds, that of the mean over them.
    """
    rows = {}
    for backbone in settings["backbones"]:
        for training in TRAININGS:
            for task in TASKS:
                found = [
                    runs[_key(backbone, training, task, seed)]["attacks"]
                    for seed in settings["seeds"]
                ]
                row = {test: _cell([f[test] for f in found], found[0]["images"]) for test in TESTS}
                rows.setdefault(backbone, {}).setdefault(training, {})[task] = row
    return rows


def _cell(accuracies, images):
    mean = float(np.mean(accuracies))
    error = np.sqrt(mean * (1 - mean) / images)
    if len(accuracies) > 1:
        error = max(error, np.std(accuracies, ddof=1) / np.sqrt(len(accuracies)))
    return {
        "mean": 100 * mean,
        "standard_error": 100 * float(error),
        "by_seed": [100 * accuracy for accuracy in accuracies],
    }


def _noise(first, second):
    """Half the 95 % interval of a difference of two cells, in points."""
    return 1.96 * float(np.hypot(first["standard_error"], second["standard_error"]))


def _beyond(first, second):
    return first["mean"] - second["mean"] > _noise(first, second)


def verdict(rows):
    """What the table shows, in sentences with numbers."""
    lines = []
    for task in TASKS[1:]:
        gains, wins = [], 0
        for trainings in rows.values():
            ours, base = trainings["clean"][task]["clean"], trainings["clean"]["none"]["clean"]
            gain, error = ours["mean"] - base["mean"], _noise(ours, base)
            gains.append(f"{gain:+.1f} ± {error:.1f}")
            wins += abs(gain) > error
        lines.append(
            f"{task} against none, clean accuracy in points: {', '.join(gains)} "
            f"({wins} of {len(gains)} beyond the 95 % noise of the test images)"
        )
    results = [
        f"{name} {task} "
        + " / ".join(f"{trainings['adversarial'][task][test]['mean']:.0f}" for test in TESTS)
        for name, trainings in rows.items()
        for task in TASKS
    ]
    lines.append(f"Trained against FGSM, clean / FGSM / PGD in %: {', '.join(results)}")
    leaking = [
        f"{name} {task}"
        for name, trainings in rows.items()
        for task in TASKS
        if _beyond(trainings["adversarial"][task]["fgsm"], trainings["adversarial"][task]["clean"])
    ]
    if leaking:
        lines.append(
            "Better under FGSM than without an attack, which is no robustness: the label leaks "
            f"into the attacked image ({', '.join(leaking)})"
        )
    return ".  ".join(lines) + "."


COLORS = {"none": BLACK, "reconstruction": BLUE, "fourier": ORANGE}
_MARKERS = {"none": "o", "reconstruction": "s", "fourier": "D"}
_BAND = {"clean": "0.97", "adversarial": "0.91"}


def draw(stored):
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    rows, settings = stored["content"]["table"], stored["settings"]
    width = max(11.0, 5.5 * len(rows))
    figure, panels = pyplot.subplots(
        1, len(rows), figsize=(width, 6.6), layout="constrained", sharey=True, squeeze=False
    )
    for panel, (backbone, trainings) in zip(panels[0], rows.items(), strict=True):
        _panel(panel, backbone, trainings)
    panels[0][0].set_ylabel("accuracy, %")
    handles = [
        Line2D([], [], color=COLORS[task], marker=_MARKERS[task], linestyle="", label=task)
        for task in TASKS
    ]
    handles.append(
        Line2D(
            [], [], color=GREEN, marker="_", markersize=12, markeredgewidth=2, linestyle="",
            label="paper (full scale)",
        )
    )  # fmt: skip
    figure.legend(handles=handles, loc="outside upper right", ncols=4, fontsize=10)
    figure.suptitle("Auxiliary tasks: clean and under attack", x=0.01, ha="left")
    caption(figure, f"{verdict(rows)}\n{_settings_line(stored, settings)}")
    return figure


def _panel(panel, backbone, trainings):
    ticks, names, place = [], [], 0.0
    for training in TRAININGS:
        begin = place - 0.5
        for test in TESTS:
            for offset, task in zip((-0.25, 0, 0.25), TASKS, strict=True):
                cell = trainings[training][task][test]
                panel.errorbar(
                    place + offset, cell["mean"], 1.96 * cell["standard_error"],
                    color=COLORS[task], marker=_MARKERS[task], markersize=6, capsize=3,
                )  # fmt: skip
                if test != "pgd" and backbone in PAPER:
                    column = 2 * TRAININGS.index(training) + TESTS.index(test)
                    panel.plot(
                        place + offset, PAPER[backbone][task][column], "_", color=GREEN,
                        markersize=12, markeredgewidth=2,
                    )  # fmt: skip
            ticks.append(place)
            names.append({"clean": "clean", "fgsm": "FGSM", "pgd": "PGD"}[test])
            place += 1
        panel.axvspan(begin, place - 0.5, color=_BAND[training], zorder=0)
        panel.text(
            (begin + place - 0.5) / 2, 101.5, f"{training} training", ha="center", fontsize=10
        )
    panel.set_xlim(-0.5, place - 0.5)
    panel.set_ylim(-2, 107)
    panel.set_xticks(ticks, names)
    panel.grid(axis="y", alpha=0.3)
    panel.set_title(backbone)


def _settings_line(stored, settings):
    training, test = settings["training"], settings["test"]
    run = next(iter(stored["content"]["runs"].values()))
    images = f"{run['result']['images']['training']:,}"
    return (
        f"Preset {stored['preset']}: {training['dataset']}, {images} training images, "
        f"{training['epochs']} epochs, {_widths(settings)}, "
        f"{len(settings['seeds'])} seed(s).  FGSM and PGD-{test['steps']} at eps = "
        f"{settings['eps']:g} of the range of an image, on the first {test['images']:,} test "
        "images; bars: 95 % intervals.  Auxiliary loss: 0.01 x the mean squared error.  The paper "
        "has no PGD columns; its FGSM works with the model's predictions as labels and without "
        "clipping."
    )


def _widths(settings):
    widths = [
        f"{settings['widths'].get(backbone, 1.0):g} ({backbone})"
        for backbone in settings["backbones"]
    ]
    return f"{', '.join(widths)} x the paper's filters"


FIGURE = Figure(
    name="auxiliary_tasks",
    description="Auxiliary tasks on five backbones: accuracy on clean images and under attack.",
    presets=PRESETS,
    run=run,
    draw=draw,
)
