"""Options as fields of a dataclass: parser, checks, command line, resume."""

import argparse
import dataclasses
import shlex

import numpy as np
import pytest

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.corrupt import CorruptOptions
from spectral_keras.experiments.evaluate import EvaluateOptions
from spectral_keras.experiments.explain import ExplainOptions
from spectral_keras.experiments.options import (
    Options,
    boolean,
    fraction,
    number,
    option,
    path,
    true_false_auto,
)
from spectral_keras.experiments.preset import PresetOptions
from spectral_keras.experiments.search import retrain
from spectral_keras.experiments.search.options import SearchOptions
from spectral_keras.experiments.search.retrain_options import RetrainOptions
from spectral_keras.experiments.train import TrainOptions
from spectral_keras.models import registry


@dataclasses.dataclass
class Tea(Options):
    """Options of a command that does not exist."""

    pot: str = option("", "which pot", positional=True, metavar="POT")
    cups: int = option(2, "how many", kind=number(int, 1, high=100), group="tea")
    sort: str = option("green", "which leaves", choices=("green", "black"), group="tea")
    milk: bool = option(False, "with milk", kind="flag", group="tea", free=True)
    sugar: float | None = option(None, "in spoons", kind=fraction(high=9), group="tea")
    secret: bool = option(True, "of the house", kind=boolean, group="house", special=True)

    needs = {"sugar": ("--milk", lambda options: options.milk)}


def tea(*words):
    return Tea.parse([*words], Tea.parser("tea", "Make tea."))


def test_defaults_and_values():
    assert tea("blue") == Tea("blue")
    made = tea("blue", "--cups", "3", "--sort", "black", "--milk", "--sugar", "1/2")
    assert made == Tea("blue", 3, "black", True, 0.5)
    assert made.to_json() == {
        "pot": "blue", "cups": 3, "sort": "black", "milk": True, "sugar": 0.5, "secret": True,
    }  # fmt: skip
    assert Tea.free() == {"milk"}


def test_the_command_line_gives_the_options_back():
    for made in (Tea("a pot"), Tea("b", 7, "black", True, 0.25, False)):
        assert tea(*shlex.split(shlex.join(made.arguments()))) == made
    assert Tea("b").arguments() == ["b"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("p", "--cups", "0"), "argument --cups: expected a value >= 1, received '0'"),
        (("p", "--cups", "100"), "argument --cups: expected a value < 100, received '100'"),
        (("p", "--cups", "9" * 99), "argument --cups: expected a value < 100"),
        (("p", "--sort", "red"), "argument --sort: invalid choice: 'red'"),
        (("p", "--sugar", "1/0"), "argument --sugar: expected a number or a fraction"),
        (("p", "--cup", "1"), "unknown option --cup; did you mean --cups?"),
        (("p", "q"), "unknown option q"),
        ((), "the following arguments are required: POT"),
    ],
)
def test_a_bad_command_line_is_one_line(capsys, words, line):
    with pytest.raises(SystemExit) as stopped:
        tea(*words)
    err = capsys.readouterr().err
    assert stopped.value.code == 2 and err.startswith(f"tea: error: {line}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"cups": 0}, "argument --cups: expected a value >= 1, received 0"),
        ({"cups": 2.5}, "argument --cups: expected an integer, received 2.5"),
        ({"cups": True}, "argument --cups: expected an integer, received True"),
        ({"sort": "red"}, "argument --sort: expected one of green, black, received 'red'"),
        ({"sugar": float("nan")}, "argument --sugar: expected a finite number, received nan"),
        ({"sugar": 1e-46}, "argument --sugar: expected 0 or a value >= 1e-30, received 1e-46"),
        ({"secret": "yes"}, "argument --secret: expected true or false, received 'yes'"),
    ],
)
def test_values_from_python_are_checked_alike(values, line):
    with pytest.raises(CommandError) as raised:
        Tea("p", **values)
    assert str(raised.value) == line


def test_help_has_defaults_and_leaves_special_options_to_help_all(capsys):
    short = Tea.parser("tea", "Make tea.").format_help()
    assert "how many (default 2)" in short and "--secret" not in short
    with pytest.raises(SystemExit) as stopped:
        tea("--help-all")
    assert stopped.value.code == 0
    assert "--secret BOOL" in capsys.readouterr().out


