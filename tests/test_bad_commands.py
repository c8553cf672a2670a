"""Bad command lines, data sets and folders: one line that says what is wrong, status 2, no file."""

import json
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest

from figures import _figure
from spectral_keras.experiments.corrupt import command as corrupt
from spectral_keras.experiments.evaluate import command as evaluate
from spectral_keras.experiments.explain import command as explain
from spectral_keras.experiments.train import command as _train
from spectral_keras.experiments.train import run as _run
from spectral_keras.models import activation_limit
from tests.models.runs import write_tiny

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)
DATA = ("--dataset", "tiny.npz")
HUGE = str(2**32)


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    """A folder with a small data set, damaged ones, and folders that are no run."""
    folder = tmp_path_factory.mktemp("bad")
    write_tiny(folder / "tiny.npz")
    for name, change in SPOILT.items():
        with np.load(folder / "tiny.npz") as stored:
            np.savez(folder / f"{name}.npz", **change(dict(stored)))
    (folder / "cut.npz").write_bytes((folder / "tiny.npz").read_bytes()[:500])
    (folder / "zero.npz").write_bytes(b"")
    (folder / "text.csv").write_text("1,2")
    with open(folder / "single.npz", "wb") as file:
        np.save(file, np.zeros(3))
    (folder / "folder.npz").mkdir()
    for name, files in PICTURES.items():
        for file, size in files.items():
            _picture(folder / name / file, size)
    (folder / "link" / "a").mkdir(parents=True)
    (folder / "link" / "a" / "1.png").symlink_to("nowhere.png")
    (folder / "link" / "b").mkdir()
    shutil.copy(folder / "flat" / "1.png", folder / "link" / "b" / "1.png")
    (folder / "pipe" / "b").mkdir(parents=True)
    for place, number in (("a", 1), ("a", 2), ("b", 1), ("b", 2)):
        _picture(folder / "pipe" / place / f"{number}.png", (8, 8))
    os.mkfifo(folder / "pipe" / "b" / "3.png")
    os.mkfifo(folder / "pipe.npz")
    (folder / "file").write_text("text")
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter1.tex").write_text("text")
    (folder / "editor").mkdir()
    (folder / "editor" / "config.json").write_text('{"editor": "vim"}')
    (folder / "editor" / "notes.txt").write_text("text")
    for name, text in (
        ("deep", "[" * 100_000),
        ("bytes", None),
        ("list", "[]"),
        ("digits", "1" * 5000),
    ):
        (folder / name).mkdir()
        path = folder / name / "config.json"
        path.write_bytes(b"\xff\xfe") if text is None else path.write_text(text)
    _untrained_run(folder / "run")
    return folder


def _picture(path, size):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    if size is None:
        path.write_bytes(b"no picture")
    else:
        Image.new("RGB", size).save(path)


def _untrained_run(path, seed=0):
    path.mkdir()
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
    keras.Model(inputs, outputs).save(path / "best.keras")
    options = {
        "dataset": "tiny.npz", "data_dir": None, "limit": None, "validation_fraction": 0.1,
        "seed": 0, "image_size": None, "grayscale": False,
    }  # fmt: skip
    content = {"model": "spectral_pool_cnn", "options": options, "class_names": ["0", "1", "2"]}
    (path / "config.json").write_text(json.dumps(content))
    (path / "result.json").write_text("{}")


def _with(**arrays):
    return lambda stored: stored | {name: make(stored) for name, make in arrays.items()}


def _labels(*values):
    return lambda stored: np.resize(np.array(values), len(stored["y_train"]))


def _floats(change):
    def make(stored):
        images = stored["x_train"].astype("float32") / 255
        images[1, 2, 3, 0] = change
        return images

    return make


