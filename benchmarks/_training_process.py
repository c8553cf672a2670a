"""A process of `benchmarks.training`: it answers lines of JSON on standard input.

Without anything of this library or of a framework, so that any environment can run it.
"""

import json
import sys
import time


def serve(about, training_step):
    """Say what this process is, then make and time the training steps that it is asked for.

    Args:
        about: dict, the first answer.
        training_step: function of network, width, precision and batch that returns a step, a
            function without arguments that runs it and returns the loss.
    """
    _answer(about)
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        if "network" in request:
            step = training_step(**request)
            _answer({"loss": step()})
        else:
            begin, cpu_begin = time.perf_counter(), time.process_time()
            for _ in range(request["steps"]):
                step()
            wall, cpu = time.perf_counter() - begin, time.process_time() - cpu_begin
            _answer({"seconds": wall / request["steps"], "cpu_seconds": cpu / request["steps"]})


def _answer(content):
    print(json.dumps(content), flush=True)
