"""Every option of every command changes what it names: here, or in the test that its row names.

The commands whose options are no dataclass have their rows beside them: tests/figures and
tests/benchmarks.
"""

import ast
import functools
import importlib.util
import pathlib
import types

import keras
import numpy as np
import pytest

from figures import run as queue
from figures.run import RunOptions
from spectral_keras import training
from spectral_keras.analysis import masks
from spectral_keras.experiments import zoo
from spectral_keras.experiments.__main__ import _MODULES as installed_modules
from spectral_keras.experiments.corrupt import CorruptOptions
from spectral_keras.experiments.corrupt import command as corrupt
from spectral_keras.experiments.evaluate import EvaluateOptions, attacks
from spectral_keras.experiments.explain import ExplainOptions
from spectral_keras.experiments.explain import command as explain
from spectral_keras.experiments.options import flag
from spectral_keras.experiments.preset import PresetOptions
from spectral_keras.experiments.preset import command as preset
from spectral_keras.experiments.search.options import SearchOptions
from spectral_keras.experiments.search.retrain_options import RetrainOptions
from spectral_keras.experiments.train import TrainOptions
from spectral_keras.experiments.train import command as train
from spectral_keras.experiments.train.fit_options import FitOptions
from tests.experiments.effects import options_of
from tests.models.runs import TINY, write_tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
ATTACK = "--adversarial pgd"
GATE = "--gate plain --gate-hidden 4"
AUX = "--aux fourier --aux-tap pool1"


def rate(step):
    return lambda p: round(float(p.model.optimizer._learning_rate(step)), 6)


