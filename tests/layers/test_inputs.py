"""What layers take: images of unknown size, empty batches; and what they refuse, in one line."""

import keras
import numpy as np
import pytest

from spectral_keras import layers
from tests.oracles import random_images, to_numpy

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"

ANY_SIZE = [
    ("SpectralPool", {"output_size": (4, 5)}),
    ("SpectralPool", {"output_size": 5, "nyquist": "sum", "norm": "ortho"}),
    ("SpectralPool", {"scale": 0.6, "nyquist": "isometric"}),
    ("SpectralPool", {"output_size": 4, "implementation": "fft"}),
    ("SpectralPool", {"scale": 0.6, "window": ("hamming", 2.0), "nyquist": "sum"}),
    ("SpectralPool", {"output_size": (4, 6), "nyquist": "crop"}),
    ("SpectralPool", {"scale": 0.7, "nyquist": "crop", "norm": "ortho", "window": 2.0}),
    ("HartleySpectralPool", {"output_size": 4}),
    ("HartleySpectralPool", {"output_size": (8, 4), "norm": "ortho"}),
    ("HartleySpectralPool", {"scale": 0.6, "window": "hamming"}),
    ("DiffStride", {}),
    ("DiffStride", {"output_size": (4, 5), "smoothness": 1.5}),
    ("DiffStride", {"output_size": "initial", "smoothness": 1.0}),
    ("DiffStride", {"output_size": "initial", "strides": (1.5, 3.0), "smoothness": 1.2}),
    ("GlobalFilter2D", {"size": 5}),
    ("GlobalFilter2D", {"size": (10, 8), "implementation": "fft"}),
    ("FrequencyDropout", {"min_fraction": 0.5}),
    ("SpectralConv2D", {"filters": 4, "kernel_size": 3}),
    ("FFTConv2D", {"filters": 4, "kernel_size": 3}),
    ("FFTConv2D", {"filters": 4, "kernel_size": (4, 3), "padding": "circular"}),
    ("FFTConv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "circular"}),
    ("FFTConvPool2D", {"filters": 4, "kernel_size": 3, "output_size": 4, "norm": "ortho"}),
    ("FFTConvPool2D", {"filters": 4, "kernel_size": (2, 3), "scale": 0.5}),
    ("FFTConvPool2D", {"filters": 4, "kernel_size": 3}),
    ("SpectralMixing2D", {"filters": 4, "modes": 5}),
    ("SpectralMixing2D", {"filters": 4, "modes": (3, 4), "output_size": (7, 4)}),
    ("PowerSuppression", {}),
    ("FrequencyNoise", {}),
    ("AmplitudePhaseRecombination", {}),
    ("AmplitudePhaseRecombination", {"mode": "views"}),
    ("FourierBasisNoise", {}),
    ("FMix", {}),
    ("ChannelGate", {"hidden": 5}),
]
ALL = [
    *ANY_SIZE,
    ("FourierMask", {}),
    ("FFTConvPool2D", {"filters": 4, "kernel_size": 3}),
    ("HartleySpectralPool", {"scale": 0.5}),
    ("GlobalFilter2D", {}),
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("name", "arguments"), ANY_SIZE)
def test_images_of_any_size(name, arguments, data_format):
    """One model for all sizes gives what a layer of each size gives."""
    last = data_format == "channels_last"
    cls, arguments = getattr(layers, name), {**arguments, "data_format": data_format}
    if "kernel_size" in arguments:
        arguments["bias_initializer"] = "ones"
    layer = cls(**arguments)
    inputs = keras.Input((None, None, 3) if last else (3, None, None))
    model = keras.Model(inputs, layer(inputs))
    known = arguments.get("output_size")
    if known not in (None, "initial"):
        height, width = known if isinstance(known, tuple) else (known, known)
        spatial = model.output_shape[1:3] if last else model.output_shape[2:]
        assert spatial == (height, width)
    for size in ((8, 9), (11, 6)):
        x = random_images((2, *size, 3))
        x = x if last else np.ascontiguousarray(np.moveaxis(x, -1, 1))
        alone = cls(**arguments)
        alone.build(x.shape)
        alone.set_weights(layer.get_weights())
        # `predict` compiles a graph for any size.
        actual = model.predict(x, verbose=0)
        np.testing.assert_allclose(actual, to_numpy(alone(x)), rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="elsewhere sizes are numbers in training")
@pytest.mark.parametrize("cls", ["SpectralPool", "FrequencyDropout"])
@pytest.mark.parametrize("per_sample", [False, True])
def test_frequency_dropout_of_any_size(cls, per_sample):
    import tensorflow as tf

    arguments = {"per_sample": per_sample, "seed": 3}
    if cls == "SpectralPool":
        arguments |= {"scale": 0.8, "frequency_dropout": 0.3}
    else:
        arguments |= {"min_fraction": 0.3}
    layers_ = [getattr(layers, cls)(**arguments) for _ in range(2)]
    signature = [tf.TensorSpec((None, None, None, 3))]
    traced = tf.function(lambda x: layers_[0](x, training=True), input_signature=signature)
    for size in ((8, 9), (11, 6)):
        x = random_images((3, *size, 3))
        expected = to_numpy(layers_[1](x, training=True))
        np.testing.assert_allclose(to_numpy(traced(x)), expected, atol=1e-5)


def test_why_a_size_is_needed():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="FourierMask needs .*: the mask has a weight for each"):
        layers.FourierMask()(inputs)
    with pytest.raises(ValueError, match="FFTConv2D needs .* made for one size"):
        layers.FFTConv2D(4, 3, implementation="matmul")(inputs)
    with pytest.raises(ValueError, match="GlobalFilter2D needs .* for each frequency. Give `size`"):
        layers.GlobalFilter2D()(inputs)
    with pytest.raises(ValueError, match="GlobalFilter2D needs .* made for one size"):
        layers.GlobalFilter2D(size=8, implementation="matmul")(inputs)


