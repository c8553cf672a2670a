"""Every option of every figure changes what it names: the run is cut where it is known."""

import importlib
import pathlib
import shlex
import types

import keras
import numpy as np
import pytest

import spectral_keras.corruptions as corruptions
import spectral_keras.data
from figures import _corrupted, _figure, _runs, _test_images, information_preservation, scorecard
from figures._figure import PRESETS, Figure
from figures._mask_runs import prepare_images
from figures.hyperparameter_search import search_dataset
from figures.run import ORDER
from figures.run import main as run_queue
from spectral_keras.experiments.folder import file_hash, write_json
from spectral_keras.experiments.search import command as search
from spectral_keras.experiments.train import command as train
from spectral_keras.experiments.train.options import TrainOptions
from tests.experiments.effects import options_of

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)
ALWAYS = {"preset", "results", "overwrite"}
# Figures without trainings, and without data of a data set: the others have both options.
WITHOUT_RUNS = {
    "blue_shift", "frequency_noise", "information_preservation", "point_detection",
    "power_suppression",
}  # fmt: skip
WITHOUT_DATA = {"blue_shift", "planted_masks", "point_detection"}
SHARED = {"poolings": "flagship", "response_histogram": "corruption_tables"}


def figure(name):
    return importlib.import_module(f"figures.{name}").FIGURE


def test_all_figures_are_here():
    paths = pathlib.Path(_figure.__file__).parent.glob("[!_]*.py")
    assert {path.stem for path in paths} == {*ORDER, "run", "scorecard"}


@pytest.mark.parametrize("name", ORDER)
def test_every_option_has_a_test(monkeypatch, name):
    """One of those below, or of a made-up figure."""
    found = options_of(monkeypatch, lambda argv: _figure.main(name, argv))
    some = {"runs"} if name not in WITHOUT_RUNS else set()
    assert found == ALWAYS | some | ({"data_dir"} if name not in WITHOUT_DATA else set())


class Reached(Exception):
    """Ends a figure where it has asked for data or for a training."""


@pytest.fixture
def asked(monkeypatch):
    """(what, folder of data sets, folder of the work) of all that a figure asks for first."""
    found = []

    def load(name, *, data_dir=None, **_):
        found.append(("data", data_dir, None))
        raise Reached

    def train(options, **_):
        found.append(("training", options.data_dir, options.output))
        raise Reached

    def search_for(options, **_):
        found.append(("search", options.training["data_dir"], options.output))
        raise Reached

    for place in (spectral_keras.data, _test_images, information_preservation):
        monkeypatch.setattr(place, "load", load)
    monkeypatch.setattr(information_preservation, "picture_panel", lambda *_: None)
    monkeypatch.setattr(_runs, "train", train)
    monkeypatch.setattr(search, "search", search_for)
    monkeypatch.setattr("gc.collect", lambda *_: 0)  # of a whole test process
    return found


def run(name, *words):
    with pytest.raises(Reached):
        _figure.main(name, ["--preset", "cpu", *words])


@pytest.mark.parametrize("name", [name for name in ORDER if name not in WITHOUT_DATA])
def test_data_dir(monkeypatch, tmp_path, asked, name):
    """The folder of what is asked for; the results stay where they are."""
    monkeypatch.chdir(tmp_path)
    run(name, "--results", "r")
    run(name, "--results", "r", "--data-dir", "sets")
    assert [data_dir for _, data_dir, _ in asked] == [None, "sets"]


@pytest.mark.parametrize("name", [name for name in ORDER if name not in WITHOUT_RUNS])
def test_runs(monkeypatch, tmp_path, asked, name):
    monkeypatch.chdir(tmp_path)
    if name == "fourier_masks":  # its trainings are on images that it has chosen before
        kept = types.SimpleNamespace(path="x.npz", x=np.zeros((1, 8, 8, 1)), own=[0], others=[])
        monkeypatch.setattr("figures.fourier_masks.Images", lambda _: kept)
    run(name, "--results", "r")
    run(name, "--results", "r", "--runs", "there")
    own, there = (pathlib.PurePath(output).parent.as_posix() for _, _, output in asked)
    assert own == f"runs/figures/{SHARED.get(name, name)}/cpu" and there == "there/cpu"


def empty_figure(_):
    from matplotlib.figure import Figure

    return Figure()


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_and_results(monkeypatch, tmp_path, preset):
    """The settings that the run works with, and where its JSON and its picture go."""
    monkeypatch.chdir(tmp_path)
    presets, found = {name: {"n": name} for name in PRESETS}, {}

    def work(experiment):
        found.update(settings=experiment.settings, folder=experiment.folder.as_posix())

    with pytest.raises(SystemExit) as ended:
        _figure.main(
            Figure("one", "A figure.", presets, work, empty_figure),
            ["--preset", preset, "--results", "r"],
        )
    assert ended.value.code == 0
    assert found == {"settings": {"n": preset}, "folder": f"runs/figures/one/{preset}"}
    assert {"one.json", "one.png"} <= {path.name for path in (tmp_path / "r").iterdir()}


@pytest.mark.parametrize("name", ORDER)
def test_presets_differ(name):
    """`paper` is `cpu` where the paper's own settings take seconds."""
    assert set(figure(name).presets) == set(PRESETS)
    assert figure(name).presets["smoke"] != figure(name).presets["cpu"]


