"""Table 1 of the auxiliary Fourier task: the smoke preset."""

import json

import numpy as np
import pytest

from figures import auxiliary_tasks
from spectral_keras.evaluation import newcombe_interval, paired_share_interval
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

    from spectral_keras.classifiers import input_gradient
    from spectral_keras.data import load

    key = "quick_spectral-clean-fourier-0"
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
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(found["right"][test]), "uint8"))
        right = model.predict(images, verbose=0).argmax(axis=1) == y
        assert bits[:20].tolist() == right.astype(int).tolist() and not bits[20:].any()
    row = content(smoke)["table"]["quick_spectral"]["clean"]["fourier"]["fgsm"]
    assert row["mean"] == pytest.approx(100 * found["fgsm"])


def test_continues_without_work_done_again(smoke):
    before = content(smoke)
    done = run_figure("auxiliary_tasks", smoke, "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    assert "Epoch" not in done.stdout and content(smoke) == before


def records(count=2000, seeds=(0,), bits=False, **fgsm):
    """Runs of one backbone; clean accuracy 60 % or, after training on FGSM, 50 % of `count`.

    `fgsm`: task -> right images under FGSM; PGD leaves none right.  With bits, the first images
    are the right ones.
    """
    runs = {}
    for training in auxiliary_tasks.TRAININGS:
        for task in auxiliary_tasks.TASKS:
            for seed in seeds:
                right = {"clean": count * 6 // 10 if training == "clean" else count // 2,
                         "fgsm": fgsm.get(task, count // 5), "pgd": 0}  # fmt: skip
                attacks = {test: number / count for test, number in right.items()}
                attacks["images"] = count
                if bits:
                    attacks["right"] = {
                        test: np.packbits(np.arange(count) < number).tobytes().hex()
                        for test, number in right.items()
                    }
                runs[f"resnet18-{training}-{task}-{seed}"] = {
                    "attacks": attacks,
                    "result": {
                        "test_accuracy": 0.6 + 0.01 * seed * (task != "none"),
                        "images": {"test": 10_000, "training": 9}, "epochs": 2,
                    },
                }  # fmt: skip
    return runs


def derived(runs, seeds=(0,)):
    settings = {"backbones": ["resnet18"], "seeds": list(seeds), "widths": {}}
    stored = {"content": {"runs": runs}, "settings": settings}
    auxiliary_tasks.derive(stored)
    return stored, {one["claim"]: one for one in stored["content"]["claims"]}


def test_cells():
    stored, _ = derived(records())
    row = stored["content"]["table"]["resnet18"]["adversarial"]["none"]
    # Clean: all 10,000 test images; none right of 2000 is an interval, too.
    assert row["clean"]["mean"] == pytest.approx(60) and row["clean"]["over"] == "10,000 images"
    assert row["pgd"]["mean"] == 0
    assert row["pgd"]["interval"] == pytest.approx([0, 100 * 3.8416 / 2003.8416], abs=1e-3)
    stored, _ = derived(records(seeds=(0, 1)), (0, 1))
    cell = stored["content"]["table"]["resnet18"]["clean"]["fourier"]["clean"]
    assert cell["interval"] == pytest.approx([60.5 - 0.5 * 12.7062, 60.5 + 0.5 * 12.7062])
    assert cell["over"] == "2 seeds" and cell["by_seed"] == pytest.approx([60, 61])


def test_differences_are_paired_where_it_is_known_who_is_right():
    runs = records(fourier=400, none=420)
    first, second = (runs[f"resnet18-clean-{task}-0"] for task in ("fourier", "none"))
    ends, how = auxiliary_tasks.difference((first, "fgsm"), (second, "fgsm"))
    assert how == "2,000 images, not paired"
    assert ends == pytest.approx([100 * e for e in newcombe_interval(400, 2000, 420, 2000)])
    runs = records(fourier=400, none=420, bits=True)
    first, second = (runs[f"resnet18-clean-{task}-0"] for task in ("fourier", "none"))
    narrow, how = auxiliary_tasks.difference((first, "fgsm"), (second, "fgsm"))
    assert how == "2,000 images, paired"
    assert narrow == pytest.approx([100 * e for e in paired_share_interval(0, 20, 2000)])
    assert narrow[1] - narrow[0] < (ends[1] - ends[0]) / 4


def test_claims():
    stored, found = derived(records(fourier=1500, none=1400, reconstruction=900))
    one = found["resnet18: fourier improves the accuracy under FGSM"]
    # 5 points are beyond the noise of the images, but one seed says nothing of trainings.
    assert one["effect"] == pytest.approx(5) and one["verdict"] == "undecided"
    assert one["printed"] == pytest.approx(0.70) and "one seed; of the test images" in one["note"]
    robust = found["resnet18: a network trained on FGSM is above chance under PGD"]
    assert robust["verdict"] == "contradicted" and robust["effect"] == 0
    better = found[
        "resnet18: trained on FGSM, every network is better under FGSM than on clean images"
    ]
    # 1000 clean images are right: of the three, 900 is no more.
    assert better["verdict"] == "contradicted" and better["effect"] == pytest.approx(-5)
    assert better["of"] == "reconstruction, seed 0"
    assert [part["verdict"] for part in better["parts"]] == [
        "confirmed", "contradicted", "confirmed",
    ]  # fmt: skip
    assert "possible causes, not measured" in better["note"]
    assert "resnet18 none 60.0 / 70.0 / 0.0" in auxiliary_tasks.verdict(stored)


@pytest.mark.parametrize(("clean", "pgd", "expected"), [
    # Nobody has learned enough; one has, and PGD takes all of it; one has, and withstands.
    ((0.2, 0.2, 0.2), (0.5, 0.0, 0.0), "undecided"),
    ((0.2, 0.4, 0.2), (0.5, 0.0, 0.0), "contradicted"),
    ((0.2, 0.4, 0.2), (0.0, 0.3, 0.0), "confirmed"),
])  # fmt: skip
def test_networks_that_learned_too_little_decide_nothing(clean, pgd, expected):
    runs = records(fourier=1500, none=1500, reconstruction=1500)
    for task, right, withstood in zip(auxiliary_tasks.TASKS, clean, pgd, strict=True):
        record = runs[f"resnet18-adversarial-{task}-0"]
        record["result"]["test_accuracy"] = right
        record["attacks"]["pgd"] = withstood
    _, found = derived(runs)
    robust = found["resnet18: a network trained on FGSM is above chance under PGD"]
    assert robust["verdict"] == expected
    better = found[
        "resnet18: trained on FGSM, every network is better under FGSM than on clean images"
    ]
    assert better["verdict"] == "undecided"
    able = [part["able"] for part in better["parts"]]
    assert able == [right >= 0.3 for right in clean]
