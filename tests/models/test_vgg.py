"""The VGG networks: sizes, and the very numbers that PyTorch's layers give."""

import inspect

import keras
import numpy as np
import pytest

import spectral_keras
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.models import registry
from spectral_keras.models import vgg as _vgg
from spectral_keras.training import AuxiliaryModel
from tests.oracles import random_images, to_numpy

# Convolutions of each block, batch normalisation, trainable parameters at 32x32x3 and ten classes.
NETWORKS = {
    "vgg11_bn": ((1, 1, 2, 2, 2), True, 9_756_426),
    "vgg16": ((2, 2, 3, 3, 3), False, 15_245_130),
    "vgg16_bn": ((2, 2, 3, 3, 3), True, 15_253_578),
}
NAMES = list(NETWORKS)
FILTERS = (64, 128, 256, 512, 512)


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def counted(name, channels, classes, head):
    """Parameters from the definition: 3x3 kernels and biases, gamma and beta, dense layers."""
    repeats, batch_norm, _ = NETWORKS[name]
    total = 0
    for count, filters in zip(repeats, FILTERS, strict=True):
        for _ in range(count):
            total += 9 * channels * filters + filters + 2 * filters * batch_norm
            channels = filters
    sizes = [channels, 512, 512] if head == "compact" else [49 * channels, 4096, 4096]
    return total + sum(a * b + b for a, b in zip(sizes, [*sizes[1:], classes], strict=True))


def small(name, input_shape=(32, 32, 3), width=0.0625, **options):
    return registry.build(name, input_shape, 4, width=width, **options)


def layers_of(model, kind):
    return [layer for layer in model.layers if type(layer).__name__ == kind]


def randomise(model):
    """Other numbers than 0 and 1 in biases and batch normalisations, logits that matter."""
    rng = np.random.default_rng(5)
    for weight in model.weights:
        if len(weight.shape) == 1:
            ends = (0.5, 1.5) if "gamma" in weight.name or "variance" in weight.name else (-1, 1)
            weight.assign(rng.uniform(*ends, weight.shape))
        elif len(weight.shape) == 2:
            weight.assign(rng.normal(0, weight.shape[0] ** -0.5, weight.shape))
    return model


def numpy_average(x, size):
    """PyTorch's adaptive average pooling of [N, H, W, C], window by window."""
    _, height, width, _ = x.shape
    result = np.empty((len(x), size, size, x.shape[-1]))
    for i, j in np.ndindex(size, size):
        top, bottom = i * height // size, -(-(i + 1) * height // size)
        left, right = j * width // size, -(-(j + 1) * width // size)
        result[:, i, j] = x[:, top:bottom, left:right].mean(axis=(1, 2))
    return result


