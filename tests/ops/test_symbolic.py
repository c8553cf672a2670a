"""Operations on the symbolic tensors of functional models."""

import keras
import numpy as np
import pytest

from spectral_keras.ops import fft2, ifft2, irfft2, rfft2, spectral_resize
from spectral_keras.ops.bias import add_bias
from tests.oracles import random_images, to_numpy


def reloaded(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [(8, 7), (None, None)])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_transforms_and_their_inverses(data_format, size, norm, tmp_path):
    last = data_format == "channels_last"
    options = {"norm": norm, "data_format": data_format}
    inputs = keras.Input((*size, 2) if last else (2, *size))
    full, half = fft2(inputs, **options), rfft2(inputs, **options)
    assert full[0].shape == full[1].shape == inputs.shape
    assert half[0].shape[2 if last else 3] == (None if size[1] is None else 4)
    back = ifft2(full, **options)
    real = irfft2(half, 7, **options)
    model = reloaded(keras.Model(inputs, [*full, *half, *back, real]), tmp_path)
    x = random_images((2, 8, 7, 2) if last else (2, 2, 8, 7))
    outputs = [to_numpy(y) for y in model.predict(x, verbose=0)]
    axes = (1, 2) if last else (2, 3)
    z = np.fft.fft2(x, axes=axes, norm=norm)
    zero = np.zeros_like(x)
    columns = z[:, :, :4] if last else z[..., :4]
    expected = [z.real, z.imag, columns.real, columns.imag, x, zero, x]
    for actual, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, atol=2e-5 * max(1, np.abs(wanted).max()))


def test_pairs_of_ordinary_tensors():
    real, imaginary = random_images((2, 6, 5, 1)), random_images((2, 6, 5, 1), seed=1)
    z = np.fft.fft2(real + 1j * imaginary, axes=(1, 2))
    for actual, expected in zip(fft2((real, imaginary)), (z.real, z.imag), strict=True):
        np.testing.assert_allclose(to_numpy(actual), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 7), (None, None)])
def test_resize(size, tmp_path):
    inputs = keras.Input((*size, 3))
    small = spectral_resize(inputs, (4, 5), nyquist="sum")
    outputs = spectral_resize(small, 9)
    assert small.shape == (None, 4, 5, 3) and outputs.shape == (None, 9, 9, 3)
    model = reloaded(keras.Model(inputs, outputs), tmp_path)
    x = random_images((2, 8, 7, 3))
    expected = spectral_resize(spectral_resize(x, (4, 5), nyquist="sum"), 9)
    np.testing.assert_allclose(model.predict(x, verbose=0), to_numpy(expected), atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_bias_of_as_many_channels_as_rows_and_columns(data_format):
    bias = np.arange(4, dtype="float32")
    inputs = keras.Input((4, 4, 4))
    model = keras.Model(inputs, add_bias(inputs, bias, data_format))
    x = random_images((2, 4, 4, 4))
    wanted = x + (bias if data_format == "channels_last" else bias[:, np.newaxis, np.newaxis])
    np.testing.assert_array_equal(to_numpy(model(x)), wanted)


def test_what_is_refused():
    with pytest.raises(ValueError, match="rank 4"):
        fft2(keras.Input((8, 8)))
    with pytest.raises(ValueError, match="uint8"):
        spectral_resize(keras.Input((8, 8, 3), dtype="uint8"), 4)
