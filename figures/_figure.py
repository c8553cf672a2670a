"""The command behind each figure: presets, results as JSON, drawing.

`python -m figures.NAME --preset smoke|cpu|paper` runs or continues what the figure needs,
keeps it in `figures/results/NAME.json` and draws `figures/results/NAME.png`.  Without `--preset`
it draws the PNG again from the JSON.
"""

import dataclasses
import functools
import importlib
import json
import pathlib
import sys
import time
from collections.abc import Callable

from spectral_keras.experiments.command import CommandError, OneLineParser, command_line
from spectral_keras.experiments.folder import WorkFolder, check_output, work_in, write_json
from spectral_keras.experiments.pictures import write_picture
from spectral_keras.experiments.provenance import commit, conditions
from spectral_keras.memory import keep_freed_memory

PRESETS = ("smoke", "cpu", "paper")
# The data of the smoke presets are those of the library.
DATA_DIR_NEEDS = "--preset cpu or paper"
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One table or figure of a paper.

    Attributes:
        name: the module's name.
        description: first lines of `--help`; None, as of a module without docstrings, for none.
        presets: preset -> settings, a JSON-plain dict.
        run: called with an `Experiment`; fills its `content`, calling `save` after each piece.
        draw: called with the whole JSON; returns a matplotlib figure, or a dict of several: the
            key is added to the picture's name, "" for NAME.png.
        derive: None, or what is called with the whole JSON and fills the parts of `content` that
            follow from others (tables, claims), after a run and before a drawing, so that a
            better evaluation needs no new run.
        font_size: of what sets none of its own, in points; 18 can be read at half the size.
        uses: which of "runs" and "data_dir" the run works with; others are no options.
        runs_of: name of the figure whose training runs it uses too, by default its own.
        runs: None, or a function from settings to the trainings, key -> (network, options, and
            names of options that are chosen when others have run), the most valuable first;
            `figures.run` counts with it.
    """

    name: str
    description: str | None
    presets: dict[str, dict]
    run: Callable
    draw: Callable
    derive: Callable | None = None
    font_size: float = 18
    uses: tuple[str, ...] = ("runs", "data_dir")
    runs_of: str = ""
    runs: Callable | None = None


class ResultsFolder(WorkFolder):
    """The folder of the results of figures, one file each, as one of them works in it."""

    owned, shared = (), True

    def __init__(self, path, name):
        super().__init__(path)
        self.figure, self.mark = name, f"{name}.json"
        self.lock, self.noun = f".{name}.lock", f"results of figures.{name}"
        self.shown = self.file

    @property
    def file(self):
        """The JSON file of the results."""
        return self.path / self.mark

    def check_manifest(self, content):
        if content.get("figure") != self.figure or "content" not in content:
            raise CommandError(f"{self.file} holds no results of figures.{self.figure}")


class Experiment:
    """What `Figure.run` works on.

    Attributes:
        settings: the preset's settings.
        content: JSON-plain dict of results; holds what an earlier, interrupted call finished.
        folder: where training runs go.
        data_dir: folder of the TFDS data sets, None for TFDS' own.
        begun: conditions (backend, device, versions, commit) that the results were begun under.
        continued: list of the other conditions that they were continued under.
        used_runs: keys of the training runs that this call has asked for.
        overwrite: whether nothing that an earlier call finished is to be used.
    """

    def __init__(self, figure, preset, results, folder, data_dir):
        self.figure, self.preset, self.results = figure, preset, results
        self.folder, self.data_dir = folder, data_dir
        self.settings = json.loads(json.dumps(figure.presets[preset]))
        self.content = {}
        self.begun, self.continued = None, []
        self.used_runs = set()
        self.overwrite = False
        self._command = command_line(f"figures.{figure.name}", ["--preset", preset])
        self._seconds, self._begin = 0.0, time.perf_counter()

    @functools.cached_property
    def conditions(self):
        """Those of this call."""
        return conditions() | {"commit": commit()}

    def stored(self):
        """The JSON that is there; a `CommandError` if this call cannot continue it."""
        path, stored = self.results.file, self.results.manifest()
        if stored.get("preset") != self.preset:
            raise CommandError(
                f"{path} holds results of the preset {stored.get('preset')}: --overwrite "
                "replaces them, --results names another folder"
            )
        content, seconds = stored.get("content", {}), stored.get("seconds", 0.0)
        continued = stored.get("continued", [])
        good = (
            isinstance(content, dict)
            and isinstance(content.get("runs", {}), dict)
            and isinstance(continued, list)
            and all(isinstance(each, dict) for each in continued)
        )
        if not good or isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise CommandError(f"{path} is damaged: --overwrite makes it anew")
        self.results.check_conditions(self.conditions, self._last(stored))
        return stored

    def _last(self, stored):
        """The conditions of the last call; of old results not all are known."""
        known = [stored, *stored.get("continued", [])][-1]
        return {name: known[name] for name in self.conditions if name in known}

    def take_up(self, stored):
        """Take up the results that the JSON already holds."""
        path = self.results.file
        self.content, self._seconds = stored.get("content", {}), stored.get("seconds", 0.0)
        self.begun = {name: stored[name] for name in self.conditions if name in stored}
        self.continued, last = stored.get("continued", []), self._last(stored)
        for line in self.results.check_conditions(self.conditions, last):
            self.say(line)
        if last != self.conditions:
            self.continued = [*self.continued, self.conditions]
        if stored.get("settings") != self.settings:
            # A run is known by its whole command, so those that are still wanted stay good.
            self.content = {"runs": self.content.get("runs", {})}
            self.say(f"the preset's settings have changed since {path} was made")
        self._drop_runs_of_other_options()

    def _drop_runs_of_other_options(self):
        """A drawing would take them for what goes by their key now."""
        if self.figure.runs is None or "runs" not in self.content:
            return
        from figures._runs import is_planned

        planned, runs = self.figure.runs(self.settings), self.content["runs"]
        other = [key for key in runs if key in planned and not is_planned(runs[key], planned[key])]
        for key in other:
            del runs[key]
        if other:
            self.say(f"trained with other options than now, and not used: {', '.join(other)}")

    def drop_unused_runs(self):
        """Forget the training runs that the settings no longer ask for."""
        if "runs" in self.content:
            runs = self.content["runs"]
            self.content["runs"] = {key: runs[key] for key in runs if key in self.used_runs}

    def save(self, finished=False):
        """Write the JSON: all that is known so far."""
        # A clock that was set back takes nothing away.
        seconds = self._seconds + max(0.0, time.perf_counter() - self._begin)
        self.results.begin(
            {
                "figure": self.figure.name,
                "preset": self.preset,
                "finished": finished,
                "settings": self.settings,
                "command": self._command,
                "seconds": round(seconds, 1),
                **(self.conditions if self.begun is None else self.begun),
                **({"continued": self.continued} if self.continued else {}),
                "content": self.content,
            },
        )

    def say(self, text):
        """A line of progress."""
        elapsed = time.perf_counter() - self._begin
        print(f"[{elapsed:6.0f} s] {self.figure.name}: {text}", flush=True)


def main(figure, argv=None):
    """The command of a figure, given itself or by its name; exits with its status.

    0, 2 (bad input), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    if isinstance(figure, str):
        figure = importlib.import_module(f"figures.{figure}").FIGURE
    options = _parse(figure, argv)
    results = ResultsFolder(options.results, figure.name)
    prog = f"figures.{figure.name}"
    advice = f"the same command {'starts again' if options.overwrite else 'continues'}"
    sys.exit(work_in(results, prog, lambda: make(figure, options, results), advice))


