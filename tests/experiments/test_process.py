"""A program that calls commands draws the same random numbers as without them."""

import importlib.util
import random

import keras
import numpy as np
import pytest

from spectral_keras.experiments.command import _import_keras
from spectral_keras.experiments.corrupt import CorruptOptions, corrupt
from spectral_keras.experiments.evaluate import EvaluateOptions, evaluate
from spectral_keras.experiments.explain import ExplainOptions, explain
from spectral_keras.experiments.preset import PresetOptions, check_preset, make_preset
from spectral_keras.experiments.process import process_kept
from spectral_keras.experiments.train import TrainOptions, train
from tests.oracles import to_numpy

BACKEND = keras.backend.backend()
FEW = {"dataset": "digits", "limit": 60, "epochs": 1}


def _draw():
    """One number of every generator of the process, two of Keras'."""
    numbers = [random.random(), np.random.random()]
    numbers += [float(to_numpy(keras.random.uniform(()))) for _ in range(2)]
    if BACKEND == "tensorflow":
        import tensorflow as tf

        numbers.append(float(tf.random.uniform(())))
    elif BACKEND == "torch":
        import torch

        numbers.append(float(torch.rand(())))
    return numbers


def _expected(draws):
    keras.utils.set_random_seed(99)
    return [_draw() for _ in range(draws)]


@pytest.mark.parametrize("draws", [0, 2])
def test_random_numbers_go_on(draws):
    """Keras makes its generator at the first draw."""
    expected = _expected(draws + 2)
    assert _expected(draws) == expected[:draws]
    with pytest.raises(KeyboardInterrupt), process_kept():
        keras.random.uniform(())
        keras.utils.set_random_seed(3)
        _draw()
        raise KeyboardInterrupt
    assert [_draw(), _draw()] == expected[draws:]


def test_numbers_of_a_command_are_of_float32(tmp_path, monkeypatch):
    """Keras' floatx, of a keras.json perhaps, is the type of losses and metrics."""
    expected = None
    for floatx in ("float32", "float16", "float64"):
        keras.config.set_floatx(floatx)
        try:
            network = {"width": 0.05}
            result = train(
                TrainOptions("deep_spectral", network, output=str(tmp_path / floatx), **FEW)
            )
            assert keras.config.floatx() == floatx
        finally:
            keras.config.set_floatx("float32")
        numbers = {name: result[name] for name in ("test_loss", "test_accuracy")}
        expected = expected or numbers
        assert numbers == expected


def test_the_precision_of_the_program_is_kept_out():
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with process_kept():
            inside = keras.config.floatx(), keras.config.dtype_policy().name
        assert inside == ("float32", "float32")
        after = keras.config.floatx(), keras.config.dtype_policy().name
        assert after == ("float16", "mixed_float16")
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def test_the_data_format_of_the_program_is_kept_out(tmp_path):
    """With channels_first of a keras.json the same network is trained and evaluated."""
    found = []
    for data_format in ("channels_last", "channels_first"):
        keras.config.set_image_data_format(data_format)
        folder = str(tmp_path / data_format)
        try:
            # Its 8 x 8 maps have 8 filters: either layout would be taken.
            options = TrainOptions("generic_cnn", {"width": 1 / 12}, output=folder, **FEW)
            trained = train(options)
            attacked = evaluate(EvaluateOptions(folder, attack=["fgsm"], eps=[0.1], images=20))
            assert keras.config.image_data_format() == data_format
        finally:
            keras.config.set_image_data_format("channels_last")
        points = attacked["attacks"][0]["points"]
        found.append((trained["test_loss"], trained["parameters"], points[0]["accuracy"]))
    assert found[0] == found[1]


def test_the_data_format_of_a_command_is_that_of_the_data():
    keras.config.set_image_data_format("channels_first")
    try:
        _import_keras()
        assert keras.config.image_data_format() == "channels_last"
    finally:
        keras.config.set_image_data_format("channels_last")


