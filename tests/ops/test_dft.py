import numpy as np
import pytest

from spectral_keras.ops.dft import cosines, dft_matrices, real_basis, sines


@pytest.mark.parametrize("n", [1, 2, 7, 8, 224])
@pytest.mark.parametrize("norm", ["ortho", "backward", "forward"])
def test_dft_matrices_are_the_fft(n, norm):
    cos, sin = dft_matrices(n, norm)
    expected = np.fft.fft(np.eye(n), norm=norm)
    np.testing.assert_allclose(cos - 1j * sin, expected, atol=1e-14 * n)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 224])
def test_real_basis(n):
    basis, frequency = real_basis(n)
    np.testing.assert_allclose(basis @ basis.T, np.eye(n), atol=1e-14 * max(n, 10))
    # Each row lives on the bins +-frequency of the spectrum and nowhere else.
    magnitude = np.abs(np.fft.fft(basis, norm="ortho"))
    bins = np.abs(np.fft.fftfreq(n, 1 / n).round())
    np.testing.assert_allclose(magnitude[bins[None] != frequency[:, None]], 0, atol=1e-12)
    np.testing.assert_array_equal(np.sort(frequency), np.sort(bins))


def test_integer_angles():
    turns = np.arange(-30, 60)
    for period in (1, 5, 12, 32):
        angle = 2 * np.pi * turns / period
        np.testing.assert_allclose(cosines(turns, period), np.cos(angle), atol=1e-13)
        np.testing.assert_allclose(sines(turns, period), np.sin(angle), atol=1e-13)
    # No drift for huge angles, and exact at the quarter turns.
    assert cosines(np.array([10**12 * 8 + 2, 4, 0]), 8).tolist() == [0.0, -1.0, 1.0]
    assert sines(np.array([2, 6, 4]), 8).tolist() == [1.0, -1.0, 0.0]


def test_cached_matrices_cannot_be_changed():
    for array in (*dft_matrices(4), *real_basis(4)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_errors_show_what_was_received():
    with pytest.raises(ValueError, match="norm='unitary'"):
        dft_matrices(4, "unitary")
    with pytest.raises(ValueError, match="n=0"):
        real_basis(0)
