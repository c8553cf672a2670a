"""Learning rates and stopping rules against the published constants, counted exactly."""

import numpy as np
import pytest

from spectral_keras.analysis.masks import EpochRule, GaussNewton, OneCycle, StepRule
from spectral_keras.analysis.masks.single import PRESETS


def torch_one_cycle(step, peak, total, warmup, beta1=(0.85, 0.95)):
    """(rate, beta1) after PyTorch's documentation of OneCycleLR, cosine, two phases."""

    def cosine(start, end, share):
        return end + (start - end) / 2 * (1 + np.cos(np.pi * share))

    top = warmup * total - 1
    if step <= top:
        share = step / top
        return cosine(peak / 25, peak, share), cosine(beta1[1], beta1[0], share)
    share = (step - top) / (total - 1 - top)
    return cosine(peak, peak / 25 / 1e4, share), cosine(beta1[0], beta1[1], share)


def test_one_cycle_is_pytorchs():
    cycle = OneCycle(peak=1e-3, total_steps=700)
    for step in (0, 1, 35, 69, 70, 300, 699):
        rate, beta1 = torch_one_cycle(step, 1e-3, 700, 0.1)
        np.testing.assert_allclose(cycle.rate(step), rate, rtol=1e-12)
        np.testing.assert_allclose(cycle.momentum(step), beta1, rtol=1e-12)
    np.testing.assert_allclose(cycle.rate([0, 69, 699]), [4e-5, 1e-3, 4e-9], rtol=1e-9)
    np.testing.assert_allclose(cycle.momentum([0, 69, 699]), [0.95, 0.85, 0.95], rtol=1e-9)


def test_published_schedule_stays_in_its_warm_up():
    schedule, rule, keep = PRESETS["published"]
    expected = [0.008, 0.008003, 0.008074, 0.009182]
    np.testing.assert_allclose(schedule.rate([0, 1000, 5000, 20000]), expected, atol=6e-7)
    assert rule == StepRule(
        patience=300, invariance_tolerance=1e-6, sparsity_tolerance=1e-5, max_steps=20000
    )
    assert keep == "last"


def test_adams_rates():
    cycle = OneCycle(peak=0.2, total_steps=4_000_000)
    size, beta1, root = cycle.rates(np.array([0, 9])).T
    b = cycle.momentum([0, 9])
    np.testing.assert_allclose(beta1, b, rtol=1e-6)
    np.testing.assert_allclose(size, cycle.rate([0, 9]) / (1 - b ** np.array([1, 10])), rtol=1e-6)
    np.testing.assert_allclose(root, np.sqrt(1 - 0.999 ** np.array([1, 10])), rtol=1e-6)


def test_gauss_newton_rates():
    rule = GaussNewton(start=0.1, largest=0.3, grow=2.0, shrink=0.25)
    np.testing.assert_allclose(rule.rates(np.zeros(2, int)), [[2.0, 0.25, 0.3]] * 2, rtol=1e-6)


def test_calm_steps_are_counted_in_a_row():
    rule = StepRule(patience=3, invariance_tolerance=1e-6, sparsity_tolerance=1e-5)
    counts, before = np.zeros(1, int), np.full((2, 1), np.nan)
    seen = []
    # (invariance, sparsity, kept)
    for step in [
        (1.0, 0.5, True),  # nothing to compare with
        (1.0, 0.5, True),
        (1.0 + 9e-7, 0.5 - 9e-6, True),
        (1.0 + 3e-6, 0.5, True),  # invariance moved
        (1.0 + 3e-6, 0.5, True),
        (1.0 + 3e-6, 0.5 + 2e-5, True),  # sparsity moved
        (1.0 + 3e-6, 0.5 + 2e-5, True),
        (1.0 + 3e-6, 0.5 + 2e-5, False),  # another prediction
        (1.0 + 3e-6, 0.5 + 2e-5, True),
    ]:
        now = np.array([[step[0]], [step[1]]])
        counts = rule.calm(counts, before, now, np.array([step[2]]))
        before = now
        seen.append(int(counts[0]))
    assert seen == [0, 1, 2, 0, 1, 0, 1, 0, 1]


def test_calm_epochs_are_counted_in_a_row():
    rule = EpochRule(patience=2, sparsity_tolerance=1e-5, accuracy_ratio=0.99)
    assert rule.calm(0, 1, True, 1.0, 1.0) == 0  # the first epoch does not count
    assert rule.calm(0, 2, True, 0.5, 0.5 + 9e-6) == 1
    assert rule.calm(1, 3, True, 0.5, 0.5 + 2e-5) == 0
    assert rule.calm(1, 3, False, 0.5, 0.5) == 0
    assert rule.accurate(0.99, 1.0) and not rule.accurate(0.989, 1.0)
    assert rule.accurate(0.0, 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneCycle(peak=0, total_steps=3), "`peak` must be a number > 0"),
        (lambda: OneCycle(peak=1, total_steps=3, beta1=(0.9,)), "`beta1` must be a pair"),
        (lambda: GaussNewton(start=2), "`start` must be a number > 0 and <= 1"),
        (lambda: GaussNewton(shrink=1), "`shrink` must be a number > 0 and < 1"),
        (lambda: StepRule(patience=0), "`patience` must be a positive integer"),
        (lambda: StepRule(max_steps=1.5), "`max_steps` must be a positive integer"),
        (lambda: EpochRule(accuracy_ratio=-1), "`accuracy_ratio` must be a number >= 0"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(ValueError, match=message):
        make()
