"""What the five backbones of the auxiliary Fourier task share.

Layers as in the PyTorch networks that the paper started from: batch normalisation with epsilon
1e-5 and 10 % of each batch in the moving averages, strided windows centred on their pixels, and
that code's start.  What Keras does otherwise: its moving variance is the biased one.

The start: convolutions Kaiming-normal by fan-out, where PyTorch's fan-out is k k filters for every
kernel, depthwise and grouped ones too; batch normalisation 1 and 0; the last layer N(0, 0.001^2).
Biases are PyTorch's U(-1/sqrt(fan_in), 1/sqrt(fan_in)), except before a batch normalisation, which
takes every bias out again: those start at zero.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

import keras
from keras import KerasTensor, layers, ops

from spectral_keras.layers import BatchNormalization
from spectral_keras.models.blocks import convolution, dropout, logits_dtype, normalize
from spectral_keras.models.poolings import Pooling, pool
from spectral_keras.models.recipe import Recipe
from spectral_keras.ops.validation import check_choice

__all__ = [
    "TAP",
    "activate",
    "add_shortcut",
    "begin",
    "blocks",
    "bottleneck",
    "builder",
    "channel_axis",
    "conv_bn",
    "finish",
    "max_pool",
    "recipe",
]

# The layer to attach a decoder or a probe to: the last maps, before the global average.
TAP = "features"

# What `builder` gives: `conv_bn` with the choices of a network.
Block = Callable[..., Any]


def recipe(summary: str) -> Recipe:
    """The training of the paper and of its code.

    Differences.  The paper standardises by the colour channels' own means and deviations (0.49,
    0.48, 0.45 and 0.25, 0.24, 0.26), the zoo by 0.5 and 0.25.  PyTorch adds its decay of 4e-5 to
    the gradient, so that the momentum 0.9 multiplies it by ten; Keras decays the weights directly:
    4e-4 is the same pull.
    """
    return Recipe(
        summary=summary,
        paper="auxiliary Fourier task, Table 1",
        epochs=200,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=4e-4,
        schedule="plateau",
        augment="mirror_crop_flip",
        early_stopping=10,
    )


def begin(input_shape: Sequence[int]) -> tuple[KerasTensor, KerasTensor]:
    """The images and the normalised images."""
    inputs = keras.Input(input_shape, name="image")
    return inputs, normalize(inputs)


def finish(
    inputs: KerasTensor, x: KerasTensor, num_classes: int, name: str, dropout_rate: float = 0.0
) -> keras.Model:
    """The tap, the global average, dropout and the logits: the whole model."""
    x = layers.Identity(name=TAP)(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = dropout(x, dropout_rate, "dropout")
    logits = layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
        bias_initializer=_bias_start(x.shape[-1]),
        name="logits",
        dtype=logits_dtype(),
    )(x)
    return keras.Model(inputs, logits, name=name)


def blocks(stages: Iterable[tuple]) -> Iterator[tuple[str, int, tuple]]:
    """(name, stride, stage) of every block.

    Args:
        stages: tuples that start with the number of blocks and the stride of the first of them.
    """
    for number, stage in enumerate(stages, start=1):
        repeats, stride = stage[:2]
        for block in range(1, repeats + 1):
            yield f"stage{number}_block{block}", stride if block == 1 else 1, stage


def _channels(x):
    """Number of channels of a symbolic image tensor."""
    return x.shape[channel_axis()]


def channel_axis() -> int:
    """Axis of the channels in Keras' global data format."""
    return -1 if keras.config.image_data_format() == "channels_last" else 1


def builder(
    *,
    conv: str = "spatial",
    pooling: str = "strided",
    use_bias: bool = False,
    activation: str = "relu",
) -> Block:
    """`conv_bn` with the choices that hold for a whole network."""
    check_choice("conv", conv, ("spatial", "spectral", "hermitian"))
    check_choice("pooling", pooling, get_args(Pooling))
    return functools.partial(
        conv_bn, conv=conv, pooling=pooling, use_bias=use_bias, activation=activation
    )