def numpy_vgg(model, name, head, x):
    """Logits and the "features" of the network with this model's weights, in float64."""
    weights = {layer.name: [to_numpy(w) for w in layer.weights] for layer in model.layers}
    repeats, batch_norm, _ = NETWORKS[name]
    x = (np.float64(x) - 0.5) / 0.25
    for block, count in enumerate(repeats, start=1):
        for i in range(1, count + 1):
            kernel, bias = weights[f"block{block}_conv{i}"]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
            x = np.einsum("nhwcij,ijco->nhwo", windows, kernel, optimize=True) + bias
            if batch_norm:
                gamma, beta, mean, variance = weights[f"block{block}_bn{i}"]
                x = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
            x = np.maximum(x, 0)
        features = x
        height, width = (side // 2 for side in x.shape[1:3])
        x = x[:, : 2 * height, : 2 * width].reshape(len(x), height, 2, width, 2, -1)
        x = x.max(axis=(2, 4))
    x = x.mean(axis=(1, 2)) if head == "compact" else numpy_average(x, 7).reshape(len(x), -1)
    for dense in ("dense1", "dense2"):
        kernel, bias = weights[dense]
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = weights["logits"]
    return x @ kernel + bias, features


@pytest.mark.parametrize("name", NAMES)
class TestEveryNetwork:
    def test_parameters_names_and_sizes(self, name):
        repeats, batch_norm, count = NETWORKS[name]
        model = registry.build(name)
        assert trainable_parameters(model) == count == counted(name, 3, 10, "compact")
        assert f"{count:_}".replace("_", " ") in inspect.getdoc(registry.factory(name))
        expected = ["image", "normalize"]
        for block, number in enumerate(repeats, start=1):
            for i in range(1, number + 1):
                parts = ("conv", "bn", "relu") if batch_norm else ("conv", "relu")
                expected += [f"block{block}_{part}{i}" for part in parts]
            expected += ["features"] * (block == 5) + [f"block{block}_pool"]
        expected += ["average", "dropout1", "dense1", "dense1_relu"]
        expected += ["dropout2", "dense2", "dense2_relu", "logits"]
        assert [layer.name for layer in model.layers] == expected
        for block, (side, filters) in enumerate(zip((32, 16, 8, 4, 2), FILTERS, strict=True), 1):
            last = model.get_layer(f"block{block}_relu{repeats[block - 1]}")
            assert last.output.shape[1:] == (side, side, filters)
        assert model.get_layer("features").output.shape[1:] == (2, 2, 512)
        assert model.get_layer("block5_pool").output.shape[1:] == (1, 1, 512)
        for layer in layers_of(model, "BatchNormalization"):
            assert (layer.epsilon, layer.momentum) == (1e-5, 0.9)

    def test_start(self, name):
        for head in ("compact", "imagenet"):
            model = registry.build(name, width=0.25, head=head)
            for layer in layers_of(model, "Conv2D") + layers_of(model, "Dense"):
                weights, bias = to_numpy(layer.kernel), to_numpy(layer.bias)
                if layer in layers_of(model, "Conv2D"):
                    expected = np.sqrt(2 / (9 * layer.filters))
                    assert not bias.any()
                elif head == "imagenet":
                    expected = 0.01
                    assert not bias.any()
                else:
                    bound = len(weights) ** -0.5
                    expected = bound / np.sqrt(3)
                    assert np.abs(weights).max() <= bound and 0.3 * bound < np.abs(bias).max()
                    assert np.abs(bias).max() <= bound
                # Standard error of a deviation: 1/sqrt(2 n); beyond 5 of them is no chance.
                assert weights.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * weights.size))

    @pytest.mark.parametrize(
        ("head", "sides"), [("compact", (32, 32)), ("compact", (77, 40)), ("imagenet", (97, 141))]
    )
    def test_equals_the_definition(self, name, head, sides):
        model = randomise(small(name, (*sides, 3), head=head))
        x = random_images((2, *sides, 3))
        both = keras.Model(model.input, [model.output, model.get_layer("features").output])
        for actual, expected in zip(
            both(x, training=False), numpy_vgg(model, name, head, x), strict=True
        ):
            assert np.ptp(expected) > 0.1
            np.testing.assert_allclose(to_numpy(actual), expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("head", ["compact", "imagenet"])
    def test_equals_pytorch(self, name, head):
        torch = pytest.importorskip("torch")
        nn = torch.nn
        repeats, batch_norm, _ = NETWORKS[name]
        sides = (64, 45)
        model = randomise(small(name, (*sides, 3), head=head))
        modules, channels = [], 3
        for block, count in enumerate(repeats, start=1):
            for i in range(1, count + 1):
                filters = model.get_layer(f"block{block}_conv{i}").filters
                modules.append(nn.Conv2d(channels, filters, kernel_size=3, padding=1))
                modules += [nn.BatchNorm2d(filters)] if batch_norm else []
                modules.append(nn.ReLU())
                channels = filters
            modules.append(nn.MaxPool2d(kernel_size=2, stride=2))
        units = model.get_layer("dense1").units
        if head == "imagenet":
            modules += [nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten()]
            modules += [nn.Linear(49 * channels, units), nn.ReLU(), nn.Dropout()]
            modules += [nn.Linear(units, units), nn.ReLU(), nn.Dropout(), nn.Linear(units, 4)]
        else:
            modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            modules += [nn.Dropout(), nn.Linear(channels, units), nn.ReLU()]
            modules += [nn.Dropout(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 4)]
        twin = nn.Sequential(*modules)
        kinds = ("Conv2D", "BatchNormalization", "Dense")
        ours = [layer for layer in model.layers if type(layer).__name__ in kinds]
        theirs = [m for m in twin if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
        first = True
        for layer, module in zip(ours, theirs, strict=True):
            weights = [to_numpy(weight) for weight in layer.weights]
            if isinstance(module, nn.Conv2d):
                weights[0] = weights[0].transpose(3, 2, 0, 1)
            elif isinstance(module, nn.Linear):
                if first and head == "imagenet":  # rows, columns, channels -> channels first
                    grid = weights[0].reshape(7, 7, channels, units)
                    weights[0] = grid.transpose(2, 0, 1, 3).reshape(49 * channels, units)
                first = False
                weights[0] = weights[0].T
            names = ("weight", "bias", "running_mean", "running_var")[: len(weights)]
            with torch.no_grad():
                for parameter, value in zip(names, weights, strict=True):
                    getattr(module, parameter).copy_(torch.tensor(value))
        x = random_images((2, *sides, 3))
        twin.double().eval()
        with torch.no_grad():
            images = (torch.tensor(x.transpose(0, 3, 1, 2)).double() - 0.5) / 0.25
            expected = twin(images.cpu()).numpy()
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(to_numpy(model(x, training=False)), expected, atol=1e-4)


class TestHeads:
    def test_published_count_of_vgg11(self, monkeypatch):
        # Random numbers for 128 million weights would take longer than the rest of this file.
        monkeypatch.setattr(_vgg, "_dense_start", lambda *_: {"kernel_initializer": "zeros"})
        model = registry.build("vgg11_bn", (128, 128, 1), 5, head="imagenet")
        assert trainable_parameters(model) == 128_791_173 == counted("vgg11_bn", 1, 5, "imagenet")
        assert model.get_layer("block5_pool").output.shape[1:] == (4, 4, 512)
        names = [layer.name for layer in model.layers[-8:]]
        assert names == [
            "flatten", "dense1", "dense1_relu", "dropout1", "dense2", "dense2_relu", "dropout2",
            "logits",
        ]  # fmt: skip
        assert [layer.rate for layer in layers_of(model, "Dropout")] == [0.5, 0.5]

    def test_weights_do_not_depend_on_the_images_size(self):
        for head in ("compact", "imagenet"):
            counts = {
                small("vgg16", shape, head=head).count_params()
                for shape in ((32, 32, 3), (224, 96, 3))
            }
            assert len(counts) == 1

    def test_width_and_dropout(self):
        model = small("vgg16_bn", width=0.25, dropout_rate=0.0)
        assert not layers_of(model, "Dropout")
        filters = [layer.filters for layer in layers_of(model, "Conv2D")]
        assert filters == [16] * 2 + [32] * 2 + [64] * 3 + [128] * 6
        assert [model.get_layer(f"dense{i}").units for i in (1, 2)] == [128, 128]
        model = small("vgg16", width=0.01, head="imagenet", dropout_rate=0.3)
        assert [model.get_layer(f"dense{i}").units for i in (1, 2)] == [41, 41]
        assert [layer.rate for layer in layers_of(model, "Dropout")] == [0.3, 0.3]

    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    @pytest.mark.parametrize("sides", [(1, 1), (4, 4), (7, 7), (5, 9), (14, 8), (13, 2), (3, 21)])
    def test_adaptive_average(self, data_format, sides):
        keras.config.set_image_data_format(data_format)
        x = random_images((2, *sides, 3))
        given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
        inputs = keras.Input(given.shape[1:])
        model = keras.Model(inputs, _vgg.adaptive_average(inputs, 7))
        expected = numpy_average(np.float64(x), 7).reshape(2, 49, 3)
        np.testing.assert_allclose(to_numpy(model(given)), expected, atol=1e-6)

    @pytest.mark.parametrize("head", ["compact", "imagenet"])
    def test_channels_first_is_the_same_network(self, head):
        x = random_images((2, 40, 72, 3))
        model = randomise(small("vgg11_bn", (40, 72, 3), head=head))
        expected = to_numpy(model(x, training=False))
        keras.config.set_image_data_format("channels_first")
        first = small("vgg11_bn", (3, 40, 72), head=head)
        first.set_weights(model.get_weights())
        assert first.get_layer("features").output.shape[1:] == (32, 2, 4)
        # TensorFlow's own kernels for a CPU know no channels first, XLA's do.
        first.compile(jit_compile=keras.backend.backend() == "tensorflow")
        actual = first.predict(np.moveaxis(x, -1, 1), verbose=0)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)

    def test_imagenet_head_survives_saving(self, tmp_path):
        model = randomise(small("vgg16_bn", (64, 48, 3), head="imagenet"))
        x = random_images((2, 64, 48, 3))
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        expected = to_numpy(model(x, training=False))
        np.testing.assert_allclose(to_numpy(loaded(x, training=False)), expected, atol=1e-6)

    @pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="the formats are TensorFlow's"
    )
    @pytest.mark.parametrize("format", ["saved_model", "onnx", "litert"])
    def test_imagenet_head_is_exported(self, format, tmp_path):
        from spectral_keras.export import SUFFIXES, export

        model = randomise(small("vgg11_bn", (64, 64, 1), head="imagenet"))
        report = export(model, tmp_path / f"model{SUFFIXES[format]}", format)
        logits = to_numpy(model(random_images((4, 64, 64, 1))))
        assert np.ptp(logits, axis=0).max() > 0.03
        assert report["max_abs_difference"] < 1e-4 * max(1, np.abs(logits).max())