@pytest.mark.parametrize("name", registry.names())
def test_help_of_a_network_is_a_page(name):
    short = TrainOptions.parser_of(name).format_help()
    assert len(short.splitlines()) < 80
    assert "--adversarial" not in short and "--width" in short or name == "fourier_cnn"
    long = TrainOptions.parser_of(name, everything=True).format_help()
    for option_ in ("--aux", "--adversarial-eps", "--suppression", "--distribute"):
        assert option_ in long


class TestTraining:
    def test_the_recipe_and_the_network_give_the_defaults(self):
        options = TrainOptions("resnet18", {"width": 0.25}, epochs=3)
        recipe = registry.recipe("resnet18")
        assert (options.epochs, options.optimizer) == (3, recipe.optimizer)
        assert options.network == {
            "conv": "spatial", "pooling": "strided", "strides": (1, 2, 2, 2), "width": 0.25,
        }  # fmt: skip
        assert options.arguments() == ["--epochs", "3", "--width", "0.25"]
        assert options.to_json()["width"] == 0.25
        again = dataclasses.replace(options, resume=True)
        assert again.recorded() == options.arguments() != again.arguments()

    def test_command_line_and_python_are_the_same(self):
        words = "--limit 50 --grayscale --jit --dense-units 8,4 --no-tensorboard"
        words += " --adversarial pgd --adversarial-eps 4/255"
        made = TrainOptions.of_command("generic_cnn", words.split())
        assert made == TrainOptions(
            "generic_cnn", {"dense_units": (8, 4)}, limit=50, grayscale=True, jit=True,
            tensorboard=False, adversarial="pgd", adversarial_eps=4 / 255,
        )  # fmt: skip
        assert TrainOptions.of_command("generic_cnn", made.arguments()) == made
        config = {"model": "generic_cnn", "options": {**made.to_json(), "of_old": 1}}
        assert TrainOptions.of_config(config) == made

    def test_values_as_text(self):
        made = TrainOptions.of_values("resnet18", {"suppression": "1/3", "width": "0.5"})
        assert made.suppression == pytest.approx(1 / 3) and made.network["width"] == 0.5
        changed = made.replaced(width=0.25, epochs=2)
        assert (changed.network["width"], changed.epochs, changed.suppression) == (
            0.25, 2, made.suppression,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("values", "part"),
        [
            ({"epoch": 3}, "unknown option --epoch of resnet18"),
            ({"width": "wide"}, "argument --width: expected a number, received 'wide'"),
            ({"adversarial_eps": "1e999999999"}, "argument --adversarial-eps: expected a number"),
            ({"spectral_padding": 10_000}, "argument --spectral-padding: expected a value <= 512"),
            ({"warmup_epochs": 1e308}, "argument --warmup-epochs: expected a value <= 1e+30"),
            ({"learning_rate": 1e-50}, "argument --learning-rate: expected a value >= 1e-30"),
            ({"adversarial_steps": 10**30}, "argument --adversarial-steps: expected a value <="),
            ({"resume": True, "overwrite": True}, "--resume and --overwrite exclude each other"),
        ],
    )
    def test_bad_values(self, values, part):
        with pytest.raises(CommandError) as raised:
            TrainOptions.of_values("resnet18", values)
        assert part in str(raised.value)

    def test_a_whole_number_is_written_as_the_command_line_gives_it(self):
        made = TrainOptions.of_values("resnet18", {"validation_fraction": 0, "noise": 1})
        words = made.arguments()
        assert words == ["--validation-fraction", "0.0", "--noise", "1.0"]
        assert TrainOptions.of_command("resnet18", words).arguments() == words

    def test_another_networks_option(self):
        with pytest.raises(CommandError, match="unknown option --gamma: resnet18 has --conv"):
            TrainOptions("resnet18", {"gamma": 0.5})


@pytest.mark.parametrize("text", ["true", "Yes", "1", "on"])
def test_boolean(text):
    assert boolean(text) is True and true_false_auto(text) is True
    assert true_false_auto("AUTO") == "auto"
    with pytest.raises(argparse.ArgumentTypeError, match="true, false or auto, received 'maybe'"):
        true_false_auto("maybe")


