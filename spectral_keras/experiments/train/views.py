"""Several views of a test image, whose logits are averaged."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from spectral_keras.data import Batches

__all__ = ["evaluate_views"]


def evaluate_views(model: keras.Model, test: Batches, tta: str) -> dict[str, Any]:
    """The accuracy of the mean logits of the views of each image, for result.json."""
    right = 0
    for index in range(len(test)):
        images, labels = test[index]
        logits = sum(
            weight * keras.ops.convert_to_numpy(model.predict_on_batch(view))
            for weight, view in _views(images, tta)
        )
        right += int((logits.argmax(axis=-1) == labels).sum())
    total = sum(test.size(index) for index in range(len(test)))
    return {"test_accuracy_tta": round(right / total, 6), "tta": tta}


def _views(images: np.ndarray, tta: str) -> Iterator[tuple[float, np.ndarray]]:
    """(weight, images): each image and its mirror image, half of the weight shifted by a pixel.

    The shifts are those of Jordan 2024 (arXiv 2404.00498, Section 3.5): to both sides along the
    diagonal, by reflection at the border.
    """
    height, width = (1, 2) if keras.config.image_data_format() == "channels_last" else (2, 3)
    shifted = []
    if tta == "mirror_translate":
        border = [(1, 1) if axis in (height, width) else (0, 0) for axis in range(images.ndim)]
        padded = np.pad(images, border, "reflect")
        for begin in (0, 2):
            part = [slice(None)] * images.ndim
            for axis in (height, width):
                part[axis] = slice(begin, begin + images.shape[axis])
            shifted.append(padded[tuple(part)])
    for weight, view in [(1.0, images), *((0.5, view) for view in shifted)]:
        yield weight, np.ascontiguousarray(view)
        yield weight, np.ascontiguousarray(np.flip(view, width))
