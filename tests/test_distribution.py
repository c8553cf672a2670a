"""Training on two devices and on two processes gives what one device gives.

The trainings themselves run in processes of their own (`tests/distribution_worker.py`): how many
devices there are has to be said before TensorFlow or JAX has started.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.train import devices as _distribute
from spectral_keras.training.checkpoint import checkpoint_files, read_checkpoint
from spectral_keras.training.distribution import PaddedBatches, is_lost_worker, process_rows
from tests.models.runs import write_tiny

ROOT = pathlib.Path(__file__).resolve().parent.parent
BACKEND = keras.backend.backend()
MODELS = ("plain", "auxiliary", "adversarial", "attended")
KIND = {"tensorflow": "mirrored", "jax": "data_parallel"}.get(BACKEND)
LIMIT = 600  # seconds; a test takes a small part of it

on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute")
on_two = pytest.mark.skipif(KIND is None, reason="TensorFlow and JAX have several devices")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def environment(worker=None, ports=(), **others):
    """The variables of a process with one device, or of one of two workers."""
    names = ("TF_CONFIG", "XLA_FLAGS")
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in names and not key.startswith(("SLURM_", "KERAS_DISTRIBUTION_"))
    }
    clean |= {"KERAS_BACKEND": BACKEND, "TF_CPP_MIN_LOG_LEVEL": "2"}
    if worker is not None and BACKEND == "tensorflow":
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": worker}
        clean["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    elif worker is not None:
        clean |= {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{ports[0]}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(worker),
            "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        }
    return clean | others


def start(module, *arguments, **others):
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=environment(**others),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(*processes):
    """(status, stdout, stderr) of each; none of them outlives the test."""
    try:
        ends = [process.communicate(timeout=LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *text) for process, text in zip(processes, ends, strict=True)]


def train(folder, kind, names, count=1, workers=1, **others):
    """The results of the worker processes: folder/NAME-WORKER.npz."""
    folder.mkdir()
    ports = free_ports(workers)
    module, several = "tests.distribution_worker", workers > 1
    processes = [
        start(
            module,
            *(kind, count, folder, *names),
            worker=worker if several else None,
            ports=ports,
            **others,
        )
        for worker in range(workers)
    ]
    for status, _, error in end(*processes):
        assert status == 0, error
    return folder


def result(folder, name, worker=0):
    with np.load(folder / f"{name}-{worker}.npz") as stored:
        weights = {key: stored[key] for key in stored.files if key != "history"}
        return weights, json.loads(str(stored["history"]))


def assert_equal(one, other, atol=1e-5):
    (weights, history), (other_weights, other_history) = one, other
    assert weights.keys() == other_weights.keys() and history.keys() == other_history.keys()
    for key, value in weights.items():
        np.testing.assert_allclose(other_weights[key], value, rtol=0, atol=atol, err_msg=key)
    for key, values in history.items():
        np.testing.assert_allclose(other_history[key], values, rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same trainings on one device, on two and on two workers."""
    folder = tmp_path_factory.mktemp("runs")
    names = (*MODELS, "normalized")
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"} if BACKEND == "jax" else {}
    several = "multiworker" if BACKEND == "tensorflow" else KIND
    return {
        "one": train(folder / "one", "none", names),
        "two": train(folder / "two", KIND, names, count=2, **flags),
        "workers": train(folder / "workers", several, names, workers=2),
    }


@on_two
@pytest.mark.parametrize("name", MODELS)
def test_two_devices_give_what_one_gives(runs, name):
    """Last batch of 5 images, last validation batch of 1: losses, metrics, weights, draws."""
    one = result(runs["one"], name)
    assert one[1]["loss"][-1] < one[1]["loss"][0]  # something was learned
    assert_equal(one, result(runs["two"], name))


@on_two
@pytest.mark.parametrize("name", MODELS)
def test_two_workers_give_what_one_device_gives(runs, name):
    one = result(runs["one"], name)
    for worker in range(2):
        assert_equal(one, result(runs["workers"], name, worker))


@on_two
def test_batch_normalization_differs_where_each_device_has_its_own_statistics(runs):
    """On TensorFlow; on JAX a step sees the whole batch.  All workers have the same weights."""
    one, two = result(runs["one"], "normalized"), result(runs["two"], "normalized")
    first, second = (result(runs["workers"], "normalized", worker) for worker in range(2))
    assert_equal(first, second, atol=1e-7)
    assert_equal(two, first)
    if BACKEND == "jax":
        assert_equal(one, two)
        return
    difference = max(np.abs(two[0][key] - one[0][key]).max() for key in one[0])
    assert 1e-4 < difference < 0.5


# --- the command


TINY = (
    "--num-pairs", "1", "--batch-size", "16", "--augment", "crop_flip", "--no-tensorboard",
)  # fmt: skip


@pytest.fixture
def npz(tmp_path):
    return write_tiny(tmp_path / "tiny.npz")


