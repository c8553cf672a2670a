"""A gate after the first layer of a network that has none."""

import keras
import numpy as np
import pytest

from spectral_keras.layers import ChannelGate, SpectralConv2D
from spectral_keras.training import first_semantic_layer, insert_channel_gate
from tests.oracles import random_images
from tests.training.nets import conv_net


def set_open(model, bias):
    """Make every gate the sigmoid of `bias`, whatever the image."""
    gate = model.get_layer("channel_gate")
    kernel, old = (keras.ops.convert_to_numpy(w) for w in gate.excite.weights)
    gate.excite.set_weights([np.zeros_like(kernel), np.full_like(old, bias)])


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_an_open_gate_changes_nothing(batch_norm, extended):
    model = conv_net(batch_norm=batch_norm)
    copy = insert_channel_gate(model, hidden=5, extended=extended)
    x = random_images((3, 8, 8, 3))
    expected = model.predict(x, verbose=0)
    set_open(copy, 100.0)
    np.testing.assert_allclose(copy.predict(x, verbose=0), expected, atol=1e-6)
    # A gate of 1/2 halves the maps, as half the weights of the layer before it do.
    set_open(copy, 0.0)
    layer = model.get_layer("bn" if batch_norm else "conv")
    scale, shift, *statistics = layer.get_weights()
    layer.set_weights([scale / 2, shift / 2, *statistics])
    np.testing.assert_allclose(copy.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


def test_layers_of_its_own():
    model = conv_net()
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in model.weights]
    copy = insert_channel_gate(model, hidden=5)
    assert copy.count_params() == model.count_params() + 6 * 5 + 5 + 5 * 6 + 6
    copy.set_weights([w + 1 for w in copy.get_weights()])
    for one, other in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(one, keras.ops.convert_to_numpy(other))


def test_open_ratio_is_the_mean_gate():
    copy = insert_channel_gate(conv_net(), hidden=5)
    set_open(copy, -1.0)
    gate = copy.get_layer("channel_gate")
    ratio = keras.Model(copy.input, gate.output[1]).predict(random_images((3, 8, 8, 3)), verbose=0)
    np.testing.assert_allclose(ratio, 1 / (1 + np.e), rtol=1e-5)


def test_sequential_named_layer_and_file(tmp_path):
    layers = [keras.Input((8, 8, 3)), SpectralConv2D(4, 3, name="first", activation="relu")]
    layers += [keras.layers.Conv2D(5, 3, name="second"), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    assert first_semantic_layer(model) == "first"
    copy = insert_channel_gate(model, "second", hidden=3)
    x = random_images((3, 8, 8, 3))
    copy.save(tmp_path / "copy.keras")
    loaded = keras.saving.load_model(tmp_path / "copy.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), copy.predict(x, verbose=0), atol=1e-6)
    gate = loaded.get_layer("channel_gate")
    assert isinstance(gate, ChannelGate) and gate.excite.kernel.shape[-1] == 5
    set_open(copy, 100.0)
    np.testing.assert_allclose(copy.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


class TestErrors:
    def test_no_convolution(self):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        with pytest.raises(ValueError, match="must have a convolution"):
            insert_channel_gate(model)

    def test_unknown_layer(self):
        with pytest.raises(ValueError, match="such as 'conv'.*Received: after='convv'"):
            insert_channel_gate(conv_net(), "convv")

    def test_no_maps(self):
        with pytest.raises(ValueError, match=r"maps of rank 4.*after='logits'.*\(None, 4\)"):
            insert_channel_gate(conv_net(), "logits")

    def test_name_taken(self):
        with pytest.raises(ValueError, match="must not be that of a layer.*'bn'"):
            insert_channel_gate(conv_net(), name="bn")

    def test_no_model(self):
        with pytest.raises(ValueError, match="functional or a built sequential"):
            insert_channel_gate(keras.Sequential([keras.layers.Dense(2)]))
