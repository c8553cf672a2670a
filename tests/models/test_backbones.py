"""The five backbones of the auxiliary Fourier task."""

import functools
import inspect

import keras
import numpy as np
import pytest

import spectral_keras
from spectral_keras.experiments.train.options import TrainOptions
from spectral_keras.models import backbones, registry
from tests.oracles import random_images, to_numpy

# Trainable parameters and tap at 32x32x3 and ten classes.  EfficientNet: the paper's code counts
# 3 599 686 with a 1x1 convolution (32 x 32) and its batch normalisation (2 x 32) that it never
# calls, since the first block expands by one.
UNUSED = 32 * 32 + 2 * 32
NETWORKS = {
    "resnet18": (11_173_962, (4, 4, 512)),
    "resnext29": (9_128_778, (8, 8, 1024)),
    "googlenet": (6_166_250, (8, 8, 1024)),
    "efficientnet_b0": (3_599_686 - UNUSED, (2, 2, 320)),
    "mobilenet_v2": (2_296_922, (4, 4, 1280)),
}
NAMES = list(NETWORKS)
# Each network with everything in the frequency domain that it can have there.
SPECTRAL = {name: {"pooling": "spectral"} for name in NAMES}
for _name in ("resnet18", "resnext29", "googlenet"):
    SPECTRAL[_name]["conv"] = "spectral"


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@functools.cache
def full(name):
    """The network of the paper; it is looked at, never changed."""
    return registry.build(name)


def small(name, input_shape=(16, 16, 3), width=0.0625, **options):
    return registry.build(name, input_shape, 4, width=width, **options)


@functools.cache
def sample(name):
    """A small network with odd sides; it is looked at, never changed."""
    return small(name, (29, 16, 3))


def kernel(layer):
    return to_numpy(layer.spatial_kernel() if hasattr(layer, "spatial_kernel") else layer.kernel)


def shape(layer):
    return tuple(layer.output.shape[1:])


def layers_of(model, kind):
    return [layer for layer in model.layers if type(layer).__name__ == kind]