def commands(npz, folder, *options, workers=2):
    """The command on all workers."""
    ports = free_ports(workers)
    several = "multiworker" if BACKEND == "tensorflow" else KIND
    return [
        start(
            "models.spectral_pool_cnn",
            *("--dataset", npz, "--output", folder, "--distribute", several, *TINY, *options),
            worker=worker,
            ports=ports,
        )
        for worker in range(workers)
    ]


def newest(folder):
    return read_checkpoint(checkpoint_files(folder / "checkpoints")[0])


@on_two
def test_a_killed_worker_stops_the_others_and_resume_goes_on(npz, tmp_path):
    """The weights at the end are those of the uninterrupted run, to the bit."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    epochs = ("--epochs", "6")
    (status, said, error), (other_status, other_said, other_error) = end(
        *commands(npz, whole, *epochs)
    )
    assert status == other_status == 0, error + other_error
    assert "2 devices" in said and "of 2 workers" in said
    assert "Epoch" in said and "Epoch" not in other_said  # only the chief prints
    record = json.loads((whole / "result.json").read_text())
    assert (record["devices"], record["workers"]) == (2, 2)

    chief, other = commands(npz, broken, *epochs)
    begin = time.monotonic()
    while not checkpoint_files(broken / "checkpoints") and time.monotonic() - begin < LIMIT:
        time.sleep(0.02)
    other.send_signal(signal.SIGKILL)
    (status, said, error), _ = end(chief, other)
    assert status == 1, error
    line = error.strip().splitlines()[-1]
    assert "another worker has stopped" in line and "--resume" in line
    assert "Traceback" not in error
    finished = len(newest(broken)[0]["history"])
    assert 1 <= finished < 6

    for status, _, error in end(*commands(npz, broken, *epochs, "--resume")):
        assert status == 0, error
    (_, expected), (_, received) = newest(whole), newest(broken)
    assert expected.keys() == received.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(received[key], value, err_msg=key)


@on_two
def test_workers_stop_together_where_the_chief_cannot_begin(npz, tmp_path):
    """The folder holds a run: status 2 on both, and a line on each."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "notes.txt").write_text("text")
    (status, _, error), (other_status, _, other_error) = end(*commands(npz, folder))
    assert (status, other_status) == (2, 2)
    assert "is not empty and holds no run" in error.splitlines()[-1]
    assert "worker 0 stopped: it says why" in other_error.splitlines()[-1]
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


# --- options that do not fit


def wanted(kind, **others):
    return SimpleNamespace(**{"distribute": kind, "batch_size": 8, "jit": None} | others)


BAD_CONFIGS = ("", "[]", "{", '{"cluster": {}, "task": {}}', "0", '{"cluster": 1, "task": 2}')
CLUSTER = {"worker": ["a:1", "b:2"]}


