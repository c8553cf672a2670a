"""The same attacks in foolbox and in the Adversarial Robustness Toolbox (extra "attacks")."""

import importlib
import warnings

import keras
import numpy as np
import pytest

from spectral_keras.attacks import fgsm, pgd
from tests.attacks.nets import classes, conv_net, images

BACKEND = keras.backend.backend()
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(BACKEND == "jax", reason="a Keras model on JAX fits neither library"),
]
COUNT = 32
# name -> (ours, options of ours, eps): without early stop and without random numbers.
PATH = {"random_start": False, "early_stop": False}
CASES = {
    "fgsm-inf": (fgsm, {}, 0.03),
    "fgsm-l2": (fgsm, {"norm": "l2"}, 0.25),
    "pgd-inf": (pgd, {"step_size": 0.01, "steps": 5, **PATH}, 0.03),
    "pgd-l2": (pgd, {"step_size": 0.08, "steps": 5, "norm": "l2", **PATH}, 0.25),
}


def _import(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            pytest.skip(f"{name} cannot be imported: {error}")


def foolbox_images(model, x, y, name, eps):
    foolbox = _import("foolbox")
    options = CASES[name][1]
    kind = foolbox.attacks
    norm = options.get("norm", "inf")
    if name.startswith("fgsm"):
        attack = {"inf": kind.LinfFastGradientAttack, "l2": kind.L2FastGradientAttack}[norm]()
    else:
        cls = {
            "inf": kind.LinfProjectedGradientDescentAttack,
            "l2": kind.L2ProjectedGradientDescentAttack,
        }[norm]
        attack = cls(abs_stepsize=options["step_size"], steps=options["steps"], random_start=False)
    x, y = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)
    if BACKEND == "torch":
        wrapped = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    else:
        wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1), device="/cpu:0")
    attacked, _, _ = attack(wrapped, x, y, epsilons=eps)
    return keras.ops.convert_to_numpy(attacked)


def art_images(model, x, y, name, eps):
    estimators = _import("art.estimators.classification")
    evasion = _import("art.attacks.evasion")
    options = CASES[name][1]
    norm = {"inf": np.inf, "l2": 2}[options.get("norm", "inf")]
    common = {"nb_classes": 5, "input_shape": x.shape[1:], "clip_values": (0.0, 1.0)}
    if BACKEND == "torch":
        import torch

        loss = torch.nn.CrossEntropyLoss()
        estimator = estimators.PyTorchClassifier(
            model=model, loss=loss, device_type="cpu", **common
        )
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        estimator = estimators.TensorFlowV2Classifier(model=model, loss_object=loss, **common)
    if name.startswith("fgsm"):
        attack = evasion.FastGradientMethod(estimator, norm=norm, eps=eps, batch_size=COUNT)
    else:
        attack = evasion.ProjectedGradientDescent(
            estimator,
            norm=norm,
            eps=eps,
            eps_step=options["step_size"],
            max_iter=options["steps"],
            num_random_init=0,
            batch_size=COUNT,
            verbose=False,
        )
    return attack.generate(x=x, y=y)


@pytest.mark.parametrize("theirs", [foolbox_images, art_images])
@pytest.mark.parametrize("name", CASES)
def test_same_images_and_same_success(theirs, name, record_property):
    model, x = conv_net(dropout=0.0), images(COUNT)
    ours, options, eps = CASES[name]
    if options.get("norm") == "l2":
        # Away from 0 and 1: ART clips before the projection, foolbox and we after it. Either
        # gives a point of the ball and of the range, but not the same one.
        x = 0.3 + 0.4 * x
    y = classes(model, x).astype("int64")
    mine = ours(model, x, y, eps, **options)
    other = theirs(model, x, y, name, eps)
    far = np.abs(mine - other).reshape(COUNT, -1).max(axis=1) > 1e-4
    fooled, also = classes(model, mine) != y, classes(model, other) != y
    record_property("fooled", (int(fooled.sum()), int(also.sum())))
    record_property("other entries", float(np.mean(np.abs(mine - other) > 1e-4)))
    assert 0 < fooled.sum() < COUNT
    # Where the sign of a gradient near zero differs, the paths may part: a tie.
    assert far.mean() < 0.1, np.abs(mine - other).max()
    np.testing.assert_array_equal(fooled[~far], also[~far])