def make(figure, options, results=None):
    """Run a figure, or continue to, where the options name a preset; then draw it."""
    results = results or ResultsFolder(options.results, figure.name)
    check_output(options.results, "--results")
    if options.preset:
        if "runs" in figure.uses:
            check_output(options.runs, "--runs")
        _run(figure, options, results)
    elif not results.begun:
        raise CommandError(f"{results.file} does not exist: --preset smoke, cpu or paper makes it")
    _draw(figure, results)


def _parse(figure, argv):
    description = (figure.description or "").strip()
    parser = OneLineParser(prog=f"figures.{figure.name}", description=description)
    parser.add_argument(
        "--preset",
        choices=[preset for preset in PRESETS if preset in figure.presets],
        help="what to run: smoke (seconds), cpu (hours or days on two cores), paper "
        "(the paper's own settings, for a GPU); without it the figure is plotted again",
    )
    parser.add_argument("--results", default=str(RESULTS), help="folder of the JSON and the PNG")
    places = {
        "runs": (f"runs/figures/{figure.runs_of or figure.name}", "folder of the training runs"),
        "data_dir": (
            None, "folder of the TFDS data sets (default: TFDS' own), or of NAME.npz files"
        ),
    }  # fmt: skip
    for name, (default, text) in places.items():
        if name in figure.uses:
            parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=text)
        else:
            parser.set_defaults(**{name: default})
    parser.add_argument("--overwrite", action="store_true", help="discard earlier results first")
    options = parser.parse_args(argv)
    needs = dict.fromkeys(("runs", "overwrite"), (options.preset, "--preset"))
    needs["data_dir"] = (options.preset in ("cpu", "paper"), DATA_DIR_NEEDS)
    parser.check_use(options, needs)
    return options


