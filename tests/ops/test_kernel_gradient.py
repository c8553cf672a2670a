"""TensorFlow's own gradient of a convolution is the oracle."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's kernels are meant", allow_module_level=True)

import tensorflow as tf
from keras import ops

from spectral_keras.ops.convolution import direct_conv2d
from spectral_keras.ops.kernel_gradient import conv2d_with_kernel_products, is_faster_by_products

KERNELS = [(3, 3), (2, 5), (1, 1), (4, 3), (3, 1)]


def _cases():
    for size in [(4, 5), (1, 1), (2, 3), (9, 7)]:
        for kernel in KERNELS:
            yield size, kernel, "same"
            if size[0] >= kernel[0] and size[1] >= kernel[1]:
                yield size, kernel, "valid"


def _gradients(convolution, x, kernel):
    """Gradients of <convolution, fixed numbers>, and of the norm of these gradients."""
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch([x, kernel])
            y = convolution(x, kernel)
            probe = np.random.default_rng(2).normal(size=y.shape)
            value = tf.reduce_sum(tf.sin(y) * probe)
        first = inner.gradient(value, [x, kernel])
        norm = sum(tf.reduce_sum(gradient**2) for gradient in first)
    return [y, *first, *outer.gradient(norm, [x, kernel])]


@pytest.mark.parametrize(("size", "window", "padding"), list(_cases()))
def test_gradients(size, window, padding):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(3, *size, 4)))
    kernel = tf.constant(rng.normal(size=(*window, 4, 6)))
    expected = _gradients(lambda x, k: ops.conv(x, k, padding=padding), x, kernel)
    actual = _gradients(lambda x, k: conv2d_with_kernel_products(x, k, padding), x, kernel)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-10 * np.abs(e).max())


def _training_graph(size=8, channels=128, kernel=3, dtype="bfloat16", batch=None, **options):
    """A compiled gradient of `direct_conv2d` by its kernel."""
    arguments = {"strides": (1, 1), "padding": "same", "dilation_rate": (1, 1)} | options
    first = arguments.setdefault("data_format", "channels_last") == "channels_first"
    shape = (batch, channels, size, size) if first else (batch, size, size, channels)

    @tf.function(autograph=False)
    def gradient(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            value = tf.reduce_sum(tf.sin(direct_conv2d(x, kernel, **arguments)))
        return tape.gradient(value, kernel)

    specs = tf.TensorSpec(shape, dtype), tf.TensorSpec((kernel, kernel, channels, 128), dtype)
    return gradient, {
        op.type for op in gradient.get_concrete_function(*specs).graph.get_operations()
    }


@pytest.mark.parametrize(
    "options",
    [{}, {"size": 9}, {"size": 11, "padding": "valid"}, {"kernel": 1}, {"batch": 7},
     {"data_format": "channels_first"}],
)  # fmt: skip
def test_small_maps_in_bfloat16_take_the_products(options):
    _, operations = _training_graph(**options)
    assert "Conv2DBackpropFilter" not in operations


@pytest.mark.parametrize(
    "options",
    [{"size": 10}, {"channels": 127}, {"strides": (2, 2)}, {"dilation_rate": (2, 2)},
     {"dtype": "float32"}],
)  # fmt: skip
def test_all_else_is_tensorflows_own(options):
    _, operations = _training_graph(**options)
    assert "Conv2DBackpropFilter" in operations


def test_precision():
    """As near to float64 as bfloat16 outputs allow: 8 bits."""
    rng = np.random.default_rng(1)
    x, kernel = rng.normal(size=(5, 4, 4, 128)), rng.normal(size=(3, 3, 128, 128)) / 34
    x, kernel = (tf.cast(tf.cast(values, "bfloat16"), "float64") for values in (x, kernel))
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        value = tf.reduce_sum(tf.sin(tf.nn.conv2d(x, kernel, 1, "SAME")))
    expected = tape.gradient(value, kernel).numpy()
    gradient, _ = _training_graph(4)
    actual = gradient(tf.cast(x, "bfloat16"), tf.cast(kernel, "bfloat16"))
    assert (
        np.abs(actual.numpy().astype("float64") - expected).max() < 2**-6 * np.abs(expected).max()
    )


def test_no_images():
    gradient, _ = _training_graph()
    empty = tf.zeros((0, 8, 8, 128), "bfloat16")
    assert not gradient(empty, tf.ones((3, 3, 128, 128), "bfloat16")).numpy().any()


def test_eager_calls_are_tensorflows_own():
    x, kernel = tf.zeros((1, 8, 8, 128), "bfloat16"), tf.zeros((3, 3, 128, 128), "bfloat16")
    assert not is_faster_by_products(x, kernel, (1, 1), "same")
