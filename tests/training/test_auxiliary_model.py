import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.training import (
    AuxiliaryModel,
    FourierTarget,
    ReconstructionTarget,
)
from tests.oracles import to_numpy, weight_gradients
from tests.training.nets import (
    LOGITS_LOSS,
    assert_same_weights,
    attacked,
    batch,
    compiled_model,
    conv_net,
    examples_of,
    weights_of,
)

BACKEND = keras.backend.backend()


@keras.saving.register_keras_serializable(package="spectral_keras_tests")
class Edges(keras.layers.Layer):
    """Another target: differences of neighbours in a row, of a size that no power of 2 reaches."""

    def call(self, inputs):
        return inputs[:, :, 1:] - inputs[:, :, :-1]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], input_shape[2] - 1, input_shape[3])


def numpy_logs(model, x, y, weights=None):
    """What `evaluate` logs, from the model's outputs."""
    parts = {k: to_numpy(v) for k, v in model({"images": ops.convert_to_tensor(x)}).items()}
    weights = np.ones(len(x)) if weights is None else weights
    shifted = parts["outputs"] - parts["outputs"].max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    classification = np.mean(-weights * log_p[np.arange(len(y)), y])
    squares = np.square(parts["decoded"] - parts["target"]).mean(axis=(1, 2, 3))
    auxiliary = np.mean(weights * squares)
    return {
        "classification_loss": classification,
        "auxiliary_loss": auxiliary,
        "loss": classification + model.weight * auxiliary,
    }


def assert_logs(logs, expected):
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=2e-5, err_msg=name)


class TestLosses:
    @pytest.mark.parametrize("task", ["fourier", "reconstruction"])
    def test_logged_values(self, task):
        model = compiled_model(AuxiliaryModel(conv_net(), task, weight=0.3), metrics=["accuracy"])
        x, y = batch()
        weights = np.linspace(0, 2, len(x)).astype("float32")
        # Batches of unequal size, too.
        logs = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
        assert set(logs) == {"loss", "accuracy", "classification_loss", "auxiliary_loss"}
        assert_logs(logs, numpy_logs(model, x, y))
        logs = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
        assert_logs(logs, numpy_logs(model, x, y, weights))
        assert model.predict(x, verbose=0).shape == (12, 4)

    def test_parts(self):
        """The decoder reads the tap, the target is of the normalised image."""
        classifier = conv_net()
        model = AuxiliaryModel(classifier, "reconstruction")
        x, _ = batch()
        parts = model({"images": ops.convert_to_tensor(x)})
        np.testing.assert_allclose(to_numpy(parts["target"]), 4 * x - 2, atol=1e-6)
        tap = keras.Model(classifier.input, classifier.get_layer("features").output)
        np.testing.assert_allclose(
            to_numpy(parts["decoded"]), to_numpy(model.decoder(tap(x))), atol=1e-5
        )
        np.testing.assert_allclose(to_numpy(parts["outputs"]), to_numpy(classifier(x)), atol=1e-5)
        np.testing.assert_allclose(to_numpy(model(x)), to_numpy(classifier(x)), atol=1e-5)

    def test_gradient_is_the_sum_of_the_parts(self):
        """One step of SGD, rate 1, against the gradients of the two losses by themselves."""
        # No batch normalisation: its step on JAX would need the state of a training pass here.
        model = AuxiliaryModel(conv_net(batch_norm=False), weight=0.2)
        compiled_model(model, learning_rate=1.0)
        x, y = batch()
        tensors = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
        variables = model.trainable_variables
        assert len(variables) == 4 + 2

        def classification():
            return ops.mean(
                keras.losses.sparse_categorical_crossentropy(
                    tensors[1], model.classifier(tensors[0]), from_logits=True
                )
            )

        def auxiliary():
            parts = model({"images": tensors[0]})
            return ops.mean(ops.square(parts["decoded"] - parts["target"]))

        first, second = (weight_gradients(f, variables) for f in (classification, auxiliary))
        before = [to_numpy(v) for v in variables]
        model.fit(x, y, batch_size=12, epochs=1, verbose=0)
        for variable, old, a, b in zip(variables, before, first, second, strict=True):
            np.testing.assert_allclose(
                to_numpy(variable), old - a - 0.2 * b, atol=2e-5, err_msg=variable.path
            )
        # Both tasks move the classifier, only one of them the decoder.
        assert all(np.abs(g).max() > 0 for g in second[:2])
        assert all(np.abs(g).max() == 0 for g in first[4:])

    def test_regularisers_belong_to_the_classifier(self):
        classifier = conv_net()
        classifier.get_layer("conv").kernel.regularizer = keras.regularizers.L2(0.1)
        model = compiled_model(AuxiliaryModel(classifier))
        x, y = batch()
        logs = model.evaluate(x, y, verbose=0, return_dict=True)
        expected = numpy_logs(model, x, y)
        penalty = 0.1 * np.sum(to_numpy(classifier.get_layer("conv").kernel) ** 2)
        for name in ("classification_loss", "loss"):
            expected[name] += penalty
        assert_logs(logs, expected)