class TestOverwrite:
    """What an earlier call finished and left in the folders is not used."""

    def experiment(self, folder, overwrite, name="flagship"):
        results = _figure.ResultsFolder(folder, name)
        one = _figure.Experiment(figure(name), "smoke", results, folder / "runs", None)
        one.overwrite, one.save = overwrite, lambda: None
        return one

    def test_the_json(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        found = []

        def work(experiment):
            found.append((dict(experiment.content), experiment.overwrite))
            experiment.content["known"] = 1

        one = Figure("one", "A figure.", {"smoke": {}}, work, empty_figure)
        for more in ((), (), ("--overwrite",)):
            with pytest.raises(SystemExit):
                _figure.main(one, ["--preset", "smoke", "--results", "r", *more])
        assert found == [({}, False), ({"known": 1}, False), ({}, True)]

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_training(self, tmp_path, asked, overwrite):
        one = self.experiment(tmp_path, overwrite)
        key, (model, options) = next(iter(one.figure.runs(one.settings).items()))
        folder = tmp_path / "runs" / key
        folder.mkdir(parents=True)
        words = TrainOptions.of_values(model, options).arguments()
        command = shlex.join(["python", "-m", f"models.{model}", *words])
        (folder / "history.csv").write_text("epoch,loss\n1,2.0\n")
        write_json(folder / "config.json", {"command": command, "options": {}})
        known = file_hash(folder / "history.csv")
        write_json(folder / "result.json", {"test_accuracy": 0.5, "history_sha256": known})
        for name in ("best.keras", "curves.png"):
            (folder / name).touch()
        if overwrite:
            with pytest.raises(Reached):
                _runs.train_once(one, key, model, options)
        else:
            record = _runs.train_once(one, key, model, options)
            assert record["result"] == {"test_accuracy": 0.5}

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_search(self, monkeypatch, tmp_path, asked, overwrite):
        given = []

        def found(options, command):
            given.append((options.resume, options.overwrite))
            folder = pathlib.Path(options.output)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "config.json", {"command": command})
            parts = ("number", "reason", "point", "score", "best_epoch", "seconds")
            trial = dict.fromkeys(parts, 1)
            return {"best": 1, "images": 1, "axes": 1, "trials": [trial | {"status": "completed"}]}

        monkeypatch.setattr(search, "search", found)
        for again in (False, overwrite):
            search_dataset(self.experiment(tmp_path, again, "hyperparameter_search"), "digits")
        assert given == [(True, False), (not overwrite, overwrite)]

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_chosen_images(self, tmp_path, asked, overwrite):
        one = self.experiment(tmp_path, overwrite, "fourier_masks")
        one.folder.mkdir(parents=True)
        (one.folder / "digits-0-1-2-3-4-200-120.npz").touch()
        if overwrite:
            with pytest.raises(Reached):
                prepare_images(one)
        else:
            assert prepare_images(one).endswith("/digits-0-1-2-3-4-200-120.npz") and not asked

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_masks_of_images(self, monkeypatch, tmp_path, asked, overwrite):
        one = self.experiment(tmp_path, overwrite, "fourier_masks")
        one.folder.mkdir(parents=True)
        (one.folder / "masks-natural.npz").touch()
        with pytest.raises(Reached):
            one.figure.run(one)
        assert (one.folder / "masks-natural.npz").exists() != overwrite

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_corrupted_images(self, monkeypatch, tmp_path, overwrite):
        one = self.experiment(tmp_path, overwrite)
        one.settings["test_images"] = 2
        x, y = np.zeros((3, 8, 8, 3), "uint8"), np.zeros(3, int)
        data = types.SimpleNamespace(x_test=x, y_test=y)
        monkeypatch.setattr(train, "load_data", lambda options: (data, None))
        monkeypatch.setattr(corruptions, "BENCHMARK", ("brightness",))
        folder = one.folder / "corrupted-2"
        folder.mkdir(parents=True)
        np.save(folder / "brightness.npy", np.full((10, 8, 8, 3), 7, "uint8"))
        with _corrupted.corrupted_images(one) as images_of:
            images_of(None)
            stored = np.load(folder / "brightness.npy")
        assert len(stored) == 10 and (stored == 7).all() != overwrite


@pytest.mark.parametrize(
    ("name", "words", "line"),
    [
        ("flagship", "--overwrite", "argument --overwrite: it needs --preset"),
        ("flagship", "--runs r", "argument --runs: it needs --preset"),
        ("flagship", "--data-dir d", "argument --data-dir: it needs --preset cpu or paper"),
        ("flagship", "--preset smoke --data-dir d",
         "argument --data-dir: it needs --preset cpu or paper"),
        ("blue_shift", "--preset cpu --data-dir d", "unknown option --data-dir"),
        ("power_suppression", "--preset cpu --runs r", "unknown option --runs"),
        ("planted_masks", "--preset cpu --data-dir d", "unknown option --data-dir"),
        ("run", "--list --hours 2", "argument --hours: it needs a run, without --list"),
        ("run", "--list --runs r", "argument --runs: it needs a run, without --list"),
        ("run", "--list --data-dir d", "argument --data-dir: it needs --preset cpu or paper, with"),
        ("run", "--preset smoke --data-dir d", "argument --data-dir: it needs --preset cpu or"),
    ],
)  # fmt: skip
def test_an_option_without_use_is_one_line(capsys, name, words, line):
    main = run_queue if name == "run" else lambda argv: _figure.main(name, argv)
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    error = capsys.readouterr().err
    assert ended.value.code == 2 and line in error and error.count("\n") == 1


def test_scorecard(monkeypatch, tmp_path):
    """Where the numbers come from, and where the pages go."""
    assert options_of(monkeypatch, scorecard.main) == {"results", "pages"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scorecard, "collect", lambda folder: [] if folder == "r" else None)
    pathlib.Path("r").mkdir()
    with pytest.raises(SystemExit) as ended:
        scorecard.main(["--results", "r", "--pages", "p"])
    assert ended.value.code == 0
    assert (tmp_path / "r" / "scorecard.json").exists() and (tmp_path / "p/scorecard.md").exists()
