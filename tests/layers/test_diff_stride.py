"""DiffStride: the layers' contract, numpy's FFTs, finite differences, freezing."""

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.layers import DiffStride, SpectralPool
from spectral_keras.regularizers import InverseStride
from tests.layer_checks import check_layer
from tests.oracles import (
    finite_differences,
    float64_or_float32,
    input_gradient,
    numpy_mask,
    numpy_spectral_pool,
    random_images,
    signed_frequency,
    to_numpy,
    weight_gradients,
)

BACKEND = keras.backend.backend()


def _numpy_diff_stride(x, strides, bins, output_size=None, norm="mean"):
    """The spectrum times both ramps, cropped to the odd size where they are not 0."""
    windows, sizes = [], []
    for n, stride in zip(np.shape(x)[1:3], strides, strict=True):
        cutoff = n / (2 * stride)
        k = np.abs(signed_frequency(n))
        windows.append(np.clip((bins + cutoff - k) / bins, 0, 1))
        sizes.append(min(2 * int(max(k[windows[-1] > 0])) + 1, n))
    masked = numpy_mask(x, np.outer(*windows))
    return numpy_spectral_pool(masked, output_size or sizes, norm=norm)


def _layer(strides, channels=3, size=(None, None), **options):
    layer = DiffStride(strides, **options)
    layer.build((None, *size, channels))
    return layer


def test_contract():
    check_layer(
        DiffStride,
        {
            "strides": (2.1, 1.7),
            "output_size": "initial",
            "smoothness": 2.5,
            "regularizer": InverseStride(0.1),
        },
        (2, 10, 9, 3),
        expected_output_shape=(2, 9, 9, 3),
        expected_weights=1,
        dtypes=("mixed_bfloat16", "mixed_float16"),
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("size", "strides", "bins", "output_size"),
    [
        ((16, 13), (2.1, 2.6), 2.5, None),
        ((9, 16), (3.0, 2.0), 1.0, None),  # ends of the ramp on a frequency
        ((16, 13), (2.1, 2.6), 2.5, (8, 6)),
        ((6, 7), (1.6, 1.5), 2.0, (6, 7)),
    ],
)
def test_equals_numpys_ffts(size, strides, bins, output_size, data_format):
    dtype = float64_or_float32()
    first = data_format == "channels_first"
    x = random_images((2, *size, 5), dtype=dtype)
    order = (0, 3, 1, 2) if first else (0, 1, 2, 3)
    for norm in ("mean", "ortho"):
        options = {"output_size": output_size, "norm": norm, "dtype": dtype}
        layer = DiffStride(strides, smoothness=bins, data_format=data_format, **options)
        y = to_numpy(layer(ops.convert_to_tensor(x.transpose(order), dtype=dtype)))
        expected = _numpy_diff_stride(x, strides, bins, output_size, norm).transpose(order)
        tolerance = 1e-12 if dtype == "float64" else 5e-6
        np.testing.assert_allclose(y, expected, atol=tolerance)


@pytest.mark.parametrize("output_size", [(7, 6)] if BACKEND == "jax" else [None, (7, 6)])
@pytest.mark.parametrize("shared", [False, True])
def test_gradients_by_finite_differences(output_size, shared):
    dtype = float64_or_float32()
    eps, tolerance = (1e-5, 1e-7) if dtype == "float64" else (2e-2, 2e-2)
    x = random_images((1, 9, 8, 5), dtype=dtype) - 0.5
    g = ops.convert_to_tensor(random_images((1, 9, 8, 5), seed=1, dtype=dtype), dtype=dtype)
    strides = (1.93, 1.93) if shared else (1.93, 1.71)
    options = {"output_size": output_size, "smoothness": 2.3, "shared": shared, "dtype": dtype}
    layer = _layer(strides, 5, **options)

    def scalar(z):
        y = layer(ops.convert_to_tensor(z, dtype=dtype))
        # Linear in the ramps' values: their differences are nearly exact.
        return ops.sum(y * g[:, : y.shape[1], : y.shape[2]])

    by_strides = weight_gradients(lambda: scalar(x), [layer.strides])[0]
    assert (np.abs(by_strides) > 1e-3).all()

    def of_strides(s):
        layer.set_weights([to_numpy(s)])
        return to_numpy(scalar(x))

    start = to_numpy(layer.strides)
    expected = finite_differences(of_strides, start, eps)
    layer.set_weights([start])
    np.testing.assert_allclose(by_strides, expected, rtol=tolerance, atol=tolerance)
    gradient = input_gradient(scalar, x)
    # Linear in x: the gradient is the adjoint.
    np.testing.assert_allclose((x * gradient).sum(), to_numpy(scalar(x)), rtol=1e-4)


