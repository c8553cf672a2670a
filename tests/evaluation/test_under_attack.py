"""Accuracy under attack, where it can be computed by hand, and its bookkeeping."""

import json

import keras
import numpy as np
import pytest

from spectral_keras.attacks import RADII, Attack, fgsm, pgd, run_attack
from spectral_keras.classifiers import predict_classes
from spectral_keras.evaluation import (
    accuracy_under_attack,
    attack_outcomes,
    carry_over,
    outcomes,
    wilson_interval,
)
from tests.attacks.nets import classes, conv_net, images, linear_net, shared_net

RNG = np.random.default_rng(3)
COUNT = 200
# Two classes: the sign of the margin decides, and the attack moves it by eps * ||w1 - w0||.
KERNEL = RNG.normal(size=(12, 2))
X = (0.35 + 0.3 * RNG.random((COUNT, 12))).astype("float32")  # 0.35 away from the range's ends
BIAS = np.array([0.0, -np.median(X @ (KERNEL[:, 1] - KERNEL[:, 0]))])
MARGIN = X.astype("float64") @ (KERNEL[:, 1] - KERNEL[:, 0]) + BIAS[1]
Y = (MARGIN > 0).astype("int32")
Y[::10] = 1 - Y[::10]  # a tenth is misclassified from the start
LENGTH = {
    "inf": np.abs(KERNEL[:, 1] - KERNEL[:, 0]).sum(),
    "l2": np.linalg.norm(KERNEL[:, 1] - KERNEL[:, 0]),
}


@pytest.fixture(scope="module")
def linear():
    return linear_net(KERNEL, BIAS)


def attacks(**values):
    """FGSM, and PGD of three steps or of other values."""
    return "fgsm", Attack("pgd", **{"steps": 3, **values})


def radii(norm):
    """0, and radii between the margins of two images, where the gap is wide."""
    margins = np.sort(np.abs(MARGIN))
    places = [k + np.argmax(np.diff(margins[k : k + 20])) for k in (10, 60, 110, 160)]
    middle = [(margins[k] + margins[k + 1]) / 2 for k in places]
    return [0.0, *(float(m / LENGTH[norm]) for m in middle)]


def expected(norm, eps, labels="given"):
    right = (MARGIN > 0) == Y
    held = np.abs(MARGIN) > eps * LENGTH[norm]
    if labels == "given":
        return right & held
    return np.where(right, held, ~held)  # a wrong image becomes right once it gives way


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
@pytest.mark.parametrize("norm", ["inf", "l2"])
@pytest.mark.parametrize("labels", ["given", "predicted"])
def test_linear_model_in_closed_form(linear, attack, norm, labels):
    eps = radii(norm)
    assert max(eps) < 0.35  # nothing is clipped
    steps = {"steps": 40} if attack == "pgd" else {}
    made = Attack(attack, norm=norm, **steps)
    result = accuracy_under_attack(linear, X, Y, made, eps, labels=labels)
    assert result["images"] == COUNT and result["clean"]["correct"] == COUNT * 9 // 10
    points = result["attacks"][attack]
    assert [point["eps"] for point in points] == eps
    for point in points:
        correct = int(expected(norm, point["eps"], labels).sum())
        assert (point["correct"], point["accuracy"]) == (correct, correct / COUNT)
        assert point["interval"] == list(wilson_interval(correct, COUNT))
    assert json.loads(json.dumps(result)) == result


def test_zero_is_clean_and_pgd_never_rises():
    model, x = shared_net(), images(40)
    y = classes(model, x)
    y[::8] = (y[::8] + 1) % 5
    result = accuracy_under_attack(model, x, y, attacks(), eps=(0.03, 0, 0.01, 0.06, 0.01))
    for attack in ("fgsm", "pgd"):
        points = result["attacks"][attack]
        assert [point["eps"] for point in points] == [0, 0.01, 0.03, 0.06]
        assert {**points[0], "eps": 0} == {**result["clean"], "eps": 0}
    accuracy = [point["accuracy"] for point in result["attacks"]["pgd"]]
    assert accuracy == sorted(accuracy, reverse=True) and accuracy[0] == 0.875
    assert accuracy[-1] < accuracy[0]


