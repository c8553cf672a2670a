"""The fit and its parts, bad options, and a real run of one network on two processes."""

import json
import math
import os
import pathlib
import random

import keras
import numpy as np
import pytest

from benchmarks import cases_devices, devices, machines, scaling
from spectral_keras.models import registry

LATENCY, BANDWIDTH = 3e-4, 5e8
COMMITTED = pathlib.Path(devices.__file__).parent / "results" / "devices.json"

on_two_cores = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow"
    or len(cases_devices.cores() or range(os.cpu_count() or 1)) < cases_devices.DEVICES,
    reason="measures TensorFlow on two cores",
)


def _vectors(noise=0.0):
    """All-reduces of two devices as they would be, beside a call of 0.2 ms."""
    generator = random.Random(0)
    rows = []
    for numbers in cases_devices.NUMBERS:
        seconds = 4 * numbers / BANDWIDTH + 2 * LATENCY
        seconds *= math.exp(noise * generator.gauss(0, 1))
        rows.append(
            {
                "numbers": numbers,
                "bytes": 4 * numbers,
                "milliseconds": 1e3 * seconds + 0.2,
                "call": {"milliseconds": 0.2},
            }
        )
    return rows


def _row(scaling_, reference, one, beside, two, gradient_bytes=10_000_000):
    times = {"reference": reference, "one": one, "beside": beside, "two": two}
    return {
        "case": f"a network of {one} ms",
        "scaling": scaling_,
        "batch": 4,
        "gradient_bytes": gradient_bytes,
        **{way: {"milliseconds": value} for way, value in times.items()},
    }


def test_fit_finds_the_constants():
    vectors = _vectors()
    summary = devices.fit(vectors, [_row("weak", 100, 100, 110, 130)])
    assert summary["latency"] == pytest.approx(LATENCY, rel=1e-4)
    assert summary["bandwidth"] == pytest.approx(BANDWIDTH, rel=1e-4)
    for row in vectors:
        assert row["predicted_milliseconds"] == pytest.approx(row["milliseconds"] - 0.2, rel=1e-3)
    noisy = devices.fit(_vectors(noise=0.1), [])
    assert noisy["latency"] == pytest.approx(LATENCY, rel=0.3)
    assert noisy["bandwidth"] == pytest.approx(BANDWIDTH, rel=0.3)


def test_training_steps_are_held_out():
    rows = [_row("weak", 100, 100, 110, 130), _row("strong", 100, 60, 70, 95)]
    first = devices.fit(_vectors(0.1), rows)
    for row in rows:
        row["two"]["milliseconds"] *= 3
    second = devices.fit(_vectors(0.1), rows)
    for key in ("latency", "bandwidth"):
        assert first[key] == second[key]
    for name, errors in first["errors"].items():
        for kind, error in errors.items():
            assert error["cases"] == 1
            other = second["errors"][name][kind]["median_ratio"]
            assert error["median_ratio"] == pytest.approx(3 * other)


def test_predictions_and_efficiency():
    """10 MB: 20 ms by the bandwidth, 0.6 ms by the two hops."""
    weak, strong = rows = [_row("weak", 100, 100, 110, 130), _row("strong", 100, 60, 70, 95)]
    devices.fit(_vectors(), rows)
    for row, one, beside in ((weak, 100, 110), (strong, 60, 70)):
        assert row["all_reduce_milliseconds"] == pytest.approx(20.6, rel=1e-3)
        assert row["predicted_milliseconds"] == pytest.approx(one + 20.6, rel=1e-3)
        assert row["beside_predicted_milliseconds"] == pytest.approx(beside + 20.6, rel=1e-3)
        assert math.prod(row["parts"].values()) == pytest.approx(row["efficiency"])
    assert weak["ratio"] == pytest.approx(120.6 / 130, rel=1e-3)
    assert weak["efficiency"] == pytest.approx(100 / 130)
    assert weak["predicted_efficiency"] == pytest.approx(100 / 120.6, rel=1e-3)
    assert weak["parts"] == pytest.approx({"batch": 1, "sharing": 100 / 110, "exchange": 110 / 130})
    # Half the images in 95 ms instead of half of 100.
    assert strong["efficiency"] == pytest.approx(50 / 95)
    assert strong["predicted_efficiency"] == pytest.approx(50 / 80.6, rel=1e-3)
    assert strong["parts"] == pytest.approx(
        {"batch": 50 / 60, "sharing": 60 / 70, "exchange": 70 / 95}
    )


