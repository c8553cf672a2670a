"""Masks of sets and of single images, and what is measured with them.

Every function fills one entry of the figure's JSON and leaves alone what is there.  What takes long
writes checkpoints; the masks of single images go to `masks-REGIME.npz` in the preset's folder, from
which `spectral_keras.analysis.masks.ImageMasks.load` reads them.
"""

import numpy as np

from figures._mask_basics import (
    GREY,
    behind_grey,
    low_energy,
    masked_images,
    mean_radius,
    shuffle_in_rings,
)
from figures._mask_controls import classify_splits, measure_controls
from figures._mask_runs import MATCHED, NAMES, SEED, folder_of, load_network, number
from figures._test_images import encode
from spectral_keras.analysis import (
    angular_energies,
    classify_masks,
    complement,
    embed,
    gain_share,
    radial_energies,
    zero_share,
)
from spectral_keras.analysis.masks.result import fingerprint
from spectral_keras.attacks import pgd
from spectral_keras.classifiers import predict_classes
from spectral_keras.data.arrays import balanced_prefix
from spectral_keras.experiments.command import CommandError

# Images of the smallest set that says anything at all.
_FEWEST = 10


def measure_set(experiment, images, letter, seed=SEED):
    """Table 1 and figures 3 and 4: the mask of all images, for one network."""
    masks = experiment.content.setdefault("set_masks", {})
    if seed != SEED:
        masks = experiment.content.setdefault("set_masks_of_seeds", {}).setdefault(str(seed), {})
    if letter not in masks:
        name = NAMES[letter] if seed == SEED else f"{NAMES[letter]}-{seed}"
        entry = _measure_mask(experiment, images, load_network(experiment, letter, seed), name)
        if seed != SEED:
            del entry["mask"]  # what is measured is enough
        masks[letter] = entry
        experiment.save()


def measure_published_objective(experiment, images, letter):
    """The mask of all images by exponentials of squares, as published."""
    masks = experiment.content.setdefault("published_objective", {})
    if letter not in masks:
        changes = experiment.settings["published_objective"] | {"invariance": "exp"}
        del changes["regimes"]
        name, model = f"{NAMES[letter]}-published", load_network(experiment, letter)
        masks[letter] = _measure_mask(experiment, images, model, name, **changes)
        experiment.save()


def _measure_mask(experiment, images, model, name, **changes):
    learned = _learn_set(experiment, model, images, f"set-{name}", per_class=False, **changes)
    # What is measured is what is kept: a mask of four decimals.
    mask = np.round(learned.masks[0].astype("float64"), 4)
    bands = experiment.settings["bands"]
    entry = {
        "mask": mask.tolist(),
        "epoch": int(learned.epoch[0]),
        "converged": bool(learned.converged[0]),
        "sparsity": float(np.abs(mask).mean()),
        "zero_share": float(zero_share(mask)),
        "radial": radial_energies(mask, bands).tolist(),
        "angular": angular_energies(mask, bands).tolist(),
        "mean_radius": float(mean_radius(mask)),
        "own": _with_and_without(model, images, images.own, mask),
        "others": _with_and_without(model, images, images.others, mask),
    }
    own = entry["own"]
    experiment.say(
        f"{name}: sparsity {entry['sparsity']:.3f}, {100 * own['standard']:.2f} % without and "
        f"{100 * own['masked']:.2f} % with the mask"
        + ("" if entry["converged"] else "; not converged")
    )
    return entry


def measure_classes(experiment, images):
    """First column of figure 5: the natural network's mask of each class."""
    if "class_masks" in experiment.content:
        return
    model = load_network(experiment, "N")
    learned = _learn_set(experiment, model, images, "classes", per_class=True)
    experiment.content["class_masks"] = {
        "masks": np.round(learned.masks.astype("float64"), 4).tolist(),
        "sparsity": [float(value) for value in learned.sparsity],
        "standard": [float(value) for value in learned.unmasked_accuracy],
        "masked": [float(value) for value in learned.accuracy],
    }
    experiment.save()


