import keras
import numpy as np
import pytest

from spectral_keras.layers.spectral_conv2d import SpectralConv2D
from tests.layer_checks import check_layer
from tests.oracles import finite_differences, input_gradient, random_images, to_numpy

CONV_ARGUMENTS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 5), "padding": "same"},
    {"kernel_size": 4, "strides": 2, "padding": "same"},
    {"kernel_size": 3, "dilation_rate": 2},
    {"kernel_size": (3, 1), "groups": 2, "use_bias": False},
    {"kernel_size": 1, "activation": "tanh"},
    {"kernel_size": 5, "padding": "same", "bias_initializer": "ones"},
]


def twins(arguments, parametrization="full", **more):
    """A Conv2D and a SpectralConv2D with the same initial kernel."""
    arguments = {"filters": 4, **arguments, **more}
    layers = []
    for cls in (keras.layers.Conv2D, SpectralConv2D):
        initializer = keras.initializers.GlorotUniform(seed=5)
        extra = {"parametrization": parametrization} if cls is SpectralConv2D else {}
        layers.append(cls(kernel_initializer=initializer, **arguments, **extra))
    return layers


class TestContract:
    @pytest.mark.parametrize(
        ("parametrization", "dtypes"),
        [
            ("full", ("float32", "float64", "mixed_bfloat16", "mixed_float16")),
            ("hermitian", ("float64", "mixed_bfloat16")),
        ],
    )
    def test_layer(self, parametrization, dtypes):
        check_layer(
            SpectralConv2D,
            {
                "filters": 6,
                "kernel_size": (3, 4),
                "strides": (2, 1),
                "padding": "same",
                "groups": 2,
                "activation": "tanh",
                "kernel_initializer": "he_uniform",
                "bias_initializer": "ones",
                "kernel_regularizer": keras.regularizers.L2(1e-3),
                "bias_regularizer": "l1",
                "activity_regularizer": "l2",
                "bias_constraint": "non_neg",
                "parametrization": parametrization,
            },
            (2, 9, 8, 4),
            expected_output_shape=(2, 5, 8, 6),
            expected_weights=3,
            dtypes=dtypes,
        )

    def test_weight_shapes(self):
        layer = SpectralConv2D(6, 3, groups=2)
        layer.build((None, 8, 8, 4))
        assert tuple(layer.kernel_real.shape) == tuple(layer.kernel_imag.shape) == (3, 3, 2, 6)
        layer = SpectralConv2D(6, 3, parametrization="hermitian")
        layer.build((None, 8, 8, 4))
        assert tuple(layer.kernel_real.shape) == (5, 4, 6)
        assert tuple(layer.kernel_imag.shape) == (4, 4, 6)
        layer = SpectralConv2D(6, 2, parametrization="hermitian")
        layer.build((None, 8, 8, 4))
        assert layer.kernel_imag is None

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"parametrization": "half"}, "parametrization='half'"),
            ({"lora_rank": 2}, "lora_rank=2"),
            ({"filters": 0}, "filters=0"),
            ({"groups": 4}, "groups=4"),
            ({"padding": "causal"}, "padding"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            SpectralConv2D(**{"filters": 6, "kernel_size": 3, **arguments})

    def test_bad_inputs(self):
        with pytest.raises(ValueError, match="groups=2"):
            SpectralConv2D(4, 3, groups=2).build((None, 8, 8, 3))
        with pytest.raises(ValueError, match="number of channels"):
            SpectralConv2D(4, 3).build((None, 8, 8, None))
        with pytest.raises(ValueError):
            SpectralConv2D(4, 9).build((None, 8, 8, 3))
        with pytest.raises(AttributeError):
            SpectralConv2D(4, 3).spatial_kernel()


class TestCorrectness:
    @pytest.mark.parametrize("parametrization", ["full", "hermitian", "orthogonal"])
    @pytest.mark.parametrize("arguments", CONV_ARGUMENTS)
    def test_equals_conv2d_from_the_same_start(self, arguments, parametrization):
        plain, spectral = twins(arguments, parametrization)
        x = random_images((2, 9, 8, 4))
        expected, actual = plain(x), spectral(x)
        np.testing.assert_allclose(to_numpy(actual), to_numpy(expected), atol=2e-6)
        np.testing.assert_allclose(
            to_numpy(spectral.spatial_kernel()), to_numpy(plain.kernel), atol=1e-6
        )
        probe = random_images(tuple(expected.shape), seed=1)
        gradients = [
            to_numpy(
                input_gradient(
                    lambda z, layer=layer: keras.ops.sum(keras.ops.multiply(layer(z), probe)), x
                )
            )
            for layer in (plain, spectral)
        ]
        np.testing.assert_allclose(gradients[1], gradients[0], atol=2e-5)

    def test_channels_first(self):
        plain, spectral = twins({"kernel_size": 3})
        _, first = twins({"kernel_size": 3, "data_format": "channels_first"})
        x = random_images((2, 9, 8, 4))
        expected = np.moveaxis(to_numpy(plain(x)), -1, 1)
        x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
        np.testing.assert_allclose(to_numpy(first(x)), expected, atol=2e-6)
        assert first.compute_output_shape((2, 4, 9, 8)) == (2, 4, 7, 6)

    @pytest.mark.parametrize("seed", [7, "generator", None])
    def test_same_seed_gives_the_same_start(self, seed):
        kernels = []
        for cls in (keras.layers.Conv2D, SpectralConv2D):
            keras.utils.set_random_seed(3)
            value = keras.random.SeedGenerator(7) if seed == "generator" else seed
            layer = cls(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=value))
            layer.build((None, 8, 8, 3))
            kernels.append(to_numpy(layer.kernel))
        np.testing.assert_allclose(kernels[1], kernels[0], atol=1e-6)

    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    def test_sgd_is_the_same_training_as_in_space(self, momentum):
        # With the unitary DFT and the full table every SGD step is the same.
        x, y = random_images((16, 8, 8, 3)), random_images((16, 6, 6, 4), seed=1)
        kernels = []
        for layer in twins({"kernel_size": 3}):
            model = keras.Sequential([keras.Input((8, 8, 3)), layer])
            model.compile(keras.optimizers.SGD(0.5, momentum=momentum), "mse")
            model.fit(x, y, epochs=10, batch_size=8, shuffle=False, verbose=0)
            kernels.append(to_numpy(layer.kernel))
        start = to_numpy(keras.initializers.GlorotUniform(seed=5)((3, 3, 3, 4)))
        assert np.abs(kernels[0] - start).max() > 0.05
        np.testing.assert_allclose(kernels[1], kernels[0], atol=1e-5)

    def test_adam_is_another_training(self):
        x, y = random_images((8, 8, 8, 3)), random_images((8, 6, 6, 4), seed=1)
        kernels = []
        for layer in twins({"kernel_size": 3}):
            model = keras.Sequential([keras.Input((8, 8, 3)), layer])
            model.compile(keras.optimizers.Adam(0.01), "mse")
            model.fit(x, y, verbose=0)
            kernels.append(to_numpy(layer.kernel))
        start = to_numpy(keras.initializers.GlorotUniform(seed=5)((3, 3, 3, 4)))
        # Adam's first step is +-learning rate for each number that it is given (less where the
        # gradient is not large against epsilon).
        assert np.mean(np.abs(np.abs(kernels[0] - start) - 0.01) < 1e-4) > 0.8
        assert np.mean(np.abs(np.abs(kernels[1] - start) - 0.01) < 1e-4) < 0.2

    @pytest.mark.parametrize("part", ["kernel_real", "kernel_imag"])
    def test_parameter_gradients(self, part):
        # d/dA of Re F^-1(A + iB) is Re F(g) / 1, and Im F(g) for B (unitary DFT).
        layer = SpectralConv2D(2, 3)
        layer.build((None, 6, 6, 1))
        x = random_images((2, 6, 6, 1))
        probe = random_images((2, 4, 4, 2), seed=1)
        kernel = to_numpy(layer.kernel).astype("float32")

        def through_kernel(w):
            return keras.ops.sum(keras.ops.multiply(keras.ops.conv(x, w, padding="valid"), probe))

        g = to_numpy(input_gradient(through_kernel, kernel))
        spectrum = np.fft.fft2(g, axes=(0, 1), norm="ortho")
        expected = {"kernel_real": spectrum.real, "kernel_imag": spectrum.imag}[part]
        variable = getattr(layer, part)
        value = to_numpy(variable).astype("float32")

        def through_layer(weights):
            variable.assign(weights)
            return float(to_numpy(keras.ops.sum(keras.ops.multiply(layer(x), probe))))

        actual = finite_differences(through_layer, value, eps=1e-2)
        np.testing.assert_allclose(actual, expected, atol=5e-3)

    def test_redundant_half_of_the_full_table_stays(self):
        plain, layer = twins({"kernel_size": 3})
        model = keras.Sequential([keras.Input((8, 8, 3)), layer])
        real = to_numpy(layer.kernel_real)
        # Something that is not Hermitian: it must neither reach the kernel nor be moved.
        u, v = np.meshgrid(np.arange(3), np.arange(3), indexing="ij")
        odd = np.zeros_like(real)
        odd[1, 2], odd[-1, -2] = 1.0, -1.0
        kernel = to_numpy(layer.kernel)
        layer.kernel_real.assign(real + odd)
        np.testing.assert_allclose(to_numpy(layer.kernel), kernel, atol=1e-6)
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(random_images((4, 8, 8, 3)), random_images((4, 6, 6, 4)), verbose=0)
        after = to_numpy(layer.kernel_real)
        antisymmetric = (after - after[-u % 3, -v % 3]) / 2
        np.testing.assert_allclose(antisymmetric, odd, atol=1e-5)
        assert np.abs(after - real - odd).max() > 1e-3


