"""Networks whose needed frequencies are known, and the objective in float64 numpy."""

import keras
import numpy as np


def pattern(height, width, frequency):
    """cos(2 pi (a m / H + b n / W)) of frequency (a, b)."""
    a, b = frequency
    m, n = np.arange(height)[:, None], np.arange(width)[None]
    return np.cos(2 * np.pi * (a * m / height + b * n / width))


def reading_net(height, width, frequencies, channels=1, gain=1.0, activation=None):
    """Two logits, plus and minus the sum of the images' cosine parts at some frequencies."""
    kernel = sum(pattern(height, width, f) for f in frequencies) * gain / (height * width)
    kernel = np.repeat(kernel[..., None], channels, axis=-1).ravel()
    model = keras.Sequential(
        [
            keras.Input((height, width, channels)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, use_bias=False, activation=activation),
        ]
    )
    model.set_weights([np.stack([kernel, -kernel], axis=1).astype("float32")])
    return model


def showing_images(count, height, width, frequencies, channels=1, seed=0):
    """Noise with a positive cosine part at each of the frequencies: class 0 of `reading_net`."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 0.3, (count, height, width, channels))
    for f in frequencies:
        wave = pattern(height, width, f)[None, :, :, None]
        part = (images * wave).mean((1, 2), keepdims=True) / (wave**2).mean()
        images = images + (rng.uniform(0.8, 1.2, (count, 1, 1, 1)) - part) * wave
    return images.astype("float32")


def support(height, width, frequencies):
    """The mask entries of frequencies and of their partners."""
    mask = np.zeros((height, width), bool)
    for a, b in frequencies:
        mask[a % height, b % width] = mask[-a % height, -b % width] = True
    return mask


def half_plane_sign(height, width):
    """1 and -1 on the two halves of the plane, 0 where k = -k."""
    sign = np.zeros((height, width))
    for a in range(height):
        for b in range(width):
            here, there = a * width + b, (-a % height) * width + (-b % width)
            sign[a, b] = np.sign(there - here)
    return sign


def numpy_images(x, amplitude, phase):
    """Re F^-1(A exp(i phi) F(x)) of channels-last images; masks [H, W] or [H, W, C] or None."""
    spectrum = np.fft.fft2(x.astype("float64"), axes=(1, 2))
    sign = half_plane_sign(*x.shape[1:3])[..., None]
    for mask, kind in ((amplitude, "amplitude"), (phase, "phase")):
        if mask is None:
            continue
        mask = mask[..., None] if mask.ndim == 2 else mask
        even = (mask + np.roll(np.flip(mask, (0, 1)), (1, 1), (0, 1))) / 2
        factor = mask if kind == "amplitude" else np.exp(1j * np.pi * (1 - even) * sign)
        spectrum = spectrum * factor
    return np.fft.ifft2(spectrum, axes=(1, 2)).real


def numpy_cross_entropy(logits, labels):
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


def numpy_objective(kernel, x, labels, amplitude, phase, *, penalty, p=1, invariance="exp"):
    """Mean over the images of the objective, for logits x @ kernel."""

    def loss(images):
        return numpy_cross_entropy(images.reshape(len(images), -1) @ kernel, labels)

    masked = loss(numpy_images(x, amplitude, phase))
    change = masked - loss(x.astype("float64"))
    terms = {"exp": np.exp(change**2), "squared": change**2, "cross_entropy": masked}[invariance]
    masks = [mask for mask in (amplitude, phase) if mask is not None]
    size = np.mean([(np.abs(mask) ** p).mean() for mask in masks])
    return terms.mean() + penalty * size
