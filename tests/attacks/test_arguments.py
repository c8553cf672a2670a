"""What the attacks refuse, and what they say."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from spectral_keras.attacks import Attack, apgd, fgsm, perturb, pgd, square, strong
from tests.attacks.nets import linear_net

X = np.random.default_rng(0).random((4, 2, 2, 3)).astype("float32")
Y = np.array([0, 1, 2, 0])


@pytest.fixture(scope="module")
def model():
    return linear_net(np.random.default_rng(1).normal(size=(12, 3)), shape=(2, 2, 3))


def _changed(value):
    x = X.copy()
    x[0, 0, 0, 0] = value
    return x


BOTH = [
    ({"eps": -0.1}, "`eps` must be a number >= 0. Received: eps=-0.1"),
    ({"eps": float("nan")}, "`eps` must be a number >= 0"),
    ({"eps": float("inf")}, "`eps` must be a finite number"),
    ({"eps": "0.1"}, "`eps` must be a number"),
    ({"eps": True}, "`eps` must be a number"),
    ({"eps": [0.1, 0.2]}, r"`eps` must be .* broadcasts to a sample of shape \(2, 2, 3\)"),
    ({"eps": [0.1, -0.1, 0.1]}, "`eps` must be finite numbers >= 0"),
    ({"eps": [0.1, 0.1, 0.1], "norm": "l2"}, "`eps` must be a number"),
    ({"eps": np.ones((4, 1, 1, 1))}, "`eps` must be .* broadcasts"),
    ({"norm": "l1"}, "`norm` must be one of 'inf', 'l2'. Received: norm='l1'"),
    ({"norm": np.inf}, "`norm` must be one of"),
    ({"loss": "hinge"}, "`loss` must be one of 'cross_entropy', 'margin'"),
    ({"x": X[0]}, r"`x` must have the shape \(None, 2, 2, 3\).*Received: x of shape \(2, 2, 3\)"),
    ({"x": X[:, :, :, :2]}, "`x` must have the shape"),
    ({"x": np.float32(1)}, "`x` must be a batch"),
    ({"x": (X * 255).astype("uint8")}, "`x` must be floats; scale 8-bit images"),
    ({"x": _changed(1.001)}, r"`x` must lie in clip=\(0.0, 1.0\).*Received: x in .*1.001\]"),
    ({"x": _changed(-0.001)}, "`x` must lie in clip"),
    ({"x": _changed(np.nan)}, "`x` must be finite"),
    ({"x": _changed(np.inf), "clip": None}, "`x` must be finite"),
    ({"y": Y[:3]}, r"`y` must be 4 integers or one-hot rows of shape \(4, 3\)"),
    ({"y": Y + 1}, "`y` must hold classes from 0 to 2. Received: y from 1 to 3"),
    ({"y": Y - 1}, "`y` must hold classes from 0 to 2. Received: y from -1 to 1"),
    ({"y": Y.astype("float32")}, "`y` must be integers or one-hot rows"),
    ({"y": np.full((4, 3), 1 / 3)}, "`y` must be integers or one-hot rows"),
    ({"y": np.eye(4)}, "`y` must be 4 integers"),
    ({"targeted": True, "y": None}, "`y` must be the wanted classes"),
    ({"targeted": 1}, "`targeted` must be True or False"),
    ({"from_logits": "yes"}, "`from_logits` must be one of None, True, False"),
    ({"clip": (1, 0)}, "`clip` must be a pair with low < high"),
    ({"clip": 1.0}, r"`clip` must be None or a pair \(low, high\)"),
    ({"batch_size": 0}, "`batch_size` must be a positive integer"),
    ({"progress": "bar"}, "`progress` must be None or a callable"),
    ({"model": lambda x: x}, "`model` must be a Keras model or layer"),
]
PGD = [
    ({"steps": 0}, "`steps` must be a positive integer. Received: steps=0"),
    ({"steps": 1.5}, "`steps` must be a positive integer"),
    ({"step_size": 0}, "`step_size` must be a number > 0"),
    ({"step_size": [0.1, 0.0, 0.1]}, "`step_size` must be finite numbers > 0"),
    ({"restarts": 0}, "`restarts` must be a positive integer"),
    ({"restarts": 2, "random_start": False}, "`restarts` must be 1 without a random start"),
    ({"random_start": 1}, "`random_start` must be True or False"),
    ({"early_stop": None}, "`early_stop` must be True or False"),
    ({"seed": -1}, "`seed` must be an integer of at least 0"),
    ({"index": [0, 1]}, "`index` must be None or 4 integers of at least 0"),
    ({"index": [0, 1, 2, -1]}, "`index` must be None or 4 integers"),
    ({"index": [0.0, 1.0, 2.0, 3.0]}, "`index` must be .* Received: index of .* type float64"),
]


@pytest.mark.parametrize(
    ("attack", "change", "message"),
    [(attack, *case) for attack in (fgsm, pgd) for case in BOTH] + [(pgd, *case) for case in PGD],
)
def test_a_bad_argument(model, attack, change, message):
    arguments = {"model": model, "x": X, "y": Y, "eps": 0.1, **change}
    with pytest.raises(ValueError, match=message):
        attack(**arguments)


def test_a_softmax_gives_no_logits():
    model = linear_net(np.eye(3), activation="softmax")
    with pytest.raises(ValueError, match="`from_logits` must be None or False for a model"):
        fgsm(model, np.zeros((1, 3), "float32"), None, 0.1, from_logits=True)


def test_models_that_are_no_classifiers():
    x = keras.Input((3,))
    two = keras.Model([x, keras.Input((3,), name="b")], keras.layers.Dense(2)(x))
    images = np.zeros((1, 3), "float32")
    with pytest.raises(ValueError, match="`model` must have one input"):
        fgsm(two, images, None, 0.1)
    for outputs in (
        [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)],
        keras.layers.Reshape((3, 1))(x),
    ):
        with pytest.raises(ValueError, match="`model` must give one tensor of shape"):
            fgsm(keras.Model(x, outputs), images, None, 0.1)


def test_an_attack_checks_its_values_and_cannot_change():
    attack = Attack("pgd", np.array([0.1, 0.2, 0.3]), step_size=np.float32(0.5), clip=[0, 2])
    assert attack.eps == (0.1, 0.2, 0.3) and attack.clip == (0.0, 2.0) and attack.step == 0.5
    assert attack == Attack(**attack.plain()) and json.loads(json.dumps(attack.plain()))
    assert hash(attack) == hash(Attack(**attack.plain()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        attack.eps = 0.5
    with pytest.raises(ValueError, match="`eps` must be a number >= 0"):
        dataclasses.replace(attack, eps=-1.0)
    fgsm_, pgd_ = Attack("fgsm", 0.5), Attack("pgd", 0.5, steps=5)
    assert (fgsm_.steps, fgsm_.step, fgsm_.random_start) == (1, 0.5, False)
    assert (pgd_.steps, pgd_.step, pgd_.random_start) == (5, 0.25, True)
    np.testing.assert_array_equal(Attack("pgd", [1.0, 2.0], steps=5).step, [0.5, 1.0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "cw"}, "`name` must be one of 'fgsm', 'pgd', .* Received: name='cw'"),
        ({"name": np.zeros((3, 4))}, r"Received: name=an array of shape \(3, 4\) and type float64"),
        ({"name": "fgsm", "steps": 2}, '`steps` must be 1 for "fgsm"'),
        ({"name": "fgsm", "restarts": 2}, "`restarts` must be 1 without a random start"),
        ({"seed": None}, "`seed` must be an integer of at least 0"),
        ({"eps": [0.1], "norm": "l2"}, "`eps` must be a number >= 0"),
    ],
)
def test_a_bad_attack(values, message):
    with pytest.raises(ValueError, match=message):
        Attack(**values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": "pgd"}, "`attack` must be None or an Attack. Received: 'pgd'"),
        ({"attack": Attack("pgd", restarts=2)}, "`attack` must be of one try"),
        ({"eps": -1.0}, "`eps` must be a number >= 0"),
        ({"eps": [0.1, 0.2]}, "`eps` must be .* broadcasts"),
        ({"attack": Attack("pgd")}, "`seed_generator` must be a keras.random.SeedGenerator"),
        ({"attack": Attack("fgsm", targeted=True), "y": None}, "`y` must be the wanted classes"),
        ({"model": 3}, "`model` must be a Keras model or a function"),
    ],
)
def test_a_bad_argument_of_perturb(model, change, message):
    with pytest.raises(ValueError, match=message):
        perturb(**{"model": model, "x": X, "y": Y, **change})


def test_a_network_whose_outputs_are_not_numbers():
    """An argmax would call them class 0, and images of other classes fooled."""
    broken = linear_net(np.ones((12, 3)), bias=[0.0, np.nan, 0.0], shape=(2, 2, 3))
    for attack in (pgd, apgd, square, strong):
        with pytest.raises(FloatingPointError, match="not numbers for 4 of 4 images"):
            attack(broken, X, Y, 0.1)
    with pytest.warns(RuntimeWarning, match="zero or not finite for 4 of 4 images"):
        fgsm(broken, X, None, 0.1)