class TestTraining:
    @pytest.mark.parametrize("jit_compile", [False, True] if BACKEND == "tensorflow" else ["auto"])
    def test_both_losses_fall(self, jit_compile):
        model = AuxiliaryModel(conv_net(dropout=0.1), weight=0.05)
        model.compile(keras.optimizers.Adam(0.02), LOGITS_LOSS, jit_compile=jit_compile)
        x, y = batch(16)
        start = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
        history = model.fit(
            x, y, validation_data=(x, y), batch_size=8, epochs=12, verbose=0
        ).history
        for name in ("loss", "classification_loss", "auxiliary_loss"):
            assert f"val_{name}" in history
            assert history[f"val_{name}"][-1] < 0.95 * start[name], name

    def test_the_classifier_comes_back(self, tmp_path):
        classifier = conv_net()
        before = weights_of(classifier)
        model = compiled_model(AuxiliaryModel(classifier))
        x, y = batch()
        model.fit(x, y, batch_size=6, epochs=1, verbose=0)
        assert model.classifier is classifier
        assert all((value != before[path]).any() for path, value in weights_of(classifier).items())
        expected = model.predict(x, verbose=0)
        classifier.save(tmp_path / "plain.keras")
        plain = keras.saving.load_model(tmp_path / "plain.keras")
        assert type(plain) is type(classifier) and plain.count_params() == conv_net().count_params()
        np.testing.assert_allclose(plain.predict(x, verbose=0), expected, atol=1e-6)

    @pytest.mark.parametrize("kwargs", [{"weight": 0}, {"task": "none"}])
    def test_without_weight_it_is_plain_training(self, kwargs):
        x, y = batch()
        plain = compiled_model(conv_net(dropout=0.2))
        model = compiled_model(AuxiliaryModel(conv_net(dropout=0.2), **kwargs))
        options = {"batch_size": 6, "epochs": 2, "shuffle": False, "verbose": 0}
        expected = plain.fit(x, y, **options).history["loss"]
        logs = model.fit(x, y, **options).history
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-6)
        assert_same_weights(model.classifier, plain, atol=1e-6)
        assert ("auxiliary_loss" in logs) == ("task" not in kwargs)

    def test_class_weights(self):
        x, y = batch()
        weights = {0: 0.0, 1: 1.0, 2: 2.0, 3: 0.5}
        model = compiled_model(AuxiliaryModel(conv_net(batch_norm=False)), learning_rate=0.0)
        logs = model.fit(x, y, class_weight=weights, verbose=0).history
        expected = numpy_logs(model, x, y, np.array([weights[label] for label in y]))
        assert_logs({name: values[0] for name, values in logs.items()}, expected)

    def test_mixed_precision(self):
        keras.config.set_dtype_policy("mixed_float16")
        model = AuxiliaryModel(conv_net(), variant="published")
        keras.config.set_dtype_policy("float32")
        model.compile("adam", LOGITS_LOSS)
        x, y = batch()
        logs = model.fit(x, y, epochs=2, verbose=0).history
        assert np.isfinite(logs["auxiliary_loss"] + logs["classification_loss"]).all()


class TestTasks:
    def test_another_target(self):
        """From the input itself, by a tap and to a target of other sizes."""
        classifier = conv_net(softmax=True)
        source = classifier.layers[0].name
        model = AuxiliaryModel(classifier, tap="bn", source=source, target=Edges(), weight=1.0)
        assert model.decoder.output_shape == (None, 8, 7, 3)
        compiled_model(model, "sparse_categorical_crossentropy")
        x, y = batch()
        parts = model({"images": ops.convert_to_tensor(x)})
        np.testing.assert_allclose(to_numpy(parts["target"]), np.diff(x, axis=2), atol=1e-6)
        logs = model.fit(x, y, epochs=3, verbose=0).history["auxiliary_loss"]
        assert logs[-1] < logs[0]

    def test_a_function_as_target(self):
        model = AuxiliaryModel(conv_net(), target=lambda x: ops.square(x)[..., :1])
        assert model.decoder.output_shape == (None, 8, 8, 1)

    def test_the_published_variant(self):
        model = AuxiliaryModel(conv_net(), variant="published")
        x, _ = batch(4)
        parts = {k: to_numpy(v) for k, v in model({"images": ops.convert_to_tensor(x)}).items()}
        assert parts["decoded"].min() == 0
        expected = to_numpy(FourierTarget("raw")(4 * x - 2))
        np.testing.assert_allclose(
            parts["target"][..., 0], expected[[2, 3, 0, 1], ..., 0], rtol=1e-4
        )

    def test_no_normalisation_and_a_sequential_classifier(self):
        classifier = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.AveragePooling2D(2, name="features"),
                keras.layers.Flatten(),
                keras.layers.Dense(3),
            ]
        )
        x = batch(2)[0][..., :1]
        parts = AuxiliaryModel(classifier, "reconstruction")({"images": ops.convert_to_tensor(x)})
        np.testing.assert_allclose(to_numpy(parts["target"]), x, atol=1e-7)

    def test_target_of_the_attacked_images(self):
        """Both losses of an adversarial evaluation are those of the attacked images."""
        attack = examples_of(eps=0.05)
        model = compiled_model(AuxiliaryModel(conv_net(), "reconstruction", attack=attack))
        x, y = batch()
        logs = model.evaluate(x, y, verbose=0, return_dict=True)
        assert_logs(logs, numpy_logs(model, attacked(attack, model.classifier, x, y), y))
        assert logs["loss"] > 1.001 * numpy_logs(model, x, y)["loss"]


