"""Common corruptions of 32 x 32 images: `spectral_keras.corruptions` and imagecorruptions.

Both sides run in worker processes of this module, one thread each: an array of images at once here,
one image at a time there, as each is made to be called.
"""

import importlib.metadata
import importlib.util
import os
import sys
import time
import warnings

import numpy as np

LIBRARY = "imagecorruptions"
# Label of a way -> table of constants. imagecorruptions has ImageNet-C's at every size.
OURS, OURS_CIFAR = "spectral_keras", "spectral_keras, CIFAR-10-C's constants"
TABLES = {OURS: "imagenet", OURS_CIFAR: "cifar"}
CONSTANTS = (
    f"{LIBRARY} uses ImageNet-C's constants at every size; {OURS!r} uses the same ones "
    "(table='imagenet'), so that both do equal work. Exceptions: in elastic_transform "
    f"{LIBRARY} has constants of its own and no affine map; {LIBRARY} cuts frost out of the "
    "photographs, which it reads from a file for each image, and we out of procedural pictures in "
    "memory; it enlarges pixelate by the nearest pixel. CIFAR-10-C's own constants, made for "
    "32 x 32 pixels, are "
    f"{OURS_CIFAR!r}"
)
SIDE = 32

_images = None  # of a worker


def installed():
    """Whether imagecorruptions can be imported."""
    return importlib.util.find_spec(LIBRARY) is not None


def versions():
    """Versions of imagecorruptions and of what it works with."""
    packages = [LIBRARY, "scikit-image", "scipy", "pillow", "opencv-python"]
    return {name: _version(name) for name in packages}


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def make_images(count):
    """uint8 [count, 32, 32, 3]: parts of scikit-learn's two photographs at a quarter size."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photographs = [
        np.asarray(Image.fromarray(each).reduce(4)) for each in load_sample_images().images
    ]
    rng = np.random.default_rng(0)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for number, image in enumerate(images):
        photograph = photographs[number % len(photographs)]
        top, left = (rng.integers(0, side - SIDE + 1) for side in photograph.shape[:2])
        image[...] = photograph[top : top + SIDE, left : left + SIDE]
    return images


def start(count):
    """Make a process a worker: images, one thread, and nothing printed."""
    global _images
    import threadpoolctl

    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (imagecorruptions prints)
    warnings.simplefilter("ignore")
    threadpoolctl.threadpool_limits(1)
    _images = make_images(count)
    if installed():
        import cv2

        cv2.setNumThreads(1)
        np.random.seed(0)


def work(way, name, severity, first, count):
    """Corrupt `count` of the images from number `first` on; (seconds, processor's seconds)."""
    chosen = _images[np.arange(first, first + count) % len(_images)]
    if way == LIBRARY:
        corrupt = _theirs()
        begin, cpu_begin = time.perf_counter(), time.process_time()
        for image in chosen:
            corrupt(image, severity, name)
    else:
        from spectral_keras.corruptions import corrupt

        begin, cpu_begin = time.perf_counter(), time.process_time()
        corrupt(chosen, name, severity, table=TABLES[way])
    return time.perf_counter() - begin, time.process_time() - cpu_begin


def shims():
    """What imagecorruptions needs to run beside the installed NumPy and scikit-image, as text."""
    found = []
    if not hasattr(np, "float_"):
        found.append("numpy.float_ is numpy.float64")
    if not _has_multichannel():
        found.append("skimage.filters.gaussian: multichannel=True becomes channel_axis=-1")
    return found


def _has_multichannel():
    import inspect

    from skimage.filters import gaussian

    return "multichannel" in inspect.signature(gaussian).parameters


def _theirs():
    """`imagecorruptions.corrupt`, made to run beside newer versions."""
    import imagecorruptions
    from imagecorruptions import corruptions

    if not hasattr(np, "float_"):
        np.float_ = np.float64
    if not _has_multichannel():
        from skimage.filters import gaussian

        def with_channels(image, *arguments, multichannel=False, **options):
            axis = -1 if multichannel else None
            return gaussian(image, *arguments, channel_axis=axis, **options)

        corruptions.gaussian = with_channels
    return imagecorruptions.corrupt