class TestRegularizer:
    """`kernel_regularizer` is a property of the weights, as Conv2D's is."""

    @staticmethod
    def models(parametrization, place):
        """The same model with Conv2D and with SpectralConv2D, one layer in some place."""
        for layer in twins({"kernel_size": 3, "padding": "same", "filters": 3}, parametrization):
            layer.kernel_regularizer = keras.regularizers.L2(0.5)
            inputs = keras.Input((8, 8, 3))
            if place == "shared":
                outputs = layer(layer(inputs))
            elif place == "nested":
                inner = keras.Sequential([keras.Input((8, 8, 3)), layer])
                outputs = keras.Sequential([inner])(inner(inputs))
            elif place == "wrapped":
                inputs = keras.Input((2, 8, 8, 3))
                outputs = keras.layers.TimeDistributed(layer)(inputs)
            else:
                layer.trainable = place != "frozen"
                outputs = layer(inputs)
            # Frozen or not, there is something to train.
            outputs = keras.layers.Dense(1, kernel_initializer="ones")(outputs)
            yield layer, keras.Model(inputs, outputs)

    @pytest.mark.parametrize("parametrization", ["full", "hermitian"])
    @pytest.mark.parametrize("place", ["alone", "shared", "nested", "wrapped", "frozen"])
    def test_the_losses_are_those_of_conv2d(self, parametrization, place):
        losses, histories = [], []
        for layer, model in self.models(parametrization, place):
            # Before any call on numbers, and however often the model is called.
            before = [float(to_numpy(loss)) for loss in model.losses]
            x = random_images((4, *model.input_shape[1:]))
            for _ in range(2):
                model(x)
            assert [float(to_numpy(loss)) for loss in model.losses] == before
            losses.append(before)
            assert len(layer.losses) == len(before)
            # One place in a compiled step: where the layer lies is seen without compiling.
            model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=place != "alone")
            history = model.fit(x, np.zeros((*x.shape[:-1], 1)), verbose=0).history["loss"]
            histories.append(
                (history[0], model.evaluate(x, np.zeros((*x.shape[:-1], 1)), verbose=0))
            )
        assert len(losses[0]) == (0 if place == "frozen" else 1)
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
        np.testing.assert_allclose(histories[1], histories[0], rtol=1e-5)

    def test_one_step(self):
        # L2(0.5) of a 3x3 kernel of ones: 4.5, its gradient 1.
        layer = SpectralConv2D(
            1, 3, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.5)
        )
        layer.build((None, 8, 8, 1))
        assert float(to_numpy(sum(layer.losses))) == pytest.approx(4.5)
        inputs = keras.Input((8, 8, 1))
        padded = keras.layers.ZeroPadding2D(1)
        model = keras.Model(inputs, layer(padded(layer(inputs))))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(np.zeros((2, 8, 8, 1)), np.zeros((2, 6, 6, 1)), verbose=0)
        np.testing.assert_allclose(to_numpy(layer.spatial_kernel()), 0.9, rtol=1e-5)

    def test_l1(self):
        plain, spectral = twins({"kernel_size": 3}, kernel_regularizer="l1")
        for layer in (plain, spectral):
            layer.build((None, 8, 8, 3))
        expected = 0.01 * np.abs(to_numpy(plain.kernel)).sum()
        np.testing.assert_allclose(to_numpy(sum(spectral.losses)), expected, rtol=1e-5)

    @pytest.mark.skipif(
        keras.backend.backend() == "tensorflow", reason="Keras' own layers fail there as well"
    )
    def test_rematerialised(self):
        x, y = random_images((4, 8, 8, 3)), random_images((4, 6, 6, 4), seed=1)
        losses = []
        for remat in (False, True):
            with keras.RematScope(mode="full" if remat else None):
                _, layer = twins({"kernel_size": 3}, kernel_regularizer="l2")
                model = keras.Sequential([keras.Input((8, 8, 3)), layer])
                model.compile("sgd", "mse")
                losses.append(model.fit(x, y, epochs=2, verbose=0).history["loss"])
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


