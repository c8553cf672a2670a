"""Speed of the layers against the usual ways: `python -m benchmarks.layers`.

Prints a table, one block a case, and with `--output` writes the same numbers as JSON.  Steps
are forward and backward, compiled, float32, on whatever devices TensorFlow sees.  All ways run with
`spectral_keras.memory.keep_freed_memory`, as the training command does: otherwise the kernel's
zeroing of fresh pages is a large part of what is timed.  `--system-allocator` leaves that out.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.layers")

import dataclasses

import numpy as np

from benchmarks import harness
from benchmarks._options import (
    add_numbers,
    add_only,
    benchmark_parser,
    choose,
    integer,
    require_tensorflow,
)
from benchmarks.harness import Case, inference_step, random_input, training_step


def main(arguments=None):
    return run_cases("layers", __doc__, cases, arguments)


def run_cases(name, description, cases_of, arguments):
    """`main` of a benchmark that measures cases; `cases_of()` gives them."""
    parser = benchmark_parser(name, description)
    add_only(parser)
    add_numbers(parser, [("--repeats", integer(7), 9, "7 or more")])
    parser.add_argument(
        "--system-allocator",
        action="store_true",
        help="leave the C allocator as it is: large blocks are mapped anew at every step",
    )
    options = parser.parse_args(arguments)
    require_tensorflow(parser)
    from spectral_keras.memory import keep_freed_memory

    kept = False if options.system_allocator else keep_freed_memory()
    rows = []
    for case in choose(parser, options.only, cases_of(), lambda case: case.name):
        measured = harness.measure(case, repeats=options.repeats)
        rows.extend(dataclasses.asdict(row) for row in measured)
        print(harness.format_rows(measured), flush=True)
    if options.output:
        content = {"unit": "milliseconds a step, median of interleaved repeats", "rows": rows}
        memory = {"freed_memory_kept": kept}
        harness.write_results(options.output, name, arguments, content, memory)
    return 0


def cases():
    """All cases, of pooling, convolution, masks and training."""
    return [
        *pooling_cases(),
        *stride_cases(),
        *convolution_cases(),
        *mask_cases(),
        *training_cases(),
    ]


# Spectral pooling and frequency dropout against the usual ways and the usual pools.

_USUAL = "usual way (tf.signal.fft2d)"

# (shape, output size, pool size of the comparable pooling layers or None, targets)
_POOLS = (
    ((128, 32, 32, 96), 16, 2, {"SpectralPool": ">= 10x, <= 2.5x AveragePooling2D"}),
    ((128, 32, 32, 96), 27, None, {"SpectralPool": ">= 10x"}),
    ((128, 16, 16, 192), 8, 2, {"SpectralPool": ">= 10x, <= 2.5x AveragePooling2D"}),
    ((8, 224, 224, 16), 112, 2, {"SpectralPool": ">= 3.5x"}),
)


def usual_spectral_pool(size):
    """The operation as it is usually written: complex 2-D FFTs, shift, crop, real part."""
    import tensorflow as tf

    def pool(x):
        height, width = x.shape[1], x.shape[2]
        top, left = height // 2 - size // 2, width // 2 - size // 2
        z = tf.cast(tf.transpose(x, (0, 3, 1, 2)), tf.complex64)
        z = tf.signal.fftshift(tf.signal.fft2d(z), axes=(2, 3))
        z = z[:, :, top : top + size, left : left + size]
        z = tf.signal.ifft2d(tf.signal.ifftshift(z, axes=(2, 3)))
        y = tf.math.real(z) * (size * size / (height * width))
        return tf.transpose(y, (0, 2, 3, 1))

    return pool


def usual_frequency_dropout(min_fraction):
    """Random square mask between two complex 2-D FFTs; one draw for the batch."""
    import tensorflow as tf

    def drop(x):
        n = x.shape[1]
        low = int(np.ceil(min_fraction * n))
        side = tf.random.uniform((), low, n + 1, dtype=tf.int32)
        frequency = tf.constant(np.abs(np.fft.fftfreq(n, 1 / n)).astype("int32"))
        keep = tf.cast((2 * frequency < side) | (side >= n), tf.complex64)
        z = tf.signal.fft2d(tf.cast(tf.transpose(x, (0, 3, 1, 2)), tf.complex64))
        z = tf.signal.ifft2d(z * keep[:, None] * keep[None, :])
        return tf.transpose(tf.math.real(z), (0, 2, 3, 1))

    return drop


def shape_text(shape, size=None):
    text = "[" + ",".join(map(str, shape)) + "]"
    return text if size is None else f"{text} -> {size}x{size}"


def _pool_case(shape, size, pool_size, targets):
    import keras

    from spectral_keras.layers.spectral_pool import SpectralPool

    def step(function):
        return lambda: training_step(function, random_input(shape))

    ways = {
        _USUAL: step(usual_spectral_pool(size)),
        "SpectralPool": step(SpectralPool(size)),
        "SpectralPool(fft)": step(SpectralPool(size, implementation="fft")),
    }
    if pool_size is not None:
        ways["AveragePooling2D"] = step(keras.layers.AveragePooling2D(pool_size))
        ways["MaxPooling2D"] = step(keras.layers.MaxPooling2D(pool_size))
    name = f"spectral pooling {shape[1]}->{size}"
    return Case(name, shape_text(shape, size), _USUAL, ways, targets)


def _fused_case(shape, size):
    from spectral_keras.layers.frequency_dropout import FrequencyDropout
    from spectral_keras.layers.spectral_pool import SpectralPool

    pool, drop = usual_spectral_pool(size), usual_frequency_dropout(0.3)
    pool_layer, drop_layer = SpectralPool(size), FrequencyDropout(0.3)
    fused = SpectralPool(size, frequency_dropout=0.3)
    functions = {
        _USUAL: lambda x: drop(pool(x)),
        "SpectralPool, then FrequencyDropout": lambda x: drop_layer(pool_layer(x), training=True),
        "SpectralPool(frequency_dropout=0.3)": lambda x: fused(x, training=True),
        "SpectralPool alone": pool_layer,
    }
    ways = {
        label: lambda function=function: training_step(function, random_input(shape))
        for label, function in functions.items()
    }
    name = f"spectral pooling with frequency dropout {shape[1]}->{size}"
    return Case(name, shape_text(shape, size), _USUAL, ways)


def _dropout_case(shape):
    from spectral_keras.layers.frequency_dropout import FrequencyDropout

    def step(function):
        return lambda: training_step(function, random_input(shape))

    layer, each = FrequencyDropout(0.3), FrequencyDropout(0.3, per_sample=True)
    ways = {
        _USUAL: step(usual_frequency_dropout(0.3)),
        "FrequencyDropout": step(lambda x: layer(x, training=True)),
        "FrequencyDropout(per_sample=True)": step(lambda x: each(x, training=True)),
    }
    return Case(f"frequency dropout {shape[1]}", shape_text(shape), _USUAL, ways)


def pooling_cases():
    return [
        *(_pool_case(*arguments) for arguments in _POOLS),
        _fused_case((128, 32, 32, 96), 27),
        _dropout_case((128, 27, 27, 96)),
        _dropout_case((128, 16, 16, 192)),
    ]


# DiffStride, forward and both gradients, against its published computation by FFTs.

_USUAL_STRIDE = "usual way (rfft2d, mask, crop, irfft2d)"


def usual_diff_stride(strides, smoothness=4.0):
    """Half spectrum, two ramps, the rows and columns where they are not 0, inverse transform."""
    import tensorflow as tf

    def ramp(stride, n, frequency):
        return tf.clip_by_value((smoothness + n / (2 * stride) - frequency) / smoothness, 0, 1)

    def pool(x):
        height, width = x.shape[1], x.shape[2]
        rows = ramp(
            strides[0], height, tf.constant(np.abs(np.fft.fftfreq(height, 1 / height)), x.dtype)
        )
        columns = ramp(strides[1], width, tf.range(width // 2 + 1, dtype=x.dtype))
        z = tf.signal.rfft2d(tf.transpose(x, (0, 3, 1, 2)))
        z = z * tf.cast(rows[:, None] * columns, z.dtype)
        z = tf.gather(z, tf.where(rows > 0)[:, 0], axis=2)
        z = tf.gather(z, tf.where(columns > 0)[:, 0], axis=3)
        return tf.transpose(tf.signal.irfft2d(z), (0, 2, 3, 1))

    return pool


def _stride_case(shape, stride):
    import keras

    from spectral_keras.layers import DiffStride

    strides = keras.Variable([stride, stride])
    usual = usual_diff_stride(strides)
    layers = {
        "DiffStride": DiffStride(stride),
        'DiffStride(output_size="initial")': DiffStride(stride, output_size="initial"),
    }
    ways = {
        _USUAL_STRIDE: lambda: training_step(usual, random_input(shape), variables=[strides]),
        **{
            label: lambda layer=layer: layer_step(layer, shape, training_step)
            for label, layer in layers.items()
        },
    }
    layers["DiffStride"].build(shape)
    frozen = layers["DiffStride"].freeze()
    ways["freeze(), a SpectralPool"] = lambda: training_step(frozen, random_input(shape))
    size = frozen.output_size[0]
    name = f"learned stride {shape[1]}->{size}"
    return Case(name, shape_text(shape, size), _USUAL_STRIDE, ways)


def stride_cases():
    return [_stride_case((128, 32, 32, 96), 2.0), _stride_case((8, 224, 224, 16), 2.0)]


# Convolution over kernel sizes, and the convolution that also pools, against Conv2D.

_SHAPE, _FILTERS = (16, 64, 64, 16), 16
_KERNEL_SIZES = (3, 5, 7, 9, 11, 13, 15, 21, 31)

# What the project asks of a training step (speed of Conv2D = 1).
_TARGETS = {21: 5.0, 31: 10.0}
_NEVER_SLOWER = "at least 0.91x"


def convolution_cases():
    return [
        *(_kernel_size(kernel_size) for kernel_size in _KERNEL_SIZES),
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

        return layer_step(keras.layers.Conv2D(filters, kernel_size, padding="same"), shape, step)

    def fft_conv2d(implementation):
        from spectral_keras.layers import FFTConv2D

        layer = FFTConv2D(filters, kernel_size, padding="same", implementation=implementation)
        return layer_step(layer, shape, step)

    ways = {"Conv2D": conv2d}
    for implementation in implementations:
        ways[f"FFTConv2D {implementation}"] = lambda name=implementation: fft_conv2d(name)
    return ways


def layer_step(layer, shape, step):
    x = random_input(shape)
    if step is inference_step:
        layer.build(shape)
        return step(layer, x)
    return step(layer, x, variables=lambda: layer.trainable_variables)


def _kernel_size(kernel_size):
    target = f"at least {_TARGETS[kernel_size]:g}x" if kernel_size in _TARGETS else _NEVER_SLOWER
    return Case(
        name=f"convolution {kernel_size}x{kernel_size}",
        shape=f"{shape_text(_SHAPE)} -> {_FILTERS} channels, training step",
        reference="Conv2D",
        ways=_ways(_SHAPE, _FILTERS, kernel_size, ("matmul", "fft", "auto")),
        targets={"FFTConv2D auto": target},
    )


def _inference(kernel_size):
    return Case(
        name=f"convolution {kernel_size}x{kernel_size} forward",
        shape=f"{shape_text(_SHAPE)} -> {_FILTERS} channels, forward only",
        reference="Conv2D",
        ways=_ways(_SHAPE, _FILTERS, kernel_size, ("auto",), inference_step),
        targets={"FFTConv2D auto": _NEVER_SLOWER},
    )


def _channels(kernel_size):
    shape = (64, 32, 32, 96)
    return Case(
        name=f"convolution {kernel_size}x{kernel_size} 96 channels",
        shape=f"{shape_text(shape)} -> 96 channels, training step",
        reference="Conv2D",
        ways=_ways(shape, 96, kernel_size, ("matmul", "auto")),
        targets={"FFTConv2D auto": _NEVER_SLOWER},
    )


def _wide_maps():
    shape = (2, 224, 224, 64)
    return Case(
        name="convolution 7x7 large maps",
        shape=f"{shape_text(shape)} -> 64 channels, training step, in tiles",
        reference="Conv2D",
        ways=_ways(shape, 64, 7, ("matmul", "auto")),
        targets={"FFTConv2D auto": _NEVER_SLOWER},
    )


def _pooling():
    """Convolution and halving, as in a stage of a network."""
    shape = (64, 32, 32, 64)

    def spatial():
        import keras

        x = keras.Input(shape[1:])
        y = keras.layers.Conv2D(64, 3, padding="same")(x)
        return layer_step(keras.Model(x, keras.layers.AveragePooling2D(2)(y)), shape, training_step)

    def separate():
        import keras

        from spectral_keras.layers import FFTConv2D, SpectralPool

        x = keras.Input(shape[1:])
        y = FFTConv2D(64, 3, padding="circular", implementation="matmul")(x)
        return layer_step(keras.Model(x, SpectralPool(16)(y)), shape, training_step)

    def fused():
        from spectral_keras.layers import FFTConvPool2D

        return layer_step(FFTConvPool2D(64, 3, 16), shape, training_step)

    return Case(
        name="convolution 3x3 and pooling",
        shape=f"{shape_text(shape)} -> 16x16, 64 channels, training step",
        reference="Conv2D, AveragePooling2D",
        ways={
            "Conv2D, AveragePooling2D": spatial,
            "FFTConv2D matmul, SpectralPool": separate,
            "FFTConvPool2D": fused,
        },
    )


# FourierMask, forward and both gradients, against complex FFTs with transposes.

_MASKED = ((128, 32, 32, 3), (128, 32, 32, 64), (8, 224, 224, 3))
_USUAL_MASK = "usual way (fft2d, multiply, ifft2d, real)"


def _random_mask(shape):
    return np.random.default_rng(2).random(shape[1:3], dtype="float32")


def _usual_mask(shape):
    """What one writes first: NHWC images to complex planes and back."""

    def factory():
        import keras
        import tensorflow as tf

        mask = keras.Variable(_random_mask(shape))

        def function(x):
            z = tf.signal.fft2d(tf.cast(tf.transpose(x, (0, 3, 1, 2)), tf.complex64))
            z = z * tf.cast(mask.value, tf.complex64)
            return tf.transpose(tf.math.real(tf.signal.ifft2d(z)), (0, 2, 3, 1))

        return training_step(function, random_input(shape), variables=[mask])

    return factory


def _mask_layer(shape, implementation):
    def factory():
        from spectral_keras.layers.fourier_mask import FourierMask

        layer = FourierMask(constraint=None, implementation=implementation)
        layer.build(shape)
        layer.set_weights([_random_mask(shape)])
        return training_step(layer, random_input(shape), variables=[layer.mask])

    return factory


def mask_cases():
    """One case for each of `_MASKED`."""
    found = []
    for shape in _MASKED:
        ways = {_USUAL_MASK: _usual_mask(shape)}
        for implementation in ("auto", "fft", "matmul"):
            ways[f"FourierMask {implementation}"] = _mask_layer(shape, implementation)
        found.append(
            Case(
                name=f"mask {shape[1]}x{shape[2]}x{shape[3]}",
                shape=shape_text(shape),
                reference=_USUAL_MASK,
                ways=ways,
            )
        )
    return found


# Training steps of whole networks, spectral against spatial, and the batches that they wait for.

_BATCH = 128


def _network_step(name, precision="float32", **options):
    """A factory of the step: one `train_on_batch` of the network with Adam."""

    def factory():
        import keras

        from spectral_keras.models import registry

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(precision)
        try:
            model = registry.build(name, **options)
        finally:
            keras.config.set_dtype_policy(before)
        model.compile(
            keras.optimizers.Adam(1e-4),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        rng = np.random.default_rng(0)
        x = rng.random((_BATCH, 32, 32, 3), dtype=np.float32)
        y = rng.integers(0, 10, _BATCH).astype("int32")
        # train_on_batch returns the loss as a number: the step has finished.
        return lambda: model.train_on_batch(x, y)

    return factory


def _pipeline(augment):
    """A factory of the step that prepares one batch on the host, as the training command does."""

    def factory():
        from spectral_keras.augmentation.image import build_augmentation
        from spectral_keras.data import Batches

        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (4096, 32, 32, 3)).astype("uint8")
        labels = np.zeros(len(images), "int32")
        batches = Batches(
            images, labels, _BATCH, shuffle=True, augment=build_augmentation(augment), workers=0
        )
        position = iter(range(10**9))
        return lambda: batches[next(position) % len(batches)]

    return factory


def training_cases():
    """deep_spectral against its spatial twin, float32 and bfloat16; the input pipeline."""
    found = [
        Case(
            name="input pipeline",
            shape=f"[{_BATCH},32,32,3], one thread",
            reference="training step, bfloat16",
            ways={
                "training step, bfloat16": _network_step("deep_spectral", "mixed_bfloat16"),
                "batch, no augmentation": _pipeline("none"),
                "batch, crop_flip": _pipeline("crop_flip"),
                "batch, report": _pipeline("report"),
            },
            targets={"batch, report": "does not hold up a step"},
        )
    ]
    for precision in ("float32", "mixed_bfloat16"):
        label = precision.removeprefix("mixed_")
        found.append(
            Case(
                name=f"deep_spectral step {label}",
                shape=f"[{_BATCH},32,32,3], forward, backward and Adam",
                reference="Conv2D",
                ways={
                    "Conv2D": _network_step("deep_spectral", precision, conv="spatial"),
                    "SpectralConv2D": _network_step("deep_spectral", precision, conv="spectral"),
                },
                targets={"SpectralConv2D": "<= 1.05x" if precision == "float32" else ""},
            )
        )
    return found
