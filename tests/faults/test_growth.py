"""Nothing that is computed for one model after the other stays in memory."""

import functools
import gc
import inspect
import itertools
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest

from spectral_keras import analysis, attacks, classifiers, corruptions, evaluation
from spectral_keras.analysis import masks
from spectral_keras.data import CorruptedImages
from spectral_keras.layers import SpectralPool
from tests.faults.forker import ROOT

X = np.random.default_rng(0).random((4, 8, 8, 3), dtype="float32")
BYTES = (255 * X).astype("uint8")
Y = np.arange(4) % 3


MASKS = np.random.default_rng(1).random((12, 8, 8), dtype="float32")


def _traced_perturb(model):
    import tensorflow as tf

    attack = attacks.Attack("pgd", 0.1, steps=2, random_start=False)
    tf.function(lambda x: attacks.perturb(model, x, None, attack))(X)


def _traced_gradient(model):
    import tensorflow as tf

    logits, _ = classifiers.logits_function(model)
    tf.function(lambda x: classifiers.input_gradient(lambda z: keras.ops.sum(logits(z)), x))(X)


def _traced_logits(model):
    import tensorflow as tf

    logits, _ = classifiers.logits_function(model)
    tf.function(logits)(X)


class _Store:
    """What `CorruptedImages` reads from."""

    where = "memory"

    def piece(self, name, severity, chosen):
        return corruptions.corrupt(BYTES, name, severity), None


CORRUPTED = CorruptedImages(_Store(), ["fog"], [1], Y.astype("int32"), None, (8, 8, 3), {})


def _fit(model):
    """What `classify_masks` needs of Keras: the same linear classifier, trained as often."""
    decay = keras.regularizers.L2(1e-4)
    layer = keras.layers.Dense(3, kernel_regularizer=decay, bias_regularizer=decay)
    model = keras.Sequential([keras.Input((64,)), layer])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # A warm-up is a condition, whose two branches are graphs too.
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 6, warmup_target=0.1, warmup_steps=2)
    model.compile(keras.optimizers.Adam(schedule), loss, jit_compile=False)
    batch = MASKS[:4].reshape(4, 64), np.arange(4) % 3
    for _ in range(2):
        batches = (batch for _ in itertools.count())
        model.fit(batches, epochs=2, steps_per_epoch=3, verbose=0)


def _classify_masks(model):
    analysis.classify_masks(MASKS, np.arange(12) % 3, epochs=2, batch_size=4)