SPOILT = {
    "lacking": lambda stored: {name: stored[name] for name in ("x_train", "y_train")},
    "nothing": lambda stored: {},
    "objects": _with(x_train=lambda stored: np.array([{}, 1], object)),
    "object_labels": _with(y_train=lambda stored: np.array([{}] * 60, object)),
    "rank2": _with(x_train=lambda stored: stored["x_train"][:, 0, :, 0]),
    "rank5": _with(x_train=lambda stored: stored["x_train"][..., None]),
    "no_images": _with(x_train=lambda s: s["x_train"][:0], y_train=lambda s: s["y_train"][:0]),
    "no_test": _with(x_test=lambda s: s["x_test"][:0], y_test=lambda s: s["y_test"][:0]),
    "no_height": _with(x_train=lambda stored: stored["x_train"][:, :0]),
    "nan": _with(x_train=_floats(np.nan)),
    "infinite": _with(x_train=_floats(np.inf)),
    "large": _with(x_train=_floats(255.0)),
    "negative": _with(x_train=_floats(-0.5)),
    "int64": _with(x_train=lambda stored: stored["x_train"].astype(np.int64)),
    "complex": _with(x_train=lambda stored: stored["x_train"].astype(complex)),
    "text": _with(x_train=lambda stored: stored["x_train"].astype("U3")),
    "bool": _with(x_train=lambda stored: stored["x_train"] > 9),
    "label_negative": _with(y_train=_labels(-1, 0, 1)),
    "label_gap": _with(y_train=_labels(0, 2, 4)),
    "label_high": _with(y_test=lambda stored: np.full(30, 7)),
    "label_huge": _with(y_train=_labels(2**40)),
    "label_float": _with(y_train=_labels(0.5, 1, 2)),
    "label_nan": _with(y_train=_labels(np.nan, 1, 2)),
    "label_text": _with(y_train=_labels("a", "b")),
    "label_few": _with(y_train=lambda stored: stored["y_train"][:50]),
    "one_hot": _with(y_train=lambda stored: np.eye(3)[stored["y_train"]]),
    "one_class": _with(y_train=_labels(0), y_test=lambda stored: np.zeros(30, int)),
    "channels_first": _with(x_train=lambda stored: np.zeros((60, 3, 32, 32), np.uint8)),
    "sizes": _with(x_test=lambda stored: np.zeros((30, 9, 8, 3), np.uint8)),
    "names_numbers": _with(class_names=lambda stored: np.array([1, 2, 3])),
    "names_few": _with(class_names=lambda stored: np.array(["a", "b"])),
}  # fmt: skip
_SIX = {f"{name}/{number}.png": (8, 8) for name in "ab" for number in (1, 2, 3)}
PICTURES = {
    "flat": {"1.png": (8, 8)},
    "broken": _SIX | {"b/2.png": None},
    "mixed": _SIX | {"b/2.png": (9, 8)},
    "one": {f"a/{number}.png": (8, 8) for number in range(4)},
    "few": {"a/1.png": (8, 8), "b/1.png": (8, 8)},
    "half": {"train/a/1.png": (8, 8), "train/b/1.png": (8, 8)},
    "other": {"train/a/1.png": (8, 8), "train/b/1.png": (8, 8), "test/c/1.png": (8, 8)},
}


@pytest.fixture
def here(master, monkeypatch):
    """The working folder is the master's; a training would be an error, and slow."""

    def train(*arguments):
        raise AssertionError("it trains")

    monkeypatch.chdir(master)
    monkeypatch.setattr(_run.Run, "fit", train)
    return master


