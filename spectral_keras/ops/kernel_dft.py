"""The unitary 2-D DFT of convolution kernels, as two small real matrices.

A kernel of shape (kh, kw, in, out) is flattened to (kh*kw, in*out); its DFT over the two
kernel axes is then a product with matrices of kh*kw rows, which is exact, needs no complex
numbers and no transposes, and costs nothing beside the convolution itself.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from spectral_keras.ops.validation import check_choice

__all__ = [
    "PARAMETRIZATIONS",
    "hermitian_indices",
    "kernel_from_spectrum",
    "kernel_spectrum",
    "spectral_sizes",
]

PARAMETRIZATIONS = ("full", "hermitian", "orthogonal")


@functools.lru_cache(maxsize=64)
def _cos_sin(kh, kw):
    """cos and sin of 2 pi (u y / kh + v x / kw), each [kh*kw, kh*kw], over sqrt(kh*kw)."""
    rows = np.outer(np.arange(kh), np.arange(kh)) / kh
    columns = np.outer(np.arange(kw), np.arange(kw)) / kw
    turns = rows[:, None, :, None] + columns[None, :, None, :]
    angle = 2 * np.pi * turns.reshape(kh * kw, kh * kw)
    scale = 1 / np.sqrt(kh * kw)
    return np.cos(angle) * scale, np.sin(angle) * scale


@functools.lru_cache(maxsize=64)
def hermitian_indices(kh: int, kw: int) -> tuple[np.ndarray, np.ndarray]:
    """The free coefficients of the DFT of a real kh x kw kernel.

    The spectrum of a real kernel obeys z[u, v] = conj(z[-u, -v]).  One member of each conjugate
    pair is kept, the one that comes first in row-major order; a bin that is its own partner (DC,
    and the Nyquist bins of even sizes) is real.

    Returns:
        Two integer arrays of flat (row-major) bins: those whose real part is free, the
        self-conjugate ones included, and those whose imaginary part is free.  Together they
        have kh*kw entries.
    """
    flat = np.arange(kh * kw)
    u, v = np.divmod(flat, kw)
    partner = (-u % kh) * kw + (-v % kw)
    return flat[flat <= partner], flat[flat < partner]


@functools.lru_cache(maxsize=64)
def _random_basis(kh, kw):
    """A random orthogonal matrix [kh*kw, kh*kw], the same one for a size, Haar distributed."""
    rng = np.random.default_rng([kh, kw])
    q, r = np.linalg.qr(rng.standard_normal((kh * kw, kh * kw)))
    return q * np.sign(np.diag(r))


def spectral_sizes(kh: int, kw: int, parametrization: str) -> tuple[int, int]:
    """How many real and imaginary numbers a kh x kw kernel has in a parametrisation."""
    if parametrization == "full":
        return kh * kw, kh * kw
    if parametrization == "orthogonal":
        return kh * kw, 0
    real, imag = hermitian_indices(kh, kw)
    return len(real), len(imag)


@functools.lru_cache(maxsize=64)
def _forward_matrices(kh, kw, parametrization):
    if parametrization == "orthogonal":
        return _random_basis(kh, kw).T, np.zeros((0, kh * kw))
    cos, sin = _cos_sin(kh, kw)
    if parametrization == "full":
        return cos, -sin
    real, imag = hermitian_indices(kh, kw)
    return cos[real], -sin[imag]


@functools.lru_cache(maxsize=64)
def _inverse_matrices(kh, kw, parametrization):
    if parametrization == "orthogonal":
        return _random_basis(kh, kw), np.zeros((kh * kw, 0))
    cos, sin = _cos_sin(kh, kw)
    if parametrization == "full":
        return cos, -sin
    real, imag = hermitian_indices(kh, kw)
    # The partner that is not stored adds the same amount to the real kernel.
    twice = np.where(np.isin(real, imag), 2.0, 1.0)
    return cos[:, real] * twice, -2.0 * sin[:, imag]


def kernel_spectrum(kernel: Any, parametrization: str = "full") -> tuple[Any, Any]:
    """Unitary DFT of real kernels over the two kernel axes.

    Args:
        kernel: float tensor of shape (kh, kw, in, out).
        parametrization: "full" for every coefficient, "hermitian" for the kh*kw free reals;
            "orthogonal" takes a random orthogonal basis of the kernels in place of the DFT.

    Returns:
        (real, imag): for "full" two tensors of the kernel's shape, for "hermitian" tensors of
        shapes (n_real, in, out) and (n_imag, in, out), see `hermitian_indices`; for "orthogonal"
        of shapes (kh*kw, in, out) and (0, in, out).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import kernel_spectrum
    >>> real, imag = kernel_spectrum(np.ones((3, 3, 4, 8), "float32"), "hermitian")
    >>> tuple(real.shape), tuple(imag.shape)
    ((5, 4, 8), (4, 4, 8))
    """
    check_choice("parametrization", parametrization, PARAMETRIZATIONS)
    kh, kw, channels, filters = kernel.shape
    flat = ops.reshape(kernel, (kh * kw, channels * filters))
    parts = []
    for matrix in _forward_matrices(kh, kw, parametrization):
        # Not ops.matmul, which turns float64 into float32 on PyTorch.
        part = ops.convert_to_tensor(matrix, dtype=flat.dtype) @ flat
        leading = (kh, kw) if parametrization == "full" else (matrix.shape[0],)
        parts.append(ops.reshape(part, (*leading, channels, filters)))
    return tuple(parts)


def kernel_from_spectrum(
    real: Any, imag: Any, kernel_size: Sequence[int], parametrization: str = "full"
) -> Any:
    """Real part of the unitary inverse DFT of (real, imag): the spatial kernel.

    Args:
        real, imag: as `kernel_spectrum` returns them.  `imag` is None where there is none
            ("hermitian" and every bin its own partner, as for 1 x 1; "orthogonal").
        kernel_size: (kh, kw).
        parametrization: "full", "hermitian" or "orthogonal".

    Returns:
        Tensor of shape (kh, kw, in, out).

    Example:

    >>> import numpy as np
    >>> from spectral_keras.ops import kernel_from_spectrum, kernel_spectrum
    >>> kernel = np.ones((3, 3, 4, 8), "float32")
    >>> again = kernel_from_spectrum(*kernel_spectrum(kernel), (3, 3))
    >>> bool(np.allclose(again, kernel, atol=1e-6))
    True
    """
    check_choice("parametrization", parametrization, PARAMETRIZATIONS)
    kh, kw = kernel_size
    channels, filters = real.shape[-2:]
    kernel = 0
    for part, matrix in zip((real, imag), _inverse_matrices(kh, kw, parametrization), strict=True):
        if part is None:
            continue
        flat = ops.reshape(part, (matrix.shape[1], channels * filters))
        kernel = kernel + ops.convert_to_tensor(matrix, dtype=flat.dtype) @ flat
    return ops.reshape(kernel, (kh, kw, channels, filters))
