"""The devices that a training runs on: --distribute, TF_CONFIG, Slurm, and who writes the files."""

import contextlib
import json
import os
import re
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import keras

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.train.options import TrainOptions

__all__ = ["DataParallel", "Devices", "Mirrored", "MultiWorker", "plan"]

# After this many seconds without a sign of life a worker counts as lost.
HEARTBEAT_SECONDS = 30
# How long workers wait for the others at the beginning.
CONNECT_SECONDS = 300


def plan(options: TrainOptions) -> "Devices":
    """The devices that the options and the environment ask for; nothing is started yet.

    Raises:
        CommandError: if the environment does not say who the workers are.
    """
    kind = options.distribute
    if kind is None:
        for name, workers, meant in (
            ("TF_CONFIG", lambda: _of_tf_config()[0], "multiworker"),
            ("KERAS_DISTRIBUTION_NUM_PROCESSES", _processes_of_keras, "data_parallel"),
        ):
            if name in os.environ and workers() > 1:
                raise CommandError(
                    f"{name} names {workers()} workers: give --distribute {meant}, or none"
                )
    several: Any = {"mirrored": Mirrored, "multiworker": MultiWorker, "data_parallel": DataParallel}
    return several[kind]() if kind in several else Devices(kind)


class Devices:
    """One device of one process; the other classes are several.

    Attributes:
        kind: as --distribute has it.
        count: number of devices, of all workers.
        workers, worker: number of processes and index of this one.
    """

    kind = "none"
    backend: str | None = None  # that it needs
    count = workers = 1
    worker = 0

    def __init__(self, given: str | None = "none"):
        self._given = given

    @property
    def chief(self) -> bool:
        """Whether this process writes the files and prints the progress."""
        return self.worker == 0

    def describe(self) -> dict[str, Any]:
        """For config.json and result.json."""
        return {"distribute": self.kind, "devices": self.count, "workers": self.workers}

    def __str__(self):
        text = f"{self.count} device{'s' * (self.count > 1)} ({self.kind})"
        return text if self.workers == 1 else f"{text} of {self.workers} workers"

    def connect(self, options: TrainOptions) -> "Devices":
        """Start what the devices need; returns the devices to use (the default looks for GPUs).

        Raises:
            CommandError: if it cannot be done with this backend, network or batch size.
        """
        backend = keras.backend.backend()
        if self._given is None and backend in ("tensorflow", "jax"):
            better: Any = {"tensorflow": Mirrored, "jax": DataParallel}[backend]
            if better.visible_gpus() > 1:
                return better().connect(options)
        if self.backend not in (None, backend):
            raise CommandError(
                f"--distribute {self.kind} needs the {NAMES[self.backend]} backend, this is "
                f"{NAMES.get(backend, backend)} (KERAS_BACKEND chooses it)"
            )
        self._connect(options)
        if options.batch_size % self.count:
            raise CommandError(
                f"--batch-size {options.batch_size} is not a multiple of the {self.count} "
                f"devices of --distribute {self.kind}: it is the size of the batch of all of them"
            )
        options.distribute = self.kind
        return self

    def _connect(self, options):
        pass

    def check_data(self, images: int, batch_size: int) -> None:
        """Refuse a number of training images that these devices cannot share."""

    def scope(self) -> contextlib.AbstractContextManager:
        """Context in which the model is made and restored."""
        return contextlib.nullcontext()

    def fitting(self) -> contextlib.AbstractContextManager:
        """Context of `fit`."""
        return contextlib.nullcontext()

    def alone(self) -> contextlib.AbstractContextManager:
        """Context of what one process computes by itself."""
        return contextlib.nullcontext()

    def trainable(self, model: keras.Model) -> keras.Model:
        """The model that `fit` trains on these devices."""
        return model

    def feed(self, model: keras.Model, batches: dict[str, Any], first_epoch: int) -> dict[str, Any]:
        """The arguments of `fit` for the batches of its two splits."""
        return {"x": batches["train"], "validation_data": batches["validation"]}

    def callbacks(self) -> list:
        """What comes before every other callback."""
        return []

    # --- several workers

    def gather(self, number: int) -> list[int]:
        """The numbers of all workers."""
        return [number]

    def agree(self, error: Exception | None = None) -> None:
        """All workers stop where one has an error."""
        failed = [worker for worker, bad in enumerate(self.gather(int(error is not None))) if bad]
        if error is not None:
            raise error
        if failed:
            raise CommandError(f"worker {failed[0]} stopped: it says why")

    def together(self, call: Callable[..., Any], *arguments: Any, chief_only: bool = False) -> Any:
        """What `call` returns; all workers stop if it fails on one (None where it is not run)."""
        result = error = None
        if self.chief or not chief_only:
            try:
                result = call(*arguments)
            except (CommandError, OSError) as stopped:
                error = stopped
        self.agree(error)
        return result

    def check_same(self, what: str, value: Any) -> None:
        """All workers stop if `value`, JSON-plain, is not the same on all."""
        number = zlib.crc32(json.dumps(value, sort_keys=True).encode()) & 0x7FFFFFFF
        numbers = self.gather(number)
        others = [worker for worker, other in enumerate(numbers) if other != numbers[0]]
        if others:
            raise CommandError(f"{what} of worker {others[0]} differ from those of the chief")

    def lost(self, error: BaseException) -> str | None:
        """The line that says so if the exception means that another worker is gone, else None."""
        if self.workers == 1:
            return None
        from spectral_keras.training.distribution import is_lost_worker

        if not is_lost_worker(error):
            return None
        return (
            f"another worker has stopped or cannot be reached ({_short(error)}); start the same "
            "command with --resume on all workers"
        )

    def leave(self, status: int) -> NoReturn:
        """End the process with this status; with other workers a failure ends it at once.

        The orderly end of TensorFlow and of JAX waits for workers that may be gone.
        """
        if self.workers > 1 and status:
            for stream in (sys.stdout, sys.stderr):
                print(end="", flush=True, file=stream)
            os._exit(status)
        sys.exit(status)

    def crash(self) -> None:
        """An error that nobody expected: the traceback, and an end that the others notice."""
        if self.workers > 1:
            traceback.print_exc()
            self.leave(1)


