"""What a network costs: multiply-accumulates of one image."""

import math

import keras

from spectral_keras.layers import FFTConvPool2D, SpectralPool

__all__ = ["multiply_accumulates"]


def multiply_accumulates(model: keras.Model) -> int:
    """Multiply-accumulates of one image on its way through a model.

    Convolutions count as direct ones, however they are computed or parametrised, spectral poolings
    as the two products with the matrices of their axes, dense layers as products.  Everything
    else, whose cost grows with the values and not with products of channels, counts nothing.  A
    training step costs about three times as much, and a floating-point operation is half a
    multiply-accumulate: training costs 6 x this x images x epochs.

    Args:
        model: functional `keras.Model` of known input size.

    Returns:
        The number, of one image.

    Raises:
        ValueError: for a model of unknown input size.

    Example:

    >>> from spectral_keras import models
    >>> from spectral_keras.models.cost import multiply_accumulates
    >>> multiply_accumulates(models.build("quick_spectral", pooling="max"))
    118147360
    """
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer):
    if isinstance(layer, keras.Model):
        return multiply_accumulates(layer)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return _positions(layer.output.shape, layer.data_format) * math.prod(layer.kernel.shape)
    if isinstance(layer, FFTConvPool2D):
        # At every position of its input, before the pooling.
        return _positions(layer.input.shape, layer.data_format) * _kernel_size(layer, layer.input)
    if isinstance(layer, keras.layers.Conv2D):
        return _positions(layer.output.shape, layer.data_format) * _kernel_size(layer, layer.input)
    if isinstance(layer, keras.layers.Dense):
        return _known(layer.output.shape) * layer.input.shape[-1]
    if isinstance(layer, SpectralPool):
        height, width = _sides(layer.input.shape, layer.data_format)
        new_height, new_width = _sides(layer.output.shape, layer.data_format)
        channels = _known(layer.input.shape) // (height * width)
        return channels * (height * width * new_width + height * new_height * new_width)
    return 0


def _kernel_size(layer, x):
    channels = x.shape[-1 if layer.data_format == "channels_last" else 1]
    return math.prod(layer.kernel_size) * channels // getattr(layer, "groups", 1) * layer.filters


def _sides(shape, data_format):
    return shape[1:3] if data_format == "channels_last" else shape[2:4]


def _positions(shape, data_format):
    _known(shape)
    return math.prod(_sides(shape, data_format))


def _known(shape):
    if None in shape[1:]:
        raise ValueError(f"`model` must have a known input size. Received: maps of shape {shape}")
    return math.prod(shape[1:])
