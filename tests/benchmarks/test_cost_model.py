"""The page on scaling says what the code says."""

import pathlib
import re

import keras
import pytest

from benchmarks import cost_model, measured_tables

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "scaling.md"

needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="one backend is enough"
)


@needs_tensorflow
def test_the_tables_of_the_page_are_those_of_the_code():
    text = PAGE.read_text()
    results = measured_tables.load()
    assert set(re.findall(r"<!-- table (\w+) -->", text)) == set(cost_model.TABLES)
    assert cost_model.filled(text, results) == text


def test_a_wrong_number_is_found(monkeypatch):
    monkeypatch.setattr(cost_model, "TABLES", {"one": lambda results: f"| {results} |"})
    page = "a\n<!-- table one -->\n| 2 |\n<!-- end -->\nb\n"
    assert cost_model.filled(page, 3) == page.replace("2", "3")
    assert cost_model.filled(page, 2) == page
    with pytest.raises(ValueError, match="no table 'two', there are one"):
        cost_model.filled("<!-- table two -->\n<!-- end -->", 3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.1234, "0.123"),
        (12.345, "12.3"),
        (123.4, "123"),
        (12345.6, "12,346"),
        (1e-6, "0.00"),
    ],
)
def test_numbers(value, text):
    assert measured_tables.short(value) == text


@needs_tensorflow
def test_one_network(capsys):
    command = "--network fourier_cnn --image-size 32 --classes 10 --batch-size 8 --gpus 8"
    cost_model.main(command.split())
    printed = capsys.readouterr().out
    assert "| FFTConvPool2D | 7 |" in printed
    assert "8 GPUs: all-reduce" in printed and "bound by" in printed


def test_hiding_batch_is_the_smallest():
    from benchmarks import machines
    from benchmarks.model_costs import single_layer_cost

    def cost(batch):
        return single_layer_cost(keras.layers.Conv2D(64, 3), (16, 16, 64), batch)

    batch = cost_model.hiding_batch(cost, machines.H100, 64)
    exchange = machines.all_reduce_time(cost(1).gradient_bytes(), 64, machines.H100)
    for each, hides in ((batch, True), (batch // 2, False)):
        steps = cost(each).steps
        assert (machines.step_time(steps, machines.H100).backward >= exchange) == hides
