"""Convolution by FFT against the ordinary one, over kernel sizes."""

import numpy as np

from benchmarks.harness import Case, training_step

SHAPE = (16, 64, 64, 16)
FILTERS = 16
KERNELS = (3, 5, 7, 9, 11, 13, 15, 21, 31)
TARGETS = {21: ">= 5x", 31: ">= 10x"}


def _step(kernel_size, factory):
    """A factory of the step: forward and the gradients of image, kernel and bias."""

    def build():
        layer = factory(kernel_size)
        layer.build((None, *SHAPE[1:]))
        x = np.random.default_rng(0).standard_normal(SHAPE, dtype="float32")
        return training_step(layer, x, variables=layer.trainable_variables)

    return build


def _conv2d(kernel_size):
    import keras

    return keras.layers.Conv2D(FILTERS, kernel_size, padding="same")


def _fft(implementation):
    def factory(kernel_size):
        from spectral_keras.layers import FFTConv2D

        return FFTConv2D(FILTERS, kernel_size, padding="same", implementation=implementation)

    return factory


def cases():
    """FFTConv2D against Conv2D, one case for each kernel size."""
    return [
        Case(
            name=f"FFTConv2D kernel {kernel_size}",
            shape=f"{list(SHAPE)} -> {FILTERS} filters".replace(" ", ""),
            reference="Conv2D",
            ways={
                "Conv2D": _step(kernel_size, _conv2d),
                "FFTConv2D auto": _step(kernel_size, _fft("auto")),
                "FFTConv2D matmul": _step(kernel_size, _fft("matmul")),
                "FFTConv2D fft": _step(kernel_size, _fft("fft")),
            },
            targets={"FFTConv2D auto": TARGETS.get(kernel_size, "<= 1.10x the time")},
        )
        for kernel_size in KERNELS
    ]
