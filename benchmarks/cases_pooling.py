"""Spectral pooling and frequency dropout against the usual ways and the usual pools."""

import numpy as np

from benchmarks.harness import Case, random_input, training_step

_USUAL = "usual way (tf.signal.fft2d)"

# (shape, output size, pool size of the comparable pooling layers or None, targets)
_POOLS = (
    ((128, 32, 32, 96), 16, 2, {"SpectralPool": ">= 10x, <= 2.5x AveragePooling2D"}),
    ((128, 32, 32, 96), 27, None, {"SpectralPool": ">= 10x"}),
    ((128, 16, 16, 192), 8, 2, {"SpectralPool": ">= 10x, <= 2.5x AveragePooling2D"}),
    ((8, 224, 224, 16), 112, 2, {"SpectralPool": ">= 3.5x"}),
)


def usual_spectral_pool(size):
    """The operation as it is usually written: complex 2-D FFTs, shift, crop, real part."""
    import tensorflow as tf

    def pool(x):
        height, width = x.shape[1], x.shape[2]
        top, left = height // 2 - size // 2, width // 2 - size // 2
        z = tf.cast(tf.transpose(x, (0, 3, 1, 2)), tf.complex64)
        z = tf.signal.fftshift(tf.signal.fft2d(z), axes=(2, 3))
        z = z[:, :, top : top + size, left : left + size]
        z = tf.signal.ifft2d(tf.signal.ifftshift(z, axes=(2, 3)))
        y = tf.math.real(z) * (size * size / (height * width))
        return tf.transpose(y, (0, 2, 3, 1))

    return pool


def usual_frequency_dropout(min_fraction):
    """Random square mask between two complex 2-D FFTs; one draw for the batch."""
    import tensorflow as tf

    def drop(x):
        n = x.shape[1]
        low = int(np.ceil(min_fraction * n))
        side = tf.random.uniform((), low, n + 1, dtype=tf.int32)
        frequency = tf.constant(np.abs(np.fft.fftfreq(n, 1 / n)).astype("int32"))
        keep = tf.cast((2 * frequency < side) | (side >= n), tf.complex64)
        z = tf.signal.fft2d(tf.cast(tf.transpose(x, (0, 3, 1, 2)), tf.complex64))
        z = tf.signal.ifft2d(z * keep[:, None] * keep[None, :])
        return tf.transpose(tf.math.real(z), (0, 2, 3, 1))

    return drop


def _size_text(shape, size=None):
    text = "[" + ",".join(str(n) for n in shape) + "]"
    return text if size is None else f"{text} -> {size}x{size}"


def _pool_case(shape, size, pool_size, targets):
    import keras

    from spectral_keras.layers.spectral_pool import SpectralPool

    def step(function):
        return lambda: training_step(function, random_input(shape))

    ways = {
        _USUAL: step(usual_spectral_pool(size)),
        "SpectralPool": step(SpectralPool(size)),
        "SpectralPool(fft)": step(SpectralPool(size, implementation="fft")),
    }
    if pool_size is not None:
        ways["AveragePooling2D"] = step(keras.layers.AveragePooling2D(pool_size))
        ways["MaxPooling2D"] = step(keras.layers.MaxPooling2D(pool_size))
    name = f"spectral pooling {shape[1]}->{size}"
    return Case(name, _size_text(shape, size), _USUAL, ways, targets)


def _fused_case(shape, size):
    from spectral_keras.layers.frequency_dropout import FrequencyDropout
    from spectral_keras.layers.spectral_pool import SpectralPool

    pool, drop = usual_spectral_pool(size), usual_frequency_dropout(0.3)
    pool_layer, drop_layer = SpectralPool(size), FrequencyDropout(0.3)
    fused = SpectralPool(size, frequency_dropout=0.3)
    functions = {
        _USUAL: lambda x: drop(pool(x)),
        "SpectralPool, then FrequencyDropout": lambda x: drop_layer(pool_layer(x), training=True),
        "SpectralPool(frequency_dropout=0.3)": lambda x: fused(x, training=True),
        "SpectralPool alone": pool_layer,
    }
    ways = {
        label: lambda function=function: training_step(function, random_input(shape))
        for label, function in functions.items()
    }
    name = f"spectral pooling with frequency dropout {shape[1]}->{size}"
    return Case(name, _size_text(shape, size), _USUAL, ways)


def _dropout_case(shape):
    from spectral_keras.layers.frequency_dropout import FrequencyDropout

    def step(function):
        return lambda: training_step(function, random_input(shape))

    layer, each = FrequencyDropout(0.3), FrequencyDropout(0.3, per_sample=True)
    ways = {
        _USUAL: step(usual_frequency_dropout(0.3)),
        "FrequencyDropout": step(lambda x: layer(x, training=True)),
        "FrequencyDropout(per_sample=True)": step(lambda x: each(x, training=True)),
    }
    return Case(f"frequency dropout {shape[1]}", _size_text(shape), _USUAL, ways)


def cases():
    """All cases of this module."""
    return [
        *(_pool_case(*arguments) for arguments in _POOLS),
        _fused_case((128, 32, 32, 96), 27),
        _dropout_case((128, 27, 27, 96)),
        _dropout_case((128, 16, 16, 192)),
    ]
