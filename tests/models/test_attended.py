"""Power suppression, noise and attention by the training command."""

import json

import keras
import numpy as np
import pytest

from spectral_keras.experiments.fit import ResumableFit
from spectral_keras.experiments.train.attended import insert_gate
from spectral_keras.experiments.train.objectives import training_model
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.layers import ChannelGate
from spectral_keras.models import registry
from spectral_keras.training import AttendedSuppressionModel, GateRule, first_semantic_layer
from tests.models.runs import TINY, assert_same_run, history

ALL = (
    *("--suppression", "1/2", "--noise", "1", "--spectral-padding", "2"),
    *("--gate", "extended", "--gate-hidden", "4", "--attention", "learnable"),
)

# The first convolution, or the batch normalisation on it.
FIRST = {
    "generic_cnn": "conv1",
    "deep_spectral": "conv1",
    "spectral_pool_cnn": "conv1",
    "fourier_cnn": "conv1a",
    "quick_spectral": "whiten",
    "resnet18": "stem_bn",
    "resnext29": "stem_bn",
    "googlenet": "stem_bn",
    "efficientnet_b0": "stem_bn",
    "mobilenet_v2": "stem_bn",
    "vgg11_bn": "block1_bn1",
    "vgg16": "block1_conv1",
    "vgg16_bn": "block1_bn1",
}


def built(*arguments, name="spectral_pool_cnn"):
    options = TrainOptions.of_command(name, [*map(str, arguments), "--width", "0.05"])
    classifier = registry.build(name, (32, 32, 3), 10, **options.network)
    return training_model(insert_gate(classifier, options), options)


@pytest.mark.parametrize("name", registry.names())
def test_a_gate_in_every_network(name):
    small = {"widths": (4, 4, 4)} if name == "fourier_cnn" else {"width": 0.03}
    network = registry.build(name, (32, 32, 3), 10, **small)
    assert first_semantic_layer(network) == FIRST[name]
    gate = insert_gate(
        network, TrainOptions.of_command(name, ["--gate", "plain", "--gate-hidden", "4"])
    )
    x = np.random.default_rng(0).random((2, 32, 32, 3), dtype="float32")
    # An open gate changes nothing: whatever its input, it is 1.
    layer = gate.get_layer("channel_gate")
    kernel, bias = layer.excite.get_weights()
    layer.excite.set_weights([0 * kernel, 0 * bias + 100])
    y = network.predict(x, verbose=0)
    np.testing.assert_allclose(gate.predict(x, verbose=0), y, atol=1e-5)


class TestOptions:
    def test_nothing_asked_for(self):
        model = built()
        assert not hasattr(model, "classifier")
        assert not any(isinstance(layer, ChannelGate) for layer in model.layers)

    def test_all_of_them(self):
        model = built(*ALL, "--attention-weight", 7, "--seed", 5)
        assert type(model) is AttendedSuppressionModel
        assert model.suppression.probability == 0.5 and model.noise.sigma == 1
        assert (model.attention, model.padding) == (GateRule("learnable", weight=7), 2)
        gate = model.classifier.get_layer("channel_gate")
        assert gate.extended and gate.hidden == 4
        assert model.suppression.seed != model.noise.seed != model.seed

    def test_half_precision_stays_away_from_the_images(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            model = built(*ALL, "--precision", "bfloat16")
        finally:
            keras.config.set_dtype_policy("float32")
        assert model.suppression.compute_dtype == model.noise.compute_dtype == "float32"
        assert model.classifier.get_layer("channel_gate").compute_dtype == "bfloat16"

    def test_printed(self):
        model = built(*ALL, "--attention-printed", "true")
        assert model.suppression.variant == model.noise.variant == "printed"

    def test_with_an_attack(self):
        model = built(*ALL, "--adversarial", "fgsm")
        assert model.attack.attack.name == "fgsm" and model.suppression is not None


class TestRun:
    def test_files_and_resume(self, command, npz, tmp_path, monkeypatch):
        """The draws continue where they were: the generators are part of a checkpoint."""
        arguments = (*TINY, *ALL, "--dataset", npz, "--epochs", 3)
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        status, _, err = command(*arguments, "--output", whole)
        assert (status, err) == (0, "")
        for row in history(whole):
            total = float(row["classification_loss"]) + 100 * float(row["auxiliary_loss"])
            assert float(row["loss"]) == pytest.approx(total, rel=1e-5)
            assert float(row["val_auxiliary_loss"]) == 0 < float(row["auxiliary_loss"])
        model = keras.saving.load_model(whole / "best.keras")
        assert isinstance(model.get_layer("channel_gate"), ChannelGate)
        result = json.loads((whole / "result.json").read_text())
        assert result["parameters"] == model.count_params()
        with np.load(npz) as data:
            logits = model.predict(data["x_test"].astype("float32") / 255, verbose=0)
            accuracy = np.mean(logits.argmax(1) == data["y_test"])
        assert accuracy == pytest.approx(result["test_accuracy"], abs=1e-6)

        class Killed(BaseException):
            pass

        checkpoint = ResumableFit._save

        def then_die(self):
            checkpoint(self)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(ResumableFit, "_save", then_die)
            with pytest.raises(Killed):
                command(*arguments, "--output", killed)
        status, out, _ = command(*arguments, "--output", killed, "--resume")
        assert status == 0 and "continuing after epoch 1 of 3" in out
        assert_same_run(whole, killed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suppression", "2"), "--suppression"),
        (("--noise", "-1"), "--noise"),
        (("--noise", "1", "--noise-probability", "2"), "--noise-probability"),
        (("--suppression", "0.5", "--attention", "000"), "--attention needs --gate"),
        (("--gate", "plain", "--attention", "000"), "--attention needs --suppression"),
        (("--attention", "002"), "--attention"),
        (("--spectral-padding", "4"), "--spectral-padding needs --suppression or --noise"),
        (("--gate-after", "conv1"), "--gate-after needs --gate"),
        (("--gate", "plain", "--gate-after", "conf1"), "--gate-after must be the name of a layer"),
        (("--gate", "round"), "--gate"),
        (("--gate", "plain", "--gate-hidden", "0"), "--gate-hidden"),
        (("--noise", "1", "--aux", "fourier", "--aux-tap", "pool1"), "exclude each other"),
    ],
)
def test_bad_input(command, npz, tmp_path, arguments, message):
    folder = tmp_path / "run"
    status, out, err = command(*TINY, *arguments, "--dataset", npz, "--output", folder)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert message in err
    assert not folder.exists()
