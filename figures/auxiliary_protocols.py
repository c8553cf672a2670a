"""Table 1 of the auxiliary Fourier task in two protocols, and what explains its columns.

"published" is what the published code did: FGSM of 0.3 in units of its normalisation without
clipping, against the network's own predictions, with batch normalisation in training mode during
the attack, every batch attacked, the raw spectrum of another image as target, the last weights.
"consistent" leads away from predictions too, but stays in [0, 1], attacks the network in inference
mode, predicts the log magnitude of the image's own spectrum, and keeps the best weights.  Every
network is tested clean, with the running averages and with the statistics of the test batches,
under FGSM as published, with predicted and with true labels inside [0, 1], and under PGD at the
training radius (19 grey levels) and at 8.

A network that is better under FGSM than on clean images is not robust (Wong, Rice and Kolter 2020,
"Fast is better than free").  The true label that the attack carries into the image (Kurakin,
Goodfellow and Bengio 2017) and running averages of attacked images only are the causes that are
distinguished here: networks without a task for both kinds of labels x both modes of the attack.  A
network trained on PGD is the control that should be robust.

Rule, written before the runs.  Gains of a task over none: t intervals over the seeds, one seed is
undecided.  What is said of trained networks (above chance, better attacked, better with batch
statistics): 95 % intervals over the test images, paired on the same ones, in every network named.

Command: python -m figures.auxiliary_protocols --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "auxiliary_protocols")

import keras
import numpy as np

from figures import auxiliary_tasks
from figures._claims import claim, decided, over_seeds, percent, summary
from figures._figure import Figure
from figures._runs import load_best_and_tests, train_once
from figures._style import caption, new_figure, paper_mark
from figures._test_images import batches
from figures.auxiliary_tasks import EPS, PAPER, STYLES, TASKS, TRAININGS
from spectral_keras.attacks import fgsm, pgd
from spectral_keras.evaluation import wilson_interval
from spectral_keras.precision import all_layers

PROTOCOLS = ("published", "consistent")
TESTS = {
    "clean": "clean",
    "batch_statistics": "clean, batch statistics",
    "fgsm_published": "FGSM as published",
    "fgsm_predicted": "FGSM, predicted labels",
    "fgsm": "FGSM, true labels",
    "pgd": "PGD",
    "pgd_8": "PGD at 8/255",
}
# What each protocol calls its accuracy under attack.
ATTACKED = {"published": "fgsm_published", "consistent": "fgsm"}
LABELS, MODES = ("given", "predicted"), ("inference", "training")
BATCH = 250

_CLEAN = {"dataset": "cifar10", "precision": "bfloat16", "aux_weight": 0.01}
_FGSM = {"adversarial": "fgsm", "adversarial_eps": EPS}
_PGD = {"adversarial": "pgd", "adversarial_eps": 8 / 255, "adversarial_random_start": True}

PRESETS = {
    # A network that compiles in seconds.
    "smoke": {
        "backbones": {"quick_spectral": {"width": 0.05}},
        "tasks": ["none", "fourier"],
        "seeds": {"clean": [0], "adversarial": [0]},
        "training": _CLEAN
        | {"dataset": "digits", "precision": "float32", "limit": 64, "epochs": 1, "batch_size": 32},
        "control": {"adversarial": "pgd", "adversarial_eps": EPS, "adversarial_steps": 1},
        "test": {"images": 20, "steps": 2},
    },
    # One seed of every arm first.
    "cpu": {
        "backbones": {"resnet18": {"width": 0.25}},
        "tasks": list(TASKS),
        "seeds": {"clean": [0, 1, 2], "adversarial": [0, 1]},
        "training": _CLEAN
        | {
            "validation_fraction": 0.05,
            "epochs": 20,
            "batch_size": 128,
            "optimizer": "sgd",
            "learning_rate": 0.2,
            "weight_decay": 5e-4,
            "schedule": "onecycle",
            "augment": "crop_flip",
            "early_stopping": 0,
        },
        "control": _PGD | {"adversarial_steps": 5},
        "test": {"images": 2000, "steps": 20},
    },
    "paper": {
        "backbones": {name: {} for name in PAPER},
        "tasks": list(TASKS),
        "seeds": {"clean": [0, 1, 2], "adversarial": [0, 1]},
        "training": _CLEAN | {"validation_fraction": 0.05, "epochs": 200, "batch_size": 128},
        "control": _PGD | {"adversarial_steps": 7},
        "test": {"images": 10_000, "steps": 20},
    },
}


def key_of(backbone, protocol, training, task, seed):
    """Name of a training run; without a task and an attack the protocols are one."""
    if (training, task) == ("clean", "none"):
        protocol = "any"
    return f"{backbone}-{protocol}-{training}-{task}-{seed}"


def _cell_of_labels(backbone, labels, mode):
    """Name of the run of a cell of the 2x2; one of them is the consistent protocol's."""
    if (labels, mode) == ("predicted", "inference"):
        return key_of(backbone, "consistent", "adversarial", "none", 0)
    return f"{backbone}-{labels}-{mode}-none-0"