def tree(folder):
    """All files and folders below, with the files' content; not the lock of a run folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name != ".lock":
            found[str(path)] = path.read_bytes() if path.is_file() else path.is_dir()
    return found


def assert_refused(here, capsys, main, arguments, *parts):
    """The command leaves with status 2 and one line with all the parts, and writes nothing."""
    before = tree(here)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    err = capsys.readouterr().err
    assert stopped.value.code == 2, err
    assert err.endswith("\n") and err.count("\n") == 1, err
    for part in parts:
        assert part in err
    assert tree(here) == before


# Command line of a training, what the line names, what it shows of what came.
TRAIN = [
    (("--epoch", "3"), "unknown option --epoch", "; did you mean --epochs?"),
    (("--learning_rate", "1"), "--learning_rate", "did you mean --learning-rate?"),
    (("--gama", "1"), "--gama", "did you mean --gamma?"),
    (("--frobnicate",), "--frobnicate", "--help"),
    (("",), "unknown option", "''"),
    (("stray",), "unknown option", "stray"),
    (("--epochs", "0"), "--epochs: expected a value >= 1", "'0'"),
    (("--epochs", "-1"), "--epochs", "'-1'"),
    (("--epochs", "1.5"), "--epochs", "'1.5'"),
    (("--epochs", ""), "--epochs", "''"),
    (("--epochs", "many"), "--epochs: expected an integer", "'many'"),
    (("--batch-size", "0"), "--batch-size: expected a value >= 1", "'0'"),
    (("--batch-size", "1e3"), "--batch-size", "'1e3'"),
    (("--learning-rate", "0"), "--learning-rate: expected a value > 0", "'0'"),
    (("--learning-rate", "nan"), "--learning-rate", "'nan'"),
    (("--learning-rate", "inf"), "--learning-rate: expected a finite number", "'inf'"),
    (("--learning-rate", "1e400"), "--learning-rate", "'1e400'"),
    (("--learning-rate", "1e-400"), "--learning-rate", "'1e-400'"),
    (("--learning-rate", "fast"), "--learning-rate", "'fast'"),
    (("--learning-rate", "1e300"), "--learning-rate", "'1e300'"),
    (("--warmup-epochs", "1e308"), "--warmup-epochs", "'1e308'"),
    (("--adversarial-eps", "1e999999999"), "--adversarial-eps", "'1e999999999'"),
    (("--adversarial-steps", "1" + 30 * "0"), "--adversarial-steps", "<= 10000"),
    (("--spectral-padding", "10000"), "--spectral-padding", "'10000'"),
    (("--kernel-size", "1000000000"), "--kernel-size", "'1000000000'"),
    (("--epochs", "1" + 30 * "0"), "--epochs", "<= 2147483647"),
    (("--image-size", "100000"), "--image-size", "'100000'"),
    (("--output", "nope/../x"), "--output nope/../x", "there is no folder"),
    (("--momentum", "1"), "--momentum", "'1'"),
    (("--momentum", "-0.1"), "--momentum", "'-0.1'"),
    (("--weight-decay", "-1"), "--weight-decay", "'-1'"),
    (("--label-smoothing", "1"), "--label-smoothing: expected a value < 1", "'1'"),
    (("--bias-rate", "0"), "--bias-rate: expected a value > 0", "'0'"),
    (("--bias-rate", "2", "--optimizer", "adam"), "--bias-rate", "needs --optimizer sgd"),
    (("--nesterov", "--optimizer", "adam"), "--nesterov", "needs --optimizer sgd"),
    (("--nesterov", "--optimizer", "sgd", "--momentum", "0"), "--nesterov", "needs a --momentum"),
    (("--ema", "1"), "--ema: expected a value < 1", "'1'"),
    (("--ema", "0.5", "--lookahead", "5"), "--ema and --lookahead both", "the value 0"),
    (("--tta", "flip"), "--tta: invalid choice", "'flip'"),
    (("--warmup-epochs", "-1"), "--warmup-epochs", "'-1'"),
    (("--early-stopping", "-1"), "--early-stopping", "'-1'"),
    (("--validation-fraction", "1"), "--validation-fraction: expected a value < 1", "'1'"),
    (("--validation-fraction", "-0.1"), "--validation-fraction", "'-0.1'"),
    (("--validation-fraction", "0.999"), "validation share", "0.999"),
    (("--limit", "0"), "--limit", "'0'"),
    (("--limit", "1"), "tiny.npz", "raise the limit"),
    (("--image-size", "3"), "--image-size", "'3'"),
    (("--workers", "-1"), "--workers", "'-1'"),
    (("--workers", "many"), "--workers", "'many'"),
    (("--seed", "-1"), "--seed", "'-1'"),
    (("--seed", HUGE), "--seed", HUGE),
    (("--seed", "0x10"), "--seed", "'0x10'"),
    (("--early-stopping", "3", "--validation-fraction", "0"), "--validation-fraction", "stopping"),
    (("--schedule", "plateau", "--validation-fraction", "0"), "--validation-fraction", "plateau"),
    (("--dataset",), "--dataset", "expected one argument"),
    (("--optimizer", "lion9"), "--optimizer: invalid choice", "'lion9'"),
    (("--optimizer", ""), "--optimizer", "''"),
    (("--schedule", "Cosine"), "--schedule", "'Cosine'"),
    (("--precision", "int8"), "--precision", "'int8'"),
    (("--export", "onnx,litert"), "--export", "'onnx,litert'"),
    (("--jit=1",), "--jit", "'1'"),
    (("--resume=1",), "--resume", "'1'"),
    (("--resume", "--overwrite"), "--resume", "exclude each other"),
    (("--augment", ""), "--augment", "''"),
    (("--augment", "flip,spin"), "--augment", "'flip,spin'"),
    (("--augment", "fmix,flip"), "--augment", "'fmix,flip'"),
    (("--augment", "mixup,fmix"), "--augment", "'mixup,fmix'"),
    (("--augment", "afa", "--aux", "fourier"), "--augment", "afa"),
    (("--data-dir", ""), "--data-dir", "''"),
    (("--output", ""), "--output", "''"),
    (("--output", "file"), "--output", "file is not a folder"),
    (("--output", "file/run"), "--output file/run", "file is not a folder"),
    (("--output", "/dev/null/run"), "--output /dev/null/run", "/dev/null is not a folder"),
    (("--output", "a" * 300), "--output", "a" * 300),
    (("--output", "thesis"), "--output", "thesis is not empty"),
    (("--output", "thesis", "--overwrite"), "--output", "thesis is not empty"),
    (("--output", "editor"), "--output", "editor already holds"),
    (("--output", "editor", "--overwrite"), "--overwrite deletes nothing in", "editor"),
    (("--output", "editor", "--resume"), "editor/config.json", "no options"),
    (("--output", "deep", "--resume"), "deep/config.json", "recursion"),
    (("--output", "bytes", "--resume"), "bytes/config.json", "0xff"),
    (("--output", "list", "--resume"), "list/config.json", "a JSON object"),
    (("--output", "digits", "--resume"), "digits/config.json", "5000 digits"),
    (("--output", "run", "--resume", "--seed", "1"), "--seed 0", "not 1"),
    (("--output", "run"), "run already holds a run", "--resume"),
    (("--gamma", "nan"), "--gamma", "'nan'"),
    (("--gamma", "1.5"), "`gamma`", "gamma=1.5"),
    (("--num-pairs", "0"), "`num_pairs`", "num_pairs=0"),
    (("--kernel-size", "-3"), "`kernel_size`", "kernel_size=-3"),
    (("--width", "0"), "`width`", "width=0.0"),
    (("--conv", "fast"), "--conv", "'fast'"),
    (("--alpha", "2"), "`alpha`", "alpha=2.0"),
    (("--beta", "-1"), "`beta`", "beta=-1.0"),
    (("--max-filters", "0"), "`max_filters`", "max_filters=0"),
    (("--aux", "audio"), "--aux", "'audio'"),
    (("--aux", "fourier", "--aux-tap", "nope"), "--aux-tap", "'nope'"),
    (("--aux-weight", "-1"), "--aux-weight", "'-1'"),
    (("--aux-variant", "published", "--adversarial", "pgd"), "--adversarial", "pgd"),
    (("--adversarial", "cw"), "--adversarial", "'cw'"),
    (("--adversarial-eps", "2"), "--adversarial-eps", "'2'"),
    (("--adversarial-eps", "8/0"), "--adversarial-eps", "'8/0'"),
    (("--adversarial-steps", "0"), "--adversarial-steps", "'0'"),
    (("--adversarial", "fgsm", "--adversarial-steps", "3"), "--adversarial-steps", "steps=3"),
    (("--adversarial-share", "1.5"), "--adversarial-share", "'1.5'"),
    (("--adversarial-random-start", "maybe"), "--adversarial-random-start", "'maybe'"),
    (("--validate-on", "train"), "--validate-on", "'train'"),
    (("--gate", "big"), "--gate", "'big'"),
    (("--gate-hidden", "0"), "--gate-hidden", "'0'"),
    (("--suppression", "1.2"), "--suppression", "'1.2'"),
    (("--noise", "-1"), "--noise", "'-1'"),
    (("--attention", "plain"), "--attention", "'plain'"),
    (("--spectral-padding", "-1"), "--spectral-padding", "'-1'"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "name", "received"), TRAIN)
def test_training(here, capsys, arguments, name, received):
    def main(argv):
        _train.main("spectral_pool_cnn", argv)

    output = () if "--output" in arguments else ("--output", "new")
    assert_refused(
        here, capsys, main, (*DATA, "--num-pairs", "1", *output, *arguments), name, received
    )


@pytest.mark.parametrize(
    ("name", "arguments", "part", "received"),
    [
        ("generic_cnn", ("--dense-units", "8,x"), "--dense-units", "'8,x'"),
        ("generic_cnn", ("--dense-units", "-1"), "`dense_units`", "dense_units=-1"),
        ("generic_cnn", ("--gamma", "0.5"), "unknown option", "--gamma"),
    ],
)
def test_options_of_other_networks(here, capsys, name, arguments, part, received):
    def main(argv):
        _train.main(name, argv)

    assert_refused(here, capsys, main, (*DATA, "--output", "new", *arguments), part, received)


def test_a_network_that_does_not_fit_into_memory(here, capsys, monkeypatch):
    def build(*arguments, **options):
        raise MemoryError("cannot allocate 3 TiB")

    monkeypatch.setattr(_train.registry, "build", build)

    def main(argv):
        _train.main("spectral_pool_cnn", argv)

    assert_refused(
        here, capsys, main, (*DATA, "--output", "new"), "memory", "cannot allocate 3 TiB"
    )


def test_a_batch_that_does_not_fit_into_memory(here, capsys, monkeypatch):
    monkeypatch.setattr(activation_limit, "available_memory", lambda: 2**20)
    monkeypatch.setattr(activation_limit, "has_accelerator", lambda: False)

    def main(argv):
        _train.main("spectral_pool_cnn", argv)

    words = ("--output", "new", "--width", "0.1", "--image-size", "64")
    assert_refused(here, capsys, main, (*DATA, *words), "memory", "a smaller --batch-size", "maps")


# Data set, what the line names, what it shows of what came.
DATASETS = [
    ("", "data set", "''"),
    ("missing.npz", "missing.npz", "no such file"),
    ("no/such/folder", "no/such/folder", "data set"),
    ("./nothing", "./nothing", "no such file or folder"),
    ("nothing/", "nothing/", "no such file or folder"),
    ("digit", "data set", "did you mean 'digits'"),
    ("thesis", "the folder of that name holds no class folders", "thesis"),
    ("text.csv", "text.csv", "neither an .npz file nor a folder"),
    ("folder.npz", "folder.npz", "is a folder"),
    ("pipe.npz", "pipe.npz", "is a pipe"),
    ("cut.npz", "cut.npz", "cannot be read"),
    ("zero.npz", "zero.npz", "cannot be read"),
    ("single.npz", "single.npz", "single array"),
    ("lacking.npz", "lacking.npz", "x_test, y_test"),
    ("nothing.npz", "nothing.npz", "it has nothing"),
    ("objects.npz", "objects.npz", "pickled objects"),
    ("object_labels.npz", "object_labels.npz", "pickled objects"),
    ("rank2.npz", "x_train", "(60, 8)"),
    ("rank5.npz", "x_train", "(60, 8, 8, 3, 1)"),
    ("no_images.npz", "x_train", "empty"),
    ("no_test.npz", "x_test", "empty"),
    ("no_height.npz", "x_train", "(60, 0, 8, 3)"),
    ("nan.npz", "x_train", "NaN"),
    ("infinite.npz", "x_train", "not finite"),
    ("large.npz", "x_train", "255"),
    ("negative.npz", "x_train", "-0.5"),
    ("int64.npz", "x_train", "int64"),
    ("complex.npz", "x_train", "complex128"),
    ("text.npz", "x_train", "<U3"),
    ("bool.npz", "x_train", "bool"),
    ("label_negative.npz", "y_train", "-1"),
    ("label_gap.npz", "y_train", "from 0 to 4"),
    ("label_high.npz", "y_test", "7"),
    ("label_huge.npz", "y_train", str(2**40)),
    ("label_float.npz", "y_train", "not integers"),
    ("label_nan.npz", "y_train", "not integers"),
    ("label_text.npz", "y_train", "<U1"),
    ("label_few.npz", "y_train", "50 labels for 60 images"),
    ("one_hot.npz", "y_train", "(60, 3)"),
    ("one_class.npz", "one_class.npz", "only one class"),
    ("channels_first.npz", "x_train", "(60, 3, 32, 32)"),
    ("sizes.npz", "sizes.npz", "(9, 8, 3)"),
    ("names_numbers.npz", "class_names", "names_numbers.npz"),
    ("names_few.npz", "y_train", "out of range for 2 classes"),
    ("./flat", "./flat", "0 class folder(s)"),
    ("broken", "broken/b/2.png", "has the content of none of"),
    ("mixed", "mixed/b/2.png", "8x9"),
    ("one", "one has 1 class folder(s)", "at least two"),
    ("few", "few", "too few images"),
    ("half", "half/test", "does not exist"),
    ("other", "other/test", "'c'"),
    ("link", "link", "too few images"),
    ("pipe", "pipe/b/3.png", "is a pipe"),
]


@pytest.mark.parametrize(("dataset", "name", "received"), DATASETS)
def test_dataset(here, capsys, dataset, name, received):
    def main(argv):
        _train.main("spectral_pool_cnn", argv)

    assert_refused(here, capsys, main, ("--dataset", dataset, "--output", "new"), name, received)


def test_data_that_work(here, monkeypatch):
    """What looks unusual and is none of an error: the command comes as far as to training."""
    for name, change in {
        "floats": _with(x_train=lambda s: s["x_train"] / 255, x_test=lambda s: s["x_test"] / 255),
        "five_channels": _with(
            x_train=lambda s: np.resize(s["x_train"], (60, 8, 8, 5)),
            x_test=lambda s: np.resize(s["x_test"], (30, 8, 8, 5)),
        ),
        "column": _with(y_train=lambda s: s["y_train"][:, None]),
        "one_class_in_the_test": _with(y_test=lambda s: np.zeros(30, int)),
    }.items():
        with np.load("tiny.npz") as stored:
            np.savez(f"works_{name}.npz", **change(dict(stored)))
        arguments = ("--dataset", f"works_{name}.npz", "--num-pairs", "1", "--augment", "none")
        with pytest.raises(AssertionError, match="it trains"):
            _train.main("spectral_pool_cnn", [*arguments, "--output", f"works_{name}"])
    # Fewer images than a batch.
    arguments = (*DATA, "--num-pairs", "1", "--batch-size", "1000", "--limit", "5")
    with pytest.raises(AssertionError, match="it trains"):
        _train.main("spectral_pool_cnn", [*arguments, "--output", "works_few"])


ATTACK = ("--attack", "fgsm", "--eps", "0.1")
EVALUATE = [
    ((), "MODEL", "required"),
    (("run",), "nothing to evaluate: give --attack fgsm pgd, --corruptions", "or both"),
    (("run", "--attack"), "--attack", "expected at least one argument"),
    (("run", "--attak", "pgd"), "--attak", "did you mean --attack?"),
    (("run", "--attack", "cw"), "--attack: expected fgsm, pgd", "'cw'"),
    (("run", *ATTACK, "--limit", "9"), "unknown option --limit", "did you mean --images?"),
    (("run", "--attack", "pgd", "--eps", "0,1,8"), "--eps", "8 grey levels are 8/255"),
    (("run", "--attack", "pgd", "--eps", "nan"), "--eps: expected a number or a fraction", "'nan'"),
    (("run", "--attack", "pgd", "--eps", "8/0"), "--eps: expected a number or a fraction", "'8/0'"),
    (("run", "--attack", "pgd", "--eps", ","), "--eps: expected a number or a fraction", "','"),
    (("run", "--attack", "pgd", "--eps=-1/255"), "--eps: expected a value >= 0", "'-1/255'"),
    (("run", "--attack", "pgd", "--steps", "0"), "--steps", "'0'"),
    (("run", "--attack", "pgd", "--step-size", "0"), "--step-size", "'0'"),
    (("run", "--attack", "pgd", "--restarts", "x"), "--restarts", "'x'"),
    (("run", "--attack", "pgd", "--norm", "l1"), "--norm", "'l1'"),
    (("run", "--attack", "pgd", "--labels", "true"), "--labels", "'true'"),
    (("run", "--attack", "pgd", "--seed", "-1"), "--seed", "'-1'"),
    (("run", "--attack", "pgd", "--seed", HUGE), "--seed", HUGE),
    (("run", "--attack", "pgd", "--images", "0"), "--images", "'0'"),
    (
        ("run", "--attack", "pgd", "--output", "thesis"),
        "thesis is not empty",
        "holds no evaluation",
    ),
    (("run", "--attack", "pgd", "--batch-size", "0"), "--batch-size", "'0'"),
    (("run", "--attack", "pgd", "--data-dir", ""), "--data-dir", "''"),
    (("run", "--attack", "pgd", "--steps", "1" + 30 * "0"), "--steps", "<= 10000"),
    (("run", "--attack", "pgd", "--eps", "1e999999999"), "--eps", "'1e999999999'"),
    (("run", "--attack", "pgd", "--output", "nope/../x"), "nope/../x", "there is no folder"),
    (("run", "--corruptions", "fgo"), "'fgo'", "did you mean fog?"),
    (("run", "--corruptions", "imagenetc"), "--corruptions: expected cifar10c, extra", "all or"),
    (("run", *ATTACK, "--baseline", "run"), "--baseline: it is for", "--corruptions"),
    (("run", *ATTACK, "--corruption-source", "tfds"), "--corruption-source", "it is for"),
    (("run", "--corruptions", "--corruption-source", ""), "--corruption-source", "expected a path"),
    (("run", "--corruptions", "--baseline", "thesis"), "--baseline thesis", "result.json"),
    (("run", "--corruptions", "--baseline", "run"), "--baseline run", "no accuracies"),
    (("run", "--corruptions", "--corruption-source", "no/folder"), "no/folder", "no such"),
    (("run", "--corruptions", "--corruption-source", "thesis"), "thesis", "fog.npy"),
    (("run", "--corruptions", "--corruption-source", "tiny.npz"), "tiny.npz", "fog.npy"),
    (("run", "--corruptions", "--corruption-source", "file"), "file", "neither a folder nor"),
    (("nowhere", *ATTACK), "nowhere", "no model"),
    (("file", *ATTACK), "file", "is not a .keras file"),
    (("thesis", *ATTACK), "thesis", "no config.json"),
    (("deep", *ATTACK), "deep/config.json", "recursion"),
    (("editor", *ATTACK), "editor/config.json", "no options"),
]


@pytest.mark.parametrize(("arguments", "name", "received"), EVALUATE)
def test_evaluate(here, capsys, arguments, name, received):
    assert_refused(here, capsys, evaluate.main, arguments, name, received)


EXPLAIN = [
    (("run", "--seed", "1" + 30 * "0"), "--seed", "1" + 30 * "0"),
    (("run", "--split-seed", HUGE), "--split-seed", HUGE),
    (("run", "--heat-map-norm", "1e999"), "--heat-map-norm", "'1e999'"),
    (("run", "--images", "1" + 30 * "0"), "--images", "<= 2147483647"),
    (("run", "--image-size", "100000"), "--image-size", "'100000'"),
    (("run", "--pixel-range", "0", "nan"), "--pixel-range", "'nan'"),
    (("run", "--output", "nope/../x"), "--output nope/../x", "there is no folder"),
    (("deep",), "deep/config.json", "recursion"),
]


@pytest.mark.parametrize(("arguments", "name", "received"), EXPLAIN)
def test_explain(here, capsys, arguments, name, received):
    assert_refused(here, capsys, explain.main, arguments, name, received)


COPY = [
    (("--seed", "1" + 30 * "0"), "--seed", "1" + 30 * "0"),
    (("--images", "1" + 30 * "0"), "--images", "<= 2147483647"),
    (("--output", "nope/../x"), "--output nope/../x", "there is no folder"),
    (("--corruptions", "fgo"), "--corruptions", "'fgo'; did you mean fog?"),
    (("--corruptions",), "--corruptions: expected at least one", "argument"),
    (("--severities", "6"), "--severities: expected a value <= 5", "'6'"),
    (("--severities", "x"), "--severities: expected an integer", "'x'"),
    (("--severity", "1"), "unknown option --severity", "did you mean --severities?"),
    (("--table", "mnist"), "--table", "'mnist'"),
    (("--split", "val"), "--split", "'val'"),
    (("--format", "npz"), "--format: npz does not fit", "--output new"),
    (("--output", "c.npz", "--format", "npy"), "npy does not fit", "--output c.npz"),
    (("--format", "png"), "--format: invalid choice", "'png'"),
    (("--images", "0"), "--images: expected a value >= 1", "'0'"),
    (("--limit", "9"), "unknown option --limit", "did you mean --images?"),
    (("--image-size", "2"), "--image-size", "'2'"),
    (("--seed", "-1"), "--seed", "'-1'"),
    (("--data-dir", ""), "--data-dir", "''"),
    (("--resume", "--overwrite"), "--resume", "exclude each other"),
    (("--output", ""), "--output", "expected a path"),
    (("--output", "file"), "--output", "file is not a folder"),
    (("--output", "file/copy"), "--output file/copy", "file is not a folder"),
    (("--output", "tiny.npz"), "--output", "tiny.npz exists"),
    (("--output", "thesis", "--overwrite"), "--output", "thesis is not empty"),
    (("--dataset", "nan.npz"), "x_train", "NaN"),
    (("--dataset", "cifra10"), "data set", "did you mean 'cifar10'"),
]


@pytest.mark.parametrize(("arguments", "name", "received"), COPY)
def test_corrupt(here, capsys, arguments, name, received):
    assert_refused(
        here, capsys, corrupt.main, (*DATA, "--output", "new", *arguments), name, received
    )


def test_a_copy_without_a_place(here, capsys):
    assert_refused(here, capsys, corrupt.main, DATA, "--output", "required")


SEARCH = [
    (("--model", "resnet9000"), "--model", "'resnet9000'"),
    (("--trials", "0"), "--trials", "'0'"),
    (("--initial-points", "x"), "--initial-points", "'x'"),
    (("--fix", "gamma"), "--fix", "'gamma'"),
    (("--fix", "gama=1"), "--fix gama", "no such option"),
    (("--range", "gamma=0.9,0.1"), "gamma", "0.9,0.1"),
    (("--range", "gamma=x,y"), "--gamma", "'x'"),
    (("--range", "epochs=1,2"), "--range epochs", "search space"),
    (("--seed", HUGE), "--seed", HUGE),
    (("--export", "onnx"), "--export", "tuning.retrain"),
    (("--validation-fraction", "0"), "--validation-fraction", "above 0"),
    (("--output", ""), "--output", "''"),
    (("--output", "file/s"), "--output file/s", "file is not a folder"),
    (("--output", "thesis"), "--output", "thesis is not empty"),
    (("--output", "editor", "--overwrite"), "editor", "--output"),
    (("--output", "run", "--overwrite"), "run holds something else than a search", "--output"),
    (("--dataset", "label_gap.npz"), "y_train", "0 to 4"),
    (("--build", "tests.tuning.builders:nine"), "--build", "--model"),
]
BUILDS = [
    ("nothing", "'nothing'"),
    (":f", "':f'"),
    (".x:f", "relative import"),
    ("no.such.module:f", "No module named 'no'"),
    ("tests.tuning.builders:f", "no function f"),
    ("os:system", "part of Python"),
    ("builtins:eval", "part of Python"),
]
_SCORED = {"number": 1, "status": "completed", "score": 0.5, "point": {"gamma": 0.5}}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
class TestTuning:
    @pytest.mark.parametrize(("arguments", "name", "received"), SEARCH)
    def test_search(self, here, capsys, arguments, name, received):
        from spectral_keras.experiments.search import command as search

        model = () if "--model" in arguments else ("--model", "spectral_pool_cnn")
        base = (*model, *DATA, "--output", "new")
        assert_refused(here, capsys, search.main, (*base, *arguments), name, received)

    @pytest.mark.parametrize(("build", "received"), BUILDS)
    def test_build(self, here, capsys, build, received):
        from spectral_keras.experiments.search import command as search

        arguments = ("--build", build, *DATA, "--output", "new")
        assert_refused(here, capsys, search.main, arguments, "--build", received)

    @pytest.mark.parametrize(
        ("arguments", "name", "received"),
        [
            ((), "FOLDER", "required"),
            (("nowhere",), "nowhere", "results.json"),
            (("file",), "file", "results.json"),
            (("thesis",), "thesis", "results.json"),
            (("found", "--rank", "0"), "--rank", "'0'"),
            (("found", "--rank", "2"), "--rank 2", "1 completed"),
            (("found", "--output", ""), "--output", "''"),
            (("found", "--output", "file"), "--output", "file is not a folder"),
            (("found", "--epochs", "0"), "--epochs", "'0'"),
            (("found", "--epoch", "1"), "--epoch", "did you mean --epochs?"),
        ],
    )
    def test_retrain(self, here, capsys, arguments, name, received):
        from spectral_keras.experiments.search import retrain

        folder = pathlib.Path("found")
        if not folder.exists():
            folder.mkdir()
            config = {"model": "spectral_pool_cnn", "build": None}
            config |= {"options": {"seed": 0, "dataset": DATA[1]}, "search": {}}
            (folder / "config.json").write_text(json.dumps(config))
            (folder / "results.json").write_text(json.dumps({"trials": [_SCORED]}))
        assert_refused(here, capsys, retrain.main, arguments, name, received)


@pytest.mark.parametrize(
    ("arguments", "name", "received"),
    [
        (("--preset", "huge"), "--preset", "'huge'"),
        (("--presett", "smoke"), "--presett", "did you mean --preset?"),
        (("--preset", "smoke", "--results", "file/x"), "--results file/x", "file is not a folder"),
        (("--preset", "smoke", "--runs", "nope/../x"), "--runs nope/../x", "there is no folder"),
        (("--results", "thesis"), "thesis/made_up.json", "does not exist"),
        (("--results", "cut"), "cut/made_up.json", "cannot be read"),
        (("--results", "cut", "--preset", "smoke"), "cut/made_up.json", "cannot be read"),
        (("stray",), "unknown option", "stray"),
    ],
)
def test_figure(here, capsys, arguments, name, received):
    figure = _figure.Figure("made_up", "A figure.", {"smoke": {"n": 1}}, None, None)
    if not pathlib.Path("cut").exists():
        pathlib.Path("cut").mkdir()
        pathlib.Path("cut/made_up.json").write_text("{")
    assert_refused(here, capsys, lambda argv: _figure.main(figure, argv), arguments, name, received)


BENCHMARKS = [
    ("layers", ("--repeats", "1"), "--repeats", "'1'"),
    ("training", ("--pytorch", "no such python"), "--pytorch", "'no such python'"),
    ("layers", ("--repeat", "9"), "--repeat", "did you mean --repeats?"),
    ("layers", ("--output", "x.csv"), "--output", "'x.csv'"),
    ("layers", ("--output", "file/x.json"), "--output", "'file/x.json'"),
    ("layers", ("--only", "no such case"), "--only", "no such case"),
    ("attacks", ("--images", "0"), "--images", "'0'"),
    ("attacks", ("--width", "nan"), "--width", "'nan'"),
    ("masks", ("--width", "5"), "--width", "'5'"),
    ("masks", ("--epochs", "x"), "--epochs", "'x'"),
    ("masks", ("--images", "2", "--published-images", "3"), "--published-images", "--images"),
    ("masks", ("--dataset", "missing.npz"), "missing.npz", "no such file"),
    ("corruptions", ("--output", "thesis.json/x"), "--output", "'thesis.json/x'"),
    ("corruptions", ("--outputs", "x.json"), "--outputs", "did you mean --output?"),
    ("responses", ("--output", "x"), "--output", "'x'"),
    ("devices", ("--seconds", "-1"), "--seconds", "'-1'"),
    ("devices", ("--output", "x.csv"), "--output", "'x.csv'"),
    ("devices", ("--only", "no such case"), "--only", "no such case"),
    ("devices", ("--second", "1"), "--second", "did you mean --seconds?"),
]


@pytest.mark.parametrize(("name", "arguments", "part", "received"), BENCHMARKS)
def test_benchmark(here, capsys, monkeypatch, name, arguments, part, received):
    import importlib

    main = importlib.import_module(f"benchmarks.{name}").main
    assert_refused(here, capsys, main, arguments, part, received)


def test_list_of_the_zoo(here, capsys, monkeypatch):
    from spectral_keras.experiments import zoo

    monkeypatch.setattr("sys.argv", ["models", "resnet18"])
    assert_refused(
        here, capsys, lambda argv: exit_with(zoo.main()), (), "unknown option", "resnet18"
    )


def exit_with(status):
    raise SystemExit(status)


def test_there_are_a_hundred():
    tables = (TRAIN, DATASETS, EVALUATE, COPY, SEARCH, BUILDS, BENCHMARKS)
    assert sum(map(len, tables)) >= 200
