"""The parts of the efficiency, and a real run of one network on two processes."""

import json
import math
import os

import keras
import numpy as np
import pytest

from benchmarks import devices
from spectral_keras.models import registry

on_two_cores = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow"
    or len(devices.cores() or range(os.cpu_count() or 1)) < devices.DEVICES,
    reason="measures TensorFlow on two cores",
)


@pytest.mark.parametrize(
    ("scaling", "times", "efficiency", "parts"),
    [
        ("weak", (100, 100, 110, 130), 100 / 130, (1, 100 / 110, 110 / 130)),
        # Half the images in 95 ms instead of half of 100.
        ("strong", (100, 60, 70, 95), 50 / 95, (50 / 60, 60 / 70, 70 / 95)),
    ],
)
def test_efficiency_and_its_parts(scaling, times, efficiency, parts):
    ways = ("reference", "one", "beside", "two")
    row = {way: {"milliseconds": value} for way, value in zip(ways, times, strict=True)}
    found = devices.efficiency({"scaling": scaling, **row})
    assert found["efficiency"] == pytest.approx(efficiency)
    assert tuple(found["parts"].values()) == pytest.approx(parts)
    assert math.prod(parts) == pytest.approx(efficiency)


SMALL = devices.Case("spectral_pool_cnn", 4, (("num_pairs", 1), ("width", 0.25)))


@on_two_cores
def test_a_run_of_two_processes(tmp_path, monkeypatch, capsys):
    """All ways are measured and the devices hold equal weights, or the run would have stopped."""
    monkeypatch.setattr(devices, "cases", lambda: [SMALL])
    monkeypatch.setattr(devices, "NUMBERS", (1_000, 1_000_000))
    path = tmp_path / "devices.json"
    assert devices.main(["--seconds", "0.01", "--output", str(path)]) == 0
    content = json.loads(path.read_text())
    weak, strong = content["rows"]
    assert (weak["scaling"], weak["batch"]) == ("weak", 4)
    assert (strong["scaling"], strong["batch"]) == ("strong", 2)
    assert weak["reference"] == strong["reference"] == weak["one"]
    model = registry.build(SMALL.name, (32, 32, 3), 10, **dict(SMALL.options))
    assert weak["weights"] == sum(math.prod(w.shape) for w in model.trainable_weights)
    for row in content["rows"]:
        for way in ("one", "beside", "two"):
            times = row[way]
            assert 0 < times["fastest"] <= times["milliseconds"] <= times["slowest"]
            assert times["repeats"] >= devices.ROUNDS * devices.DEVICES
    assert [row["numbers"] for row in content["all_reduce"]] == [1_000, 1_000_000]
    assert [row["bytes"] for row in content["all_reduce"]] == [4_000, 4_000_000]
    printed = capsys.readouterr().out
    assert (
        f"{SMALL.label}, strong, 2 images a device" in printed
        and "all-reduce of 1,000,000 numbers" in printed
    )


@on_two_cores
def test_two_devices_train_as_one_on_all_their_images():
    """The step that is measured is the one of the whole batch, and alone it exchanges nothing."""
    import tensorflow as tf

    case = devices.Case("deep_spectral", 4, (("width", 0.125),))
    with devices.Pair() as pair:
        pair.call("load_network", case)
        # All gradients at once: none of it can hide behind the backward pass.
        assert pair.call("all_reduces") == [{"one": 0, "two": 1}] * 2
        start = pair.call("weights")[0]
        pair.call("run", ("one", 4), 0)
        for weights in pair.call("weights"):
            assert all((one == other).all() for one, other in zip(start, weights, strict=True))
        pair.call("run", ("two", 4), 2)
        received, other = pair.call("weights")
        with pytest.raises(devices.ProcessError, match="process 0 has stopped at 'run'"):
            pair.call("run", ("two", 3), 1, on=[0])
    rng = np.random.default_rng(4)
    x = rng.random((8, 32, 32, 3), dtype="float32")
    y = rng.integers(0, 10, (2, 4), dtype="int32").ravel()
    step, model = devices._training_step(case)
    for _ in range(3):
        step(tf.constant(x), tf.constant(y))
    moved = 0.0
    for at_start, one, two, weight in zip(
        start, received, other, model.trainable_variables, strict=True
    ):
        assert (one == two).all()
        np.testing.assert_allclose(one, weight.numpy(), rtol=0, atol=1e-6)
        moved = max(moved, np.abs(one - at_start).max())
    assert moved > 1e-4