def runs(settings):
    """The trainings of a preset, the most valuable first: key -> (network, options)."""
    found = {}
    for index in range(max(map(len, settings["seeds"].values()))):
        for backbone in settings["backbones"]:
            for training in TRAININGS:
                for task in settings["tasks"]:
                    for protocol in PROTOCOLS:
                        for seed in settings["seeds"][training][index : index + 1]:
                            key = key_of(backbone, protocol, training, task, seed)
                            more = _attack(protocol) if training == "adversarial" else {}
                            if protocol == "published" and task != "none":
                                more = more | {"aux_variant": "published"}
                            found[key] = _run(settings, backbone, seed, more | {"aux": task})
            if index == 0:
                for labels in LABELS:
                    for mode in MODES:
                        more = _FGSM | {"adversarial_labels": labels, "adversarial_mode": mode}
                        key = _cell_of_labels(backbone, labels, mode)
                        found.setdefault(key, _run(settings, backbone, 0, more))
                found[f"{backbone}-control-0"] = _run(settings, backbone, 0, settings["control"])
    return found


def _attack(protocol):
    more = {"aux_variant": "published"} if protocol == "published" else {}
    return _FGSM | (more or {"adversarial_labels": "predicted"})


def _run(settings, backbone, seed, more):
    return backbone, settings["training"] | settings["backbones"][backbone] | more | {"seed": seed}


def run(experiment):
    wanted = experiment.settings["test"]
    for key, (backbone, options) in runs(experiment.settings).items():
        record = train_once(experiment, key, backbone, options)
        if record.get("tests", {}).get("settings") != wanted:
            record["tests"] = {"settings": wanted} | _test(experiment, key, wanted)
            experiment.save()
        shares = (f"{test} {100 * _share(record, test):.2f} %" for test in TESTS)
        experiment.say(f"{key}: " + ", ".join(shares))


def _test(experiment, key, settings):
    """Test -> `right`, which test images the saved weights have right, as bits, and `images`."""
    model, x, y = load_best_and_tests(experiment, key)
    some = slice(settings["images"])

    def right(images):
        return model.predict(images, batch_size=BATCH, verbose=0).argmax(axis=1) == y[: len(images)]

    step = {"eps": EPS, "batch_size": BATCH}
    steps = {"steps": settings["steps"], "batch_size": BATCH}
    answers = {
        "clean": right(x),
        "fgsm_published": right(fgsm(model, x[some], None, clip=None, **step)),
        "fgsm_predicted": right(fgsm(model, x[some], None, **step)),
        "fgsm": right(fgsm(model, x[some], y[some], **step)),
        "pgd": right(pgd(model, x[some], y[some], EPS, **steps)),
        "pgd_8": right(pgd(model, x[some], y[some], 8 / 255, **steps)),
        # Last: it moves the running averages.
        "batch_statistics": with_batch_statistics(model, x).argmax(axis=1) == y,
    }
    return {
        test: {"images": len(answer), "right": np.packbits(answer).tobytes().hex()}
        for test, answer in answers.items()
    }


