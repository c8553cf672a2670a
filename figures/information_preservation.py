"""How much of an image pooling keeps: the spectral-representations report's Figures 4, 5 and 6.

Images go through max, average, strided and spectral pooling and are enlarged back to their size:
nearest pixel, or for spectral pooling a spectrum padded with zeros.  The approximation loss of an
image is ||x - x_hat|| / ||x||, pixels in [0, 1], before any clipping.
"""

import base64

import numpy as np

from figures import _information_drawing as drawing
from figures._figure import Figure, main
from figures._pooling_loss import (
    ANY_SIDE,
    DIVIDING,
    Losses,
    pool_and_enlarge,
    relative,
    report_processing,
    report_side,
    summary,
)
from models._options import CommandError
from spectral_keras.data import DataError, load
from spectral_keras.ops.resize import spectral_resize

# The report's images were normalised in one go; this is how many it had.
BATCH = 1000

_CIFAR10 = {
    "dataset": "cifar10",
    "band_limit": None,
    # factor: pixels of the image for each number kept.
    "pictures": ["camera", "astronaut"],
    "picture_factors": [16, 64, 256, 1024, 4096],
    "examples": [0, 1],
    "example_factors": [4, 16, 64, 256, 1024],
}
PRESETS = {
    # Without frequencies of 5 and more, spectral pooling to 9 x 9 loses nothing.
    "smoke": {
        **_CIFAR10,
        "dataset": "digits",
        "part": "train",
        "validation_fraction": 0,
        "images": 24,
        "band_limit": 9,
        "pictures": [],
    },
    # As the report: 1000 images set aside from the training set.
    "cpu": {**_CIFAR10, "part": "validation", "validation_fraction": 0.02, "images": 1000},
    "paper": {**_CIFAR10, "part": "train", "validation_fraction": 0, "images": 50000},
}