def _learn_set(experiment, model, images, name, per_class, **changes):
    from spectral_keras.analysis.masks import EpochRule, learn_mask

    settings = experiment.settings
    arguments = {**settings["set_mask"], "per_class": per_class, "seed": SEED, **changes}
    if per_class:
        arguments |= settings.get("class_mask", {})
    rule = EpochRule(accuracy_ratio=arguments.pop("accuracy_ratio", EpochRule.accuracy_ratio))
    data = images.x[images.own] - GREY, images.y[images.own]
    model = behind_grey(model)
    digest = fingerprint(model, list(data), {**arguments, "accuracy_ratio": rule.accuracy_ratio})
    experiment.say(f"mask of {len(images.own):,} images: {name}")
    checkpoint = experiment.folder / "checkpoints" / f"{name}-{digest[:12]}.npz"
    try:
        learned = learn_mask(
            model, data, from_logits=True, stopping=rule, checkpoint=checkpoint, **arguments
        )
    except ValueError as error:  # a damaged checkpoint
        raise CommandError(str(error)) from error
    return learned


def _with_and_without(model, images, index, mask):
    """Accuracies, and the images that the mask makes wrong or right; None without images."""
    if not len(index):
        return None
    x, y = images.x[index], images.y[index]
    plain = predict_classes(model, x) == y
    masked = predict_classes(model, masked_images(x, mask)) == y
    return {
        "images": len(index),
        "standard": float(plain.mean()),
        "masked": float(masked.mean()),
        "lost": int((plain & ~masked).sum()),
        "won": int((masked & ~plain).sum()),
    }


class Pairs:
    """The chosen test images, clean and attacked, of the natural and the adversarial network."""

    def __init__(self, experiment, images):
        settings = experiment.settings
        self.models = {letter: load_network(experiment, letter) for letter in "NA"}
        right = {
            key: predict_classes(model, images.x) == images.y for key, model in self.models.items()
        }
        both = np.flatnonzero(right["N"] & right["A"])
        sizes = {key: number(settings["attack"][key]) for key in ("eps", "step_size")}
        attacked = pgd(
            self.models["N"],
            images.x[both],
            images.y[both],
            steps=settings["attack"]["steps"],
            # As in the paper: a deep attack, not one that stops at the border of the class.
            early_stop=False,
            from_logits=True,
            seed=SEED,
            index=both,
            **sizes,
        )  # fmt: skip
        fooled = np.flatnonzero(predict_classes(self.models["N"], attacked) != images.y[both])
        labels = images.y[both[fooled]]
        chosen = balanced_prefix(labels, settings["single_images"] or len(labels))
        self.index = both[fooled][chosen]
        self.x, self.y, self.attacked = (
            images.x[self.index],
            labels[chosen],
            attacked[fooled][chosen],
        )
        self.funnel = {
            "test_images": len(images.y),
            "right": {letter: int(value.sum()) for letter, value in right.items()},
            "right_by_both": len(both),
            "fooled": len(fooled),
            "chosen": len(self.index),
            "of_each_class": np.bincount(self.y, minlength=1).tolist(),
        }
        if len(self.y) < _FEWEST or len(np.unique(self.y)) < 2:
            raise CommandError(
                f"only {len(self.y)} of {len(images.y)} test images are right for the natural and "
                "the adversarial network and fooled by the attack: single-image masks need more"
            )