# Option of training -> words, what is made of them, what it is without the option and with it.
TRAINED = {
    "dataset": ("--dataset {other}", lambda p: p.data.input_shape, (8, 8, 3), (9, 9, 1)),
    "data_dir": (
        "--dataset other --data-dir {folder}", lambda p: p.data.input_shape, (8, 8, 3), (9, 9, 1)
    ),
    "limit": ("--limit 30", lambda p: len(p.data.x_train) + len(p.data.x_validation), 60, 30),
    "image_size": ("--image-size 12", lambda p: p.data.input_shape, (8, 8, 3), (12, 12, 3)),
    "grayscale": ("--grayscale", lambda p: p.data.input_shape, (8, 8, 3), (8, 8, 1)),
    "validation_fraction": ("--validation-fraction .5", lambda p: len(p.data.y_validation), 6, 30),
    "augment": ("--augment flip", lambda p: p.train.augment is None, True, False),
    "workers": ("--workers 3", lambda p: p.train.threads, 1, 3),
    "batch_size": ("--batch-size 20", lambda p: len(p.train[0][1]), 16, 20),
    "seed": ("--seed 7", lambda p: p.train.seed, 0, 7),
    "optimizer": (
        "--optimizer rmsprop", lambda p: type(p.model.optimizer).__name__, "Adam", "RMSprop"
    ),
    "learning_rate": ("--schedule constant --learning-rate .25",
                      lambda p: float(p.model.optimizer._learning_rate), None, 0.25),
    "momentum": ("--optimizer sgd --momentum .5", lambda p: p.model.optimizer.momentum, None, 0.5),
    "nesterov": (
        "--optimizer sgd --momentum .5 --nesterov", lambda p: p.model.optimizer.nesterov, None, True
    ),
    "bias_rate": (
        "--optimizer sgd --bias-rate 4", lambda p: p.model.optimizer.bias_rate, None, 4.0
    ),
    "weight_decay": ("--weight-decay .3", lambda p: p.model.optimizer.weight_decay, None, 0.3),
    # Four steps an epoch: the last third of three has a hundredth of the rate.
    "schedule": ("--epochs 3 --learning-rate .1 --schedule thirds", rate(11), None, 0.001),
    "warmup_epochs": (
        "--epochs 2 --learning-rate .1 --schedule cosine --warmup-epochs 1", rate(0), None, 0.0
    ),
    "ema": ("--ema .9", lambda p: p.model.optimizer.ema_momentum, None, 0.9),
    "label_smoothing": (
        "--label-smoothing .1", lambda p: type(p.model.loss).__name__,
        "SparseCategoricalCrossentropy", "SmoothedCrossentropy",
    ),
    "aux": (AUX, lambda p: type(p.model).__name__, "Functional", "AuxiliaryModel"),
    "aux_tap": (AUX, lambda p: p.model.tap, None, "pool1"),
    "aux_weight": (f"{AUX} --aux-weight 2", lambda p: p.model.weight, None, 2.0),
    "aux_magnitude": (f"{AUX} --aux-magnitude raw", lambda p: p.model.target.magnitude, None,
                      "raw"),
    "aux_phase": (f"{AUX} --aux-phase none", lambda p: p.model.target.phase, None, "none"),
    "aux_variant": (f"{AUX} --aux-variant published", lambda p: p.model.variant, None, "published"),
    "adversarial": (ATTACK, lambda p: type(p.model).__name__, "Functional", "AdversarialModel"),
    "adversarial_eps": (
        f"{ATTACK} --adversarial-eps 1/4", lambda p: p.model.attack.attack.eps, None, 0.25
    ),
    "adversarial_steps": (
        f"{ATTACK} --adversarial-steps 3", lambda p: p.model.attack.attack.steps, None, 3
    ),
    "adversarial_step_size": (
        f"{ATTACK} --adversarial-step-size 1/8", lambda p: p.model.attack.attack.step_size, None,
        0.125,
    ),
    "adversarial_share": (
        f"{ATTACK} --adversarial-share .5", lambda p: p.model.attack.share, None, 0.5
    ),
    "adversarial_labels": (
        f"{ATTACK} --adversarial-labels predicted", lambda p: p.model.attack.labels, None,
        "predicted",
    ),
    "adversarial_mode": (
        "--adversarial fgsm --adversarial-mode training", lambda p: p.model.attack.training_mode,
        None, True,
    ),
    "adversarial_random_start": (
        f"{ATTACK} --adversarial-random-start true", lambda p: p.model.attack.attack.random_start,
        None, True,
    ),
    "validate_on": (f"{ATTACK} --validate-on clean", lambda p: p.model.validate_on, None, "clean"),
    "suppression": ("--suppression 1/2", lambda p: p.model.suppression.probability, None, 0.5),
    "noise": ("--noise 2", lambda p: p.model.noise.sigma, None, 2.0),
    "noise_probability": (
        "--noise 1 --noise-probability .5", lambda p: p.model.noise.probability, None, 0.5
    ),
    "spectral_padding": ("--noise 1 --spectral-padding 2", lambda p: p.model.padding, None, 2),
    "gate": (GATE, lambda p: p.names.index("channel_gate") > p.names.index("conv1"), None, True),
    "gate_after": (
        f"{GATE} --gate-after pool1",
        lambda p: p.names.index("channel_gate") - p.names.index("pool1"), None, 1,
    ),
    "gate_hidden": (GATE, lambda p: p.model.get_layer("channel_gate").hidden, None, 4),
    "attention": (
        f"{GATE} --suppression 1/2 --attention 010", lambda p: p.model.attention.configuration,
        None, "010",
    ),
    "attention_weight": (
        f"{GATE} --suppression 1/2 --attention 010 --attention-weight 7", lambda p: p.model.weight,
        None, 7.0,
    ),
    "attention_printed": (
        "--noise 1 --attention-printed true", lambda p: p.model.noise.variant, None, "printed"
    ),
}  # fmt: skip

