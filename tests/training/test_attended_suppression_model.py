"""Attended power suppression: images, labels, losses, gradients and training."""

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.layers import ChannelGate, FrequencyNoise, PowerSuppression
from spectral_keras.ops.mask_curves import suppression_masks
from spectral_keras.training import (
    AttendedSuppressionModel,
    GateRule,
    insert_channel_gate,
)
from tests.oracles import random_images, to_numpy
from tests.training.nets import assert_same_weights, batch, compiled_model, conv_net, examples_of

SIDE = 32


def gated_net(seed=0):
    """A small network with a gate whose weights come from numpy."""
    model = insert_channel_gate(conv_net(batch_norm=False, side=SIDE), hidden=5)
    gate = model.get_layer("channel_gate")
    rng = np.random.default_rng(seed)
    gate.set_weights([rng.normal(0, 0.7, w.shape) for w in gate.get_weights()])
    return model


def wrapped(configuration="000", probability=0.6, classifier=None, rule=None, **kwargs):
    suppression = PowerSuppression(probability, seed=1)
    classifier = gated_net() if classifier is None else classifier
    return AttendedSuppressionModel(
        classifier, suppression, attention=GateRule(configuration, **rule or {}), seed=2, **kwargs
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_beta(band, alpha, configuration, theta=(0, 0, 0)):
    """Equations (6) to (9) for one image."""
    if configuration == "learnable":
        b = 1.1 * sigmoid(np.asarray(theta)) / sigmoid(np.asarray(theta)).sum()
        return (1 - alpha) * b[band] + alpha
    return 1.0 if configuration[band] == "1" else sigmoid(7 * alpha - 3) + 1 - sigmoid(4.0)


def labelled(count=9, seed=4):
    """Images with the labels of a suppression: every band, and none."""
    x = random_images((count, SIDE, SIDE, 3), seed=seed)
    band = (np.arange(count) % 4 - 1).astype("int32")
    alpha = np.where(band < 0, 1, np.linspace(0, 0.9, count)).astype("float32")
    return {"images": x, "band": band, "alpha": alpha}


class TestLoss:
    @pytest.mark.parametrize("normalizer", ["batch", "suppressed"])
    @pytest.mark.parametrize("configuration", ["000", "011", "100", "learnable"])
    def test_of_known_labels(self, configuration, normalizer):
        model = wrapped(configuration, rule={"weight": 7.0, "normalizer": normalizer})
        theta = (0.5, -1.0, 0.2)
        if configuration == "learnable":
            model.theta.assign(theta)
        compiled_model(model)
        inputs = {k: ops.convert_to_tensor(v) for k, v in labelled().items()}
        y = np.arange(9) % 4
        parts = {k: to_numpy(v) for k, v in model(inputs).items()}
        classifier = model.classifier
        np.testing.assert_allclose(
            parts["outputs"], to_numpy(classifier(inputs["images"])), atol=1e-6
        )
        gate = classifier.get_layer("channel_gate")
        maps = keras.Model(classifier.input, classifier.get_layer("conv").output)(inputs["images"])
        opened = to_numpy(gate.gate(maps)).mean(axis=1)
        np.testing.assert_allclose(parts["open_ratio"], opened, atol=1e-6)
        squares = [
            (v - numpy_beta(band, alpha, configuration, theta)) ** 2 if band >= 0 else 0.0
            for v, band, alpha in zip(opened, labelled()["band"], labelled()["alpha"], strict=True)
        ]
        count = len(y) if normalizer == "batch" else np.sum(labelled()["band"] >= 0)
        auxiliary = np.sum(squares) / count
        logits = parts["outputs"]
        cross_entropy = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(9), y]
        expected = cross_entropy.mean() + 7 * auxiliary
        loss = model.compute_loss(inputs, y, model(inputs))
        assert float(to_numpy(loss)) == pytest.approx(expected, rel=1e-5)

    def test_no_suppressed_image(self):
        """0 / 0 of the mean over the suppressed images is 0."""
        model = compiled_model(wrapped(rule={"normalizer": "suppressed"}))
        inputs = labelled(3) | {"band": np.full(3, -1, "int32"), "alpha": np.ones(3, "float32")}
        loss = model.compute_loss(inputs, np.arange(3), model(inputs))
        plain = model.compute_loss(inputs, np.arange(3), model(inputs)["outputs"])
        assert to_numpy(loss) == pytest.approx(to_numpy(plain), rel=1e-6)