class _Strategy(Devices):
    """The devices of a TensorFlow strategy."""

    backend = "tensorflow"
    strategy: Any = None

    def __init__(self):
        super().__init__(self.kind)

    def check_data(self, images, batch_size):
        last = images % batch_size
        if 0 < last < self.count:
            raise CommandError(
                f"the last batch has {last} of {images} training images for {self.count} devices: "
                "choose another --batch-size or a --limit"
            )

    def scope(self):
        return self.strategy.scope()

    def trainable(self, model):
        return _of_ours(model)  # its last, smaller batch counts as on one device

    def feed(self, model, batches, first_epoch):
        from spectral_keras.training.distribution import size_for_replicas, strategy_batches

        train, validation = batches["train"], batches["validation"]
        fed = {
            "x": strategy_batches(self.strategy, train, first_epoch=first_epoch),
            "steps_per_epoch": len(train),
        }
        if validation is not None:
            # Images of validation count alike, whatever batch they are in.
            validation.batch_size = size_for_replicas(
                len(validation.labels), validation.batch_size, self.count
            )
            fed["validation_data"] = strategy_batches(self.strategy, validation)
            fed["validation_steps"] = len(validation)
        return fed

    def callbacks(self):
        from spectral_keras.training.distribution import AverageOverReplicas

        return [AverageOverReplicas()]

    def _refuse_jit(self, options):
        if options.jit:
            raise CommandError(
                f"--jit and --distribute {self.kind} exclude each other: Keras cannot compile a "
                "step of several devices with XLA (--distribute none, or without --jit)"
            )


