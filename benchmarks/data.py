"""Speed and memory of the input pipeline: `python -m benchmarks.data`.

Images a second of the streamed pipeline alone, against plain tf.data pipelines over the same
generated files and against the training step of a network of the zoo; then the memory that an
epoch takes over a set that would not fit into the bound.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.data")

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks._options import benchmark_parser, integer

SIDE = 256  # pixels of the images of the memory measurement
BATCH = 16


def main(arguments=None):
    parser = benchmark_parser("data", __doc__)
    parser.add_argument("--repeats", type=integer(3, 99), default=3, help="3 to 99 (default: 3)")
    parser.add_argument(
        "--images", type=integer(64, 10**6), default=512, help="JPEGs of an epoch (default: 512)"
    )
    parser.add_argument(
        "--memory-mib",
        type=integer(0, 10**6),
        default=2200,
        help="decoded size of the set of the memory measurement; 0 leaves it out (default: 2200)",
    )
    parser.add_argument(
        "--bound-mib",
        type=integer(1, 10**6),
        default=200,
        help="memory that its epoch may take (default: 200)",
    )
    parser.add_argument(
        "--only",
        metavar="TEXT",
        default="",
        help="cases with TEXT in their name: JPEG, PNG, memory, ...",
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    # TensorFlow is imported only now, after the options are known to be good.
    from benchmarks import cases_data, harness
    from spectral_keras.experiments.folder import write_json
    from spectral_keras.memory import keep_freed_memory

    kept = keep_freed_memory()  # as the training command does
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, build in cases_data.cases(folder, options.images).items():
            if options.only not in name:
                continue
            case, images = build()
            measured = harness.measure(case, repeats=options.repeats, warmup=1)
            print(harness.format_rows(measured), flush=True)
            for row in measured:
                speed = 1e3 * images / row.milliseconds
                rows.append(dataclasses.asdict(row) | {"images_per_second": speed})
                rows[-1]["images_per_cpu_second"] = 1e3 * images / row.cpu_milliseconds
                print(f"  {row.way}: {speed:,.0f} images/s", flush=True)
        memory = None
        if options.memory_mib and options.only in "memory":
            memory = _memory(folder, options)
    if options.output:
        command = "python -m benchmarks.data " + " ".join(arguments or sys.argv[1:])
        content = {
            "command": command.strip(),
            "unit": "milliseconds an epoch of the pipelines and a training step, median of "
            "interleaved repeats; memory in MiB",
            "environment": harness.environment() | {"freed_memory_kept": kept},
            "rows": rows,
            "memory": memory,
        }
        pathlib.Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        write_json(options.output, content)
        print(f"written: {options.output}")
    return 1 if memory and memory["increase_mib"] > options.bound_mib else 0


def _memory(folder, options):
    """Memory of one streamed epoch, in a process of its own."""
    from benchmarks import cases_data

    count = -(-options.memory_mib * 2**20 // (SIDE * SIDE * 3))
    images = cases_data.encoded_images(64, SIDE, "JPEG")
    path = pathlib.Path(folder, "memory")
    cases_data.write_tfds(path, images, count, "JPEG", SIDE)
    found = {
        "images": count,
        "decoded_mib": round(count * SIDE * SIDE * 3 / 2**20, 1),
        "batch": [BATCH, SIDE, SIDE, 3],
        "bound_mib": options.bound_mib,
    }
    command = [sys.executable, "-m", "benchmarks.data_memory", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found |= json.loads(done.stdout.splitlines()[-1])
    print(
        f"memory: {found['before_mib']:,.0f} MiB after four batches of a part, at most "
        f"{found['peak_mib']:,.0f} MiB in opening the set and in an epoch of {count:,} images "
        f"({found['decoded_mib']:,.0f} MiB decoded): {found['increase_mib']:,.0f} MiB more, "
        f"bound {options.bound_mib} MiB"
    )
    return found
