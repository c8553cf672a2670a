"""SpectralMixing2D: the layers' contract, sums over the modes, every resolution."""

import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.layers import SpectralMixing2D
from spectral_keras.ops.resize import spectral_resize
from tests.layer_checks import check_layer
from tests.oracles import (
    finite_differences,
    float64_or_float32,
    gradients,
    random_images,
    to_numpy,
)


def _numpy_mixing(x, kernel, output_size):
    """Mode by mode from the definition, no FFT."""
    (height, width), (rows, columns) = np.shape(x)[1:3], output_size
    m_h, m_w = (kernel.shape[0] + 1) // 2, kernel.shape[1]
    y = np.zeros((len(x), rows, columns, kernel.shape[3]))
    p, q = np.arange(rows)[:, None] / rows, np.arange(columns) / columns
    m, n = np.arange(height)[:, None] / height, np.arange(width) / width
    for u in range(1 - m_h, m_h):
        for v in range(m_w):
            if 2 * abs(u) >= min(height, rows) or 2 * v >= min(width, columns):
                continue
            wave = np.exp(-2j * np.pi * (u * m + v * n))[None, :, :, None]
            mixed = (x * wave).mean((1, 2)) @ (kernel[u, v, ..., 0] + 1j * kernel[u, v, ..., 1])
            back = np.exp(2j * np.pi * (u * p + v * q))[None, :, :, None]
            y += (2 if v else 1) * (mixed[:, None, None] * back).real
    return y


def _layer(kernel, channels, **options):
    modes = ((kernel.shape[0] + 1) // 2, kernel.shape[1])
    layer = SpectralMixing2D(kernel.shape[3], modes, dtype=float64_or_float32(), **options)
    last = layer.data_format == "channels_last"
    layer.build((None, None, None, channels) if last else (None, channels, None, None))
    layer.set_weights([kernel])
    return layer


def test_contract():
    check_layer(
        SpectralMixing2D,
        {
            "filters": 4,
            "modes": (3, 2),
            "kernel_regularizer": "l2",
            "kernel_constraint": "max_norm",
        },
        (2, 6, 5, 3),
        expected_output_shape=(2, 6, 5, 4),
        expected_weights=1,
        dtypes=("mixed_bfloat16", "mixed_float16"),
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("size", "output_size"),
    [
        ((8, 6), None),
        ((7, 9), (5, 12)),
        ((3, 2), (8, 8)),  # fewer values than modes
        ((4, 16), (16, 4)),
        ((1, 1), (2, 3)),
    ],
)
def test_equals_the_sum_over_the_modes(size, output_size, data_format):
    dtype = float64_or_float32()
    tolerance = 1e-13 if dtype == "float64" else 5e-6
    kernel = random_images((5, 4, 5, 6, 2), 3) - 0.5
    x = random_images((2, *size, 5), dtype=dtype)
    expected = _numpy_mixing(x, kernel, output_size or size)
    if data_format == "channels_first":
        x, expected = (np.moveaxis(t, -1, 1) for t in (x, expected))
    layer = _layer(kernel, 5, output_size=output_size, data_format=data_format)
    y = to_numpy(layer(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(y, expected, atol=tolerance)


@pytest.mark.parametrize("size", [(7, 8), (9, 16), (16, 7), (32, 33)])
def test_the_same_function_at_every_resolution(size):
    """Odd and even sizes agree at the points that they share; published codes differ."""
    tolerance = 1e-12 if float64_or_float32() == "float64" else 1e-5
    layer = _layer(random_images((7, 4, 2, 3, 2), 3) - 0.5, 2)
    coarse = random_images((2, 7, 7, 2), dtype=float64_or_float32())
    x = spectral_resize(coarse, size)
    expected = to_numpy(spectral_resize(layer(coarse), size))
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=tolerance)


def test_more_modes_than_values():
    """A layer of 32 modes takes images of 16 x 16, which have 8 of them."""
    kernel = random_images((63, 32, 1, 2, 2), 3)
    x = random_images((2, 16, 16, 1), dtype=float64_or_float32())
    index = np.r_[0:8, -7:0]
    expected = _numpy_mixing(x, kernel[index][:, :8], (16, 16))
    np.testing.assert_allclose(to_numpy(_layer(kernel, 1)(x)), expected, atol=1e-4)


def test_gradients_by_finite_differences():
    # The loss is quadratic in x and in the kernel: central differences are exact.
    x, kernel = random_images((1, 4, 3, 1)) - 0.5, random_images((3, 2, 1, 2, 2), 3)
    layer = SpectralMixing2D(2, 2, output_size=(3, 5))
    layer.build(x.shape)

    def loss(x, kernel):
        kernel = ops.convert_to_tensor(kernel)
        with keras.StatelessScope(state_mapping=[(layer.kernel, kernel)]):
            return ops.sum(ops.square(layer(ops.convert_to_tensor(x))))

    by_x, by_kernel = gradients(loss, x, kernel)
    expected = finite_differences(lambda x: loss(x, kernel), x, 0.5)
    np.testing.assert_allclose(by_x, expected, atol=1e-5)
    expected = finite_differences(lambda kernel: loss(x, kernel), kernel, 0.5)
    np.testing.assert_allclose(by_kernel, expected, atol=1e-5)


def test_a_number_of_channels_is_needed():
    with pytest.raises(ValueError, match="known number of channels"):
        SpectralMixing2D(2, 2).build((None, 8, 8, None))
