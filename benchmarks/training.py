"""The zoo's training steps against plain PyTorch in channels_last: `python -m benchmarks.training`.

`--pytorch PYTHON` names the interpreter of an environment that has PyTorch.  Each framework has a
process of its own; they run in turn, again and again, so that whatever else the machine does falls
on both alike.  A step is forward, backward and an update by SGD with momentum and weight decay, of
a batch that is in memory.  The figure is the ratio of the medians; the processor time of all
threads is kept beside it.  On a busy machine `--threads 1` compares by processor time, which other
work disturbs little: with more threads PyTorch's wait for each other on the processor.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.training")

import json
import os
import pathlib
import statistics
import subprocess
import sys

from benchmarks import _training_process, harness
from benchmarks._options import add_only, benchmark_parser, choose, integer, require_tensorflow

NETWORKS = (
    ("resnet18", 0.25),
    ("resnet18", 1.0),
    ("vgg16_bn", 1.0),
    ("deep_spectral", 1.0),
)
PRECISIONS = ("float32", "bfloat16")
# A repeat runs as many steps as fill this time, at least one.
SECONDS = 0.5


def main(arguments=None):
    parser = benchmark_parser("training", __doc__)
    add_only(parser, "networks")
    parser.add_argument("--pytorch", metavar="PYTHON", required=True, help="interpreter")
    parser.add_argument("--repeats", type=integer(3), default=9, help="3 or more (default: 9)")
    parser.add_argument("--batch", type=integer(1), default=128, help="images (default: 128)")
    parser.add_argument("--threads", type=integer(1), help="of each (default: their own choice)")
    options = parser.parse_args(arguments)
    require_tensorflow(parser)
    check_pytorch(parser, options.pytorch)
    cases = [
        {"network": name, "width": width, "precision": precision, "batch": options.batch}
        for name, width in NETWORKS
        for precision in PRECISIONS
    ]
    chosen = choose(parser, options.only, cases, label)
    twin = [options.pytorch, "-m", "benchmarks._pytorch_training"]
    own = [sys.executable, "-c", "from benchmarks.training import serve; serve()"]
    rows = []
    for case in chosen:
        with Process(own, options.threads) as ours, Process(twin, options.threads) as theirs:
            rows.append(measure(case, ours, theirs, options.repeats))
            frameworks = [ours.about, theirs.about]
        print(text(rows[-1]), flush=True)
        if options.output:
            content = {
                "unit": "milliseconds a step, median of repeats in turn",
                "threads": options.threads or "their own choice",
                "processes": frameworks,
                "rows": rows,
            }
            # The name of the interpreter alone: its folder is this machine's.
            words = sys.argv[1:] if arguments is None else arguments
            words = [pathlib.Path(w).name if w == options.pytorch else w for w in words]
            harness.write_results(options.output, "training", words, content)
    return 0


def check_pytorch(parser, interpreter):
    """Answer an interpreter without PyTorch with one line."""
    try:
        found = subprocess.run([interpreter, "-c", "import torch"], stderr=subprocess.DEVNULL)
    except OSError as error:
        parser.error(f"argument --pytorch: {interpreter!r} cannot be started: {error.strerror}")
    if found.returncode:
        parser.error(f"argument --pytorch: {interpreter!r} has no PyTorch")


def label(case):
    """A case in words."""
    return f"{case['network']} width {case['width']} {case['precision']}"


def measure(case, ours, theirs, repeats):
    """One row: milliseconds of both, and the ratios."""
    both = {"tensorflow": ours, "pytorch": theirs}
    steps = {}
    for name, process in both.items():
        process.ask(case)
        process.ask({"steps": 1})
        once = process.ask({"steps": 1})["seconds"]
        steps[name] = max(1, round(SECONDS / once))
    times = {name: [] for name in both}
    for name in harness.in_turn(both, repeats):
        times[name].append(both[name].ask({"steps": steps[name]}))
    row = {**case, "repeats": repeats}
    for key in ("seconds", "cpu_seconds"):
        values = {name: [one[key] for one in ones] for name, ones in times.items()}
        for name, ones in values.items():
            milliseconds = key.replace("seconds", "milliseconds")
            row[f"{name}_{milliseconds}"] = round(1e3 * statistics.median(ones), 2)
            row[f"{name}_fastest_{milliseconds}"] = round(1e3 * min(ones), 2)
        medians = {name: statistics.median(ones) for name, ones in values.items()}
        row["speedup" if key == "seconds" else "cpu_speedup"] = round(
            medians["pytorch"] / medians["tensorflow"], 3
        )
    row["fastest_speedup"] = round(
        row["pytorch_fastest_milliseconds"] / row["tensorflow_fastest_milliseconds"], 3
    )
    return row


def text(row):
    """A row as a line of text."""
    rates = " and ".join(
        f"{1e3 * row['batch'] / row[f'{name}_milliseconds']:.0f} ({name})"
        for name in ("tensorflow", "pytorch")
    )
    return (
        f"{label(row)}: {rates} images/s, {row['speedup']:.2f}x as fast as PyTorch "
        f"({row['cpu_speedup']:.2f}x by processor time, {row['fastest_speedup']:.2f}x by the "
        "fastest repeats)"
    )


class Process:
    """A process that answers lines of JSON, with so many threads for its kernels."""

    def __init__(self, command, threads=None):
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        given = dict.fromkeys(names, str(threads)) if threads else {}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | given,
        )
        self.about = self._read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()

    def ask(self, request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args[0]} has stopped")
        return json.loads(line)


def serve():
    """The process of this library; see `_pytorch_training`."""
    harness.import_quietly()
    import tensorflow as tf

    from spectral_keras.memory import keep_freed_memory

    keep_freed_memory()
    _training_process.serve({"framework": f"TensorFlow {tf.__version__}"}, training_step)


def training_step(network, width, precision, batch):
    """A function without arguments that runs a training step and returns the loss."""
    from spectral_keras.experiments.train.command import configure

    keras = configure(0, precision)
    import tensorflow as tf

    from spectral_keras.models import registry

    model = registry.build(network, (32, 32, 3), 10, width=width)
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=5e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images = tf.random.uniform((batch, 32, 32, 3))
    labels = tf.random.uniform((batch,), maxval=10, dtype=tf.int32)
    run = tf.function(lambda: model.train_step((images, labels))["loss"], autograph=False)
    return lambda: float(run())
