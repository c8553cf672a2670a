import keras
import numpy as np
import pytest
from keras import ops

from spectral_keras.ops.kernel_dft import (
    hermitian_indices,
    kernel_from_spectrum,
    kernel_spectrum,
    spectral_sizes,
)
from tests.oracles import random_images, to_numpy

SIZES = [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (1, 6)]


@pytest.mark.parametrize("size", SIZES)
def test_spectrum_is_the_unitary_fft(size):
    kernel = random_images((*size, 2, 3))
    real, imag = kernel_spectrum(kernel)
    expected = np.fft.fft2(kernel.astype("float64"), axes=(0, 1), norm="ortho")
    np.testing.assert_allclose(to_numpy(real), expected.real, atol=2e-6)
    np.testing.assert_allclose(to_numpy(imag), expected.imag, atol=2e-6)


@pytest.mark.parametrize("parametrization", ["full", "hermitian", "orthogonal"])
@pytest.mark.parametrize("size", SIZES)
def test_inverse_gives_the_kernel_back(size, parametrization):
    kernel = random_images((*size, 2, 3))
    real, imag = kernel_spectrum(kernel, parametrization)
    back = kernel_from_spectrum(real, imag, size, parametrization)
    np.testing.assert_allclose(to_numpy(back), kernel, atol=1e-6)


def test_any_full_table_is_the_real_part_of_the_inverse_fft():
    real, imag = random_images((4, 5, 2, 3), seed=1), random_images((4, 5, 2, 3), seed=2)
    expected = np.fft.ifft2(real + 1j * imag.astype("float64"), axes=(0, 1), norm="ortho").real
    actual = to_numpy(kernel_from_spectrum(real, imag, (4, 5)))
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_hermitian_coefficients_are_those_of_the_fft():
    kernel = random_images((4, 3, 1, 1))
    spectrum = np.fft.fft2(kernel[..., 0, 0].astype("float64"), norm="ortho").ravel()
    free_real, free_imag = hermitian_indices(4, 3)
    real, imag = kernel_spectrum(kernel, "hermitian")
    np.testing.assert_allclose(to_numpy(real)[:, 0, 0], spectrum.real[free_real], atol=2e-6)
    np.testing.assert_allclose(to_numpy(imag)[:, 0, 0], spectrum.imag[free_imag], atol=2e-6)


def test_known_spectra():
    # facts of the plain DFT, divided by sqrt(9): the transform is unitary.
    real, imag = kernel_spectrum(np.ones((3, 3, 1, 1), "float32"))
    assert abs(to_numpy(real)[0, 0, 0, 0] - 3) < 1e-6
    assert np.abs(to_numpy(real).ravel()[1:]).max() < 1e-6
    real, imag = kernel_spectrum(np.arange(1, 10, dtype="float32").reshape(3, 3, 1, 1))
    real, imag = 3 * to_numpy(real)[..., 0, 0], 3 * to_numpy(imag)[..., 0, 0]
    expected_real = [[45, -4.5, -4.5], [-13.5, 0, 0], [-13.5, 0, 0]]
    expected_imag = [[0, 2.598076, -2.598076], [7.794229, 0, 0], [-7.794229, 0, 0]]
    np.testing.assert_allclose(real, expected_real, atol=1e-5)
    np.testing.assert_allclose(imag, expected_imag, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (4, 3), (7, 2)])
def test_free_numbers_are_as_many_as_the_kernel_has(size):
    assert sum(spectral_sizes(*size, "hermitian")) == size[0] * size[1]
    assert spectral_sizes(*size, "orthogonal") == (size[0] * size[1], 0)
    assert spectral_sizes(*size, "full") == (size[0] * size[1],) * 2


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 4)])
def test_random_basis(size):
    """An isometry that mixes every tap into every coefficient, equal for all channels."""
    kernel = random_images((*size, 2, 3)) - 0.5
    real, imag = (to_numpy(part) for part in kernel_spectrum(kernel, "orthogonal"))
    assert real.shape == (size[0] * size[1], 2, 3) and imag.shape == (0, 2, 3)
    np.testing.assert_allclose((real**2).sum(axis=0), (kernel**2).sum(axis=(0, 1)), rtol=1e-5)
    taps = np.eye(size[0] * size[1], dtype="float32").reshape(*size, 1, -1)
    basis = to_numpy(kernel_spectrum(taps, "orthogonal")[0])[:, 0]
    assert (np.abs(basis) > 1e-6).all()
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-6)


def test_counts_of_the_usual_kernels():
    assert spectral_sizes(3, 3, "hermitian") == (5, 4)
    assert spectral_sizes(5, 5, "hermitian") == (13, 12)
    assert spectral_sizes(2, 2, "hermitian") == (4, 0)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64 by default")
def test_float64_stays_float64():
    kernel = random_images((3, 5, 2, 3)).astype("float64")
    real, imag = kernel_spectrum(ops.convert_to_tensor(kernel, dtype="float64"))
    expected = np.fft.fft2(kernel, axes=(0, 1), norm="ortho")
    assert to_numpy(real).dtype == to_numpy(imag).dtype == np.float64
    np.testing.assert_allclose(to_numpy(real) + 1j * to_numpy(imag), expected, atol=1e-14)
    back = to_numpy(kernel_from_spectrum(real, imag, (3, 5)))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, kernel, atol=1e-14)