class Mirrored(_Strategy):
    """The GPUs of this host; without any, its logical CPUs."""

    kind = "mirrored"

    @staticmethod
    def visible_gpus() -> int:
        import tensorflow as tf

        return len(tf.config.list_physical_devices("GPU"))

    def _connect(self, options):
        import tensorflow as tf

        self._refuse_jit(options)
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        self.count = self.strategy.num_replicas_in_sync


class MultiWorker(_Strategy):
    """The devices of several processes, by TF_CONFIG or the allocation of Slurm."""

    kind = "multiworker"

    def __init__(self):
        super().__init__()
        if "TF_CONFIG" in os.environ:
            self.workers, self.worker = _of_tf_config()
        elif _slurm_tasks() > 0:
            self.workers, self.worker = _slurm_tasks(), int(os.environ["SLURM_PROCID"])
        else:
            raise CommandError(
                "--distribute multiworker finds no workers: set TF_CONFIG, or start it with srun"
            )

    def _connect(self, options):
        import tensorflow as tf

        self._refuse_jit(options)
        if "TF_CONFIG" not in os.environ:
            os.environ["TF_CONFIG"] = _tf_config_of_slurm(tf)
        try:
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (RuntimeError, ValueError, tf.errors.OpError) as error:
            raise CommandError(
                f"the workers of TF_CONFIG cannot be connected: {_short(error)}"
            ) from error
        self.count = self.strategy.num_replicas_in_sync

        def total(numbers):
            # The copy is on the device of the replica.
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(numbers))

        self._sum = tf.function(
            lambda numbers: self.strategy.run(total, args=(numbers,)), autograph=False
        )

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        from spectral_keras.training.multi_worker_fit import KerasVersionError, multi_worker_fit

        try:
            with multi_worker_fit(self.strategy):
                yield
        except KerasVersionError as error:
            raise CommandError(str(error)) from error

    def gather(self, number: int) -> list[int]:
        import tensorflow as tf

        own = [number if worker == self.worker else 0 for worker in range(self.workers)]
        total = self.strategy.experimental_local_results(self._sum(tf.constant(own, tf.int64)))[0]
        # Each device of a worker has added the number.
        return (total.numpy() // (self.count // self.workers)).tolist()


class DataParallel(Devices):
    """All devices that JAX sees, of this process or of several."""

    kind = "data_parallel"
    backend = "jax"

    def __init__(self):
        super().__init__(self.kind)
        self._keras_names = "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ
        if self._keras_names:
            self.workers = _processes_of_keras()
            self.worker = _integer("KERAS_DISTRIBUTION_PROCESS_ID", high=self.workers)
            if self.workers > 1 and not os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES"):
                raise CommandError(
                    "KERAS_DISTRIBUTION_JOB_ADDRESSES is missing: host:port of process 0"
                )
        elif _slurm_tasks() > 1:
            self.workers, self.worker = _slurm_tasks(), int(os.environ["SLURM_PROCID"])

    @staticmethod
    def visible_gpus() -> int:
        import jax

        return len([device for device in jax.devices() if device.platform != "cpu"])

    def _connect(self, options):
        import jax

        if self.workers > 1:
            # keras.distribution.initialize does this with heartbeats of 100 s that it cannot set.
            named = {}
            if self._keras_names:
                addresses = os.environ["KERAS_DISTRIBUTION_JOB_ADDRESSES"]
                named = {
                    "coordinator_address": addresses.split(",")[0],
                    "num_processes": self.workers,
                    "process_id": self.worker,
                }
            try:
                jax.distributed.initialize(
                    **named,
                    initialization_timeout=CONNECT_SECONDS,
                    heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
                    shutdown_timeout_seconds=HEARTBEAT_SECONDS,
                )
            except (RuntimeError, ValueError) as error:
                raise CommandError(
                    f"the processes of JAX cannot be connected: {_short(error)}"
                ) from error
        self._distribution = keras.distribution.DataParallel(
            devices=keras.distribution.list_devices(), auto_shard_dataset=False
        )
        self.count = jax.device_count()
        keras.distribution.set_distribution(self._distribution)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        keras.distribution.set_distribution(None)
        yield
        keras.distribution.set_distribution(self._distribution)

    def trainable(self, model: keras.Model) -> keras.Model:
        return _of_ours(model)  # it takes off what a last, smaller batch is padded with

    def feed(self, model: keras.Model, batches: dict[str, Any], first_epoch: int) -> dict[str, Any]:
        from spectral_keras.training.distribution import PaddedBatches

        padded, sizes = {}, []
        for name, role in (("train", "train"), ("validation", "test")):
            padded[name] = batches[name]
            if batches[name] is not None:
                padded[name] = PaddedBatches(
                    batches[name],
                    batches[name].size(0),
                    batches[name].size(len(batches[name]) - 1),
                    devices=self.count,
                    process=self.worker,
                    processes=self.workers,
                )
                sizes += [(role, *pair) for pair in padded[name].padding.items()]
        model.padded_batches = tuple(sizes)
        return {"x": padded["train"], "validation_data": padded["validation"]}

    def gather(self, number: int) -> list[int]:
        if self.workers == 1:
            return [number]
        import numpy as np
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(np.int32(number))).ravel().tolist()


NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def _of_ours(model):
    """The model, or a plain one of `spectral_keras.training` around it."""
    from spectral_keras.training import AdversarialModel

    return model if isinstance(model, AdversarialModel) else AdversarialModel(model, None)


def _short(error):
    """The first words of an exception that holds pages."""
    text = re.sub(r"\{\{.*?\}\}", " ", str(error))  # names of nodes of TensorFlow's graph
    return " ".join(text.split())[:120] or type(error).__name__


def _integer(name, low=0, high=None):
    text = os.environ.get(name, "")
    if not text.isdigit() or int(text) < low or (high is not None and int(text) >= high):
        below = "" if high is None else f" and below {high}"
        raise CommandError(f"{name} must be an integer of at least {low}{below}, it is {text!r}")
    return int(text)


def _processes_of_keras():
    return _integer("KERAS_DISTRIBUTION_NUM_PROCESSES", low=1)


def _slurm_tasks():
    """Number of tasks of the step of Slurm that this process belongs to, 0 outside of Slurm."""
    if "SLURM_PROCID" not in os.environ:
        return 0
    return int(os.environ.get("SLURM_STEP_NUM_TASKS") or os.environ.get("SLURM_NTASKS") or 1)


def _of_tf_config():
    """(number of workers, index of this one) of TF_CONFIG, checked."""
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, task = config["cluster"], config["task"]
        jobs = {"chief": len(cluster.get("chief", [])), "worker": len(cluster.get("worker", []))}
        addresses = [address for job in cluster.values() for address in job]
        if set(cluster) - set(jobs) or not all(
            isinstance(address, str) and ":" in address for address in addresses
        ):
            raise ValueError
        kind, index = task["type"], int(task["index"])
        if not 0 <= index < jobs[kind]:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CommandError(
            "TF_CONFIG must be JSON such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}, '
            f"it is {os.environ['TF_CONFIG'][:200]!r}"
        ) from None
    return sum(jobs.values()), index if kind == "chief" else jobs["chief"] + index


def _tf_config_of_slurm(tf):
    """TF_CONFIG as the allocation of Slurm has it; sets CUDA_VISIBLE_DEVICES of this task."""
    gpus = {}
    if not tf.config.list_physical_devices("GPU"):
        # The resolver asks nvidia-smi for them, and cannot count with none.
        gpus = {"gpus_per_node": _slurm_tasks(), "gpus_per_task": 1, "auto_set_gpu": False}
    # Two jobs on a node do not meet.
    port = 15000 + int(os.environ.get("SLURM_JOB_ID") or 0) % 10000
    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(port_base=port, **gpus)
        cluster = resolver.cluster_spec().as_dict()
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise CommandError(f"the allocation of Slurm cannot be read: {_short(error)}") from error
    task = {"type": resolver.task_type, "index": resolver.task_id}
    return json.dumps({"cluster": cluster, "task": task})