# What the committed notebooks of the report print for its Figure 6: the reduction p of each axis,
# drawn at the fraction 1/p^2.
REPORT = {
    "max": {"p": [2, 4, 8, 16, 32], "loss": [0.1920, 0.3808, 0.5814, 0.7934, 0.9389]},
    "spectral": {
        "p": [1.4, 1.8, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        "loss": [0.1212, 0.1358, 0.1358, 0.1903, 0.2074, 0.2328, *[0.2625] * 3, *[0.3254] * 7],
    },
}


def run(experiment):
    """Fills `loss`, `report` and `panels`."""
    content, settings = experiment.content, experiment.settings
    if "panels" in content:
        experiment.say("all results are there")
        return
    images, labels, data = read_images(settings, experiment.data_dir)
    experiment.say(f"{data['images']} images of {data['name']}, {data['part']}")
    if "loss" not in content:
        content["data"] = data
        content.update(measure(images, experiment.say))
        experiment.save()
    panels = [picture_panel(name, settings) for name in settings["pictures"]]
    for index in settings["examples"]:
        name = f"{data['name']}: {labels[index]}"
        panels.append(example_panel(name, images[index], settings["example_factors"]))
    content["panels"] = panels
    best = content["best_max_pooling"]
    experiment.say(
        f"max pooling 2x2 loses {best['loss']:.3f} and keeps {best['fraction']:.3f} of the "
        f"numbers; spectral pooling loses less from {best['spectral_fraction']:.3f} on"
    )


def read_images(settings, data_dir=None):
    """(float32 images in [0, 1], names of their classes, where they come from)."""
    part, count = settings["part"], settings["images"]
    try:
        dataset = load(
            settings["dataset"],
            data_dir=data_dir,
            limit_test=100,
            validation_fraction=settings["validation_fraction"],
        )
    except DataError as error:
        raise CommandError(str(error)) from None
    images = getattr(dataset, f"x_{part}")[:count].astype("float32") / 255
    labels = [dataset.class_names[k] for k in getattr(dataset, f"y_{part}")[:count]]
    if settings["band_limit"]:
        options = {"data_format": "channels_last"}
        small = spectral_resize(images, settings["band_limit"], **options)
        images = np.asarray(spectral_resize(small, images.shape[1:3], **options))
    where = {
        "validation": "validation images, set aside from the training set, equally many a class",
        "train": "training images",
        "test": "test images",
    }
    data = {
        "name": dataset.name,
        "part": where[part],
        "images": len(images),
        "shape": list(images.shape[1:]),
        "version": dataset.source.get("version"),
        "split_seed": dataset.source["split_seed"],
    }
    return images, labels, data


def measure(images, say=lambda text: None):
    """Losses of every method at every side, and the report's numbers, done again its way.

    Args:
        images: float32 array [N, size, size, channels] in [0, 1].
        say: called with lines of progress.
    """
    size = images.shape[1]
    smaller = range(1, size)
    sides = {
        **{name: list(smaller) for name in ANY_SIDE},
        **{name: [side for side in smaller if size % side == 0] for name in DIVIDING},
    }
    losses = {name: [Losses() for _ in those] for name, those in sides.items()}
    report_sides = [report_side(p, size) for p in REPORT["spectral"]["p"]]
    redone = {side: Losses() for side in report_sides}
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        for name, those in sides.items():
            for side, one in zip(those, losses[name], strict=True):
                one.add(batch, pool_and_enlarge(name, batch, side))
        for side, one in redone.items():
            one.add(batch, report_processing(batch, side))
        say(f"pooled {start + len(batch)} images")
    loss = {name: summary(those, losses[name], size) for name, those in sides.items()}
    report = {}
    for name, numbers in REPORT.items():
        # Rounding to 7 digits as everywhere.
        fractions = [round(p**-2, 7) for p in numbers["p"]]
        report[name] = {**numbers, "fractions": fractions}
    report["spectral"]["sides"] = report_sides
    report["spectral"]["redone"] = [round(redone[side].report_metric(), 7) for side in report_sides]
    return {"loss": loss, "report": report, "best_max_pooling": _best_max_pooling(loss)}


def _best_max_pooling(loss):
    """Max pooling 2x2, and the smallest spectral pooling that loses no more."""
    largest = loss["max"]["sides"][-1]
    best = loss["max"]["mean"][-1]
    spectral = loss["spectral_average"]
    index = next(i for i, mean in enumerate(spectral["mean"]) if mean <= best)
    return {
        "side": largest,
        "loss": best,
        "fraction": loss["max"]["fractions"][-1],
        "spectral_side": spectral["sides"][index],
        "spectral_loss": spectral["mean"][index],
        "spectral_fraction": spectral["fractions"][index],
    }


def picture(name):
    """scikit-image's "camera" or "astronaut": float32 [256, 256, channels] in [0, 1]."""
    try:
        from skimage import data
    except ImportError:
        raise CommandError(
            "the pictures need scikit-image, which is not installed: pip install -e '.[figures]'"
        ) from None
    pixels = np.asarray(getattr(data, name)(), "float32") / 255
    # 512 to 256: the mean of each 2 x 2 pixels.
    height, width = pixels.shape[:2]
    return pixels.reshape(height // 2, 2, width // 2, 2, -1).mean((1, 3))


def picture_panel(name, settings):
    """Losses of one of scikit-image's pictures; its pixels are not kept."""
    return {"source": name, **_panel(name, picture(name), settings["picture_factors"])}


def example_panel(name, image, factors):
    """Losses of an image of the data set, with its pixels: a redrawing has no data set."""
    levels = np.clip(np.rint(image * 255), 0, 255).astype("uint8")
    pixels = base64.b64encode(levels.tobytes()).decode("ascii")
    return {"pixels": pixels, "shape": list(image.shape), **_panel(name, image, factors)}


def _panel(name, image, factors):
    size = image.shape[0]
    sides = [max(1, round(size / factor**0.5)) for factor in factors]
    image = image[None]
    loss = {}
    for method in drawing.PICTURE_METHODS:
        enlarged = [pool_and_enlarge(method, image, side) for side in sides]
        loss[method] = [
            round(float(relative((y - image) ** 2, image**2, (1, 2, 3))[0]), 7) for y in enlarged
        ]
    return {"name": name, "size": size, "sides": sides, "factors": factors, "loss": loss}


def draw(stored):
    """The pictures above, the losses below."""
    if "panels" not in stored["content"]:
        raise CommandError(
            f"the results are unfinished: --preset {stored.get('preset')} goes on with them"
        )
    try:
        panels = [(panel, _pixels(panel)) for panel in stored["content"]["panels"]]
        return drawing.draw(stored["content"], panels)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CommandError(
            f"the results are damaged ({error!r}): --preset {stored.get('preset')} --overwrite "
            "makes them again"
        ) from error


def _pixels(panel):
    if "source" in panel:
        return picture(panel["source"])
    levels = np.frombuffer(base64.b64decode(panel["pixels"]), "uint8")
    return (levels / np.float32(255)).reshape(panel["shape"])


FIGURE = Figure(
    name="information_preservation",
    description=(__doc__ or "").strip(),
    presets=PRESETS,
    run=run,
    draw=draw,
)

if __name__ == "__main__":
    main(FIGURE)
