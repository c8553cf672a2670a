"""How much of an image pooling keeps: the spectral-representations report's Figures 4, 5 and 6.

Images go through max, average, strided and spectral pooling and are enlarged back to their size:
nearest pixel, or for spectral pooling a spectrum padded with zeros.  The approximation loss of an
image is ||x - x_hat|| / ||x||, pixels in [0, 1], before any clipping.

Two controls show what of spectral pooling's lead is the Fourier basis: average pooling enlarged
bicubically instead of in blocks, and the crop of a discrete cosine transform.  Of an even side two
Nyquist lines fold into one; "isometric" keeps all that side x side numbers can, the rule "average",
which is the layer's default, loses part of it.
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "information_preservation")

import numpy as np

from figures import _information_drawing as drawing
from figures._claims import claim
from figures._figure import Figure
from figures._pooling_loss import (
    DIVIDING,
    METHODS,
    Losses,
    pool_and_enlarge,
    relative,
    report_processing,
    report_side,
    summary,
)
from figures._test_images import batches, decode, encode
from spectral_keras.data import DataError, load
from spectral_keras.evaluation import t_interval
from spectral_keras.experiments.command import CommandError
from spectral_keras.ops.resize import spectral_resize

# The report normalised its 1000 images in one go.
BATCH = 1000

_CIFAR10 = {
    "dataset": "cifar10",
    "band_limit": None,
    # factor: pixels of the image for each number kept.
    "pictures": ["camera", "astronaut"],
    "picture_factors": [16, 64, 256, 1024, 4096],
    "examples": [14, 50],
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
        "examples": [0, 1],
    },
    # As the report: 1000 images set aside from the training set.
    "cpu": {**_CIFAR10, "part": "validation", "validation_fraction": 0.02, "images": 1000},
    "paper": {**_CIFAR10, "part": "train", "validation_fraction": 0, "images": 50000},
}

# What the committed notebooks of the report print for its Figure 6: the reduction p of each axis,
# plotted at the fraction 1/p^2.
REPORT = {
    "max": {"p": [2, 4, 8, 16, 32], "loss": [0.1920, 0.3808, 0.5814, 0.7934, 0.9389]},
    "spectral": {
        "p": [1.4, 1.8, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        "loss": [0.1212, 0.1358, 0.1358, 0.1903, 0.2074, 0.2328, *[0.2625] * 3, *[0.3254] * 7],
    },
}


def run(experiment):
    """Fills `data`, `loss`, `comparisons`, `report`, `best_max_pooling` and `panels`."""
    content, settings = experiment.content, experiment.settings
    if {"panels", "comparisons"} <= content.keys() and METHODS.keys() <= content["loss"].keys():
        experiment.say("all results are there")
        return
    # First: they need scikit-image, and a missing package should be known at once.
    panels = [picture_panel(name, settings["picture_factors"]) for name in settings["pictures"]]
    images, content["data"] = read_images(settings, experiment.data_dir)
    experiment.say(f"{len(images)} images of {settings['dataset']}, part {settings['part']}")
    loss = content.setdefault("loss", {})
    for method in METHODS:
        if method not in loss:
            loss[method] = measure(images, method)
            experiment.say(f"{method}: done")
            experiment.save()
    content["comparisons"] = compare(images)
    content["report"] = report_numbers(images)
    content["best_max_pooling"] = best = best_max_pooling(loss)
    best["fewer_interval"] = fewer_interval(images, best)
    for index in settings["examples"]:
        name = f"{settings['dataset']}, {settings['part']} image {index}"
        panels.append(example_panel(name, images[index], settings["example_factors"]))
    content["panels"] = panels
    kept = "{} x {}: {:.4f} of the numbers, loss {:.4f}"
    for name in ("", "spectral_"):
        side, fraction, lost = (best[f"{name}{key}"] for key in ("side", "fraction", "loss"))
        experiment.say(
            f"{name.rstrip('_') or 'max'} pooling to " + kept.format(side, side, fraction, lost)
        )


def read_images(settings, data_dir=None):
    """(float32 images in [0, 1], where they come from).

    Validation images are set aside from the training set, equally many of each class.  The
    report's last 1000 are not known: their order was that of a folder's listing.
    """
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
    if settings["band_limit"]:
        options = {"data_format": "channels_last"}
        small = spectral_resize(images, settings["band_limit"], **options)
        images = np.asarray(spectral_resize(small, images.shape[1:3], **options))
    data = {
        "name": dataset.name,
        "part": part,
        "images": len(images),
        "shape": list(images.shape[1:]),
        "version": dataset.source.get("version"),
        "split_seed": dataset.source["split_seed"],
    }
    return images, data


def measure(images, method, sides=None):
    """Losses of a method at several sides: a `summary`.

    Args:
        images: float32 array [N, size, size, channels] in [0, 1].
        method: key of `METHODS`.
        sides: list; None takes every side smaller than the images', or those that divide it.
    """
    size = images.shape[1]
    if sides is None:
        sides = [side for side in range(1, size) if method not in DIVIDING or size % side == 0]
    return summary(sides, [_losses(images, _pooled_by(method), side) for side in sides], size)


def _pooled_by(method):
    return lambda images, side: pool_and_enlarge(method, images, side)


def _losses(images, function, side):
    """`Losses` of a function of (images, side)."""
    losses = Losses()
    for batch in batches(images, BATCH):
        losses.add(batch, function(batch, side))
    return losses


# Rules of spectral pooling, and what each is compared with.
RULES = ("spectral_isometric", "spectral_average")
OTHERS = ("max", "average", "average_bicubic", "cosine")


def compare(images):
    """Loss of another method less that of spectral pooling, of each image: mean and interval.

    Returns:
        dict rule of spectral pooling -> other method -> {"sides", "mean", "interval"}, sides from
        the largest that divides the size down to 2: to one pixel all but max pooling keep the mean.
    """
    size = images.shape[1]
    sides = [side for side in range(size - 1, 1, -1) if size % side == 0]
    losses = {
        method: {side: _losses(images, _pooled_by(method), side).per_image() for side in sides}
        for method in (*RULES, *OTHERS)
    }

    def one(rule, other):
        differences = [losses[other][side] - losses[rule][side] for side in sides]
        return {
            "sides": sides,
            "mean": [round(float(values.mean()), 7) for values in differences],
            "interval": [[round(end, 7) for end in t_interval(values.tolist())]
                         for values in differences],
        }  # fmt: skip

    return {rule: {other: one(rule, other) for other in OTHERS} for rule in RULES}


_NAMES = {
    "max": "max pooling",
    "average": "average pooling",
    "average_bicubic": "average pooling enlarged bicubically",
    "cosine": "a crop of the cosine transform",
}


def derive(stored):
    """Fills `claims` from `comparisons` and `best_max_pooling`."""
    content = stored["content"]
    data, best = content["data"], content["best_max_pooling"]
    run_ = f"{data['images']:,} images of {data['name']}, {data['part']}; nothing is trained"
    found = []
    for rule, others in content["comparisons"].items():
        for other, numbers in others.items():
            parts = [
                (f"{side} x {side}", {"interval": interval, "effect": mean})
                for side, mean, interval in zip(
                    numbers["sides"], numbers["mean"], numbers["interval"], strict=True
                )
            ]
            found.append(
                claim(
                    "spectral_representations", _WHERE.get(other, "a control"),
                    f"spectral pooling ({rule.removeprefix('spectral_')}) loses less than "
                    f"{_NAMES[other]}, at every size that divides {data['shape'][0]}",
                    run_, effect=numbers["mean"][0], unit="of an image's norm",
                    over=f"{data['images']:,} images, paired", parts=parts,
                    note=_which(parts),
                    # One claim of the paper's, whatever becomes of the Nyquist frequency.
                    added=other not in _WHERE or rule != "spectral_isometric",
                )
            )  # fmt: skip
    fewer = best["fraction"] / best["spectral_fraction"]
    found.append(
        claim(
            "spectral_representations", "Figure 2 of the original",
            "the least loss of max pooling (2 x 2) takes fewer numbers with spectral pooling",
            run_, effect=fewer, unit="times fewer", interval=best.get("fewer_interval"), bound=1,
            over=f"{data['images']:,} images, resampled: sides are whole numbers",
            note=f"{best['spectral_side']} x {best['spectral_side']} loses "
            f"{best['spectral_loss']:.3f}, max pooling {best['loss']:.3f}",
        )
    )  # fmt: skip
    content["claims"] = found


_WHERE = {"max": "Figure 2 of the original, Figure 6 of the report", "average": "Section 3.1"}


def _which(parts):
    """ "wins at 16 x 16, ties at 4 x 4, loses at 2 x 2" """
    sides = {"wins": [], "ties": [], "loses": []}
    for side, part in parts:
        low, high = part["interval"]
        sides["wins" if low > 0 else "loses" if high < 0 else "ties"].append(side)
    words = [f"{word} at {', '.join(found)}" for word, found in sides.items() if found]
    return "spectral pooling " + ", ".join(words)


def report_numbers(images):
    """The report's numbers, and its spectral ones done again its way on these images."""
    report = {
        name: {**numbers, "fractions": [round(p**-2, 7) for p in numbers["p"]]}
        for name, numbers in REPORT.items()
    }
    spectral = report["spectral"]
    spectral["sides"] = [report_side(p, images.shape[1]) for p in spectral["p"]]
    redone = {
        side: round(_losses(images, report_processing, side).report_metric(), 7)
        for side in set(spectral["sides"])
    }
    spectral["redone"] = [redone[side] for side in spectral["sides"]]
    return report


