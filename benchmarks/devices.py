"""Training steps on two devices, and what the exchange of the gradients costs.

Two devices are two processes on this machine, each pinned to one core with one thread for its
kernels, that exchange their gradients over the loopback
(`tf.distribute.MultiWorkerMirroredStrategy`).  The parent says what they run and when, so that the
same two run alone, side by side, and together.  Wall time counts here: processor time does not show
the waiting.  The same step without an exchange, in one process while the other waits and in both at
once, tells what the exchange costs from what sharing the memory costs.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.devices")

import contextlib
import dataclasses
import json
import math
import multiprocessing
import os
import socket
import statistics
import traceback

from benchmarks import harness
from benchmarks._options import add_only, benchmark_parser, choose, number, require_tensorflow

# Every way of a case is measured so many times in turn.
ROUNDS = 5

DEVICES = 2
SIDE, CLASSES = 32, 10

# Vectors of the all-reduce alone.
NUMBERS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)

# No answer for so long means that a process hangs; building a network takes a small part of it.
PATIENCE_SECONDS = 300


def main(arguments=None):
    parser = benchmark_parser("devices", __doc__)
    add_only(parser, "networks")
    parser.add_argument(
        "--seconds",
        type=number(0, 60),
        default=0.3,
        help=f"each way to run a case repeats its step for this long, at least {ROUNDS} times "
        "(default: 0.3)",
    )
    options = parser.parse_args(arguments)
    require_tensorflow(parser)
    chosen = choose(parser, options.only, cases(), lambda case: case.label)
    pinned = cores()
    available = len(pinned) if pinned else os.cpu_count() or 1
    if available < DEVICES:
        parser.error(f"needs {DEVICES} cores, one for each process, not {available}")
    rows = []
    try:
        with Pair() as pair:
            vectors = _measure_exchange(pair, options.seconds)
            for row in vectors:
                print(f"all-reduce of {row['numbers']:,} numbers: {_exchange(row):.2f} ms")
            for case in chosen:
                rows += (new := _measure_network(pair, case, options.seconds))
                for row in new:
                    print(_line(row), flush=True)
    except ProcessError as error:
        parser.exit(1, f"{parser.prog}: error: {error}\n")
    if options.output:
        content = {
            "unit": "milliseconds of wall time, median",
            "all_reduce": vectors,
            "rows": rows,
        }
        known = {"pinned": pinned is not None}
        harness.write_results(options.output, "devices", arguments, content, known)
    return 0


def _measure_exchange(pair, seconds):
    """Rows of the all-reduce of vectors alone."""
    for right in pair.call("load_vectors", NUMBERS):
        if not all(right):
            raise ProcessError("an all-reduce is not the sum of the vectors of all devices")
    ways = {
        (kind, numbers): [((kind, numbers), None)]
        for numbers in NUMBERS
        for kind in ("exchange", "nothing")
    }
    found = _interleaved(pair, ways, seconds)
    return [
        {"numbers": n, **found["exchange", n], "call": found["nothing", n], "bytes": 4 * n}
        for n in NUMBERS
    ]


def _measure_network(pair, case, seconds):
    """The rows of a network: as many images for each device as for one, and as many for both."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    pair.call("load_network", case)
    ways = {}
    for batch in case.batches:
        # One device in turn on each of the cores.
        ways["one", batch] = [(("one", batch), [index]) for index in range(DEVICES)]
        ways["beside", batch] = [(("one", batch), None)]
        ways["two", batch] = [(("two", batch), None)]
    found = _interleaved(pair, ways, seconds)
    first, *others = pair.call("weights")
    weights = sum(weight.size for weight in first)
    for other in others:
        # They have seen different images: equal weights mean that gradients were exchanged.
        if not all((one == two).all() for one, two in zip(first, other, strict=True)):
            raise ProcessError(f"the devices have different weights after {case.label}")
    rows = [
        {
            "case": case.label,
            "name": case.name,
            "options": dict(case.options),
            "scaling": scaling,
            "batch": batch,
            "load_average": load,
            "weights": weights,
            "reference": found["one", case.batch],
            **{way: found[way, batch] for way in ("one", "beside", "two")},
        }
        for scaling, batch in zip(("weak", "strong"), case.batches, strict=True)
    ]
    return [row | efficiency(row) for row in rows]


def _interleaved(pair, ways, seconds):
    """Times of each way, measured in turn.

    Args:
        pair: the two processes.
        ways: name -> [(step, processes or None for both at once), ...], one after another.
        seconds: for each way, all rounds together.
    """
    times, counts = {name: [] for name in ways}, {}
    for name, parts in ways.items():
        key = parts[0][0]
        pair.call("run", key, 0)  # traces
        slowest = max(wall for each in pair.call("run", key, 1) for wall, _ in each)
        counts[name] = max(1, min(50, math.ceil(seconds / ROUNDS / slowest)))
    for _ in range(ROUNDS):
        for name, parts in ways.items():
            for key, on in parts:
                measured = pair.call("run", key, counts[name], **({"on": on} if on else {}))
                times[name] += sum(measured, [])
    return {name: _statistics(each) for name, each in times.items()}


