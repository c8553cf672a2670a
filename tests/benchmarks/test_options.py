"""Values of the benchmarks' options: each within what a machine ends."""

import argparse

import pytest

from benchmarks._options import integer, number


@pytest.mark.parametrize("text", ["0", "1000001", "1" + 30 * "0", "nan", "2.5", "", "x"])
def test_counts(text):
    assert integer(1)("1000000") == 10**6
    with pytest.raises(argparse.ArgumentTypeError, match="an integer of at least 1 and at most"):
        integer(1)(text)


@pytest.mark.parametrize("text", ["0", "4.5", "inf", "nan", "1e999"])
def test_numbers(text):
    assert number(0, 4, low_open=True)("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError, match="a number above 0 and at most 4"):
        number(0, 4, low_open=True)(text)
