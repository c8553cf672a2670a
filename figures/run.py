"""The queue of the figures: run what is missing, the most valuable first.

    python -m figures.run --preset cpu --list        what is done, and what is left in hours
    python -m figures.run --preset cpu --hours 2.5   run until the time is over

A training that is interrupted, by the end of the time too, continues where it was the next time.
"""

if __name__ == "__main__":
    from models import command

    command("figures.run")

import contextlib
import dataclasses
import functools
import importlib
import json
import pathlib
import signal
import sys
import types

from figures import _figure
from figures._runs import is_planned
from spectral_keras.experiments.command import ENDS, CommandError, note_interruption, report_end
from spectral_keras.experiments.folder import check_output, read_json
from spectral_keras.experiments.options import Options, number, option, path
from spectral_keras.experiments.train.options import PGD_STEPS, TrainOptions
from spectral_keras.models import registry
from spectral_keras.models.macs import count_macs

# The most valuable first: what a claim of a paper hangs on, and what can be known soonest.
ORDER = (
    "flagship",
    "poolings",
    "auxiliary_protocols",
    "auxiliary_tasks",
    "convergence_rates",
    "corruption_tables",
    "convergence",
    "frequency_dropout",
    "fourier_masks",
    "hyperparameter_search",
    "response_histogram",
    "planted_masks",
    "fine_tuning",
    "information_preservation",
    "point_detection",
    "frequency_noise",
    "power_suppression",
    "blue_shift",
)


class TimeIsOver(KeyboardInterrupt):
    """The hours of the queue have passed: treated as Ctrl-C is, which loses nothing."""


# See `Options.needs`.
_NEEDS = dict.fromkeys(
    ("hours", "runs"), ("a run, without --list", lambda options: not options.list)
)
_NEEDS["data_dir"] = (
    f"{_figure.DATA_DIR_NEEDS}, without --list",
    lambda options: not options.list and options.preset != "smoke",
)


@dataclasses.dataclass
class RunOptions(Options):
    """Options of `python -m figures.run`."""

    needs = _NEEDS

    preset: str = option("cpu", "which preset", choices=_figure.PRESETS)
    hours: float | None = option(None, "stop after so long", kind=number(float, 0, True, 1e4))
    only: list | None = option(None, "these figures", choices=ORDER, nargs="+", metavar="NAME")
    list: bool = option(False, "say what is done and what is left, and run nothing", kind="flag")
    results: str = option(str(_figure.RESULTS), "folder of the JSON and the PNG", kind=path)
    runs: str = option("runs/figures", "folder of the training runs", kind=path)
    data_dir: str | None = option(
        None, "folder of the TFDS data sets, or of NAME.npz files", kind=path, shown="TFDS' own"
    )


def main(argv=None):
    """Run the command and exit with its status: 0, 1 (stopped), 2 (bad input), 130 or 143."""
    options = RunOptions.parse(argv, RunOptions.parser("figures.run", __doc__))
    status = 0
    try:
        check_output(options.results, "--results")
        check_output(options.runs, "--runs")
        queue = [figure(name) for name in options.only or ORDER]
        queue = [one for one in queue if options.preset in one.presets]
        print(table(queue, options), flush=True)
        if not options.list:
            _set_alarm(options.hours)
            run(queue, options)
    except TimeIsOver:
        note_interruption()
        print("figures.run: the time is over; the same command continues", flush=True)
    except ENDS as error:
        status = report_end("figures.run", error, "the same command continues")
    finally:
        signal.alarm(0)
    sys.exit(status)


def figure(name):
    """The `Figure` of a module."""
    return importlib.import_module(f"figures.{name}").FIGURE


def run(queue, options):
    """Run every figure of the queue that is not finished, and draw it."""
    for one in queue:
        if state(one, options)["finished"]:
            continue
        wanted = types.SimpleNamespace(
            preset=options.preset,
            results=options.results,
            runs=str(pathlib.Path(options.runs) / (one.runs_of or one.name)),
            data_dir=options.data_dir,
            overwrite=False,
        )
        with contextlib.closing(_figure.ResultsFolder(options.results, one.name)) as results:
            _figure.make(one, wanted, results)