def _run(figure, options, results):
    from spectral_keras.experiments.train.command import configure

    # Each preset trains in a folder of its own: a run folder belongs to one set of options.
    folder = pathlib.Path(options.runs) / options.preset
    experiment = Experiment(figure, options.preset, results, folder, options.data_dir)
    experiment.overwrite = options.overwrite
    continued = results.begun and not options.overwrite
    if continued:
        experiment.stored()  # before anything is written
    results.open()
    if continued:
        experiment.take_up(experiment.stored())
    keep_freed_memory()  # most train, and in this process
    configure(seed=0)  # the same bits every time, between the trainings too
    figure.run(experiment)
    experiment.drop_unused_runs()
    if figure.derive:
        stored = {"preset": options.preset, "settings": experiment.settings}
        figure.derive(stored | {"content": experiment.content})
    experiment.save(finished=True)
    experiment.say(f"results: {results.file}")


def _draw(figure, results):
    from matplotlib import pyplot

    path, stored = results.file, results.manifest()
    before = json.dumps(stored)
    try:
        if figure.derive:
            figure.derive(stored)
        with pyplot.rc_context(_text(figure.font_size)):
            _write_pictures(figure.draw(stored), path, figure.name)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        state = "damaged" if stored.get("finished") else "unfinished"
        raise CommandError(
            f"{path} is {state} ({error!r}): --preset {stored.get('preset')} continues it, "
            "with --overwrite from the start"
        ) from error
    # What a run has saved while this was drawn is newer.
    if json.dumps(stored) != before == json.dumps(results.manifest()):
        write_json(path, stored)


def _text(size):
    """Matplotlib's settings for text of one size, titles of figures a little larger."""
    names = ("axes.titlesize", "axes.labelsize", "legend.fontsize", "xtick.labelsize")
    return {"font.size": size, "figure.titlesize": "large"} | dict.fromkeys(
        (*names, "ytick.labelsize"), "medium"
    )


def _write_pictures(pictures, path, name):
    for suffix, picture in (pictures if isinstance(pictures, dict) else {"": pictures}).items():
        target = path.with_name(f"{path.stem}{suffix}.png")
        write_picture(target, picture, dpi=120)
        print(f"{name}: {target}")
