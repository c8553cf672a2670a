"""The command behind the figures: presets, results, bad input."""

import dataclasses
import importlib
import json
import shutil

import pytest

from figures import _figure
from figures import run as queue
from figures._figure import Figure, main
from figures._style import settings_line
from tests.models.runs import by_hand


def make(settings=None, run=None):
    def default(experiment):
        experiment.content["sum"] = experiment.content.get("sum", 0) + 1

    def draw(stored):
        from matplotlib import pyplot

        return pyplot.figure()

    settings = settings or {"n": 1}
    presets = {"smoke": settings, "cpu": {"n": 2}}
    return Figure("made_up", "A figure.", presets, run or default, draw)


def call(figure, folder, *arguments):
    with pytest.raises(SystemExit) as left:
        main(figure, ["--results", str(folder), *map(str, arguments)])
    return left.value.code


def read(folder):
    return json.loads((folder / "made_up.json").read_text())


def test_runs_draws_and_continues(tmp_path):
    assert call(make(), tmp_path, "--preset", "smoke") == 0
    stored = read(tmp_path)
    assert stored["content"] == {"sum": 1} and stored["finished"] is True
    assert stored["settings"] == {"n": 1} and stored["versions"]["keras"]
    assert (tmp_path / "made_up.png").exists()
    assert call(make(), tmp_path, "--preset", "smoke") == 0
    assert read(tmp_path)["content"] == {"sum": 2}
    assert call(make(), tmp_path, "--preset", "smoke", "--overwrite") == 0
    assert read(tmp_path)["content"] == {"sum": 1}
    assert call(make(), tmp_path) == 0  # plotted again
    assert read(tmp_path)["content"] == {"sum": 1}


def test_what_a_run_saved_while_it_was_drawn_stays(tmp_path):
    path, newer = tmp_path / "made_up.json", {}

    def derive(stored):
        if newer:
            _figure.write_json(path, newer)
        stored["content"]["claims"] = []

    figure = make()
    assert call(figure, tmp_path, "--preset", "smoke") == 0
    figure = dataclasses.replace(figure, derive=derive)
    newer |= {key: value for key, value in read(tmp_path).items() if key != "sha256"}
    newer["content"] = {"sum": 5}
    assert call(figure, tmp_path) == 0
    assert read(tmp_path)["content"] == {"sum": 5}
    newer.clear()
    assert call(figure, tmp_path) == 0
    assert read(tmp_path)["content"] == {"sum": 5, "claims": []}


def test_other_conditions_are_said_and_kept(tmp_path, monkeypatch, capsys):
    def under(**changed):
        now = {"backend": "tensorflow", "device": "CPU A", "versions": {"keras": "3.15.0"}}
        monkeypatch.setattr(_figure, "conditions", lambda: now | changed)
        monkeypatch.setattr(_figure, "commit", lambda: "abc")
        return now | {"commit": "abc"} | changed

    def said():
        return [line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines()[:-2]]

    first = under()
    call(make(), tmp_path, "--preset", "smoke")
    call(make(), tmp_path, "--preset", "smoke")
    assert said()[2:] == [] and "continued" not in read(tmp_path)
    second = under(device="CPU B", versions={"keras": "3.15.1"})
    for _ in range(2):  # the second time nothing has changed since
        assert call(make(), tmp_path, "--preset", "smoke") == 0
        stored = read(tmp_path)
        assert {name: stored[name] for name in first} == first
        assert stored["continued"] == [second]
    line = "started with device CPU A, now CPU B, keras 3.15.0, now 3.15.1: the numbers may differ"
    assert [text for text in said() if "started" in text] == [line]
    before = (tmp_path / "made_up.json").read_bytes()
    under(backend="jax")
    assert call(make(), tmp_path, "--preset", "smoke") == 2
    error = capsys.readouterr().err
    assert (
        "made_up.json was started on the backend tensorflow, not jax: set KERAS_BACKEND=" in error
    )
    assert error.count("\n") == 1 and (tmp_path / "made_up.json").read_bytes() == before
    assert call(make(), tmp_path, "--preset", "smoke", "--overwrite") == 0
    stored = read(tmp_path)
    assert stored["backend"] == "jax" and "continued" not in stored


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in _figure.RESULTS.glob("*.json") if path.stem != "scorecard")
)
def test_results_of_earlier_versions_continue(name, tmp_path, monkeypatch):
    """The first of them say nothing of backend and device; what they say is kept."""
    shutil.copy(_figure.RESULTS / f"{name}.json", tmp_path)
    results = _figure.ResultsFolder(tmp_path, name)
    before = results.manifest()
    known = before.get("continued", [])
    backend = [before, *known][-1].get("backend", "jax")
    now = {"backend": backend, "device": "CPU A", "versions": {"keras": "9"}}
    monkeypatch.setattr(_figure, "conditions", lambda: now)
    figure = importlib.import_module(f"figures.{name}").FIGURE
    again = _figure.Experiment(figure, before["preset"], results, tmp_path / "runs", None)
    again.take_up(again.stored())
    again.save(before["finished"])
    after = results.manifest()
    names = ("backend", "device", "versions", "commit")
    assert [after.get(name) for name in names] == [before.get(name) for name in names]
    assert after["continued"] == [*known, now | {"commit": _figure.commit()}]


def test_changed_settings_keep_the_runs_that_are_still_wanted(tmp_path):
    def first(experiment):
        experiment.content |= {"runs": {"a": {"n": 1}, "b": {"n": 2}}, "mean": 3}
        experiment.used_runs |= {"a", "b"}

    def second(experiment):
        assert experiment.content == {"runs": {"a": {"n": 1}, "b": {"n": 2}}}
        experiment.used_runs.add("b")

    assert call(make(run=first), tmp_path, "--preset", "smoke") == 0
    assert call(make({"n": 5}, second), tmp_path, "--preset", "smoke") == 0
    assert read(tmp_path)["content"] == {"runs": {"b": {"n": 2}}}


