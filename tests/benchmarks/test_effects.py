"""Every option of every benchmark changes what it names; what is measured here takes no time."""

import importlib
import json
import pathlib
import types

import keras
import numpy as np
import pytest

import spectral_keras.data
from benchmarks import attacks, corruptions, data, devices, harness, masks, responses, training
from benchmarks.harness import Case, Row
from spectral_keras import memory
from spectral_keras.analysis import masks as library_masks
from tests.experiments.effects import options_of

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the benchmarks on TensorFlow"
)
BENCHMARKS = sorted(
    path.stem
    for path in pathlib.Path(harness.__file__).parent.glob("[!_]*.py")
    if path.stem != "harness"
)


class Seen(types.SimpleNamespace):
    """What the stubs below were called with: a dict by their names, and `status`, main's result."""

    def __getattr__(self, name):
        return None


def _record(seen, monkeypatch, place, name, result=None):
    """Replace a function by one that only keeps its arguments in `seen` and returns `result`."""

    def stub(*arguments, **named):
        setattr(seen, name, (*arguments, *named.values()))
        return result(*arguments) if callable(result) else result

    monkeypatch.setattr(place, name, stub)


def _measured(case, repeats, warmup=3):
    """`harness.measure` on a machine where all ways take a millisecond."""
    times = dict.fromkeys(("milliseconds", "fastest", "slowest", "cpu_milliseconds"), 1.0)
    ratios = dict.fromkeys(("ratio", "speedup", "cpu_speedup"), 1.0)
    common = {"case": case.name, "shape": "", "reference": case.reference, "target": ""}
    counts = {"repeats": repeats, "steps_per_repeat": 1}
    return [Row(way=way, **common, **times, **ratios, **counts) for way in case.ways]


def _harness(seen, monkeypatch):
    seen.measured = []

    def measure(case, **named):
        seen.measured.append(case.name)
        seen.repeats = named["repeats"]
        return _measured(case, **named)

    monkeypatch.setattr(harness, "measure", measure)
    _record(seen, monkeypatch, memory, "keep_freed_memory", True)


def _case(name):
    return Case(name, "", "a way", {"a way": None})


def _layers(seen, monkeypatch, module):
    _harness(seen, monkeypatch)
    monkeypatch.setattr(module, "cases", lambda: [_case("one"), _case("two")])


def _attacks(seen, monkeypatch, module):
    _harness(seen, monkeypatch)
    x, y = np.zeros((2, 4, 4, 3)), np.zeros(2, int)
    model = types.SimpleNamespace(count_params=int)
    _record(seen, monkeypatch, attacks, "make_model", (model, x, y))
    monkeypatch.setattr(attacks, "_classes", lambda *_: y)

    def cases(model, x, y, results):
        results["one", attacks.OURS] = x
        return [Case("one", "", attacks.OURS, {attacks.OURS: None})]

    monkeypatch.setattr(attacks, "cases", cases)


def _responses(seen, monkeypatch, module):
    _harness(seen, monkeypatch)
    for name in ("response_case", "heat_map_case"):
        _record(seen, monkeypatch, responses, name, _case(name))
    monkeypatch.setattr(responses, "differences", lambda *_: {})


def _data(seen, monkeypatch, module):
    _harness(seen, monkeypatch)
    names = ("JPEG one", "PNG two")
    built = {name: lambda name=name: (_case(name), 5) for name in names}
    _record(seen, monkeypatch, data, "cases", built)
    # The measurement of the memory, up to the set that it writes and the process that reads it.
    _record(seen, monkeypatch, data, "write_tfds")
    monkeypatch.setattr(data, "encoded_images", lambda *_: [])
    found = {name: 0.0 for name in ("before_mib", "peak_mib")} | {"increase_mib": 100.0}
    done = types.SimpleNamespace(stdout=json.dumps(found))
    monkeypatch.setattr(data, "subprocess", types.SimpleNamespace(run=lambda *_, **__: done))


