"""Claims in one form: what is shown, and by which rule it is judged."""

import pytest

from figures._claims import claim, exact, number, over_seeds, sentence, summary
from spectral_keras.evaluation import t_interval

PLACE = ("fourier_masks", "Table 1", "it helps", "a network")


def test_nothing_measured_is_not_run():
    one = claim(*PLACE)
    assert one["verdict"] == "not run" and one["effect"] is None and one["interval"] is None


def test_one_seed_is_undecided_and_two_have_an_interval():
    one = claim(*PLACE, **over_seeds([3.0]))
    assert one["verdict"] == "undecided" and one["effect"] == 3 and one["detectable"] is None
    two = claim(*PLACE, **over_seeds([3.0, 3.1]))
    assert two["verdict"] == "confirmed" and two["over"] == "2 seeds"
    assert two["interval"] == pytest.approx(list(t_interval([3.0, 3.1])))
    assert two["detectable"] == pytest.approx(0.05 * 12.7062, rel=1e-4)


def test_of_several_parts_the_one_that_decides_is_shown():
    parts = [
        ("a", {"interval": (1, 2), "effect": 1.5}),
        ("b", {"interval": (-2, -1), "effect": -1.5}),
        ("c", {"interval": (-1, 1), "effect": 0.0}),
    ]
    one = claim(*PLACE, parts=parts)
    assert (one["verdict"], one["of"], one["effect"]) == ("contradicted", "b", -1.5)
    one = claim(*PLACE, parts=parts[:1] + parts[2:])
    assert (one["verdict"], one["of"], one["interval"]) == ("undecided", "c", [-1, 1])
    # A part that was not run has nothing to show.
    missing = ("d", {"interval": None, "measured": False})
    one = claim(*PLACE, parts=[parts[0], missing])
    assert (one["verdict"], one["of"], one["effect"]) == ("not run", "a", 1.5)


def test_words():
    one = claim(*PLACE, **exact(0.25), printed=0.5, note="twice", unit="times")
    assert sentence(one) == "it helps: CONFIRMED, 0.25 [0.25, 0.25] times (paper 0.50); twice"
    assert summary([one, claim(*PLACE)]) == (
        "Claims: 1 confirmed, 1 not run (docs/papers/results_fourier_masks.md)"
    )
    numbers = [number(value) for value in (0, 31.44, -1.234, 0.0456, 2e-6, "1/5")]
    assert numbers == ["0.00", "31.4", "-1.23", "0.046", "2e-06", "1/5"]
