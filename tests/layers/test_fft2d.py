"""FFT2D and InverseFFT2D: numpy's FFTs, gradients, models of pairs, precisions."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.layers import FFT2D, InverseFFT2D
from tests.oracles import float64_or_float32, gradients, random_images, to_numpy

WAYS = ["fft", "matmul"]
NORMS = ["backward", "ortho", "forward"]


def _complex(pair):
    return to_numpy(pair[0]) + 1j * to_numpy(pair[1])


@pytest.mark.parametrize("implementation", WAYS)
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (4, 1)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_equals_numpys_ffts(size, data_format, implementation):
    dtype = float64_or_float32()
    tolerance = 1e-13 if dtype == "float64" else 3e-5
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    shape = (2, *size, 3) if data_format == "channels_last" else (2, 3, *size)
    x, y = (random_images(shape, seed, dtype) for seed in (0, 1))
    tensors = [ops.convert_to_tensor(t) for t in (x, y)]
    for norm in NORMS:
        options = {"implementation": implementation, "data_format": data_format, "dtype": dtype}
        forward, back = (cls(norm=norm, **options) for cls in (FFT2D, InverseFFT2D))
        expected = np.fft.fft2(x, axes=axes, norm=norm)
        np.testing.assert_allclose(_complex(forward(tensors[0])), expected, atol=10 * tolerance)
        expected = np.fft.fft2(x + 1j * y, axes=axes, norm=norm)
        np.testing.assert_allclose(_complex(forward(tensors)), expected, atol=10 * tolerance)
        expected = np.fft.ifft2(x + 1j * y, axes=axes, norm=norm)
        np.testing.assert_allclose(_complex(back(tensors)), expected, atol=10 * tolerance)
        np.testing.assert_allclose(_complex(back(forward(tensors))), x + 1j * y, atol=tolerance)


@pytest.mark.parametrize("implementation", WAYS)
def test_gradients_are_the_adjoints(implementation):
    """The unitary transform's adjoint is its inverse: the gradient by (re, im) of <z, g>."""
    x, y, g, h = random_images((4, 2, 5, 4, 3)) - 0.5
    layer = FFT2D(norm="ortho", implementation=implementation)

    def loss(x, y):
        real, imag = layer((x, y))
        return ops.sum(ops.multiply(real, g)) + ops.sum(ops.multiply(imag, h))

    by_pair = gradients(loss, x, y)
    expected = np.fft.ifft2(g + 1j * h, axes=(1, 2), norm="ortho")
    np.testing.assert_allclose(by_pair[0] + 1j * by_pair[1], expected, atol=2e-6)


@pytest.mark.parametrize("implementation", WAYS)
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_precisions(dtype, implementation):
    x = random_images((2, 6, 5, 3))
    options = {"norm": "ortho", "implementation": implementation, "dtype": dtype}
    pair = FFT2D(**options)(x)
    names = {keras.backend.standardize_dtype(part.dtype) for part in pair}
    assert names == {dtype.removeprefix("mixed_")}
    tolerance = 0.1 if dtype == "mixed_bfloat16" else 0.01
    expected = np.fft.fft2(x, axes=(1, 2), norm="ortho")
    np.testing.assert_allclose(_complex(pair), expected, atol=tolerance)
    real = InverseFFT2D(real=True, **options)(pair)
    np.testing.assert_allclose(to_numpy(real), x, atol=tolerance)


def test_a_model_of_any_size_filters():
    """A convolution theorem as a functional model: shapes unknown, real part out."""
    inputs = keras.Input((None, None, 2))
    real, imag = FFT2D()(inputs)
    power = keras.layers.Add()(
        [keras.layers.Multiply()([real, real]), keras.layers.Multiply()([imag, imag])]
    )
    zero = keras.layers.Subtract()([imag, imag])
    model = keras.Model(inputs, InverseFFT2D(real=True)((power, zero)))
    for size in ((6, 5), (4, 8)):
        x = random_images((2, *size, 2))
        z = np.abs(np.fft.fft2(x.astype("float64"), axes=(1, 2))) ** 2
        expected = np.fft.ifft2(z, axes=(1, 2)).real
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-4)


def test_configs_come_back():
    for layer in (
        FFT2D(norm="forward", implementation="matmul", data_format="channels_first"),
        InverseFFT2D(real=True, norm="ortho"),
    ):
        config = json.loads(json.dumps(layer.get_config()))
        assert type(layer).from_config(config).get_config() == config


@pytest.mark.parametrize(
    ("cls", "shapes", "options", "message"),
    [
        (InverseFFT2D, [(8, 8, 3)], {}, "expects a pair of tensors"),
        (FFT2D, [(8, 8, 3)] * 3, {}, "expects images or a pair"),
        (FFT2D, [(8, 8, 3), (8, 7, 3)], {}, "of one shape"),
        (FFT2D, [(8, 3)], {}, "rank 4"),
        (FFT2D, [(None, 8, 3)], {"implementation": "matmul"}, "known height and width"),
    ],
)
def test_unsuitable_inputs_are_errors(cls, shapes, options, message):
    inputs = [keras.Input(shape) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        cls(**options)(inputs if len(inputs) > 1 else inputs[0])


def test_integers_are_refused():
    with pytest.raises(ValueError, match="FFT2D expects float images"):
        FFT2D()(np.zeros((1, 8, 8, 3), "uint8"))