class TestConstraint:
    """`kernel_constraint` projects the spatial kernel after each step, as Conv2D's does."""

    @pytest.mark.parametrize(
        "constraint", ["non_neg", keras.constraints.MaxNorm(0.5, axis=[0, 1, 2])]
    )
    def test_training_is_that_of_conv2d(self, constraint):
        x, y = random_images((8, 8, 8, 3)), random_images((8, 6, 6, 4), seed=1)
        kernels = []
        for layer in twins({"kernel_size": 3}, kernel_constraint=constraint):
            model = keras.Sequential([keras.Input((8, 8, 3)), layer])
            model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "mse")
            model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
            kernels.append(to_numpy(layer.kernel))
        np.testing.assert_allclose(kernels[1], kernels[0], atol=2e-6)
        constraint = keras.constraints.get(constraint)
        np.testing.assert_allclose(kernels[1], to_numpy(constraint(kernels[1])), atol=1e-6)

    @pytest.mark.parametrize("parametrization", ["full", "hermitian"])
    def test_it_holds_after_a_step(self, parametrization):
        constraint = keras.constraints.MaxNorm(0.5, axis=[0, 1, 2])
        layer = SpectralConv2D(
            4, (3, 4), kernel_constraint=constraint, parametrization=parametrization
        )
        model = keras.Sequential([keras.Input((8, 8, 3)), layer])
        model.compile(keras.optimizers.Adam(0.1), "mse")
        model.fit(random_images((2, 8, 8, 3)), np.ones((2, 6, 5, 4)), verbose=0)
        norms = np.sqrt((to_numpy(layer.spatial_kernel()) ** 2).sum((0, 1, 2)))
        np.testing.assert_allclose(norms, 0.5, rtol=1e-5)


@pytest.mark.parametrize("parametrization", ["full", "hermitian"])
def test_an_initializer_is_asked_once(parametrization):
    """Its next sample may be another: pretrained kernels from an iterator, a random one."""
    kernels = iter(np.random.default_rng(0).normal(size=(2, 3, 4, 8, 2)).astype("float32"))
    expected = np.random.default_rng(0).normal(size=(2, 3, 4, 8, 2)).astype("float32")
    layer = SpectralConv2D(
        2,
        (3, 4),
        parametrization=parametrization,
        kernel_initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(next(kernels)),
    )
    layer.build((None, 8, 8, 8))
    np.testing.assert_allclose(to_numpy(layer.spatial_kernel()), expected[0], atol=1e-5)
    np.testing.assert_array_equal(next(kernels), expected[1])
