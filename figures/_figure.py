"""The command behind each figure: presets, results as JSON, drawing.

`python -m figures.NAME --preset smoke|cpu|paper` runs or goes on with what the figure needs,
keeps it in `figures/results/NAME.json` and draws `figures/results/NAME.png`.  Without `--preset`
it draws the PNG again from the JSON.
"""

import dataclasses
import importlib
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable

from spectral_keras.experiments.command import CommandError, OneLineParser, command_line, report_end
from spectral_keras.experiments.folder import check_output, read_json, write_json
from spectral_keras.experiments.provenance import commit, versions

PRESETS = ("smoke", "cpu", "paper")
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One table or figure of a paper.

    Attributes:
        name: the module's name.
        description: first lines of `--help`.
        presets: preset -> settings, a JSON-plain dict.
        run: called with an `Experiment`; fills its `content`, calling `save` after each piece.
        draw: called with the whole JSON; returns a matplotlib figure, or a dict of several: the
            key is added to the picture's name, "" for NAME.png.
        derive: None, or what is called with the whole JSON and fills the parts of `content` that
            follow from others (tables, claims), after a run and before a drawing, so that a
            better evaluation needs no new run.
        font_size: of what sets none of its own, in points; 18 can be read at half the size.
        runs_of: name of the figure whose training runs it uses too, by default its own.
    """

    name: str
    description: str
    presets: dict[str, dict]
    run: Callable
    draw: Callable
    derive: Callable | None = None
    font_size: float = 10
    runs_of: str = ""


class Experiment:
    """What `Figure.run` works on.

    Attributes:
        settings: the preset's settings.
        content: JSON-plain dict of results; holds what an earlier, interrupted call finished.
        folder: where training runs go.
        data_dir: folder of the TFDS data sets, None for TFDS' own.
        used_runs: keys of the training runs that this call has asked for.
        overwrite: whether nothing that an earlier call finished is to be used.
    """

    def __init__(self, figure, preset, path, folder, data_dir):
        self.figure, self.preset, self.path = figure, preset, path
        self.folder, self.data_dir = folder, data_dir
        self.settings = json.loads(json.dumps(figure.presets[preset]))
        self.content = {}
        self.used_runs = set()
        self.overwrite = False
        self._command = command_line(f"figures.{figure.name}")
        self._seconds, self._begin = 0.0, time.perf_counter()

    def take_up(self, overwrite):
        """Take up the results that the JSON already holds."""
        self.overwrite = overwrite
        if not self.path.exists() or overwrite:
            return
        stored = read_json(self.path)
        if stored.get("preset") != self.preset:
            raise CommandError(
                f"{self.path} holds results of the preset {stored.get('preset')}: --overwrite "
                "replaces them, --results names another folder"
            )
        content, seconds = stored.get("content", {}), stored.get("seconds", 0.0)
        good = isinstance(content, dict) and isinstance(content.get("runs", {}), dict)
        if not good or isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise CommandError(f"{self.path} is damaged: --overwrite makes it anew")
        self.content, self._seconds = content, seconds
        if stored.get("settings") != self.settings:
            # A run is known by its whole command, so those that are still wanted stay good.
            self.content = {"runs": self.content.get("runs", {})}
            self.say(f"the preset's settings have changed since {self.path} was made")

    def drop_unused_runs(self):
        """Forget the training runs that the settings no longer ask for."""
        if "runs" in self.content:
            runs = self.content["runs"]
            self.content["runs"] = {key: runs[key] for key in runs if key in self.used_runs}

    def save(self, finished=False):
        """Write the JSON: all that is known so far."""
        # A clock that was set back takes nothing away.
        seconds = self._seconds + max(0.0, time.perf_counter() - self._begin)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            self.path,
            {
                "figure": self.figure.name,
                "preset": self.preset,
                "finished": finished,
                "settings": self.settings,
                "command": self._command,
                "seconds": round(seconds, 1),
                "versions": versions(),
                "commit": commit(),
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
    path = pathlib.Path(options.results) / f"{figure.name}.json"
    try:
        check_output(options.results, "--results")
        if options.preset:
            check_output(options.runs, "--runs")
            _run(figure, options, path)
        elif not path.exists():
            raise CommandError(f"{path} does not exist: --preset smoke, cpu or paper makes it")
        _draw(figure, path)
        status = 0
    except (CommandError, OSError, KeyboardInterrupt) as error:
        status = report_end(f"figures.{figure.name}", error, "the same command goes on")
    sys.exit(status)


def _parse(figure, argv):
    parser = OneLineParser(prog=f"figures.{figure.name}", description=figure.description)
    parser.add_argument(
        "--preset",
        choices=[preset for preset in PRESETS if preset in figure.presets],
        help="what to run: smoke (seconds), cpu (about two hours on two cores at most), paper "
        "(the paper's own settings, for a GPU); without it the figure is drawn again",
    )
    parser.add_argument("--results", default=str(RESULTS), help="folder of the JSON and the PNG")
    parser.add_argument(
        "--runs",
        default=f"runs/figures/{figure.runs_of or figure.name}",
        help="folder of the training runs",
    )
    parser.add_argument("--data-dir", help="folder of the TFDS data sets (default: TFDS' own)")
    parser.add_argument("--overwrite", action="store_true", help="discard earlier results first")
    return parser.parse_args(argv)


def _run(figure, options, path):
    # Each preset trains in a folder of its own: a run folder belongs to one set of options.
    folder = pathlib.Path(options.runs) / options.preset
    experiment = Experiment(figure, options.preset, path, folder, options.data_dir)
    experiment.take_up(options.overwrite)
    figure.run(experiment)
    experiment.drop_unused_runs()
    if figure.derive:
        stored = {"preset": options.preset, "settings": experiment.settings}
        figure.derive(stored | {"content": experiment.content})
    experiment.save(finished=True)
    experiment.say(f"results: {path}")


def _draw(figure, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    stored = read_json(path)
    if stored.get("figure") != figure.name or "content" not in stored:
        raise CommandError(f"{path} holds no results of figures.{figure.name}")
    before = json.dumps(stored)
    try:
        if figure.derive:
            figure.derive(stored)
        with pyplot.rc_context(_text(figure.font_size)):
            _write_pictures(figure.draw(stored), path, figure.name)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        state = "damaged" if stored.get("finished") else "unfinished"
        raise CommandError(
            f"{path} is {state} ({error!r}): --preset {stored.get('preset')} goes on with it, "
            "with --overwrite from the start"
        ) from error
    if json.dumps(stored) != before:
        write_json(path, stored)


def _text(size):
    """Matplotlib's settings for text of one size, titles of figures a little larger."""
    names = ("axes.titlesize", "axes.labelsize", "legend.fontsize", "xtick.labelsize")
    return {"font.size": size, "figure.titlesize": "large"} | dict.fromkeys(
        (*names, "ytick.labelsize"), "medium"
    )


def _write_pictures(pictures, path, name):
    from matplotlib import pyplot

    for suffix, picture in (pictures if isinstance(pictures, dict) else {"": pictures}).items():
        target = path.with_name(f"{path.stem}{suffix}.png")
        temporary = target.with_name(f".tmp-{target.name}")
        picture.savefig(temporary, dpi=120)
        pyplot.close(picture)
        os.replace(temporary, target)
        print(f"{name}: {target}")
