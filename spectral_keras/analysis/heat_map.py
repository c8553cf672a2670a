"""Fourier heat map: the error of a classifier under each vector of the Fourier basis."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from spectral_keras.analysis.point_detection import (
    check_frequencies,
    point_perturbation,
    spectrum_from_half,
)
from spectral_keras.classifiers.arguments import (
    check_classifier,
    check_images,
    check_labels,
    check_progress,
    class_count,
)
from spectral_keras.classifiers.batches import build_for, fixed_batch_size
from spectral_keras.classifiers.compiled import compile_function, keep_for_model
from spectral_keras.classifiers.logits import logits_function
from spectral_keras.ops.validation import (
    check_clip,
    check_data_format,
    check_number,
    check_positive_int,
)

__all__ = ["FourierNoise", "fourier_heat_map"]


@dataclasses.dataclass(frozen=True)
class FourierNoise:
    """Noise of a single frequency: clip(x + r norm U_ij), U_ij a vector of the Fourier basis.

    U_ij is a cosine of unit L2 norm with energy at ±[i, j] only (see `point_perturbation`), r = -1
    or +1 at random for each image and channel.

    Args:
        norm: L2 norm of what is added to each channel, in the units of the images.
        phase: of U_ij, in radians, see `point_perturbation`.
        clip: (low, high), what pixels are clipped to, or None.
        seed: of the signs r.

    Raises:
        ValueError: for a value that does not fit.

    Example:

    >>> from spectral_keras.analysis import FourierNoise
    >>> FourierNoise(seed=3).signs((2, 1), width=8, shape=(2, 3)).tolist()
    [[-1, -1, -1], [1, -1, -1]]
    """

    norm: float = 4.0
    _: dataclasses.KW_ONLY
    phase: float = 0.0
    clip: tuple[float, float] | None = (0.0, 1.0)
    seed: int = 0

    def __post_init__(self):
        check_number("norm", self.norm, low=0)
        check_number("phase", self.phase)
        check_positive_int("seed", self.seed, minimum=0)
        object.__setattr__(self, "clip", check_clip(self.clip))

    def signs(self, frequency: tuple[int, int], width: int, shape: tuple[int, int]) -> np.ndarray:
        """r of [images, channels] at one frequency, whatever the other frequencies.

        `numpy.random.default_rng((seed, i * width + j)).integers(0, 2, shape) * 2 - 1`: the first
        images have the same signs whether or not others follow.

        Args:
            frequency: [i, j], unshifted.
            width: of the images.
            shape: (images, channels).

        Returns:
            Int8 numpy array of that shape.
        """
        stream = np.random.default_rng((self.seed, int(frequency[0] * width + frequency[1])))
        return (2 * stream.integers(0, 2, shape) - 1).astype(np.int8)

    def waves(self, size: tuple[int, int], frequencies: ArrayLike) -> np.ndarray:
        """norm U_ij of frequencies [F, 2], float32 [F, H, W]."""
        waves = point_perturbation(size, frequencies, self.norm, self.phase)
        return waves.astype(np.float32)


def fourier_heat_map(
    model: keras.Layer,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    norm: float = 4.0,
    frequencies: ArrayLike | float | None = None,
    data_format: str | None = None,
    batch_size: int = 128,
    progress: Callable[..., None] | None = None,
    **noise: Any,
) -> np.ndarray:
    """Error rate of a classifier on images with one Fourier basis vector added.

    Each image is shown as clip(x + r norm U_ij), see `FourierNoise`: the random signs r depend
    neither on the batch size nor on the other frequencies or later images.  Of the two entries of a
    pair ±[i, j] one is computed.

    Source: Yin et al., "A Fourier Perspective on Model Robustness in Computer Vision" (NeurIPS
    2019, arXiv 1906.08988), figure 3 and section 2: norm 4 on CIFAR-10, 15.7 on ImageNet.

    Args:
        model: Keras classifier with one input and one output [N, K], logits or probabilities.
        images: float array [N, H, W, C] (or [N, C, H, W]) in `clip`, as the model takes them.
        labels: the true classes: integers [N] or [N, 1], or one-hot rows [N, K].
        norm: L2 norm of what is added to each channel, in the units of `images`.
        frequencies: the entries to compute: integers [F, 2]; a number for those with
            sqrt(i^2 + j^2), in cycles per image, up to it; None for all.
        data_format: "channels_last" or "channels_first"; None: Keras' global setting.
        batch_size: images that the model sees at a time.
        progress: None, or a callable `(images classified, in all)`; in all: F N.
        **noise: phase, clip, seed: see `FourierNoise`.

    Returns:
        Float64 numpy array [H, W] in unshifted order: the error rate under each frequency, NaN
        where it was not asked for.  An output that is not finite counts as an error.

    Raises:
        ValueError: for an argument that does not fit.

    Example:

    >>> import keras, numpy as np
    >>> from spectral_keras.analysis import fourier_heat_map
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2)])
    >>> model.set_weights([np.tile([[0.0, 1.0]], (64, 1)), np.array([32.0, 0.0])])  # mean > .5?
    >>> images = np.full((20, 8, 8, 1), 0.55, "float32")
    >>> heat = fourier_heat_map(model, images, np.ones(20, int), norm=1.0,
    ...                         data_format="channels_last")
    >>> float(heat[0, 0]) > 0.2, float(heat[0, 1:].max())
    (True, 0.0)
    """
    check_classifier(model)
    check_progress(progress)
    data_format = check_data_format(data_format)
    batch_size = check_positive_int("batch_size", batch_size)
    added = FourierNoise(norm, **noise)
    images, labels = _check_data(model, images, labels, added.clip)
    count = len(images)
    height, width, depth = size = (
        images.shape[1:] if data_format == "channels_last" else (*images.shape[2:], images.shape[1])
    )
    index = _unique_half(check_frequencies(frequencies, size[:2]), size[:2])

    predict = keep_for_model(
        model, ("heat map", images.shape[1:], data_format, added.clip),
        lambda: _prediction(model, images.shape[1:], data_format, depth, added.clip),
    )  # fmt: skip
    total = len(index) * count
    batch = fixed_batch_size(model) or min(batch_size, total)
    wrong = np.zeros(len(index), np.int64)
    signs: dict[int, np.ndarray] = {}  # of the frequencies of the batch
    for start in range(0, total, batch):
        # All images under the first frequency, then under the second; the last pair fills up.
        pair = np.minimum(np.arange(start, start + batch), total - 1)
        which, image = pair // count, pair % count
        first, needed = which[0], range(which[0], which[-1] + 1)
        signs = {
            k: signs[k] if k in signs else added.signs(index[k], width, (count, depth))
            for k in needed
        }
        sampled = np.stack(list(signs.values()))[which - first, image].astype(np.float32)
        waves = added.waves(size[:2], index[needed])
        classes = ops.convert_to_numpy(predict(images[image], waves[which - first], sampled))
        failed = classes != labels[image]
        done = min(batch, total - start)
        np.add.at(wrong, which[:done], failed[:done])
        if progress:
            progress(start + done, total)
    return spectrum_from_half(wrong / count, index, size[:2])


def _check_data(
    model: keras.Layer, images: ArrayLike, labels: ArrayLike, clip: Any
) -> tuple[np.ndarray, np.ndarray]:
    images = check_images(images, model, clip, name="images")
    if images.ndim != 4 or not images.size:
        raise ValueError(
            "`images` must have rank 4 and hold at least one image. Received: images of shape "
            f"{images.shape}"
        )
    build_for(model, images)
    return images, check_labels(labels, len(images), _classes(model, images), name="labels")


def _prediction(model, sample_shape, data_format, depth, clip):
    """(images, waves [N, H, W], signs [N, C]) -> int32 classes [N], -1 for no finite output."""
    logits_of, _ = logits_function(model)

    def classes(images, waves, signs):
        if data_format == "channels_last":
            images = images + waves[..., None] * signs[:, None, None, :]
        else:
            images = images + waves[:, None] * signs[:, :, None, None]
        if clip is not None:
            images = ops.clip(images, *clip)
        logits = logits_of(images)
        finite = ops.all(ops.isfinite(logits), axis=-1)
        found = ops.cast(ops.argmax(logits, axis=-1), "int32")
        return ops.where(finite, found, -ops.ones_like(found))

    fixed = fixed_batch_size(model)
    arguments = [
        ("float32", (fixed, *sample_shape)),
        ("float32", (fixed, None, None)),
        ("float32", (fixed, depth)),
    ]
    return compile_function(classes, list(model.variables), arguments)


def _unique_half(index, size):
    """The first member of each pair ±[i, j] in index [F, 2], each once, ascending."""
    flat, partner = (i % size[0] * size[1] + j % size[1] for i, j in (index.T, -index.T))
    flat = np.unique(np.minimum(flat, partner))
    return np.stack([flat // size[1], flat % size[1]], axis=1)


def _classes(model, images):
    """Number K of classes; a model of unknown outputs is called once."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        outputs = model(ops.convert_to_tensor(images[:1]), training=False)
    return class_count(outputs)