def numpy_windows(x, size, stride, padding):
    """(batch, out_h, out_w, channels, size, size) windows of maps padded alike on all sides."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return windows[:, ::stride, ::stride]


def numpy_conv(x, weights, stride):
    size = weights.shape[0]
    windows = numpy_windows(x, size, stride, size // 2)
    return np.einsum("nhwcij,ijco->nhwo", windows, weights)


def randomise(model):
    """Other numbers than 0 and 1 in the batch normalisations."""
    rng = np.random.default_rng(5)
    for layer in layers_of(model, "BatchNormalization"):
        layer.set_weights([rng.uniform(0.5, 1.5, np.shape(w)) for w in layer.get_weights()])


def numpy_bn(x, layer):
    gamma, beta, mean, variance = map(to_numpy, layer.weights)
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


@pytest.mark.parametrize("name", NAMES)
class TestEveryBackbone:
    def test_parameters_tap_and_names(self, name):
        model = full(name)
        count, tap = NETWORKS[name]
        assert trainable_parameters(model) == count
        assert shape(model.get_layer(backbones.TAP)) == tap
        again = [layer.name for layer in sample(name).layers]
        assert [layer.name for layer in model.layers] == again
        for layer in layers_of(model, "BatchNormalization"):
            assert (layer.epsilon, layer.momentum) == (1e-5, 0.9)

    def test_options_keep_the_sizes_and_train(self, name):
        plain = sample(name)
        model = small(name, (29, 16, 3), **SPECTRAL[name])
        for layer in layers_of(plain, "BatchNormalization"):
            assert shape(model.get_layer(layer.name)) == shape(layer), layer.name
        assert layers_of(model, "SpectralPool") and not layers_of(plain, "SpectralPool")
        assert all(max(np.ravel(getattr(layer, "strides", 1))) == 1 for layer in model.layers)
        spectral = SPECTRAL[name].get("conv") == "spectral"
        assert bool(layers_of(model, "SpectralConv2D")) == spectral
        if not spectral:
            assert trainable_parameters(model) == trainable_parameters(plain)
        model.compile(
            keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=True,
        )
        before = [to_numpy(weight) for weight in model.trainable_weights]
        loss = model.train_on_batch(random_images((2, 29, 16, 3)), np.array([0, 3]))
        # Close to ln 4: the last layer starts at almost nothing.
        assert 0.5 < loss < 3
        moved = [
            (to_numpy(w) != b).any() for w, b in zip(model.trainable_weights, before, strict=True)
        ]
        assert np.mean(moved) > 0.9

    def test_features_at_any_layer(self, name):
        model = sample(name)
        x = random_images((2, 29, 16, 3))
        outputs = {layer.name: layer.output for layer in model.layers}
        assert len(outputs) == len(model.layers)
        everything = keras.Model(model.input, outputs)(x, training=False)
        for wanted in ("stem_conv", "stem_bn", backbones.TAP):
            one = keras.Model(model.input, model.get_layer(wanted).output)
            np.testing.assert_allclose(
                to_numpy(one(x, training=False)), to_numpy(everything[wanted]), atol=1e-6
            )
        logits = to_numpy(everything["logits"])
        np.testing.assert_allclose(to_numpy(model(x, training=False)), logits, atol=1e-6)
        # What follows the tap is the average and one dense layer.
        means = to_numpy(everything[backbones.TAP]).mean(axis=(1, 2))
        dense = model.get_layer("logits")
        expected = means @ to_numpy(dense.kernel) + to_numpy(dense.bias)
        np.testing.assert_allclose(logits, expected, atol=1e-5)

    def test_start(self, name):
        model = registry.build(name, width=0.5)
        stem, half = (shape(m.get_layer("stem_conv"))[2] for m in (full(name), model))
        assert half == stem / 2
        for layer in layers_of(model, "BatchNormalization"):
            gamma, beta, mean, variance = (np.asarray(w) for w in layer.get_weights())
            assert (gamma == 1).all() and (variance == 1).all()
            assert not beta.any() and not mean.any()
        for layer in layers_of(model, "Conv2D") + layers_of(model, "DepthwiseConv2D"):
            weights = kernel(layer)
            size, _, incoming, filters = weights.shape
            # PyTorch: the first axis of (out, in / groups, k, k), all groups' filters together.
            outgoing = incoming if filters == 1 and "depthwise" in layer.name else filters
            outgoing *= 2 if "_grouped_conv" in layer.name else 1
            expected = np.sqrt(2 / (outgoing * size**2))
            # Standard error of a deviation: 1/sqrt(2 n); beyond 5 of them is no chance.
            assert weights.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * weights.size))
            if layer.use_bias:
                bias = to_numpy(layer.bias)
                if "_se_" in layer.name:
                    assert 0.3 < np.abs(bias).max() * np.sqrt(incoming) <= 1
                else:
                    assert name == "googlenet" and not bias.any()
        dense = model.get_layer("logits")
        weights = to_numpy(dense.kernel)
        assert weights.std() == pytest.approx(1e-3, rel=5 / np.sqrt(2 * weights.size))
        assert 0.3 < np.abs(to_numpy(dense.bias)).max() * np.sqrt(len(weights)) <= 1

    def test_recipe_and_command(self, name):
        recipe = registry.recipe(name)
        assert (recipe.optimizer, recipe.learning_rate, recipe.momentum) == ("sgd", 0.1, 0.9)
        assert (recipe.weight_decay, recipe.schedule) == (4e-4, "plateau")
        assert (recipe.epochs, recipe.batch_size, recipe.augment) == (200, 128, "mirror_crop_flip")
        assert recipe.early_stopping == 10
        options = TrainOptions.of_command(name, ["--width", "0.5", "--pooling", "spectral"])
        assert (options.network["width"], options.network["pooling"]) == (0.5, "spectral")
        count, _ = NETWORKS[name]
        assert f"{count:_}".replace("_", " ") in inspect.getdoc(
            inspect.getmodule(registry.factory(name))
        )


def test_mixed_precision_ends_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small("efficientnet_b0")
    assert model.output.dtype == "float32"
    assert model.get_layer(backbones.TAP).output.dtype == "bfloat16"


class TestAlignment:
    """Windows of stride 2 lie as in PyTorch: padding k // 2 on both sides, also of even sizes."""

    @pytest.mark.parametrize(
        ("kernel_size", "filters", "groups"), [(1, 4, 1), (3, 4, 1), (5, 4, 1), (3, 4, 2)]
    )
    @pytest.mark.parametrize("side", [8, 7])
    def test_convolution(self, kernel_size, filters, groups, side):
        inputs = keras.Input((side, side, 6))
        block = backbones.builder(activation=None)
        output = block(inputs, filters, kernel_size, stride=2, groups=groups, name="a")
        model = keras.Model(inputs, output)
        x = random_images((2, side, side, 6))
        convolutions = layers_of(model, "Conv2D")
        assert len(convolutions) == groups
        expected = [
            numpy_conv(part, kernel(layer), 2)
            for part, layer in zip(np.split(x, groups, axis=-1), convolutions, strict=True)
        ]
        expected = np.concatenate(expected, axis=-1) / np.sqrt(1 + 1e-5)
        assert expected.shape == (2, 4, 4, filters)
        np.testing.assert_allclose(to_numpy(model(x)), expected, atol=1e-5)

    @pytest.mark.parametrize("kernel_size", [3, 5])
    def test_depthwise(self, kernel_size):
        inputs = keras.Input((8, 8, 3))
        block = backbones.builder(activation=None)
        model = keras.Model(inputs, block(inputs, None, kernel_size, stride=2, name="a"))
        x = random_images((2, 8, 8, 3))
        weights = kernel(model.get_layer("a_conv"))[..., 0]
        windows = numpy_windows(x, kernel_size, 2, kernel_size // 2)
        expected = np.einsum("nhwcij,ijc->nhwc", windows, weights) / np.sqrt(1 + 1e-5)
        np.testing.assert_allclose(to_numpy(model(x)), expected, atol=1e-5)

    def test_max_pooling(self):
        inputs = keras.Input((8, 8, 3))
        output = backbones.max_pool(inputs, pooling="max", name="pool")
        x = random_images((2, 8, 8, 3))
        expected = numpy_windows(x, 3, 2, 1).max(axis=(-2, -1))
        np.testing.assert_array_equal(to_numpy(keras.Model(inputs, output)(x)), expected)

    def test_residual_block(self):
        model = small("resnet18")
        randomise(model)
        names = ("stage1_block2_relu", "stage2_block1_relu")
        tapped = keras.Model(model.input, [model.get_layer(name).output for name in names])
        x, actual = map(to_numpy, tapped(random_images((2, 16, 16, 3)), training=False))

        def conv_bn(x, part, stride):
            layer = model.get_layer(f"stage2_block1_{part}_conv")
            return numpy_bn(
                numpy_conv(x, kernel(layer), stride),
                model.get_layer(f"stage2_block1_{part}_bn"),
            )

        path = conv_bn(np.maximum(conv_bn(x, "first", 2), 0), "second", 1)
        expected = np.maximum(path + conv_bn(x, "shortcut", 2), 0)
        assert expected.shape == (2, 8, 8, 8)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


class TestLayers:
    def test_resnet18(self):
        model = full("resnet18")
        for stage, (side, filters) in enumerate([(32, 64), (16, 128), (8, 256), (4, 512)], 1):
            for block in (1, 2):
                layer = model.get_layer(f"stage{stage}_block{block}_relu")
                assert shape(layer) == (side, side, filters)
        shortcuts = [layer.name for layer in model.layers if "shortcut_conv" in layer.name]
        assert shortcuts == [f"stage{stage}_block1_shortcut_conv" for stage in (2, 3, 4)]

    def test_resnext29(self):
        model = full("resnext29")
        assert model.get_layer("stem_conv").kernel_size == (1, 1)
        for stage, (side, inner) in enumerate([(32, 128), (16, 256), (8, 512)], 1):
            for block in (1, 2, 3):
                start = f"stage{stage}_block{block}"
                assert shape(model.get_layer(f"{start}_grouped_conv")) == (side, side, inner)
                assert shape(model.get_layer(f"{start}_relu")) == (side, side, 2 * inner)
        assert tuple(model.get_layer("stage3_block3_grouped_conv2").kernel.shape[2:]) == (256, 256)

    def test_googlenet(self):
        model = full("googlenet")
        filters = [256, 480, 512, 512, 512, 528, 832, 832, 1024]
        sides = [32] * 2 + [16] * 5 + [8] * 2
        names = ["a3", "b3", "a4", "b4", "c4", "d4", "e4", "a5", "b5"]
        shapes = [shape(model.get_layer(name)) for name in names]
        assert shapes == [(s, s, f) for s, f in zip(sides, filters, strict=True)]
        assert all(layer.use_bias for layer in layers_of(model, "Conv2D"))

    def test_mobilenet_v2(self):
        model = full("mobilenet_v2")
        projections = [layer for layer in model.layers if layer.name.endswith("project_bn")]
        filters = [16, 24, 24] + [32] * 3 + [64] * 4 + [96] * 3 + [160] * 3 + [320]
        assert [shape(layer)[2] for layer in projections] == filters
        assert [shape(layer)[0] for layer in projections] == [32] * 3 + [16] * 3 + [8] * 7 + [4] * 4
        # Every block of stride 1 has a shortcut, with a convolution where the width changes.
        assert len(layers_of(model, "Add")) == 14
        shortcuts = [layer.name for layer in model.layers if "shortcut_conv" in layer.name]
        assert shortcuts == [f"stage{stage}_block1_shortcut_conv" for stage in (1, 2, 5, 7)]

    def test_efficientnet_b0(self):
        model = full("efficientnet_b0")
        projections = [layer for layer in model.layers if layer.name.endswith("project_bn")]
        filters = [16] + [24] * 2 + [40] * 2 + [80] * 3 + [112] * 3 + [192] * 4 + [320]
        sides = [32] + [16] * 2 + [8] * 2 + [4] * 6 + [2] * 5
        assert [shape(layer) for layer in projections] == [
            (s, s, f) for s, f in zip(sides, filters, strict=True)
        ]
        sizes = [layer.kernel_size[0] for layer in layers_of(model, "DepthwiseConv2D")]
        assert sizes == [3] + [3] * 2 + [5] * 2 + [3] * 3 + [5] * 3 + [5] * 4 + [3]
        squeezed = [layer.filters for layer in model.layers if layer.name.endswith("se_squeeze")]
        assert squeezed == [n // 4 for n in [32, *filters[:-1]]]
        assert len(layers_of(model, "Add")) == 9


class TestDropConnect:
    def test_rates(self):
        model = full("efficientnet_b0")
        rates = [layer.rate for layer in layers_of(model, "Dropout")]
        # Blocks with a shortcut, counted from 0, and the dropout before the last layer.
        blocks = [2, 4, 6, 7, 9, 10, 12, 13, 14]
        np.testing.assert_allclose(rates, [0.2 * block / 16 for block in blocks] + [0.2])
        bare = small("efficientnet_b0", dropout_rate=0.0, drop_connect=0.0)
        assert not layers_of(bare, "Dropout")

    def test_whole_samples_fresh_each_time(self):
        layer = full("efficientnet_b0").get_layer("stage6_block4_drop_connect")
        ones = np.ones((400, 2, 2, 3), "float32")
        np.testing.assert_array_equal(to_numpy(layer(ones, training=False)), ones)
        first, second = (to_numpy(layer(ones, training=True)) for _ in range(2))
        samples = first.reshape(400, -1)
        assert (samples == samples[:, :1]).all()
        kept = 1 - 0.2 * 14 / 16
        np.testing.assert_allclose(np.unique(samples), [0, 1 / kept], rtol=1e-5)
        # Four standard deviations of the share.
        assert abs(samples.mean() * kept - kept) < 4 * np.sqrt(kept * (1 - kept) / 400)
        assert (first != second).any()


class TestOptions:
    @pytest.mark.parametrize("name", ["resnet18", "resnext29"])
    def test_parametrisations_start_at_the_same_function(self, name):
        outputs, counts = [], []
        for conv in ("spatial", "spectral", "hermitian"):
            keras.utils.set_random_seed(4)
            model = small(name, conv=conv, width=0.05)
            outputs.append(to_numpy(model(random_images((2, 16, 16, 3)), training=False)))
            counts.append(trainable_parameters(model))
            if conv == "spectral":
                folded = spectral_keras.fold(model)
                assert not layers_of(folded, "SpectralConv2D")
                folded = folded(random_images((2, 16, 16, 3)), training=False)
                np.testing.assert_allclose(to_numpy(folded), outputs[-1], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(outputs[2], outputs[0], rtol=1e-3, atol=1e-5)
        assert counts[0] == counts[2] < counts[1]

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("resnet18", {"pooling": "median"}, "pooling='median'"),
            ("googlenet", {"pooling": "strided"}, "pooling='strided'"),
            ("resnext29", {"conv": "fast"}, "conv='fast'"),
            ("efficientnet_b0", {"conv": "spectral"}, "has no option 'conv'"),
            ("mobilenet_v2", {"conv": "spectral"}, "has no option 'conv'"),
            ("mobilenet_v2", {"dropout_rate": 0.2}, "has no option 'dropout_rate'"),
            ("efficientnet_b0", {"drop_connect": 1.0}, "drop_connect=1.0"),
            ("efficientnet_b0", {"dropout_rate": -0.1}, "dropout_rate=-0.1"),
            ("resnet18", {"width": 0}, "width=0"),
        ],
    )
    def test_bad_options(self, name, options, message):
        with pytest.raises(ValueError, match=message):
            registry.build(name, **options)