def best_max_pooling(loss):
    """Max pooling 2x2, and the smallest spectral pooling that loses no more."""
    largest, spectral = loss["max"], loss["spectral_average"]
    best = largest["mean"][-1]
    index = next(i for i, mean in enumerate(spectral["mean"]) if mean <= best)
    return {
        "side": largest["sides"][-1],
        "loss": best,
        "fraction": largest["fractions"][-1],
        "spectral_side": spectral["sides"][index],
        "spectral_loss": spectral["mean"][index],
        "spectral_fraction": spectral["fractions"][index],
    }


def fewer_interval(images, best, draws=2000):
    """How many times fewer numbers: interval of 95 % by resampling the images (bootstrap).

    Only sides next to the one of all images are looked at; a wider interval stops there.
    """
    size, side = images.shape[1], best["spectral_side"]
    sides = range(max(1, side - 3), min(size, side + 4))
    maxima = _losses(images, _pooled_by("max"), best["side"]).per_image()
    spectral = [_losses(images, _pooled_by("spectral_average"), one).per_image() for one in sides]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        index = rng.integers(len(images), size=len(images))
        bound = maxima[index].mean()
        enough = [s for s, lost in zip(sides, spectral, strict=True) if lost[index].mean() <= bound]
        # Fractions are kept to seven digits.
        found.append(best["fraction"] / round((enough or [sides[-1]])[0] ** 2 / size**2, 7))
    return [float(end) for end in np.percentile(found, (2.5, 97.5))]


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


def picture_panel(name, factors):
    """Losses of one of scikit-image's pictures; its pixels are not kept."""
    return {"source": name, **_panel(name, picture(name), factors)}


def example_panel(name, image, factors):
    """Losses of an image of the data set, with its pixels: a redrawing has no data set."""
    return {**encode(image), **_panel(name, image, factors)}


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
    """The losses, and the pictures two by two."""
    panels = [
        (panel, picture(panel["source"]) if "source" in panel else decode(panel))
        for panel in stored["content"]["panels"]
    ]
    return drawing.draw(stored["content"], panels)


FIGURE = Figure("information_preservation", __doc__, PRESETS, run, draw, derive, uses=("data_dir",))