@pytest.mark.parametrize(
    "config",
    [
        *BAD_CONFIGS,
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "ps", "index": 0}}),
        json.dumps({"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}),
        json.dumps({"cluster": {**CLUSTER, "ps": ["c:3"]}, "task": {"type": "ps", "index": 0}}),
    ],
)
def test_bad_tf_config(config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(CommandError, match="TF_CONFIG must be JSON such as"):
        _distribute.plan(wanted("multiworker"))


def test_workers_of_tf_config(monkeypatch):
    config = {"cluster": {"chief": ["a:1"], **CLUSTER}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    devices = _distribute.plan(wanted("multiworker"))
    assert (devices.workers, devices.worker, devices.chief) == (3, 2, False)
    with pytest.raises(CommandError, match="TF_CONFIG names 3 workers: give --distribute multi"):
        _distribute.plan(wanted(None))
    assert _distribute.plan(wanted("none")).chief


def test_no_workers(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CommandError, match="multiworker finds no workers: set TF_CONFIG"):
        _distribute.plan(wanted("multiworker"))


@on_tensorflow
def test_tf_config_of_slurm(monkeypatch):
    import tensorflow as tf

    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in {
        "PROCID": "3",
        "JOB_ID": "70042",
        "STEP_NUM_TASKS": "4",
        "STEP_NODELIST": "node[01-02]",
        "STEP_TASKS_PER_NODE": "2(x2)",
    }.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    devices = _distribute.plan(wanted("multiworker"))
    assert (devices.workers, devices.worker) == (4, 3)
    config = json.loads(_distribute._tf_config_of_slurm(tf))
    assert config["task"] == {"type": "worker", "index": 3}
    expected = ["node01:15042", "node01:15043", "node02:15042", "node02:15043"]
    assert config["cluster"] == {"worker": expected}


@pytest.mark.parametrize(
    ("name", "value"), [("NUM_PROCESSES", "two"), ("NUM_PROCESSES", "0"), ("PROCESS_ID", "2")]
)
def test_bad_processes_of_keras(name, value, monkeypatch):
    for key, good in (("NUM_PROCESSES", "2"), ("PROCESS_ID", "0"), ("JOB_ADDRESSES", "a:1")):
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{key}", value if key == name else good)
    with pytest.raises(CommandError, match=f"KERAS_DISTRIBUTION_{name} must be an integer"):
        _distribute.plan(wanted("data_parallel"))


@pytest.mark.parametrize(
    ("kind", "other"),
    [("mirrored", "jax"), ("mirrored", "torch"), ("data_parallel", "tensorflow")],
)
def test_the_wrong_backend(kind, other, monkeypatch):
    monkeypatch.delenv("KERAS_DISTRIBUTION_NUM_PROCESSES", raising=False)
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    monkeypatch.setattr(keras.backend, "backend", lambda: other)
    options = wanted(kind)
    with pytest.raises(CommandError, match=f"--distribute {kind} needs the .* backend, this is"):
        _distribute.plan(options).connect(options)


@on_tensorflow
def test_jit_is_refused():
    options = wanted("mirrored", jit=True)
    with pytest.raises(CommandError, match="--jit and --distribute mirrored exclude each other"):
        _distribute.plan(options).connect(options)


def test_batches_that_the_devices_cannot_share():
    devices = _distribute.Mirrored()
    devices.count = 4
    devices.check_data(20, 8)
    with pytest.raises(CommandError, match="the last batch has 3 of 19 training images for 4"):
        devices.check_data(19, 8)
    devices._connect = lambda options: None
    devices.backend = None
    with pytest.raises(CommandError, match="--batch-size 6 is not a multiple of the 4 devices"):
        devices.connect(wanted("mirrored", batch_size=6))


@on_tensorflow
def test_an_unknown_keras_is_tried_and_the_patch_is_taken_off(monkeypatch):
    from keras.src.backend.tensorflow import trainer

    from spectral_keras.training import multi_worker_fit as module

    before = trainer.TensorFlowTrainer._maybe_symbolic_build, trainer.reduce_per_replica

    def patched():
        now = trainer.TensorFlowTrainer._maybe_symbolic_build, trainer.reduce_per_replica
        return [one is not other for one, other in zip(now, before, strict=True)]

    tried = []
    monkeypatch.setattr(module, "_version", lambda: (3, 15))
    with pytest.raises(ZeroDivisionError), module.multi_worker_fit(None):
        assert patched() == [True, True]
        raise ZeroDivisionError
    assert patched() == [False, False]
    monkeypatch.setattr(module, "_version", lambda: (3, 99))
    monkeypatch.setattr(module, "_try", tried.append)
    with module.multi_worker_fit("strategy"):
        assert patched() == [False, False]
    assert tried == ["strategy"]


# --- parts


@pytest.mark.parametrize(("total", "processes"), [(2, 2), (4, 2), (6, 3), (8, 2), (4, 1)])
def test_rows_of_the_replicas_of_a_process(total, processes):
    """Replica r has the images r, r + total, ... of the batch, found among those of its process."""
    local = total // processes
    for count in range(1, 20):
        for first in range(0, total, local):
            rows = process_rows(first, local, total, count)
            for replica in range(local):
                assert list(rows[replica::local]) == list(range(count))[first + replica :: total]


@pytest.mark.parametrize("workers", [0, 2])
def test_padded_batches_of_two_processes_are_the_batch(workers):
    """Sizes that stand for one number of images each, and contiguous parts."""
    images = np.random.default_rng(0).random((23, 6, 5, 3), dtype="float32")
    from spectral_keras.augmentation.image import build_augmentation
    from spectral_keras.data import Batches

    augment = build_augmentation("report")
    options = {"shuffle": True, "augment": augment, "workers": workers}
    batches = Batches(images, np.arange(23), 8, **options)
    parts = [PaddedBatches(batches, 8, 7, devices=4, process=p, processes=2) for p in range(2)]
    assert parts[0].padding == {12: 7}  # not 8, which is a full batch
    for index, size in ((0, 8), (2, 12)):
        x, y = batches[index]
        whole = [np.concatenate(pair) for pair in zip(*(p[index] for p in parts), strict=True)]
        assert len(whole[0]) == size and len(parts[0][index][0]) == size // 2
        np.testing.assert_array_equal(whole[0][: len(x)], x)
        np.testing.assert_array_equal(whole[1][: len(y)], y)
        assert (whole[1][len(y) :] == y[0]).all()


def test_lost_workers_are_told_from_other_errors():
    class UnavailableError(Exception):
        pass

    class JaxRuntimeError(RuntimeError):
        pass

    assert is_lost_worker(UnavailableError("Connection reset by peer"))
    assert is_lost_worker(JaxRuntimeError("FAILED_PRECONDITION: Gloo all-reduce failed"))
    assert not is_lost_worker(JaxRuntimeError("INVALID_ARGUMENT: shapes differ"))
    assert is_lost_worker(ValueError("UNKNOWN: Gloo AllGather failed: Connection reset by peer"))
    assert not is_lost_worker(ValueError("gloo"))
    assert not is_lost_worker(KeyError("heartbeat"))
    later = RuntimeError("Array has been deleted")
    assert not is_lost_worker(later)
    later.__context__ = JaxRuntimeError("UNAVAILABLE: socket")
    assert is_lost_worker(later)