def test_fgsm_and_the_first_pgd_are_those_of_the_library():
    model, x = shared_net(), images(30)
    y = classes(model, x)
    result = accuracy_under_attack(model, x, y, attacks(seed=4), eps=0.02)
    attacked = {"fgsm": fgsm(model, x, y, 0.02), "pgd": pgd(model, x, y, 0.02, steps=3, seed=4)}
    for attack, images_ in attacked.items():
        (point,) = result["attacks"][attack]
        assert point["accuracy"] == np.mean(classes(model, images_) == y)
        assert 0 < point["accuracy"] < 1


def test_default_radii(linear):
    result = accuracy_under_attack(linear, X[:4], Y[:4], attacks(steps=1))
    assert [255 * point["eps"] for point in result["attacks"]["pgd"]] == pytest.approx(
        [0, 1, 2, 4, 8, 16]
    )
    result = accuracy_under_attack(linear, X[:4], Y[:4], Attack("fgsm", norm="l2"))
    assert tuple(point["eps"] for point in result["attacks"]["fgsm"]) == RADII["l2"]


class TestOutcomes:
    PGD = Attack("pgd", steps=2, seed=1)

    @pytest.mark.parametrize("attack", ["fgsm", "pgd"])
    @pytest.mark.parametrize("labels", ["given", "predicted"])
    def test_later_eps_complete_the_picture(self, attack, labels):
        model, x = shared_net(), images(40)
        y = classes(model, x)
        y[::5] = (y[::5] + 1) % 5
        eps = (0.0, 0.01, 0.02, 0.04)
        options = {"labels": labels}
        attack, name = self.PGD if attack == "pgd" else attack, attack
        whole = list(attack_outcomes(model, x, y, attack, eps, **options))
        parts = list(attack_outcomes(model, x, y, attack, (0.02,), **options))
        for more in ((0.04, 0.02), (0.01, 0.0)):
            parts += attack_outcomes(model, x, y, attack, more, known=parts, **options)
        parts = carry_over(name, parts)
        assert [outcome.eps for outcome in parts] == [outcome.eps for outcome in whole]
        for one, other in zip(whole, parts, strict=True):
            np.testing.assert_array_equal(one.fooled, other.fooled)
            np.testing.assert_array_equal(one.correct, other.correct)
        if labels == "given":
            assert all((outcome.fooled == ~outcome.correct).all() for outcome in whole)

    def test_fooled_images_and_known_eps_cost_nothing(self, monkeypatch):
        model, x = shared_net(), images(40)
        y = classes(model, x)
        y[::5] = (y[::5] + 1) % 5
        attacked = []

        def counted(model, x, y, attack, **options):
            attacked.append((attack.eps, options["index"].tolist()))
            return run_attack(model, x, y, attack, **options)

        monkeypatch.setattr(outcomes, "run_attack", counted)
        found = list(attack_outcomes(model, x, y, self.PGD, (0.01, 0.04)))
        rest = np.flatnonzero(~found[0].fooled).tolist()
        assert 0 < len(rest) < 32
        assert attacked == [(0.01, [i for i in range(40) if i % 5]), (0.04, rest)]
        again = attack_outcomes(model, x, y, self.PGD, (0.01, 0.04), known=found)
        assert list(again) == [] and len(attacked) == 2

    def test_yields_before_the_next_eps_begins(self):
        model, x = shared_net(), images(4)
        steps = attack_outcomes(
            model, x, classes(model, x), self.PGD, (0.1, 0.2),
            progress=lambda eps, done, total: seen.append((eps, done, total)),
        )  # fmt: skip
        seen = []
        assert next(steps).eps == 0.1
        assert {eps for eps, _, _ in seen} == {0.1} and seen[-1] == (0.1, 4, 4)


