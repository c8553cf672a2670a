"""The classifier finds what is in the masks, and nothing in noise; its control can fail."""

import json

import numpy as np
import pytest

from spectral_keras.analysis import ChanceRule, classify_masks
from spectral_keras.analysis.mask_classifier import _classifier
from spectral_keras.classifiers.intervals import wilson_interval

FAST = {"batch_size": 64, "learning_rate": 0.01, "epochs": 8}


def noise(count, size, seed):
    return (np.random.default_rng(seed).random((count, size, size)) < 0.3).astype("float32")


def planted(count, size, classes, seed):
    """Masks of noise with frequencies of the class added, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    own = rng.random((classes, size, size)) < 0.15
    return np.maximum(noise(count, size, seed + 1), own[labels] * 1.0), labels


@pytest.fixture(scope="module")
def signal():
    masks, labels = planted(400, 10, 4, seed=0)
    return masks, labels, classify_masks(masks, labels, **FAST)


class TestSignal:
    def test_planted_frequencies_are_found(self, signal):
        report = signal[-1].report
        assert report["verdict"] == "separable", report["statement"]
        assert report["labels"]["test_accuracy"] > 0.9
        assert report["labels"]["reading"] == "above chance"
        assert report["control"]["reading"] != "above chance"
        # The control is fit (chance: a quarter), which labels made anew at every access cannot be.
        assert report["control"]["train_accuracy"] > 0.45
        assert report["control"]["test_accuracy"] < 0.45

    def test_the_report_is_plain_and_consistent(self, signal):
        masks, labels, result = signal
        report = result.report
        assert json.loads(json.dumps(report)) == report
        assert report["train_masks"] == int(0.85 * 400) == len(result.train)
        assert sorted([*result.train, *result.test]) == list(range(400))
        assert report["classes"] == [0, 1, 2, 3]
        correct = result.logits.argmax(1) == labels
        assert report["labels"]["test_accuracy"] == correct[result.test].mean()
        assert report["labels"]["train_accuracy"] == correct[result.train].mean()
        assert report["labels"]["chance"] == np.bincount(labels).max() / 400
        assert f"{report['labels']['test_accuracy']:.3f}" in report["statement"]

    def test_the_model_gives_the_logits(self, signal):
        masks, _, result = signal
        x = np.fft.fftshift(masks, (1, 2)).reshape(len(masks), -1)
        logits = result.model.predict_on_batch(x)
        np.testing.assert_allclose(logits, result.logits, atol=1e-4)


def test_noise_is_not_separable():
    labels = np.random.default_rng(5).integers(0, 4, 1200)
    report = classify_masks(noise(1200, 8, 6), labels, **FAST).report
    assert report["verdict"] == "not separable", report["statement"]
    for arm in ("labels", "control"):
        assert report[arm]["reading"] == "at chance"
        low, high = report[arm]["test_interval"]
        assert low <= report[arm]["chance"] and high < 0.4


def test_a_small_test_set_does_not_tell():
    labels = np.arange(40) % 2
    report = classify_masks(noise(40, 6, 9), labels, **FAST).report
    assert report["test_masks"] == 6
    assert report["verdict"] == "too small to tell", report["statement"]
    assert "6 test masks" in report["statement"]


def test_the_control_can_fail():
    """Where the labels are not permuted after all, it is above chance and says so."""
    masks, labels = planted(400, 6, 2, seed=2)
    report = classify_masks(masks, labels, **FAST).report
    assert report["verdict"] == "separable"

    class Leak(np.random.Generator):
        """Its permutations are in order."""

        def permutation(self, x):
            return np.arange(x) if np.ndim(x) == 0 else np.array(x)

    leaking = Leak(np.random.PCG64(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "default_rng", lambda seed: leaking)
        report = classify_masks(masks, labels, **FAST).report
    assert report["verdict"] == "control failed", report["statement"]


def test_the_seed_decides_all(signal):
    masks, labels, first = signal
    again = classify_masks(masks, labels, **FAST)
    np.testing.assert_allclose(again.logits, first.logits, atol=1e-5)
    assert again.report == first.report
    other = classify_masks(masks, labels, **{**FAST, "epochs": 1}, seed=1)
    assert set(other.test) != set(first.test)


def test_balanced_takes_equally_many_and_labels_may_have_gaps():
    labels = np.repeat([7, -2, 30], [50, 20, 30])
    masks = noise(100, 5, 1)
    result = classify_masks(masks, labels, balanced=True, **{**FAST, "epochs": 1})
    used = np.concatenate([result.train, result.test])
    assert result.report["classes"] == [-2, 7, 30] and result.report["masks"] == 60
    assert len(set(used)) == 60
    assert np.unique(labels[used], return_counts=True)[1].tolist() == [20, 20, 20]
    assert result.report["labels"]["chance"] == pytest.approx(1 / 3)
    assert result.logits.shape == (100, 3)


def test_one_step_is_adam_with_coupled_decay():
    """Gradient plus decay times weight, then Adam's first step: the rate times the sign."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4)).astype("float32"), np.array([0, 1, 2, 0, 1, 2])
    settings = {"epochs": 1, "batch_size": 6, "learning_rate": 0.5, "seed": 3}
    changes = {}
    for decay in (0.0, 100.0):
        model, fit = _classifier(4, 3, 6, weight_decay=decay, **settings)
        fit(x, y)
        bound, first = 0.5, np.random.default_rng([3, 1])
        kernel = first.uniform(-bound, bound, (4, 3))
        bias = first.uniform(-bound, bound, 3)
        logits = x @ kernel + bias
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        p[np.arange(6), y] -= 1
        for weights, gradient, after in zip(
            (kernel, bias), (x.T @ p / 6, p.mean(0)), model.get_weights(), strict=True
        ):
            direction = np.sign(gradient + decay * weights)
            # The first rate of the warm-up is a 25th of the peak.
            np.testing.assert_allclose(after, weights - 0.5 / 25 * direction, atol=1e-5)
        changes[decay] = model.get_weights()[0]
    assert not np.allclose(changes[0.0], changes[100.0])


