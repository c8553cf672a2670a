"""Time of a training step on a machine, from the counts of `model_costs`.

Two kinds of machines.  `Processor`: constants fitted to measurements, the terms are added up.
`Accelerator`: published peaks and stated shares of them; of each kernel the longer one of
arithmetic and memory traffic counts (a roofline), and data parallelism adds the ring all-reduce of
the gradients.
"""

import dataclasses

from benchmarks.layer_costs import BACKWARD

GB, TERA = 1e9, 1e12


@dataclasses.dataclass(frozen=True)
class Processor:
    """Seconds for each unit of work, fitted.

    Attributes:
        product: of a floating point operation of a matrix product or a convolution.
        transform: of one of an FFT (2.5 n log2 n of them for n real numbers).
        byte: of a byte read or written.
        kernel: of a kernel, whatever its size.
    """

    product: float
    transform: float
    byte: float
    kernel: float

    def seconds(self, cost):
        return sum(
            factor * amount
            for factor, amount in zip(dataclasses.astuple(self), amounts(cost), strict=True)
        )


def amounts(cost):
    """What a `Processor` has a constant for: (products, transforms, bytes, kernels)."""
    steps = cost.steps
    return (
        sum(step.products for step in steps),
        sum(step.transforms for step in steps),
        sum(step.bytes() for step in steps),
        len(steps),
    )


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """A GPU in a server of eight, by its data sheet.

    Attributes:
        name: of the machine.
        matrix: precision -> floating point operations a second of dense matrix products.
        vector: the same for other arithmetic, float32.
        bandwidth: of its memory, bytes a second.
        memory: bytes.
        link: bytes a second in one direction to the other GPUs of the server.
        network: bytes a second in one direction between servers, all adapters of a server.
    """

    name: str
    matrix: dict
    vector: float
    bandwidth: float
    memory: float
    link: float
    network: float


# NVIDIA's data sheets "H100 Tensor Core GPU" (SXM; without sparsity) and "A100 80GB Tensor Core
# GPU" (the A100 40GB differs in its memory), and the user guides of DGX H100 (eight adapters of
# 400 Gb/s for the GPUs) and DGX A100 (eight of 200 Gb/s).  NVLink 900 and 600 GB/s are the sums
# of both directions.
H100 = Accelerator(
    "H100", {"bfloat16": 989.4 * TERA, "tf32": 494.7 * TERA}, 66.9 * TERA,
    3350 * GB, 80 * GB, 450 * GB, 400 * GB,
)  # fmt: skip
A100 = Accelerator(
    "A100", {"bfloat16": 312 * TERA, "tf32": 156 * TERA}, 19.5 * TERA,
    2039 * GB, 80 * GB, 300 * GB, 200 * GB,
)  # fmt: skip
A100_40GB = dataclasses.replace(A100, name="A100 40GB", bandwidth=1555 * GB, memory=40 * GB)
# The same servers with one adapter of 100 Gb/s.
H100_ETHERNET = dataclasses.replace(H100, name="H100, 100 Gb/s", network=12.5 * GB)

MACHINES = {"h100": H100, "a100": A100, "h100-ethernet": H100_ETHERNET}
PRECISION_BYTES = {"bfloat16": 2, "tf32": 4}
GPUS_OF_A_SERVER = 8

# Assumed shares of the peaks, and seconds.
MATRIX_SHARE = 0.4
VECTOR_SHARE = 0.5
MEMORY_SHARE = 0.7
NETWORK_SHARE = 0.8
MEMORY_FILLED = 0.9
KERNEL = 3e-6
HOP = 5e-6


@dataclasses.dataclass(frozen=True)
class StepTime:
    """Seconds of a training step on one GPU.

    Attributes:
        arithmetic: of the kernels that wait for arithmetic.
        traffic: of the kernels that wait for memory.
        launch: of the kernels' fixed cost.
        backward: of these, in the backward pass, where gradients may be exchanged meanwhile.
    """

    arithmetic: float
    traffic: float
    launch: float
    backward: float

    @property
    def total(self):
        return self.arithmetic + self.traffic + self.launch

    @property
    def bound(self):
        parts = {"compute": self.arithmetic, "memory": self.traffic, "launch": self.launch}
        return max(parts, key=parts.get)


def step_time(steps, machine, precision="bfloat16"):
    """`StepTime` of kernels, fused, on one GPU."""
    arithmetic = traffic = launch = backward = 0.0
    for step in steps:
        moved = step.bytes(PRECISION_BYTES[precision], fusion=True)
        if not moved:
            continue  # fused into its neighbour
        by_arithmetic = (
            step.products / (MATRIX_SHARE * machine.matrix[precision])
            + (step.transforms + step.others) / (VECTOR_SHARE * machine.vector)
        )  # fmt: skip
        by_traffic = moved / (MEMORY_SHARE * machine.bandwidth)
        if by_arithmetic > by_traffic:
            arithmetic += by_arithmetic
        else:
            traffic += by_traffic
        launch += KERNEL
        if step.phase == BACKWARD:
            backward += max(by_arithmetic, by_traffic) + KERNEL
    return StepTime(arithmetic, traffic, launch, backward)


def all_reduce_time(number_of_bytes, gpus, machine):
    """Seconds of a ring all-reduce between GPUs.

    The ring passes through the servers; all adapters of a server carry it together.
    """
    bandwidth = machine.link if gpus <= GPUS_OF_A_SERVER else min(machine.link, machine.network)
    return ring_time(number_of_bytes, gpus, NETWORK_SHARE * bandwidth, HOP)


def ring_time(number_of_bytes, devices, bandwidth, latency):
    """Seconds of a ring all-reduce: 2 (n - 1)/n bytes/bandwidth + 2 (n - 1) latencies."""
    hops, share = ring_amounts(devices)
    return share * number_of_bytes / bandwidth + hops * latency


def ring_amounts(devices):
    """Messages that a device of a ring sends one after another, and their part of the bytes."""
    hops = 2 * (devices - 1)
    return hops, hops / devices


def parallel_time(cost, machine, gpus, precision="bfloat16", overlap=True):
    """Seconds of a step of `gpus` GPUs, each with the batch of `cost`.

    Args:
        overlap: whether the gradients are exchanged during the backward pass, so that only what
            takes longer than that is left; otherwise after it.
    """
    one = step_time(cost.steps, machine, precision)
    exchange = all_reduce_time(cost.gradient_bytes(), gpus, machine)
    return one.total + (max(0.0, exchange - one.backward) if overlap else exchange)