def test_changed_settings_drop_the_runs_of_other_options(tmp_path):
    """A run that goes by a wanted key is not shown beside those of the new settings."""

    def runs(settings):
        return {
            "old": ("deep_spectral", {"epochs": settings["n"]}),
            "same": ("deep_spectral", {"epochs": 3}),
        }

    def first(experiment):
        for key, (model, options) in runs(experiment.settings).items():
            command = f"python -m models.{model} --epochs {options['epochs']}"
            experiment.content.setdefault("runs", {})[key] = {"command": command}
        experiment.content["runs"]["later"] = {"command": "python -m models.resnet18"}
        experiment.used_runs |= {"old", "same", "later"}

    def second(experiment):
        assert list(experiment.content["runs"]) == ["same", "later"]

    start, changed = make({"n": 2}, first), make({"n": 5}, second)
    start, changed = (dataclasses.replace(one, runs=runs) for one in (start, changed))
    assert call(start, tmp_path, "--preset", "smoke") == 0
    assert call(changed, tmp_path, "--preset", "smoke") == 0


def test_what_was_saved_survives_a_crash(tmp_path):
    def run(experiment):
        experiment.content["piece"] = 1
        experiment.save()
        raise KeyboardInterrupt

    assert call(make(run=run), tmp_path, "--preset", "smoke") == 130
    stored = read(tmp_path)
    assert stored["content"] == {"piece": 1} and stored["finished"] is False


@pytest.mark.parametrize(
    ("figure", "arguments", "message"),
    [
        (make(), ["--preset", "cpu"], "holds results of the preset smoke"),
        (make(), ["--preset", "huge"], "invalid choice"),
        (make(), ["--presett", "smoke"], "did you mean --preset"),
    ],
)
def test_bad_input_is_one_line_and_loses_nothing(figure, arguments, message, tmp_path, capsys):
    call(make(), tmp_path, "--preset", "smoke")
    before = (tmp_path / "made_up.json").read_bytes()
    capsys.readouterr()
    assert call(figure, tmp_path, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert (tmp_path / "made_up.json").read_bytes() == before


@pytest.mark.parametrize(
    "change", [{"seconds": "x"}, {"seconds": None}, {"content": 3}, {"content": {"runs": [1]}}]
)
def test_entries_of_wrong_types_are_one_line(change, tmp_path, capsys):
    call(make(), tmp_path, "--preset", "smoke")
    path = tmp_path / "made_up.json"
    path.write_text(by_hand(read(tmp_path) | change))
    before = path.read_bytes()
    capsys.readouterr()
    assert call(make(), tmp_path, "--preset", "smoke") == 2
    error = capsys.readouterr().err
    assert f"{path} is damaged: --overwrite" in error and error.count("\n") == 1
    assert path.read_bytes() == before
    assert call(make(), tmp_path, "--preset", "smoke", "--overwrite") == 0


@pytest.mark.parametrize(
    "content",
    [3, [], {"runs": [1]}, {"runs": {"a": "b"}}, {"runs": {"a": {"result": None}}}]
    + [{"runs": {"a": {"result": {"seconds": "x"}}}}],
)
def test_the_queue_names_a_damaged_file(content, tmp_path, capsys):
    path = tmp_path / "flagship.json"
    path.write_text(by_hand({"figure": "flagship", "preset": "cpu", "content": content}))
    arguments = ("--list", "--only", "flagship", "--results", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        queue.main(arguments)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert f"{path} is damaged: python -m figures.flagship" in err and err.count("\n") == 1


def test_a_number_that_was_changed_is_noticed(tmp_path, capsys):
    call(make(), tmp_path, "--preset", "smoke")
    path = tmp_path / "made_up.json"
    path.write_text(path.read_text().replace('"sum": 1', '"sum": 3'))
    assert call(make(), tmp_path) == 2
    error = capsys.readouterr().err
    assert "its checksum does not match" in error and error.count("\n") == 1


@pytest.mark.parametrize("option", ["--results", "--runs"])
def test_a_file_in_the_place_of_a_folder_is_named(option, tmp_path, capsys):
    (tmp_path / "file").write_text("text")
    assert call(make(), tmp_path, "--preset", "smoke", option, tmp_path / "file") == 2
    error = capsys.readouterr().err
    assert f"{option} {tmp_path / 'file'} is not a folder" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"), [(None, "does not exist"), ("{", "cannot be read"), ("{}", "no results")]
)
def test_nothing_to_draw(text, message, tmp_path, capsys):
    if text is not None:
        (tmp_path / "made_up.json").write_text(text)
    assert call(make(), tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_settings_line():
    training = {
        "dataset": "cifar10",
        "epochs": 3,
        "batch_size": 8,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "augment": "none",
    }
    stored = {"preset": "cpu", "settings": {"training": training, "network": {}}}
    assert settings_line(stored) == (
        "Preset cpu: cifar10, all training images, 10 % of them for validation, 3 epochs, batch 8, "
        "adam at 0.001, augmentation none, the paper's filters."
    )
    stored["settings"]["training"]["validation_fraction"] = 0
    stored["settings"]["rates"] = [1e-3, 3e-3]
    assert settings_line(stored) == (
        "Preset cpu: cifar10, all training images, 3 epochs, batch 8, adam at 0.001, 0.003, "
        "augmentation none, the paper's filters."
    )
