"""Photographs, small."""

import functools

import numpy as np


@functools.cache
def photographs(height, width, channels=3):
    """uint8 [8, height, width, channels]: parts of the two photographs of scikit-learn."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    parts = []
    for photograph in load_sample_images().images:
        rows, columns = photograph.shape[0] // 2, photograph.shape[1] // 2
        for top in (0, rows):
            for left in (0, columns):
                part = Image.fromarray(photograph[top : top + rows, left : left + columns])
                part = part.resize((width, height), Image.Resampling.BOX)
                parts.append(np.asarray(part if channels == 3 else part.convert("L")))
    result = np.stack(parts).reshape(8, height, width, channels)
    result.setflags(write=False)
    return result


def flat(level, count=1, height=32, width=32, channels=3):
    """Images of one grey level."""
    return np.full((count, height, width, channels), level, np.uint8)
