"""Input gradients in a TensorFlow graph, with a faster gradient of convolutions on a CPU."""

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["graph_gradient"]

# The name under which the gradient below is registered with TensorFlow.
_NAME = "SpectralKerasConv2D"


def graph_gradient(function: Callable[..., Any], x: Any, has_aux: bool) -> tuple[Any, Any]:
    """(gradient of the scalar `function(x)` by `x`, aux or None), while a graph is built.

    On a CPU TensorFlow's kernel for the gradient of a convolution by its input takes up to six
    times as long as the convolution itself, the more the smaller the map and the larger the kernel.
    At stride 1 this gradient is itself a convolution, with the kernel turned by 180 degrees and its
    channels exchanged: the same numbers but for rounding.
    """
    import tensorflow as tf

    x = tf.identity(x)  # what was computed from x before does not count
    if tf.config.list_logical_devices("GPU"):
        overridden = {}
    else:
        _register()
        overridden = {"Conv2D": _NAME}
    with tf.compat.v1.get_default_graph().gradient_override_map(overridden):
        value = function(x)
    value, aux = value if has_aux else (value, None)
    (gradient,) = tf.gradients(value, [x], unconnected_gradients="zero")
    return tf.convert_to_tensor(gradient), aux


@functools.cache
def _register():
    import tensorflow as tf

    @tf.RegisterGradient(_NAME)
    def conv2d_gradient(op, gradient):
        images, kernel = op.inputs
        attributes = {
            name: op.get_attr(name)
            for name in ("strides", "padding", "explicit_paddings", "data_format", "dilations")
        }
        attributes["padding"] = attributes["padding"].decode()
        attributes["data_format"] = attributes["data_format"].decode()
        # Where nothing asks for it, it is dropped from the graph and costs nothing.
        by_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=images, filter_sizes=tf.shape(kernel), out_backprop=gradient, **attributes
        )
        if _is_plain(images, kernel, attributes):
            turned = tf.transpose(tf.reverse(kernel, (0, 1)), (0, 1, 3, 2))
            return tf.nn.conv2d(gradient, turned, strides=1, padding="SAME"), by_kernel
        by_images = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(images), filter=kernel, out_backprop=gradient, **attributes
        )
        return by_images, by_kernel


def _is_plain(images, kernel, attributes):
    """Float32, channels last, stride 1, as much padding on either side, one group."""
    height, width, channels, _ = kernel.shape
    ones = [1, 1, 1, 1]
    return (
        images.dtype == "float32"
        and attributes["data_format"] == "NHWC"
        and attributes["strides"] == ones
        and attributes["dilations"] == ones
        and (
            attributes["padding"] == "SAME"
            or (attributes["padding"] == "VALID" and height == width == 1)
        )
        and None not in (height, width, channels)
        and height % 2 == width % 2 == 1
        and images.shape[-1] == channels
    )
