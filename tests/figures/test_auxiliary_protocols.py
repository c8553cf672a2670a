"""The two protocols of the auxiliary tasks: plan, tests of a network, claims."""

import json

import keras
import numpy as np
import pytest

from figures import _figure, auxiliary_protocols
from figures.auxiliary_protocols import FIGURE, PRESETS, TESTS, runs, with_batch_statistics
from spectral_keras.experiments.saved_models import load_model

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the commands on TensorFlow"
)
SMOKE = PRESETS["smoke"]


def test_the_plan():
    planned = runs(PRESETS["cpu"])
    # Clean: none in both protocols is one run; 2 x 2, less the consistent one; a control.
    assert len(planned) == 3 * 5 + 2 * 6 + 3 + 1
    first = list(planned)[: 5 + 6 + 3 + 1]
    assert all(key.endswith("-0") for key in first)
    options = planned["resnet18-published-adversarial-none-0"][1]
    assert options["aux_variant"] == "published" and options["adversarial"] == "fgsm"
    options = planned["resnet18-given-training-none-0"][1]
    assert (options["adversarial_labels"], options["adversarial_mode"]) == ("given", "training")
    assert planned["resnet18-control-0"][1]["adversarial"] == "pgd"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two of the trainings of the smoke preset, tested, and the figure."""
    folder, patch = tmp_path_factory.mktemp("protocols"), pytest.MonkeyPatch()
    kept = (
        "quick_spectral-published-adversarial-fourier-0",
        "quick_spectral-given-training-none-0",
    )
    planned = {key: one for key, one in runs(SMOKE).items() if key in kept}
    with patch.context() as context:
        context.setattr(auxiliary_protocols, "runs", lambda settings: planned)
        with pytest.raises(SystemExit) as stopped:
            arguments = ["--preset", "smoke", "--results", str(folder)]
            _figure.main(FIGURE, [*arguments, "--runs", str(folder / "runs")])
    assert stopped.value.code == 0
    return folder, kept


def test_batch_statistics(done):
    """What normalisation in training mode gives, by hand, for one batch."""
    folder, kept = done
    stored = json.loads((folder / "auxiliary_protocols.json").read_text())
    assert (folder / "auxiliary_protocols.png").exists()
    assert list(stored["content"]["table"]) == list(kept)
    for cells in stored["content"]["table"].values():
        assert list(cells) == list(TESTS)
    model = load_model(folder / f"runs/smoke/{kept[1]}/best.keras")
    x = np.random.default_rng(0).random((7, *model.input_shape[1:]), dtype="float32")
    found = with_batch_statistics(model, x)
    other = load_model(folder / f"runs/smoke/{kept[1]}/best.keras")
    np.testing.assert_allclose(found, other(x, training=True), atol=1e-5)
    assert np.abs(found - other.predict(x, verbose=0)).max() > 1e-3


def record(**right):
    """A network that has the first images right, `right` of 100 for each test."""
    return {
        "tests": {
            test: {
                "images": 100,
                "right": np.packbits(np.arange(100) < right.get(test, 50)).tobytes().hex(),
            }
            for test in TESTS
        }
    }


def test_claims():
    settings = PRESETS["cpu"]
    none = {f"resnet18-any-clean-none-{seed}": record(clean=50 + seed, pgd=0) for seed in (0, 1, 2)}
    fourier = {
        f"resnet18-consistent-clean-fourier-{seed}": record(clean=60 + seed) for seed in (0, 1, 2)
    }
    attacked = {
        "resnet18-given-inference-none-0": record(fgsm=90),
        "resnet18-given-training-none-0": record(fgsm=90),
        "resnet18-consistent-adversarial-none-0": record(
            fgsm=90, fgsm_predicted=20, pgd=0, batch_statistics=80
        ),
        "resnet18-predicted-training-none-0": record(fgsm_predicted=20),
        "resnet18-control-0": record(pgd_8=60),
    }
    found = {
        one["claim"].removeprefix("resnet18, "): one
        for one in auxiliary_protocols.claims(none | fourier | attacked, settings)
    }
    gain = found["consistent: trained on clean images, fourier improves clean"]
    assert gain["verdict"] == "confirmed" and gain["effect"] == pytest.approx(10)
    assert gain["printed"] is None
    missing = found["published: trained on clean images, fourier improves clean"]
    assert missing["verdict"] == "not run" and missing["printed"] == pytest.approx(0.27)
    start = "consistent: trained on FGSM, "
    assert found[start + "a network is above chance under PGD"]["verdict"] == "contradicted"
    better = found[start + "every network is better attacked than clean"]
    assert better["verdict"] == "confirmed" and better["effect"] == pytest.approx(40)
    (statistics,) = (one for text, one in found.items() if "batch statistics" in text)
    assert statistics["verdict"] == "confirmed" and statistics["effect"] == pytest.approx(30)
    (cells,) = (one for text, one in found.items() if text.startswith("2x2"))
    assert cells["verdict"] == "confirmed" and len(cells["parts"]) == 4
    (control,) = (one for text, one in found.items() if text.startswith("control"))
    assert control["verdict"] == "confirmed"
