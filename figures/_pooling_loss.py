"""Pooling and enlarging back, and how much of an image that loses."""

import numpy as np
from keras import ops

from spectral_keras.ops.resize import NYQUIST_RULES, spectral_resize

CHANNELS = "channels_last"


def _spectral(nyquist):
    def pool(images, side):
        size = tuple(images.shape[1:3])
        options = {"nyquist": nyquist, "norm": "mean", "data_format": CHANNELS}
        return spectral_resize(spectral_resize(images, side, **options), size, **options)

    return pool


def _windows(operation):
    def pool(images, side):
        window = images.shape[1] // side
        pooled = operation(images, window, strides=window, data_format=CHANNELS)
        return _nearest(pooled, images.shape[1])

    return pool


def _adaptive(operation, whole):
    def pool(images, side):
        if side == 1:
            # TensorFlow's adaptive maximum kills the process here (Keras 3.15): it also pools with
            # a window that is larger than the map.
            return _nearest(whole(images, axis=(1, 2), keepdims=True), images.shape[1])
        return _nearest(operation(images, side, data_format=CHANNELS), images.shape[1])

    return pool


def _stride(images, side):
    step = images.shape[1] // side
    return _nearest(images[:, ::step, ::step], images.shape[1])


def _average_bicubic(images, side):
    """Average pooling, enlarged by Keys' cubic convolution: no corners that blocks have."""
    window = images.shape[1] // side
    pooled = ops.average_pool(images, window, strides=window, data_format=CHANNELS)
    size = tuple(images.shape[1:3])
    return ops.image.resize(pooled, size, interpolation="bicubic", data_format=CHANNELS)


def _cosine(images, side):
    """The lowest side x side coefficients of the DCT-II, which mirrors where the DFT repeats."""
    from scipy import fft

    axes = {"axes": (1, 2), "norm": "ortho"}
    coefficients = fft.dctn(ops.convert_to_numpy(images), **axes)
    coefficients[:, side:] = coefficients[:, :, side:] = 0
    return fft.idctn(coefficients, **axes)


def _nearest(pooled, size):
    """Enlarges to size x size by repeating pixels."""
    pooled = ops.convert_to_numpy(pooled)
    index = np.arange(size) * pooled.shape[1] // size
    return pooled[:, index][:, :, index]


# Name -> function (images [N, size, size, channels], side) -> images pooled to side x side and
# enlarged back.  Those of `DIVIDING` need a side that divides the size.
DIVIDING = {
    "max": _windows(ops.max_pool),
    "average": _windows(ops.average_pool),
    "average_bicubic": _average_bicubic,
    "strided": _stride,
}
ANY_SIDE = {
    **{f"spectral_{rule}": _spectral(rule) for rule in NYQUIST_RULES},
    "cosine": _cosine,
    "adaptive_max": _adaptive(ops.adaptive_max_pool, ops.max),
    "adaptive_average": _adaptive(ops.adaptive_average_pool, ops.mean),
}
METHODS = {**DIVIDING, **ANY_SIDE}


def pool_and_enlarge(method, images, side):
    """float32 images [N, size, size, channels] through one of `METHODS`, as a NumPy array."""
    pooled = METHODS[method](ops.convert_to_tensor(images, "float32"), side)
    return ops.convert_to_numpy(pooled)


def report_side(reduction, size=32):
    """The side that the report keeps where it says that it reduces each axis by `reduction`."""
    return size - 2 * int(np.ceil((size - size / reduction) / 2))


def report_processing(images, side):
    """Spectral pooling as the report's code evaluated it.

    The plain centred crop, which is not Hermitian for an even side, its absolute value, then
    scaled to [0, 1] by the least and the greatest value of each column of pixels over all images
    of the batch and all rows.
    """
    size = images.shape[1]
    kept = np.zeros((size, size, 1))
    cut = (size - side) // 2
    kept[cut : size - cut, cut : size - cut] = 1
    kept = np.fft.ifftshift(kept, axes=(0, 1))
    pooled = np.abs(np.fft.ifft2(np.fft.fft2(images, axes=(1, 2)) * kept, axes=(1, 2)))
    least, greatest = pooled.min((0, 1)), pooled.max((0, 1))
    return (pooled - least) / (greatest - least)


class Losses:
    """Losses of one method at one side, collected batch by batch."""

    def __init__(self):
        self._per_image, self._error, self._power = [], 0.0, 0.0

    def add(self, images, enlarged):
        error, power = np.square(enlarged - images), np.square(images)
        self._per_image.append(relative(error, power, (1, 2, 3)))
        self._error += error.sum(0, dtype="float64")
        self._power += power.sum(0, dtype="float64")

    def per_image(self):
        """||x - x_hat|| / ||x|| of each image: array [N]."""
        return np.concatenate(self._per_image)

    def report_metric(self):
        """The report's metric: the norms run over the images, the mean over the pixels."""
        return float(np.sqrt(self._error / np.maximum(self._power, 1e-12)).mean())


def relative(error, power, axes):
    """sqrt of the ratio of two sums; a black image has no scale and would count as 0/0."""
    power = power.sum(axes, dtype="float64")
    return np.sqrt(error.sum(axes, dtype="float64") / np.maximum(power, 1e-12))


def summary(sides, losses, size):
    """JSON-plain lists over the sides: mean, spread and the report's metric."""
    per_image = [one.per_image() for one in losses]

    def rounded(values):
        return [round(float(value), 7) for value in values]

    return {
        "sides": list(sides),
        "fractions": rounded(side**2 / size**2 for side in sides),
        "mean": rounded(map(np.mean, per_image)),
        "std": rounded(map(np.std, per_image)),
        **{
            f"percentile_{q}": rounded(np.percentile(values, q) for values in per_image)
            for q in (10, 50, 90)
        },
        "report_metric": rounded(one.report_metric() for one in losses),
    }
