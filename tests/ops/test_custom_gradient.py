"""Closed-form gradients are TensorFlow's own, and no graph stays in memory for them."""

import gc

import keras
import numpy as np
import pytest

from spectral_keras.ops.convolution import fft_conv2d
from spectral_keras.ops.custom_gradient import custom_gradient
from spectral_keras.ops.fft import irfft2_last, rfft2_last
from spectral_keras.ops.masking import apply_mask
from spectral_keras.ops.separable import apply_separable

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="about TensorFlow's graphs"
)

X = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")


def times(x, factor):
    """x * factor by a custom gradient that needs both."""

    def function(x, factor):
        def gradient(upstream, x, factor):
            return upstream * factor, upstream * x

        return x * factor, (x, factor), gradient

    return custom_gradient(function, x, factor)


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_first_and_second_derivatives(jit_compile):
    import tensorflow as tf

    def both(x, factor):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch([x, factor])
                value = tf.reduce_sum(times(times(x, factor), x))  # x^2 factor
            first = tape.gradient(value, [x, factor])
        return *first, outer.gradient(first[0], x)

    run = both if jit_compile is None else tf.function(both, jit_compile=jit_compile)
    factor = np.abs(X) + 1
    found = run(tf.constant(X), tf.constant(factor))
    for got, expected in zip(found, (2 * X * factor, X**2, 2 * factor), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_gradients_of_a_graph():
    import tensorflow as tf

    @tf.function
    def gradient(x):
        return tf.gradients(tf.reduce_sum(times(x, x + 1.0)), [x])[0]

    np.testing.assert_allclose(gradient(tf.constant(X)), 2 * X + 1, rtol=1e-5, atol=1e-6)


MASK = np.random.default_rng(1).random((6, 6)).astype("float32")
KERNEL = np.random.default_rng(2).normal(size=(3, 3, 3, 2)).astype("float32")
FUNCTIONS = {
    "times": lambda x: times(x, x + 1.0),
    "fft": lambda x: irfft2_last(rfft2_last(x), 3),
    "matrices": lambda x: apply_separable(x, MASK, MASK, "channels_last"),
    "matrices of each image": lambda x: apply_separable(
        x, keras.ops.stack([MASK, MASK]) * x[:, :, :, 0], None, "channels_last"
    ),
    "mask": lambda x: apply_mask(x, MASK, implementation="fft", data_format="channels_last"),
    "convolution": lambda x: fft_conv2d(
        x, KERNEL, implementation="fft", data_format="channels_last"
    ),
}


@pytest.fixture
def only_new_objects():
    """The collector looks at what the test makes, not at all that the tests before it have left."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_graph_stays_in_memory(name, only_new_objects):
    import tensorflow as tf

    function = FUNCTIONS[name]

    def trace():
        @tf.function
        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = tf.reduce_sum(function(x) ** 2)
            return tape.gradient(value, x)

        assert np.isfinite(gradient(tf.constant(X))).all()

    def graphs():
        for _ in range(3):  # the first pass only runs the finalizers of TensorFlow's functions
            gc.collect()
        return sum(isinstance(item, tf.Graph) for item in gc.get_objects())

    trace()
    before = graphs()
    for _ in range(3):
        trace()
    assert graphs() == before
