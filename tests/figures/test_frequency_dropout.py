"""The frequency dropout experiment: its smoke preset."""

import json

import numpy as np
import pytest

from figures import _pages, frequency_dropout
from tests.figures.running import run_figure, run_here, start_figure


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frequency_dropout")
    done = run_figure("frequency_dropout", folder, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    return folder


def test_numbers(smoke):
    stored = json.loads((smoke / "frequency_dropout.json").read_text())
    content = stored["content"]
    arms, runs = content["arms"], content["runs"]
    assert len({arm["parameters"] for arm in arms.values()}) == 1
    # The first batch of the first epoch starts from the same weights: only the pooling differs.
    losses = {arm: run["history"]["loss"][0] for arm, run in runs.items()}
    assert losses["frequency-dropout-0"] != losses["no-dropout-0"] != losses["max-pooling-0"]
    for arm, summary in arms.items():
        result = runs[f"{arm} 0".replace(" ", "-")]["result"]
        assert summary["test_error_percent"] == result["test_error_percent"]
        # 144 training and 355 test images: errors are whole numbers of images.
        for kind, images in (("train", 144), ("test", 355)):
            wrong = summary[f"{kind}_error_percent"] * images / 100
            assert 0 < wrong < images and abs(wrong - round(wrong)) < 0.01
    points = [(point["alpha"], point["beta"]) for point in content["grid"]]
    assert points == [(0.15, 0.15), (0.15, 0.8), (0.8, 0.15), (0.8, 0.8)]
    assert "--alpha 0.15 --beta 0.8" in runs["alpha-0.15-beta-0.8-0"]["command"]
    assert len({losses[f"alpha-{alpha:g}-beta-{beta:g}-0"] for alpha, beta in points}) == 4


def test_training_error_is_that_of_the_best_weights(smoke):
    """Computed again from best.keras with NumPy."""
    import keras

    from spectral_keras.data import load

    stored = json.loads((smoke / "frequency_dropout.json").read_text())
    data = load("digits", limit=160, validation_fraction=0.1, seed=0)
    model = keras.saving.load_model(smoke / "runs/smoke/no-dropout-0/best.keras")
    logits = model.predict(data.x_train.astype("float32") / 255, verbose=0)
    error = 100 * np.mean(logits.argmax(axis=1) != data.y_train)
    found = stored["content"]["arms"]["no dropout"]["train_error_percent"]
    assert abs(found - error) < 0.01


def arms(**errors):
    """Content of three arms: training and test errors, a list over the seeds each."""
    found = {}
    for arm, (train, test) in errors.items():
        row = {"train_error_by_seed": train, "test_error_by_seed": test}
        row |= {f"{kind}_error_percent": float(np.mean(row[f"{kind}_error_by_seed"]))
                for kind in ("train", "test")}  # fmt: skip
        found[arm.replace("_", " ")] = row
    result = {"images": {"training": 9}, "epochs": 2}
    return {
        "seeds": [0, 1, 2],
        "arms": found,
        "underfitting": frequency_dropout.underfitting(found),
        "runs": {"no-dropout-0": {"result": result}},
    }


SETTINGS = {"seeds": [0, 1, 2], "network": {"num_pairs": 2, "gamma": 0.5}}


def test_an_unfinished_run(smoke):
    """The seeds whose arms are all there."""
    whole = json.loads((smoke / "frequency_dropout.json").read_text())
    whole["settings"]["seeds"] = [0, 1, 2, 3]
    runs = whole["content"]["runs"]
    names = ("frequency-dropout", "no-dropout", "max-pooling")
    for seed, there in ((1, names[:2]), (2, names)):
        for name in there:
            runs[f"{name}-{seed}"] = runs[f"{name}-0"]
    del runs["alpha-0.8-beta-0.8-0"]
    frequency_dropout.derive(whole)
    content = whole["content"]
    assert content["seeds"] == [0, 2]
    assert all(len(arm["test_error_by_seed"]) == 2 for arm in content["arms"].values())
    assert len(content["grid"]) == 3
    assert all(one["run"].endswith("2 seeds") for one in content["claims"])


def test_the_pilot_comes_first():
    settings = frequency_dropout.PRESETS["cpu"]
    keys = list(frequency_dropout.runs(settings))
    assert keys[:2] == ["no-dropout-0", "frequency-dropout-0"] and len(keys) == 25
    fails, smoke_settings = frequency_dropout.pilot_fails, frequency_dropout.PRESETS["smoke"]
    bad = {"result": {"train_error_percent": 5.1}}
    assert fails(settings, "no-dropout-0", bad)
    assert not fails(settings, "no-dropout-0", {"result": {"train_error_percent": 4.9}})
    assert not fails(settings, "no-dropout-1", bad)
    assert not fails(smoke_settings, "no-dropout-0", bad)


def test_a_pilot_that_fails_is_shown(smoke, tmp_path, monkeypatch, capsys):
    """One training, no comparison: pages and picture say why."""
    settings = frequency_dropout.PRESETS["smoke"] | {"pilot": "no dropout"}
    trained = []

    def train_once(experiment, key, *_, **__):
        trained.append(key)
        experiment.used_runs.add(key)
        stored = json.loads((smoke / "frequency_dropout.json").read_text())
        record = stored["content"]["runs"]["no-dropout-0"]
        return experiment.content.setdefault("runs", {}).setdefault(key, record)

    monkeypatch.setitem(frequency_dropout.FIGURE.presets, "smoke", settings)
    monkeypatch.setattr(frequency_dropout, "train_once", train_once)
    options = ("--preset", "smoke", "--results", str(tmp_path))
    assert run_here(frequency_dropout.FIGURE, capsys, *options) == (0, "")
    assert trained == ["no-dropout-0"]
    assert (tmp_path / "frequency_dropout.png").stat().st_size > 20_000
    stored = json.loads((tmp_path / "frequency_dropout.json").read_text())
    claims = stored["content"]["claims"]
    assert stored["finished"] and {one["verdict"] for one in claims} == {"not run"}
    assert "needs less than 5 %" in claims[0]["note"]
    assert "1 seed" in claims[0]["run"]
    assert _pages._dropout(stored["content"])


class TestClaims:
    def test_a_network_that_does_not_overfit_decides_nothing(self):
        content = arms(
            frequency_dropout=([30, 31, 32], [40, 41, 42]),
            no_dropout=([20, 21, 22], [60, 61, 62.5]),
            max_pooling=([10, 11, 12], [70, 71, 72.5]),
        )
        lower, gap, best = content["claims"] = frequency_dropout.claims(content, SETTINGS)
        assert lower["effect"] == pytest.approx(-60.5 / 3) and lower["verdict"] == "undecided"
        assert gap["verdict"] == "undecided" and gap["effect"] == pytest.approx(-90.5 / 3)
        assert "underfitting: without it the training error is 21.0 %" in lower["note"]
        assert best["effect"] == pytest.approx(-10) and best["verdict"] == "confirmed"
        text = frequency_dropout.verdict(content)
        assert "10.0 (frequency dropout), 40.2 (no dropout), 60.2 (max pooling)" in text

    @pytest.mark.parametrize(
        ("test", "expected"),
        [
            ([8, 8.1, 8.3], "confirmed"), ([12, 12, 12.1], "contradicted"),
            ([8, 12, 10], "undecided"),
        ],
    )  # fmt: skip
    def test_one_that_overfits_does(self, test, expected):
        content = arms(
            frequency_dropout=([4, 4, 4], test), no_dropout=([1, 1, 1], [10, 10, 10.1]),
            max_pooling=([1, 2, 1], [10, 11, 12]),
        )  # fmt: skip
        assert frequency_dropout.claims(content, SETTINGS)[0]["verdict"] == expected

    def test_slope_of_the_test_error(self):
        # The gap is 20 less half of the training error, and a tenth more for one training.
        train = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9.0]])
        gap = 20 - train / 2
        gap[1, 1] += 0.1
        content = arms(**{
            name: (one.tolist(), (one + other).tolist())
            for name, one, other in zip(
                ("frequency_dropout", "no_dropout", "max_pooling"), train, gap, strict=True)
        })  # fmt: skip
        found = content["underfitting"]
        centred = train.ravel() - train.mean()
        expected = centred @ (train + gap).ravel() / (centred @ centred)
        test = (train + gap).ravel() - (train + gap).mean()
        left = test - expected * centred
        half = 2.364624 * np.sqrt(left @ left / 7 / (centred @ centred))  # t of 7 degrees, 97.5 %
        assert found.pop("interval") == pytest.approx([expected - half, expected + half])
        assert found == {"slope": pytest.approx(expected), "trainings": 9}
        assert found["slope"] == pytest.approx(0.5, abs=0.01)

    def test_too_few_for_a_slope(self):
        content = arms(frequency_dropout=([1], [2]), no_dropout=([1], [2]))
        assert content["underfitting"] == {"slope": None, "interval": None, "trainings": 2}


def test_draws(smoke):
    """In a process of its own: the command as a user types it."""
    (smoke / "frequency_dropout.png").unlink()
    done = start_figure("frequency_dropout", smoke)
    assert done.returncode == 0, done.stderr
    assert (smoke / "frequency_dropout.png").stat().st_size > 20_000