class TestSaving:
    def test_config_and_file(self, tmp_path):
        model = AuxiliaryModel(
            conv_net(),
            "reconstruction",
            tap="relu",
            weight=0.5,
            source="normalize",
            target=Edges(),
            variant="published",
            attack=examples_of("pgd", [0.1, 0.2, 0.3], steps=2, clip=None),
            validate_on="clean",
            name="wrapped",
        )
        compiled_model(model)
        x, y = batch()
        model.fit(x, y, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert type(loaded) is AuxiliaryModel
        plain, again = model.get_config(), loaded.get_config()
        for name in ("task", "tap", "weight", "source", "variant", "validate_on", "name", "attack"):
            assert again[name] == plain[name], name
        assert type(loaded.target) is Edges
        expected = model.evaluate(x, y, verbose=0, return_dict=True)
        assert_logs(loaded.evaluate(x, y, verbose=0, return_dict=True), expected)
        loaded.fit(x, y, verbose=0)

    @pytest.mark.parametrize("task", ["fourier", "reconstruction"])
    def test_under_another_global_format(self, task):
        before = keras.config.image_data_format()
        try:
            keras.config.set_image_data_format("channels_first")
            inputs = keras.Input((3, 8, 8))
            # No convolution, which TensorFlow does not have for channels first on a processor.
            maps = keras.layers.AveragePooling2D(2, name="features", data_format="channels_first")
            maps = maps(inputs)
            outputs = keras.layers.Dense(2)(keras.layers.Flatten()(maps))
            model = AuxiliaryModel(keras.Model(inputs, outputs), task)
            keras.config.set_image_data_format("channels_last")
            again = AuxiliaryModel.from_config(model.get_config())
        finally:
            keras.config.set_image_data_format(before)
        with pytest.raises(ValueError, match="one `data_format`"):
            target = FourierTarget(data_format="channels_last")
            AuxiliaryModel(model.classifier, target=target, data_format="channels_first")
        target = FourierTarget(data_format="channels_first")
        assert AuxiliaryModel(model.classifier, target=target).data_format == "channels_first"
        assert again.decoder.output_shape == model.decoder.output_shape
        assert model.decoder.output_shape[2:] == (8, 8)

    def test_weights_are_not_saved_twice(self, tmp_path):
        model = AuxiliaryModel(conv_net())
        assert [layer.name for layer in model.layers] == ["conv_net", "target", "decoder"]
        assert len(model.weights) == 8 + 2
        assert model.count_params() == conv_net().count_params() + model.decoder.count_params()


class TestArguments:
    @pytest.mark.parametrize(
        ("kwargs", "match"),
        [
            ({"task": "rotation"}, "`task`"),
            ({"variant": "paper"}, "`variant`"),
            ({"weight": -1}, "`weight`"),
            ({"weight": None}, "`weight`"),
            ({"tap": "feature"}, "`tap` must be the name .* such as 'features'.*tap='feature'"),
            ({"source": "normalise"}, "`source` must be the name .* such as 'normalize'"),
            ({"tap": "average"}, "`tap` must give images"),
            ({"target": keras.layers.Flatten()}, "`target` must give images"),
            ({"target": 3}, "`target` must be a layer"),
            ({"task": "none", "target": ReconstructionTarget()}, "`target` must be a layer"),
            ({"tap": "normalize"}, "`tap` must give maps that are smaller"),
            ({"attack": "fgsm"}, "`attack`"),
            ({"validate_on": "both"}, "`validate_on`"),
        ],
    )
    def test_bad_arguments(self, kwargs, match):
        with pytest.raises(ValueError, match=match):
            AuxiliaryModel(conv_net(), **kwargs)

    def test_bad_classifiers(self):
        inputs = keras.Input((4,))
        two = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)])
        for classifier in (two, keras.Sequential([keras.layers.Dense(2)]), keras.layers.Dense(2)):
            with pytest.raises(ValueError, match="`classifier` must"):
                AuxiliaryModel(classifier)

    def test_parts_without_a_decoder(self):
        with pytest.raises(ValueError, match="no decoder"):
            AuxiliaryModel(conv_net(), "none")({"images": ops.convert_to_tensor(batch()[0])})
