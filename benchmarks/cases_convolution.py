"""FFTConv2D against Conv2D over kernel sizes, and the convolution that also pools."""

from benchmarks.harness import Case, inference_step, random_input, training_step

SHAPE, FILTERS = (16, 64, 64, 16), 16
KERNEL_SIZES = (3, 5, 7, 9, 11, 13, 15, 21, 31)

# What the project asks of a training step (speed of Conv2D = 1).
TARGETS = {21: 5.0, 31: 10.0}
NEVER_SLOWER = "at least 0.91x"


def cases():
    return [
        *(_kernel_size(kernel_size) for kernel_size in KERNEL_SIZES),
        _inference(7),
        _wide_maps(),
        _channels(3),
        _channels(5),
        _pooling(),
    ]


def _ways(shape, filters, kernel_size, implementations, step=training_step):
    """Label -> factory of a step with a Conv2D and with an FFTConv2D of each implementation."""

    def conv2d():
        import keras

        return _step(keras.layers.Conv2D(filters, kernel_size, padding="same"), shape, step)

    def fft_conv2d(implementation):
        from spectral_keras.layers import FFTConv2D

        layer = FFTConv2D(filters, kernel_size, padding="same", implementation=implementation)
        return _step(layer, shape, step)

    ways = {"Conv2D": conv2d}
    for implementation in implementations:
        ways[f"FFTConv2D {implementation}"] = lambda name=implementation: fft_conv2d(name)
    return ways


def _step(layer, shape, step):
    x = random_input(shape)
    if step is inference_step:
        layer.build(shape)
        return step(layer, x)
    return step(layer, x, variables=lambda: layer.trainable_variables)


def _name(shape):
    return "[" + ",".join(map(str, shape)) + "]"


def _kernel_size(kernel_size):
    target = f"at least {TARGETS[kernel_size]:g}x" if kernel_size in TARGETS else NEVER_SLOWER
    return Case(
        name=f"convolution {kernel_size}x{kernel_size}",
        shape=f"{_name(SHAPE)} -> {FILTERS} channels, training step",
        reference="Conv2D",
        ways=_ways(SHAPE, FILTERS, kernel_size, ("matmul", "fft", "auto")),
        targets={"FFTConv2D auto": target},
    )


def _inference(kernel_size):
    return Case(
        name=f"convolution {kernel_size}x{kernel_size} forward",
        shape=f"{_name(SHAPE)} -> {FILTERS} channels, forward only",
        reference="Conv2D",
        ways=_ways(SHAPE, FILTERS, kernel_size, ("auto",), inference_step),
        targets={"FFTConv2D auto": NEVER_SLOWER},
    )


def _channels(kernel_size):
    shape = (64, 32, 32, 96)
    return Case(
        name=f"convolution {kernel_size}x{kernel_size} 96 channels",
        shape=f"{_name(shape)} -> 96 channels, training step",
        reference="Conv2D",
        ways=_ways(shape, 96, kernel_size, ("matmul", "auto")),
        targets={"FFTConv2D auto": NEVER_SLOWER},
    )


def _wide_maps():
    shape = (2, 224, 224, 64)
    return Case(
        name="convolution 7x7 large maps",
        shape=f"{_name(shape)} -> 64 channels, training step, in tiles",
        reference="Conv2D",
        ways=_ways(shape, 64, 7, ("matmul", "auto")),
        targets={"FFTConv2D auto": NEVER_SLOWER},
    )


def _pooling():
    """Convolution and halving, as in a stage of a network."""
    shape = (64, 32, 32, 64)

    def spatial():
        import keras

        x = keras.Input(shape[1:])
        y = keras.layers.Conv2D(64, 3, padding="same")(x)
        return _step(keras.Model(x, keras.layers.AveragePooling2D(2)(y)), shape, training_step)

    def separate():
        import keras

        from spectral_keras.layers import FFTConv2D, SpectralPool

        x = keras.Input(shape[1:])
        y = FFTConv2D(64, 3, padding="circular", implementation="matmul")(x)
        return _step(keras.Model(x, SpectralPool(16)(y)), shape, training_step)

    def fused():
        from spectral_keras.layers import FFTConvPool2D

        return _step(FFTConvPool2D(64, 3, 16), shape, training_step)

    return Case(
        name="convolution 3x3 and pooling",
        shape=f"{_name(shape)} -> 16x16, 64 channels, training step",
        reference="Conv2D, AveragePooling2D",
        ways={
            "Conv2D, AveragePooling2D": spatial,
            "FFTConv2D matmul, SpectralPool": separate,
            "FFTConvPool2D": fused,
        },
    )