class _Workers:
    """`corruptions._Workers` whose images take a hundredth of a second each."""

    seen = None

    def __init__(self, number, images):
        self.seen.processes, self.seen.made = number, images
        self.seen.work = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, way, name, severity, count):
        self.seen.work.append((way, name, severity, count))
        return 0.01, 0.01


def _corruptions(seen, monkeypatch, module):
    monkeypatch.setattr(corruptions, "_Workers", type("_", (_Workers,), {"seen": seen}))
    monkeypatch.setattr(corruptions, "is_installed", lambda: True)
    monkeypatch.setattr(corruptions, "shims", list)


def _devices(seen, monkeypatch, module):
    class Pair:
        """Two processes whose steps take a hundredth of a second."""

        def __enter__(self):
            seen.cases, seen.steps = [], set()
            return self

        def __exit__(self, *_):
            pass

        def call(self, name, *arguments, on=range(devices.DEVICES)):
            if name == "load_vectors":
                return [[True]]
            if name == "weights":
                return [[np.ones(3)]] * devices.DEVICES
            if name == "load_network":
                seen.cases.append(arguments[0].label)
                return None
            seen.steps.add(arguments[1])
            return [[(0.01, 0.01)] * arguments[1] for _ in on]

    monkeypatch.setattr(devices, "Pair", Pair)
    monkeypatch.setattr(devices, "cores", lambda: [0, 1])
    monkeypatch.setattr(devices, "NUMBERS", (10,))


def _masks(seen, monkeypatch, module):
    def load(name, **options):
        seen.load = {"dataset": name, **options}
        counts = options["limit"], min(600, options["limit_test"])
        x, y = ([np.zeros((count, *size)) for count in counts] for size in ((4, 4, 1), ()))
        return types.SimpleNamespace(
            name=name, x_train=x[0], y_train=y[0], x_test=x[1], y_test=y[1]
        )

    def learn_masks(model, x, **named):
        seen.learned, seen.batch_size = len(x), named["batch_size"]
        seen.calls = (seen.calls or 0) + 1
        whole = dict.fromkeys(("converged", "kept", "objective", "sparsity", "steps"))
        return types.SimpleNamespace(**{name: np.ones(len(x), int) for name in whole})

    def learn(image, most_steps=0):
        seen.published = (seen.published or 0) + 1
        found = dict.fromkeys(("objective", "sparsity", "converged", "kept"), 2.0)
        return {**found, "steps": 1}

    model = types.SimpleNamespace(name="m", count_params=int, evaluate=lambda *_, **__: (0, 1))
    monkeypatch.setattr(spectral_keras.data, "load", load)
    monkeypatch.setattr(library_masks, "learn_masks", learn_masks)
    monkeypatch.setattr(masks, "published", lambda *_: learn)
    _record(seen, monkeypatch, masks, "make_model", model)


def _training(seen, monkeypatch, module):
    seen.cases, seen.commands = [], []

    class Process:
        about = {}

        def __init__(self, command, threads):
            seen.threads = threads
            seen.commands.append(command[0])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def ask(self, request):
            seen.steps = (seen.steps or 0) + ("steps" in request)
            return {"loss": 1.0, "seconds": 1.0, "cpu_seconds": 1.0}

    measure = training.measure

    def measured(case, *others):
        seen.cases.append((case["network"], case["width"], case["precision"], case["batch"]))
        return measure(case, *others)

    monkeypatch.setattr(training, "measure", measured)
    monkeypatch.setattr(training, "Process", Process)
    monkeypatch.setattr(training, "check_pytorch", lambda *_: None)


STUBS = {
    "attacks": _attacks, "beyond": _layers, "corruptions": _corruptions, "data": _data,
    "devices": _devices, "layers": _layers, "masks": _masks, "responses": _responses,
    "training": _training,
}  # fmt: skip
# Words that a benchmark does not start without.
NEEDED = {"training": "--pytorch python"}