# Without any of ours; what TensorFlow itself keeps of a model is the bound of the others.
REFERENCES = {"predict": lambda m: m.predict(X, verbose=0), "fit": _fit}
# All public functions that compute with a model, or on images.
FUNCTIONS = {
    "fgsm": lambda m: attacks.fgsm(m, X, Y, 0.1),
    "pgd": lambda m: attacks.pgd(m, X, None, 0.1, steps=2),
    "apgd": lambda m: attacks.apgd(m, X, Y, 0.1, steps=2),
    "square": lambda m: attacks.square(m, X, Y, 0.1, steps=5),
    "strong": lambda m: attacks.strong(m, X, Y, 0.1, steps=2),
    "run_attack": lambda m: attacks.run_attack(m, X, Y, attacks.Attack("fgsm", 0.1)),
    "perturb": _traced_perturb,
    "input_gradient": _traced_gradient,
    "logits_function": _traced_logits,
    "predict_classes": lambda m: classifiers.predict_classes(m, X),
    "learn_mask": lambda m: masks.learn_mask(m, (X, Y), epochs=1, batch_size=4),
    "learn_masks": lambda m: masks.learn_masks(m, X, stopping=masks.StepRule(max_steps=2)),
    "fourier_heat_map": lambda m: analysis.fourier_heat_map(m, X, Y, frequencies=[[0, 1]]),
    "frequency_response": lambda m: analysis.frequency_response(m, "conv", strength=1.0),
    "filtered_images": lambda m: analysis.filtered_images(X, np.eye(8)),
    "classify_masks": _classify_masks,
    "attack_outcomes": lambda m: list(evaluation.attack_outcomes(m, X, Y, "pgd", [0.1, 0.2])),
    "accuracy_under_attack": lambda m: evaluation.accuracy_under_attack(m, X, Y, eps=0.1),
    "accuracy_under_corruption": (
        lambda m: evaluation.accuracy_under_corruption(m, BYTES, Y, "fog", 1)
    ),
    "accuracy_on_corrupted": lambda m: evaluation.accuracy_on_corrupted(m, CORRUPTED),
    "corrupt": lambda m: [corruptions.corrupt(BYTES, n, 3) for n in corruptions.names("all")],
    "strengths": lambda m: [corruptions.strengths(BYTES, n) for n in corruptions.names("extra")],
}
_OUTCOMES = [evaluation.Outcome(0.1, np.arange(4) > 1, np.arange(4) < 2)]
_ERRORS = {n: [{"severity": s, "accuracy": 0.5} for s in range(1, 6)] for n in evaluation.ALEXNET}
_RESULT = {"images": 4, "clean": {"accuracy": 0.9}, "corruptions": _ERRORS}
_BANDS = analysis.radial_bands(8, 8, 4)
# The others compute with NumPy on what is given: measured together, as "of arrays".
OF_ARRAYS = {
    "angular_energies": lambda: analysis.angular_energies(MASKS, 4),
    "angular_wedges": lambda: analysis.angular_wedges(8, 8, 4),
    "band_counts": lambda: analysis.band_counts(_BANDS),
    "band_energies": lambda: analysis.band_energies(MASKS, _BANDS, 4),
    "band_recovery": lambda: analysis.band_recovery(MASKS[0], MASKS[0] > 0.5),
    "complement": lambda: analysis.complement(MASKS),
    "embed": lambda: analysis.embed(MASKS.reshape(12, 64)),
    "gain_share": lambda: analysis.gain_share(MASKS[:, 0], MASKS[:, 1]),
    "mask_differences": lambda: analysis.mask_differences(MASKS, MASKS[0]),
    "pca": lambda: analysis.pca(MASKS.reshape(12, 64)),
    "point_detection_maps": lambda: analysis.point_detection_maps(8),
    "point_perturbation": lambda: analysis.point_perturbation(8, strength=0.1),
    "radial_bands": lambda: analysis.radial_bands(8, 8, 4),
    "radial_energies": lambda: analysis.radial_energies(MASKS, 4),
    "real_frequencies": lambda: analysis.real_frequencies(8),
    "response_histogram": lambda: analysis.response_histogram(MASKS),
    "scale_differences": lambda: analysis.scale_differences(MASKS),
    "sparsity": lambda: analysis.sparsity(MASKS),
    "vote_shares": lambda: analysis.vote_shares(MASKS[0]),
    "zero_share": lambda: analysis.zero_share(MASKS),
    "names": corruptions.names,
    "table_for": lambda: corruptions.table_for(8, 8),
    "accuracy_point": lambda: evaluation.accuracy_point(Y > 0),
    "accuracy_points": lambda: evaluation.accuracy_points("pgd", _OUTCOMES),
    "carry_over": lambda: evaluation.carry_over("pgd", _OUTCOMES),
    "combine": lambda: evaluation.combine(evaluation.VERDICTS[:1]),
    "judge": lambda: evaluation.judge((0.1, 0.2)),
    "mean_accuracy": lambda: evaluation.mean_accuracy(_RESULT),
    "mean_corruption_error": lambda: evaluation.mean_corruption_error(_RESULT, None),
    "newcombe_interval": lambda: evaluation.newcombe_interval(3, 4, 1, 4),
    "paired_share_interval": lambda: evaluation.paired_share_interval(1, 2, 10),
    "resampled_t_interval": lambda: evaluation.resampled_t_interval([1.0, 2.0], 0.1),
    "t_interval": lambda: evaluation.t_interval([1.0, 2.0]),
    "wilson_interval": lambda: evaluation.wilson_interval(3, 4),
}
FUNCTIONS["of arrays"] = lambda m: [function() for function in OF_ARRAYS.values()]


@pytest.mark.parametrize(
    "package", [attacks, analysis, masks, evaluation, corruptions, classifiers],
    ids=lambda package: package.__name__,
)  # fmt: skip
def test_every_public_function_is_measured(package):
    for name in package.__all__:
        if not inspect.isfunction(function := getattr(package, name)):
            continue
        parameters = inspect.signature(function).parameters
        known = FUNCTIONS if "model" in parameters else FUNCTIONS | OF_ARRAYS
        assert name in known, f"{package.__name__}.{name}"


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


@pytest.fixture(scope="module")
def frozen():
    """What is there before is not looked through each time."""
    gc.collect()
    gc.freeze()


def _collect():
    for _ in range(3):  # the first pass only runs the finalizers of TensorFlow's functions
        gc.collect()


def _graphs():
    import tensorflow as tf

    _collect()
    return sum(isinstance(item, tf.Graph) for item in gc.get_objects())


# TensorFlow keeps the graphs of Keras' `fit`, which `classify_masks` trains with.
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "classify_masks"])
def test_models_and_graphs_go(name, frozen):
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
from tests.faults.test_growth import FUNCTIONS, REFERENCES, network

run = (FUNCTIONS | REFERENCES)[sys.argv[1]]

def resident():
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024

points = []
for number in range(200):
    run(network())
    if number >= 80 and number % 20 == 19:
        gc.collect()
        points.append((number, resident()))
print(np.polyfit(*zip(*points), 1)[0])
"""


@functools.cache
def _growth(name):
    """MB that each model adds, once all that is kept for good is there."""
    done = subprocess.run(
        [sys.executable, "-c", _GROWTH, name],
        cwd=ROOT, capture_output=True, text=True, timeout=3600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_200_models_stay_within_what_predict_needs(name, long, record_property):
    """TensorFlow itself keeps about 0.3 MB of each traced model."""
    if not long:
        pytest.skip("200 models: with --faults")
    growth, reference = _growth(name), "fit" if name == "classify_masks" else "predict"
    record_property("faults: models of the memory's growth", 200)
    # One traced graph of such a network is 1 MB and more.
    bound = _growth(reference) + 0.4
    assert growth < bound, f"{growth:.2f} MB a model, {reference} {bound - 0.4:.2f}"