class TestOptions:
    @pytest.mark.parametrize("sides", [(32, 32), (75, 33)])
    def test_spectral_pooling_has_the_same_sizes(self, sides):
        both = [small("vgg16", (*sides, 3), pooling=pooling) for pooling in ("max", "spectral")]
        for block in range(1, 6):
            shapes = {model.get_layer(f"block{block}_pool").output.shape for model in both}
            assert len(shapes) == 1
        assert len(layers_of(both[1], "SpectralPool")) == 5
        assert not layers_of(both[1], "MaxPooling2D")

    def test_parametrisations_start_at_the_same_function_and_fold(self):
        outputs, counts = [], []
        x = random_images((2, 32, 32, 3))
        for conv in ("spatial", "spectral", "hermitian"):
            keras.utils.set_random_seed(4)
            model = small("vgg16_bn", conv=conv)
            outputs.append(to_numpy(model(x, training=False)))
            counts.append(trainable_parameters(model))
            if conv != "spatial":
                assert len(layers_of(model, "SpectralConv2D")) == 13
                folded = spectral_keras.fold(model)
                assert not layers_of(folded, "SpectralConv2D")
                folded = to_numpy(folded(x, training=False))
                np.testing.assert_allclose(folded, outputs[-1], rtol=1e-3, atol=1e-5)
        assert np.ptp(outputs[0]) > 1e-3
        np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(outputs[2], outputs[0], rtol=1e-3, atol=1e-5)
        assert counts[0] == counts[2] < counts[1]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"conv": "fast"}, "conv='fast'"),
            ({"pooling": "strided"}, "pooling='strided'"),
            ({"head": "wide"}, "head='wide'"),
            ({"dropout_rate": 1.0}, "dropout_rate=1.0"),
            ({"width": 0}, "width=0"),
            ({"input_shape": (32, 31, 3)}, r"at least 32.*Received: input_shape=\(32, 31, 3\)"),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            registry.build("vgg16", **options)

    @pytest.mark.parametrize("head", ["compact", "imagenet"])
    def test_mixed_precision_ends_in_float32(self, head):
        x = random_images((2, 64, 64, 3))
        model = randomise(small("vgg16_bn", (64, 64, 3), head=head))
        expected = to_numpy(model(x, training=False))
        keras.config.set_dtype_policy("mixed_bfloat16")
        half = small("vgg16_bn", (64, 64, 3), head=head)
        half.set_weights(model.get_weights())
        assert half.output.dtype == "float32"
        assert half.get_layer("features").output.dtype == "bfloat16"
        assert half.get_layer("dense1").output.dtype == "bfloat16"
        difference = np.abs(to_numpy(half(x, training=False)) - expected).max()
        assert 0 < difference < 0.1 * np.abs(expected).max()

    @pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="JAX computes in float32, Keras' batch normalization on PyTorch to 1e-6",
    )
    @pytest.mark.parametrize("head", ["compact", "imagenet"])
    def test_double_precision(self, head):
        keras.config.set_dtype_policy("float64")
        keras.config.set_floatx("float64")
        model = randomise(small("vgg16_bn", (64, 48, 3), head=head))
        x = random_images((2, 64, 48, 3), dtype="float64")
        expected, _ = numpy_vgg(model, "vgg16_bn", head, x)
        assert model.output.dtype == "float64"
        np.testing.assert_allclose(to_numpy(model(x, training=False)), expected, rtol=1e-9)