_COMMAND, _START, _STREAM = (f"models/test_{name}.py" for name in ("command", "start", "stream"))
_EVALUATE, _CORRUPT = "models/test_evaluate.py", "models/test_corrupt.py"
_EXPLAIN, _PRESET = "models/test_explain.py", "models/test_preset_command.py"
_SEARCH, _QUEUE = "tuning/test_search.py", "figures/test_flagship.py"
_HERE = "experiments/test_effects.py"
_DATA = {name: f"{_HERE}::test_training" for name in TRAINED}
_RUN = {
    "lookahead": f"{_HERE}::test_lookahead",
    "epochs": f"{_COMMAND}::test_more_epochs_where_the_schedule_allows_it",
    "precision": f"{_COMMAND}::test_mixed_precision",
    "jit": f"{_COMMAND}::test_jit_compiles_with_xla",
    "tta": f"{_COMMAND}::test_mean_of_several_views_in_the_test",
    "early_stopping": f"{_COMMAND}::test_early_stopping_and_finished_resume",
    "weights": f"{_START}::test_from_a_run_or_a_file_with_the_same_classes",
    "freeze": f"{_START}::test_a_new_head_on_a_frozen_body",
    "stream": f"{_STREAM}::test_the_same_run_in_memory_and_streamed_and_resumed",
    "shuffle_buffer": f"{_STREAM}::test_a_shuffle_buffer_is_part_of_the_run",
    "distribute": "test_distribution.py::test_two_devices_give_what_one_gives",
    "output": f"{_COMMAND}::test_files_and_numbers",
    "resume": f"{_COMMAND}::test_from_every_epoch",
    "overwrite": f"{_COMMAND}::test_folder_with_a_run_is_not_overwritten",
    "export": f"{_HERE}::test_exports_and_logs",
    "tensorboard": f"{_HERE}::test_exports_and_logs",
}
_SUBJECT = {
    "model": f"{_EXPLAIN}::test_run_folder_and_split",
    "dataset": f"{_EXPLAIN}::test_run_folder_and_split",
    "data_dir": f"{_EVALUATE}::test_tfds",
    "image_size": f"{_EXPLAIN}::test_run_folder_and_split",
    "grayscale": f"{_EXPLAIN}::test_run_folder_and_split",
    "pixel_range": f"{_EXPLAIN}::test_softmax_and_other_pixels",
}
# Class -> option -> the test that shows its effect.
EFFECTS = {
    TrainOptions: _DATA | _RUN,
    FitOptions: {
        name: test for name, test in (_DATA | _RUN).items() if name in FitOptions.specs()
    },
    SearchOptions: {
        "model": f"{_SEARCH}::test_files_and_numbers",
        "build": f"{_SEARCH}::test_any_function_failures_and_retraining",
        "trials": f"{_SEARCH}::test_files_and_numbers",
        "initial_points": f"{_SEARCH}::test_any_function_failures_and_retraining",
        "fix": f"{_SEARCH}::test_fixed_and_narrowed_hyperparameters_of_a_function",
        "range": f"{_SEARCH}::test_fixed_and_narrowed_hyperparameters_of_a_function",
        "output": f"{_SEARCH}::test_files_and_numbers",
        "resume": f"{_SEARCH}::test_files_and_numbers",
        "overwrite": f"{_SEARCH}::test_files_and_numbers",
    },
    RetrainOptions: dict.fromkeys(
        ("search", "rank", "output", "resume", "overwrite"), f"{_SEARCH}::test_files_and_numbers"
    ),
    EvaluateOptions: _SUBJECT | {
        "images": f"{_EVALUATE}::test_a_keras_file",
        "output": f"{_EVALUATE}::test_a_keras_file",
        "attack": f"{_EVALUATE}::test_numbers_and_files",
        "eps": f"{_EVALUATE}::test_numbers_and_files",
        **dict.fromkeys(
            ("norm", "steps", "step_size", "restarts", "labels", "seed", "batch_size"),
            f"{_HERE}::test_attacks",
        ),
        "corruptions": f"{_EVALUATE}::test_numbers_and_files",
        "corruption_source": f"{_EVALUATE}::test_a_copy_gives_the_numbers_of_generating",
        "baseline": f"{_EVALUATE}::test_baseline",
    },
    ExplainOptions: _SUBJECT | {
        **dict.fromkeys(
            ("limit", "validation_fraction", "split", "epochs"),
            f"{_EXPLAIN}::test_run_folder_and_split",
        ),
        **dict.fromkeys(
            ("penalty", "single_penalty", "invariance", "batch_size", "learning_rate", "seed"),
            f"{_HERE}::test_masks",
        ),
        **dict.fromkeys(("images", "split_seed"), f"{_HERE}::test_images_of_masks"),
        "per_class": f"{_EXPLAIN}::test_numbers",
        "single": f"{_EXPLAIN}::test_numbers",
        **dict.fromkeys(
            ("heat_map", "heat_map_images", "heat_map_norm"),
            f"{_EXPLAIN}::test_examples_and_heat_map",
        ),
        "output": f"{_EXPLAIN}::test_mask_is_the_one_frequency",
        "resume": f"{_EXPLAIN}::test_killed_at_any_stage",
        "overwrite": f"{_EXPLAIN}::test_run_folder_and_split",
    },
    CorruptOptions: {
        "output": f"{_CORRUPT}::test_folder",
        "format": f"{_CORRUPT}::test_npz_has_the_files_of_the_folder",
        "resume": f"{_CORRUPT}::test_more_corruptions",
        "overwrite": f"{_CORRUPT}::test_overwrite_keeps_what_is_not_of_the_copy",
        "dataset": f"{_CORRUPT}::test_folder",
        "data_dir": f"{_HERE}::test_a_copy_of_a_named_set",
        "split": f"{_CORRUPT}::test_the_library_reads_it",
        "images": f"{_CORRUPT}::test_folder",
        **dict.fromkeys(
            ("image_size", "grayscale", "table", "corruptions"),
            f"{_CORRUPT}::test_size_grey_and_table",
        ),
        "severities": f"{_CORRUPT}::test_the_library_reads_it",
        "seed": f"{_CORRUPT}::test_folder",
    },
    PresetOptions: {
        **dict.fromkeys(
            ("run", "name", "class_names", "licence", "intended_use", "limits", "overwrite"),
            f"{_PRESET}::test_a_preset_has_the_runs_network",
        ),
        "output": f"{_PRESET}::test_evaluations_stand_on_the_card",
        "data_dir": f"{_HERE}::test_the_data_of_a_preset",
        "evaluations": f"{_PRESET}::test_evaluations_stand_on_the_card",
        "check": f"{_PRESET}::test_the_digits_are_what_their_card_says",
    },
    RunOptions: {
        **dict.fromkeys(
            ("preset", "only", "list", "results"), f"{_QUEUE}::test_the_queue_runs_what_is_missing"
        ),
        **dict.fromkeys(("runs", "data_dir"), f"{_HERE}::test_a_queue_of_figures"),
        "hours": f"{_QUEUE}::test_the_time_of_the_queue_ends",
    },
}  # fmt: skip


