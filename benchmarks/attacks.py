"""Speed of FGSM and PGD against foolbox and ART: `python -m benchmarks.attacks`.

A ResNet-18 of the zoo in float32 at 32x32x3, one batch of images, the same Keras model for all.
First equal work: given labels, no random start, all steps, and how many of the attacked images are
the same.  Then what early stopping of fooled images saves on top.  foolbox and ART are in the extra
"attacks"; without them only ours is timed.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.attacks")

import dataclasses
import importlib.metadata
import os
import pathlib
import sys
import warnings

from benchmarks._options import benchmark_parser, integer, number


def main(arguments=None):
    parser = benchmark_parser("attacks", __doc__)
    parser.add_argument(
        "--images", type=integer(1, 355), default=32, help="images of the batch (default: 32)"
    )
    parser.add_argument(
        "--width",
        type=number(0, 4, low_open=True),
        default=1.0,
        help="factor on the network's filters (default: 1)",
    )
    parser.add_argument("--repeats", type=integer(3), default=7, help="3 or more (default: 7)")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    # TensorFlow is imported only now, after the options are known to be good.
    import keras

    from benchmarks import cases_attacks, harness
    from spectral_keras.experiments.folder import write_json
    from spectral_keras.memory import keep_freed_memory

    if keras.backend.backend() != "tensorflow":
        parser.error(f"needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}")
    kept = keep_freed_memory()
    for name in cases_attacks.LIBRARIES:
        if name not in cases_attacks.installed():
            print(f"{name} is not installed and left out: pip install -e '.[attacks]'")
    model, x, y = cases_attacks.make_model(options.width, options.images)
    results = {}  # (case, way) -> attacked images
    cases = cases_attacks.cases(model, x, y, results)
    rows, summary = [], {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other libraries
        for case in cases:
            measured = harness.measure(case, repeats=options.repeats, warmup=1)
            for row in measured:
                rows.append(_row(row, model, y, results))
            print(harness.format_rows(measured), flush=True)
            summary |= _against_libraries(case.name, measured)
    for name, text in summary.items():
        print(f"{name}: {text['speedup']:.2f}x the faster library ({text['library']})")
    if options.output:
        command = "python -m benchmarks.attacks " + " ".join(arguments or sys.argv[1:])
        content = {
            "command": command.strip(),
            "unit": "milliseconds a batch, median of interleaved repeats",
            "environment": harness.environment() | {"freed_memory_kept": kept} | _versions(),
            "model": {
                "name": "resnet18",
                "width": options.width,
                "parameters": model.count_params(),
                "weights": cases_attacks.MODEL,
                "accuracy": float((_classes(model, x) == y).mean()),
            },
            "against_libraries": summary,
            "rows": rows,
        }
        pathlib.Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        write_json(options.output, content)
        print(f"written: {options.output}")
    return 0


def _row(row, model, y, results):
    """A row of the JSON: images a second too, and what became of the images."""
    import numpy as np

    from benchmarks.cases_attacks import OURS

    images, ours = results[row.case, row.way], results.get((row.case, OURS))
    content = dataclasses.asdict(row)
    content["images_per_second"] = 1e3 * len(y) / row.milliseconds
    content["misclassified"] = float((_classes(model, images) != y).mean())
    if ours is not None and row.way != OURS:
        far = np.abs(images - ours).reshape(len(y), -1).max(axis=1)
        content["images_equal_to_ours"] = float((far < 1e-4).mean())
    return content


def _classes(model, images):
    from spectral_keras.attacks import predict_classes

    return predict_classes(model, images, batch_size=len(images))


def _against_libraries(name, rows):
    """How many times as fast as the faster library we are, by wall clock and processor time."""
    from benchmarks.cases_attacks import LIBRARIES, OURS

    theirs = [row for row in rows if row.way in LIBRARIES]
    if not theirs:
        return {}
    (ours,) = (row for row in rows if row.way == OURS)
    fastest = min(theirs, key=lambda row: row.milliseconds)
    return {
        name: {
            "library": fastest.way,
            "speedup": fastest.milliseconds / ours.milliseconds,
            "cpu_speedup": min(row.cpu_milliseconds for row in theirs) / ours.cpu_milliseconds,
        }
    }


def _versions():
    """Versions of the libraries compared with; None for one that is not installed."""
    from benchmarks.cases_attacks import LIBRARIES, installed

    return {
        name: importlib.metadata.version(package) if name in installed() else None
        for name, (_, package) in LIBRARIES.items()
    }
