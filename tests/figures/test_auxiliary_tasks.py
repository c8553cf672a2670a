"""Table 1 of the auxiliary Fourier task: the smoke preset."""

import json

import numpy as np
import pytest

from tests.figures.running import run_figure


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auxiliary_tasks")
    done = run_figure("auxiliary_tasks", folder, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    return folder


def content(folder):
    return json.loads((folder / "auxiliary_tasks.json").read_text())["content"]


def test_runs(smoke):
    runs = content(smoke)["runs"]
    assert len(runs) == 6
    losses = {key: run["history"]["loss"][0] for key, run in runs.items()}
    assert len(set(losses.values())) == 6
    for key, run in runs.items():
        history = run["history"]
        if "-none-" in key:
            assert "auxiliary_loss" not in history
        else:
            # The images' losses, summed with the paper's factor.
            whole = history["classification_loss"][0] + 0.01 * history["auxiliary_loss"][0]
            assert history["loss"][0] == pytest.approx(whole, rel=1e-5)
        assert ("--adversarial fgsm" in run["command"]) == ("-adversarial-" in key)


def test_table_is_of_the_saved_networks(smoke):
    """Clean accuracy and accuracy under FGSM, computed again by hand."""
    import keras

    from spectral_keras.attacks import input_gradient
    from spectral_keras.data import load

    key = "resnet18-clean-fourier-0"
    data = load("digits", limit=64, validation_fraction=0.1, seed=0)
    x, y = data.x_test[:20].astype("float32") / 255, data.y_test[:20]
    model = keras.saving.load_model(smoke / f"runs/smoke/{key}/best.keras")

    def loss(images):
        logits = model(images, training=False)
        return keras.ops.sum(
            keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
        )

    signs = np.sign(keras.ops.convert_to_numpy(input_gradient(loss, x)))
    attacked = np.clip(x + 0.075 * signs, 0, 1)
    found = content(smoke)["runs"][key]["attacks"]
    for test, images in (("clean", x), ("fgsm", attacked)):
        accuracy = np.mean(model.predict(images, verbose=0).argmax(axis=1) == y)
        assert found[test] == pytest.approx(accuracy)
    row = content(smoke)["table"]["resnet18"]["clean"]["fourier"]["fgsm"]
    assert row["mean"] == pytest.approx(100 * found["fgsm"])


def test_goes_on_without_work_done_again(smoke):
    before = content(smoke)
    done = run_figure("auxiliary_tasks", smoke, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    assert "Epoch" not in done.stdout and content(smoke) == before


def test_standard_error_and_verdict():
    from figures.auxiliary_tasks import TASKS, TESTS, TRAININGS, _cell, verdict

    # A fair coin thrown 100 times: 5 %; two seeds 0.4 apart: 0.2.
    assert _cell([0.5], 100)["standard_error"] == pytest.approx(5)
    assert _cell([0.3, 0.7], 100)["standard_error"] == pytest.approx(20)
    value = {"clean": 0.8, "fgsm": 0.6, "pgd": 0.1}
    rows = {
        "net": {
            training: {
                task: {test: _cell([value[test]], 10_000) for test in TESTS} for task in TASKS
            }
            for training in TRAININGS
        }
    }
    rows["net"]["clean"]["fourier"]["clean"] = _cell([0.82], 10_000)
    text = verdict(rows)
    assert "fourier against none, clean accuracy in points: +2.0 ± 1.1 (1 of 1" in text
    assert "reconstruction against none, clean accuracy in points: +0.0 ± 1.1 (0 of 1" in text
    assert "net none 80 / 60 / 10, net reconstruction 80 / 60 / 10" in text
    assert "leaks" not in text
    rows["net"]["adversarial"]["fourier"]["fgsm"] = _cell([0.9], 10_000)
    assert "the label leaks into the attacked image (net fourier)" in verdict(rows)
