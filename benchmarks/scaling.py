"""Time and memory over image size, width and batch, and the cost model fitted to them.

Each case runs in a process of its own: forward and backward pass of a layer, or a training step of
a network (SGD with momentum), float32, not compiled by XLA.  Processor time of all threads is the
figure to trust on a machine that does other work too.  The constants of the model are fitted on the
layers at two sizes; its errors on the other layers and on the networks are printed.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.scaling")

import json
import multiprocessing
import os
import pathlib
import statistics
import sys

from benchmarks._options import add_only, benchmark_parser, integer, number


def main(arguments=None):
    parser = benchmark_parser("scaling", __doc__)
    add_only(parser)
    parser.add_argument("--threads", type=integer(1, 256), default=1, help="of a step (default: 1)")
    parser.add_argument(
        "--seconds",
        type=number(0, 60),
        default=0.3,
        help="a case repeats its step for this long, at least twice (default: 0.3)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the rows of FILE.json, measure what is missing"
    )
    options = parser.parse_args(arguments)
    if options.resume and not options.output:
        parser.error("--resume needs --output, the file to go on with")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    # TensorFlow is imported only now, after the options are known to be good.
    import keras

    from benchmarks import cases_scaling, harness

    if keras.backend.backend() != "tensorflow":
        parser.error(f"needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}")
    jobs = cases_scaling.jobs()
    if options.only:
        labels = sorted({job.name for job in jobs})
        jobs = [job for job in jobs if any(part in job.label for part in options.only)]
        if not jobs:
            parser.error(f"--only {options.only} matches none of: {', '.join(labels)}")
    content = {
        "command": "python -m benchmarks.scaling " + " ".join(arguments or sys.argv[1:]),
        "unit": "milliseconds a training step, processor time of all threads, median",
        "environment": harness.environment() | {"threads": options.threads},
        "summary": None,
        "rows": _rows_so_far(parser, options),
    }
    rows = content["rows"]
    done = {row["case"] for row in rows}
    # A server that has imported everything, and run nothing, forks the processes of the cases.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "benchmarks.cases_scaling", "models.registry"])
    for job in jobs:
        if job.label in done:
            for row in rows:
                if row["case"] == job.label:
                    row.update(counted(job, row["batch"]))  # the model may have changed
            continue
        rows += (new := _run(job, options, context))
        for row in new:
            print(_line(row), flush=True)
        _write(options.output, content)
    if sum(row["fitted"] for row in rows) >= 2 * len(CONSTANTS):
        content["summary"] = fit(rows)
        print("\n".join(summary_lines(content["summary"])))
    else:
        print("too few cases to fit the model")
    if options.output:
        _write(options.output, content)
        print(f"written: {options.output}")
    return 0


def _rows_so_far(parser, options):
    """The rows of an interrupted run, by the same number of threads."""
    path = pathlib.Path(options.output or "")
    if not options.resume or not path.exists():
        return []
    try:
        content = json.loads(path.read_text())
        threads, rows = content["environment"]["threads"], content["rows"]
    except (OSError, ValueError, KeyError, TypeError):
        parser.error(f"--output {options.output!r} is no file to go on with")
    if threads != options.threads:
        parser.error(f"--threads {options.threads}: {options.output!r} has {threads}")
    return rows


def _write(path, content):
    from spectral_keras.experiments.folder import write_json

    if path:
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content)


def _run(job, options, context):
    """Measured rows of a job, with the counts of the model."""
    from benchmarks import cases_scaling

    load = os.getloadavg()[0]
    with context.Pool(1) as pool:
        measured = pool.apply(cases_scaling.measure, (job, options.threads, options.seconds))
    rows = []
    for found in measured:
        rows.append(
            {
                "case": job.label,
                "name": job.name,
                "network": job.network,
                "options": dict(job.options),
                "size": job.size,
                "fitted": job.fitted,
                "load_average": load,
                **found,
                **counted(job, found["batch"]),
            }
        )
    return rows


def counted(job, batch):
    """What the model counts for a row."""
    from benchmarks import cases_scaling, machines

    cost = cases_scaling.cost(job, batch)
    return {
        **dict(zip(COUNTS, machines.amounts(cost), strict=True)),
        "weights": cost.weights,
        "counted_peak_bytes": (peak := cases_scaling.peak_bytes(job, cost)),
        # Of these what one layer has in hand, which its kernels may copy.
        "counted_layer_bytes": 4 * cost.transient if job.network else peak,
    }


COUNTS = ("products", "transforms", "bytes", "kernels")
CONSTANTS = ("product", "transform", "byte", "kernel")


def fit(rows):
    """The constants by the fitted rows, predictions for all (into the rows), and the errors.

    Returns:
        dict with "constants" (seconds), "memory" (a factor on the counted bytes of one layer, and
        bytes that every case takes), "errors" and "memory_errors".
    """
    used = [row for row in rows if row["fitted"]]
    # The starts are typical of a processor's core.
    constants = positive_factors(
        [[row[key] for key in COUNTS] for row in used],
        [row["cpu_milliseconds"] / 1e3 for row in used],
        [2e-11, 1e-10, 2e-10, 2e-5],
    )
    grown = [row for row in used if row["peak_bytes"]]
    factor, base = positive_factors(
        [[row["counted_peak_bytes"], 1] for row in grown],
        [row["peak_bytes"] for row in grown],
        [1, 1e7],
    )
    for row in rows:
        predicted = sum(c * row[key] for c, key in zip(constants, COUNTS, strict=True))
        row["predicted_milliseconds"] = 1e3 * predicted
        copies = (factor - 1) * row["counted_layer_bytes"]
        row["predicted_peak_bytes"] = row["counted_peak_bytes"] + copies + base
    return {
        "constants": dict(zip(CONSTANTS, constants, strict=True)),
        "memory": {"factor": factor, "base_bytes": base},
        "errors": _errors(rows, "predicted_milliseconds", "cpu_milliseconds"),
        "memory_errors": _errors(rows, "predicted_peak_bytes", "peak_bytes"),
    }


def positive_factors(table, values, start):
    """Positive factors of the columns of a table whose sums come near the values.

    The squared logarithm of the quotient is minimised, so that small and large values count alike;
    its tails count linearly, so that one odd case does not move the rest.
    """
    import numpy as np
    from scipy.optimize import least_squares

    table, values = np.array(table, float), np.array(values, float)
    found = least_squares(
        lambda logs: np.log(table @ np.exp(logs)) - np.log(values), np.log(start), loss="soft_l1"
    )
    return [float(value) for value in np.exp(found.x)]


def _errors(rows, predicted, measured):
    """How far the model is from the measurements, for each part of the cases."""
    parts = {
        "fitted layers": [row for row in rows if row["fitted"]],
        "held-out layers": [row for row in rows if not row["fitted"] and not row["network"]],
        "held-out networks": [row for row in rows if row["network"]],
    }
    return {
        name: ratio_errors([(r[predicted] / r[measured], r) for r in part if r[measured]])
        for name, part in parts.items()
    }


def ratio_errors(ratios):
    """Ratios predicted over measured: the median, the median and the worst factor either way."""
    if not ratios:
        return None
    factors = [(max(ratio, 1 / ratio), ratio, row) for ratio, row in ratios]
    worst = max(factors, key=lambda each: each[0])
    return {
        "cases": len(factors),
        "median_ratio": statistics.median(ratio for _, ratio, _ in factors),
        "median_factor": statistics.median(factor for factor, _, _ in factors),
        "within_factor_2": sum(factor <= 2 for factor, _, _ in factors) / len(factors),
        "worst_factor": worst[0],
        "worst_ratio": worst[1],
        "worst_case": f"{worst[2]['case']}, batch {worst[2]['batch']}",
    }


def _line(row):
    peak = row["peak_bytes"]
    peak = "-" if peak is None else f"{peak / 1e6:.0f}"
    return (
        f"{row['case']}, batch {row['batch']}: {row['cpu_milliseconds']:.1f} ms "
        f"({row['milliseconds']:.1f} wall), {row['products'] / 1e9:.2f} GF, "
        f"{row['bytes'] / 1e9:.2f} GB, "
        f"peak {peak} MB ({row['counted_peak_bytes'] / 1e6:.0f} counted)"
    )


def summary_lines(summary):
    constants = summary["constants"]
    lines = [
        f"matrix products {1e-9 / constants['product']:.1f} GFLOP/s, "
        f"FFTs {1e-9 / constants['transform']:.2f} GFLOP/s, "
        f"memory {1e-9 / constants['byte']:.2f} GB/s, kernel {1e6 * constants['kernel']:.0f} us",
        f"peak memory: what is counted, {summary['memory']['factor']:.2f} times for the layer in "
        f"hand, and {summary['memory']['base_bytes'] / 1e6:.0f} MB",
    ]
    for what in ("errors", "memory_errors"):
        for name, error in summary[what].items():
            if error:
                lines.append(
                    f"{what.replace('_', ' ')}, {name} ({error['cases']}): "
                    f"median ratio {error['median_ratio']:.2f}, "
                    f"median factor {error['median_factor']:.2f}, "
                    f"worst {error['worst_ratio']:.2f} ({error['worst_case']})"
                )
    return lines