def test_a_path_is_not_empty():
    assert path("a b") == "a b"
    for bad in ("", "a\0b"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a path"):
            path(bad)


IN_A_FOLDER = "a --dataset of TFDS, an .npz file or a folder"
# Options that change nothing beside the others, and what they need.
USELESS = [
    (TrainOptions, {}, "--momentum", "0.5", "--optimizer sgd"),
    (
        TrainOptions, {"schedule": "step"}, "--warmup-epochs", "2",
        "--schedule cosine, onecycle or triangle",
    ),
    *[
        (TrainOptions, {}, name, value, "--aux reconstruction or fourier")
        for name, value in (("--aux-weight", "1"), ("--aux-tap", "conv1"))
    ],
    (TrainOptions, {}, "--aux-variant", "published", "--aux or --adversarial"),
    (TrainOptions, {"aux": "reconstruction"}, "--aux-magnitude", "raw", "--aux fourier"),
    (TrainOptions, {"aux": "reconstruction"}, "--aux-phase", "none", "--aux fourier"),
    *[
        (TrainOptions, {}, f"--{name}", value, "--adversarial fgsm or pgd")
        for name, value in (
            ("adversarial-eps", "1/255"),
            ("adversarial-steps", "3"),
            ("adversarial-step-size", "1/255"),
            ("adversarial-share", "0.5"),
            ("adversarial-labels", "predicted"),
            ("adversarial-mode", "training"),
            ("adversarial-random-start", "true"),
            ("validate-on", "clean"),
        )
    ],
    (TrainOptions, {}, "--noise-probability", "0.5", "--noise above 0"),
    (TrainOptions, {}, "--gate-hidden", "8", "--gate plain or extended"),
    (TrainOptions, {}, "--attention-weight", "8", "--attention"),
    (TrainOptions, {}, "--attention-printed", "true", "--suppression or --noise above 0"),
    *[
        (EvaluateOptions, {"corruptions": "fog"}, f"--{name}", value, "--attack")
        for name, value in (("eps", "1/255"), ("norm", "l2"), ("labels", "predicted"))
    ],
    *[
        (EvaluateOptions, {"attack": attack}, f"--{name}", value, f"--attack {needed}")
        for attack, name, value, needed in (
            ("fgsm", "steps", "3", "pgd, apgd, square or strong"),
            ("apgd", "step-size", "1/255", "pgd"),
            ("strong", "restarts", "2", "pgd, apgd or square"),
            ("fgsm", "seed", "1", "pgd, apgd, square or strong, or generated --corruptions"),
        )
    ],
    *[
        (cls, {"output": "o", "dataset": data}, "--data-dir", "here", IN_A_FOLDER)
        for cls in (TrainOptions, CorruptOptions, ExplainOptions)
        for data in ("digits", "planted")
    ],
    (EvaluateOptions, {"attack": "fgsm", "dataset": "digits"}, "--data-dir", "h", IN_A_FOLDER),
    *[
        (ExplainOptions, {}, f"--{name}", value, "--split validation or train")
        for name, value in (("limit", "5"), ("validation-fraction", "0.2"), ("split-seed", "1"))
    ],
    (ExplainOptions, {}, "--heat-map-images", "5", "--heat-map"),
    (ExplainOptions, {}, "--heat-map-norm", "5", "--heat-map"),
    (ExplainOptions, {"single": "0"}, "--single-penalty", "1", "--single above 0"),
    *[
        (PresetOptions, {"check": None}, f"--{name}", "x_y", "a run, not --check")
        for name in (
            "name", "output", "evaluations", "class-names", "licence", "intended-use", "limits",
        )
    ],
    (PresetOptions, {"check": None}, "--overwrite", None, "a run, not --check"),
]  # fmt: skip


def _words(cls, others):
    words = {TrainOptions: ["deep_spectral"], CorruptOptions: []}.get(cls, ["x"])
    for name, value in others.items():
        words += [f"--{name}"] if value is None else [f"--{name}", value]
    return words


class TestOptionsThatChangeNothing:
    @pytest.mark.parametrize(
        ("cls", "others", "name", "value", "needed"),
        USELESS,
        ids=[f"{row[0].__name__}{row[2]}-{number}" for number, row in enumerate(USELESS)],
    )
    def test_are_refused(self, capsys, cls, others, name, value, needed):
        words = [*_words(cls, others), name, *([] if value is None else [value])]
        with pytest.raises(SystemExit) as ended:
            cls.of_command(words[0], words[1:]) if cls is TrainOptions else cls.of_command(words)
        err = capsys.readouterr().err
        assert ended.value.code == 2
        assert err.endswith(f"error: argument {name}: it needs {needed}\n") and err.count("\n") == 1

    @pytest.mark.parametrize(
        "cls", [TrainOptions, EvaluateOptions, ExplainOptions, CorruptOptions, PresetOptions]
    )
    def test_all_of_them_are_tested(self, cls):
        tested = {row[2].removeprefix("--").replace("-", "_") for row in USELESS if row[0] is cls}
        assert tested == cls.needs.keys() <= cls.specs().keys()

    def test_are_left_out_of_the_command(self):
        made = Tea("blue", sugar=0.5)
        assert made.arguments() == ["blue"]
        assert Tea("blue", milk=True, sugar=0.5).arguments() == ["blue", "--milk", "--sugar", "0.5"]

    @pytest.mark.parametrize("attack", ["pgd", "apgd", "square", "strong"])
    def test_steps_are_for_each_attack_that_has_them(self, attack):
        made = EvaluateOptions.of_command(["x", "--attack", "fgsm", attack, "--steps", "3"])
        assert (made.steps, made.attacks) == (3, ["fgsm", attack])

    def test_with_what_they_need(self):
        made = TrainOptions.of_command(
            "deep_spectral", ["--adversarial", "fgsm", "--adversarial-eps", "1/255"]
        )
        assert made.adversarial_eps == 1 / 255
        assert PresetOptions.of_command(["run", "--name", "abc", "--limits", "x"]).limits == "x"

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (
                ("--model", "generic_cnn", "--adversarial-eps", "1/255"),
                "--adversarial-eps: it needs",
            ),
            (("--model", "generic_cnn", "--fix", "momentum=0.5"), "--momentum: it needs"),
            (("--model", "vgg16", "--data-dir", "x"), f"--data-dir: it needs {IN_A_FOLDER}"),
            (("--build", "a.b:c", "--data-dir", "x"), f"--data-dir: it needs {IN_A_FOLDER}"),
        ],
    )
    def test_of_a_search(self, capsys, words, line):
        with pytest.raises(SystemExit) as ended:
            SearchOptions.of_command([*words], "", "")
        assert ended.value.code == 2 and f"error: argument {line}" in capsys.readouterr().err

    def test_of_a_search_that_sets_what_they_need(self):
        words = ["--model", "spectral_pool_cnn", "--fix", "momentum=0.5"]
        assert SearchOptions.of_command(words, "", "").fix == {"momentum": "0.5"}

    def test_of_a_retraining(self, monkeypatch):
        config = {"model": "generic_cnn", "options": {}}
        trial = {"number": 1, "score": 0.5, "point": {"pooling": "max"}}
        monkeypatch.setattr(retrain, "read_results", lambda folder: (config, {"trials": []}))
        monkeypatch.setattr(retrain, "rank", lambda trials: [trial])
        options = RetrainOptions("folder", training={"noise_probability": 0.5})
        with pytest.raises(CommandError, match="--noise-probability: it needs --noise above 0"):
            retrain.retrain(options, train=pytest.fail)
        options = RetrainOptions("folder", training={"noise": 1.0, "noise_probability": 0.5})
        assert retrain.retrain(options, train=lambda training: training.noise) == 1.0


@pytest.mark.parametrize(
    "cls",
    [
        TrainOptions, EvaluateOptions, ExplainOptions, CorruptOptions, SearchOptions,
        RetrainOptions, PresetOptions,
    ],
)  # fmt: skip
def test_arrays_are_named_in_one_line(cls):
    given = {
        field.name: "generic_cnn"
        for field in dataclasses.fields(cls)
        if field.default is field.default_factory is dataclasses.MISSING
    }
    for name in cls.specs():
        with pytest.raises((CommandError, ValueError)) as caught:
            cls(**{**given, name: np.arange(6.0).reshape(2, 3)})
        message = str(caught.value)
        assert "an array of shape (2, 3)" in message
        assert "\n" not in message and "[0." not in message
