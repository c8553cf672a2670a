"""The fit, its errors, the jobs, and a real measurement of one small job."""

import json
import math
import pathlib
import random

import keras
import pytest

from benchmarks import cases_scaling, scaling

TRUE = {"product": 2e-11, "transform": 3e-10, "byte": 1.5e-10, "kernel": 4e-5}


def _rows(noise=0.0, count=60):
    generator = random.Random(0)
    rows = []
    for index in range(count):
        row = {
            "case": f"case {index}",
            "batch": 1,
            "network": index % 5 == 4,
            "fitted": index % 5 in (0, 1, 2),
            "products": 10 ** generator.uniform(7, 11),
            "transforms": generator.choice([0, 10 ** generator.uniform(7, 9)]),
            "bytes": 10 ** generator.uniform(6, 9),
            "kernels": generator.randint(2, 200),
            "counted_peak_bytes": (counted := 10 ** generator.uniform(7, 9)),
            # A layer has all of its tensors in hand, a network those of one layer.
            "counted_layer_bytes": (layer := counted / 4 if index % 5 == 4 else counted),
            "peak_bytes": counted + 0.5 * layer + 3e7,
        }
        seconds = sum(
            TRUE[c] * row[k] for c, k in zip(scaling.CONSTANTS, scaling.COUNTS, strict=True)
        )
        row["cpu_milliseconds"] = 1e3 * seconds * math.exp(noise * generator.gauss(0, 1))
        rows.append(row)
    return rows


def test_fit_finds_the_constants():
    summary = scaling.fit(_rows())
    for name, value in TRUE.items():
        assert summary["constants"][name] == pytest.approx(value, rel=1e-3)
    for error in summary["errors"].values():
        assert error["worst_factor"] == pytest.approx(1, abs=1e-3)
    assert summary["memory"] == pytest.approx({"factor": 1.5, "base_bytes": 3e7}, rel=1e-3)


def test_fit_uses_the_fitted_rows_only():
    rows = _rows(noise=0.1)
    first = scaling.fit(rows)["constants"]
    for row in rows:
        if not row["fitted"]:
            row["cpu_milliseconds"] *= 3
    summary = scaling.fit(rows)
    assert summary["constants"] == first
    held_out = summary["errors"]["held-out networks"]
    assert held_out["median_ratio"] == pytest.approx(1 / 3, rel=0.1)
    assert held_out["median_factor"] == pytest.approx(3, rel=0.1)
    assert held_out["within_factor_2"] == 0
    assert summary["errors"]["fitted layers"]["within_factor_2"] == 1


def test_errors_name_the_worst_case_in_either_direction():
    rows = _rows()
    held_out = next(row for row in rows if row["network"])
    held_out["peak_bytes"] /= 10
    error = scaling.fit(rows)["memory_errors"]["held-out networks"]
    assert error["worst_ratio"] == pytest.approx(10, rel=1e-3)
    assert error["worst_case"].startswith(held_out["case"] + ",")
    held_out["peak_bytes"] *= 1000
    error = scaling.fit(rows)["memory_errors"]["held-out networks"]
    assert error["worst_ratio"] == pytest.approx(1 / 100, rel=1e-3)
    assert error["worst_factor"] == pytest.approx(100, rel=1e-3)
    assert error["median_ratio"] == pytest.approx(1, abs=1e-3)
    held_out["peak_bytes"] = None  # not known: left out
    assert scaling.fit(rows)["memory_errors"]["held-out networks"]["cases"] == error["cases"] - 1


def test_jobs_hold_out_sizes_and_all_networks():
    jobs = cases_scaling.jobs()
    assert len({job.label for job in jobs}) == len(jobs)
    fitted = {job.name for job in jobs if job.fitted}
    held_out = {job.name for job in jobs if not job.fitted and not job.network}
    assert fitted == held_out
    assert not any(job.fitted for job in jobs if job.network)
    networks = {job.name for job in jobs if job.network}
    assert networks == {
        "deep_spectral", "spectral_pool_cnn", "fourier_cnn", "resnet18", "vgg11_bn",
    }  # fmt: skip
    for job in jobs:
        assert list(job.batches) == sorted(job.batches)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="measures TensorFlow")
def test_a_measurement(tmp_path, capsys):
    """One job in a process of its own: the times are ordered, the memory is at least the maps'."""
    path = tmp_path / "s.json"
    scaling.main(["--only", "ReLU 32x32", "--seconds", "0.05", "--output", str(path)])
    content = json.loads(path.read_text())
    small, large = content["rows"]
    assert (small["batch"], large["batch"]) == (32, 128)
    assert small["bytes"] * 4 == large["bytes"] == 4 * 5 * 128 * 32 * 32 * 32
    assert 0 < small["cpu_milliseconds"] < large["cpu_milliseconds"]
    # Input, output and both gradients.
    assert large["peak_bytes"] > 4 * 4 * 128 * 32 * 32 * 32
    assert content["summary"] is None and "too few cases" in capsys.readouterr().out
    assert content["environment"]["threads"] == 1


def test_the_committed_counts_are_those_of_the_model():
    """The rows hold what the model counted; a change of the model has to be seen there."""
    content = json.loads(COMMITTED.read_text())
    jobs = {job.label: job for job in cases_scaling.jobs()}
    assert {row["case"] for row in content["rows"]} <= set(jobs)
    for row in content["rows"]:
        for key, value in scaling.counted(jobs[row["case"]], row["batch"]).items():
            assert row[key] == pytest.approx(value, rel=1e-9), (row["case"], key)


COMMITTED = pathlib.Path(scaling.__file__).parent / "results" / "scaling.json"


def test_the_committed_summary_follows_from_the_committed_rows():
    content = json.loads(COMMITTED.read_text())
    again = scaling.fit(content["rows"])
    for name, value in content["summary"]["constants"].items():
        assert again["constants"][name] == pytest.approx(value, rel=1e-3)
    for part, error in content["summary"]["errors"].items():
        assert again["errors"][part]["median_factor"] == pytest.approx(
            error["median_factor"], rel=1e-3
        )