def test_pgd_with_an_index_attacks_a_part_as_in_the_whole():
    model, x = shared_net(), images(12)
    part = np.array([7, 2, 11])
    options = {"eps": 0.05, "steps": 2, "early_stop": False, "restarts": 2}
    y = classes(model, x)
    np.testing.assert_allclose(
        pgd(model, x[part], y[part], index=part, **options),
        pgd(model, x, y, **options)[part],
        rtol=0, atol=1e-6,
    )  # fmt: skip


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_predicted_classes(activation):
    model, x = conv_net(activation=activation), images(7)
    np.testing.assert_array_equal(predict_classes(model, x, batch_size=3), classes(model, x))
    assert predict_classes(model, x[:0]).shape == (0,)


def test_progress_reaches_all_images(linear):
    seen = []
    accuracy_under_attack(
        linear, X, Y, attacks(steps=2), eps=radii("inf")[:3], batch_size=64,
        progress=lambda *arguments: seen.append(arguments),
    )  # fmt: skip
    for attack in ("fgsm", "pgd"):
        for eps in radii("inf")[1:3]:
            done = [entry[2] for entry in seen if entry[:2] == (attack, eps)]
            assert done == sorted(done) and done[-1] == COUNT
    assert {entry[3] for entry in seen} == {COUNT}


def test_a_model_without_gradient_is_warned_about():
    inputs = keras.Input((4,))
    flat = keras.Model(inputs, keras.layers.Dense(2)(0.0 * keras.ops.sign(inputs)))
    flat.layers[-1].set_weights([np.ones((4, 2)), np.array([1.0, 0.0])])
    with pytest.warns(RuntimeWarning, match="no robustness"):
        result = accuracy_under_attack(flat, images(3, (4,)), [0, 0, 0], "pgd", 0.1)
    assert result["attacks"]["pgd"][0]["accuracy"] == 1


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"attacks": ()}, "`attacks` must hold at least one"),
        ({"attacks": "pgd", "y": Y + 3}, "`y` must hold classes from 0 to 1"),
        ({"attacks": "cw"}, "`attacks` must be one of 'fgsm', 'pgd', .* Received: attacks='cw'"),
        ({"eps": -0.1}, "`eps` must be a number >= 0"),
        ({"eps": ()}, "`eps` must hold at least one number"),
        ({"eps": ("0.1",)}, "`eps` must be a number"),
        ({"attacks": 3}, "`attacks` must be an untargeted Attack or one of .*attacks=3"),
        ({"attacks": [Attack("pgd"), 3]}, "`attacks` must be an untargeted Attack or one of"),
        ({"attacks": Attack(targeted=True)}, "`attacks` must be an untargeted Attack"),
        ({"attacks": [Attack(), Attack(seed=1)]}, "no name twice. Received: name 'pgd', 'pgd'"),
        ({"attacks": ["fgsm", Attack(norm="l2")]}, "of one norm .*Received: norm 'inf', 'l2'"),
        ({"attacks": ["fgsm", Attack(clip=None)]}, "one range.*Received: clip"),
        ({"labels": "true"}, "`labels` must be one of 'given', 'predicted'"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"x": X[:0], "y": Y[:0]}, "`x` must hold at least one image"),
        ({"x": 2 * X}, "`x` must lie in clip"),
        ({"y": Y[:3]}, "`y` must be"),
        ({"y": Y + 1}, "`y` must hold classes from 0 to 1"),
        ({"y": None}, "`y` must be the true classes. Received: y=None"),
        ({"progress": 1}, "`progress` must be None or a callable"),
        ({"model": "resnet"}, "`model` must be a Keras model"),
    ],
)
def test_bad_arguments(linear, change, match):
    arguments = {"model": linear, "x": X, "y": Y, "eps": 0.1} | change
    with pytest.raises(ValueError, match=match):
        accuracy_under_attack(**arguments)


def test_one_hot_labels(linear):
    one = accuracy_under_attack(linear, X, Y, "fgsm", 0.01)
    assert accuracy_under_attack(linear, X, np.eye(2)[Y], "fgsm", 0.01) == one
    assert accuracy_under_attack(linear, X, Y[:, None], "fgsm", 0.01) == one