def test_no_layer_is_left_out():
    """The others are Keras' own, or take pairs (their own tests)."""
    named = {name for name, _ in ALL} | {"BatchNormalization", "Conv2D", "FFT2D", "InverseFFT2D"}
    assert named == set(layers.__all__)


def test_a_list_of_one_is_an_image():
    x = random_images((2, 4, 5, 3))
    for one, other in zip(layers.FFT2D()([x]), layers.FFT2D()(x), strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


@pytest.mark.parametrize(
    ("name", "first", "later"),
    [
        ("FFT2D", (2, 4, 5, 3), (2, 4, 5)),
        ("FFT2D", (2, 4, 5, 3), (1, 2, 4, 5, 3)),
        ("InverseFFT2D", [(2, 4, 5, 3)] * 2, (2, 4, 5, 3)),
        ("InverseFFT2D", [(2, 4, 5, 3)] * 2, [(2, 4, 5, 3), (2, 4, 5, 1)]),
        ("InverseFFT2D", [(2, 4, 5, 3)] * 2, [(2, 4, 5, 3), (2, 1, 5, 3)]),
        ("InverseFFT2D", [(2, 4, 5, 3)] * 2, [(2, 4, 5, 3)] * 3),
        ("FMix", {"images": (4, 4, 5, 3), "labels": (4, 2)},
         {"images": (4, 4, 5, 3), "labels": (4,)}),
        ("SpectralMixing2D", (2, 4, 5, 3), (2, 0, 5, 3)),
        ("SpectralMixing2D", (2, 4, 5, 3), (2, 4, 0, 3)),
    ],
)  # fmt: skip
def test_later_calls_are_checked_as_the_first(name, first, later):
    def tensors(shape):
        if isinstance(shape, dict):
            return {key: tensors(one) for key, one in shape.items()}
        if isinstance(shape, list):
            return [tensors(one) for one in shape]
        return keras.ops.convert_to_tensor(np.full(shape, 0.5, "float32"))

    arguments = {"FMix": {}, "SpectralMixing2D": {"filters": 2, "modes": 2}}.get(name, {})
    with pytest.raises(ValueError, match=f"{name}.*Received"):
        getattr(layers, name)(**arguments)(tensors(later))
    layer = getattr(layers, name)(**arguments)
    layer(tensors(first))
    with pytest.raises(ValueError, match=f"{name}.*Received"):
        layer(tensors(later))


@pytest.mark.parametrize(
    ("name", "arguments"), [*ALL, ("Conv2D", {"filters": 2, "kernel_size": 3})]
)
def test_integer_images_are_refused_in_one_line(name, arguments):
    with pytest.raises(ValueError, match="expects float images .*dtype uint8") as caught:
        getattr(layers, name)(**arguments)(np.zeros((1, 8, 9, 3), "uint8"))
    assert sum("expects float" in line for line in str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("implementation", ["auto", "matmul", "fft", "direct"])
@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_an_empty_batch_gives_an_empty_result(name, arguments, implementation):
    cls = getattr(layers, name)
    if implementation != "auto":
        if implementation not in cls.__dict__.get("choices", {}).get("implementation", ()):
            pytest.skip("no such implementation")
        arguments = {**arguments, "implementation": implementation}
    layer = cls(**arguments)
    expected = layer.compute_output_shape((0, 8, 9, 3))
    for training in (False, True):
        more = {"training": True} if training and layer._call_has_training_arg else {}
        y = layer(np.zeros((0, 8, 9, 3), "float32"), **more)
        # An unknown size is one that depends on weights.
        assert all(n in (None, m) for n, m in zip(expected, y.shape, strict=True))
