"""The tables: complete, and as published where a number can be seen."""

import pytest

from spectral_keras.corruptions import BENCHMARK, EXTRA, TABLES, names, table_for
from spectral_keras.corruptions.corrupt import FUNCTIONS


def test_groups():
    assert len(names()) == 15 and names("benchmark") == BENCHMARK
    assert len(names("extra")) == 4 and names("extra") == EXTRA
    assert names("all") == BENCHMARK + EXTRA
    assert len(set(names("all"))) == 19 and set(FUNCTIONS) == set(names("all"))
    with pytest.raises(ValueError, match="`group` must be one of 'benchmark'.*Received: group='x'"):
        names("x")


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_five_severities_of_each(table):
    assert tuple(table) == names("all")
    for name, row in table.items():
        assert len(row) == 5, name
        assert len({len(each) if isinstance(each, tuple) else 0 for each in row}) == 1, name
        with pytest.raises(TypeError):
            table[name] = row


def test_the_tables_cannot_be_changed_and_differ():
    assert all(TABLES["cifar"][name] != TABLES["imagenet"][name] for name in names("all"))


def test_elastic_lengths_are_shares_of_32_and_244():
    cifar = [[length / 32 for length in row] for row in TABLES["cifar"]["elastic_transform"]]
    imagenet = [[length / 244 for length in row] for row in TABLES["imagenet"]["elastic_transform"]]
    assert [round(row[2], 9) for row in cifar] == [0.08, 0.07, 0.06, 0.05, 0.03]
    assert [round(row[0], 9) for row in cifar] == [0, 0.05, 0.08, 0.1, 0.1]
    assert [round(row[0], 9) for row in imagenet] == [2, 2, 0.05, 0.07, 0.12]
    assert [round(row[1], 9) for row in imagenet] == [0.7, 0.08, 0.01, 0.01, 0.01]


@pytest.mark.parametrize(
    ("height", "width", "table"),
    [(1, 1, "cifar"), (32, 32, "cifar"), (64, 64, "cifar"), (84, 500, "cifar")]
    + [(85, 85, "imagenet"), (96, 96, "imagenet"), (224, 224, "imagenet"), (500, 90, "imagenet")],
)
def test_the_nearer_table(height, width, table):
    assert table_for(height, width) == table
