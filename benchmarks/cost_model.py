"""What the cost model says: the tables of docs/scaling.md, or one network on one machine.

The measured tables come from the JSON files of `python -m benchmarks.scaling`, `benchmarks.devices`
and `benchmarks.data`; the predicted ones from the counts of the layers and from data sheets
(benchmarks/machines.py).
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.cost_model")

import functools
import os
import pathlib
import re

from benchmarks import measured_tables
from benchmarks.measured_tables import labelled, short, table

IMAGES, EPOCHS, CLASSES, SIDE = 1_281_167, 90, 1000, 224
GPUS = (1, 8, 64)
LARGEST_BATCH = 256

# The zoo, and two variants whose heads or kernels change what is exchanged.
IMAGENET = (
    ("deep_spectral", ()),
    ("spectral_pool_cnn", ()),
    ("fourier_cnn", ()),
    ("resnet18", ()),
    ("resnext29", ()),
    ("googlenet", ()),
    ("efficientnet_b0", ()),
    ("mobilenet_v2", ()),
    ("vgg11_bn", ()),
    ("vgg11_bn", (("head", "imagenet"),)),
    ("vgg16", ()),
    ("vgg16_bn", ()),
    ("vgg16", (("head", "imagenet"),)),
    ("generic_cnn", ()),
)


@functools.cache
def _imagenet_model(name, options):
    from benchmarks import model_costs

    return model_costs.build(name, (SIDE, SIDE, 3), CLASSES, **dict(options))


@functools.cache
def _imagenet_cost(name, options, batch):
    from benchmarks import model_costs

    return model_costs.model_cost(_imagenet_model(name, options), batch)


def _fitting(name, options, machine):
    """`ModelCost` of the largest power of two, up to `LARGEST_BATCH`, that fits, or None."""
    from benchmarks import machines

    batch = LARGEST_BATCH
    while batch:
        cost = _imagenet_cost(name, options, batch)
        needed = cost.weight_bytes() + cost.activation_bytes(2)
        if needed <= machines.MEMORY_FILLED * machine.memory:
            return cost
        batch //= 2
    return None


def table_zoo(_):
    """Counts of the zoo for ImageNet, for each image of a step."""
    rows = []
    for name, options in IMAGENET:
        one, two = (_imagenet_cost(name, options, batch) for batch in (1, 2))
        # What the batch shares, weights and spectra of kernels, cancels in the difference.
        memory = two.activation_bytes(2) - one.activation_bytes(2)
        shared = one.activation_bytes(2) - memory
        rows.append(
            (
                labelled(name, options),
                short((two.flops("forward") - one.flops("forward")) / 1e9),
                short((two.flops() - one.flops()) / 1e9),
                short((two.bytes(2, True) - one.bytes(2, True)) / 1e6),
                short(memory / 1e6),
                short(max(shared, 0) / 1e6),
                short(one.weights / 1e6),
                short(one.gradient_bytes() / 1e6),
            )
        )
    header = (
        "network", "GFLOP forward", "GFLOP a step", "MB moved", "MB kept", "MB kept once a batch",
        "million weights", "MB of gradients",
    )  # fmt: skip
    return table(header, rows)


def _imagenet_rows(machine):
    from benchmarks import machines

    for name, options in IMAGENET:
        cost = _fitting(name, options, machine)
        if cost is None:
            yield (labelled(name, options), "does not fit", *["-"] * 9)
            continue
        one = machines.step_time(cost.steps, machine)
        hours = [
            EPOCHS * IMAGES / (gpus * cost.batch)
            * machines.parallel_time(cost, machine, gpus) / 3600
            for gpus in GPUS
        ]  # fmt: skip
        exchange = machines.all_reduce_time(cost.gradient_bytes(), GPUS[-1], machine)
        slower = machines.parallel_time(cost, machine, GPUS[-1], overlap=False)
        yield (
            labelled(name, options),
            cost.batch,
            short(cost.batch / one.total),
            f"{100 * one.arithmetic / one.total:.0f} %",
            f"{100 * one.traffic / one.total:.0f} %",
            one.bound,
            *map(short, hours),
            short(1e3 * one.backward),
            short(1e3 * exchange),
            f"{100 * one.total / slower:.0f} %",
        )


def _imagenet_table(machine):
    header = (
        "network", "batch a GPU", "images/s, 1 GPU", "waits for arithmetic", "for memory", "bound",
        "hours, 1", "8", "64 GPUs", "backward, ms", "all-reduce of 64, ms",
        "efficiency of 64 without overlap",
    )  # fmt: skip
    return table(header, _imagenet_rows(machine))


def table_imagenet_h100(_):
    """90 epochs of ImageNet on H100s, bfloat16."""
    from benchmarks import machines

    return _imagenet_table(machines.H100)


def table_imagenet_a100(_):
    """90 epochs of ImageNet on A100s of 80 GB, bfloat16."""
    from benchmarks import machines

    return _imagenet_table(machines.A100)


# NVIDIA, DeepLearningExamples, TensorFlow/Classification/ConvNets/resnet50v1.5/README.md: DGX A100
# (A100 40GB), container 20.06, XLA, batch 256 a GPU.
PUBLISHED = (("bfloat16", 1, 2375), ("bfloat16", 8, 17400), ("tf32", 1, 909), ("tf32", 8, 7000))


def table_published(_):
    """ResNet-50 on A100s of 40 GB against NVIDIA's own measurements."""
    import keras

    from benchmarks import machines, model_costs

    with keras.StatelessScope(initialize_variables=False):
        model = keras.applications.ResNet50(weights=None)
    cost = model_costs.model_cost(model, 256)
    rows = []
    for precision, gpus, measured in PUBLISHED:
        seconds = machines.parallel_time(cost, machines.A100_40GB, gpus, precision)
        predicted = gpus * cost.batch / seconds
        name = {"bfloat16": "mixed precision", "tf32": "TF32"}[precision]
        rows.append(
            (f"{name}, {gpus} GPU", measured, f"{predicted:.0f}", f"{predicted / measured:.2f}")
        )
    return table(("ResNet-50, images/s", "published", "predicted", "ratio"), rows)