def measure_single(experiment, images):
    """Figures 5 to 8 and tables 2 and 3."""
    content = experiment.content
    names = {"selection", "single", "table2", "figure7", "table3", "figure8", "examples"}
    later = {"controls", "mask_splits"} | ({"figure7_matched"} if "matched" in content else set())
    missing = (names | later) - content.keys()
    if not missing:
        return
    networks = [folder_of(experiment, letter) / "best.keras" for letter in "NA"]
    if missing <= later and not all(path.exists() for path in networks):
        # Results of an earlier version: what it did not measure needs its networks.
        if missing:
            experiment.say(f"not run, the networks are gone: {', '.join(sorted(missing))}")
        return
    pairs = Pairs(experiment, images)
    content["selection"] = {**pairs.funnel, "index": pairs.index.tolist()}
    experiment.save()
    learned = {
        letter: _learn_single(experiment, pairs.models[letter], pairs.x, letter) for letter in "NA"
    }
    masks = {letter: result.masks for letter, result in learned.items()}
    bands = experiment.settings["bands"]
    content["single"] = {key: _summary(result, bands) for key, result in learned.items()}
    content["table2"] = table2(pairs, masks["N"], bands)
    content["controls"] = measure_controls(pairs, masks["N"], bands)
    content["figure7"] = figure7(masks["A"], masks["N"], bands)
    experiment.save()
    _measure_matched(experiment, pairs, masks)
    labels = learned["N"].labels
    content["table3"], content["figure8"] = _classify(experiment, masks["N"], labels)
    content["mask_splits"] = classify_splits(masks["N"], labels, experiment.settings)
    content["examples"] = _examples(pairs, masks)
    experiment.save()


def _measure_matched(experiment, pairs, masks):
    """Fills `figure7_matched`: the adversarial network against a natural one as accurate.

    Of the chosen images those that this network has right, too.
    """
    if "matched" not in experiment.content:
        return
    model, bands = load_network(experiment, MATCHED), experiment.settings["bands"]
    right = np.flatnonzero(predict_classes(model, pairs.x) == pairs.y)
    learned = _learn_single(experiment, model, pairs.x[right], MATCHED)
    experiment.content["single"][MATCHED] = _summary(learned, bands)
    experiment.content["figure7_matched"] = {
        "adversarial": figure7(masks["A"][right], learned.masks, bands),
        "natural": figure7(masks["N"][right], learned.masks, bands),
    }
    experiment.save()


def _learn_single(experiment, model, x, letter):
    """`ImageMasks` of the images; from the file, if it is of these."""
    from spectral_keras.analysis.masks import ImageMasks, learn_masks

    arguments = experiment.settings["single_mask"]
    model, name = behind_grey(model), f"masks-{NAMES[letter]}"
    digest = fingerprint(model, [x], arguments)
    path = experiment.folder / f"{name}.npz"
    if path.exists():
        try:
            stored = ImageMasks.load(path)
        except ValueError:  # damaged: learned anew
            stored = None
        if stored is not None and stored.settings.get("fingerprint") == digest:
            return stored
    experiment.say(f"masks of {len(x):,} single images, {NAMES[letter]} network")
    try:
        learned = learn_masks(
            model,
            x - GREY,
            from_logits=True,
            checkpoint=experiment.folder / "checkpoints" / f"{name}-{digest[:12]}.npz",
            **arguments,
        )
    except ValueError as error:  # a damaged checkpoint
        raise CommandError(str(error)) from error
    learned.settings["fingerprint"] = digest
    learned.save(path)
    experiment.say(
        f"{NAMES[letter]}: mean sparsity {learned.sparsity.mean():.4f}, "
        f"{int(learned.converged.sum())} of {len(x)} converged"
    )
    return learned


def _summary(learned, bands):
    return {
        "images": len(learned.labels),
        "converged": int(learned.converged.sum()),
        "kept": int(learned.kept.sum()),
        # A mask of zeros keeps the class if that is the network's answer to plain grey.
        "empty": int((learned.masks == 0).all((1, 2)).sum()),
        "mean_steps": float(learned.steps.mean()),
        "mean_sparsity": float(learned.sparsity.mean()),
        "mean_zero_share": float(zero_share(learned.masks).mean()),
        "mean_radius": float(mean_radius(learned.masks).mean()),
        "mean_radial": radial_energies(learned.masks, bands).mean(0).tolist(),
        "mean_angular": angular_energies(learned.masks, bands).mean(0).tolist(),
    }


