"""The tables of docs/scaling.md that come from measurements, out of benchmarks/results."""

import json
import pathlib

FOLDER = pathlib.Path(__file__).parent / "results"


def load(folder=FOLDER):
    """What the tables need: scaling.json, and "devices" and "data" of those files."""
    results, devices, data = (
        json.loads(pathlib.Path(folder, f"{name}.json").read_text())
        for name in ("scaling", "devices", "data")
    )
    results["summary"]["constants"], devices["summary"]["bandwidth"], data["rows"]
    return results | {"devices": devices, "data": data}


def table(header, rows):
    """A table in Markdown, the first column to the left and the others to the right."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def short(value):
    """Three digits."""
    if value == 0:
        return "0"
    if value >= 999.5:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return f"{value:.2f}" if "e" in text else text


def labelled(name, options):
    return name + "".join(f", {value}" for _, value in options)


def table_constants(results):
    """The fitted constants."""
    constants = results["summary"]["constants"]
    rows = [
        ("matrix products and convolutions", f"{1e-9 / constants['product']:.1f} GFLOP/s"),
        ("FFTs", f"{1e-9 / constants['transform']:.2f} GFLOP/s"),
        ("memory", f"{1e-9 / constants['byte']:.2f} GB/s"),
        ("each kernel", f"{1e6 * constants['kernel']:.0f} µs"),
        (
            "peak memory, times what is counted of the layer in hand",
            f"{results['summary']['memory']['factor']:.2f}",
        ),
        ("and beside it", f"{results['summary']['memory']['base_bytes'] / 1e6:.0f} MB"),
    ]
    return table(("constant", "one core"), rows)


def table_errors(results):
    """Predicted over measured."""
    rows = []
    for what, title in (("errors", "time"), ("memory_errors", "peak memory")):
        for part, error in results["summary"][what].items():
            if error:
                rows.append(
                    (
                        f"{title}, {part}",
                        error["cases"],
                        f"{error['median_ratio']:.2f}",
                        f"{error['median_factor']:.2f}",
                        f"{100 * error['within_factor_2']:.0f} %",
                        f"{error['worst_ratio']:.2f} ({error['worst_case']})",
                    )
                )
    header = ("", "cases", "median ratio", "median factor", "within a factor of 2", "worst ratio")
    return table(header, rows)


def _cell(row, measured, predicted, unit):
    if row is None:
        return "-"
    if row[measured] is None:
        return f"- ({short(row[predicted] * unit)})"
    return f"{short(row[measured] * unit)} ({short(row[predicted] * unit)})"


def _layer_table(results, measured, predicted, unit):
    rows = [row for row in results["rows"] if not row["network"]]
    sizes = sorted({row["size"] for row in rows})
    largest = {}  # of two batches the larger one
    for row in rows:
        key = row["name"], row["size"]
        if key not in largest or largest[key]["batch"] < row["batch"]:
            largest[key] = row
    lines = []
    for name in dict.fromkeys(row["name"] for row in rows):
        found = [largest.get((name, size)) for size in sizes]
        lines.append((name, *(_cell(row, measured, predicted, unit) for row in found)))
    batches = [max(row["batch"] for row in rows if row["size"] == size) for size in sizes]
    pairs = zip(sizes, batches, strict=True)
    return table(("layer", *(f"{size}x{size}, batch {batch}" for size, batch in pairs)), lines)


def table_layer_times(results):
    """Milliseconds of processor time, forward and backward, measured (predicted)."""
    return _layer_table(results, "cpu_milliseconds", "predicted_milliseconds", 1)


def table_layer_memory(results):
    """Megabytes of peak memory, measured (predicted)."""
    return _layer_table(results, "peak_bytes", "predicted_peak_bytes", 1e-6)


def table_networks(results):
    """Networks over size, width and batch."""
    rows = []
    for row in results["rows"]:
        if row["network"]:
            rows.append(
                (
                    row["case"],
                    row["batch"],
                    short(row["products"] / row["batch"] / 1e9),
                    _cell(row, "cpu_milliseconds", "predicted_milliseconds", 1e-3),
                    _cell(row, "peak_bytes", "predicted_peak_bytes", 1e-6),
                )
            )
    header = (
        "network", "batch", "GFLOP an image", "seconds a step (predicted)", "peak MB (predicted)",
    )  # fmt: skip
    return table(header, rows)


def table_all_reduce(results):
    """Vectors added up by two processes on the loopback, measured and fitted."""
    from benchmarks.devices import exchange_seconds

    rows = []
    for row in results["devices"]["all_reduce"]:
        rows.append(
            (
                f"{row['numbers']:,}",
                short(row["bytes"] / 1e6),
                short(1e3 * exchange_seconds(row)),
                short(row["predicted_milliseconds"]),
            )
        )
    return table(("float32 numbers", "MB", "measured, ms", "fitted, ms"), rows)


def table_link(results):
    """The constants of the all-reduce, fitted on vectors."""
    summary = results["devices"]["summary"]
    rows = [
        ("bandwidth", f"{1e-9 * summary['bandwidth']:.2f} GB/s"),
        ("latency of a hop", f"{1e6 * summary['latency']:,.0f} µs"),
    ]
    return table(("constant", "two processes, loopback"), rows)


def table_devices(results):
    """Training steps of two devices, measured and predicted."""
    rows = []
    for row in results["devices"]["rows"]:
        two = row["two"]
        rows.append(
            (
                row["case"],
                row["scaling"],
                row["batch"],
                short(row["weights"] / 1e6),
                short(row["one"]["milliseconds"]),
                short(row["all_reduce_milliseconds"]),
                f"{short(two['milliseconds'])} ({short(two['fastest'])} to "
                f"{short(two['slowest'])})",
                short(row["predicted_milliseconds"]),
                f"{row['ratio']:.2f}",
            )
        )
    header = (
        "network", "scaling", "batch a device", "million weights", "one device, ms",
        "all-reduce by the fit, ms", "two devices, ms", "predicted, ms", "ratio",
    )  # fmt: skip
    return table(header, rows)


def table_efficiency(results):
    """Efficiency of two devices, and what takes how much of it."""
    rows = []
    for row in results["devices"]["rows"]:
        parts = (f"{100 * row['parts'][key]:.0f} %" for key in ("batch", "sharing", "exchange"))
        processor = (short(row[way]["cpu_milliseconds"]) for way in ("one", "beside", "two"))
        rows.append(
            (
                row["case"],
                row["scaling"],
                f"{100 * row['efficiency']:.0f} %",
                f"{100 * row['predicted_efficiency']:.0f} %",
                *parts,
                *processor,
            )
        )
    header = (
        "network", "scaling", "efficiency", "predicted", "left by the smaller batch",
        "by the shared memory", "by the exchange", "processor time, ms: one device",
        "one beside another", "two devices",
    )  # fmt: skip
    return table(header, rows)


def table_devices_errors(results):
    """Predicted over measured, steps of two devices."""
    rows = []
    for name, errors in results["devices"]["summary"]["errors"].items():
        for kind, error in errors.items():
            rows.append(
                (
                    f"{name}, {kind}",
                    error["cases"],
                    f"{error['median_ratio']:.2f}",
                    f"{error['median_factor']:.2f}",
                    f"{error['worst_ratio']:.2f} ({error['worst_case']})",
                )
            )
    return table(("", "cases", "median ratio", "median factor", "worst ratio"), rows)


def table_pipeline(results):
    """Images a second from files to batches, and of the training step that waits for them."""
    cases = {}
    for row in results["data"]["rows"]:
        name, step = row["case"].removeprefix("training step after "), row["case"]
        way = f"training step, {row['way']}" if step != name else row["way"]
        cases.setdefault(name, {})[way] = f"{row['images_per_second']:,.0f}"
    steps = [way for found in cases.values() for way in found if way.startswith("training")]
    ways = [way for found in cases.values() for way in found if way not in steps]
    rows = [
        (way, *(found.get(way, "-") for found in cases.values()))
        for way in dict.fromkeys([*ways, *steps])
    ]
    return table(("images/s", *cases), rows)
