"""The same attacks in foolbox, torchattacks and the Adversarial Robustness Toolbox (ART).

The extra "attacks" installs foolbox and ART; torchattacks is installed by hand.
"""

import importlib
import warnings

import keras
import numpy as np
import pytest

from spectral_keras.attacks import apgd, fgsm, pgd, square
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


# name -> (ours, options of ours, theirs in torchattacks, its options).
PUBLISHED = {
    "apgd-ce-inf": (apgd, {"steps": 20}, "APGD", {"steps": 20, "loss": "ce"}),
    "apgd-dlr-inf": (
        apgd, {"steps": 20, "loss": "dlr"}, "APGD", {"steps": 20, "loss": "dlr"},
    ),
    "apgd-ce-l2": (apgd, {"steps": 20, "norm": "l2"}, "APGD", {"steps": 20, "loss": "ce"}),
    "square-inf": (square, {"steps": 300}, "Square", {"n_queries": 300, "loss": "margin"}),
    "square-l2": (
        square, {"steps": 300, "norm": "l2"}, "Square", {"n_queries": 300, "loss": "margin"},
    ),
}  # fmt: skip


def art_estimator(network, shape, classes_):
    import torch

    estimators = _import("art.estimators.classification")
    return estimators.PyTorchClassifier(
        model=network, loss=torch.nn.CrossEntropyLoss(), input_shape=shape, nb_classes=classes_,
        clip_values=(0.0, 1.0), device_type="cpu",
    )  # fmt: skip


def published_images(network, x, y, name, eps):
    """What torchattacks makes of channels-first images, a numpy array."""
    import torch

    _, options, attack, arguments = PUBLISHED[name]
    norm = {"inf": "Linf", "l2": "L2"}[options.get("norm", "inf")]
    attack = getattr(_import("torchattacks"), attack)(network, norm=norm, eps=eps, **arguments)
    return attack(torch.tensor(x), torch.tensor(y)).detach().numpy()


def art_published_images(network, x, y, name, eps):
    evasion = _import("art.attacks.evasion")
    _, options, attack, arguments = PUBLISHED[name]
    norm = {"inf": np.inf, "l2": 2}[options.get("norm", "inf")]
    estimator = art_estimator(network, x.shape[1:], 10)
    if attack == "Square":
        attack = evasion.SquareAttack(
            estimator, norm=norm, eps=eps, max_iter=300, p_init=0.8, nb_restarts=1,
            batch_size=len(x), verbose=False,
        )  # fmt: skip
    else:
        loss = {"ce": "cross_entropy", "dlr": "difference_logits_ratio"}[arguments["loss"]]
        attack = evasion.AutoProjectedGradientDescent(
            estimator, norm=norm, eps=eps, eps_step=2 * eps, max_iter=20, nb_random_init=1,
            batch_size=len(x), loss_type=loss, verbose=False,
        )  # fmt: skip
    return attack.generate(x=x, y=y)


@pytest.fixture(scope="module")
def digits():
    """(Keras network, the same in torch, digits with the channels last, their classes).

    Trained in closed form: random filters, the last layer by least squares.
    """
    torch = pytest.importorskip("torch")
    from spectral_keras.data import load

    data = load("digits", limit=900, limit_test=120, validation_fraction=0)
    train, test = (x.astype("float32") / 255 for x in (data.x_train, data.x_test))
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.5, (3, 3, 1, 16)).astype("float32")
    inputs = keras.Input(train.shape[1:])
    x = keras.layers.Conv2D(16, 3, activation="relu", name="conv")(inputs)
    features = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(x))
    model = keras.Model(inputs, keras.layers.Dense(10, name="last")(features))
    model.get_layer("conv").set_weights([kernel, np.zeros(16, "float32")])
    z = keras.Model(inputs, features).predict(train, verbose=0).astype("float64")
    z = np.pad(z, ((0, 0), (0, 1)), constant_values=1)
    target = 10 * np.eye(10)[data.y_train]
    weights = np.linalg.solve(z.T @ z + 1e-2 * len(z) * np.eye(z.shape[1]), z.T @ target)
    model.get_layer("last").set_weights([weights[:-1], weights[-1]])

    side = (train.shape[1] - 2) // 4
    first, last = torch.nn.Conv2d(1, 16, 3), torch.nn.Linear(16 * side**2, 10)
    network = torch.nn.Sequential(
        first, torch.nn.ReLU(), torch.nn.AvgPool2d(4), torch.nn.Flatten(), last
    ).eval()
    order = np.arange(16 * side**2).reshape(side, side, 16).transpose(2, 0, 1).ravel()
    with torch.no_grad():
        first.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
        first.bias.zero_()
        last.weight.copy_(torch.tensor(weights[:-1][order].T))
        last.bias.copy_(torch.tensor(weights[-1]))
        there = network(torch.tensor(test.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(model.predict(test, verbose=0), there, atol=1e-3)
    right = there.argmax(1) == data.y_test
    assert right.mean() > 0.9
    return model, network, test[right], data.y_test[right].astype("int64")


@pytest.mark.parametrize("theirs", [published_images, art_published_images])
@pytest.mark.parametrize("name", PUBLISHED)
def test_as_many_images_fall_as_to_the_published(digits, theirs, name, record_property):
    """Random starts and squares are others: the shares agree, and nearly the same images fall."""
    model, network, x, y = digits
    ours, options, *_ = PUBLISHED[name]
    eps = {"inf": 0.06, "l2": 1.0}[options.get("norm", "inf")]
    mine = ours(model, x, y, eps, **options)
    other = np.moveaxis(theirs(network, np.moveaxis(x, 3, 1), y, name, eps), 1, 3)
    fooled, also = classes(model, mine) != y, classes(model, other) != y
    for key, value in (("ours", fooled), ("theirs", also), ("both", fooled & also)):
        record_property(key, int(value.sum()))
    print(name, theirs.__name__, len(x), fooled.sum(), also.sum(), (fooled & also).sum())
    assert 0.05 < also.mean() < 0.95
    assert abs(fooled.mean() - also.mean()) < 0.05, (fooled.mean(), also.mean())
    assert (fooled == also).mean() > 0.9
