"""Jobs of `benchmarks.scaling`: layers and networks over image size, width and batch.

Each job runs in a process of its own, so that the peak of its memory is its own.
"""

import dataclasses
import resource
import statistics
import time

SIZES = (32, 64, 128, 224)

# The constants of the cost model are fitted on the layers at these sizes.  Layers at the other
# sizes and all networks are held out.
FITTED_SIZES = (32, 128)

CHANNELS = 32


def _layers():
    """Label -> layer, for maps of `CHANNELS` channels of a side."""
    import keras

    from spectral_keras import layers

    same = {"padding": "same"}
    return {
        "Conv2D 3x3": lambda n: keras.layers.Conv2D(CHANNELS, 3, **same),
        "SpectralConv2D 3x3": lambda n: layers.SpectralConv2D(CHANNELS, 3, **same),
        "FFTConv2D 7x7 matmul": lambda n: layers.FFTConv2D(
            CHANNELS, 7, implementation="matmul", **same
        ),
        "FFTConv2D 7x7 fft": lambda n: layers.FFTConv2D(CHANNELS, 7, implementation="fft", **same),
        "FFTConvPool2D 3x3 matmul": lambda n: layers.FFTConvPool2D(
            CHANNELS, 3, n // 2, implementation="matmul"
        ),
        "SpectralPool matmul": lambda n: layers.SpectralPool(n // 2, implementation="matmul"),
        "SpectralPool fft": lambda n: layers.SpectralPool(n // 2, implementation="fft"),
        "FrequencyDropout": lambda n: layers.FrequencyDropout(0.3, implementation="matmul"),
        "FourierMask": lambda n: layers.FourierMask(),
        "PowerSuppression": lambda n: layers.PowerSuppression(1.0),
        "FrequencyNoise": lambda n: layers.FrequencyNoise(),
        "ChannelGate": lambda n: layers.ChannelGate(64),
        "MaxPooling2D": lambda n: keras.layers.MaxPooling2D(2),
        "BatchNormalization": lambda n: keras.layers.BatchNormalization(),
        "ReLU": lambda n: keras.layers.ReLU(),
    }


@dataclasses.dataclass(frozen=True)
class Job:
    """One layer or network at one size, on several batches.

    Attributes:
        name: label of a layer, or name of a network of the zoo.
        size: side of the image or map.
        batches: increasing numbers of images.
        network: whether it is one of the zoo.
        options: of the network, as pairs.
    """

    name: str
    size: int
    batches: tuple
    network: bool = False
    options: tuple = ()

    @property
    def fitted(self):
        return not self.network and self.size in FITTED_SIZES

    @property
    def label(self):
        options = "".join(f" {key}={value:g}" for key, value in self.options)
        return f"{self.name}{options} {self.size}x{self.size}"


# Layers that are measured at all sizes; the others at the smallest and the largest.
_MAIN = (
    "Conv2D 3x3",
    "SpectralConv2D 3x3",
    "FFTConv2D 7x7 matmul",
    "FFTConv2D 7x7 fft",
    "SpectralPool matmul",
    "SpectralPool fft",
)


def jobs():
    """All jobs: layers over size on maps of 16 MB, networks over size, width and batch."""
    found = []
    for size in SIZES:
        batch = max(1, round(2**22 / (size * size * CHANNELS)))
        batches = (batch // 4, batch) if size == SIZES[0] else (batch,)
        names = _layers() if size in (SIZES[0], SIZES[-1]) else _MAIN
        found += [Job(name, size, batches) for name in names]
    half, quarter = (("width", 0.5),), (("width", 0.25),)
    for name in ("deep_spectral", "spectral_pool_cnn", "resnet18", "vgg11_bn"):
        found += [
            Job(name, 32, (4, 16), True),
            Job(name, 32, (16,), True, half),
            Job(name, 64, (4,), True),
            Job(name, 128, (2,), True, half),
            Job(name, 224, (2,), True, quarter),
        ]
    # Without a width; beyond 128 the spectra of its kernels take gigabytes.
    found += [
        Job("fourier_cnn", 32, (4, 16), True),
        Job("fourier_cnn", 64, (4,), True),
        Job("fourier_cnn", 128, (2,), True),
    ]
    return found


def cost(job, batch):
    """The `ModelCost` of a job on a batch."""
    from benchmarks import model_costs

    if job.network:
        model = model_costs.build(job.name, (job.size, job.size, 3), 10, **dict(job.options))
        return model_costs.model_cost(model, batch)
    layer = _layers()[job.name](job.size)
    return model_costs.single_layer_cost(layer, (job.size, job.size, CHANNELS), batch)


def peak_bytes(job, cost):
    """What the model says of the growth of the peak of memory in `measure`."""
    if job.network:
        return cost.activation_bytes() + cost.gradient_bytes()
    # Input, output and both gradients are held by the benchmark.
    (layer,) = (each for each in cost.layers if each.kind != "InputLayer")
    ends = cost.transient - layer.workspace
    inside = layer.kept + layer.kept_wide + layer.workspace
    return 4 * (2 * ends + inside) + cost.gradient_bytes()


def _layer_step(job):
    """step(batch): forward and backward pass; its inputs are made inside."""
    import tensorflow as tf

    shape = (job.size, job.size, CHANNELS)
    layer = _layers()[job.name](job.size)
    outputs = layer.compute_output_shape((None, *shape))[1:]
    layer.build((None, *shape))

    @tf.function(
        input_signature=[tf.TensorSpec((None, *shape)), tf.TensorSpec((None, *outputs))],
        autograph=False,
        jit_compile=False,
    )
    def run(x, direction):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        weights = [weight.value for weight in layer.trainable_weights]
        return y, tape.gradient(y, [x, *weights], output_gradients=direction)

    def prepare(batch):
        # NumPy's makes no temporary copies, which would count.
        x, direction = (_random((batch, *each)) for each in (shape, outputs))
        return lambda: run(x, direction)

    return prepare


def _network_step(job):
    """step(batch): forward, backward and update by SGD with momentum."""
    import keras
    import tensorflow as tf

    from spectral_keras.models import registry

    model = registry.build(job.name, (job.size, job.size, 3), 10, **dict(job.options))
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, job.size, job.size, 3)),
            tf.TensorSpec((None,), tf.int32),
        ],
        autograph=False,
        jit_compile=False,
    )
    def run(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        weights = [weight.value for weight in model.trainable_variables]
        optimizer.apply(tape.gradient(value, weights), model.trainable_variables)
        return value

    def prepare(batch):
        x = _random((batch, job.size, job.size, 3))
        y = tf.zeros((batch,), tf.int32)
        return lambda: run(x, y)

    return prepare


def _random(shape):
    import numpy as np
    import tensorflow as tf

    return tf.constant(np.random.default_rng(0).random(shape, dtype="float32"))


def _resident():
    """Bytes of this process in memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _peak():
    """The most bytes of this process that ever were in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(job, threads, seconds):
    """Runs in a fresh process.

    Returns:
        A dict for each batch: processor and wall time of a step, the growth of the peak of memory.
    """
    import keras
    import tensorflow as tf

    from spectral_keras.memory import keep_freed_memory

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    prepare = (_network_step if job.network else _layer_step)(job)
    # One image: the graph, the weights and the optimiser's slots are there afterwards.
    prepare(1)()
    before, rows = _resident(), []
    for batch in job.batches:
        started = _peak()
        step = prepare(batch)
        step()
        grown = _peak()
        rows.append({"batch": batch, "peak_bytes": grown - before if grown > started else None})
        del step
    keep_freed_memory()
    for row in rows:
        row.update(_times(prepare(row["batch"]), seconds))
    return rows


def _times(step, seconds):
    wall, processor = [], []
    step()
    begin = time.perf_counter()
    while len(wall) < 2 or (time.perf_counter() - begin < seconds and len(wall) < 50):
        start, cpu_start = time.perf_counter(), time.process_time()
        step()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - cpu_start)
    return {
        "milliseconds": 1e3 * statistics.median(wall),
        "cpu_milliseconds": 1e3 * statistics.median(processor),
        "cpu_fastest": 1e3 * min(processor),
        "repeats": len(wall),
    }
