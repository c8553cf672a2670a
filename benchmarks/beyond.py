"""Speed of windows, plain crops, filters, modes and pairs by FFT: `python -m benchmarks.beyond`.

The layers of docs/guides/beyond.md, but for learned strides, which are a case of
`benchmarks.layers`, against what one writes with TensorFlow's FFTs.  Steps are forward and
backward, compiled, float32.
"""

if __name__ == "__main__":
    from models import command

    command("benchmarks.beyond")

import numpy as np

from benchmarks.harness import Case, random_input
from benchmarks.layers import (
    images,
    layer_steps,
    middle,
    planes,
    run_cases,
    shape_text,
    spectra,
    steps,
    usual_spectral_pool,
)

SHAPE, LARGE = (64, 32, 32, 64), (4, 224, 224, 16)
MODES = 8


def main(arguments=None):
    return run_cases("beyond", __doc__, cases, arguments)


def cases():
    """Pooling, filters, modes and pairs, on small and large maps."""
    return [
        *(function(shape) for shape in (SHAPE, LARGE) for function in (_pooling, _filter, _modes)),
        _pairs(SHAPE),
    ]


def usual_hartley_pool(size):
    """Real part less imaginary part, crop, and the same transform back."""
    import tensorflow as tf

    def hartley(z):
        z = tf.signal.fft2d(tf.cast(z, tf.complex64))
        return tf.math.real(z) - tf.math.imag(z)

    def pool(x):
        height, width = x.shape[1:3]
        z = middle(tf.signal.fftshift(hartley(planes(x)), axes=(2, 3)), size)
        return images(hartley(z)) / (height * width)

    return pool


def usual_filter(real, imaginary):
    """GFNet: half the spectrum times a complex filter."""
    import tensorflow as tf

    def function(x):
        z = tf.signal.rfft2d(planes(x)) * tf.complex(real, imaginary)
        return images(tf.signal.irfft2d(z, x.shape[1:3]))

    return function


def usual_modes(real, imaginary, filters):
    """A Fourier neural operator: half the spectrum, the lowest rows and columns times R, back."""
    import tensorflow as tf

    rows = MODES - 1

    def function(x):
        height, width = x.shape[1:3]
        kernel = tf.complex(real, imaginary)
        z = tf.signal.rfft2d(planes(x))[..., :MODES]
        z = tf.concat([z[:, :, :MODES], z[:, :, height - rows :]], axis=2)
        z = tf.einsum("nchw,hwcd->ndhw", z, kernel)
        gap = tf.zeros((x.shape[0], filters, height - 2 * MODES + 1, MODES), tf.complex64)
        z = tf.concat([z[:, :, :MODES], gap, z[:, :, MODES:]], axis=2)
        z = tf.pad(z, [(0, 0), (0, 0), (0, 0), (0, width // 2 + 1 - MODES)])
        return images(tf.signal.irfft2d(z, (height, width)))

    return function


def _pooling(shape):
    from spectral_keras.layers import HartleySpectralPool, SpectralPool

    size = shape[1] // 2
    functions = {
        "usual way, plain crop": usual_spectral_pool(size),
        'SpectralPool(nyquist="crop")': SpectralPool(size, nyquist="crop"),
        "usual way, Hamming window": usual_spectral_pool(size, np.hamming),
        'SpectralPool(window="hamming")': SpectralPool(size, window="hamming"),
        "usual way, Hartley": usual_hartley_pool(size),
        "HartleySpectralPool": HartleySpectralPool(size),
        "SpectralPool": SpectralPool(size),
    }
    name = f"windows and crops {shape[1]}->{size}"
    return Case(name, shape_text(shape, size), "usual way, plain crop", steps(functions, shape))


def _usual_with_weights(name, shape, sizes, usual, *arguments):
    """`steps` of the usual way, with a real and an imaginary variable of these sizes."""
    import keras

    parts = [keras.Variable(0.02 * random_input(sizes, seed)) for seed in (1, 2)]

    def function(x):
        return usual(*(part.value for part in parts), *arguments)(x)

    return steps({name: function}, shape, parts)


def _filter(shape):
    from spectral_keras.layers import GlobalFilter2D

    _, height, width, channels = shape
    usual = "usual way (rfft2d, multiply, irfft2d)"
    layers = {
        f"GlobalFilter2D {name}": GlobalFilter2D(implementation=name)
        for name in ("auto", "fft", "matmul")
    }
    sizes = (channels, height, width // 2 + 1)
    ways = _usual_with_weights(usual, shape, sizes, usual_filter) | layer_steps(layers, shape)
    return Case(f"global filter {height}", shape_text(shape), usual, ways)


def _modes(shape):
    from spectral_keras.layers import SpectralMixing2D

    channels = shape[3]
    usual = "usual way (rfft2d, lowest modes, irfft2d)"
    sizes = (2 * MODES - 1, MODES, channels, channels)
    ways = _usual_with_weights(usual, shape, sizes, usual_modes, channels)
    ways |= layer_steps({"SpectralMixing2D": SpectralMixing2D(channels, MODES)}, shape)
    return Case(f"lowest {MODES} modes {shape[1]}", shape_text(shape), usual, ways)


def _pairs(shape):
    """There and back, real and imaginary part apart."""
    import tensorflow as tf

    from spectral_keras.layers import FFT2D, InverseFFT2D

    def usual(x):
        z = spectra(x)
        real, imaginary = images(tf.math.real(z)), images(tf.math.imag(z))
        z = tf.signal.ifft2d(tf.complex(planes(real), planes(imaginary)))
        return images(tf.math.real(z))

    def pair(implementation):
        there = FFT2D(implementation=implementation)
        back = InverseFFT2D(real=True, implementation=implementation)
        return lambda x: back(there(x))

    reference = "usual way (fft2d, ifft2d)"
    functions = {reference: usual}
    functions |= {f"FFT2D, InverseFFT2D {name}": pair(name) for name in ("auto", "matmul")}
    name = f"spectrum and back {shape[1]}"
    return Case(name, shape_text(shape), reference, steps(functions, shape))
