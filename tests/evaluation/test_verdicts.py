"""The rule by which measurements become verdicts."""

import itertools

import pytest

from spectral_keras.evaluation import VERDICTS, combine, judge


@pytest.mark.parametrize(
    ("interval", "bound", "above", "expected"),
    [
        ((0.1, 0.2), 0, True, "confirmed"),
        ((0.1, 0.2), 0.3, True, "contradicted"),
        ((0.1, 0.2), 0.15, True, "undecided"),
        ((0.1, 0.2), 0.3, False, "confirmed"),
        ((0.1, 0.2), 0, False, "contradicted"),
        # On the bound itself nothing is decided.
        ((0, 0.2), 0, True, "undecided"),
        ((-0.2, 0), 0, True, "undecided"),
        ((0, 0), 0, False, "undecided"),
        (None, 0, True, "undecided"),
    ],
)
def test_an_interval_is_on_one_side_or_decides_nothing(interval, bound, above, expected):
    assert judge(interval, bound, above=above) == expected


def test_what_could_not_show_the_effect_decides_nothing():
    for above in (True, False):
        assert judge((1, 2), 0, above=above, able=False) == "undecided"
        assert judge((1, 2), 0, above=above, measured=False) == "not run"


@pytest.mark.parametrize("interval", [(2, 1), (float("nan"), 1), (0, float("nan"))])
def test_no_interval_at_all(interval):
    with pytest.raises(ValueError, match="`interval`"):
        judge(interval)


def test_combine_takes_the_worst():
    # From worst to best.
    order = ("contradicted", "not run", "undecided", "confirmed")
    assert set(order) == set(VERDICTS)
    for parts in itertools.product(order, repeat=3):
        assert combine(parts) == min(parts, key=order.index)


@pytest.mark.parametrize("verdicts", [[], ["refuted"], ["confirmed", None]])
def test_combine_wants_verdicts(verdicts):
    with pytest.raises(ValueError, match="`verdicts`"):
        combine(verdicts)