def _set_alarm(hours):
    def ring(*_):
        raise TimeIsOver

    if hours is not None:
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 3600 * hours)


def state(one, options):
    """What is known of a figure: whether it is finished, its trainings, their work.

    Returns:
        dict: `finished`; `done` and `left` (keys of trainings, None where a figure does not say);
        `work`, floating-point operations of those that are left, None where not known; `seconds`,
        how long finished ones of this figure took for theirs, None without any.
    """
    wanted = json.loads(json.dumps(one.presets[options.preset]))
    file = pathlib.Path(options.results) / f"{one.name}.json"
    stored = read_json(file) if file.exists() else {}
    same = stored.get("preset") == options.preset and stored.get("settings") == wanted
    records = _records(file, stored, options.preset)
    found = dict.fromkeys(("done", "left", "work", "seconds"))
    found["finished"] = bool(same and stored.get("finished"))
    if one.runs is None:
        return found
    planned = one.runs(wanted)
    # A record of other settings may go by the same name.
    found["done"] = [key for key, plan in planned.items() if is_planned(records.get(key), plan)]
    found["left"] = [key for key in planned if key not in found["done"]]
    work = {key: operations(TrainOptions.of_values(*plan[:2])) for key, plan in planned.items()}
    if None not in work.values():
        found["work"] = sum(work[key] for key in found["left"])
        timed = [key for key in found["done"] if "seconds" in records[key].get("result", {})]
        if timed:
            seconds = sum(records[key]["result"]["seconds"] for key in timed)
            found["seconds"] = found["work"] * seconds / sum(work[key] for key in timed)
    return found


def _records(file, stored, preset):
    """The trainings in the JSON of a figure, which anybody may have written."""
    try:
        records = stored.get("content", {}).get("runs", {})
        for record in records.values():
            record.get("result", {}).get("seconds", 0.0) + 0.0
        return records
    except (AttributeError, TypeError):
        raise CommandError(
            f"{file} is damaged: python -m figures.{file.stem} --preset {preset} --overwrite makes "
            "it anew"
        ) from None


# Training images, height, width and channels, and classes, of what the presets name.
_SIZES = {"cifar10": (50_000, (32, 32, 3), 10), "cifar100": (50_000, (32, 32, 3), 100)}


def operations(options):
    """Floating-point operations of a training; None for data of a size that is not known here.

    A step costs three times the pass forwards, an attack's step as much again.
    """
    if options.dataset not in _SIZES:
        return None
    images, shape, classes = _SIZES[options.dataset]
    images = (options.limit or images) * (1 - options.validation_fraction)
    steps = {"none": 0, "fgsm": 1}.get(options.adversarial, options.adversarial_steps or PGD_STEPS)
    passes = 3 * (1 + steps * options.adversarial_share)
    macs = _macs(options.model, shape, classes, json.dumps(options.network, sort_keys=True))
    return 2 * macs * passes * images * options.epochs


@functools.cache
def _macs(model, shape, classes, network):
    return count_macs(registry.build(model, shape, classes, **json.loads(network)))


def table(queue, options):
    """What is done and what is left, a line for each figure."""
    lines = [f"{'figure':<26}{'trainings':>12}  left"]
    for one in queue:
        found = state(one, options)
        trainings = "-"
        if found["done"] is not None:
            total = len(found["done"]) + len(found["left"])
            trainings = f"{len(found['done'])} of {total}"
        left = "nothing" if found["finished"] else "not known"
        if not found["finished"] and found["work"] is not None:
            left = f"{found['work'] / 1e15:.1f} PFLOP"
            if found["seconds"] is not None:
                left += f", {found['seconds'] / 3600:.1f} hours as those before"
        lines.append(f"{one.name:<26}{trainings:>12}  {left}")
    return "\n".join(lines)
