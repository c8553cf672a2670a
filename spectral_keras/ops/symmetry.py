"""Hermitian symmetry: what makes the inverse DFT of a spectrum real.

A spectrum z in unshifted order belongs to a real image exactly if z[-k] = conj(z[k]) for every
frequency k, indices taken modulo the size:

    n = 7:  frequency   0  1  2  3 -3 -2 -1        n = 8:  0  1  2  3  4 -3 -2 -1
            partner     0  6  5  4  3  2  1                0  7  6  5  4  3  2  1

Index 0 (DC) and, for even n, index n/2 (Nyquist) are their own partners.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

__all__ = [
    "half_spectrum_multiplicity",
    "hermitian_symmetrize",
    "negate_frequencies",
    "symmetrize_half_spectrum",
]


def negate_frequencies(z: Any, axes: Sequence[int] = (-2, -1)) -> Any:
    """z[-k]: index i of each axis takes the entry of index -i modulo the size.

    Args:
        z: real or complex tensor, unshifted order along `axes`.
        axes: the frequency axes.

    Returns:
        Tensor of the same shape and dtype.
    """
    z = ops.convert_to_tensor(z)
    return ops.roll(ops.flip(z, axes), [1] * len(axes), axes)


def hermitian_symmetrize(z: Any, axes: Sequence[int] = (-2, -1)) -> Any:
    """The Hermitian part (z[k] + conj(z[-k])) / 2 of a full spectrum.

    It is the orthogonal projection onto the spectra of real images:
    `ifft2(hermitian_symmetrize(z))` is the real part of `ifft2(z)`.  For a real z, such as a
    mask, it is the even part (z[k] + z[-k]) / 2, and Re F^-1(z F(x)) of a real image x is the
    same for both.

    Args:
        z: real or complex tensor, unshifted order along `axes`.
        axes: the frequency axes.

    Returns:
        Tensor of the same shape and dtype.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import hermitian_symmetrize
    >>> np.asarray(hermitian_symmetrize(np.array([[1.0, 2.0, 4.0]]))).tolist()
    [[1.0, 3.0, 3.0]]
    """
    z = ops.convert_to_tensor(z)
    return 0.5 * (z + ops.conj(negate_frequencies(z, axes)))


def symmetrize_half_spectrum(z: Any, width: Any) -> Any:
    """Makes the columns of a half spectrum Hermitian that have to be, and keeps the others.

    A half spectrum (the layout of `rfft2`) holds the columns 0 ... width//2.  Column 0, and
    column width/2 of an even width, contain both members of each conjugate pair; in a spectrum
    that no real image produced they may contradict each other.  NumPy's `irfft2` then uses their
    Hermitian part, and so do CPU libraries; cuFFT leaves the result undefined.  Replacing the
    columns by their Hermitian part first gives NumPy's result on every device.

    Args:
        z: complex tensor of shape (..., height, width//2 + 1).
        width: width of the image, an integer or a scalar tensor.

    Returns:
        Tensor of the same shape and dtype.
    """
    z = ops.convert_to_tensor(z)
    if ops.is_tensor(width):  # only a graph of TensorFlow has them
        import tensorflow as tf

        column = ops.arange(width // 2 + 1, dtype="int32")
        alone = ops.logical_or(column == 0, 2 * column == width)
        # Not ops.where, which rounds complex128 to single precision.
        return tf.where(alone, hermitian_symmetrize(z, axes=(-2,)), z)
    columns = [hermitian_symmetrize(z[..., :1], axes=(-2,))]
    if width % 2 == 0:
        columns.append(z[..., 1 : width // 2])
        columns.append(hermitian_symmetrize(z[..., width // 2 :], axes=(-2,)))
    else:
        columns.append(z[..., 1:])
    return ops.concatenate(columns, axis=-1)


def half_spectrum_multiplicity(width: int) -> np.ndarray:
    """How many columns of the full spectrum each column of the half spectrum stands for.

    Example:

    >>> from spectral_keras.ops.symmetry import half_spectrum_multiplicity
    >>> half_spectrum_multiplicity(8).tolist(), half_spectrum_multiplicity(7).tolist()
    ([1.0, 2.0, 2.0, 2.0, 1.0], [1.0, 2.0, 2.0, 2.0])

    Returns:
        float64 numpy array of length width//2 + 1: 1 for DC and for the Nyquist column of an even
        width, 2 for the others.
    """
    multiplicity = np.full(width // 2 + 1, 2.0)
    multiplicity[0] = 1.0
    if width % 2 == 0:
        multiplicity[-1] = 1.0
    return multiplicity