def test_theta_follows_its_gradient():
    """One SGD step moves theta by the finite difference of the loss (equations 8 to 10)."""
    # kept = 0: the images and labels are then known but for the bands.
    suppression = PowerSuppression(1.0, alpha=0.0, seed=1)
    rule = GateRule("learnable", weight=3)
    model = AttendedSuppressionModel(gated_net(), suppression, attention=rule)
    theta = np.array([0.4, -0.3, 0.9])
    model.theta.assign(theta)
    compiled_model(model, learning_rate=0.05)
    x, y = batch(16, SIDE)
    # Its own labels and gates, from a twin with the same draws.
    twin = PowerSuppression(1.0, alpha=0.0, seed=1, return_labels=True)
    images, labels = twin(ops.convert_to_tensor(x), training=True)
    ratio = to_numpy(model({"images": images, **labels})["open_ratio"])
    band = to_numpy(labels["band"], "int64")
    assert len(set(band)) == 3

    def loss(theta):
        beta = np.array([numpy_beta(b, 0.0, "learnable", theta) for b in band])
        return 3 * np.mean((ratio - beta) ** 2)

    step = 1e-4
    slope = [
        (loss(theta + step * axis) - loss(theta - step * axis)) / (2 * step) for axis in np.eye(3)
    ]
    model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
    moved = to_numpy(model.theta) - theta
    np.testing.assert_allclose(moved, -0.05 * np.array(slope), rtol=2e-3, atol=1e-7)
    b = 1.1 * sigmoid(theta + moved) / sigmoid(theta + moved).sum()
    np.testing.assert_allclose(to_numpy(model.open_ratios()), b, rtol=1e-5)


class TestImages:
    def test_suppression_before_the_crop(self):
        """Pad, multiply the spectrum of 40 x 40, take a window: against numpy."""
        model = wrapped(padding=4, probability=0.7)
        x = random_images((40, SIDE, SIDE, 3))
        images, labels = model._augmented(ops.convert_to_tensor(x), training=True)
        images = to_numpy(images)
        band, alpha = to_numpy(labels["band"], "int64"), to_numpy(labels["alpha"])
        assert images.shape == x.shape and {-1, 0, 1, 2} == set(band)
        padded = np.pad(x.astype("float64"), ((0, 0), (4, 4), (4, 4), (0, 0)))
        masks = np.asarray(suppression_masks(40, 40))
        for image, got, b, a in zip(padded, images, band, alpha, strict=True):
            factor = 1.0 if b < 0 else a + (1 - a) * masks[b]
            factor = np.broadcast_to(factor, (40, 40))
            spectrum = np.fft.fft2(image, axes=(0, 1)) * factor[..., None]
            whole = np.fft.ifft2(spectrum, axes=(0, 1)).real
            distance = min(
                np.abs(whole[i : i + SIDE, j : j + SIDE] - got).max()
                for i in range(9)
                for j in range(9)
            )
            assert distance < 1e-5

    def test_noise_and_clip(self):
        noise = FrequencyNoise(400.0, alpha_r=[0] * 5, seed=3)
        x = ops.convert_to_tensor(random_images((4, SIDE, SIDE, 3)))
        free = AttendedSuppressionModel(gated_net(), None, noise)
        images, labels = free._augmented(x, training=True)
        assert labels is None
        # Variance 400 on the amplitudes of 32^2 numbers: 20 / 32 on a pixel.
        assert np.std(to_numpy(images) - to_numpy(x)) == pytest.approx(20 / 32, rel=0.05)
        cut = AttendedSuppressionModel(gated_net(), None, noise, clip=True)
        images = to_numpy(cut._augmented(x, training=True)[0])
        assert images.min() == 0 and images.max() == 1

    def test_validation_leaves_the_images_alone(self):
        model = wrapped(padding=4, rule={"weight": 10.0})
        compiled_model(model, metrics=["accuracy"])
        x, y = batch(10, SIDE)
        logs = model.evaluate(x, y, verbose=0, return_dict=True)
        plain = compiled_model(model.classifier, metrics=["accuracy"])
        expected = plain.evaluate(x, y, verbose=0, return_dict=True)
        assert logs["auxiliary_loss"] == 0
        for name in ("loss", "accuracy"):
            assert logs[name] == pytest.approx(expected[name], rel=1e-6)
        np.testing.assert_allclose(model.predict(x, verbose=0), plain.predict(x, verbose=0))


