"""ParallelAugmentationModel: one step against plain training, and files."""

import keras
import numpy as np
import pytest

from spectral_keras.layers import ChannelGate, FourierBasisNoise
from spectral_keras.training import ParallelAugmentationModel
from tests.oracles import to_numpy
from tests.training.nets import (
    LOGITS_LOSS,
    assert_same_weights,
    batch,
    compiled_model,
    conv_net,
    weights_of,
)


def one_step(model, x, y):
    return compiled_model(model).fit(x, y, shuffle=False, verbose=0).history["loss"][0]


@pytest.mark.parametrize("batch_norm", [True, False])
def test_of_strength_zero_is_plain_training_but_for_the_normalisations(batch_norm):
    x, y = batch()
    plain, model = (conv_net(batch_norm=batch_norm) for _ in range(2))
    before = weights_of(plain)
    expected = one_step(plain, x, y)
    around = ParallelAugmentationModel(model, FourierBasisNoise(0.0))
    assert one_step(around, x, y) == pytest.approx(expected, rel=1e-5)
    if not batch_norm:
        assert_same_weights(model, plain, atol=1e-6)
        return
    after, reference = weights_of(model), weights_of(plain)
    for path, value in after.items():
        # Each branch's own scale and offset see half of the loss.
        share = 0.5 if path.endswith(("gamma", "beta")) else 1.0
        change = before[path] + share * (reference[path] - before[path])
        np.testing.assert_allclose(value, change, atol=1e-6, err_msg=path)
    own = around.parallel.get_layer("bn_parallel").get_weights()
    for value, other in zip(own, model.get_layer("bn").get_weights(), strict=True):
        np.testing.assert_allclose(value, other, atol=1e-6)


def test_noise_moves_the_statistics_of_the_parallel_branch_alone():
    x, y = batch()
    plain, model = conv_net(), conv_net()
    one_step(plain, x, y)
    around = ParallelAugmentationModel(model, FourierBasisNoise(50.0, clip=None, seed=1))
    one_step(around, x, y)
    for name, same in (("moving_mean", True), ("moving_variance", True)):
        ours, theirs = (to_numpy(getattr(m.get_layer("bn"), name)) for m in (model, plain))
        assert np.allclose(ours, theirs, atol=1e-6) is same
        parallel = to_numpy(getattr(around.parallel.get_layer("bn_parallel"), name))
        assert not np.allclose(parallel, theirs, atol=1e-3)


def test_loss_is_the_mean_of_two():
    x, y = batch()
    model = conv_net(batch_norm=False)
    noise = FourierBasisNoise(5.0, frequencies=[2], seed=1)
    noisy = to_numpy(FourierBasisNoise(5.0, frequencies=[2], seed=1)(x, training=True))

    def loss(images):
        return float(to_numpy(LOGITS_LOSS(y, model(images))))

    expected = np.mean([loss(x), loss(noisy)])
    around = ParallelAugmentationModel(model, noise)
    assert one_step(around, x, y) == pytest.approx(expected, rel=1e-4)
    assert around.evaluate(x, y, verbose=0) == pytest.approx(loss(x), 1e-4)


def test_files(tmp_path):
    x, y = batch()
    model = ParallelAugmentationModel(conv_net(), FourierBasisNoise(2.0, seed=1))
    one_step(model, x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is ParallelAugmentationModel and loaded.augmentation.strength == 2.0
    for value, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)
    assert len(loaded.trainable_weights) == len(conv_net().trainable_weights) + 2
    history = loaded.fit(x, y, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_errors_show_what_was_received():
    with pytest.raises(ValueError, match="`augmentation` must be None or a Keras layer.*'noise'"):
        ParallelAugmentationModel(conv_net(), "noise")


def _backbone_and_head():
    """`conv_net` as the usual backbone, functional and sequential inside each other, and head."""
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(name="bn"),
        ]
    )
    inputs = keras.Input((8, 8, 3))
    x = inner(inputs)
    backbone = keras.Model(inputs, keras.ops.relu(x) + x)  # operations that are no layers
    return keras.Sequential(
        [backbone, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    )


def test_normalisations_of_nested_models_have_copies_too(tmp_path):
    x = np.random.default_rng(0).random((12, 8, 8, 3), "float32")
    y = np.arange(12) % 3
    plain, model = _backbone_and_head(), _backbone_and_head()
    model.set_weights(plain.get_weights())
    around = ParallelAugmentationModel(model, FourierBasisNoise(50.0, clip=None, seed=1))
    compiled_model(plain, learning_rate=0.0).fit(x, y, verbose=0)
    compiled_model(around, learning_rate=0.0).fit(x, y, verbose=0)
    for value, expected in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-6)
    # Kernels are shared, the four of the normalisation are not.
    own = {id(variable) for variable in model.variables}
    assert sum(id(variable) not in own for variable in around.parallel.variables) == 4
    around.save(tmp_path / "around.keras")
    loaded = keras.saving.load_model(tmp_path / "around.keras")
    np.testing.assert_allclose(
        to_numpy(loaded.parallel(x)), to_numpy(around.parallel(x)), atol=1e-6
    )


def test_a_normalisation_that_cannot_be_copied_alone():
    inputs = keras.Input((8, 8, 3))
    x = ChannelGate(4, extended=True, name="gate")(inputs)
    classifier = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    with pytest.raises(ValueError, match=r"one within the layer 'gate' of type ChannelGate"):
        ParallelAugmentationModel(classifier)
