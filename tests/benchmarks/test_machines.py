"""Time on a machine: roofline, all-reduce, overlap."""

import dataclasses

import keras
import pytest

from benchmarks import machines
from benchmarks.layer_costs import BACKWARD, FORWARD, Step
from benchmarks.model_costs import single_layer_cost

TOY = machines.Accelerator("toy", {"bfloat16": 10e9, "tf32": 5e9}, 1e9, 2e9, 1e9, 4e8, 1e8)


def test_the_longer_of_arithmetic_and_traffic():
    heavy = Step("heavy", FORWARD, products=4e9, numbers=1e6)
    light = Step("light", BACKWARD, products=1e6, numbers=7e8)
    fused = Step("fused", FORWARD, others=1e9, numbers=1e9, fused=0)
    time = machines.step_time([heavy, light, fused], TOY)
    assert time.arithmetic == pytest.approx(4e9 / (0.4 * 10e9))
    assert time.traffic == pytest.approx(2 * 7e8 / (0.7 * 2e9))
    assert time.launch == 2 * machines.KERNEL
    assert time.backward == pytest.approx(time.traffic + machines.KERNEL)
    slower = machines.step_time([heavy, light], TOY, "tf32")
    assert slower.total - 2 * machines.KERNEL == pytest.approx(
        2 * (time.total - 2 * machines.KERNEL)
    )
    assert (time.bound, machines.step_time([light], TOY).bound) == ("compute", "memory")


def _simulated_ring(size, gpus, bandwidth, hop):
    """Rounds of a ring: in each every device passes one n-th of the gradients on."""
    seconds = 0.0
    for _ in ("reduce-scatter", "all-gather"):
        for _ in range(gpus - 1):
            seconds += size / gpus / bandwidth + hop
    return seconds


@pytest.mark.parametrize("gpus", [2, 3, 8])
def test_ring(gpus):
    expected = _simulated_ring(1e8, gpus, 0.8 * TOY.link, machines.HOP)
    assert machines.all_reduce_time(1e8, gpus, TOY) == pytest.approx(expected)


def test_ring_through_servers_and_of_one():
    expected = _simulated_ring(1e8, 64, 0.8 * TOY.network, machines.HOP)
    assert machines.all_reduce_time(1e8, 64, TOY) == pytest.approx(expected)
    assert machines.all_reduce_time(1e8, 1, TOY) == 0


def test_overlap_hides_as_much_as_the_backward_pass():
    cost = single_layer_cost(keras.layers.Dense(1000), (1000,), 8)
    one = machines.step_time(cost.steps, TOY)
    exchange = machines.all_reduce_time(cost.gradient_bytes(), 8, TOY)
    assert exchange > one.backward > 0
    after = machines.parallel_time(cost, TOY, 8, overlap=False)
    assert after == pytest.approx(one.total + exchange)
    assert machines.parallel_time(cost, TOY, 8) == pytest.approx(after - one.backward)
    quick = dataclasses.replace(TOY, link=1e12)
    assert 0 < machines.all_reduce_time(cost.gradient_bytes(), 8, quick) < one.backward
    assert machines.parallel_time(cost, quick, 8) == one.total


def test_processor_adds_its_terms():
    cost = single_layer_cost(keras.layers.Conv2D(4, 3), (8, 8, 3), 2)
    amounts = machines.amounts(cost)
    assert amounts[0] == 3 * 2 * 2 * 36 * 27 * 4
    processor = machines.Processor(1e-9, 1.0, 1e-6, 1e-3)
    expected = 1e-9 * amounts[0] + 1e-6 * cost.bytes() + 1e-3 * len(cost.steps)
    assert processor.seconds(cost) == pytest.approx(expected)
