"""How the benchmarks measure: interleaved repeats of several ways to do one thing.

A `Case` names a job and the ways to do it; one way is the reference.  `measure` builds every
way, warms it up, then runs the ways in turn, again and again, so that whatever else the
machine does falls on all of them alike.  The figure of a way is the median over the repeats,
and the one to trust is its ratio to the reference: absolute times differ between machines.
The processor time of all threads is kept beside it, which other work on the machine disturbs less.
"""

import dataclasses
import datetime
import functools
import importlib
import importlib.metadata
import logging
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable

Step = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Case:
    """One job and the ways to do it.

    Args:
        name: short name of the job, e.g. `"pool 32->16"`.  `--only` matches a part of it.
        shape: the tensor and the sizes as text, e.g. `"[128,32,32,96] -> 16x16"`.
        reference: the label of the way that the ratios are relative to.
        ways: label -> factory.  A factory takes nothing, builds inputs and functions, and
            returns the step: a callable that takes nothing, runs the job once and returns
            when it is done (`training_step` makes such steps).
        targets: optional, label -> what this way should reach, as text.
    """

    name: str
    shape: str
    reference: str
    ways: dict[str, Callable[[], Step]]
    targets: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.reference not in self.ways:
            raise ValueError(
                f"`reference` must be one of the ways {sorted(self.ways)}. "
                f"Received: reference={self.reference!r} (case {self.name!r})"
            )
        unknown = sorted(set(self.targets) - set(self.ways))
        if unknown:
            raise ValueError(
                f"`targets` must name ways of the case {self.name!r}, one of {sorted(self.ways)}. "
                f"Received: targets for {unknown}"
            )


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured way.

    `ratio` is this way's time divided by the reference's and `speedup` the inverse; `cpu_...` are
    the same for the processor time, the sum over all threads.
    """

    case: str
    shape: str
    way: str
    reference: str
    milliseconds: float
    fastest: float
    slowest: float
    repeats: int
    steps_per_repeat: int
    ratio: float
    speedup: float
    cpu_milliseconds: float
    cpu_speedup: float
    target: str


def deferred(make_step):
    """Turn a function that makes a step into one that gives the factory of a `Case`."""

    @functools.wraps(make_step)
    def factory_of(*arguments, **options):
        return functools.partial(make_step, *arguments, **options)

    return factory_of


def training_step(function, *inputs, variables=()):
    """A step that runs `function(*inputs)` and all its gradients in one compiled graph.

    The loss is the inner product of the output with a fixed random tensor, so the gradient
    that enters the function is dense.  Output and gradients are all returned from the graph:
    otherwise the optimiser of the graph would drop the forward pass of a linear function,
    whose gradient does not need it.

    Args:
        function: takes the tensors, returns one real tensor.
        *inputs: float32 tensors or arrays; gradients are taken with respect to each of them.
        variables: callable that returns trainable variables (after a first call), or a
            sequence of them; their gradients are taken too.
    """
    import numpy as np
    import tensorflow as tf

    inputs = [tf.constant(value) for value in inputs]
    output = function(*inputs)
    cotangent = tf.constant(
        np.random.default_rng(1).standard_normal(tuple(output.shape)).astype("float32")
    )
    weights = list(variables() if callable(variables) else variables)
    weights = [getattr(weight, "value", weight) for weight in weights]

    @tf.function(jit_compile=False)
    def run(tensors, direction):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = function(*tensors)
        return result, tape.gradient(result, [*tensors, *weights], output_gradients=direction)

    def step():
        result = run(inputs, cotangent)
        _wait()
        return result

    return step


def inference_step(function, *inputs):
    """A step that runs only `function(*inputs)`, in one compiled graph."""
    import tensorflow as tf

    inputs = [tf.constant(value) for value in inputs]
    compiled = tf.function(function, jit_compile=False)

    def step():
        result = compiled(*inputs)
        _wait()
        return result

    return step


def _wait():
    # On a CPU the call has already finished; kernels on a GPU are only queued.
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        tf.test.experimental.sync_devices()


def random_input(shape, seed=0):
    """A float32 array of standard normal numbers."""
    import numpy as np

    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def timed(function, count=1):
    """(last result, seconds, processor seconds of all threads) of a call, mean of `count` calls."""
    begin, cpu_begin = time.perf_counter(), time.process_time()
    for _ in range(count):
        result = function()
    end, cpu_end = time.perf_counter(), time.process_time()
    return result, (end - begin) / count, (cpu_end - cpu_begin) / count


def in_turn(ways, repeats):
    """Each of the ways in turn, `repeats` times.

    Every other round runs backwards: no way always follows the same neighbour.
    """
    for repeat in range(repeats):
        yield from ways if repeat % 2 == 0 else reversed(ways)


def measure(case, repeats=9, warmup=3, minimum_seconds=0.02):
    """Measure every way of `case`; a list of `Row`, in the order of `case.ways`.

    Args:
        case: the `Case`.
        repeats: interleaved repeats, of which the median counts.
        warmup: steps before the first repeat; the first of them also traces and compiles.
        minimum_seconds: a repeat runs as many steps as fill this time, so that short steps
            are not lost in the clock's and Python's overhead.
    """
    from spectral_keras.logs import quiet

    steps, counts = {}, {}
    # Other ways than ours cast complex numbers to real ones, and each of them is traced anew.
    with quiet("tensorflow", logging.ERROR):
        for label, factory in case.ways.items():
            steps[label] = factory()
        for label, step in steps.items():
            for _ in range(max(1, warmup)):
                _, last, _ = timed(step)
            counts[label] = max(1, min(100, round(minimum_seconds / max(last, 1e-6))))
    times = {label: [] for label in steps}
    cpu_times = {label: [] for label in steps}
    for label in in_turn(steps, repeats):
        _, seconds, cpu_seconds = timed(steps[label], counts[label])
        times[label].append(seconds)
        cpu_times[label].append(cpu_seconds)
    medians = {label: statistics.median(values) for label, values in times.items()}
    cpu_medians = {label: statistics.median(values) for label, values in cpu_times.items()}
    base, cpu_base = medians[case.reference], cpu_medians[case.reference]
    return [
        Row(
            case=case.name,
            shape=case.shape,
            way=label,
            reference=case.reference,
            milliseconds=1e3 * medians[label],
            fastest=1e3 * min(times[label]),
            slowest=1e3 * max(times[label]),
            repeats=repeats,
            steps_per_repeat=counts[label],
            ratio=medians[label] / base,
            speedup=base / medians[label],
            cpu_milliseconds=1e3 * cpu_medians[label],
            cpu_speedup=cpu_base / max(cpu_medians[label], 1e-9),
            target=case.targets.get(label, ""),
        )
        for label in steps
    ]


def format_rows(rows):
    """The rows of one case as lines of text."""
    first = rows[0]
    width = max(len(row.way) for row in rows)
    lines = [f"{first.case}  {first.shape}"]
    for row in rows:
        mark = f"{row.speedup:6.2f}x as fast ({row.cpu_speedup:.2f}x by processor time)"
        if row.way == row.reference:
            mark = "reference"
        target = f"   target: {row.target}" if row.target else ""
        lines.append(
            f"  {row.way:<{width}}  {row.milliseconds:9.3f} ms  x{row.ratio:6.3f}  {mark}{target}"
        )
    return "\n".join(lines)


def import_quietly():
    """Import the library in a process of a benchmark's own, as a command does in its own."""
    from spectral_keras.experiments.command import without_start_up_messages

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with without_start_up_messages():
        importlib.import_module("spectral_keras.layers")


def version(package):
    """Version of a package; None for one that is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def environment():
    """Machine and versions that a result depends on."""
    import tensorflow as tf

    from spectral_keras.experiments.provenance import commit, processor, versions

    return {
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpus": [device.name for device in tf.config.list_logical_devices("GPU")],
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        **versions(),
    }


def write_results(path, name, arguments, content, environment_of=()):
    """Write what `python -m benchmarks.NAME` measured, with command, machine and versions.

    Args:
        path: of the .json file, which appears complete or not at all.
        name: of the benchmark.
        arguments: of the command; None for those of this process.
        content: dict, JSON plain.
        environment_of: more entries for the environment.
    """
    from spectral_keras.experiments.command import command_line
    from spectral_keras.experiments.folder import write_json

    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    command = command_line(f"benchmarks.{name}", arguments)
    known = {"command": command, "environment": environment() | dict(environment_of)}
    write_json(path, known | content)
    print(f"written: {path}")
