"""Time and memory over image size, width and batch, and the cost model fitted to them.

Each case runs in a process of its own: forward and backward pass of a layer, or a training step of
a network (SGD with momentum), float32, not compiled by XLA.  Processor time of all threads is the
figure to trust on a machine that does other work too.  The constants of the model are fitted on the
layers at two sizes; its errors on the other layers and on the networks are printed.
"""

import argparse
import math
import multiprocessing
import os
import pathlib
import statistics
import sys


def _number(kind, low, high):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            word = "an integer" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{word} from {low} to {high} is needed, not {text!r}")
        return value

    return parse


def main(arguments=None):
    from benchmarks.harness import json_file
    from models._options import OneLineParser

    parser = OneLineParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument(
        "--output", type=json_file, metavar="FILE.json", help="write the numbers here"
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        help="run only the cases with NAME in their name (may be given again)",
    )
    parser.add_argument(
        "--threads", type=_number(int, 1, 256), default=1, help="of a step (default: 1)"
    )
    parser.add_argument(
        "--seconds",
        type=_number(float, 0, 60),
        default=0.5,
        help="a case repeats its step for this long, at least twice (default: 0.5)",
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    # TensorFlow is imported only now, after the options are known to be good.
    import keras

    from benchmarks import cases_scaling, harness
    from models._files import write_json

    if keras.backend.backend() != "tensorflow":
        parser.error(f"needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}")
    jobs = cases_scaling.jobs()
    if options.only:
        labels = sorted({job.name for job in jobs})
        jobs = [job for job in jobs if any(part in job.label for part in options.only)]
        if not jobs:
            parser.error(f"--only {options.only} matches none of: {', '.join(labels)}")
    # A server that has imported everything, and run nothing, forks the processes of the cases.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "benchmarks.cases_scaling", "models.registry"])
    rows = []
    for job in jobs:
        rows += (new := _run(job, options, context))
        for row in new:
            print(_line(row), flush=True)
    summary = None
    if sum(row["fitted"] for row in rows) >= 2 * len(CONSTANTS):
        summary = fit(rows)
        print("\n".join(summary_lines(summary)))
    else:
        print("too few cases to fit the model")
    if options.output:
        command = "python -m benchmarks.scaling " + " ".join(arguments or sys.argv[1:])
        content = {
            "command": command.strip(),
            "unit": "milliseconds a training step, processor time of all threads, median",
            "environment": harness.environment() | {"threads": options.threads},
            "summary": summary,
            "rows": rows,
        }
        pathlib.Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        write_json(options.output, content)
        print(f"written: {options.output}")
    return 0


def _run(job, options, context):
    """Measured rows of a job, with the counts of the model."""
    from benchmarks import cases_scaling, machines

    with context.Pool(1) as pool:
        measured = pool.apply(cases_scaling.measure, (job, options.threads, options.seconds))
    rows = []
    for found in measured:
        cost = cases_scaling.cost(job, found["batch"])
        counts = dict(zip(COUNTS, machines.amounts(cost), strict=True))
        rows.append(
            {
                "case": job.label,
                "name": job.name,
                "network": job.network,
                "options": dict(job.options),
                "size": job.size,
                "batch": found["batch"],
                "fitted": job.fitted,
                **counts,
                "weights": cost.weights,
                "predicted_peak_bytes": cases_scaling.peak_bytes(job, cost),
                **{key: value for key, value in found.items() if key != "batch"},
            }
        )
    return rows


COUNTS = ("products", "transforms", "bytes", "kernels")
CONSTANTS = ("product", "transform", "byte", "kernel")


def fit(rows):
    """The constants by the fitted rows, predictions for all (into the rows), and the errors.

    The squared logarithm of predicted over measured is minimised, so that short and long steps
    count alike; its tails count linearly, so that one odd kernel does not move the rest.

    Returns:
        dict with "constants" (seconds), "errors" and "memory_errors".
    """
    import numpy as np
    from scipy.optimize import least_squares

    used = [row for row in rows if row["fitted"]]
    table = np.array([[row[key] for key in COUNTS] for row in used], float)
    seconds = np.array([row["cpu_milliseconds"] for row in used]) / 1e3
    # Typical of a processor's core: the start only.
    start = np.log([2e-11, 1e-10, 2e-10, 2e-5])
    found = least_squares(
        lambda logs: np.log(table @ np.exp(logs)) - np.log(seconds), start, loss="soft_l1"
    )
    constants = np.exp(found.x)
    for row in rows:
        predicted = sum(c * row[key] for c, key in zip(constants, COUNTS, strict=True))
        row["predicted_milliseconds"] = 1e3 * float(predicted)
    return {
        "constants": dict(zip(CONSTANTS, map(float, constants), strict=True)),
        "errors": _errors(rows, "predicted_milliseconds", "cpu_milliseconds"),
        "memory_errors": _errors(rows, "predicted_peak_bytes", "peak_bytes"),
    }


def _errors(rows, predicted, measured):
    """How far the model is from the measurements, for each part of the cases."""
    parts = {
        "fitted layers": [row for row in rows if row["fitted"]],
        "held-out layers": [row for row in rows if not row["fitted"] and not row["network"]],
        "held-out networks": [row for row in rows if row["network"]],
    }
    return {
        name: _error([(r[predicted] / r[measured], r) for r in part if r[measured]])
        for name, part in parts.items()
    }


def _error(ratios):
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
        f"peak {peak} MB (model {row['predicted_peak_bytes'] / 1e6:.0f})"
    )


def summary_lines(summary):
    constants = summary["constants"]
    lines = [
        f"matrix products {1e-9 / constants['product']:.1f} GFLOP/s, "
        f"FFTs {1e-9 / constants['transform']:.2f} GFLOP/s, "
        f"memory {1e-9 / constants['byte']:.2f} GB/s, kernel {1e6 * constants['kernel']:.0f} us"
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


if __name__ == "__main__":
    sys.exit(main())