def test_learns():
    keras.utils.set_random_seed(3)
    # Without batch normalisation: the one that is hard to train.
    model = small("vgg16", width=0.125, dropout_rate=0.0)
    # Stripes along or across, of two widths.
    waves = np.sin(np.pi * np.arange(32) / np.array([[2], [4]]))
    x = np.stack([np.broadcast_to(wave, (32, 32)) for wave in waves])
    x = np.concatenate([x, x.swapaxes(1, 2)])[:, :, :, None] * np.ones(3) * 0.4 + 0.5
    x, y = np.float32(x[[0, 1, 2, 3] * 4]), np.array([0, 1, 2, 3] * 4)
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = [float(model.train_on_batch(x, y)) for _ in range(25)]
    assert 1 < losses[0] < 2 and min(losses) < 0.5 * losses[0]


def test_auxiliary_task_at_the_features():
    model = AuxiliaryModel(small("vgg16_bn", width=0.03), "fourier")
    assert model.decoder.input_shape[1:] == (2, 2, 15)
    assert model.decoder.output_shape[1:] == (32, 32, 2)
    model.compile(
        keras.optimizers.SGD(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    logs = model.fit(random_images((4, 32, 32, 3)), np.arange(4), verbose=0).history
    assert np.isfinite(logs["loss"]).all() and logs["auxiliary_loss"][0] > 0


class TestRecipes:
    @pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
    def test_vgg16(self, name):
        recipe = registry.recipe(name)
        assert (recipe.optimizer, recipe.learning_rate, recipe.momentum) == ("sgd", 0.01, 0.9)
        # Ten times PyTorch's 5e-4: there the momentum multiplies it.
        assert (recipe.weight_decay, recipe.schedule) == (5e-3, "thirds")
        assert (recipe.epochs, recipe.batch_size, recipe.augment) == (90, 128, "crop_flip")
        assert recipe.early_stopping == 0

    def test_vgg11_bn(self):
        recipe = registry.recipe("vgg11_bn")
        assert (recipe.optimizer, recipe.learning_rate) == ("adam", 1e-3)
        assert (recipe.weight_decay, recipe.schedule) == (0, "onecycle")
        assert recipe.warmup_epochs == 0.1 * recipe.epochs == 5
        assert (recipe.batch_size, recipe.augment) == (128, "resized_crop,flip")

    def test_command(self):
        argv = ["--head", "imagenet", "--augment", "resized_crop,flip,scale"]
        network = TrainOptions.of_command("vgg11_bn", argv).network
        assert (network["head"], network["dropout_rate"]) == ("imagenet", 0.5)
        assert TrainOptions.of_command("vgg16", ["--schedule", "thirds"]).schedule == "thirds"
