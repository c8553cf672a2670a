"""scikit-learn's scanned digits: 1797 real 8x8 images, embedded and available offline."""

import numpy as np

from spectral_keras.data import arrays
from spectral_keras.data.errors import DataError

SIZE = 32


def enlarging_matrix(n_in, n_out):
    """[n_out, n_in]: trigonometric interpolation of n_in samples on n_out > n_in points."""
    spectrum = np.fft.fft(np.eye(n_in), axis=0)
    padded = np.zeros((n_out, n_in), complex)
    half = (n_in - 1) // 2  # the highest frequency below Nyquist
    padded[: half + 1] = spectrum[: half + 1]
    padded[n_out - half :] = spectrum[n_in - half :]
    if n_in % 2 == 0:
        # The Nyquist bin of an even size stands for +n/2 and -n/2: half of it to each.
        padded[n_in // 2] = padded[n_out - n_in // 2] = spectrum[n_in // 2] / 2
    return np.fft.ifft(padded, axis=0).real * (n_out / n_in)


def load_digits():
    """The digits enlarged to 32x32 by zero-padding their spectrum.

    The enlargement is the rule of ``spectral_resize`` (nyquist="average", norm="mean"):
    the 8x8 image is sampled on a four times finer grid from its own trigonometric
    interpolation, so the low frequencies are the scan and the high ones are zero
    (up to clipping to [0, 255] and rounding).
    """
    try:
        from sklearn.datasets import load_digits as load_scans
    except ImportError as error:
        raise DataError(
            "the data set 'digits' needs scikit-learn: pip install scikit-learn, or use an .npz file"
        ) from error
    scans = load_scans()
    matrix = enlarging_matrix(8, SIZE)
    images = matrix @ (scans.images.astype(np.float64) * (255 / 16)) @ matrix.T
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8)[..., np.newaxis]
    labels = scans.target.astype(np.int32)
    train, test = arrays.every_fifth(labels)
    return {
        "x_train": images[train],
        "y_train": labels[train],
        "x_test": images[test],
        "y_test": labels[test],
        "class_names": [str(digit) for digit in range(10)],
        "source": {"kind": "digits", "test": "each fifth image of every class"},
    }