# Module of a command -> its options, or the tests of its effects.
COMMANDS = {
    "spectral_keras.experiments.train.command": TrainOptions,
    "spectral_keras.experiments.evaluate.command": EvaluateOptions,
    "spectral_keras.experiments.explain.command": ExplainOptions,
    "spectral_keras.experiments.corrupt.command": CorruptOptions,
    "spectral_keras.experiments.preset.command": PresetOptions,
    "spectral_keras.experiments.search.command": SearchOptions,
    "spectral_keras.experiments.search.retrain": RetrainOptions,
    "spectral_keras.experiments.zoo": f"{_PRESET}::test_the_list",
    "figures.run": RunOptions,
    "figures._figure": "figures/test_effects.py::test_every_option_has_a_test",
    "figures.scorecard": "figures/test_effects.py::test_scorecard",
    "benchmarks": "benchmarks/test_effects.py::test_every_option_has_a_row",
}


def _started():
    """Modules of the commands that files of the top-level folders start."""
    for folder in ("models", "tuning", "figures", "benchmarks"):
        for path in (ROOT / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                if called and node.func.id == "command" and isinstance(node.args[0], ast.Constant):
                    module = node.args[0].value
                    yield "benchmarks" if module.startswith("benchmarks.") else module


def test_every_command_is_here():
    assert set(_started()) == set(COMMANDS)
    installed = {f"spectral_keras.experiments.{name}" for name in installed_modules.values()}
    assert installed <= set(COMMANDS)
    for covered in COMMANDS.values():
        if isinstance(covered, str):
            path, _, test = covered.partition("::")
            assert test in _tests(path)[0], covered
        else:
            assert covered in EFFECTS


def test_the_list_of_the_zoo(monkeypatch):
    assert options_of(monkeypatch, zoo.main) == {"csv"}


@functools.cache
def _tests(path):
    """Names of the test functions of a file, and its text."""
    text = (ROOT / "tests" / path).read_text()
    nodes = ast.walk(ast.parse(text))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef)}, text


