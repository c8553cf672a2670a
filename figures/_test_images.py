"""Test images that a figure measures on, and pixels in its JSON."""

import base64

import numpy as np

from spectral_keras.data import DataError, load
from spectral_keras.experiments.command import CommandError


def read_test_images(settings, data_dir=None):
    """(float32 images in [0, 1], where they come from): the first ones of the test set.

    Args:
        settings: "dataset", "images": how many, None for all, and "picture": an index among them.
        data_dir: folder of the TFDS data sets.
    """
    try:
        dataset = load(settings["dataset"], data_dir=data_dir, limit=100, validation_fraction=0)
    except DataError as error:
        raise CommandError(str(error)) from None
    images = dataset.x_test[: settings["images"]]
    picture = settings["picture"]
    if picture >= len(images):
        raise CommandError(
            f"the figure shows test image {picture}, {dataset.name} has {len(images)}"
        )
    data = {
        "name": dataset.name,
        "part": "test",
        "images": len(images),
        "shape": list(images.shape[1:]),
        "version": dataset.source.get("version"),
        "picture": picture,
    }
    return images.astype("float32") / np.float32(255), data


def batches(images, size=500):
    return (images[start : start + size] for start in range(0, len(images), size))


def encode(image):
    """An image [height, width, channels] as JSON: 8 bits a value, clipped to [0, 1]."""
    image = np.asarray(image)
    levels = np.clip(np.rint(image * 255), 0, 255).astype("uint8")
    pixels = base64.b64encode(levels.tobytes()).decode("ascii")
    return {"pixels": pixels, "shape": list(image.shape)}


def decode(stored):
    """float32 image in [0, 1] of what `encode` made."""
    levels = np.frombuffer(base64.b64decode(stored["pixels"]), "uint8")
    return (levels / np.float32(255)).reshape(stored["shape"])


def data_line(stored, picture=True):
    """Preset and data of a figure in one line, and which image it shows, if it shows one."""
    data = stored["content"]["data"]
    size = " x ".join(str(side) for side in data["shape"][:2])
    shown = f"; picture: test image {data['picture']}" if picture else ""
    return (
        f"Preset {stored['preset']}: {data['images']:,} test images of {data['name']}, "
        f"{size}{shown}."
    )
