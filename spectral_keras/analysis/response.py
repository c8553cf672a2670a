"""What a layer of a model makes of each single frequency of its input image."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from spectral_keras.analysis.layer_output import LayerOutput, find_layer, path_name
from spectral_keras.analysis.point_detection import (
    PointWaves,
    check_channel,
    real_frequencies,
    spectrum_from_half,
)
from spectral_keras.classifiers.arguments import check_model, check_progress
from spectral_keras.classifiers.batches import fixed_batch_size
from spectral_keras.classifiers.compiled import compile_function, keep_for_model
from spectral_keras.ops.validation import (
    check_bool,
    check_choice,
    check_data_format,
    check_number,
    check_positive_int,
    check_size_pair,
)

__all__ = ["frequency_response"]

READOUTS = ("rms", "rectified_mean", "mean")


def frequency_response(
    model: keras.Model,
    layer: str | keras.Layer,
    *,
    readout: str = "rms",
    strength: float | None = None,
    channels: int | Sequence[int] | None = None,
    subtract_grey: bool = False,
    size: int | tuple[int, int] | None = None,
    data_format: str | None = None,
    batch_size: int = 64,
    progress: Callable[..., None] | None = None,
    **waves: Any,
) -> np.ndarray:
    """Frequency response map of every output channel of a layer, for every input channel.

    The layer sees all point-detection maps, batch by batch (see `point_detection_maps`); the model
    behind it does not run.  One number is read out of each of the layer's output maps y, where
    y_grey is the map that a plain image of .5 gives:

    - "rms": sqrt(mean((y - y_grey)^2)) over the positions, how far the frequency moves the map.
      For a convolution with circular padding it is strength |W(i, j)| / sqrt(H W) exactly, with
      W the DFT of the kernel between the two channels; bias and mean do not count.
    - "rectified_mean": mean(max(y, 0)).  It tells frequencies apart only where the swing reaches
      below zero: a channel whose y_grey is larger than that, as of a low-pass with positive
      weights, answers to all frequencies alike.
    - "mean": mean(y), as the paper prints it.  For a linear layer with circular padding it is the
      same number for all frequencies; zero padding adds what leaks in at the border.

    Source: Jia, Bao and Ma (arXiv 1911.12044), section 3.4.

    Args:
        model: functional or sequential Keras model with one image input, in [0, 1].
        layer: a layer or its name; "inner/name" in a nested model.  Its output is [N, H, W, C],
            [N, C, H, W] (by `data_format`) or [N, ..., C].
        readout: "rms", "rectified_mean" or "mean".
        strength: L2 norm of the perturbation, see `PointWaves`.
        channels: the input channels to perturb, one index or several; None for all.
        subtract_grey: whether the read-out of y_grey is subtracted.  That of "rms" is zero.
        size: image size, an integer or (height, width); None for the model's own.
        data_format: "channels_last" or "channels_first"; None: Keras' global setting.
        batch_size: images at a time.
        progress: None, or a callable `(images done, images in all)`.
        **waves: phase, out_of_range: see `PointWaves`.

    Returns:
        Float32 numpy array [output channels, input channels, H, W] in unshifted order; entry
        [..., i, j] and its partner [..., -i, -j] are the same.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.analysis import frequency_response
    >>> from spectral_keras.layers import FFTConv2D
    >>> conv = FFTConv2D(1, (1, 2), padding="circular", name="conv", data_format="channels_last")
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), conv])
    >>> conv.set_weights([np.array([1.0, -1.0]).reshape(1, 2, 1, 1), np.zeros(1)])
    >>> maps = frequency_response(model, "conv", strength=1, data_format="channels_last")
    >>> [round(8 * float(r), 3) for r in maps[0, 0, 0]]  # a difference: 2 |sin(pi j / 8)|
    [0.0, 0.765, 1.414, 1.848, 2.0, 1.848, 1.414, 0.765]
    """
    check_choice("readout", readout, READOUTS)
    check_bool("subtract_grey", subtract_grey)
    check_progress(progress)
    if strength is not None:
        strength = check_number("strength", strength, low=0, low_open=True)
    data_format = check_data_format(data_format)
    batch_size = check_positive_int("batch_size", batch_size)
    check_model(model)
    name = path_name(find_layer(model, layer))
    (height, width), depth = _image_shape(model, size, data_format)
    chosen_channels = _check_channels(channels, depth)
    probe = PointWaves(strength, **waves)
    index = real_frequencies((height, width))
    # Also before the first batch: an error should come at once.
    probe.on((height, width), [[0, 1 % width]])

    kind = readout, data_format, (height, width, depth)
    run = keep_for_model(
        model, ("response", name, *kind), lambda: _Readout(LayerOutput(model, name), *kind)
    )
    total = len(chosen_channels) * len(index)
    batch = fixed_batch_size(model) or min(batch_size, total)
    plain = np.zeros((batch, height, width), np.float32), np.zeros((batch, depth), np.float32)
    grey = run.output(*plain)[:1]
    parts = []
    for start in range(0, total, batch):
        # The last image is repeated to fill the last batch.
        chosen = np.minimum(np.arange(start, start + batch), total - 1)
        unique, back = np.unique(chosen % len(index), return_inverse=True)
        added = probe.on((height, width), index[unique])[back].astype(np.float32)
        one_hot = np.eye(depth, dtype=np.float32)[chosen_channels[chosen // len(index)]]
        parts.append(run.read(added, one_hot, grey)[: total - start])
        if progress:
            progress(min(start + batch, total), total)
    values = np.concatenate(parts)
    if subtract_grey:
        values = values - run.read(*plain, grey)[:1]
    values = values.reshape(len(chosen_channels), len(index), -1).transpose(2, 0, 1)
    return spectrum_from_half(values, index, (height, width))


class _Readout:
    """Images made of waves [N, H, W] in the channel that one_hot [N, C] names, and their read-out.

    Attributes:
        output: (waves, one_hot) -> the layer's output, a tensor.
        read: (waves, one_hot, output for grey [1, ...]) -> [N, output channels], numpy.
    """

    def __init__(self, part, readout, data_format, size):
        def output(waves, one_hot):
            if data_format == "channels_last":
                images = 0.5 + waves[..., None] * one_hot[:, None, None, :]
            else:
                images = 0.5 + waves[:, None] * one_hot[:, :, None, None]
            return ops.cast(part(images), "float32")

        def read(waves, one_hot, grey):
            maps = output(waves, one_hot)
            rank = len(maps.shape)
            channel = 1 if rank == 4 and data_format == "channels_first" else rank - 1
            positions = tuple(axis for axis in range(1, rank) if axis != channel)
            if readout == "rms":
                return ops.sqrt(ops.mean(ops.square(maps - grey), axis=positions))
            if readout == "rectified_mean":
                maps = ops.relu(maps)
            return ops.mean(maps, axis=positions)

        # Layers that take DFTs need to know height and width.
        batch = [("float32", (None, *size[:2])), ("float32", (None, size[2]))]
        self.output = compile_function(output, part.variables, batch)
        self._read = compile_function(
            read, part.variables, [*batch, ("float32", (1, *part.shape[1:]))]
        )

    def read(self, waves, one_hot, grey):
        return ops.convert_to_numpy(self._read(waves, one_hot, grey))


def _image_shape(model, size, data_format):
    """((height, width), channels) of the model's images."""
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4:
        raise ValueError(f"`model` must take images of rank 4. Received: input shape {shape}")
    spatial, depth = (
        (shape[1:3], shape[3]) if data_format == "channels_last" else (shape[2:], shape[1])
    )
    if depth is None:
        raise ValueError(
            f"`model` must have a known number of channels. Received: input shape {shape} "
            f"(data_format={data_format!r})"
        )
    if size is not None:
        size = check_size_pair("size", size)
        if any(n not in (None, m) for n, m in zip(spatial, size, strict=True)):
            raise ValueError(
                f"`size` must be None or fit the model's input shape {shape}. Received: size={size}"
            )
        return size, depth
    if None in spatial:
        raise ValueError(
            f"`size` is needed: the model takes images of any size, {shape}. Received: size=None"
        )
    return spatial, depth


def _check_channels(channels, depth):
    """One or several input channels as an integer array; None: all."""
    if channels is None:
        return np.arange(depth)
    several = channels if np.ndim(channels) else [channels]
    checked = [check_channel("channels", channel, depth) for channel in several]
    if not checked:
        raise ValueError("`channels` must name at least one channel. Received: none")
    return np.array(checked)
