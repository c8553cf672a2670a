"""Speed of the layers against the usual ways: `python -m benchmarks.layers`.

Prints a table, one block a case, and with `--output` writes the same numbers as JSON.  Steps
are forward and backward, compiled, float32, on whatever devices TensorFlow sees.  All ways run with
`spectral_keras.memory.keep_freed_memory`, as the training command does: otherwise the kernel's
zeroing of fresh pages is a large part of what is timed.  `--system-allocator` leaves that out.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.layers")

import importlib
import os
import sys

from benchmarks._options import add_only, benchmark_parser, integer

CASE_MODULES = (
    "benchmarks.cases_pooling",
    "benchmarks.cases_convolution",
    "benchmarks.cases_masks",
    "benchmarks.cases_training",
)


def collect_cases():
    """The cases of every module in `CASE_MODULES`, in order.  A missing module is an error."""
    cases = []
    for module in CASE_MODULES:
        cases.extend(importlib.import_module(module).cases())
    return cases


def main(arguments=None):
    parser = benchmark_parser("layers", __doc__)
    add_only(parser)
    parser.add_argument("--repeats", type=integer(7), default=9, help="7 or more (default: 9)")
    parser.add_argument(
        "--system-allocator",
        action="store_true",
        help="leave the C allocator as it is: large blocks are mapped anew at every step",
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    # TensorFlow is imported only now, after the options are known to be good.
    import keras

    from benchmarks import harness
    from spectral_keras.memory import keep_freed_memory

    if keras.backend.backend() != "tensorflow":
        parser.error(f"needs the TensorFlow backend of Keras, not {keras.backend.backend()!r}")
    kept = False if options.system_allocator else keep_freed_memory()
    cases = collect_cases()
    if options.only:
        names = [case.name for case in cases]
        cases = [case for case in cases if any(part in case.name for part in options.only)]
        if not cases:
            parser.error(f"--only {options.only} matches none of: {', '.join(names)}")
    rows = []
    for case in cases:
        measured = harness.measure(case, repeats=options.repeats)
        rows.extend(measured)
        print(harness.format_rows(measured), flush=True)
    if options.output:
        command = "python -m benchmarks.layers " + " ".join(arguments or sys.argv[1:])
        harness.write_json(options.output, rows, command=command.strip(), kept_memory=kept)
        print(f"written: {options.output}")
    return 0