def _statistics(times):
    """Median and range of pairs (wall, processor) of seconds."""
    wall, processor = zip(*times, strict=True)
    return {
        "milliseconds": 1e3 * statistics.median(wall),
        "fastest": 1e3 * min(wall),
        "slowest": 1e3 * max(wall),
        "cpu_milliseconds": 1e3 * statistics.median(processor),
        "repeats": len(wall),
    }


def efficiency(row):
    """How much of the devices' speed is left, and the three parts whose product that is.

    One device is 1; strong scaling at 1 takes half the time.  The parts are what a smaller batch
    leaves, what is left with another process on the other core, and what the exchange leaves of
    that.
    """
    reference, one, beside, two = (
        row[way]["milliseconds"] for way in ("reference", "one", "beside", "two")
    )
    # As many devices finish as many times the images, or the same images in less time.
    faster = 1 if row["scaling"] == "weak" else DEVICES
    return {
        "efficiency": reference / (faster * two),
        "parts": {
            "batch": reference / (faster * one),
            "sharing": one / beside,
            "exchange": beside / two,
        },
    }


def _exchange(row):
    """Milliseconds of an all-reduce alone: a call with it less a call without."""
    return row["milliseconds"] - row["call"]["milliseconds"]


def _line(row):
    times = ", ".join(
        f"{name} {row[way]['milliseconds']:.1f}"
        for name, way in (("one", "one"), ("one beside another", "beside"), ("two", "two"))
    )
    parts = ", ".join(f"{name} {value:.2f}" for name, value in row["parts"].items())
    return (
        f"{row['case']}, {row['scaling']}, {row['batch']} images a device: {times} ms; "
        f"efficiency {row['efficiency']:.2f}: {parts}"
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """A network of the zoo.

    Attributes:
        name: of the registry.
        batch: images of one device, even.
        options: of the network, as pairs.
    """

    name: str
    batch: int
    options: tuple = ()

    @property
    def label(self):
        return self.name + "".join(f" {key}={value}" for key, value in self.options)

    @property
    def batches(self):
        """Images of a device: as many as one device has, and its part of them."""
        return self.batch, self.batch // DEVICES


def cases():
    """Networks from much work for each weight to little."""
    return [
        Case("resnet18", 16, (("width", 0.25),)),
        Case("deep_spectral", 8, (("conv", "spatial"),)),
        Case("deep_spectral", 8, (("conv", "hermitian"),)),
        Case("deep_spectral", 8, (("conv", "spectral"),)),
        Case("vgg11_bn", 8),
        Case("vgg11_bn", 8, (("width", 0.25), ("head", "imagenet"))),
    ]


def cores():
    """The cores that this process may use, or None where a process cannot be pinned."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return sorted(os.sched_getaffinity(0))


class ProcessError(RuntimeError):
    """A process of the measurement has failed or does not answer."""


class Pair:
    """The two processes, as a context manager; they are connected when `call` can be used."""

    def __init__(self):
        # A fresh interpreter each: how many threads TensorFlow has is settled once.
        context = multiprocessing.get_context("spawn")
        allowed = cores()
        ports = _free_ports(DEVICES)
        self._pipes, self._processes = [], []
        for index in range(DEVICES):
            here, there = context.Pipe()
            core = allowed[index] if allowed else None
            process = context.Process(target=_serve, args=(there, index, ports, core), daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)

    def __enter__(self):
        try:
            self.call("connect")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            # They leave together, as TensorFlow wants it.
            for pipe in self._pipes:
                with contextlib.suppress(OSError):
                    pipe.send(None)
            for process in self._processes:
                process.join(10)
        self._end()

    def _end(self):
        for process in self._processes:
            process.kill()
            process.join()
        for pipe in self._pipes:
            pipe.close()

    def call(self, name, *arguments, on=range(DEVICES)):
        """What the method of `_Device` returns in each of the processes, which run it together.

        Raises:
            ProcessError: if one of them fails.
        """
        results = []
        try:
            for index in on:
                self._pipes[index].send((name, arguments))
            for index in on:
                if not self._pipes[index].poll(PATIENCE_SECONDS):
                    raise ProcessError(f"process {index} does not answer to {name!r}")
                results.append(self._pipes[index].recv())
        except (EOFError, OSError) as error:
            raise ProcessError(f"process {index} has stopped at {name!r}") from error
        return results


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _serve(pipe, index, ports, core):
    """A process: it runs what the parent names until that is None."""
    if core is not None:
        os.sched_setaffinity(0, {core})  # before TensorFlow starts its threads
    device = _Device(index, ports)
    try:
        while (call := pipe.recv()) is not None:
            name, arguments = call
            pipe.send(getattr(device, name)(*arguments))
    except (EOFError, BrokenPipeError):
        os._exit(1)  # the parent is gone
    except Exception:
        # The orderly end of TensorFlow would wait for the other process.
        traceback.print_exc()
        os._exit(1)


class _Device:
    """What one of the processes can do."""

    def __init__(self, index, ports):
        self.index, self.ports = index, ports
        self.steps = {}  # key -> a function without arguments that runs one step

    def connect(self):
        cluster = {"worker": [f"127.0.0.1:{port}" for port in self.ports]}
        task = {"type": "worker", "index": self.index}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        harness.import_quietly()
        import tensorflow as tf

        from spectral_keras.memory import keep_freed_memory

        tf.get_logger().setLevel("ERROR")
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        keep_freed_memory()
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy(
            communication_options=tf.distribute.experimental.CommunicationOptions(
                implementation=tf.distribute.experimental.CommunicationImplementation.RING
            )
        )
        return self.strategy.num_replicas_in_sync

    def load_vectors(self, sizes):
        """Steps that add up vectors of all devices, and the same steps without the adding.

        Returns:
            For each size, whether each number is the sum of the devices' numbers.
        """
        import tensorflow as tf

        def add(vector):
            # The copy is a tensor of this device.
            vector = tf.identity(vector)
            return tf.distribute.get_replica_context().all_reduce("SUM", vector)

        def compiled(function):
            return tf.function(
                lambda vector: self.strategy.run(function, args=(vector,)),
                input_signature=[tf.TensorSpec((None,))],
                autograph=False,
            )

        exchange, nothing = compiled(add), compiled(tf.identity)
        self.steps, right = {}, []
        for size in sizes:
            vector = tf.fill((size,), float(self.index + 1))
            self.steps["exchange", size] = lambda vector=vector: exchange(vector)
            self.steps["nothing", size] = lambda vector=vector: nothing(vector)
            total = self.steps["exchange", size]()
            expected = sum(range(1, DEVICES + 1))
            right.append(bool(tf.reduce_all(tf.equal(total, expected))))
        return right

    def load_network(self, case):
        """Training steps of one device alone, "one", and of both, "two", for both batches."""
        import keras
        import numpy as np
        import tensorflow as tf

        keras.backend.clear_session()
        self.steps = {}
        alone, _ = _training_step(case)
        with self.strategy.scope():
            together, self.model = _training_step(case, DEVICES)

        def run(x, y):
            self.strategy.run(together, args=(x, y))

        signature = [tf.TensorSpec((None, SIDE, SIDE, 3)), tf.TensorSpec((None,), tf.int32)]
        self.ways = {
            way: tf.function(function, input_signature=signature, autograph=False)
            for way, function in (("one", alone), ("two", run))
        }
        for batch in case.batches:
            # This device's part of the images of all.
            rng = np.random.default_rng(batch)
            x = rng.random((DEVICES, batch, SIDE, SIDE, 3), dtype="float32")[self.index]
            y = rng.integers(0, CLASSES, (DEVICES, batch), dtype="int32")[self.index]
            x, y = tf.constant(x), tf.constant(y)
            for way, function in self.ways.items():
                self.steps[way, batch] = lambda f=function, x=x, y=y: f(x, y)

    def all_reduces(self):
        """How many all-reduces the graph of a step has, for each way."""
        found = {}
        for way, function in self.ways.items():
            # As text it holds the functions that the graph calls, too.
            graph = str(function.get_concrete_function().graph.as_graph_def())
            found[way] = graph.count('op: "CollectiveReduce')
        return found

    def weights(self):
        """The trainable weights of the network that the devices train together."""
        return [weight.numpy() for weight in self.model.trainable_variables]

    def run(self, key, count):
        """Seconds of each of `count` steps, after one that does not count: (wall, processor)."""
        step = self.steps[key]
        step()
        return [harness.timed(step)[1:] for _ in range(count)]


def _training_step(case, devices=1):
    """step(x, y): forward, backward and update by SGD with momentum; and the network."""
    import keras
    import tensorflow as tf

    from spectral_keras.models import registry

    keras.utils.set_random_seed(0)
    model = registry.build(case.name, (SIDE, SIDE, 3), CLASSES, **dict(case.options))
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
    optimizer.build(model.trainable_variables)

    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            # The gradients of the devices are added up.
            value = tf.reduce_mean(losses) / devices
        weights = [weight.value for weight in model.trainable_variables]
        optimizer.apply(tape.gradient(value, weights), model.trainable_variables)

    return step, model