@pytest.mark.parametrize("cls", EFFECTS, ids=lambda cls: cls.__name__)
def test_every_option_has_a_test_of_its_effect(cls):
    assert EFFECTS[cls].keys() == cls.specs().keys()
    for name, place in EFFECTS[cls].items():
        path, _, test = place.partition("::")
        known, text = _tests(path)
        assert test in known, place
        named = cls.specs()[name].positional or flag(name) in text or f"{name}=" in text
        assert named or f'"{name}"' in text, f"{path} says nothing of {flag(name)}"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_tiny(folder / "tiny.npz")
    x, y = np.zeros((30, 9, 9, 1), "uint8"), np.arange(30) % 3
    np.savez(folder / "other.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return folder


def prepared(files, words):
    """Data, batches and the compiled model of a command line."""
    words = words.format(folder=files, other=files / "other.npz").split()
    words = [*TINY, "--width", "0.1", "--dataset", str(files / "tiny.npz"), *words]
    options = TrainOptions.of_command("spectral_pool_cnn", words)
    data, batches = train.load_data(options)
    model = train.build_model(options, data, len(batches["train"]))
    names = [layer.name for layer in getattr(model, "classifier", model).layers]
    return types.SimpleNamespace(data=data, train=batches["train"], model=model, names=names)


@pytest.mark.parametrize("name", TRAINED)
def test_training(files, name):
    words, observe, before, after = TRAINED[name]
    assert observe(prepared(files, words)) == after
    if before is not None:
        assert observe(prepared(files, "")) == before != after


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="formats of TensorFlow")
def test_exports_and_logs(files, tmp_path, capsys):
    words = ["--dataset", str(files / "tiny.npz"), "--epochs", "1", "--output", str(tmp_path / "r")]
    logs = importlib.util.find_spec("tensorboard") is not None
    for more, status, there in (
        ("--no-tensorboard", 0, ()),
        ("--no-tensorboard --export saved_model", 0, ("saved_model",)),
        ("--tensorboard", 0 if logs else 2, ("tensorboard",) if logs else ()),
    ):
        with pytest.raises(SystemExit) as ended:
            train.main(
                "spectral_pool_cnn",
                [*TINY, "--width", "0.1", *words, "--overwrite", *more.split()],
            )
        assert ended.value.code == status
        assert ("pip install tensorboard" in capsys.readouterr().err) == (status == 2)
        if status == 0:
            for name in ("saved_model", "tensorboard"):
                assert (tmp_path / "r" / name).is_dir() == (name in there)


class Seen(Exception):
    """Ends a command where what it was given is known."""


def test_lookahead(files, tmp_path, monkeypatch):
    """Four steps an epoch; how the weights move: tests/training/test_lookahead.py."""
    seen, words = {}, [*TINY, "--width", "0.1", "--dataset", str(files / "tiny.npz")]
    _see(monkeypatch, training, "Lookahead", seen)
    for more in ([], ["--lookahead", "3"]):
        with pytest.raises(SystemExit if not more else Seen):
            train.main(
                "spectral_pool_cnn",
                [*words, "--epochs", "2", *more, "--output", str(tmp_path / "run"), "--overwrite"],
            )
        assert seen.get("arguments") == ((8, 3) if more else None)


