"""What a preset is worth on the test images, and how fast it is."""

import os
import time
from typing import Any

import keras
import numpy as np

from spectral_keras.classifiers import predict_classes
from spectral_keras.data.arrays import as_floats
from spectral_keras.evaluation import accuracy_point
from spectral_keras.experiments.progress import Progress

__all__ = ["measure"]

BATCH = 250
# Images between two looks at the clock.
_PART = 4 * BATCH


def measure(
    model: keras.Model, images: np.ndarray, y: np.ndarray, text: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """What a model makes of the images, and its speed: that of the fastest 1,000 of them.

    Args:
        model: from images in [0, 1] to logits.
        images, y: uint8 [N, H, W, C] and classes [N].
        text: what is measured, for the progress bar.

    Returns:
        (int [N]: the classes that the model gives; dict: images a second, the same for a second of
        one processor core's time, and how busy the machine was meanwhile).
    """
    classes, walls, processor = np.zeros(len(y), int), [], []
    with Progress(text) as bar:
        for start in range(0, len(y), _PART):
            part = slice(start, start + _PART)
            x = as_floats(images[part])
            if not start:  # compiled now, not in what is timed
                predict_classes(model, x[:BATCH], batch_size=BATCH)
                predict_classes(model, x, batch_size=BATCH)
            begin, worked = time.perf_counter(), time.process_time()
            classes[part] = predict_classes(model, x, batch_size=BATCH)
            walls.append((time.perf_counter() - begin) / len(x))
            processor.append((time.process_time() - worked) / len(x))
            bar(min(start + _PART, len(y)), len(y))
        bar.result = f"accuracy {accuracy_point(classes == y)['accuracy']:.4f}"
    return classes, {
        "images_per_second": 1 / max(1e-9, min(walls)),
        "images_per_core_second": 1 / max(1e-9, min(processor)),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "cores": os.cpu_count(),
        "batch_size": BATCH,
    }
