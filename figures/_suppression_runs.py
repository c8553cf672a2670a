"""The trainings of the frequency-interpretation paper, which several figures share.

After Jia, Bao and Ma (arXiv 1911.12044), sections 4.1 to 4.3.  An arm is what one column of a
table does to the training of a network:

- natural; suppression: power suppression of a third of the images; noise: on the spectrum of every
  image; both: suppression, then noise;
- attention: a channel gate after the first layer, plain on VGG and extended on ResNet-18, as in the
  paper, without a loss of its own; +attention: with the augmentation;
- LMH=abc, learnable: suppression and a gate with its loss, factor lambda.

Suppression and noise work on the image with a zero border of four pixels, before the random crop.
"""

from figures._runs import train_once

CONFIGURATIONS = ("111", "011", "101", "110", "001", "010", "100", "000")
TABLES = {
    "table1": ("natural", "suppression", "attention", "suppression+attention"),
    "table2": ("natural", *(f"LMH={name}" for name in CONFIGURATIONS)),
    "table3": ("natural", "suppression", "noise", "both", "both+attention"),
    "table4": ("natural", "both+000 lambda={}", "both+learnable lambda={}"),
}

_PROBABILITY = "1/3"
_COMMON = {"dataset": "cifar10", "precision": "float32"}

PRESETS = {
    # A small network that the paper does not have: it compiles in seconds.
    "smoke": {
        "networks": {"spectral_pool_cnn": ["table4"]},
        "options": {"spectral_pool_cnn": {"width": 0.05, "num_pairs": 2}},
        "training": _COMMON | {"dataset": "digits", "limit": 64, "epochs": 1, "batch_size": 32},
        "gate_hidden": 8,
        "lambdas": [100],
        "seeds": {"table2": [0], "table4": [0]},
        "test_images": 6,
    },
    # Two of the three networks, a quarter of their filters; dropout off, as the nets are small.
    # The pilot comes first: a natural network with many errors leaves corruptions nothing to take.
    "cpu": {
        "networks": {"resnet18": ["table3", "table4"], "vgg16_bn": ["table1", "table2"]},
        "options": {
            "vgg16_bn": {"width": 0.25, "dropout_rate": 0.0},
            "resnet18": {"width": 0.25},
        },
        "training": {
            "dataset": "cifar10",
            "precision": "bfloat16",
            "epochs": 30,
            "batch_size": 128,
            "optimizer": "sgd",
            "learning_rate": 0.2,
            "weight_decay": 5e-4,
            "schedule": "onecycle",
            "early_stopping": 0,
        },
        "pilot": {"network": "resnet18", "arms": ["natural", "both"], "least": 0.88},
        "gate_hidden": 128,
        "lambdas": [100, 10],
        "seeds": {"table1": [0, 1, 2], "table2": [0, 1], "table3": [0, 1, 2], "table4": [0, 1, 2]},
        "test_images": 2000,
    },
    # The recipes of the VGG networks are the paper's; ResNet-18 differs in its first step only.
    "paper": {
        "networks": {
            "vgg16": ["table1", "table2"],
            "vgg16_bn": ["table1", "table2"],
            "resnet18": ["table3", "table4"],
        },
        "options": {
            "resnet18": {
                "epochs": 90,
                "schedule": "thirds",
                "weight_decay": 5e-3,
                "early_stopping": 0,
            }
        },
        "training": _COMMON,
        "gate_hidden": 512,
        "lambdas": [100, 50, 10, 2],
        "seeds": {f"table{n}": [0, 1, 2, 3] for n in (1, 2, 3, 4)},
        "test_images": 10_000,
    },
}


def arms(table, lambdas):
    """Names of the arms of a table."""
    return [
        arm.format(value) if "{}" in arm else arm
        for arm in TABLES[table]
        for value in (lambdas if "{}" in arm else [None])
    ]


def arm_options(arm, network, gate_hidden):
    """Options of the training command for an arm."""
    gate = {
        "gate": "extended" if network == "resnet18" else "plain",
        "gate_hidden": gate_hidden,
    }
    suppression = {"suppression": _PROBABILITY, "spectral_padding": 4, "augment": "flip"}
    noise = {"noise": 1, "spectral_padding": 4, "augment": "flip"}
    if arm.startswith("LMH="):
        return suppression | gate | {"attention": arm.removeprefix("LMH=")}
    if "lambda=" in arm:
        configuration, weight = arm.removeprefix("both+").split(" lambda=")
        loss = {"attention": configuration, "attention_weight": weight}
        return suppression | noise | gate | loss
    return {
        "natural": {"augment": "crop_flip"},
        "suppression": suppression,
        "attention": {"augment": "crop_flip"} | gate,
        "suppression+attention": suppression | gate,
        "noise": noise,
        "both": suppression | noise,
        "both+attention": suppression | noise | gate,
    }[arm]


def run_key(network, arm, seed):
    """Key of a run, also the name of its folder."""
    return f"{network}-{arm}-{seed}".replace("+", "-").replace("=", "").replace(" ", "-")


def trainings(settings):
    """(network, arm, seed) of all tables, the pilot's first, then seed by seed."""
    pilot = settings.get("pilot", {"arms": []})
    wanted = [(pilot["network"], arm, 0) for arm in pilot["arms"]]
    for seed in sorted({seed for seeds in settings["seeds"].values() for seed in seeds}):
        for network, tables in settings["networks"].items():
            for table in tables:
                if seed in settings["seeds"][table]:
                    wanted += [(network, arm, seed) for arm in arms(table, settings["lambdas"])]
    return list(dict.fromkeys(wanted))


def runs(settings):
    """The trainings of a preset, the most valuable first: key -> (network, options)."""
    return {run_key(*one): (one[0], _options(settings, *one)) for one in trainings(settings)}


def _options(settings, network, arm, seed):
    options = settings["training"] | settings["options"].get(network, {})
    return options | arm_options(arm, network, settings["gate_hidden"]) | {"seed": seed}


def train_arm(experiment, network, arm, seed):
    """(key, record) of one training; made, continued, or taken from what is there."""
    key = run_key(network, arm, seed)
    options = _options(experiment.settings, network, arm, seed)
    return key, train_once(experiment, key, network, options)