_LAYERS = {
    "only": ("--only tw", lambda s: s.measured, ["one", "two"], ["two"]),
    "repeats": ("--repeats 11", lambda s: s.repeats, 9, 11),
    "system_allocator": ("--system-allocator", lambda s: s.keep_freed_memory, (), None),
}
_JOBS = {f"{name} width {width} {precision}" for name, width in training.NETWORKS
         for precision in training.PRECISIONS}  # fmt: skip


def _names(seen):
    """The corruptions that were measured."""
    return sorted({name for _, name, _, _ in seen.work})


def _counts(way):
    """Sizes of the jobs of a way."""
    return lambda seen: max(count for one, _, _, count in seen.work if one == way)


def _jobs(seen):
    return {f"{network} width {width} {precision}" for network, width, precision, _ in seen.cases}


# Benchmark -> option -> words, what is made of them, what it is without the option and with it.
ROWS = {
    "attacks": {
        "images": ("--images 5", lambda s: s.make_model[1], 32, 5),
        "width": ("--width .5", lambda s: s.make_model[0], 1.0, 0.5),
        "repeats": ("--repeats 4", lambda s: s.repeats, 7, 4),
    },
    "beyond": _LAYERS,
    "layers": _LAYERS,
    "corruptions": {
        "only": ("--only snow --only fog", lambda s: len(_names(s)), 19, 2),
        "images": (
            "--images 100", lambda s: (s.made, _counts("spectral_keras")(s)),
            (1000, 1000), (100, 100),
        ),
        # A hundredth of a second an image.
        "seconds": ("--seconds 2", _counts(corruptions.LIBRARY), 30, 200),
        "repeats": (
            "--repeats 4 --only snow --only fog",
            lambda s: sum(count == 1000 for *_, count in s.work) / len(_names(s)) / 5, 6, 8,
        ),
        "processes": ("--processes 3", lambda s: s.processes, 2, 3),
    },
    "data": {
        "repeats": ("--repeats 5", lambda s: s.repeats, 3, 5),
        "images": ("--images 64", lambda s: s.cases[-1], 512, 64),
        # Images of 256x256x3.
        "memory_mib": ("--memory-mib 3", lambda s: s.write_tfds[2], 11734, 16),
        "bound_mib": ("--bound-mib 99", lambda s: s.status, 0, 1),
        "only": (
            "--only PNG", lambda s: (s.measured, s.write_tfds is not None),
            (["JPEG one", "PNG two"], True), (["PNG two"], False),
        ),
    },
    "devices": {
        "only": ("--only vgg --only resnet", lambda s: len(s.cases), 6, 3),
        # So many steps in each of five rounds, a hundredth of a second each.
        "seconds": ("--seconds .5", lambda s: max(s.steps), 6, 10),
    },
    "masks": {
        "dataset": ("--dataset digits", lambda s: s.load["dataset"], "cifar10", "digits"),
        "data_dir": ("--data-dir here", lambda s: s.load["data_dir"], None, "here"),
        "images": ("--images 600", lambda s: (s.learned, s.load["limit_test"]), (32, 500),
                   (600, 600)),
        # One more before the clock runs.
        "published_images": ("--published-images 7", lambda s: s.published, 5, 8),
        "train_images": ("--train-images 100", lambda s: s.load["limit"], 10000, 100),
        "epochs": ("--epochs 9", lambda s: s.make_model[2], 4, 9),
        "batch_size": ("--batch-size 7", lambda s: s.batch_size, 64, 7),
        # Both schedules, and once each before the clock runs.
        "repeats": ("--repeats 5", lambda s: s.calls, 8, 12),
        "width": ("--width 2", lambda s: s.make_model[1], 0.25, 2.0),
    },
    "responses": {
        "repeats": ("--repeats 4", lambda s: s.repeats, 5, 4),
        "images": ("--images 3", lambda s: s.heat_map_case[0], 16, 3),
        "frequencies": ("--frequencies 9", lambda s: s.heat_map_case[1], 8, 9),
    },
    "training": {
        "only": ("--only vgg", _jobs, _JOBS, {one for one in _JOBS if "vgg" in one}),
        "pytorch": ("--pytorch other", lambda s: "other" in s.commands, False, True),
        # Two frameworks, eight cases, two steps before.
        "repeats": ("--repeats 4", lambda s: s.steps, 2 * 8 * 11, 2 * 8 * 6),
        "batch": ("--batch 5", lambda s: {one[3] for one in s.cases}, {128}, {5}),
        "threads": ("--threads 1", lambda s: s.threads, None, 1),
    },
}  # fmt: skip


