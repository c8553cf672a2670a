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
from benchmarks.harness import Case, deferred, inference_step, random_input, training_step


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
        *(_stride_case(shape, 2.0) for shape in ((128, 32, 32, 96), (8, 224, 224, 16))),
        *convolution_cases(),
        *(_mask_case(shape) for shape in _MASKED),
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


# Each usual way takes and returns images with the channels last.


def planes(x):
    import tensorflow as tf

    return tf.transpose(x, (0, 3, 1, 2))


def images(z):
    import tensorflow as tf

    return tf.transpose(z, (0, 2, 3, 1))


def spectra(x):
    """Complex 2-D FFTs of the planes."""
    import tensorflow as tf

    return tf.signal.fft2d(tf.cast(planes(x), tf.complex64))


def middle(z, size):
    """The size x size lowest frequencies of shifted spectra, in the FFT's order again."""
    import tensorflow as tf

    top, left = (n // 2 - size // 2 for n in z.shape[2:])
    return tf.signal.ifftshift(z[:, :, top : top + size, left : left + size], axes=(2, 3))


def usual_spectral_pool(size, window=None):
    """The operation as it is usually written: complex 2-D FFTs, shift, crop, real part.

    `window` gives the weights of a row of frequencies; ASAP takes the root of a Hamming window.
    """
    import tensorflow as tf

    def pool(x):
        height, width = x.shape[1:3]
        z = tf.signal.fftshift(spectra(x), axes=(2, 3))
        if window is not None:
            weights = np.sqrt(np.outer(window(height), window(width)))
            z = z * tf.constant(weights, tf.complex64)
        z = tf.signal.ifft2d(middle(z, size))
        return images(tf.math.real(z) * (size * size / (height * width)))

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
        z = tf.signal.ifft2d(spectra(x) * keep[:, None] * keep[None, :])
        return images(tf.math.real(z))

    return drop


def shape_text(shape, size=None):
    text = "[" + ",".join(map(str, shape)) + "]"
    return text if size is None else f"{text} -> {size}x{size}"


def steps(functions, shape, variables=()):
    """Label -> factory of a training step of a function of images, and of variables."""
    return {
        label: lambda function=function: training_step(
            function, random_input(shape), variables=variables
        )
        for label, function in functions.items()
    }


def layer_steps(layers, shape, step=training_step):
    """Label -> factory of a step of a layer, with the gradients of its weights if it trains."""

    def factory(layer):
        x = random_input(shape)
        if step is inference_step:
            layer.build(shape)
            return step(layer, x)
        return step(layer, x, variables=lambda: layer.trainable_variables)

    return {label: lambda layer=layer: factory(layer) for label, layer in layers.items()}


def _pool_case(shape, size, pool_size, targets):
    import keras

    from spectral_keras.layers.spectral_pool import SpectralPool

    functions = {
        _USUAL: usual_spectral_pool(size),
        "SpectralPool": SpectralPool(size),
        "SpectralPool(fft)": SpectralPool(size, implementation="fft"),
    }
    if pool_size is not None:
        functions["AveragePooling2D"] = keras.layers.AveragePooling2D(pool_size)
        functions["MaxPooling2D"] = keras.layers.MaxPooling2D(pool_size)
    name = f"spectral pooling {shape[1]}->{size}"
    return Case(name, shape_text(shape, size), _USUAL, steps(functions, shape), targets)


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
    name = f"spectral pooling with frequency dropout {shape[1]}->{size}"
    return Case(name, shape_text(shape, size), _USUAL, steps(functions, shape))


def _dropout_case(shape):
    from spectral_keras.layers.frequency_dropout import FrequencyDropout

    layer, each = FrequencyDropout(0.3), FrequencyDropout(0.3, per_sample=True)
    functions = {
        _USUAL: usual_frequency_dropout(0.3),
        "FrequencyDropout": lambda x: layer(x, training=True),
        "FrequencyDropout(per_sample=True)": lambda x: each(x, training=True),
    }
    name = f"frequency dropout {shape[1]}"
    return Case(name, shape_text(shape), _USUAL, steps(functions, shape))


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
        height, width = x.shape[1:3]
        rows = ramp(
            strides[0], height, tf.constant(np.abs(np.fft.fftfreq(height, 1 / height)), x.dtype)
        )
        columns = ramp(strides[1], width, tf.range(width // 2 + 1, dtype=x.dtype))
        z = tf.signal.rfft2d(planes(x))
        z = z * tf.cast(rows[:, None] * columns, z.dtype)
        z = tf.gather(z, tf.where(rows > 0)[:, 0], axis=2)
        z = tf.gather(z, tf.where(columns > 0)[:, 0], axis=3)
        return images(tf.signal.irfft2d(z))

    return pool


def _stride_case(shape, stride):
    import keras

    from spectral_keras.layers import DiffStride

    strides = keras.Variable([stride, stride])
    layers = {
        "DiffStride": DiffStride(stride),
        'DiffStride(output_size="initial")': DiffStride(stride, output_size="initial"),
    }
    ways = steps({_USUAL_STRIDE: usual_diff_stride(strides)}, shape, [strides])
    ways |= layer_steps(layers, shape)
    layers["DiffStride"].build(shape)
    frozen = layers["DiffStride"].freeze()
    ways |= steps({"freeze(), a SpectralPool": frozen}, shape)
    size = frozen.output_size[0]
    name = f"learned stride {shape[1]}->{size}"
    return Case(name, shape_text(shape, size), _USUAL_STRIDE, ways)


# Convolution over kernel sizes, and the convolution that also pools, against Conv2D.

_SHAPE, _FILTERS = (16, 64, 64, 16), 16
_KERNEL_SIZES = (3, 5, 7, 9, 11, 13, 15, 21, 31)

# What the project asks of a training step (speed of Conv2D = 1).
_TARGETS = {21: "at least 5x", 31: "at least 10x"}
_NEVER_SLOWER = "at least 0.91x"


def convolution_cases():
    all_ways, two_ways, wide = ("matmul", "fft", "auto"), ("matmul", "auto"), (64, 32, 32, 96)
    return [
        *(_convolution(f"{size}x{size}", _SHAPE, _FILTERS, size, all_ways,
                       target=_TARGETS.get(size, _NEVER_SLOWER)) for size in _KERNEL_SIZES),
        _convolution("7x7 forward", _SHAPE, _FILTERS, 7, ("auto",), "forward only",
                     step=inference_step),
        _convolution("7x7 large maps", (2, 224, 224, 64), 64, 7, two_ways,
                     "training step, in tiles"),
        _convolution("3x3 96 channels", wide, 96, 3, two_ways),
        _convolution("5x5 96 channels", wide, 96, 5, two_ways),
        _pooling(),
    ]  # fmt: skip


def _convolution(name, shape, filters, kernel_size, implementations, what="training step", *,
                 target=_NEVER_SLOWER, step=training_step):  # fmt: skip
    """A Conv2D, and an FFTConv2D of each implementation."""
    import keras

    from spectral_keras.layers import FFTConv2D

    arguments = {"filters": filters, "kernel_size": kernel_size, "padding": "same"}
    layers = {"Conv2D": keras.layers.Conv2D(**arguments)}
    for implementation in implementations:
        layer = FFTConv2D(**arguments, implementation=implementation)
        layers[f"FFTConv2D {implementation}"] = layer
    return Case(
        name=f"convolution {name}",
        shape=f"{shape_text(shape)} -> {filters} channels, {what}",
        reference="Conv2D",
        ways=layer_steps(layers, shape, step),
        targets={"FFTConv2D auto": target},
    )


def _pooling():
    """Convolution and halving, as in a stage of a network."""
    import keras

    from spectral_keras.layers import FFTConv2D, FFTConvPool2D, SpectralPool

    shape = (64, 32, 32, 64)
    layers = {
        "Conv2D, AveragePooling2D": keras.Sequential(
            [keras.layers.Conv2D(64, 3, padding="same"), keras.layers.AveragePooling2D(2)]
        ),
        "FFTConv2D matmul, SpectralPool": keras.Sequential(
            [FFTConv2D(64, 3, padding="circular", implementation="matmul"), SpectralPool(16)]
        ),
        "FFTConvPool2D": FFTConvPool2D(64, 3, 16),
    }
    return Case(
        name="convolution 3x3 and pooling",
        shape=f"{shape_text(shape)} -> 16x16, 64 channels, training step",
        reference="Conv2D, AveragePooling2D",
        ways=layer_steps(layers, shape),
    )


# FourierMask, forward and both gradients, against complex FFTs with transposes.

_MASKED = ((128, 32, 32, 3), (128, 32, 32, 64), (8, 224, 224, 3))
_USUAL_MASK = "usual way (fft2d, multiply, ifft2d, real)"


def usual_mask(mask):
    """What one writes first: NHWC images to complex planes and back."""
    import tensorflow as tf

    def function(x):
        z = tf.signal.ifft2d(spectra(x) * tf.cast(mask.value, tf.complex64))
        return images(tf.math.real(z))

    return function


def _mask_case(shape):
    import keras

    from spectral_keras.layers.fourier_mask import FourierMask

    weights = np.random.default_rng(2).random(shape[1:3], dtype="float32")
    mask = keras.Variable(weights)
    layers = {
        f"FourierMask {implementation}": FourierMask(constraint=None, implementation=implementation)
        for implementation in ("auto", "fft", "matmul")
    }
    for layer in layers.values():
        layer.build(shape)
        layer.set_weights([weights])
    ways = steps({_USUAL_MASK: usual_mask(mask)}, shape, [mask]) | layer_steps(layers, shape)
    name = f"mask {shape[1]}x{shape[2]}x{shape[3]}"
    return Case(name, shape_text(shape), _USUAL_MASK, ways)


# Training steps of whole networks, spectral against spatial, and the batches that they wait for.

_BATCH = 128


@deferred
def network_step(name, batch, size=32, precision="float32", **options):
    """One `train_on_batch` of a network of the zoo with Adam."""
    import keras

    from spectral_keras.models import registry

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = registry.build(name, (size, size, 3), 10, **options)
    finally:
        keras.config.set_dtype_policy(before)
    model.compile(
        keras.optimizers.Adam(1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    rng = np.random.default_rng(0)
    x = rng.random((batch, size, size, 3), dtype=np.float32)
    y = rng.integers(0, 10, batch).astype("int32")
    # train_on_batch returns the loss as a number: the step has finished.
    return lambda: model.train_on_batch(x, y)


@deferred
def _pipeline(augment):
    """One batch prepared on the host, as the training command does."""
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


def training_cases():
    """deep_spectral against its spatial twin, float32 and bfloat16; the input pipeline."""

    def step(precision, **options):
        return network_step("deep_spectral", _BATCH, precision=precision, **options)

    found = [
        Case(
            name="input pipeline",
            shape=f"[{_BATCH},32,32,3], one thread",
            reference="training step, bfloat16",
            ways={
                "training step, bfloat16": step("mixed_bfloat16"),
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
                    "Conv2D": step(precision, conv="spatial"),
                    "SpectralConv2D": step(precision, conv="spectral"),
                },
                targets={"SpectralConv2D": "<= 1.05x" if precision == "float32" else ""},
            )
        )
    return found
