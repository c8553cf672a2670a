"""The search and the error after it: the smoke preset."""

import json

import pytest

from figures import hyperparameter_search as figure
from figures._figure import RESULTS
from spectral_keras.experiments.command import CommandError
from tests.figures.running import run_figure


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hyperparameter_search")
    done = run_figure("hyperparameter_search", folder, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    return folder


def stored(folder):
    return json.loads((folder / "hyperparameter_search.json").read_text())


def test_retrains_the_best_point(smoke):
    content = stored(smoke)["content"]
    found = content["searches"]["digits"]
    assert [trial["number"] for trial in found["trials"]] == [1, 2]
    assert found["images"] == {"training": 144, "validation": 16}
    scores = [trial["score"] for trial in found["trials"]]
    assert found["best"]["score"] == max(scores)
    assert all(abs(16 * score - round(16 * score)) < 1e-5 for score in scores)
    assert all(trial["point"]["num_pairs"] in (1, 2) for trial in found["trials"])
    # The network that was evaluated is the best point's.
    config = json.loads((smoke / "runs/smoke/digits-best/config.json").read_text())
    assert {key: config["options"][key] for key in found["best"]["point"]} == found["best"]["point"]
    assert config["options"]["optimizer"] == "sgd"
    assert config["options"]["epochs"] == 2 and config["options"]["limit"] == 200


def test_error_is_that_of_the_test_images(smoke):
    """Computed again from best.keras with NumPy."""
    import keras

    from spectral_keras.data import load

    data = load("digits", limit=200, validation_fraction=0.1, seed=0)
    model = keras.saving.load_model(smoke / "runs/smoke/digits-best/best.keras")
    logits = model.predict(data.x_test.astype("float32") / 255, verbose=0)
    wrong = int((logits.argmax(axis=1) != data.y_test).sum())
    errors = stored(smoke)["content"]["errors"]["digits"]
    assert errors["test_images"] == len(data.y_test)
    assert abs(errors["test_error_percent"] * len(data.y_test) / 100 - wrong) < 0.01


def test_points_of_the_data_sets_before_are_tried_too(tmp_path, monkeypatch):
    """Validation images choose between them."""
    scores = {"a": {"a": 0.5}, "b": {"a": 0.7, "b": 0.6}}
    errors = {"a": {"a": 40.0}, "b": {"a": 35.0, "b": 30.0}}
    points = {"a": {"gamma": 0.3}, "b": {"gamma": 0.8}}

    def trained(experiment, key, model, arguments, **_):
        dataset = arguments["dataset"]
        source = next(s for s, point in points.items() if point["gamma"] == arguments["gamma"])
        return {
            "result": {
                "validation_accuracy": scores[dataset][source],
                "test_error_percent": errors[dataset][source],
                "train_error_percent": 1.0,
                "images": {"test": 100},
                "parameters": 5,
            }
        }

    class Experiment:
        settings = {"trials": {"a": 1, "b": 1}, "retraining": {}}
        content = {}

        def save(self):
            pass

        def say(self, text):
            pass

    monkeypatch.setattr(figure, "train_once", trained)
    monkeypatch.setattr(
        figure, "search_dataset", lambda _, dataset: {"best": {"point": points[dataset]}}
    )
    figure.run(Experiment())
    found = Experiment.content["errors"]
    assert (found["a"]["point_of"], found["a"]["test_error_percent"]) == ("a", 40.0)
    # Not the one with the lower test error.
    assert (found["b"]["point_of"], found["b"]["test_error_percent"]) == ("a", 35.0)
    assert list(found["b"]["candidates"]) == ["a", "b"]


def test_continues_without_work_done_again(smoke):
    before = stored(smoke)["content"]
    done = run_figure("hyperparameter_search", smoke, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    assert "trial 1" not in done.stdout and "Epoch" not in done.stdout
    assert stored(smoke)["content"] == before


def test_interval():
    # The ends p of Wilson's interval solve (p - x)^2 = z^2 p (1 - p) / n.
    low, high = figure.interval(28.83, 10_000)
    for end in (low / 100, high / 100):
        left, right = (end - 0.2883) ** 2, 1.959964**2 * end * (1 - end) / 10_000
        assert left == pytest.approx(right, rel=1e-5)


def trial(number, score, status="completed"):
    return {"number": number, "status": status, "reason": None, "point": {}, "score": score,
            "best_epoch": 1, "seconds": 2.0}  # fmt: skip


def test_a_longer_search_before_does_not_count():
    trials = [trial(1, 0.3), trial(2, 0.5), trial(3, 0.9)]
    found = figure.first_trials(trials, 2)
    assert [one["number"] for one in found["trials"]] == [1, 2]
    assert found["best"]["number"] == 2
    found = figure.first_trials([trial(1, None, "failed"), trial(2, 0.1), trial(3, 0.2)], 2)
    assert found["best"]["number"] == 2
    with pytest.raises(CommandError, match="none of the first 1"):
        figure.first_trials([trial(1, None, "failed"), trial(2, 0.1)], 1)


def test_settings_command_and_trials_agree():
    """What is committed: as many trials as the settings and the command say, the best of them."""
    committed = json.loads((RESULTS / "hyperparameter_search.json").read_text())
    for dataset, found in committed["content"]["searches"].items():
        count = committed["settings"]["trials"][dataset]
        assert len(found["trials"]) == count
        assert f" --trials {count} " in found["command"]
        assert found["best"] in found["trials"]
        assert found["best"]["score"] == max(one["score"] for one in found["trials"])


@pytest.mark.parametrize(("width", "able"), [(0.25, False), (1.0, True)])
def test_claims(width, able):
    errors = {"test_error_percent": 28.83, "test_images": 10_000, "original": 8.6}
    content = {
        "errors": {"cifar10": errors | {"point_of": "cifar100"}},
        "searches": {"cifar10": {"trials": [1, 2]}},
        "runs": {"cifar10-best-of-cifar100": {"result": {"images": {"training": 22_500}}}},
    }
    stored = {"settings": {"retraining": {"width": width, "epochs": 3}}, "content": content}
    figure.derive(stored)
    (one,) = stored["content"]["claims"]
    # One seed decides nothing about a training.
    assert one["verdict"] == "undecided" and one["parts"][0]["able"] == able
    assert (one["effect"], one["printed"]) == (28.83, 8.6)
    assert "of the test images alone [28.0, 29.7]" in one["note"]
    assert "2 trials, 22,500 training images, 3 epochs" in one["run"]


def test_the_caption_says_whose_point_was_trained():
    """That of another search, where validation images preferred it: not the star beside it."""
    stored = json.loads((RESULTS / "hyperparameter_search.json").read_text())
    own, other = (
        {"test_error_percent": error, "train_error_percent": 3.0, "original": 31.6}
        for error in (80.59, 68.88)
    )
    stored["content"]["errors"] = {
        "cifar10": own | {"point_of": "cifar10", "candidates": {"cifar10": own}},
        "cifar100": other
        | {"point_of": "cifar10", "candidates": {"cifar10": other, "cifar100": own}},
    }
    _, first, second = figure._text(stored, stored["settings"]).split("\n")
    assert first.startswith("cifar10: trained at its own star; training error 3.0 %; ")
    assert second.startswith(
        "cifar100: trained at the star of cifar10, which validation images preferred to its own "
        "star (80.59 % test error); "
    )
