"""Turn a model with this library's convolutions into one with Keras' own."""

import keras

from spectral_keras.layers.batch_normalization import BatchNormalization
from spectral_keras.layers.conv2d import Conv2D
from spectral_keras.layers.fft_conv2d import FFTConv2D
from spectral_keras.layers.spectral_conv2d import SpectralConv2D

__all__ = ["fold"]


def __dir__():
    return __all__


def _plain_twin(layer):
    """The plain layer that computes what `layer` computes, without its weights, or None."""
    config = layer.get_config()
    if isinstance(layer, BatchNormalization):
        return keras.layers.BatchNormalization.from_config(config)
    if isinstance(layer, SpectralConv2D):
        del config["parametrization"]
    elif isinstance(layer, FFTConv2D) and layer.padding != "circular":
        del config["implementation"]
        # What is copied is the kernel with LoRA's part in it.
        for name in ("lora_rank", "lora_alpha"):
            config.pop(name, None)
    elif type(layer) is not Conv2D:
        return None
    # With as many filters as columns Keras' own adds the bias along the wrong axis (TensorFlow).
    first = layer.data_format == "channels_first"
    return (Conv2D if first else keras.layers.Conv2D).from_config(config)


def _clone(layer):
    inner = getattr(layer, "layer", None)
    if isinstance(layer, keras.layers.Wrapper) and isinstance(inner, SpectralConv2D):
        raise ValueError(
            f"`model` must hold its SpectralConv2D layers directly: {layer.name!r} wraps one in a "
            f"{type(layer).__name__}, which cannot be folded"
        )
    return _plain_twin(layer) or type(layer).from_config(layer.get_config())


def _copy_weights(source, target):
    if isinstance(source, keras.Model):
        for from_layer, to_layer in zip(source.layers, target.layers, strict=True):
            _copy_weights(from_layer, to_layer)
    elif isinstance(source, (SpectralConv2D, FFTConv2D)) and type(source) is not type(target):
        weights = [keras.ops.convert_to_numpy(_spatial_kernel(source))]
        if source.use_bias:
            weights.append(keras.ops.convert_to_numpy(source.bias))
        target.set_weights(weights)
    else:
        target.set_weights(source.get_weights())


def _spatial_kernel(layer):
    return layer.spatial_kernel() if isinstance(layer, SpectralConv2D) else layer.kernel


def fold(model: keras.Model) -> keras.Model:
    """A copy of `model` with Keras' own `Conv2D` and `BatchNormalization`, for deployment.

    Every `SpectralConv2D` becomes the `keras.layers.Conv2D` with its spatial kernel, every
    `FFTConv2D` that is not circular the `Conv2D` with its kernel, and every `Conv2D` and
    `BatchNormalization` of this library Keras' own; all other layers are copied with their weights.
    Convolutions with the channels first become this library's `Conv2D`: on TensorFlow Keras' own
    adds the bias along the width where there are as many filters as columns.  The copy gives the
    same outputs (to rounding, 1e-5), has half the parameters in its spectral layers and loads
    without `spectral_keras` if no other of its layers is left in it.

    Args:
        model: a built functional or sequential `keras.Model`; models may be nested.

    Returns:
        A new `keras.Model`; `model` is left as it is.

    Raises:
        ValueError: if the model is subclassed or not built, or a wrapper such as
            `TimeDistributed` holds a spectral layer.

    Example:

    >>> import keras, spectral_keras
    >>> model = keras.Sequential(
    ...     [keras.Input((16, 16, 3)), spectral_keras.layers.SpectralConv2D(4, 3)]
    ... )
    >>> type(spectral_keras.fold(model).layers[0]).__name__
    'Conv2D'
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "inputs") or not model.built:
        raise ValueError(
            "`model` must be a built functional or sequential keras.Model. "
            f"Received: model={model!r}"
        )
    try:
        folded = keras.models.clone_model(model, clone_function=_clone, recursive=True)
    except (NotImplementedError, TypeError) as error:  # Keras': a layer that it cannot rebuild
        raise ValueError(f"`model` cannot be copied: {error}. Received: model={model!r}") from error
    _copy_weights(model, folded)
    return folded
