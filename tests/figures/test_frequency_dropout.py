"""The frequency dropout experiment: its smoke preset."""

import json

import numpy as np
import pytest

from tests.figures.running import run_figure


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


def test_verdict():
    from figures.frequency_dropout import verdict

    errors = {"frequency dropout": (20, 30), "no dropout": (10, 32), "max pooling": (5, 35)}
    arms = {
        arm: {"train_error_percent": train, "test_error_percent": test}
        for arm, (train, test) in errors.items()
    }
    text = verdict(arms)
    assert "10.0 (frequency dropout), 22.0 (no dropout), 30.0 (max pooling)" in text
    assert "2.0 points less test error" in text and text.endswith("error: frequency dropout.")


def test_draws(smoke):
    (smoke / "frequency_dropout.png").unlink()
    assert run_figure("frequency_dropout", smoke).returncode == 0
    assert (smoke / "frequency_dropout.png").stat().st_size > 20_000
