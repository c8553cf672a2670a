"""Slow references in float64 numpy, and gradients on any backend.

The references come straight from the definitions and `numpy.fft`, and share no code with the
library.  Images are (batch, height, width, channels) unless said otherwise.
"""

import keras
import numpy as np

NYQUIST_WEIGHTS = {"average": 0.5, "sum": 1.0, "isometric": np.sqrt(0.5), "drop": 0.0}


def random_images(shape, seed=0, dtype="float32"):
    """Uniform numbers in [0, 1) that float32 holds exactly, as a numpy array."""
    return np.random.default_rng(seed).random(shape, dtype="float32").astype(dtype)


def to_numpy(x, dtype="float64"):
    """Tensor or array of any float dtype as a numpy array; complex tensors stay complex."""
    if isinstance(x, keras.Variable):
        x = x.value
    if hasattr(x, "detach"):  # torch: numpy knows no bfloat16
        x = x.detach().cpu()
        x = x.numpy() if x.dtype.is_complex else x.double().numpy()
    else:
        x = np.asarray(x)
    return x if np.iscomplexobj(x) else x.astype(dtype)


def signed_frequency(n):
    """Frequency of each index of a DFT of length n, Nyquist of even n as +n/2."""
    return np.array([k if k <= n // 2 else k - n for k in range(n)])


def _crop_axis(spectrum, size, weight, axis):
    spectrum = np.moveaxis(spectrum, axis, -1)
    n = spectrum.shape[-1]
    if size > n:
        raise ValueError(f"The reference only shrinks. Received: size={size} for {n}")
    if size < n:
        half = (size - 1) // 2
        parts = [spectrum[..., : half + 1]]
        if size % 2 == 0:
            nyquist = spectrum[..., size // 2] + spectrum[..., n - size // 2]
            parts.append(weight * nyquist[..., None])
        if half:
            parts.append(spectrum[..., -half:])
        spectrum = np.concatenate(parts, axis=-1)
    return np.moveaxis(spectrum, -1, axis)


def numpy_spectral_pool(x, size, nyquist="average", norm="mean"):
    """Spectral pooling of (batch, H, W, C) images to `size` (an int or a pair).

    Per axis: the frequencies |k| < size/2 are kept; for an even size, k = size/2 and k = -size/2
    are added and weighted; an axis that keeps its size is left alone.

    Args:
        nyquist: "average", "sum", "isometric", "drop", or the weight itself.
        norm: "mean" keeps a constant image, "ortho" is the unitary pair of transforms.
    """
    x = np.asarray(x, dtype="float64")
    height, width = (size, size) if np.isscalar(size) else size
    weight = NYQUIST_WEIGHTS.get(nyquist, nyquist)
    spectrum = np.fft.fft2(x, axes=(1, 2), norm="forward")
    spectrum = _crop_axis(_crop_axis(spectrum, height, weight, 1), width, weight, 2)
    y = np.fft.ifft2(spectrum, axes=(1, 2), norm="forward")
    assert np.abs(y.imag).max() < 1e-12 * max(np.abs(x).max(), 1)
    if norm == "ortho":
        return y.real * np.sqrt(x.shape[1] * x.shape[2] / (height * width))
    assert norm == "mean"
    return y.real


def numpy_plain_crop(x, size, window=None, hartley=False):
    """The shifted spectrum's middle block, transformed back: complex parts are left out.

    Args:
        size: (height, width).
        window: None, or (H, W) factors of the spectrum in unshifted order.
        hartley: whether the transform is the Hartley transform Re F - Im F.
    """
    x = np.asarray(x, dtype="float64")

    def transform(x):
        z = np.fft.fft2(x, axes=(1, 2))
        return z.real - z.imag if hartley else z

    z = transform(x) / (x.shape[1] * x.shape[2])
    if window is not None:
        z = z * window[None, :, :, None]
    z = np.fft.fftshift(z, axes=(1, 2))
    (height, width), (rows, columns) = x.shape[1:3], size
    top, left = height // 2 - rows // 2, width // 2 - columns // 2
    z = z[:, top : top + rows, left : left + columns]
    z = np.fft.ifftshift(z, axes=(1, 2))
    return transform(z) if hartley else np.fft.ifft2(z, axes=(1, 2), norm="forward").real


def numpy_mask(x, mask):
    """Re F^-1(mask * F(x)); mask (H, W) or (H, W, C) in unshifted order."""
    x = np.asarray(x, dtype="float64")
    mask = np.asarray(mask, dtype="float64")
    mask = mask[..., None] if mask.ndim == 2 else mask
    return np.fft.ifft2(mask * np.fft.fft2(x, axes=(1, 2)), axes=(1, 2)).real


def numpy_lowpass(x, side):
    """Keeps the frequencies with |k| < side/2 on each axis (`side`: a number or a pair)."""
    rows, columns = (side, side) if np.isscalar(side) else side
    keep = [
        np.abs(signed_frequency(n)) < s / 2
        for n, s in zip(np.shape(x)[1:3], (rows, columns), strict=True)
    ]
    return numpy_mask(x, np.outer(*keep))


def numpy_circular_conv(x, kernel, strides=1):
    """Keras' Conv2D (a cross-correlation) with periodic instead of zero padding.

    Aligned as padding="same" with stride 1: the kernel's tap (k-1)//2 lies on the output pixel.
    Sums the shifted images one by one: no FFT here.

    Args:
        kernel: (kh, kw, in, out).
        strides: an int or a pair; every strides-th pixel is kept, from the first.
    """
    x = np.asarray(x, dtype="float64")
    kernel = np.asarray(kernel, dtype="float64")
    kh, kw = kernel.shape[:2]
    y = np.zeros((*x.shape[:3], kernel.shape[3]))
    for i in range(kh):
        for j in range(kw):
            shifted = np.roll(x, ((kh - 1) // 2 - i, (kw - 1) // 2 - j), axis=(1, 2))
            y += shifted @ kernel[i, j]
    sh, sw = (strides, strides) if np.isscalar(strides) else strides
    return y[:, ::sh, ::sw]


def float64_or_float32():
    """ "float64", or "float32" on JAX without x64, which has no float64."""
    if keras.backend.backend() == "jax":
        import jax

        return "float64" if jax.config.jax_enable_x64 else "float32"
    return "float64"


def compiled(fn):
    """`jax.jit(fn)` on JAX, fn elsewhere.

    Outside `jit` JAX compiles every op of fn for every shape by itself, which takes seconds.  Not
    for functions that draw random numbers: a `SeedGenerator` must not change inside.
    """
    if keras.backend.backend() != "jax":
        return fn
    import jax

    return jax.jit(fn)


def gradients(fn, *arrays):
    """Gradients of the scalar fn(*tensors) by the arrays, as numpy arrays of their dtype."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(array) for array in arrays]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            value = fn(*tensors)
        return [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(value, tensors)]
    if backend == "jax":
        import jax

        tensors = [jax.numpy.asarray(array) for array in arrays]
        grads = jax.grad(fn, argnums=tuple(range(len(tensors))))(*tensors)
        return [np.asarray(g) for g in grads]
    import torch

    with torch.enable_grad():
        tensors = [
            keras.ops.convert_to_tensor(array).detach().clone().requires_grad_(True)
            for array in arrays
        ]
        grads = torch.autograd.grad(fn(*tensors), tensors)
    return [g.detach().cpu().numpy() for g in grads]


def input_gradient(fn, x):
    """Gradient of the scalar fn(x) by x, as a numpy array."""
    return gradients(fn, x)[0]


def weight_gradients(fn, variables):
    """Gradients of the scalar fn() by Keras variables, as numpy arrays (0 where unused)."""
    backend = keras.backend.backend()
    variables = list(variables)
    if backend == "tensorflow":
        import tensorflow as tf

        values = [variable.value for variable in variables]
        with tf.GradientTape() as tape:
            value = fn()
        grads = tape.gradient(value, values, unconnected_gradients="zero")
        return [np.asarray(tf.convert_to_tensor(g)) for g in grads]
    if backend == "jax":
        import jax

        def stateless(values):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return fn()

        return [np.asarray(g) for g in jax.grad(stateless)([v.value for v in variables])]
    import torch

    with torch.enable_grad():
        values = [variable.value for variable in variables]
        grads = torch.autograd.grad(fn(), values, allow_unused=True)
    return [
        np.zeros(v.shape) if g is None else g.detach().cpu().numpy()
        for g, v in zip(grads, values, strict=True)
    ]


def finite_differences(fn, x, eps=1e-3):
    """Gradient of the scalar fn(x) by central differences, one entry of x after the other.

    fn is called with arrays of x's dtype.  In float32 only functions of degree two at most give
    more than three digits: their central differences are exact, so eps can be large (0.1 to 1).
    """
    x = np.asarray(x)
    if keras.backend.backend() == "jax":
        import jax

        try:
            fn = jax.jit(fn)
            fn(x)
        except jax.errors.TracerArrayConversionError:  # fn is made of numpy
            fn = fn.__wrapped__
    gradient = np.zeros(x.shape, dtype="float64")
    for index in np.ndindex(*x.shape):
        values = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * eps
            values.append(float(to_numpy(fn(moved))))
        gradient[index] = (values[0] - values[1]) / (2 * eps)
    return gradient
