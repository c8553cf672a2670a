"""Speed of the frequency analysis against a loop: `python -m benchmarks.responses`.

The frequency response of a first layer (all maps of a channel) and a Fourier heat map, the same
images, signs and Keras model for all.  The loops compute each frequency of a pair once, too; a loop
over all entries of the heat map takes twice as long.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.responses")

import dataclasses
import os
import pathlib
import sys

from benchmarks._options import benchmark_parser, integer


def main(arguments=None):
    parser = benchmark_parser("responses", __doc__)
    parser.add_argument("--repeats", type=integer(3), default=5, help="3 or more (default: 5)")
    parser.add_argument(
        "--images", type=integer(1), default=16, help="images of the heat map (default: 16)"
    )
    parser.add_argument(
        "--frequencies",
        type=integer(1, 514),
        default=8,
        help="frequencies of the heat map, of 514 (default: 8)",
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    # TensorFlow is imported only now, after the options are known to be good.
    import keras

    from benchmarks import cases_responses, harness
    from spectral_keras.experiments.folder import write_json
    from spectral_keras.memory import keep_freed_memory

    if keras.backend.backend() != "tensorflow":
        parser.error(f"needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}")
    kept = keep_freed_memory()
    responses, heat_maps = {}, {}
    rows = []
    for case in (
        cases_responses.response_case(results=responses),
        cases_responses.heat_map_case(options.images, options.frequencies, results=heat_maps),
    ):
        measured = harness.measure(case, repeats=options.repeats, warmup=1)
        rows.extend(measured)
        print(harness.format_rows(measured), flush=True)
    differences = cases_responses.differences(responses, heat_maps)
    for name, value in differences.items():
        print(f"{name}: largest difference from the loop {value:.1e}")
    if options.output:
        command = "python -m benchmarks.responses " + " ".join(arguments or sys.argv[1:])
        content = {
            "command": command.strip(),
            "unit": "milliseconds for all frequencies, median of interleaved repeats",
            "environment": harness.environment() | {"freed_memory_kept": kept},
            "largest_difference_from_the_loop": differences,
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        pathlib.Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        write_json(options.output, content)
        print(f"written: {options.output}")
    return 0
