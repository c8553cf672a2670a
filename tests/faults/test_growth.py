"""Nothing that is computed for one model after the other stays in memory."""

import gc
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest

from spectral_keras.analysis import filtered_images, fourier_heat_map, frequency_response
from spectral_keras.analysis.masks import StepRule, learn_mask, learn_masks
from spectral_keras.attacks import Attack, fgsm, perturb, pgd
from spectral_keras.classifiers import input_gradient, logits_function, predict_classes
from spectral_keras.corruptions import corrupt, names
from spectral_keras.evaluation import (
    accuracy_under_attack,
    accuracy_under_corruption,
    attack_outcomes,
)
from spectral_keras.layers import SpectralPool
from tests.faults.forker import ROOT

X = np.random.default_rng(0).random((4, 8, 8, 3), dtype="float32")
BYTES = (255 * X).astype("uint8")
Y = np.arange(4) % 3


def _traced_perturb(model):
    import tensorflow as tf

    attack = Attack("pgd", 0.1, steps=2, random_start=False)
    tf.function(lambda x: perturb(model, x, None, attack))(X)


def _traced_gradient(model):
    import tensorflow as tf

    logits, _ = logits_function(model)
    tf.function(lambda x: input_gradient(lambda z: keras.ops.sum(logits(z)), x))(X)


# (`classify_masks` trains with `fit`, whose step TensorFlow keeps for each compiled model.)
FUNCTIONS = {
    # What a model costs without any of ours.
    "predict": lambda m: m.predict(X, verbose=0),
    "fgsm": lambda m: fgsm(m, X, Y, 0.1),
    "pgd": lambda m: pgd(m, X, None, 0.1, steps=2),
    "perturb": _traced_perturb,
    "input_gradient": _traced_gradient,
    "attack_outcomes": lambda m: list(attack_outcomes(m, X, Y, "pgd", [0.1, 0.2])),
    "predict_classes": lambda m: predict_classes(m, X),
    "learn_mask": lambda m: learn_mask(m, (X, Y), epochs=1, batch_size=4),
    "learn_masks": lambda m: learn_masks(m, X, stopping=StepRule(max_steps=2)),
    "fourier_heat_map": lambda m: fourier_heat_map(m, X, Y, frequencies=[[0, 1]]),
    "frequency_response": lambda m: frequency_response(m, "conv", strength=1.0),
    "filtered_images": lambda m: filtered_images(X, np.eye(8)),
    "accuracy_under_attack": lambda m: accuracy_under_attack(m, X, Y, eps=0.1),
    "accuracy_under_corruption": lambda m: accuracy_under_corruption(m, BYTES, Y, "fog", 1),
    "corrupt": lambda m: [corrupt(BYTES, name, 3) for name in names("all")],
}


def network():
    """A small network with a layer whose gradients are written out."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            SpectralPool((5, 5)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    return model


def _collect():
    for _ in range(3):  # the first pass only runs the finalizers of TensorFlow's functions
        gc.collect()


def _graphs():
    import tensorflow as tf

    _collect()
    return sum(isinstance(item, tf.Graph) for item in gc.get_objects())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_models_and_graphs_go(name):
    references = []

    def run(times):
        for _ in range(times):
            model = network()
            references.append(weakref.ref(model))
            FUNCTIONS[name](model)

    run(1)
    before = _graphs()
    run(2)
    assert _graphs() == before
    keras.backend.clear_session()
    _collect()
    assert not any(reference() for reference in references)


_GROWTH = """
import gc, sys
import numpy as np
from tests.faults.test_growth import FUNCTIONS, network

def resident():
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024

points = []
for number in range(200):
    FUNCTIONS[sys.argv[1]](network())
    if number >= 80 and number % 20 == 19:
        gc.collect()
        points.append((number, resident()))
print(np.polyfit(*zip(*points), 1)[0])
"""


def _growth(name):
    """MB that each model adds, once all that is kept for good is there."""
    done = subprocess.run(
        [sys.executable, "-c", _GROWTH, name],
        cwd=ROOT, capture_output=True, text=True, timeout=3600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.fixture(scope="module")
def of_predict(long):
    return _growth("predict") if long else None


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "predict"])
def test_200_models_stay_within_what_predict_needs(name, long, of_predict, record_property):
    """TensorFlow itself keeps about 0.3 MB of each traced model."""
    if not long:
        pytest.skip("200 models: with --faults")
    growth = _growth(name)
    record_property("faults: models of the memory's growth", 200)
    # One traced graph of such a network is 1 MB and more.
    assert growth < of_predict + 0.4, f"{growth:.2f} MB a model, predict {of_predict:.2f}"
