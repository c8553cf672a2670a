"""Counts of the cost model against closed forms and against the operations of real graphs."""

import math

import keras
import numpy as np
import pytest

from benchmarks.layer_costs import BACKWARD, FORWARD
from benchmarks.model_costs import model_cost, single_layer_cost
from spectral_keras import layers

needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="reads TensorFlow's graphs"
)


def products(cost, phase=None):
    return sum(s.products for s in cost.layers[0].steps if phase in (None, s.phase))


class TestClosedForms:
    @pytest.mark.parametrize(
        ("size", "kernel", "options"),
        [
            ((9, 8), (3, 3), {"padding": "same"}),
            ((9, 8), (5, 2), {"padding": "valid", "strides": 2}),
            ((12, 7), (3, 1), {"padding": "valid", "groups": 2}),
        ],
    )
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_convolution(self, size, kernel, options, data_format):
        groups = options.get("groups", 1)
        layer = keras.layers.Conv2D(6, kernel, data_format=data_format, **options)
        shape = (*size, 4) if data_format == "channels_last" else (4, *size)
        cost = single_layer_cost(layer, shape, 5)
        stride = options.get("strides", 1)
        if options["padding"] == "same":
            out = size
        else:
            out = [(n - k) // stride + 1 for n, k in zip(size, kernel, strict=True)]
        one = 2 * 5 * math.prod(out) * math.prod(kernel) * (4 // groups) * 6
        assert products(cost, FORWARD) == one
        assert products(cost, BACKWARD) == 2 * one
        assert cost.weights == math.prod(kernel) * (4 // groups) * 6 + 6
        x, y, w = 5 * math.prod(size) * 4, 5 * math.prod(out) * 6, cost.weights - 6
        # The product reads input and kernel and writes the output; then bias, read and write.
        assert cost.layers[0].bytes(4, phase=FORWARD) == 4 * (x + w + y + 2 * y)
        assert cost.layers[0].bytes(2, fusion=True, phase=FORWARD) == 2 * (x + y) + 4 * w
        # Kept: the input.
        assert cost.kept == x

    def test_no_gradient_of_the_images(self):
        layer = keras.layers.Conv2D(6, 3)
        with_it = single_layer_cost(layer, (8, 8, 3), 2)
        without = single_layer_cost(layer, (8, 8, 3), 2, input_gradient=False)
        assert products(with_it, BACKWARD) == 2 * products(without, BACKWARD)

    @pytest.mark.parametrize(("kernel", "parts"), [((3, 3), 9), ((5, 2), 10), ((1, 1), 1)])
    def test_parametrisations_differ_by_the_kernel_dft_and_the_weights(self, kernel, parts):
        options = {"padding": "same", "use_bias": False}
        spatial = single_layer_cost(keras.layers.Conv2D(6, kernel, **options), (9, 8, 4), 5)
        for name, numbers in (("full", 2 * parts), ("hermitian", parts)):
            layer = layers.SpectralConv2D(6, kernel, parametrization=name, **options)
            cost = single_layer_cost(layer, (9, 8, 4), 5)
            assert cost.weights == numbers * 24
            assert cost.gradient_bytes() == 4 * cost.weights
            extra = 2 * math.prod(kernel) * numbers * 24
            for phase in (FORWARD, BACKWARD):
                assert products(cost, phase) == products(spatial, phase) + extra

    @pytest.mark.parametrize(
        ("size", "output"), [((9, 8), (4, 5)), ((8, 8), (8, 3)), ((30, 12), (7, 12))]
    )
    def test_spectral_pooling(self, size, output):
        layer = layers.SpectralPool(output, implementation="matmul")
        cost = single_layer_cost(layer, (*size, 6), 5)
        (h, w), (r, c) = size, output
        # Either axis first; an axis that keeps its size costs nothing.
        width, height = w != c, h != r
        one = min(
            h * c * w * width + r * c * h * height,
            r * w * h * height + r * c * w * width,
        )
        assert products(cost, FORWARD) == products(cost, BACKWARD) == 2 * 5 * 6 * one
        assert cost.kept == cost.kept_wide == cost.weights == 0

    def test_fft_pooling_counts_two_real_transforms(self):
        layer = layers.SpectralPool(8, implementation="fft")
        cost = single_layer_cost(layer, (16, 12, 6), 5)
        real = sum(2.5 * n * math.log2(n) for n in (16 * 12, 8 * 8))
        transforms = [step.transforms for step in cost.layers[0].steps]
        assert sum(transforms) == pytest.approx(2 * 5 * 6 * real, rel=1e-12)

    def test_spectra_of_a_convolution(self):
        """kh kw does not matter to the images' part; what is kept are half spectra."""
        costs = [
            single_layer_cost(
                layers.FFTConvPool2D(6, k, (5, 4), implementation="matmul"), (9, 8, 4), 3
            )
            for k in (1, 3)
        ]
        # 5 rows of output: |f| <= 2, the half has 3; 4 columns: |f| <= 2, 5 frequencies.
        frequencies = 3 * 5
        kernel = 4 * frequencies * 4 * 6
        for cost in costs:
            assert cost.kept == 3 * 2 * frequencies * 4 + kernel
        names = [
            {step.name: step.products for step in cost.layers[0].steps} for cost in costs
        ]  # fmt: skip
        for key in ("DFT", "product of spectra", "inverse DFT"):
            assert names[0][key] == names[1][key] > 0
        assert names[0]["product of spectra"] == 3 * 8 * frequencies * 4 * 6

    def test_elementwise(self):
        x = 5 * 9 * 8 * 6
        relu = single_layer_cost(keras.layers.ReLU(), (9, 8, 6), 5)
        assert relu.bytes() == 4 * (2 * x + 3 * x)
        assert relu.bytes(fusion=True) == 0
        assert relu.kept == x
        norm = single_layer_cost(keras.layers.BatchNormalization(), (9, 8, 6), 5)
        assert norm.bytes(2, fusion=True) == 2 * (3 + 5) * x
        assert (norm.weights, norm.kept) == (12, x)
        pool = single_layer_cost(keras.layers.MaxPooling2D(2), (8, 8, 6), 5)
        assert pool.bytes() == 4 * 5 * 6 * (64 + 16) * 3

    def test_mask_keeps_half_a_spectrum(self):
        for how, wide in (("fft", True), ("matmul", False)):
            cost = single_layer_cost(layers.FourierMask(implementation=how), (9, 8, 6), 5)
            half = 5 * 6 * 2 * 9 * 5
            assert (cost.kept_wide if wide else cost.kept) == half
            assert cost.weights == 72

    def test_layer_with_unknown_costs(self):
        with pytest.raises(ValueError, match="class Conv1D are not known.*'odd'"):
            single_layer_cost(keras.layers.Conv1D(3, 2, name="odd"), (9, 4), 2)

    def test_unknown_size(self):
        inputs = keras.Input((None, None, 3))
        model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
        with pytest.raises(ValueError, match="must have known sizes.*None"):
            model_cost(model, 2)


def _graph(layer, shape, batch):
    """The graph of the forward and of the backward pass of a layer, inputs included."""
    import tensorflow as tf

    layer.build((None, *shape))

    @tf.function(input_signature=[tf.TensorSpec((batch, *shape))], autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        weights = [weight.value for weight in layer.trainable_weights]
        direction = tf.ones(y.shape)
        return y, tape.gradient(y, [x, *weights], output_gradients=direction)

    return run.get_concrete_function().graph


def _matrix_flops(graph):
    """Of the matrix products and convolutions of a graph, by the shapes of its tensors."""
    total = 0
    for op in _needed(graph):
        shapes = [tensor.shape.as_list() for tensor in op.inputs]
        if op.type == "MatMul":
            depth = shapes[0][-2 if op.get_attr("transpose_a") else -1]
            total += 2 * np.prod(op.outputs[0].shape.as_list()) * depth
        elif op.type.startswith("BatchMatMul"):
            depth = shapes[0][-2 if op.get_attr("adj_x") else -1]
            total += 2 * np.prod(op.outputs[0].shape.as_list()) * depth
        elif op.type == "Conv2D":
            total += 2 * np.prod(op.outputs[0].shape.as_list()) * np.prod(shapes[1][:3])
        elif op.type == "Conv2DBackpropInput":
            total += 2 * np.prod(shapes[2]) * np.prod(shapes[1][:3])
        elif op.type == "Conv2DBackpropFilter":
            kernel = op.outputs[0].shape.as_list()
            total += 2 * np.prod(shapes[2]) * np.prod(kernel[:3])
    return int(total)


def _needed(graph):
    """The operations that the graph's outputs need; TensorFlow prunes the others when it runs.

    (The gradients of constant matrices are among them.)
    """
    found, open_ = set(), [tensor.op for tensor in graph.outputs]
    while open_:
        op = open_.pop()
        if op not in found:
            found.add(op)
            open_ += [tensor.op for tensor in op.inputs]
    return found


LAYERS = {
    "Conv2D": (lambda: keras.layers.Conv2D(6, 3, padding="same"), (9, 8, 4)),
    "Conv2D, strided": (lambda: keras.layers.Conv2D(6, (5, 2), strides=2), (12, 9, 4)),
    "Dense": (lambda: keras.layers.Dense(7), (9,)),
    "SpectralConv2D": (lambda: layers.SpectralConv2D(6, 3, padding="same"), (9, 8, 4)),
    "SpectralConv2D, hermitian": (
        lambda: layers.SpectralConv2D(6, (5, 3), parametrization="hermitian"),
        (9, 8, 4),
    ),
    "FFTConv2D, direct": (
        lambda: layers.FFTConv2D(6, 3, padding="circular", implementation="direct"),
        (9, 8, 4),
    ),
    "FFTConv2D, matmul, same": (
        lambda: layers.FFTConv2D(6, 5, padding="same", implementation="matmul"),
        (12, 9, 4),
    ),
    "FFTConv2D, matmul, strided": (
        lambda: layers.FFTConv2D(6, 3, strides=2, implementation="matmul"),
        (12, 9, 4),
    ),
    "FFTConv2D, matmul, groups": (
        lambda: layers.FFTConv2D(6, 3, groups=2, implementation="matmul", padding="circular"),
        (8, 9, 4),
    ),
    "FFTConv2D, matmul, tiles": (
        lambda: layers.FFTConv2D(4, 3, implementation="matmul", padding="same"),
        (100, 70, 3),
    ),
    "FFTConv2D, fft": (
        lambda: layers.FFTConv2D(6, 5, padding="same", implementation="fft"),
        (12, 9, 4),
    ),
    "FFTConvPool2D, matmul": (lambda: layers.FFTConvPool2D(6, 3, (5, 4)), (9, 8, 4)),
    "FFTConvPool2D, fft": (
        lambda: layers.FFTConvPool2D(6, 3, (5, 4), implementation="fft"),
        (9, 8, 4),
    ),
    "SpectralPool": (lambda: layers.SpectralPool((4, 5), implementation="matmul"), (9, 8, 6)),
    "SpectralPool, halving": (
        lambda: layers.SpectralPool((50, 7), implementation="matmul"),
        (100, 12, 6),
    ),
    "SpectralPool, few channels": (
        lambda: layers.SpectralPool((50, 48), implementation="matmul"),
        (100, 96, 3),
    ),
    "SpectralPool, dropping": (
        lambda: layers.SpectralPool((4, 8), implementation="matmul", frequency_dropout=0.3),
        (9, 8, 6),
    ),
    "FrequencyDropout": (lambda: layers.FrequencyDropout(0.3), (9, 8, 6)),
    "FrequencyDropout, each sample": (
        lambda: layers.FrequencyDropout(0.3, per_sample=True),
        (9, 8, 6),
    ),
    "FourierMask, matmul": (lambda: layers.FourierMask(implementation="matmul"), (9, 8, 12)),
    "FourierMask, fft": (lambda: layers.FourierMask(implementation="fft"), (9, 8, 12)),
    "ChannelGate": (lambda: layers.ChannelGate(16), (9, 8, 6)),
    "ChannelGate, extended": (lambda: layers.ChannelGate(16, extended=True), (9, 8, 6)),
}


@needs_tensorflow
@pytest.mark.parametrize("name", LAYERS)
def test_matrix_products_of_the_graph(name):
    """Exactly: both count the same products, by formulas here and by the tensors' shapes there."""
    make, shape = LAYERS[name]
    cost = single_layer_cost(make(), shape, 5)
    assert products(cost) == _matrix_flops(_graph(make(), shape, 5))


@needs_tensorflow
def test_profiler_of_tensorflow():
    """The counts of TensorFlow's profiler, exactly, for a network without batched products.

    (For a batched product with a transposed operand the profiler asks for an attribute of another
    name and takes the wrong length, and for gradients of strided and "valid" convolutions it
    counts pixels of the input: above, the shapes are read instead.)
    """
    from tensorflow.python.framework.ops import get_stats_for_node_def
    from tensorflow.python.profiler.internal import flops_registry  # noqa: F401

    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(6, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(2),
            keras.Sequential([keras.Input((6, 6, 6)), keras.layers.Conv2D(8, 3, padding="same")]),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    cost = model_cost(model, 4, optimizer="none", input_gradient=True)
    graph = _graph(model, (12, 12, 3), 4)
    kinds = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "MatMul"}
    counted = sum(
        get_stats_for_node_def(graph, op.node_def, "flops").value
        for op in _needed(graph)
        if op.type in kinds
    )
    assert counted == sum(step.products for step in cost.steps) > 0


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="asks XLA through JAX")
@pytest.mark.parametrize("name", [name for name in LAYERS if "groups" not in name])
def test_cost_analysis_of_xla(name):
    """XLA's count of a forward pass.

    It leaves out the products with the padding of a convolution and counts every elementwise
    operation and its own form of FFTs, hence a tolerance of a quarter where products dominate.
    """
    import jax

    make, shape = LAYERS[name]
    if "fft" in name or "ChannelGate" in name or "Dropout" in name or "dropping" in name:
        pytest.skip("not dominated by products")
    layer = make()
    layer.build((None, *shape))
    weights = [w.value for w in layer.trainable_variables]

    def forward(weights, x):
        return layer.stateless_call(weights, [], x)[0]

    compiled = jax.jit(forward).lower(weights, np.zeros((5, *shape), "float32")).compile()
    found = compiled.cost_analysis()
    found = found[0] if isinstance(found, list) else found
    cost = single_layer_cost(make(), shape, 5)
    assert found["flops"] == pytest.approx(cost.flops(FORWARD), rel=0.25)