class TestTraining:
    def test_nothing_asked_for_is_plain_training(self):
        x, y = batch(16, SIDE)
        plain, around = conv_net(side=SIDE), conv_net(side=SIDE)
        compiled_model(plain).fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        model = compiled_model(AttendedSuppressionModel(around))
        logs = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
        assert set(logs) == {"loss"}
        assert_same_weights(plain, around, atol=1e-6)

    def test_gate_learns_its_label(self):
        """With all images suppressed to nothing but a band, the gate closes as its labels say."""
        suppression = PowerSuppression(1.0, alpha=0.0, seed=1)
        model = AttendedSuppressionModel(gated_net(), suppression, attention=GateRule("000"))
        model.compile(keras.optimizers.Adam(0.03), "sparse_categorical_crossentropy")
        x, y = batch(32, SIDE)
        logs = model.fit(x, y, batch_size=16, epochs=15, verbose=0).history
        assert logs["auxiliary_loss"][-1] < 0.1 * logs["auxiliary_loss"][0]
        images, labels = model.suppression(ops.convert_to_tensor(x), training=True)
        ratio = to_numpy(model({"images": images, **labels})["open_ratio"])
        # beta_0(0) = .0654
        assert np.abs(ratio - 0.0654).mean() < 0.1

    def test_same_seeds_same_training_and_fresh_draws(self):
        x, y = batch(16, SIDE)
        models = []
        for _ in range(2):
            noise = FrequencyNoise(seed=5)
            model = wrapped("learnable", classifier=gated_net(), padding=2)
            model = AttendedSuppressionModel(
                model.classifier, PowerSuppression(0.6, seed=1), noise, padding=2, seed=2,
                attention=GateRule("learnable", weight=1.0),
            )  # fmt: skip
            logs = (
                compiled_model(model)
                .fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
                .history
            )
            models.append(model)
        assert_same_weights(models[0].classifier, models[1].classifier)
        # Another epoch draws other images.
        first = to_numpy(models[0]._augmented(ops.convert_to_tensor(x), True)[0])
        second = to_numpy(models[0]._augmented(ops.convert_to_tensor(x), True)[0])
        assert np.abs(first - second).max() > 0.05 and len(logs["loss"]) == 2

    def test_attacked(self):
        """The attack comes last: it is given the suppressed images and stays around them."""
        attack = examples_of("fgsm", eps=0.02)
        model = compiled_model(wrapped(probability=1.0, attack=attack))
        x, y = batch(8, SIDE)
        seen = []
        original = model._as_inputs

        def spy(images, labels):
            seen.append((images, labels))
            return original(images, labels)

        model._as_inputs = spy
        prepared = model._prepared((ops.convert_to_tensor(x), ops.convert_to_tensor(y)), True)
        images, labels = seen[0]
        twin = PowerSuppression(1.0, seed=1, return_labels=True)
        suppressed, _ = twin(ops.convert_to_tensor(x), training=True)
        distance = np.abs(to_numpy(images) - np.clip(to_numpy(suppressed), 0, 1)).max()
        assert 0.019 < distance < 0.0201
        assert set(prepared[0]) == {"images", "band", "alpha"} and labels is not None

    def test_file(self, tmp_path):
        rule = {"weight": 5, "normalizer": "suppressed", "gate": "channel_gate"}
        model = compiled_model(wrapped("learnable", padding=3, rule=rule))
        x, y = batch(8, SIDE)
        model.fit(x, y, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(to_numpy(loaded.theta), to_numpy(model.theta))
        np.testing.assert_allclose(
            loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
        )
        for name in ("attention", "weight", "padding", "seed"):
            assert getattr(loaded, name) == getattr(model, name)
        assert loaded.suppression.probability == 0.6 and loaded.suppression.seed == 1

    @pytest.mark.parametrize("attention", [None, GateRule("011", weight=2, normalizer="batch")])
    def test_a_config_of_an_earlier_version(self, attention):
        """It had the rule's values as options of their own, all of them always."""
        model = AttendedSuppressionModel(
            gated_net(), PowerSuppression(0.6), attention=attention, clip=True
        )
        older = {"configuration": None, "weight": 100.0, "gate": None, "normalizer": "batch"}
        config = older | model.get_config()
        assert set(older) <= set(config) and "attention" not in config
        for each in (config, model.get_config()):
            loaded = AttendedSuppressionModel.from_config(each)
            assert loaded.attention == attention and loaded.clip

    @pytest.mark.parametrize("suppression", [None, PowerSuppression])
    def test_under_another_global_format(self, suppression):
        """The border of a file's images stays around their sides, not their channels."""
        before = keras.config.image_data_format()
        try:
            keras.config.set_image_data_format("channels_first")
            inputs = keras.Input((3, 8, 8))
            outputs = keras.layers.Dense(2)(keras.layers.Flatten()(inputs))
            layer = None if suppression is None else suppression(0.0)
            model = AttendedSuppressionModel(keras.Model(inputs, outputs), layer, padding=2, seed=1)
            keras.config.set_image_data_format("channels_last")
            again = AttendedSuppressionModel.from_config(model.get_config())
            images, _ = again._augmented(ops.ones((4, 3, 8, 8)), True)
        finally:
            keras.config.set_image_data_format(before)
        # Of 8 x 8 in a border of 2 a window of 8 x 8 keeps 6 x 6 at least, in each channel.
        assert images.shape == (4, 3, 8, 8)
        assert to_numpy(images).sum(axis=(2, 3)).min() >= 36


class TestErrors:
    def test_data_formats(self):
        suppression = PowerSuppression(0.5, data_format="channels_last")
        with pytest.raises(ValueError, match="channels_first, channels_last"):
            AttendedSuppressionModel(gated_net(), suppression, data_format="channels_first")

    def test_types(self):
        with pytest.raises(ValueError, match="`suppression` must be None or a PowerSuppression"):
            AttendedSuppressionModel(conv_net(), 0.5)
        with pytest.raises(ValueError, match="`noise` must be None or a FrequencyNoise"):
            AttendedSuppressionModel(conv_net(), noise=keras.layers.GaussianNoise(1))

    def test_configuration(self):
        with pytest.raises(ValueError, match="`configuration` must be one of.*Received.*'002'"):
            wrapped("002")
        with pytest.raises(ValueError, match="`attention` must be None or a GateRule.*'000'"):
            AttendedSuppressionModel(gated_net(), PowerSuppression(0.6), attention="000")
        with pytest.raises(ValueError, match="`attention` needs a `suppression`"):
            AttendedSuppressionModel(gated_net(), attention=GateRule("000"))
        with pytest.raises(ValueError, match="`weight` must be a number >= 0"):
            GateRule("000", weight=-1)
        with pytest.raises(ValueError, match="`normalizer` must be one of 'batch', 'suppressed'"):
            GateRule("000", normalizer="none")
        with pytest.raises(ValueError, match='Only the configuration "learnable"'):
            wrapped("000").open_ratios()

    def test_gate(self):
        with pytest.raises(ValueError, match="'conv_net' has none. Received: gate=None"):
            wrapped(classifier=conv_net(side=SIDE))
        with pytest.raises(ValueError, match=r"has \['channel_gate'\]. Received: gate='gat'"):
            wrapped(rule={"gate": "gat"})
        inputs = keras.Input((8, 8, 3))
        x = ChannelGate(hidden=2, name="silent")(keras.layers.Conv2D(2, 3)(inputs))
        x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
        with pytest.raises(ValueError, match=r"silent \(without open ratio\)"):
            wrapped(classifier=keras.Model(inputs, x))