def test_the_distribution_stays():
    distribution = keras.distribution.DataParallel(devices=["cpu:0"])
    with process_kept():
        keras.distribution.set_distribution(distribution)
    assert keras.distribution.distribution() is None


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a setting of TensorFlow")
@pytest.mark.parametrize("deterministic", [False, True])
def test_determinism_and_no_seed_stay(deterministic):
    import tensorflow as tf
    from tensorflow.python.framework import config

    tf.random.set_seed(None)
    if deterministic:
        config.enable_op_determinism()
    try:
        with process_kept():
            keras.utils.set_random_seed(3)
            config.enable_op_determinism()
        assert config.is_op_determinism_enabled() == deterministic
        if not deterministic:
            # Without a seed, which determinism does not allow; compiled, too.
            draw = tf.function(lambda: tf.random.uniform((4,)))
            assert not np.array_equal(draw(), tf.random.uniform((4,)))
    finally:
        config.disable_op_determinism()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    return _train(tmp_path_factory.mktemp("finished"), None)


def _train(folder, _):
    network = {"width": 0.05}
    train(TrainOptions("deep_spectral", network, output=str(folder / "run"), **FEW))
    return folder / "run"


def _explain(folder, run):
    options = {"images": 10, "epochs": 1, "single": 1, "heat_map": True, "heat_map_images": 1}
    explain(ExplainOptions(str(run), output=str(folder / "explained"), **options))


def _evaluate(folder, run):
    options = {"attack": ["pgd"], "eps": [0.1], "steps": 1, "images": 10}
    evaluate(EvaluateOptions(str(run / "best.keras"), dataset="digits",
                             output=str(folder / "evaluated"), **options))  # fmt: skip


def _corrupt(folder, _):
    corrupt(CorruptOptions(str(folder / "c"), dataset="digits", corruptions=["fog"], images=10))


def _presets(folder, run):
    make_preset(PresetOptions(str(run), name="tiny", output=str(folder / "tiny")))
    check_preset(folder / "tiny")


def _search(folder, _):
    from spectral_keras.experiments.search.command import search
    from spectral_keras.experiments.search.options import SearchOptions
    from spectral_keras.experiments.search.retrain import retrain
    from spectral_keras.experiments.search.retrain_options import RetrainOptions

    path = str(folder / "search")
    settings = {"fix": {"num_pairs": "1", "max_filters": "4"}, "training": FEW}
    search(SearchOptions("spectral_pool_cnn", trials=1, output=path, **settings))
    retrain(RetrainOptions(path, output=str(folder / "retrained")))


def _search_of_a_function(folder, _):
    from spectral_keras.data import load
    from spectral_keras.experiments.search.api import Training, search

    def build(hp):
        units = hp.Int("units", 2, 8) + int(to_numpy(keras.random.uniform(())))
        model = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(units))
        model.add(keras.layers.Dense(10))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, metrics=["accuracy"])
        return model

    data = load("digits", limit=60)
    short = Training(epochs=1)
    search(build, data, trials=1, training=short, folder=folder / "search", show=lambda line: None)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the commands on TensorFlow")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")
@pytest.mark.parametrize(
    "call",
    [_train, _explain, _evaluate, _corrupt, _presets, _search, _search_of_a_function],
    ids=lambda call: call.__name__,
)
def test_after_a_command(call, run, tmp_path, monkeypatch):
    import tensorflow as tf
    from tensorflow.python.framework import config

    if "search" in call.__name__ and importlib.util.find_spec("keras_tuner") is None:
        pytest.skip("a search needs Keras Tuner")
    # As a program has it, not as the other tests do.
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", config.enable_op_determinism
    )
    expected = _expected(2)
    assert _expected(1) == expected[:1]
    call(tmp_path, run)
    assert _draw() == expected[1]
    assert not config.is_op_determinism_enabled()