def _kinds():
    """Label -> layer for maps of 56 x 56 x 128, as in the second stage of a network."""
    import keras

    from spectral_keras import layers

    same = {"padding": "same"}
    return {
        "Conv2D 3x3": keras.layers.Conv2D(128, 3, **same),
        "Conv2D 1x1": keras.layers.Conv2D(128, 1, **same),
        "SpectralConv2D 3x3": layers.SpectralConv2D(128, 3, **same),
        "SpectralConv2D 3x3, hermitian": layers.SpectralConv2D(
            128, 3, parametrization="hermitian", **same
        ),
        "FFTConv2D 3x3, matmul": layers.FFTConv2D(128, 3, implementation="matmul", **same),
        "FFTConv2D 11x11, matmul": layers.FFTConv2D(128, 11, implementation="matmul", **same),
        "FFTConv2D 11x11, fft": layers.FFTConv2D(128, 11, implementation="fft", **same),
        "Conv2D 11x11": keras.layers.Conv2D(128, 11, **same),
        "FFTConvPool2D 3x3 to 28x28": layers.FFTConvPool2D(128, 3, 28),
        "SpectralPool to 28x28, matmul": layers.SpectralPool(28, implementation="matmul"),
        "SpectralPool to 28x28, fft": layers.SpectralPool(28, implementation="fft"),
        "FrequencyDropout": layers.FrequencyDropout(0.3),
        "FourierMask": layers.FourierMask(),
        "PowerSuppression": layers.PowerSuppression(1.0),
        "FrequencyNoise": layers.FrequencyNoise(),
        "ChannelGate": layers.ChannelGate(),
        "MaxPooling2D": keras.layers.MaxPooling2D(2),
        "BatchNormalization": keras.layers.BatchNormalization(),
    }


