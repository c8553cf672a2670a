"""The work of a network: multiply-accumulate operations for one image."""

import math

import keras

from spectral_keras.layers import FFTConvPool2D

__all__ = ["count_macs"]


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates of a network's convolutions and dense layers for one image.

    Each convolution counts as the direct sum that it is equal to, whatever computes it: a
    spectrally parametrised kernel as its kernel in space, a product of spectra as the convolution
    in space.  Normalisation, activation and pooling, spectral pooling too, are not counted, as is
    usual where networks are compared.

    Args:
        model: functional or sequential `keras.Model` with known sizes of images.

    Returns:
        The number, an integer.

    Raises:
        ValueError: if the size of the images is not known, or the model holds a layer with a
            kernel whose work this function does not know.

    Example:

    >>> from spectral_keras import models
    >>> from spectral_keras.models.macs import count_macs
    >>> count_macs(models.build("resnet18"))
    555422720
    """
    if not getattr(model, "inputs", None):
        raise ValueError(f"`model` must be built. Received: {model!r}")
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer):
    layers = keras.layers
    if isinstance(layer, keras.Model):
        return count_macs(layer)
    if isinstance(layer, layers.Dense):
        return math.prod(_sizes(layer.output)) * layer.input.shape[-1]
    if isinstance(layer, layers.DepthwiseConv2D):
        return math.prod(_sizes(layer.output)) * math.prod(layer.kernel_size)
    if isinstance(layer, (layers.Conv2D, FFTConvPool2D)):
        channels, outputs = _channels(layer), math.prod(_sizes(layer.output))
        if isinstance(layer, FFTConvPool2D):  # it convolves before it pools
            outputs = math.prod(_sizes(layer.input)) // channels * layer.filters
        return outputs * math.prod(layer.kernel_size) * channels // layer.groups
    if any("kernel" in weight.name for weight in layer.weights):
        raise ValueError(f"`model` must hold no {type(layer).__name__}. Received: {layer.name!r}")
    return 0


def _channels(layer):
    return layer.input.shape[1 if layer.data_format == "channels_first" else -1]


def _sizes(tensor):
    sizes = tensor.shape[1:]
    if None in sizes:
        raise ValueError(f"`model` must have images of a known size. Received: {tuple(sizes)}")
    return sizes