def test_a_call_that_takes_as_long_as_the_exchange_is_no_error():
    vectors = _vectors()
    vectors[0]["call"]["milliseconds"] = 2 * vectors[0]["milliseconds"]
    assert devices.exchange_seconds(vectors[0]) > 0
    assert devices.fit(vectors, [])["bandwidth"] == pytest.approx(BANDWIDTH, rel=0.3)


def test_cases_differ_in_weights_for_each_operation():
    cases = cases_devices.cases()
    assert len({case.label for case in cases}) == len(cases)
    counts = [devices.counted(case, case.batch) for case in cases]
    ratios = [count["gradient_bytes"] / count["flops"] for count in counts]
    assert max(ratios) > 30 * min(ratios)
    for case in cases:
        assert case.batches == (case.batch, case.batch / cases_devices.DEVICES)


SMALL = cases_devices.Case("spectral_pool_cnn", 4, (("num_pairs", 1), ("width", 0.25)))


@on_two_cores
def test_a_run_of_two_processes(tmp_path, monkeypatch, capsys):
    """All ways are measured and the devices hold equal weights, or the run would have stopped."""
    monkeypatch.setattr(cases_devices, "cases", lambda: [SMALL])
    monkeypatch.setattr(cases_devices, "NUMBERS", (1_000, 1_000_000))
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
            assert times["repeats"] >= devices.ROUNDS * cases_devices.DEVICES
    assert [row["numbers"] for row in content["all_reduce"]] == [1_000, 1_000_000]
    # Twice the numbers less what is kept, 4 bytes each.
    assert [row["bytes"] for row in content["all_reduce"]] == [4_000, 4_000_000]
    printed = capsys.readouterr().out
    assert f"{SMALL.label}, strong, 2 images a device" in printed and "GB/s" in printed


@on_two_cores
def test_two_devices_train_as_one_on_all_their_images():
    """The step that is measured is the one of the whole batch, and alone it exchanges nothing."""
    import tensorflow as tf

    case = cases_devices.Case("deep_spectral", 4, (("width", 0.125),))
    with cases_devices.Pair() as pair:
        pair.call("load_network", case)
        # All gradients at once: none of it can hide behind the backward pass.
        assert pair.call("all_reduces") == [{"one": 0, "two": 1}] * 2
        start = pair.call("weights")[0]
        pair.call("run", ("one", 4), 0)
        for weights in pair.call("weights"):
            assert all((one == other).all() for one, other in zip(start, weights, strict=True))
        pair.call("run", ("two", 4), 2)
        received, other = pair.call("weights")
        with pytest.raises(cases_devices.ProcessError, match="process 0 has stopped at 'run'"):
            pair.call("run", ("two", 3), 1, on=[0])
    rng = np.random.default_rng(4)
    x = rng.random((8, 32, 32, 3), dtype="float32")
    y = rng.integers(0, 10, (2, 4), dtype="int32").ravel()
    step, model = cases_devices._training_step(case)
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


def test_the_committed_counts_are_those_of_the_model():
    content = json.loads(COMMITTED.read_text())
    cases = {case.label: case for case in cases_devices.cases()}
    assert {row["case"] for row in content["rows"]} == set(cases)
    for row in content["rows"]:
        for key, value in devices.counted(cases[row["case"]], row["batch"]).items():
            assert row[key] == pytest.approx(value, rel=1e-9), (row["case"], key)


def test_the_committed_summary_follows_from_the_committed_rows():
    content = json.loads(COMMITTED.read_text())
    again = devices.fit(content["all_reduce"], content["rows"])
    for key in ("latency", "bandwidth"):
        assert again[key] == pytest.approx(content["summary"][key], rel=1e-3)
    for name, errors in content["summary"]["errors"].items():
        for kind, error in errors.items():
            assert again["errors"][name][kind]["median_ratio"] == pytest.approx(
                error["median_ratio"], rel=1e-3
            )


def test_one_ring_for_processes_and_gpus():
    expected = machines.all_reduce_time(1e8, 8, machines.H100)
    bandwidth = machines.NETWORK_SHARE * machines.H100.link
    assert machines.ring_time(1e8, 8, bandwidth, machines.HOP) == expected
    assert machines.ring_time(1e8, 1, bandwidth, machines.HOP) == 0
    hops, share = machines.ring_amounts(2)
    (latency, byte) = scaling.positive_factors([[hops, share], [hops, 3 * share]], [5, 11], [1, 1])
    assert (latency, byte) == pytest.approx((1, 3))