def table_kinds(_):
    """Each kind of layer on maps of 56 x 56 x 128, batch 128, on an H100."""
    from benchmarks import machines, model_costs

    batch, rows = 128, []
    for label, layer in _kinds().items():
        cost = model_costs.single_layer_cost(layer, (56, 56, 128), batch)
        moved = cost.bytes(2, fusion=True)
        (only,) = cost.layers
        kept = 2 * only.kept + 4 * only.kept_wide
        time = machines.step_time(cost.steps, machines.H100)
        rows.append(
            (
                label,
                short(cost.flops("forward") / batch / 1e6),
                short(cost.flops() / batch / 1e6),
                short(moved / batch / 1e6),
                short(cost.flops() / moved),
                short(kept / batch / 1e6),
                short(cost.weights / 1e3),
                short(1e3 * time.total),
                f"{100 * time.arithmetic / time.total:.0f} %",
                time.bound,
            )
        )
    header = (
        "layer", "MFLOP forward", "MFLOP a step", "MB moved", "FLOP/byte", "MB kept inside",
        "thousand weights", "ms, batch 128", "waits for arithmetic", "bound",
    )  # fmt: skip
    return table(header, rows)


def _pool_seconds(how, size, seconds):
    """A training step of spectral pooling to half the side, 32 channels."""
    from benchmarks import model_costs
    from spectral_keras.layers import SpectralPool

    layer = SpectralPool(size // 2, implementation=how)
    batch = max(1, 2**24 // (32 * size * size))
    return seconds(model_costs.single_layer_cost(layer, (size, size, 32), batch))


def table_pooling(results):
    """Spectral pooling to half the side: how much longer the FFT takes than matrices."""
    from benchmarks import machines

    processor = machines.Processor(**results["summary"]["constants"])
    ways = {
        "one core, fitted": processor.seconds,
        "H100": lambda cost: machines.step_time(cost.steps, machines.H100).total,
        "A100": lambda cost: machines.step_time(cost.steps, machines.A100).total,
    }
    sizes = (32, 64, 128, 224, 256, 512, 1024, 2048)
    rows = []
    for label, seconds in ways.items():
        ratios = [
            _pool_seconds("fft", n, seconds) / _pool_seconds("matmul", n, seconds) for n in sizes
        ]
        rows.append((label, *(f"{ratio:.2f}" for ratio in ratios)))
    return table(("FFT over matmul", *map(str, sizes)), rows)


def _convolution_seconds(layer, seconds):
    from benchmarks import model_costs

    return seconds(model_costs.single_layer_cost(layer, (56, 56, 128), 64))


def table_kernels(results):
    """Maps of 56 x 56, 128 to 128 channels: how much longer Conv2D takes than FFTConv2D."""
    import keras

    from benchmarks import machines
    from spectral_keras.layers import FFTConv2D

    processor = machines.Processor(**results["summary"]["constants"])
    ways = {
        "one core, fitted": processor.seconds,
        "H100": lambda cost: machines.step_time(cost.steps, machines.H100).total,
        "A100": lambda cost: machines.step_time(cost.steps, machines.A100).total,
    }
    kernels = (3, 5, 7, 9, 11, 15, 21, 31)
    rows = []
    for label, seconds in ways.items():
        cells = []
        for kernel in kernels:
            direct = keras.layers.Conv2D(128, kernel, padding="same")
            spectral = (
                FFTConv2D(128, kernel, padding="same", implementation=how)
                for how in ("matmul", "fft")
            )
            best = min(_convolution_seconds(layer, seconds) for layer in spectral)
            cells.append(f"{_convolution_seconds(direct, seconds) / best:.2f}")
        rows.append((label, *cells))
    return table(("Conv2D over FFTConv2D", *(f"{k}x{k}" for k in kernels)), rows)


def table_traffic(_):
    """What the parametrisation of the kernels costs in the exchange of gradients."""
    from benchmarks import machines

    rows = []
    choices = {"spatial": "Conv2D", "hermitian": "hermitian", "spectral": "full"}
    for name, others in (
        ("deep_spectral", ()),
        ("spectral_pool_cnn", ()),
        ("resnet18", ()),
        ("vgg16", ()),
        ("vgg16", (("head", "imagenet"),)),
    ):
        for choice, label in choices.items():
            cost = _imagenet_cost(name, (("conv", choice), *others), 1)
            bytes_ = cost.gradient_bytes()
            times = [
                machines.all_reduce_time(bytes_, gpus, machine)
                for gpus, machine in (
                    (8, machines.H100), (64, machines.H100), (64, machines.H100_ETHERNET),
                )
            ]  # fmt: skip
            rows.append(
                (
                    f"{labelled(name, others)}, {label}",
                    short(cost.weights / 1e6),
                    short(bytes_ / 1e6),
                    *(short(1e3 * time) for time in times),
                )
            )
    header = (
        "network", "million weights", "MB of gradients", "ms, 8 GPUs", "ms, 64 GPUs",
        "ms, 64 GPUs, 100 Gb/s a server",
    )  # fmt: skip
    return table(header, rows)


def hiding_batch(cost_of, machine, gpus, precision="bfloat16"):
    """The smallest power of two for which the backward pass takes as long as the all-reduce.

    Args:
        cost_of: batch -> `ModelCost`.
    """
    from benchmarks import machines

    batch = 1
    while batch <= 2**14:
        cost = cost_of(batch)
        backward = machines.step_time(cost.steps, machine, precision).backward
        if backward >= machines.all_reduce_time(cost.gradient_bytes(), gpus, machine):
            return batch
        batch *= 2
    return None


def table_hiding(_):
    """Batch for each GPU from which the backward pass hides the all-reduce."""
    from benchmarks import machines

    settings = ((8, machines.H100), (64, machines.H100), (64, machines.H100_ETHERNET))
    rows = []
    for name, options in IMAGENET:
        cost_of = functools.partial(_imagenet_cost, name, options)
        found = [hiding_batch(cost_of, machine, gpus) for gpus, machine in settings]
        rows.append(
            (labelled(name, options), *("more than 16,384" if b is None else b for b in found))
        )
    header = ("network", "8 H100", "64 H100", "64 H100, 100 Gb/s a server")
    return table(header, rows)


def table_spectra(_):
    """Spectra that an `FFTConvPool2D` without pooling keeps in bfloat16: kernel + each image."""
    from benchmarks import model_costs
    from spectral_keras.layers import FFTConvPool2D

    sizes, rows = (32, 56, 112, 224), []
    for channels in (32, 64, 128, 256, 512):
        cells = []
        for size in sizes:
            layer = FFTConvPool2D(channels, 3, size, implementation="matmul")
            one, two = (
                model_costs.single_layer_cost(layer, (size, size, channels), batch).layers[0].kept
                for batch in (1, 2)
            )
            kernel, image = 2 * (2 * one - two), 2 * (two - one)
            cells.append(f"{short(kernel / 1e6)} + {short(image / 1e6)}")
        rows.append((f"{channels} to {channels}", *cells))
    return table(("channels", *(f"{size}x{size}, MB" for size in sizes)), rows)


TABLES = {
    name.removeprefix("table_"): function
    for name, function in [*vars(measured_tables).items(), *globals().items()]
    if name.startswith("table_")
}

_BLOCK = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text, results):
    """A page with the tables between `<!-- table NAME -->` and `<!-- end -->` made anew."""

    def replace(match):
        if match[2] not in TABLES:
            raise ValueError(f"there is no table {match[2]!r}, there are {', '.join(TABLES)}")
        return f"{match[1]}{TABLES[match[2]](results)}\n{match[3]}"

    return _BLOCK.sub(replace, text)


def _network(options):
    """Lines on one network on one machine."""
    from benchmarks import machines, model_costs

    shape = (options.image_size, options.image_size, 3)
    model = model_costs.build(options.network, shape, options.classes)
    cost = model_costs.model_cost(model, options.batch_size)
    machine = machines.MACHINES[options.machine]
    one = machines.step_time(cost.steps, machine, options.precision)
    kinds = {}
    for layer in cost.layers:
        time = machines.step_time(layer.steps, machine, options.precision)
        kinds.setdefault(layer.kind, [0, 0, 0.0, 0.0])
        for i, value in enumerate((1, layer.flops(), time.total, time.arithmetic)):
            kinds[layer.kind][i] += value
    rows = []
    for kind, (count, flops, total, wait) in sorted(kinds.items(), key=lambda each: -each[1][2]):
        share = f"{100 * wait / total:.0f} %" if total else "-"
        rows.append((kind, count, short(flops / 1e9), short(1e3 * total), share))
    size = machines.PRECISION_BYTES[options.precision]
    exchange = machines.all_reduce_time(cost.gradient_bytes(), options.gpus, machine)
    step = machines.parallel_time(cost, machine, options.gpus, options.precision)
    return "\n".join(
        [
            table(("layers", "number", "GFLOP", "ms", "waits for arithmetic"), rows),
            "",
            f"step of one {machine.name}: {1e3 * one.total:.2f} ms, bound by {one.bound}; "
            f"{cost.flops() / 1e9:.1f} GFLOP, {cost.bytes(size, True) / 1e9:.2f} GB moved",
            f"memory: {cost.activation_bytes(size) / 1e9:.2f} GB of activations, "
            f"{cost.weight_bytes() / 1e9:.2f} GB of weights, gradients and momentum",
            f"{options.gpus} GPUs: all-reduce {1e3 * exchange:.2f} ms "
            f"(backward pass {1e3 * one.backward:.2f} ms), "
            f"{options.gpus * options.batch_size / step:.0f} images/s",
        ]
    )


def main(arguments=None):
    from spectral_keras.experiments.command import OneLineParser
    from spectral_keras.experiments.train.options import number
    from spectral_keras.models import registry

    parser = OneLineParser(prog="python -m benchmarks.cost_model", description=__doc__)
    parser.add_argument(
        "--results",
        default=str(measured_tables.FOLDER),
        metavar="FOLDER",
        help="of scaling.json, devices.json and data.json (default: benchmarks/results)",
    )
    parser.add_argument("--table", action="append", choices=sorted(TABLES), help="print only this")
    parser.add_argument("--write", metavar="PAGE.md", help="fill in the tables of this page")
    one = parser.add_argument_group("one network instead of the tables")
    one.add_argument("--network", choices=registry.names())
    one.add_argument("--image-size", type=number(int, 1), default=SIDE)
    one.add_argument("--classes", type=number(int, 2), default=CLASSES)
    one.add_argument("--batch-size", type=number(int, 1), default=64, help="of each GPU")
    one.add_argument("--gpus", type=number(int, 1), default=1)
    one.add_argument("--machine", choices=("h100", "a100", "h100-ethernet"), default="h100")
    one.add_argument("--precision", choices=("bfloat16", "tf32"), default="bfloat16")
    options = parser.parse_args(arguments)
    if options.network and (options.table or options.write):
        parser.error("--network goes with neither --table nor --write")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if options.network:
        try:
            print(_network(options))
        except ValueError as error:
            parser.error(str(error))
        return 0
    try:
        results = measured_tables.load(options.results)
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"{type(error).__name__}: {error}"
        parser.error(f"--results {options.results!r} cannot be read: {what}")
    if options.write:
        from spectral_keras.experiments.folder import write_text

        try:
            page = pathlib.Path(options.write).read_text()
            write_text(options.write, filled(page, results))
        except (OSError, ValueError) as error:
            parser.error(f"--write {options.write!r}: {error}")
        return 0
    for name in options.table or TABLES:
        print(f"{name}: {TABLES[name].__doc__}\n\n{TABLES[name](results)}\n")
    return 0
