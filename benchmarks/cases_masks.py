"""FourierMask, forward and both gradients, against complex FFTs with transposes."""

from benchmarks.harness import Case, random_input, training_step

SHAPES = ((128, 32, 32, 3), (128, 32, 32, 64), (8, 224, 224, 3))
USUAL = "usual way (fft2d, multiply, ifft2d, real)"


def _random_mask(shape):
    import numpy as np

    return np.random.default_rng(2).random(shape[1:3], dtype="float32")


def _usual(shape):
    """What one writes first: NHWC images to complex planes and back."""

    def factory():
        import keras
        import tensorflow as tf

        mask = keras.Variable(_random_mask(shape))

        def function(x):
            z = tf.signal.fft2d(tf.cast(tf.transpose(x, (0, 3, 1, 2)), tf.complex64))
            z = z * tf.cast(mask.value, tf.complex64)
            return tf.transpose(tf.math.real(tf.signal.ifft2d(z)), (0, 2, 3, 1))

        return training_step(function, random_input(shape), variables=[mask])

    return factory


def _layer(shape, implementation):
    def factory():
        from spectral_keras.layers.fourier_mask import FourierMask

        layer = FourierMask(constraint=None, implementation=implementation)
        layer.build(shape)
        layer.set_weights([_random_mask(shape)])
        return training_step(layer, random_input(shape), variables=[layer.mask])

    return factory


def cases():
    """One case for each of `SHAPES`."""
    found = []
    for shape in SHAPES:
        ways = {USUAL: _usual(shape)}
        for implementation in ("auto", "fft", "matmul"):
            ways[f"FourierMask {implementation}"] = _layer(shape, implementation)
        found.append(
            Case(
                name=f"mask {shape[1]}x{shape[2]}x{shape[3]}",
                shape=str(list(shape)).replace(" ", ""),
                reference=USUAL,
                ways=ways,
            )
        )
    return found
