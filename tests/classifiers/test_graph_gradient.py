"""The gradient of convolutions in a graph is TensorFlow's own, but for rounding."""

import keras
import numpy as np
import pytest

from spectral_keras.classifiers import input_gradient
from spectral_keras.classifiers.graph_gradient import graph_gradient
from tests.attacks.nets import images

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="about TensorFlow's graphs"
)

CONVOLUTIONS = {
    "3x3": {"kernel_size": 3, "padding": "same"},
    "5x1": {"kernel_size": (5, 1), "padding": "same"},
    "1x1": {"kernel_size": 1},
    "2x2": {"kernel_size": 2, "padding": "same"},
    "valid": {"kernel_size": 3},
    "strided": {"kernel_size": 3, "padding": "same", "strides": 2},
    "dilated": {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
    "groups": {"kernel_size": 3, "padding": "same", "groups": 2},
    "bfloat16": {"kernel_size": 3, "padding": "same", "dtype": "mixed_bfloat16"},
}


def both(function, x):
    """The gradient in a graph, and by the tape outside of one."""
    import tensorflow as tf

    x = tf.constant(x)
    in_graph = tf.function(lambda x: input_gradient(function, x))
    names = [
        operation.type for operation in in_graph.get_concrete_function(x).graph.get_operations()
    ]
    return in_graph(x).numpy(), input_gradient(function, x).numpy(), names


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("shape", [(8, 8, 4), (7, 10, 4)])
def test_same_gradient(name, shape):
    layer = keras.layers.Conv2D(6, **CONVOLUTIONS[name])
    layer.build((None, *shape))
    direction = np.random.default_rng(2).normal(size=6).astype("float32")
    turned, own, names = both(
        lambda x: keras.ops.sum(keras.ops.cast(layer(x), "float32") ** 2 * direction),
        images(3, shape),
    )
    np.testing.assert_allclose(turned, own, rtol=0, atol=2e-6 * np.abs(own).max())
    if name != "groups":  # Keras runs those in a function of their own
        assert ("Conv2DBackpropInput" not in names) == (name in ("3x3", "5x1", "1x1"))


def test_padding_of_a_single_pixel():
    import tensorflow as tf

    kernel = np.random.default_rng(0).normal(size=(1, 1, 4, 2)).astype("float32")
    sides = [[0, 0], [1, 1], [1, 1], [0, 0]]
    turned, own, _ = both(
        lambda x: tf.reduce_sum(tf.nn.conv2d(x, kernel, 1, sides) ** 2), images(2, (6, 6, 4))
    )
    np.testing.assert_allclose(turned, own, rtol=1e-5)


def test_a_gather_gives_a_plain_tensor():
    gradients = both(
        lambda x: keras.ops.sum(keras.ops.take(x, [0, 1], axis=0)), images(3, (2, 2, 1))
    )
    for gradient in gradients[:2]:
        assert gradient.tolist()[0] == gradient.tolist()[1] == [[[1.0]] * 2] * 2
        assert not gradient[2].any()


def test_a_kernel_that_depends_on_the_images():
    import tensorflow as tf

    def function(x):
        kernel = tf.reshape(tf.reduce_mean(x, 0)[:3, :3, :2], (3, 3, 2, 1))
        return tf.reduce_sum(tf.nn.conv2d(x[..., :2], kernel, 1, "SAME") ** 2)

    turned, own, _ = both(function, images(3))
    np.testing.assert_allclose(turned, own, rtol=1e-5, atol=1e-5)


def test_what_was_computed_from_the_images_before_does_not_count():
    import tensorflow as tf

    @tf.function
    def gradient(x):
        before = tf.reduce_sum(x**2)
        return graph_gradient(lambda z: tf.reduce_sum(3 * z) + before, x, has_aux=False)[0]

    np.testing.assert_array_equal(gradient(tf.ones((2, 3))), np.full((2, 3), 3))


def test_second_derivative():
    import tensorflow as tf

    layer = keras.layers.Conv2D(4, 3, padding="same")
    layer.build((None, 6, 6, 3))
    x = tf.constant(images(2, (6, 6, 3)))

    def penalty(x):
        return tf.reduce_sum(input_gradient(lambda z: tf.reduce_sum(layer(z) ** 3), x) ** 2)

    def by_kernel(x):
        with tf.GradientTape() as tape:
            value = penalty(x)
        return tape.gradient(value, layer.kernel.value)

    np.testing.assert_allclose(tf.function(by_kernel)(x), by_kernel(x), rtol=1e-3, atol=1e-3)