def with_batch_statistics(model, x):
    """Outputs of the model with the statistics of batches of 250, without any dropout."""
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    outputs = (
        keras.ops.convert_to_numpy(model(batch, training=True)) for batch in batches(x, BATCH)
    )
    return np.concatenate([output.astype("float32") for output in outputs])


def _answers(record, test):
    one = record["tests"][test]
    return auxiliary_tasks.from_bits(one["right"], one["images"])


def _share(record, test):
    return float(_answers(record, test).mean())


def difference(record, first, second):
    """`paired_difference` of one test less another, on the images that both have."""
    one, other = _answers(record, first), _answers(record, second)
    count = min(len(one), len(other))
    return auxiliary_tasks.paired_difference(one[:count], other[:count])


def derive(stored):
    """Fills `table` (key -> test -> percent, of what has been run) and `claims`."""
    content, settings = stored["content"], stored["settings"]
    done = content.get("runs", {})
    content["table"] = {
        key: {test: 100 * _share(done[key], test) for test in TESTS}
        for key in runs(settings) if key in done and "tests" in done[key]
    }  # fmt: skip
    content["claims"] = claims(done, settings)


def claims(done, settings):
    """What the module's first lines ask, for each network."""
    found = []
    for backbone in settings["backbones"]:
        for protocol in PROTOCOLS:
            for training, test, column in (
                ("clean", "clean", 0), ("clean", ATTACKED[protocol], 1),
                ("adversarial", "clean", 2), ("adversarial", ATTACKED[protocol], 3),
            ):  # fmt: skip
                for task in reversed(settings["tasks"][1:]):
                    arm = (backbone, protocol, training)
                    found.append(_gain(done, settings, arm, task, test, column))
            found += _of_networks(done, settings, backbone, protocol)
        found += [_two_by_two(done, settings, backbone), _control(done, settings, backbone)]
    return found


def _claim(settings, backbone, text, where, **rule):
    words = f"{backbone} x {settings['backbones'][backbone].get('width', 1):g}"
    training = settings["training"]
    words += f", {training['epochs']} epochs of {training.get('limit', 'all')} images"
    rule["added"] = where == _OWN
    return claim("auxiliary_fourier_task", where, f"{backbone}, {text}", words, **rule)


def _gain(done, settings, arm, task, test, column):
    backbone, protocol, training = arm
    pairs = [
        [done.get(key_of(*arm, one, seed)) for one in (task, "none")]
        for seed in settings["seeds"][training]
    ]
    values = [100 * (_share(a, test) - _share(b, test)) for a, b in pairs if a and b]
    printed = None
    if protocol == "published":
        printed = auxiliary_tasks.printed_gain(backbone, (task, column), ("none", column))
    on = "clean images" if training == "clean" else "FGSM"
    return _claim(
        settings, backbone,
        f"{protocol}: trained on {on}, {task} improves {TESTS[test]}", "Table 1",
        printed=printed, **over_seeds(values),
    )  # fmt: skip


_OWN = "a test that the paper does not make"


def _of_networks(done, settings, backbone, protocol):
    """What is said of every network that was trained on FGSM in a protocol."""
    trained_ones = {
        f"{task}, seed {seed}": done.get(key_of(backbone, protocol, "adversarial", task, seed))
        for task in settings["tasks"] for seed in settings["seeds"]["adversarial"]
    }  # fmt: skip
    there = {name: record for name, record in trained_ones.items() if record}
    if not there:
        return []
    best = max(there.values(), key=lambda record: _share(record, "pgd"))
    on_fgsm = f"{protocol}: trained on FGSM, "
    return [
        _claim(settings, backbone, on_fgsm + "a network is above chance under PGD", _OWN,
               note=f"the best of {len(there)}", unit="%", bound=10, **_wilson(best, "pgd")),
        _claim(settings, backbone, on_fgsm + "every network is better attacked than clean",
               _OWN, over="images, paired",
               parts=[(name, difference(record, ATTACKED[protocol], "clean"))
                      for name, record in there.items()]),
        _claim(settings, backbone,
               on_fgsm + "every network is better with batch statistics than with running "
               "averages, on clean images", _OWN, over="images, paired",
               parts=[(name, difference(record, "batch_statistics", "clean"))
                      for name, record in there.items()]),
    ]  # fmt: skip


