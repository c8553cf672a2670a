"""The worst of several attacks, and models of one output."""

import keras
import numpy as np
import pytest

from spectral_keras.attacks import Attack, apgd, fgsm, pgd, run_attack, square, strong
from spectral_keras.classifiers import logits_function, predict_classes
from spectral_keras.evaluation import accuracy_under_attack
from tests.attacks.nets import Opaque, classes, conv_net, images, linear_net, outputs

ATTACKS = {
    "fgsm": fgsm,
    "pgd": pgd,
    "apgd": lambda *x, **options: apgd(*x, steps=20, **options),
    "square": lambda *x, **options: square(*x, steps=200, **options),
    "strong": lambda *x, **options: strong(*x, steps=4, **options),
}


@pytest.mark.parametrize("norm", ["inf", "l2"])
def test_is_the_worst_of_its_members(norm):
    model, x = conv_net(seed=3), images(20)
    y, eps = classes(model, x), {"inf": 0.012, "l2": 0.1}[norm]
    attack = Attack("strong", eps, steps=4, norm=norm)
    members = attack.members(5)
    assert [(m.name, m.loss, m.steps) for m in members] == [
        ("apgd", "cross_entropy", 4),
        ("apgd", "dlr", 4),
        ("square", "margin", 200),
        ("pgd", "cross_entropy", 4),
    ]
    done = []
    found = strong(
        model, x, y, eps, 4, norm=norm, batch_size=8, progress=lambda *at: done.append(at)
    )
    fooled = [classes(model, run_attack(model, x, y, member)) != y for member in members]
    np.testing.assert_array_equal(classes(model, found) != y, np.any(fooled, axis=0))
    assert 0 < np.any(fooled, axis=0).sum() < 20
    assert done[-1] == (20, 20) and done == sorted(done)
    # Nobody's: the first one's best.
    held = ~np.any(fooled, axis=0)
    np.testing.assert_allclose(
        found[held], run_attack(model, x, y, members[0])[held], rtol=0, atol=1e-5
    )


def test_own_labels_and_what_it_refuses():
    model, x = conv_net(), images(6)
    np.testing.assert_array_equal(
        strong(model, x, None, 0.05, 2), strong(model, x, classes(model, x), 0.05, 2)
    )
    for name, value in (("restarts", 2), ("targeted", True), ("loss", "margin"), ("step_size", 1)):
        with pytest.raises(ValueError, match=f'`{name}` must be .* for "strong"'):
            Attack("strong", **{name: value})


def test_accuracy_never_rises_with_eps_and_is_the_lowest():
    model, x = conv_net(), images(16)
    y = classes(model, x)
    attacks = [
        Attack("fgsm"), Attack("pgd", steps=4), Attack("apgd", steps=4), Attack("square", steps=20),
        Attack("strong", steps=4),
    ]  # fmt: skip
    result = accuracy_under_attack(model, x, y, attacks, (0, 0.01, 0.02))["attacks"]
    for name, points in result.items():
        accuracy = [point["accuracy"] for point in points]
        assert accuracy[0] == 1 and (name == "fgsm" or accuracy == sorted(accuracy)[::-1])
        lowest = [point["accuracy"] for point in result["strong"]]
        assert name in ("fgsm", "square") or all(np.subtract(accuracy, lowest) >= 0)


class TestOneOutput:
    """w x + b > 0: two classes of known margins."""

    KERNEL = np.random.default_rng(0).normal(size=(12, 1))
    X = (0.4 + 0.2 * np.random.default_rng(1).random((30, 2, 2, 3))).astype("float32")
    BIAS = -np.median(X.reshape(30, 12) @ KERNEL)
    MARGIN = X.reshape(30, 12).astype("float64") @ KERNEL[:, 0] + BIAS
    Y = (MARGIN > 0).astype("int32")

    def model(self, kind):
        activation = {"sigmoid": "sigmoid", "opaque": "sigmoid"}.get(kind)
        model = linear_net(self.KERNEL, [self.BIAS], (2, 2, 3), activation)
        if kind == "activation":
            model.add(keras.layers.Activation("sigmoid"))
        return Opaque(model) if kind == "opaque" else model

    @pytest.mark.parametrize("kind", ["linear", "sigmoid", "activation", "opaque"])
    def test_logits(self, kind):
        model = self.model(kind)
        from_logits = False if kind == "opaque" else None
        logits, ending = logits_function(model, from_logits)
        assert ending == {"opaque": "unknown", "activation": "sigmoid"}.get(kind, kind)
        logits = keras.ops.convert_to_numpy(logits(keras.ops.convert_to_tensor(self.X)))
        np.testing.assert_allclose(logits[:, 1] - logits[:, 0], self.MARGIN, atol=1e-4)
        predicted = predict_classes(model, self.X, from_logits=from_logits)
        np.testing.assert_array_equal(predicted, self.Y)

    @pytest.mark.parametrize("name", ATTACKS)
    @pytest.mark.parametrize("kind", ["linear", "sigmoid", "opaque"])
    def test_falls_exactly_where_the_margin_is_too_small(self, name, kind):
        if name == "strong" and kind == "opaque":
            pytest.skip("as linear")
        eps = float(np.median(np.abs(self.MARGIN)) / np.abs(self.KERNEL).sum())
        model = self.model(kind)
        from_logits = False if kind == "opaque" else None
        found = ATTACKS[name](model, self.X, self.Y[:, None], eps, from_logits=from_logits)
        fooled = predict_classes(model, found, from_logits=from_logits) != self.Y
        expected = np.abs(self.MARGIN) < eps * np.abs(self.KERNEL).sum()
        close = np.abs(np.abs(self.MARGIN) / np.abs(self.KERNEL).sum() - eps) < 0.05 * eps
        if name == "square":  # which may miss the best corner
            assert not (fooled & ~expected & ~close).any() and fooled.sum() > 0.5 * expected.sum()
        else:
            np.testing.assert_array_equal(fooled[~close], expected[~close])

    def test_evaluation(self):
        result = accuracy_under_attack(self.model("sigmoid"), self.X, self.Y, "pgd", (0, 1.0))
        assert [point["accuracy"] for point in result["attacks"]["pgd"]] == [1.0, 0.0]

    def test_an_unknown_end_has_to_be_told(self):
        model = self.model("opaque")
        for call in (lambda: fgsm(model, self.X), lambda: predict_classes(model, self.X)):
            with pytest.raises(ValueError, match="`from_logits` must be True or False for a model"):
                call()
        with pytest.raises(ValueError, match="for a model that ends in a sigmoid"):
            fgsm(self.model("sigmoid"), self.X, from_logits=True)
        assert outputs(model, self.X).shape == (30, 1)