@pytest.mark.parametrize(
    ("interval", "chance", "margin", "reading"),
    [
        ((0.21, 0.9), 0.2, 0.1, "above chance"),
        ((0.2, 0.29), 0.2, 0.1, "at chance"),
        ((0.0, 0.1), 0.2, 0.1, "at chance"),
        ((0.1, 0.31), 0.2, 0.1, "too small to tell"),
        ((0.1, 0.31), 0.2, 0.2, "at chance"),
        # Nothing could be above a chance of one.
        ((0.9, 1.0), 1.0, 0.1, "too small to tell"),
    ],
)
def test_readings(interval, chance, margin, reading):
    assert ChanceRule(margin=margin).read(interval, chance) == reading


def test_the_rule_decides_and_is_reported():
    labels = np.arange(40) % 2
    few = FAST | {"epochs": 1}
    strict = classify_masks(noise(40, 6, 9), labels, **few).report
    loose = classify_masks(noise(40, 6, 9), labels, rule=ChanceRule(0.5, 0.45), **few).report
    assert (strict["confidence"], strict["margin"]) == (0.95, 0.1)
    assert (loose["confidence"], loose["margin"]) == (0.5, 0.45)
    for arm in ("labels", "control"):
        accuracy = loose[arm]["test_accuracy"]
        assert accuracy == strict[arm]["test_accuracy"]
        interval = wilson_interval(round(6 * accuracy), 6, 0.5)
        assert loose[arm]["test_interval"] == list(interval)
    assert strict["verdict"] == "too small to tell" != loose["verdict"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"masks": np.ones((10, 16))}, r"`masks` must have shape \(masks, height, width\)"),
        ({"labels": np.zeros(10, int)}, "`labels` must hold at least two classes"),
        ({"labels": np.zeros(9, int)}, "`labels` must be 10 integers.*Received: int64 of shape"),
        ({"labels": np.linspace(0, 1, 10)}, "`labels` must be 10 integers"),
        ({"train_share": 1.0}, "`train_share` must be a number > 0 and < 1"),
        ({"train_share": 0.01}, "`train_share` must leave at least one of the 10 masks"),
        ({"epochs": 0}, "`epochs` must be a positive integer"),
        ({"weight_decay": -1}, "`weight_decay`"),
        ({"rule": 0.95}, "`rule` must be None or a ChanceRule. Received: rule=0.95"),
        ({"balanced": 1}, "`balanced` must be True or False"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        classify_masks(**{"masks": np.ones((10, 4, 4)), "labels": np.arange(10) % 2, **arguments})


@pytest.mark.parametrize("value", [{"confidence": 1}, {"margin": 0}, {"margin": True}])
def test_a_bad_rule(value):
    with pytest.raises(ValueError, match=f"`{next(iter(value))}` must be a number > 0 and < 1"):
        ChanceRule(**value)