def _two_by_two(done, settings, backbone):
    """Better attacked than clean: where labels are given, and only there?"""
    parts = []
    for labels in LABELS:
        for mode in MODES:
            record = done.get(_cell_of_labels(backbone, labels, mode))
            own = "fgsm" if labels == "given" else "fgsm_predicted"
            how = difference(record, own, "clean") if record else {"measured": False}
            how = {"interval": None} | how | {"above": labels == "given"}
            parts.append((f"labels {labels}, {mode} mode", how))
    return _claim(
        settings, backbone,
        "2x2: trained on FGSM, a network is better attacked than clean where the attack had the "
        "label, and not where it had the prediction", _OWN, over="images, paired", parts=parts,
    )  # fmt: skip


def _control(done, settings, backbone):
    record = done.get(f"{backbone}-control-0")
    rule = {"unit": "%", "bound": 10} | (_wilson(record, "pgd_8") if record else {})
    text = "control: trained on PGD, it is above chance under PGD at 8/255"
    return _claim(settings, backbone, text, _OWN, **rule)


def _wilson(record, test):
    answers = _answers(record, test)
    ends = percent(wilson_interval(int(answers.sum()), len(answers)))
    return {"effect": 100 * answers.mean(), "interval": ends, "over": f"{len(answers):,} images"}


def draw(stored):
    settings, table = stored["settings"], stored["content"]["table"]
    backbones = list(settings["backbones"])
    figure = new_figure(11 * len(backbones) + 5, width=19)
    panels = figure.subplots(2 * len(backbones), 2, squeeze=False, sharey=True)
    for index, backbone in enumerate(backbones):
        for column, protocol in enumerate(PROTOCOLS):
            for row, training in enumerate(TRAININGS):
                panel = panels[2 * index + row, column]
                _panel(panel, settings, table, (backbone, protocol, training))
    figure.legend(handles=auxiliary_tasks.handles(), loc="outside upper center", ncols=4)
    caption(figure, verdict(stored), 18)
    return figure


def _panel(panel, settings, table, arm):
    backbone, protocol, training = arm
    for offset, task in zip((-0.25, 0, 0.25), settings["tasks"], strict=False):
        keys = [key_of(*arm, task, seed) for seed in settings["seeds"][training]]
        for place, test in enumerate(TESTS):
            values = [table[key][test] for key in keys if key in table]
            x = [place + offset] * len(values)
            panel.plot(x, values, linestyle="", markersize=8, **STYLES[task])
        if protocol == "published" and backbone in PAPER:
            for column, test in enumerate(("clean", ATTACKED[protocol])):
                printed = PAPER[backbone][task][column + 2 * TRAININGS.index(training)]
                panel.plot(list(TESTS).index(test) + offset, printed, **paper_mark(markersize=18))
    panel.set_xticks(range(len(TESTS)), TESTS.values(), rotation=30, ha="right")
    panel.set_ylim(-3, 103)
    panel.set_ylabel("accuracy, %")
    panel.grid(axis="y", alpha=0.3)
    panel.set_title(f"{backbone}, {protocol}, {training} training", loc="left")


def verdict(stored):
    """What was found, in sentences with numbers."""
    found, training = stored["content"]["claims"], stored["settings"]["training"]
    lines = [
        f"Preset {stored['preset']}: {training['dataset']}, {training['epochs']} epochs; marks: "
        f"one seed each.  {summary(found)}"
    ]
    return ".  ".join(lines + decided(found)) + "."


FIGURE = Figure(
    "auxiliary_protocols",
    "Auxiliary tasks in the published and in a consistent protocol, and the causes.",
    PRESETS, run, draw, derive, runs=runs,
)  # fmt: skip