def conv_bn(
    x: KerasTensor,
    filters: int | None,
    kernel_size: int,
    *,
    name: str,
    conv: str,
    pooling: str,
    use_bias: bool,
    activation: str | None,
    stride: int = 1,
    groups: int = 1,
) -> KerasTensor:
    """Convolution, batch normalisation, activation: layers `name_conv`, `name_bn`, `name_relu`.

    Args:
        x: image tensor.
        filters: number of filters, or None for one kernel for each channel (depthwise).
        kernel_size: odd; the maps are padded by half of it on every side.
        name: start of the layers' names.
        conv: "spatial", "spectral" or "hermitian" parametrisation of dense and grouped kernels;
            1x1 kernels, whose DFT they are themselves, and depthwise ones are always spatial.
        pooling: "strided", or stride 1 and a pooling (`name_pool`) to the same size: "max" or one
            of `poolings.Linear` (but "diffstride" is larger).
        use_bias: whether the convolution has a bias.
        activation: name of the activation, None for none.
        stride, groups: of the convolution.
    """
    if filters is None:
        layer = _depthwise
    else:
        conv = conv if kernel_size > 1 else "spatial"
        layer = functools.partial(_convolution, filters=filters, groups=groups, conv=conv)
    layer = functools.partial(
        layer, kernel_size=kernel_size, use_bias=use_bias, name=f"{name}_conv"
    )
    if stride == 1:
        x = layer(x)
    elif pooling == "strided":
        x = layer(_pad(x, kernel_size, name), strides=stride, padding="valid")
    elif kernel_size == 1:
        # A linear pooling and the convolution commute, and it is cheaper on the smaller maps.
        x = layer(pool(x, pooling, f"{name}_pool", stride=stride))
    else:
        x = pool(layer(x), pooling, f"{name}_pool", stride=stride)
    x = BatchNormalization(axis=channel_axis(), momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return activate(x, activation, name)


def activate(x: KerasTensor, activation: str | None, name: str) -> KerasTensor:
    """The activation as a layer `name_activation`, or nothing for None."""
    if activation is None:
        return x
    return layers.Activation(activation, name=f"{name}_{activation}")(x)


def add_shortcut(
    y: KerasTensor, x: KerasTensor, stride: int, *, block: Block, name: str
) -> KerasTensor:
    """The sum of a residual block's path `y` and its input `x`, layer `name_add`.

    `x` goes through a 1x1 convolution and batch normalisation (`name_shortcut_conv`, `..._bn`)
    where the block has a stride or changes the number of channels.
    """
    if stride != 1 or _channels(x) != _channels(y):
        x = block(x, _channels(y), 1, stride=stride, activation=None, name=f"{name}_shortcut")
    return layers.Add(name=f"{name}_add")([y, x])


def max_pool(x: KerasTensor, *, pooling: str, name: str) -> KerasTensor:
    """3x3/2 max pooling of maps that are nowhere negative, or spectral pooling to that size."""
    check_choice("pooling", pooling, ("max", "spectral"))
    if pooling == "spectral":
        return pool(x, pooling, name)
    return layers.MaxPooling2D(3, 2, padding="valid", name=name)(_pad(x, 3, name))


def bottleneck(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    stride: int,
    *,
    block: Block,
    name: str,
    expansion: int | None = None,
    squeeze: float | None = None,
) -> KerasTensor:
    """1x1 to more channels, depthwise, [channel gate], 1x1 to `filters` without activation.

    Args:
        x: image tensor.
        filters, kernel_size, stride: of the output and of the depthwise convolution.
        block: the network's `builder`.
        name: start of the layers' names.
        expansion: factor on the number of channels in between; None leaves the first 1x1 out.
        squeeze: units of the channel gate's hidden layer over the channels of `x`, None for no
            gate.
    """
    incoming = _channels(x)
    if expansion is not None:
        x = block(x, expansion * incoming, 1, name=f"{name}_expand")
    x = block(x, None, kernel_size, stride=stride, name=f"{name}_depthwise")
    if squeeze is not None:
        x = _squeeze_excite(x, max(1, int(squeeze * incoming)), f"{name}_se")
    return block(x, filters, 1, activation=None, name=f"{name}_project")


def _squeeze_excite(x, units, name):
    """Factors in [0, 1] for the channels, by two layers (with bias) from the maps' means."""
    gates = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_average")(x)
    for part, size, activation in (("squeeze", units, "silu"), ("excite", _channels(x), "sigmoid")):
        gates = convolution(
            gates,
            size,
            1,
            conv="spatial",
            activation=activation,
            kernel_initializer=_kernel_start("fan_out"),
            bias_initializer=_bias_start(_channels(gates)),
            name=f"{name}_{part}",
        )
    return layers.Multiply(name=f"{name}_scale")([x, gates])


def _convolution(x, *, filters, groups, name, **others):
    """A convolution; of several groups, one layer for each (`name1`, ...) and their concatenation.

    TensorFlow leaves a grouped convolution on a CPU to XLA, where two groups took five times as
    long as two convolutions (forwards and backwards, 8 maps of 32x32x128, two cores).
    """
    if groups > 1:
        parts = ops.split(x, groups, axis=channel_axis())
        outputs = [
            _convolution_of_group(part, filters // groups, groups, f"{name}{i}", others)
            for i, part in enumerate(parts, start=1)
        ]
        return layers.Concatenate(axis=channel_axis(), name=name)(outputs)
    return _convolution_of_group(x, filters, 1, name, others)


def _convolution_of_group(x, filters, groups, name, others):
    # PyTorch's fan-out counts the filters of all groups, this kernel has those of one.
    start = _kernel_start("fan_out", 1 / groups)
    return convolution(x, filters, activation=None, kernel_initializer=start, name=name, **others)


def _depthwise(x, *, kernel_size, name, **others):
    # Keras counts a depthwise kernel's channels as inputs, PyTorch as outputs.
    start = _kernel_start("fan_in")
    return layers.DepthwiseConv2D(
        kernel_size, depthwise_initializer=start, **{"padding": "same", **others}, name=name
    )(x)


def _pad(x, kernel_size, name):
    """Zeros on all four sides: "same" pads an even size by less on the left, or not at all."""
    if kernel_size == 1:
        return x
    return layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)


def _kernel_start(mode, share=1.0):
    scale = 2.0 * share
    return keras.initializers.VarianceScaling(scale, mode=mode, distribution="untruncated_normal")


def _bias_start(fan_in):
    bound = fan_in**-0.5
    return keras.initializers.RandomUniform(-bound, bound)