def measured(monkeypatch, name, words):
    """What a benchmark of stubs was called with."""
    module, seen = importlib.import_module(f"benchmarks.{name}"), Seen()
    STUBS[name](seen, monkeypatch, module)
    seen.status = module.main([*NEEDED.get(name, "").split(), *words.split()])
    return seen


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_option_has_a_row(monkeypatch, name):
    main = importlib.import_module(f"benchmarks.{name}").main
    assert options_of(monkeypatch, main) == {*ROWS[name], "output"}


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, rows in ROWS.items() for option in rows]
)
def test_option(monkeypatch, name, option):
    words, observe, before, after = ROWS[name][option]
    found = []
    for more in ("", words):
        with monkeypatch.context() as patch:
            found.append(observe(measured(patch, name, more)))
    assert found == [before, after] and before != after


@pytest.mark.parametrize("name", BENCHMARKS)
def test_output(monkeypatch, tmp_path, name):
    """The numbers, and the command that gave them."""
    monkeypatch.chdir(tmp_path)
    assert measured(monkeypatch, name, "").status == 0 and not list(tmp_path.iterdir())
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert measured(monkeypatch, name, "--output there/x.json").status == 0
    stored = json.loads((tmp_path / "there" / "x.json").read_text())
    assert stored["command"].endswith(" --output there/x.json") and stored["rows"]


@pytest.mark.parametrize(
    ("name", "words", "needed"),
    [
        ("data", "--only memory --repeats 5", "--repeats: it needs another case than memory"),
        ("data", "--only memory --images 64", "--images: it needs a case of JPEGs or PNGs"),
        ("data", "--only PNG --memory-mib 9", "--memory-mib: it needs the case memory"),
        ("data", "--only PNG --bound-mib 9", "--bound-mib: it needs the case memory"),
        ("data", "--memory-mib 0 --bound-mib 9", "--bound-mib: it needs the case memory"),
        ("data", "--only GIF", "--only ['GIF'] matches none of: JPEG one, PNG two, memory"),
        ("corruptions", "--only nothing", "--only ['nothing'] matches none of"),
        ("masks", "--dataset digits --data-dir here", "--data-dir: it needs a --dataset of TFDS"),
        ("masks", "--images 601", "--images: cifar10 has 600 test images"),
    ],
)
def test_an_option_without_use_is_one_line(monkeypatch, capsys, name, words, needed):
    assert_refused(capsys, lambda: measured(monkeypatch, name, words), needed)


def test_time_of_a_library_that_is_not_installed(monkeypatch, capsys):
    _corruptions(Seen(), monkeypatch, corruptions)
    monkeypatch.setattr(corruptions, "is_installed", lambda: False)
    assert corruptions.main(["--only", "snow"]) == 0
    needed = "--seconds: it needs imagecorruptions, which is not installed"
    assert_refused(capsys, lambda: corruptions.main(["--seconds", "9"]), needed)


def assert_refused(capsys, call, needed):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call()
    error = capsys.readouterr().err
    assert ended.value.code == 2 and needed in error and error.count("\n") == 1
