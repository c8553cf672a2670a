"""MixingModel: losses of mixtures against their closed form, backends, files, the command."""

import json

import keras
import numpy as np
import pytest

from spectral_keras.layers import FMix
from spectral_keras.training import MixingModel, SmoothedCrossentropy
from tests.oracles import to_numpy
from tests.training.nets import assert_same_weights, batch, compiled_model, conv_net

LOSS = SmoothedCrossentropy(0.0)


@keras.saving.register_keras_serializable(package="tests")
class Neighbours(keras.layers.Layer):
    """A share of the next image and of its label."""

    def __init__(self, share=0.25, **kwargs):
        super().__init__(**kwargs)
        self.share = share

    def call(self, inputs, training=False):
        following = {name: keras.ops.roll(x, -1, axis=0) for name, x in inputs.items()}
        return {
            name: (1 - self.share) * x + self.share * following[name] for name, x in inputs.items()
        }


def _step(model, x, y, metrics=()):
    model = compiled_model(model, LOSS, metrics=list(metrics))
    return model.fit(x, y, shuffle=False, verbose=0).history


def test_loss_and_accuracy_are_those_of_the_mixtures():
    x, y = batch()
    net = conv_net(batch_norm=False)
    mixed = 0.75 * x + 0.25 * np.roll(x, -1, axis=0)
    logits = to_numpy(net(mixed))
    log = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = 0.75 * np.eye(4)[y] + 0.25 * np.eye(4)[np.roll(y, -1)]
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    history = _step(MixingModel(net, Neighbours()), x, y, [accuracy])
    assert history["loss"][0] == pytest.approx(-(rows * log).sum(axis=1).mean(), rel=1e-5)
    assert history["accuracy"][0] == pytest.approx((logits.argmax(axis=1) == y).mean())


def test_images_are_as_they_come_outside_of_training():
    x, y = batch()
    plain, net = conv_net(), conv_net()
    model = compiled_model(MixingModel(net, Neighbours()), LOSS)
    expected = compiled_model(plain, LOSS).evaluate(x, y, verbose=0)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(model.predict(x, verbose=0), plain.predict(x, verbose=0))


def test_a_share_of_nothing_is_plain_training():
    x, y = batch()
    plain, net = conv_net(), conv_net()
    _step(plain, x, y)
    _step(MixingModel(net, Neighbours(0.0)), x, y)
    assert_same_weights(net, plain, atol=1e-6)


# Keras' MixUp warns of it on JAX.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")
@pytest.mark.parametrize("layer", [keras.layers.MixUp, keras.layers.CutMix, FMix])
def test_every_step_mixes_anew_and_files_load(layer, tmp_path):
    x, y = batch()
    losses = []
    model = compiled_model(MixingModel(conv_net(batch_norm=False), layer(seed=3)), LOSS, 0.0)
    for _ in range(3):
        losses.append(model.fit(x, y, shuffle=False, verbose=0).history["loss"][0])
    assert len({round(loss, 5) for loss in losses}) == 3
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is MixingModel and type(loaded.mixing) is layer
    assert np.isfinite(loaded.fit(x, y, shuffle=False, verbose=0).history["loss"]).all()


def test_errors_show_what_was_received():
    one = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"an output for each class.*\(None, 1\)"):
        MixingModel(one, FMix())
    with pytest.raises(ValueError, match="`mixing` must be a Keras layer.*'fmix'"):
        MixingModel(conv_net(), "fmix")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the command on TensorFlow")
@pytest.mark.parametrize("name", ["fmix", "afa"])
def test_the_command_resumes_bit_for_bit(name, tmp_path, monkeypatch):
    from spectral_keras.experiments.train import TrainOptions, train

    monkeypatch.chdir(tmp_path)
    options = {
        "dataset": "digits", "limit": 100, "batch_size": 32, "augment": f"translate,{name}",
        "tensorboard": False, "schedule": "constant", "early_stopping": 0,
    }  # fmt: skip
    network = {"width": 0.05, "num_pairs": 1}
    for epochs, more in ((2, {"output": "whole"}), (1, {}), (2, {"resume": True})):
        train(TrainOptions("spectral_pool_cnn", network, epochs=epochs, **options, **more))
    losses = [
        json.loads((tmp_path / folder / "result.json").read_text())["test_loss"]
        for folder in ("whole", "runs/spectral_pool_cnn-digits")
    ]
    assert losses[0] == losses[1]
    plain = options | {"augment": "translate", "output": "plain", "epochs": 2}
    train(TrainOptions("spectral_pool_cnn", network, **plain))
    assert json.loads((tmp_path / "plain/result.json").read_text())["test_loss"] != losses[0]


# Keras' MixUp of integers on JAX.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")
def test_labels_as_rows_and_of_no_class():
    x, y = batch()
    net, same = conv_net(batch_norm=False), conv_net(batch_norm=False)
    losses = [
        _step(MixingModel(one, Neighbours()), x, labels)["loss"][0]
        for one, labels in ((net, y), (same, np.eye(net.output_shape[-1], dtype="float32")[y]))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert_same_weights(net, same, atol=1e-7)
    outside = np.where(np.arange(len(y)) == 0, net.output_shape[-1], y)
    assert np.isnan(_step(MixingModel(net, FMix(seed=1)), x, outside)["loss"][0])
    pixels = (255 * x).astype("uint8")
    assert np.isnan(_step(MixingModel(net, keras.layers.MixUp(seed=1)), pixels, outside)["loss"][0])