def table2(pairs, masks, bands):
    """How many images keep their class behind their masks, with three forms of the mask.

    "mask" is the learned one, "binary" 1 where that is above 0: the paper's code made the stored
    masks binary on the way to the complement and used those from then on.  "shuffled" is a control:
    the learned values on other frequencies of the same ring, pairs kept together, DC where it was.
    """
    forms = {
        "mask": masks,
        "binary": (masks > 0).astype("float64"),
        "shuffled": shuffle_in_rings(masks, bands),
    }

    def right(x, filters=None):
        if filters is not None:
            x = masked_images(x, filters)
        return predict_classes(pairs.models["N"], x) == pairs.y

    cells = {
        "X": {"none": right(pairs.x)},
        "XA": {"none": right(pairs.attacked)},
        "M(X)": {form: right(pairs.x, values) for form, values in forms.items()},
        "M(XA)": {form: right(pairs.attacked, values) for form, values in forms.items()},
        "M'(X)": {
            form: right(pairs.x, complement(forms[form])) for form in ("mask", "shuffled")
        },
    }  # fmt: skip

    def apart(row):
        mask, control = cells[row]["mask"], cells[row]["shuffled"]
        return {"mask": int((mask & ~control).sum()), "shuffled": int((control & ~mask).sum())}

    counts = {
        row: {form: int(value.sum()) for form, value in forms.items()}
        for row, forms in cells.items()
    }
    # Images that are right with one of the two only.
    only = {row: apart(row) for row in ("M(XA)", "M'(X)")}
    return {"images": len(pairs.y), "right": counts, "right_with_one_only": only}


def figure7(masks, reference, bands):
    """Share of the images whose mask has more energy than that of another network, by band.

    Only images whose two masks are not empty count: a mask of zeros has no energy anywhere.
    """
    full = masks.any((1, 2)) & reference.any((1, 2))
    if not full.any():
        raise CommandError("no image has a mask of both networks that is not empty")
    masks, reference = masks[full], reference[full]
    result = {}
    for name, energies in (("radial", radial_energies), ("angular", angular_energies)):
        result[name] = gain_share(energies(masks, bands), energies(reference, bands))
    new, old = (low_energy(radial_energies(m, bands)) for m in (masks, reference))
    result["low"] = gain_share(new[:, None], old[:, None])
    result["mean_radius"] = {
        "masks": float(mean_radius(masks).mean()),
        "reference": float(mean_radius(reference).mean()),
    }
    return result


def _classify(experiment, masks, labels):
    """Table 3 and figure 8: a linear classifier of the natural network's masks."""
    settings = experiment.settings
    try:
        found = classify_masks(masks, labels, seed=SEED, **settings["classifier"])
    except ValueError as error:
        raise CommandError(str(error)) from error
    method = settings["embedding"]
    try:
        points = embed(found.logits, method)
    except ImportError as error:
        experiment.say(str(error))
        method, points = "pca", embed(found.logits)
    figure8 = {
        "method": method,
        "points": np.round(points, 4).tolist(),
        "labels": np.asarray(labels).tolist(),
        "train": found.train.tolist(),
        "test": found.test.tolist(),
    }
    return found.report, figure8


def _examples(pairs, masks):
    """One image of each class, its masks and what they leave of it."""
    chosen = [int(np.flatnonzero(pairs.y == label)[0]) for label in np.unique(pairs.y)]
    own = masks["N"][chosen]

    def behind(x, filters):
        return masked_images(x[chosen], filters)

    pictures = {
        "image": pairs.x[chosen],
        "attacked": pairs.attacked[chosen],
        "M(X)": behind(pairs.x, own),
        "M(XA)": behind(pairs.attacked, own),
        "M'(X)": behind(pairs.x, complement(own)),
    }
    pictures |= {
        "mask": own[..., None],
        "complement": complement(own)[..., None],
        "adversarial mask": masks["A"][chosen][..., None],
    }
    return [
        {
            "class": int(pairs.y[place]),
            "test_image": int(pairs.index[place]),
            "pictures": {name: _encode(stack[row]) for name, stack in pictures.items()},
        }
        for row, place in enumerate(chosen)
    ]


def _encode(picture):
    """8 bits from the smallest value, or 0, to the largest, or 1; filtered images leave [0, 1]."""
    low, high = min(0.0, float(picture.min())), max(1.0, float(picture.max()))
    return {**encode((picture - low) / (high - low)), "low": low, "high": high}