class TestSizeThatFollowsTheStrides:
    @pytest.mark.parametrize(
        ("stride", "n", "bins", "size"),
        [
            (2, 32, 4, 23),
            (2, 31, 4, 23),
            (1, 32, 4, 32),
            (40, 32, 4, 9),
            (2, 4, 4, 4),
            (8, 9, 1, 3),
        ],
    )
    def test_sizes(self, stride, n, bins, size):
        y = DiffStride(stride, smoothness=bins)(np.ones((1, n, 8, 1), "float32"))
        assert y.shape[1] == size
        np.testing.assert_allclose(to_numpy(y), 1, atol=1e-5)

    @pytest.mark.parametrize("stride", [1.0, 30.0])
    def test_a_stride_beyond_its_limits_still_learns(self, stride):
        layer = _layer(stride)
        x = random_images((1, 32, 32, 3))
        gradient = weight_gradients(lambda: ops.sum(ops.square(layer(x))), [layer.strides])[0]
        assert (np.abs(gradient) > 1e-3).all()

    @pytest.mark.skipif(BACKEND == "jax", reason="JAX compiles for one size")
    def test_two_in_a_network_learn(self):
        """Without known sizes in between; smaller maps are what the penalty is for."""
        inputs = keras.Input((None, None, 3))
        layers = [DiffStride(1.5, regularizer=InverseStride(1.0)) for _ in range(2)]
        x = keras.layers.Conv2D(2, 3, padding="same")(layers[0](inputs))
        x = keras.layers.GlobalAveragePooling2D()(layers[1](x))
        model = keras.Model(inputs, x)
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(random_images((4, 18, 20, 3)), np.zeros((4, 2)), batch_size=2, verbose=0)
        for layer in layers:
            assert (to_numpy(layer.strides) > 1.51).all()

    @pytest.mark.skipif(BACKEND != "jax", reason="elsewhere it runs")
    def test_a_compiled_function_of_jax_is_an_error(self):
        import jax

        layer = _layer(2.0)
        with pytest.raises(ValueError, match="give `output_size`"):
            jax.jit(lambda x: layer(x))(random_images((1, 32, 32, 3)))

    @pytest.mark.skipif(BACKEND != "tensorflow", reason="elsewhere sizes are numbers")
    def test_a_graph_gives_the_same(self):
        import tensorflow as tf

        x = random_images((2, 16, 13, 3))
        layer = _layer((2.1, 2.6))

        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(x) ** 3)
            return loss, tape.gradient(loss, layer.strides.value)

        signature = [tf.TensorSpec((None, None, None, 3))]
        for ours, theirs in zip(step(x), tf.function(step, signature)(x), strict=True):
            np.testing.assert_allclose(to_numpy(theirs), to_numpy(ours), rtol=1e-4)


class TestFreeze:
    @pytest.mark.parametrize("output_size", [None, "initial", (8, 6)])
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_a_pooling_of_the_learned_size(self, output_size, data_format):
        x = random_images((2, 16, 19, 3))
        x = x if data_format == "channels_last" else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        layer = DiffStride(2.0, output_size=output_size, norm="ortho", data_format=data_format)
        layer.build(x.shape)
        layer.strides.assign([2.7, 3.1])
        frozen = SpectralPool.from_config(layer.freeze().get_config())
        y, expected = to_numpy(frozen(x)), to_numpy(layer(x))
        last = [
            t if data_format == "channels_last" else np.moveaxis(t, 1, -1) for t in (y, expected)
        ]
        sizes = (8, 6) if output_size == (8, 6) else (13, 15)
        assert last[0].shape[1:3] == sizes
        if last[0].shape != last[1].shape:
            # The same map, sampled less finely.
            last[1] = numpy_spectral_pool(last[1], sizes, norm="ortho")
        np.testing.assert_allclose(*last, atol=1e-5)

    def test_the_size_is_needed(self):
        layer = DiffStride(2.0)
        with pytest.raises(ValueError, match="`freeze` needs a layer that was built"):
            layer.freeze((32, 30))
        layer.build((None, None, None, 3))
        with pytest.raises(ValueError, match="input_size=None"):
            layer.freeze()
        assert _layer(2.0).freeze((32, 30)).output_size == (23, 23)
        assert layer.freeze(32).output_size == (23, 23)
        layer = DiffStride(2.0, output_size="initial")
        layer.build((None, None, None, 3))
        assert layer.freeze((32, 30)).output_size == (23, 23)
        with pytest.raises(ValueError, match="`input_size` must be"):
            layer.freeze("32")


def test_the_penalty_is_the_weights():
    """It counts once, however often the layer is called."""
    layer = _layer((2.0, 4.0), regularizer=InverseStride(0.5))
    for _ in range(2):
        layer(random_images((1, 16, 16, 3)))
    assert len(layer.losses) == 1
    np.testing.assert_allclose(to_numpy(layer.losses[0]), 0.5 / 8)
    gradient = weight_gradients(lambda: layer.losses[0], [layer.strides])[0]
    np.testing.assert_allclose(gradient, [-0.5 / 16, -0.5 / 32], rtol=1e-6)
    shared = _layer(2.0, shared=True, regularizer=InverseStride(0.5))
    np.testing.assert_allclose(to_numpy(shared.losses[0]), 0.5 / 4)
    np.testing.assert_array_equal(to_numpy(layer.strides.constraint(np.float32([0.5, 3]))), [1, 3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strides": 0.5}, "strides=0.5"),
        ({"strides": (2.0, 2.0, 2.0)}, r"strides=\(2.0, 2.0, 2.0\)"),
        ({"strides": (2.0, 3.0), "shared": True}, r"strides=\(2.0, 3.0\)"),
        ({"output_size": "same"}, "output_size='same'"),
        ({"smoothness": 0}, "smoothness=0"),
        ({"norm": "sum"}, "norm='sum'"),
    ],
)
def test_errors_show_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        DiffStride(**arguments)


def test_an_output_larger_than_the_input_is_an_error():
    with pytest.raises(ValueError, match=r"at most .* \(8, 8\). Received: output_size=9"):
        DiffStride(output_size=9)(random_images((1, 8, 8, 1)))