def _see(monkeypatch, module, name, seen):
    def look(*arguments, **named):
        seen.update(named, arguments=arguments)
        raise Seen

    monkeypatch.setattr(module, name, look)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("norm", "l2", lambda s: s["arguments"][3].norm),
        ("steps", 3, lambda s: s["arguments"][3].steps),
        ("step_size", 0.5, lambda s: s["arguments"][3].step_size),
        ("restarts", 2, lambda s: s["arguments"][3].restarts),
        ("seed", 5, lambda s: s["arguments"][3].seed),
        ("labels", "predicted", lambda s: s["labels"]),
        ("batch_size", 7, lambda s: s["batch_size"]),
    ],
)
def test_attacks(monkeypatch, name, value, known):
    seen = {}
    _see(monkeypatch, attacks, "attack_outcomes", seen)
    found = []
    for more in ({}, {name: value}):
        options = EvaluateOptions("m.keras", attack=["pgd"], **more)
        with pytest.raises(Seen):
            attacks._run_attack("pgd", {"outcomes": {}}, [0.1], options, *[None] * 5)
        found.append(known(seen))
    assert found[0] != found[1] == value


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("penalty", 0.5, lambda s: s["mask"]["penalty"]),
        ("single_penalty", 0.5, lambda s: s["masks"]["penalty"]),
        ("invariance", "exp", lambda s: s["mask"]["invariance"]),
        ("invariance", "exp", lambda s: s["masks"]["invariance"]),
        ("learning_rate", 0.25, lambda s: s["mask"]["learning_rate"]),
        ("batch_size", 7, lambda s: s["mask"]["batch_size"]),
        ("seed", 5, lambda s: s["mask"]["seed"]),
    ],
)
def test_masks(monkeypatch, tmp_path, name, value, known):
    """What the library is asked for."""
    found = []
    for more in ({"batch_size": 20}, {"batch_size": 20, name: value}):
        seen = {}
        for function in ("mask", "masks"):
            given = seen[function] = {}
            _see(monkeypatch, masks, f"learn_{function}", given)
        work = object.__new__(explain._Work)
        work.options, work.model = ExplainOptions("m.keras", **more), None
        work.images = types.SimpleNamespace(x=np.zeros((4, 8, 8, 1)), y=np.arange(4) % 2)
        work.folder, work.chosen = explain.Folder(tmp_path), [0]
        with pytest.raises(Seen):
            work._of_set("masks.npz", False)
        with pytest.raises(Seen):
            work._of_images()
        found.append(known(seen))
    assert found[0] != found[1] == value


@pytest.mark.parametrize(
    ("more", "differs"), [({}, False), ({"images": 10}, True), ({"split_seed": 3}, True)]
)
def test_images_of_masks(files, more, differs):
    def chosen(more):
        options = ExplainOptions(
            "m.keras", dataset=str(files / "tiny.npz"), split="validation", grayscale=False,
            **{"validation_fraction": 0.5, "split_seed": 0, "images": 20} | more,
        )  # fmt: skip
        subject = object.__new__(explain.Subject)
        subject.options, subject._class_names, subject.preset = options, None, None
        return explain.Images(subject).x

    assert np.array_equal(chosen({}), chosen(more)) != differs


def test_a_copy_of_a_named_set(files, tmp_path):
    words = ["--dataset", "other", "--data-dir", str(files), "--corruptions", "brightness"]
    with pytest.raises(SystemExit) as ended:
        corrupt.main([*words, "--output", str(tmp_path / "copy"), "--severities", "1"])
    assert ended.value.code == 0
    assert np.load(tmp_path / "copy" / "brightness.npy").shape == (30, 9, 9, 1)


def test_the_data_of_a_preset(monkeypatch):
    for call in (
        lambda: preset.check_preset("deep_spectral_digits", data_dir="here"),
        lambda: preset._measure(PresetOptions("a_run", name="abc", data_dir="here"), None, None),
    ):
        seen = {}
        _see(monkeypatch, preset, "Subject", seen)
        with pytest.raises(Seen):
            call()
        assert seen["arguments"][0].data_dir == "here"


def test_a_queue_of_figures(monkeypatch, tmp_path):
    seen, one = {}, types.SimpleNamespace(name="flagship", runs_of=None)
    monkeypatch.setattr(queue, "state", lambda *_: {"finished": False})
    _see(monkeypatch, queue._figure, "make", seen)
    with pytest.raises(Seen):
        queue.run([one], RunOptions(results=str(tmp_path), runs="there", data_dir="here"))
    wanted = seen["arguments"][1]
    assert (wanted.runs, wanted.data_dir) == (str(pathlib.Path("there", "flagship")), "here")
