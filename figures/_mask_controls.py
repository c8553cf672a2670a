"""What masks are compared with: other masks of their size, and the images' own spectra.

That a mask reverses an attack is news only if one that has nothing to do with the image does not;
that the class follows from a mask, only if it does not follow as well from the image.
"""

import numpy as np

from figures._mask_basics import masked_images, partners, shuffle_in_rings
from figures._mask_runs import SEED
from spectral_keras.analysis import classify_masks
from spectral_keras.classifiers import predict_classes

# Splits into training and test masks, and the permutation of labels that comes with each, where a
# preset does not say another number.
SPLITS = 10


def control_masks(masks, labels, bands):
    """Name -> masks [N, height, width] in place of the images' own.

    "shuffled": the own values on other frequencies of the same ring; "low-pass": the own values on
    the lowest frequencies, largest first; "same class" and "other class": the mask of another
    image.  Only a class with one image keeps its own.
    """
    rng = np.random.default_rng([SEED, len(masks)])
    labels = np.asarray(labels)
    same, other = np.arange(len(masks)), np.empty(len(masks), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = rng.permutation(members)
        # Each takes the next one's: none its own.
        same[order] = np.roll(order, 1)
        strangers = np.flatnonzero(labels != label)
        other[members] = rng.choice(strangers, len(members))
    masks = np.asarray(masks, "float64")
    return {
        "shuffled": shuffle_in_rings(masks, bands),
        "low-pass": low_passes(masks),
        "same class": masks[same],
        "other class": masks[other],
    }


def low_passes(masks):
    """Masks with their values sorted: the largest at the lowest frequencies, k and -k together.

    DC and the three other frequencies that are their own partners keep their values.
    """
    height, width = masks.shape[-2:]
    y, x = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    radius = np.hypot(y, x).ravel()
    index, partner = partners(height, width)
    pairs = np.flatnonzero(index < partner)
    pairs = pairs[np.argsort(radius[pairs], kind="stable")]
    result = np.array(masks, "float64").reshape(len(masks), -1)
    values = -np.sort(-result[:, pairs], axis=1)
    result[:, pairs] = result[:, partner[pairs]] = values
    return result.reshape(masks.shape)


def measure_controls(pairs, masks, bands):
    """How many images are right behind their own and behind control masks, clean and attacked.

    Returns:
        dict: "images", and form -> {"X", "XA", "both": images right on the clean one, the attacked
        one, both; "only_mask", "only_control": attacked ones right with one of the two only}.
    """
    model = pairs.models["N"]

    def right(x, filters):
        return predict_classes(model, masked_images(x, filters)) == pairs.y

    own = right(pairs.attacked, masks)
    found = {"images": len(pairs.y)}
    forms = {"mask": masks} | control_masks(masks, pairs.y, bands)
    for form, filters in forms.items():
        clean, attacked = right(pairs.x, filters), right(pairs.attacked, filters)
        found[form] = {
            "X": int(clean.sum()),
            "XA": int(attacked.sum()),
            "both": int((clean & attacked).sum()),
            "only_mask": int((own & ~attacked).sum()),
            "only_control": int((attacked & ~own).sum()),
        }
    return found


def spectra(x):
    """Name -> features [N, height, width] of images [N, height, width, 1], as masks are.

    The magnitude of the DFT of the difference to grey, over its root mean square, and its
    logarithm, standardised: the stricter null is the better one of the two.
    """
    magnitude = np.abs(np.fft.fft2(x[..., 0].astype("float64") - 0.5))
    logarithm = np.log1p(magnitude)
    return {
        "magnitude": magnitude / np.sqrt((magnitude**2).mean()),
        "log magnitude": (logarithm - logarithm.mean()) / logarithm.std(),
    }


def classify_splits(features, labels, settings):
    """Test accuracies of the linear classifier over random splits, with labels and permuted ones.

    `settings` are those of a preset: "classifier" and, unless `SPLITS`, "splits".

    Returns:
        dict: "test_masks", "train_masks", and two lists with one accuracy a split, "labels" and
        "permuted".
    """
    found = {"labels": [], "permuted": []}
    for seed in range(settings.get("splits", SPLITS)):
        report = classify_masks(features, labels, seed=seed, **settings["classifier"]).report
        found["labels"].append(report["labels"]["test_accuracy"])
        found["permuted"].append(report["control"]["test_accuracy"])
    return found | {key: report[key] for key in ("train_masks", "test_masks")}


def measure_spectra(experiment, images):
    """Fills `class_null`: how well the images' own spectra tell the classes apart."""
    content = experiment.content
    if "class_null" in content:
        return
    x = images.x[content["selection"]["index"]]
    labels = content["figure8"]["labels"]
    content["class_null"] = {}
    for name, features in spectra(x).items():
        found = classify_splits(features, labels, experiment.settings)
        content["class_null"][name] = found
        experiment.say(f"class from the image's own {name}: {np.mean(found['labels']):.3f}")
    experiment.save()
