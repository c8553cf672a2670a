"""Training steps on two devices, and the cost model's prediction of them.

Two devices are two processes on this machine, each pinned to one core, that exchange their
gradients over the loopback (`tf.distribute.MultiWorkerMirroredStrategy`).  Wall time counts here:
processor time does not show the waiting.  The two constants of the all-reduce are fitted on vectors
alone; all training steps are held out.  The same step without an exchange, in one process while the
other waits and in both at once, tells what the exchange costs from what sharing the memory costs.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.devices")

import math
import os
import pathlib
import statistics
import sys

from benchmarks._options import add_only, benchmark_parser, number

# Every way of a case is measured so many times in turn.
ROUNDS = 5


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    # TensorFlow is imported only now, after the options are known to be good.
    import keras

    from benchmarks import cases_devices, harness

    if keras.backend.backend() != "tensorflow":
        parser.error(f"needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}")
    cases = cases_devices.cases()
    if options.only:
        labels = [case.label for case in cases]
        cases = [case for case in cases if any(part in case.label for part in options.only)]
        if not cases:
            parser.error(f"--only {options.only} matches none of: {', '.join(labels)}")
    cores = cases_devices.cores()
    available = len(cores) if cores else os.cpu_count() or 1
    if available < cases_devices.DEVICES:
        parser.error(f"needs {cases_devices.DEVICES} cores, one for each process, not {available}")
    content = {
        "command": "python -m benchmarks.devices " + " ".join(arguments or sys.argv[1:]),
        "unit": "milliseconds of wall time, median",
        "environment": harness.environment() | {"pinned": cores is not None},
        "summary": None,
        "all_reduce": [],
        "rows": [],
    }
    try:
        with cases_devices.Pair() as pair:
            content["all_reduce"] = _measure_exchange(pair, options.seconds)
            for case in cases:
                content["rows"] += (rows := _measure_network(pair, case, options.seconds))
                for row in rows:
                    print(_line(row), flush=True)
    except cases_devices.ProcessError as error:
        parser.exit(1, f"{parser.prog}: error: {error}\n")
    content["summary"] = fit(content["all_reduce"], content["rows"])
    print("\n".join(summary_lines(content)))
    if options.output:
        from spectral_keras.experiments.folder import write_json

        pathlib.Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        write_json(options.output, content)
        print(f"written: {options.output}")
    return 0


def _measure_exchange(pair, seconds):
    """Rows of the all-reduce of vectors alone."""
    from benchmarks.cases_devices import NUMBERS, ProcessError

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
    from benchmarks.cases_devices import DEVICES, ProcessError

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
    for other in others:
        # They have seen different images: equal weights mean that gradients were exchanged.
        if not all((one == two).all() for one, two in zip(first, other, strict=True)):
            raise ProcessError(f"the devices have different weights after {case.label}")
    return [
        {
            "case": case.label,
            "name": case.name,
            "options": dict(case.options),
            "scaling": scaling,
            "batch": batch,
            "load_average": load,
            "reference": found["one", case.batch],
            **{way: found[way, batch] for way in ("one", "beside", "two")},
            **counted(case, batch),
        }
        for scaling, batch in zip(("weak", "strong"), case.batches, strict=True)
    ]


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
    """Of pairs (wall, processor) of seconds."""
    wall, processor = zip(*times, strict=True)
    return {
        "milliseconds": 1e3 * statistics.median(wall),
        "fastest": 1e3 * min(wall),
        "slowest": 1e3 * max(wall),
        "cpu_milliseconds": 1e3 * statistics.median(processor),
        "repeats": len(wall),
    }


def counted(case, batch):
    """What the model counts for a row."""
    from benchmarks import model_costs
    from benchmarks.cases_devices import CLASSES, SIDE

    model = model_costs.build(case.name, (SIDE, SIDE, 3), CLASSES, **dict(case.options))
    cost = model_costs.model_cost(model, batch)
    return {
        "weights": cost.weights,
        "gradient_bytes": cost.gradient_bytes(),
        "flops": cost.flops(),
    }


def fit(vectors, rows, devices=2):
    """The constants by the vectors, predictions for all rows (into them), and the errors.

    A step of two devices is predicted as one of one device on as many images and an all-reduce.
    The efficiency is the product of three parts: what a smaller batch leaves, what is left with
    another process on the other core, and what the exchange leaves of that.

    Returns:
        dict with "latency" (seconds), "bandwidth" (bytes a second) and "errors".
    """
    from benchmarks import machines, scaling

    hops, share = machines.ring_amounts(devices)
    latency, byte = scaling.positive_factors(
        [[hops, share * row["bytes"]] for row in vectors],
        [exchange_seconds(row) for row in vectors],
        [1e-4, 1e-9],
    )

    def predicted(row, key):
        return 1e3 * machines.ring_time(row[key], devices, 1 / byte, latency)

    for row in vectors:
        row["predicted_milliseconds"] = predicted(row, "bytes")
    for row in rows:
        reference, one, beside, two = (
            row[way]["milliseconds"] for way in ("reference", "one", "beside", "two")
        )
        exchange = predicted(row, "gradient_bytes")
        # As many devices finish as many times the images, or the same images in less time.
        faster = 1 if row["scaling"] == "weak" else devices
        row["all_reduce_milliseconds"] = exchange
        row["predicted_milliseconds"] = one + exchange
        row["beside_predicted_milliseconds"] = beside + exchange
        row["ratio"] = row["predicted_milliseconds"] / two
        row["efficiency"] = reference / (faster * two)
        row["predicted_efficiency"] = reference / (faster * row["predicted_milliseconds"])
        row["parts"] = {
            "batch": reference / (faster * one),
            "sharing": one / beside,
            "exchange": beside / two,
        }
    return {
        "latency": latency,
        "bandwidth": 1 / byte,
        "errors": {
            name: {
                kind: scaling.ratio_errors(
                    [
                        (row[key] / row["two"]["milliseconds"], row)
                        for row in rows
                        if row["scaling"] == kind
                    ]
                )
                for kind in ("weak", "strong")
            }
            for name, key in (
                ("one device + all-reduce", "predicted_milliseconds"),
                ("one beside another + all-reduce", "beside_predicted_milliseconds"),
            )
        },
    }


def exchange_seconds(row):
    """An all-reduce alone: a call with it less a call without."""
    # Where other work disturbs both, the difference may be nothing at all.
    least = 0.01 * row["milliseconds"]
    return 1e-3 * max(row["milliseconds"] - row["call"]["milliseconds"], least)


def _line(row):
    times = ", ".join(
        f"{name} {row[way]['milliseconds']:.1f}"
        for name, way in (("one", "one"), ("one beside another", "beside"), ("two", "two"))
    )
    return f"{row['case']}, {row['scaling']}, {row['batch']} images a device: {times} ms"


def summary_lines(content):
    summary = content["summary"]
    lines = [
        f"all-reduce: {1e-9 * summary['bandwidth']:.2f} GB/s, "
        f"{1e6 * summary['latency']:.0f} us a hop"
    ]
    for row in content["all_reduce"]:
        lines.append(
            f"  {row['numbers']} numbers: {1e3 * exchange_seconds(row):.2f} ms, "
            f"fitted {row['predicted_milliseconds']:.2f}"
        )
    for row in content["rows"]:
        parts = ", ".join(f"{name} {value:.2f}" for name, value in row["parts"].items())
        lines.append(
            f"{row['case']}, {row['scaling']}: two devices {row['two']['milliseconds']:.1f} ms "
            f"({row['two']['fastest']:.1f} to {row['two']['slowest']:.1f}), "
            f"predicted {row['predicted_milliseconds']:.1f}, ratio {row['ratio']:.2f}, "
            f"efficiency {row['efficiency']:.2f} (predicted {row['predicted_efficiency']:.2f}): "
            f"{parts}"
        )
    for name, errors in summary["errors"].items():
        for kind, error in errors.items():
            lines.append(
                f"{name}, {kind} ({error['cases']}): median ratio {error['median_ratio']:.2f}, "
                f"worst {error['worst_ratio']:.2f} ({error['worst_case']})"
            )
    return lines
