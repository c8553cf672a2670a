"""TensorFlow's own gradient of a convolution is the oracle."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's kernels are meant", allow_module_level=True)

import tensorflow as tf
from keras import ops

from spectral_keras.ops import convolution, minimal_filtering
from spectral_keras.ops.convolution import direct_conv2d
from spectral_keras.ops.minimal_filtering import (
    conv2d_by_minimal_filtering,
    is_faster_by_minimal_filtering,
)

KERNELS = [(3, 3), (2, 5), (1, 1), (4, 3), (3, 1), (5, 5)]


def _cases():
    for size in [(4, 5), (1, 1), (2, 3), (9, 7), (8, 12)]:
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


@pytest.fixture(autouse=True)
def _processor_with_fast_bfloat16_but_no_amx(monkeypatch):
    monkeypatch.setattr(minimal_filtering, "processor_has", lambda *_: False)
    monkeypatch.setattr(convolution, "multiplies_bfloat16", lambda: True)


@pytest.fixture
def _few_images_are_enough(monkeypatch):
    monkeypatch.setattr(minimal_filtering, "_TILES", 1)


@pytest.mark.usefixtures("_few_images_are_enough")
@pytest.mark.parametrize(("size", "window", "padding"), list(_cases()))
def test_gradients(size, window, padding):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(3, *size, 4)))
    kernel = tf.constant(rng.normal(size=(*window, 4, 6)))
    expected = _gradients(lambda x, k: ops.conv(x, k, padding=padding), x, kernel)
    actual = _gradients(lambda x, k: conv2d_by_minimal_filtering(x, k, padding), x, kernel)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-10 * np.abs(e).max())


def _training_graph(size=8, channels=256, kernel=3, dtype="float32", batch=None, **options):
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

    specs = tf.TensorSpec(shape, dtype), tf.TensorSpec((kernel, kernel, channels, 256), dtype)
    return gradient, {
        op.type for op in gradient.get_concrete_function(*specs).graph.get_operations()
    }


@pytest.mark.parametrize(
    "options",
    [{}, {"size": 9}, {"size": 11, "padding": "valid"}, {"kernel": 5}, {"batch": 7},
     {"channels": 64}, {"size": 32}, {"data_format": "channels_first"},
     {"dtype": "bfloat16"}, {"dtype": "bfloat16", "size": 16}],
)  # fmt: skip
def test_many_channels_take_fewer_multiplications(options):
    _, operations = _training_graph(**options)
    assert "Conv2DBackpropFilter" not in operations
    assert {"Conv2D", "StatelessIf"} <= operations


@pytest.mark.parametrize(
    "options",
    [{"channels": 32}, {"size": 160, "channels": 128}, {"kernel": 1}, {"kernel": 7},
     {"strides": (2, 2)}, {"dilation_rate": (2, 2)}, {"dtype": "bfloat16", "channels": 64}],
)  # fmt: skip
def test_all_else_is_tensorflows_own(options):
    _, operations = _training_graph(**options)
    assert "Conv2DBackpropFilter" in operations


@pytest.mark.usefixtures("_few_images_are_enough")
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 2e-6), ("bfloat16", 2**-8)])
@pytest.mark.parametrize(("size", "kernel"), [(4, 3), (7, 3), (8, 5), (5, 2)])
def test_precision(dtype, bound, size, kernel):
    """Root mean square errors against float64; bfloat16 loses no more than the last rounding."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, size, size, 256))
    weights = rng.normal(size=(kernel, kernel, 256, 256)) / (kernel * 16)
    x, weights = (tf.cast(tf.cast(values, dtype), "float64") for values in (x, weights))
    with tf.GradientTape() as tape:
        tape.watch([x, weights])
        y = tf.nn.conv2d(x, weights, 1, "SAME")
        upstream = tf.cast(tf.cast(tf.sin(y), dtype), "float64")
        value = tf.reduce_sum(y * tf.stop_gradient(upstream))
    expected = tape.gradient(value, [x, weights])

    @tf.function(autograph=False)
    def gradients(*tensors):
        x, weights, upstream = (tf.cast(values, dtype) for values in tensors)
        with tf.GradientTape() as tape:
            tape.watch([x, weights])
            value = tf.reduce_sum(conv2d_by_minimal_filtering(x, weights, "same") * upstream)
        return tape.gradient(value, [x, weights])

    for a, e in zip(gradients(x, weights, upstream), expected, strict=True):
        error = tf.cast(a, "float64") - e
        assert float(tf.reduce_mean(error**2)) < bound**2 * float(tf.reduce_mean(e**2))


@pytest.mark.parametrize(
    ("dtype", "images", "by_images", "by_kernel"),
    [("float32", 15, True, True), ("float32", 16, False, False),
     ("bfloat16", 15, True, True), ("bfloat16", 16, True, False)],
)  # fmt: skip
def test_small_batches_and_bfloat16_images_are_tensorflows_own(dtype, images, by_images, by_kernel):
    """Bit for bit; 4 tiles an image, of a batch whose size the graph does not know."""
    rng = np.random.default_rng(3)
    x, upstream = (tf.constant(rng.normal(size=(images, 8, 8, 256)), dtype) for _ in range(2))
    kernel = tf.constant(rng.normal(size=(3, 3, 256, 256)), dtype)

    def gradients(convolution):
        maps = tf.TensorSpec((None, 8, 8, 256), dtype)
        weights = tf.TensorSpec(kernel.shape, dtype)

        @tf.function(autograph=False, input_signature=[maps, weights, maps])
        def both(x, kernel, upstream):
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = convolution(x, kernel)
            return tape.gradient(y, [x, kernel], upstream)

        return [g.numpy() for g in both(x, kernel, upstream)]

    own = gradients(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"))
    actual = gradients(lambda x, kernel: conv2d_by_minimal_filtering(x, kernel, "same"))
    equal = [bool((a == e).all()) for a, e in zip(actual, own, strict=True)]
    assert equal == [by_images, by_kernel]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_images(dtype):
    gradient, _ = _training_graph(dtype=dtype)
    empty = tf.zeros((0, 8, 8, 256), dtype)
    assert not gradient(empty, tf.ones((3, 3, 256, 256), dtype)).numpy().any()


@pytest.mark.parametrize(("dtype", "own"), [("float32", False), ("bfloat16", True)])
def test_units_for_products_of_bfloat16(monkeypatch, dtype, own):
    monkeypatch.setattr(minimal_filtering, "processor_has", lambda name: name == "amx_bf16")
    _, operations = _training_graph(dtype=dtype)
    assert ("Conv2DBackpropFilter" in operations) == own


def test_eager_calls_are_tensorflows_own():
    x, kernel = tf.zeros((1, 8, 8, 256)), tf.zeros((3, 3, 256, 256))
    assert not is_faster_by_minimal_filtering(x, kernel, (1, 1), "same")
